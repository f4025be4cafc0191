"""Archives that nobody wishes to unpack, all made here."""

import bz2
import functools
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

from tests.app.hostile import COMPARED, EITHER, REFUSED, Sample, pictures, plain

__all__ = ["archives"]

_INSIDE = ("mode-", "posing-", "flip-", "declared-", "tiff-", "chunk-zTXt", "bomb-png", "bomb-webp")


@functools.cache
def archives():
    """All samples; COMPARED means that a gallery comes of it. At most 200 files and 8 MB are allowed."""
    made = [*_zips(), *_bent_zips(), *_tars(), *_packed_tars()]
    assert len({sample.label for sample in made}) == len(made)
    return made


def _zips():
    good = ("a/1.png", plain())
    yield Sample("zip-good", "mine.zip", _zip(good), COMPARED)
    whole = [
        sample for sample in pictures() if sample.label.startswith(_INSIDE) and len(sample.data) < 100_000
    ]
    inside = [(f"a/{sample.label}.png", sample.data) for sample in whole[::2][:150]]
    yield Sample("zip-of-hostile-pictures", "mine.zip", _zip(good, *inside), COMPARED)
    outside = ("../out.png", "a/../../out.png", "/tmp/avsl-out.png", "..\\out.png", "\\out.png", "a/..")
    for number, name in enumerate(outside):
        yield Sample(f"zip-outside-{number}", "mine.zip", _zip(good, (name, plain())), REFUSED)
    for number, name in enumerate(
        ("C:\\out.png", "C:/out.png", "//host/share.png", "a/./1.png", "./b.png", "a//b.png")
    ):
        yield Sample(f"zip-odd-{number}", "mine.zip", _zip(good, (name, plain())), EITHER)
    odd = (
        "x" * 5000 + ".png",
        "x/" * 2000 + "1.png",
        "two\nlines.png",
        "nul\0.png",
        "\u202egnp.exe",
        "con.png",
        "<b>.png",
    )
    for number, name in enumerate(
        (*odd, ".hidden/1.png", "__MACOSX/1.png", ".archive_size", "-rf.png", " .png")
    ):
        yield Sample(f"zip-name-{number}", "mine.zip", _zip(good, (name, plain())), EITHER)
    raw = _zip(good, ("a/QQQQ.png", plain("JPEG"))).replace(b"QQQQ", b"\xff\xfe\x80\xe4")
    yield Sample("zip-name-not-utf-8", "mine.zip", raw, EITHER)
    for what, kind in (("link", 0o120777), ("pipe", 0o010644), ("device", 0o020644), ("disk", 0o060644)):
        yield Sample(
            f"zip-{what}", "mine.zip", _zip(good, ("a/passwd.png", b"/etc/passwd", kind << 16)), REFUSED
        )
    yield Sample("zip-same-name-twice", "mine.zip", _zip(good, ("a/1.png", plain("PNG", "L"))), EITHER)
    yield Sample("zip-file-and-folder", "mine.zip", _zip(("a", plain()), good), REFUSED)
    yield Sample("zip-empty", "mine.zip", _zip(), REFUSED)
    yield Sample(
        "zip-without-pictures", "mine.zip", _zip(("a.txt", b"hello"), ("b.sh", b"rm -rf /")), REFUSED
    )
    nested = _zip(("a/1.png", plain()))
    for _ in range(6):
        nested = _zip(*((f"{number}.zip", nested) for number in range(4)))
    yield Sample("zip-of-zips", "mine.zip", nested, REFUSED)
    yield Sample("zip-many", "mine.zip", _zip(*((f"{number}.png", b"") for number in range(300))), REFUSED)
    yield Sample(
        "zip-folders", "mine.zip", _zip(good, *((f"{number}/", b"") for number in range(5000))), REFUSED
    )
    yield Sample("zip-bomb", "mine.zip", _zip(good, ("a/2.png", bytes(300 * 2**20))), REFUSED)
    for name in ("mine.rar", "mine.7z", "mine", "mine.png", ".zip", "mine.zip.exe"):
        yield Sample(f"zip-called-{name}", name, _zip(good), REFUSED if name != ".zip" else EITHER)
    for number, name in enumerate(
        ("../../x.zip", "<script>.zip", "a\nb.zip", "\u202epiz.zip", "x" * 300 + ".zip", "CON.zip")
    ):
        yield Sample(f"zip-under-{number}", name, _zip(good), EITHER)


def _bent_zips():
    whole = _zip(("a/1.png", plain()), ("b/2.png", plain("JPEG")))
    for share in (0.1, 0.5, 0.9):
        yield Sample(f"zip-cut-{share}", "mine.zip", whole[: int(len(whole) * share)], REFUSED)
    wrong = bytearray(whole)
    wrong[60] ^= 255
    yield Sample("zip-wrong-sum", "mine.zip", bytes(wrong), REFUSED)
    central = whole.index(b"PK\x01\x02")
    for what, place, pack, value in (
        ("password", 8, "<H", 1),
        ("method", 10, "<H", 99),
        ("lzma", 10, "<H", 14),
        ("size-small", 24, "<I", 10),
        ("size-large", 24, "<I", 2**31),
        ("packed-large", 20, "<I", 2**31),
        ("offset", 42, "<I", 2**31),
        ("name-length", 28, "<H", 65_535),
    ):
        bent = bytearray(whole)
        struct.pack_into(pack, bent, central + place, value)
        yield Sample(
            f"zip-{what}",
            "mine.zip",
            bytes(bent),
            EITHER if what in ("size-small", "packed-large") else REFUSED,
        )
    end = whole.index(b"PK\x05\x06")
    for what, place, pack, value in (
        ("declares-65535", 10, "<H", 65_535),
        ("directory-large", 12, "<I", 2**31),
        ("directory-outside", 16, "<I", 2**31),
        ("disks", 4, "<H", 7),
        ("comment", 20, "<H", 65_535),
    ):
        bent = bytearray(whole)
        struct.pack_into(pack, bent, end + place, value)
        yield Sample(f"zip-{what}", "mine.zip", bytes(bent), EITHER)
    # One packed body of many names: each names the same place, as in the bombs that overlap.
    first = zipfile.ZipFile(io.BytesIO(whole)).infolist()[0]
    entry = whole[central : central + 46 + len(first.filename)]
    many = b"".join(
        entry[:46] + f"a/{number:05}.png".encode()[: len(first.filename)].ljust(len(first.filename), b"x")
        for number in range(3000)
    )
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 3000, 3000, len(many), central, 0)
    yield Sample("zip-overlapping", "mine.zip", whole[:central] + many + tail, REFUSED)
    huge = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**7, 10**7, len(whole) - central, central
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    yield Sample("zip-declares-10-million", "mine.zip", whole[:end] + huge + locator + whole[end:], EITHER)
    for what, body in (("nothing", b""), ("text", b"hello"), ("zeros", bytes(5000)), ("picture", plain())):
        yield Sample(f"zip-is-{what}", "mine.zip", body, REFUSED)


def _tars():
    good = ("a/1.png", plain())
    yield Sample("tar-good", "mine.tar", _tar(good), COMPARED)
    for number, name in enumerate(("../out.png", "/tmp/avsl-out.png", "a/../../out.png")):
        yield Sample(f"tar-outside-{number}", "mine.tar", _tar(good, (name, plain())), REFUSED)
    for what, kind in (
        ("link", tarfile.SYMTYPE),
        ("hard-link", tarfile.LNKTYPE),
        ("device", tarfile.CHRTYPE),
        ("disk", tarfile.BLKTYPE),
        ("pipe", tarfile.FIFOTYPE),
        ("contiguous", tarfile.CONTTYPE),
        ("unknown", b"Z"),
        ("sparse", tarfile.GNUTYPE_SPARSE),
    ):
        odd = tarfile.TarInfo("a/passwd.png")
        odd.type, odd.linkname = kind, "/etc/passwd"
        refused = what not in ("contiguous", "unknown", "sparse")
        yield Sample(f"tar-{what}", "mine.tar", _tar(good, odd), REFUSED if refused else EITHER)
    for number, name in enumerate(
        ("x" * 5000 + ".png", "x/" * 1500 + "1.png", "two\nlines.png", "\udcff\udce4.png")
    ):
        yield Sample(f"tar-name-{number}", "mine.tar", _tar(good, (name, plain())), EITHER)
    yield Sample("tar-same-name-twice", "mine.tar", _tar(good, good), EITHER)
    yield Sample("tar-many", "mine.tar", _tar(*((f"{number}.png", b"") for number in range(300))), REFUSED)
    yield Sample("tar-empty", "mine.tar", _tar(), REFUSED)
    whole = _tar(good, ("b/2.png", plain("JPEG")))
    for share in (0.02, 0.1):
        yield Sample(f"tar-cut-{share}", "mine.tar", whole[: int(len(whole) * share)], EITHER)
    for what, field in (
        ("size-negative", b"\xff" * 12),
        ("size-large", b"77777777777\0"),
        ("size-text", b"hello world\0"),
    ):
        bent = bytearray(whole)
        bent[124:136] = field
        bent[148:156] = b" " * 8
        bent[148:156] = b"%06o\0 " % sum(bent[:512])
        yield Sample(f"tar-{what}", "mine.tar", bytes(bent), REFUSED)
    for what, kind in (("long-name", tarfile.GNUTYPE_LONGNAME), ("pax", tarfile.XHDTYPE)):
        head = tarfile.TarInfo("x")
        head.type, head.size = kind, 2**33
        yield Sample(
            f"tar-{what}-endless", "mine.tar", head.tobuf(tarfile.GNU_FORMAT) + bytes(2**20), REFUSED
        )
    heads = [tarfile.TarInfo("x") for _ in range(3000)]
    for head in heads:
        head.type, head.size = tarfile.GNUTYPE_LONGNAME, 0
    chain = b"".join(head.tobuf(tarfile.GNU_FORMAT) for head in heads)
    yield Sample("tar-chain", "mine.tar", chain + _tar(good), EITHER)
    for what, body in (("nothing", b""), ("text", b"hello"), ("picture", plain()), ("zip", _zip(good))):
        yield Sample(f"tar-is-{what}", "mine.tar", body, REFUSED)


def _packed_tars():
    good = _tar(("a/1.png", plain()))
    large = _tar(("a/1.png", plain()), ("a/2.png", bytes(100 * 2**20)))
    yield Sample("tgz-good", "mine.tgz", gzip.compress(good), COMPARED)
    yield Sample("tar.gz-good", "mine.tar.gz", gzip.compress(good), COMPARED)
    yield Sample("tgz-bomb", "mine.tgz", gzip.compress(large), REFUSED)
    yield Sample("tgz-endless-padding", "mine.tgz", gzip.compress(good + bytes(200 * 2**20)), REFUSED)
    yield Sample("tgz-cut", "mine.tgz", gzip.compress(good)[:-30], REFUSED)
    packed = bytearray(gzip.compress(good))
    packed[-6] ^= 255
    yield Sample("tgz-wrong-sum", "mine.tgz", bytes(packed), REFUSED)
    yield Sample("tgz-is-tar", "mine.tgz", good, EITHER)
    yield Sample("tgz-is-zlib", "mine.tgz", zlib.compress(good), REFUSED)
    yield Sample("tgz-twice", "mine.tgz", gzip.compress(gzip.compress(good)), REFUSED)
    yield Sample("tar-bz2", "mine.tar", bz2.compress(good), EITHER)
    yield Sample("tar-bz2-bomb", "mine.tar", bz2.compress(large), REFUSED)
    yield Sample("tar-xz", "mine.tar", lzma.compress(good), REFUSED)
    for share in (0.2, 0.6):
        yield Sample(f"tgz-cut-{share}", "mine.tgz", gzip.compress(good)[: int(400 * share)], REFUSED)


def _zip(*files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data, *kind in files:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # as it is: the constructor would mend it
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = kind[0] if kind else 0
            packed.writestr(info, data)
    return stream.getvalue()


def _tar(*files):
    stream = io.BytesIO()
    with tarfile.open(
        fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape"
    ) as packed:
        for file in files:
            if isinstance(file, tarfile.TarInfo):
                packed.addfile(file)
                continue
            info = tarfile.TarInfo(file[0])
            info.size = len(file[1])
            packed.addfile(info, io.BytesIO(file[1]))
    return stream.getvalue()
