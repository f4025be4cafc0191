"""Pictures that nobody wishes to receive, all made here: odd, damaged, malicious, or only called pictures."""

import functools
import io
import random
import struct
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

__all__ = ["COMPARED", "EITHER", "REFUSED", "Sample", "pictures", "plain"]

COMPARED, REFUSED, EITHER = "compared", "refused", "either"
_CUTS = (0.02, 0.15, 0.4, 0.75, 0.97)
_FLIPS = 6


@dataclass(frozen=True)
class Sample:
    """A file to upload.

    Attributes:
        label: What the tests call it.
        name: What the visitor calls it.
        data: Its bytes.
        outcome: What must come of it.
    """

    label: str
    name: str
    data: bytes
    outcome: str


@functools.cache
def pictures():
    """All samples, the same in every run."""
    made = [*_modes(), *_foreign(), *_cut(), *_flipped(), *_sizes(), *_bombs(), *_metadata(), *_structures()]
    made += [*_polyglots(), *_posing(), *_names()]
    assert len({sample.label for sample in made}) == len(made)
    return made


def plain(kind="PNG", mode="RGB", **options):
    """A small picture without symmetry."""
    return _encode(_photo(mode), kind, **options)


def _modes():
    """Every kind that is accepted, in every mode it has, must be compared."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    wanted = [("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    wanted += [("JPEG", mode, {}) for mode in ("L", "RGB", "CMYK", "YCbCr")]
    wanted += [("GIF", mode, {}) for mode in ("1", "L", "P", "RGBA")]
    wanted += [("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")]
    tiff = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
    wanted += [("TIFF", mode, {}) for mode in tiff]
    wanted += [(kind, mode, {}) for kind in ("WEBP", "AVIF", "HEIF") for mode in ("L", "RGB", "RGBA")]
    wanted += [("JPEG", "RGB", {"progressive": True}), ("JPEG", "RGB", {"restart_marker_blocks": 2})]
    wanted += [("JPEG", "RGB", {"subsampling": 0, "quality": 100}), ("JPEG", "RGB", {"quality": 1})]
    wanted += [("GIF", "P", {"interlace": 0}), ("GIF", "P", {"transparency": 3})]
    wanted += [("PNG", "P", {"transparency": bytes(range(200))}), ("PNG", "L", {"transparency": 9})]
    wanted += [("WEBP", "RGBA", {"lossless": True, "exact": True}), ("TIFF", "RGB", {"big_tiff": True})]
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        wanted.append(("TIFF", "RGB", {"compression": packing}))
    wanted += [("TIFF", "1", {"compression": packing}) for packing in ("group3", "group4", "tiff_ccitt")]
    several = [Image.fromarray(np.roll(np.asarray(_photo("RGB")), turn, 1)) for turn in (3, 9)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        wanted.append((kind, "RGB", {"save_all": True, "append_images": several}))
    for turn in (*range(10), 65_535):
        exif = Image.Exif()
        exif[0x0112] = turn
        wanted.append(("JPEG", "RGB", {"exif": exif.tobytes()}))
    profiles = [srgb, lab, srgb[:200], b"no profile", bytes(range(256)) * 20, srgb[:128] + b"\xff" * 2000]
    wanted += [
        (kind, "RGB", {"icc_profile": icc}) for kind in ("JPEG", "PNG", "WEBP", "TIFF") for icc in profiles
    ]
    wanted += [("JPEG", "CMYK", {"icc_profile": srgb}), ("JPEG", "L", {"icc_profile": srgb})]
    for number, (kind, mode, options) in enumerate(wanted):
        what = "-".join(["mode", kind, mode, *map(str, options), str(number)])
        yield Sample(what, f"{number}.{kind.lower()}", plain(kind, mode, **options), COMPARED)
    deep = np.arange(24 * 20 * 3, dtype=">u2").reshape(20, 24 * 3) * 40
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    yield Sample("mode-PNG-RGB-16", "deep.png", _png(24, 20, rows, depth=16), COMPARED)
    yield Sample("mode-PNG-interlaced", "laced.png", _interlaced(), COMPARED)


def _foreign():
    """What Pillow can write and this app does not read."""
    known = {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "HEIC"}
    Image.init()
    for kind in sorted(set(Image.SAVE) - known):
        for mode in ("RGB", "L", "1", "P", "RGBA"):
            try:
                data = _encode(_photo(mode), kind)
            except Exception:  # not a mode of that kind, or one that needs another program
                continue
            # A DIB is a BMP without its head, an MPO a JPEG with more behind it.
            outcome = COMPARED if kind == "MPO" else REFUSED
            yield Sample(f"foreign-{kind}-{mode}", f"holiday.{kind.lower()}", data, outcome)
            break


def _bases():
    kinds = [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
    ]
    kinds += [("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}), ("WEBP", {})]
    kinds += [("WEBP", {"lossless": True}), ("AVIF", {}), ("HEIF", {})]
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, options in kinds:
        given = dict(options) if kind in ("HEIF", "GIF", "BMP") else {**options, "exif": exif.tobytes()}
        yield (
            "-".join([kind, *map(str, (options or {"": ""}).popitem())]).strip("-"),
            plain(kind, "RGB", **given),
        )


def _cut():
    for what, data in _bases():
        for share in _CUTS:
            part = data[: max(1, int(len(data) * share))]
            yield Sample(
                f"cut-{what}-{share}", f"half.{what[:3].lower()}", part, EITHER if share > 0.9 else REFUSED
            )


def _flipped():
    for what, data in _bases():
        for seed in range(_FLIPS):
            source = random.Random(f"{what}{seed}")
            bent = bytearray(data)
            for _ in range(source.choice((1, 3, 20))):
                # Headers are where it hurts.
                place = source.randrange(len(bent) if source.random() < 0.5 else min(len(bent), 200))
                bent[place] ^= 1 << source.randrange(8)
            yield Sample(f"flip-{what}-{seed}", f"bent.{what[:3].lower()}", bytes(bent), EITHER)


def _sizes():
    for width, height in ((1, 60_000), (60_000, 1), (1, 1), (7, 7), (500, 8), (8, 500)):
        data = _encode(Image.new("L", (width, height), 99), "PNG")
        yield Sample(f"size-{width}x{height}", "thin.png", data, REFUSED)
    for width, height in ((8, 8), (160, 8), (8, 160)):
        data = _encode(_photo("RGB").resize((width, height)), "PNG")
        yield Sample(f"size-{width}x{height}", "small.png", data, COMPARED)
    for width, height in (
        (0, 0),
        (0, 100),
        (100, 0),
        (2**31 - 1, 2**31 - 1),
        (2**32 - 1, 1),
        (100_000, 100_000),
    ):
        yield Sample(f"declared-png-{width}x{height}", "big.png", _png(width, height, b""), REFUSED)
        yield Sample(f"declared-tiff-{width}x{height}", "big.tif", _tiff(width, height), REFUSED)
        yield Sample(f"declared-bmp-{width}x{height}", "big.bmp", _bmp(width, height), REFUSED)
    for width, height in ((0, 0), (65_535, 65_535), (65_535, 1), (0, 9)):
        yield Sample(f"declared-gif-{width}x{height}", "big.gif", _gif(width, height), REFUSED)
        yield Sample(f"declared-jpeg-{width}x{height}", "big.jpg", _jpeg(width, height), REFUSED)
    yield Sample("declared-webp", "big.webp", _webp(16_000, 16_000), REFUSED)
    yield Sample("declared-bmp-negative", "up.bmp", _bmp(-50, -50), REFUSED)
    for kind in ("HEIF", "AVIF"):
        data = plain(kind)
        at = data.index(b"ispe") + 8
        for width, height in ((0, 0), (2**31, 2**31), (60_000, 60_000), (1, 60_000), (200, 9)):
            grown = data[:at] + struct.pack(">II", width, height) + data[at + 8 :]
            yield Sample(f"declared-{kind}-{width}x{height}", f"big.{kind.lower()}", grown, EITHER)


def _bombs():
    """Small files that unpack to much; each is a true picture."""
    flat = Image.new("1", (20_000, 5_000))
    yield Sample("bomb-png", "bomb.png", _encode(flat, "PNG"), REFUSED)
    yield Sample("bomb-tiff", "bomb.tif", _encode(flat, "TIFF", compression="group4"), REFUSED)
    yield Sample(
        "bomb-gif", "bomb.gif", _gif(30_000, 2_000, _encode(Image.new("L", (64, 64)), "GIF")), REFUSED
    )
    webp = _encode(Image.new("RGB", (9_000, 5_000)), "WEBP", lossless=True, method=0, quality=0)
    yield Sample("bomb-webp", "bomb.webp", webp, REFUSED)
    jpeg = _encode(Image.new("L", (8_000, 8_000)), "JPEG", quality=1)
    yield Sample("bomb-jpeg", "bomb.jpg", jpeg, REFUSED)
    # As large as allowed: 40 million pixels from a few kilobytes.
    allowed = Image.new("1", (8_000, 5_000))
    yield Sample("allowed-png", "wall.png", _encode(allowed, "PNG"), COMPARED)
    yield Sample("allowed-tiff", "wall.tif", _encode(allowed, "TIFF", compression="group4"), COMPARED)
    yield Sample(
        "bomb-tile", "tile.tif", _tiff(100, 100, {322: 60_000, 323: 60_000, 324: 8, 325: 8}), REFUSED
    )
    frames = [Image.new("L", (40, 40), shade % 256) for shade in range(1500)]
    gif = _encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield Sample("bomb-frames", "film.gif", gif, COMPARED)
    yield Sample("bomb-scans", "scans.jpg", scan_bomb(1200, 400), EITHER)


def scan_bomb(side, scans):
    """A JPEG of one flat colour whose last scan comes again and again: each costs a pass over all blocks."""
    data = _encode(Image.new("L", (side, side), 77), "JPEG", progressive=True, quality=30)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def _metadata():
    """Much said about a small picture."""
    base = plain()
    zeros = zlib.compress(bytes(40 * 2**20), 9)
    for kind, body in (
        (b"zTXt", b"Comment\0\0" + zeros),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros),
        (b"iCCP", b"profile\0\0" + zeros),
        (b"tEXt", b"Comment\0" + b"<script>alert(1)</script>" * 100_000),
        (b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + bytes(60_000)),
        (b"gAMA", bytes(4)),
        (b"acTL", struct.pack(">II", 2**31, 0)),
        (b"tRNS", bytes(5000)),
        (b"PLTE", bytes(769)),
        (b"cHRM", b"\xff" * 32),
        (b"pHYs", bytes(9)),
    ):
        yield Sample(f"chunk-{kind.decode()}", "said.png", _with_chunks(base, _chunk(kind, body)), EITHER)
    many = _chunk(b"tEXt", b"key\0value") * 20_000
    yield Sample("chunk-20000", "said.png", _with_chunks(base, many), EITHER)
    jpeg = plain("JPEG")
    for marker, name in (
        (0xE1, "exif"),
        (0xE2, "icc"),
        (0xED, "photoshop"),
        (0xEE, "adobe"),
        (0xFE, "comment"),
    ):
        heads = {
            "exif": b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
            "icc": b"ICC_PROFILE\0\1\xff",
            "adobe": b"Adobe\0d",
        }
        heads["photoshop"] = b"Photoshop 3.0\08BIM\x04\x04\0\0\xff\xff\xff\xff"
        body = heads.get(name, b"") + b"\xff" * 60_000
        segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body
        yield Sample(f"segment-{name}", "said.jpg", jpeg[:2] + segment * 300 + jpeg[2:], EITHER)
    yield Sample("segment-length-0", "said.jpg", jpeg[:2] + b"\xff\xe1\0\0" + jpeg[2:], EITHER)
    yield Sample("segment-length-most", "said.jpg", jpeg[:2] + b"\xff\xe1\xff\xff" + jpeg[2:], REFUSED)
    gif = plain("GIF")
    start = gif.index(b",", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    notes = b"!\xfe" + b"\xff" + b"x" * 255 + b"\0"
    yield Sample("gif-comments", "said.gif", gif[:start] + notes * 20_000 + gif[start:], EITHER)


def _structures():
    """Files whose parts lead nowhere, to themselves, or contradict each other."""
    for what, extra in (
        ("loop", {34665: 8, 330: 8}),  # EXIF and further directories where the picture's own is
        ("strips-outside", {273: 2**31}),
        ("strips-here", {273: 0, 279: 4000}),
        ("bits-0", {258: 0}),
        ("bits-64", {258: 64}),
        ("samples", {277: 60_000}),
        ("packing", {259: 34_661}),
        ("old-jpeg", {259: 6, 513: 8, 514: 4000}),
        ("rows-0", {278: 0}),
        ("planar", {284: 2, 277: 3}),
        ("float", {339: 3, 258: 16}),
        ("orientation", {274: 2**31}),
    ):
        for packing in (1, 5, 8):
            tags = {259: packing, **extra}
            yield Sample(f"tiff-{what}-{packing}", "odd.tif", _tiff(64, 64, tags), EITHER)
    endless = bytearray(_tiff(64, 64))
    place = struct.unpack_from("<I", endless, 4)[0]
    struct.pack_into("<I", endless, len(endless) - 4, place)
    yield Sample("tiff-next-is-itself", "odd.tif", bytes(endless), EITHER)
    yield Sample("tiff-65535-tags", "odd.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(65_535 * 12), REFUSED)
    pal = plain("PNG", "P")
    at = pal.index(b"PLTE") - 4
    yield Sample(
        "png-no-palette", "odd.png", pal[:at] + pal[at + 12 + struct.unpack_from(">I", pal, at)[0] :], EITHER
    )
    base = plain()
    idat = base.index(b"IDAT") - 4
    yield Sample("png-no-data", "odd.png", base[:idat] + _chunk(b"IEND", b""), REFUSED)
    yield Sample("png-two-headers", "odd.png", base[:33] + base[8:], EITHER)
    wrong = bytearray(base)
    wrong[idat + 12] ^= 255
    yield Sample("png-wrong-sum", "odd.png", bytes(wrong), REFUSED)
    yield Sample("png-chunk-most", "odd.png", base[:33] + b"\xff\xff\xff\xfftEXt", REFUSED)
    jpeg = plain("JPEG")
    for name, marker in (("lossless", 0xC3), ("arithmetic", 0xC9), ("hierarchical", 0xC5)):
        frame = jpeg.index(b"\xff\xc0")
        yield Sample(
            f"jpeg-{name}", "odd.jpg", jpeg[: frame + 1] + bytes([marker]) + jpeg[frame + 2 :], EITHER
        )
    table = jpeg.index(b"\xff\xc4")
    length = struct.unpack_from(">H", jpeg, table + 2)[0]
    yield Sample("jpeg-no-tables", "odd.jpg", jpeg[:table] + jpeg[table + 2 + length :], EITHER)
    yield Sample("jpeg-thumbnail-only", "odd.jpg", jpeg[:2] + jpeg[-2:], REFUSED)
    for depth in (0, 2, 3, 64, 255):
        yield Sample(f"bmp-depth-{depth}", "odd.bmp", _bmp(64, 64, depth=depth), REFUSED)
    runs = b"\0\2\xff\xff" * 50_000
    yield Sample("bmp-runs", "odd.bmp", _bmp(64, 64, depth=8, packing=1, body=bytes(1024) + runs), EITHER)
    gif = bytearray(plain("GIF"))
    start = gif.index(b",", 13 + 3 * 2 ** ((gif[10] & 7) + 1))
    struct.pack_into("<HH", gif, start + 1, 60_000, 60_000)
    yield Sample("gif-frame-outside", "odd.gif", bytes(gif), EITHER)
    yield Sample("gif-code-size", "odd.gif", _gif(64, 64).replace(b"\x02\x02\x44", b"\xff\x02\x44"), REFUSED)
    webp = plain("WEBP")
    yield Sample("webp-length", "odd.webp", webp[:4] + b"\xff\xff\xff\xff" + webp[8:], EITHER)
    box = struct.pack(">I", 16) + b"ftypheic" + bytes(4)
    yield Sample("heif-boxes", "odd.heic", box + _nested(b"meta", 2000), REFUSED)
    yield Sample("avif-boxes", "odd.avif", box.replace(b"heic", b"avif") + _nested(b"meta", 2000), REFUSED)
    iloc = struct.pack(">I", 16) + b"iloc" + b"\1\0\0\0\x44\x40\xff\xff"
    meta = struct.pack(">I4sI", 12 + len(iloc), b"meta", 0) + iloc
    yield Sample("heif-places", "odd.heic", box + meta, REFUSED)


def _polyglots():
    """Pictures that are something else as well: as pictures they are welcome."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("run.sh", "rm -rf /")
    page = b"<!doctype html><script>alert(document.domain)</script>"
    yield Sample("both-jpeg-zip", "both.jpg", plain("JPEG") + packed.getvalue(), COMPARED)
    yield Sample("both-png-html", "both.html", plain() + page, COMPARED)
    yield Sample("both-jpeg-pdf", "both.pdf", plain("JPEG") + b"%PDF-1.7\n1 0 obj\n", COMPARED)
    yield Sample("both-pdf-jpeg", "both.jpg", b"%PDF-1.7\n1 0 obj stream\n" + plain("JPEG"), REFUSED)
    gif = bytearray(plain("GIF"))
    script = b"GIF89a=1;alert(1)//"
    yield Sample("both-gif-js", "both.js", bytes(gif) + script, COMPARED)
    yield Sample("both-gif-js-size", "both.gif", b"GIF89a/*" + bytes(gif[8:]) + b"*/=1;alert(1)", EITHER)
    php = _with_chunks(plain(), _chunk(b"tEXt", b"Comment\0<?php system($_GET['c']); ?>"))
    yield Sample("both-png-php", "both.php", php, COMPARED)


def _posing():
    """No pictures at all, or under the name of another kind."""
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) (r) file\n"
    svg = b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    svg += b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><text>&x;</text></svg>'
    bodies = {
        "empty": b"",
        "one-byte": b"\xff",
        "zeros": bytes(5000),
        "svg": svg,
        "html": b"<!doctype html><script>alert(1)</script>",
        "php": b"<?php system('id'); ?>",
        "postscript": postscript,
        "eps-binary": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(postscript)) + bytes(18) + postscript,
        "pdf": b"%PDF-1.7\n1 0 obj << /OpenAction << /S /JavaScript >> >>",
        "dicom": bytes(128) + b"DICM\x02\0\0\0UL\x04\0" + bytes(500),
        "photoshop": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(60),
        "fli": struct.pack("<IHHHHH", 0, 0xAF12, 60_000, 64, 64, 8) + bytes(200),
        "icns": b"icns" + struct.pack(">I", 2**31) + b"ic10" + struct.pack(">I", 2**31),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(100),
        "xpm": b'/* XPM */\nstatic char *x[] = {"60000 60000 2 1", "a c #000"};',
        "fits": b"SIMPLE  =                    T" + b" " * 2850,
        "elf": b"\x7fELF\x02\x01\x01" + bytes(500),
        "exe": b"MZ" + bytes(500),
        "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
        "mp4": struct.pack(">I", 24) + b"ftypisom" + bytes(4) + b"isommp42" + bytes(400),
        "jxl": b"\xff\x0a" + bytes(60),
        "gzip": b"\x1f\x8b\x08" + bytes(60),
        "mvg": b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x.png|id'\npop graphic-context",
        "text": b"a list of birds\n" * 50,
        "utf-16": "\ufeffa list of birds".encode("utf-16"),
    }
    for what, body in bodies.items():
        yield Sample(f"posing-{what}", "holiday.jpg", body, REFUSED)
    for suffix in ("jpg", "gif", "svg", "html", "exe", "txt", "zip"):
        yield Sample(f"called-{suffix}", f"really-a-png.{suffix}", plain(), COMPARED)


def _names():
    """Names with tricks, on a good picture and on a bad one, which a message has to name."""
    tricks = [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "C:\\boot.ini",
        "nul\0inside.png",
        "two\nlines.png",
    ]
    tricks += [
        "\u202egnp.exe",
        "\u2066x\u2069.png",
        "a" * 300 + ".png",
        "CON",
        "con.png",
        "🦆🦆.png",
        "-rf.png",
    ]
    tricks += [
        "<script>alert(1)</script>.png",
        '"><img src=x onerror=alert(1)>.png',
        "&lt;b&gt;.png",
        "'; DROP.png",
    ]
    tricks += [
        "%2e%2e%2fetc%2fpasswd",
        "%00.png",
        "$(id).png",
        "`id`.png",
        "{0.__class__}.png",
        "%s%n.png",
        "..",
        ".",
    ]
    tricks += [
        "",
        " ",
        "a/b/c.png",
        "\x1b[31mred.png",
        "e\u0301.png",
        "\ufeff.png",
        "lone\ud800.png",
        ".htaccess",
        "~",
    ]
    for number, trick in enumerate(tricks):
        yield Sample(f"name-good-{number}", trick, plain(), COMPARED)
        yield Sample(f"name-bad-{number}", trick, b"no picture at all", REFUSED)


def _photo(mode):
    y, x = np.mgrid[:40, :48].astype(np.float64)
    rgb = Image.fromarray(np.stack([x * 5, y * 6, 255 - x - 3 * y], -1).clip(0, 255).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    if mode == "PA":
        return rgb.convert("P").convert("PA")
    if mode == "LAB":
        return ImageCms.profileToProfile(
            rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    return rgb.convert(mode)


def _encode(picture, kind, **options):
    stream = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(stream, **options)
    else:
        picture.save(stream, kind, **options)
    return stream.getvalue()


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _with_chunks(png, chunks):
    """After the header."""
    return png[:33] + chunks + png[33:]


def _png(width, height, rows, *, depth=8, laced=0):
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, laced)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _interlaced():
    pixels, rows = np.asarray(_photo("RGB")), b""
    for top, left, down, across in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[top::down, left::across])
    return _png(pixels.shape[1], pixels.shape[0], rows, laced=1)


def _bmp(width, height, *, depth=24, packing=0, body=b""):
    pack = "<IHHIIiiHHIIiiII" if max(abs(width), abs(height)) < 2**31 else "<IHHIIIIHHIIiiII"
    start = 54 + (1024 if depth == 8 else 0)
    return (
        b"BM"
        + struct.pack(pack, start, 0, 0, start, 40, width, height, 1, depth, packing, 0, 0, 0, 0, 0)
        + body
    )


def _gif(width, height, frame_of=b""):
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    if frame_of:  # the packed pixels of another one, for a frame that is larger
        start = frame_of.index(b",", 13 + 3 * 2 ** ((frame_of[10] & 7) + 1))
        frame += frame_of[start + 10 :]
    else:
        frame += b"\x02\x02\x44\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame


def _jpeg(width, height):
    data = bytearray(_encode(Image.new("RGB", (16, 16)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _webp(width, height):
    body = (
        b"VP8L"
        + struct.pack("<I", 10)
        + b"\x2f"
        + struct.pack("<I", (width - 1) | (height - 1) << 14)
        + bytes(5)
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _tiff(width, height, extra=None):
    """One strip of grey, and any tags."""
    body = zlib.compress(bytes(min(width * height, 10_000)))
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: len(body)}
    tags |= extra or {}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    head = b"II*\0" + struct.pack("<I", 8 + len(body))
    return head + body + struct.pack("<H", len(tags)) + entries + bytes(4)


def _nested(kind, depth):
    boxes = b""
    for _ in range(depth):
        boxes = struct.pack(">I", 12 + len(boxes)) + kind + bytes(4) + boxes
    return boxes
