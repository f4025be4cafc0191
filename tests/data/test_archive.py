import gzip
import io
import lzma
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import avsl_core.data
from avsl_core.data import extract
from avsl_core.data.archive import find_inside, look_inside
from avsl_core.errors import DataError

FILES = {"set/list.txt": b"one two", "set/pictures/ä b.jpg": b"picture"}


def make_tar(path, files, mode="w:gz", members=()):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in members:
            tar.addfile(member)
    return path


def make_zip(path, files):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".archive_size")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(params=["set.tgz", "set.tar.gz", "set.tar", "set.zip"])
def archive(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".zip":
        return make_zip(path, FILES)
    return make_tar(path, FILES, "w" if path.suffix == ".tar" else "w:gz")


def test_everything_is_unpacked_beside_the_archive(archive):
    folder = extract(archive)
    assert folder == archive.with_name(archive.name + ".extracted")
    assert contents(folder) == FILES


def test_nothing_else_is_left_beside_the_archive(archive, tmp_path):
    folder = extract(archive)
    assert set(tmp_path.iterdir()) == {archive, folder}


def test_an_archive_is_unpacked_once(archive):
    folder = extract(archive)
    (folder / "set" / "list.txt").write_bytes(b"changed since")
    assert (extract(archive) / "set" / "list.txt").read_bytes() == b"changed since"


def test_a_folder_made_from_another_archive_is_not_taken_for_this_one(tmp_path):
    archive = make_tar(tmp_path / "set.tar", FILES, "w")
    extract(archive)
    make_tar(archive, {"set/list.txt": bytes(50_000)}, "w")
    with pytest.raises(DataError, match=r"set\.tar\.extracted: was not made from set\.tar as it is now"):
        extract(archive)


def test_several_callers_at_once_get_the_same_whole_folder(archive):
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(extract, [archive] * 4))
    assert len(set(folders)) == 1
    assert contents(folders[0]) == FILES
    assert set(archive.parent.iterdir()) == {archive, folders[0]}


@pytest.mark.parametrize(
    "name", ["../out.txt", "set/../../out.txt", "/tmp/out.txt", "..\\out.txt", "\\out.txt"]
)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_names_that_lead_outside_are_refused(tmp_path, name, make):
    archive = make(
        tmp_path / ("bad.zip" if make is make_zip else "bad.tgz"), {"set/list.txt": b"", name: b"out"}
    )
    with pytest.raises(DataError, match="leads outside"):
        extract(archive)
    assert set(tmp_path.iterdir()) == {archive}
    assert not (tmp_path.parent / "out.txt").exists()


@pytest.mark.parametrize(
    "member",
    [
        link("set/out", "../../.."),
        link("set/out", "/etc/passwd"),
        link("set/out", "/etc/passwd", tarfile.LNKTYPE),
        link("set/in", "list.txt"),
        link("set/pipe", "", tarfile.FIFOTYPE),
    ],
    ids=["link up", "absolute link", "hard link", "link inside", "pipe"],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, member):
    archive = make_tar(tmp_path / "bad.tgz", FILES, members=[member])
    with pytest.raises(DataError, match="is a link or device"):
        extract(archive)
    assert set(tmp_path.iterdir()) == {archive}


def test_links_in_a_zip_are_refused(tmp_path):
    entry = zipfile.ZipInfo("set/out")
    entry.external_attr = 0o120777 << 16
    archive = make_zip(tmp_path / "bad.zip", FILES)
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="'set/out' is a link or device"):
        extract(archive)


def test_a_locked_zip_says_what_to_do(tmp_path):
    archive = make_zip(tmp_path / "locked.zip", {"a.txt": b"secret"})
    raw = bytearray(archive.read_bytes())
    # The lowest flag bit, in the entry itself and in the directory, marks encryption.
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(raw)
    with pytest.raises(DataError, match="locked by a password; unpack it yourself"):
        extract(archive)


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("damage", ["cut", "empty file", "not an archive", "flipped"])
def test_a_damaged_archive_leaves_nothing_and_a_whole_one_works_then(tmp_path, make, damage):
    archive = tmp_path / ("set.zip" if make is make_zip else "set.tgz")
    files = {**FILES, "set/big.bin": os.urandom(20_000)}
    whole = make(archive, files).read_bytes()
    flipped = whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:]
    damaged = {"cut": whole[:10_000], "empty file": b"", "not an archive": b"x" * 500, "flipped": flipped}
    archive.write_bytes(damaged[damage])
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(archive)
    assert set(tmp_path.iterdir()) == {archive}
    archive.write_bytes(whole)
    assert contents(extract(archive)) == files


def test_an_archive_within_the_limits_is_unpacked(archive):
    size = sum(map(len, FILES.values()))
    assert contents(extract(archive, max_bytes=size, max_files=2)) == FILES


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"max_bytes": 13}, "more than the 13 bytes allowed"), ({"max_files": 1}, "more than the 1 files")],
)
def test_an_archive_above_a_limit_is_refused_and_leaves_nothing(archive, tmp_path, limits, message):
    with pytest.raises(DataError, match=message):
        extract(archive, **limits)
    assert set(tmp_path.iterdir()) == {archive}


def test_folders_count_as_files(tmp_path):
    folders = [tarfile.TarInfo(f"folder{number}") for number in range(50)]
    for folder in folders:
        folder.type = tarfile.DIRTYPE
    archive = make_tar(tmp_path / "many.tar", FILES, "w", members=folders)
    with pytest.raises(DataError, match="more than the 40 files allowed"):
        extract(archive, max_files=40)


def test_a_zip_that_lies_about_sizes_never_writes_more_than_it_admits(tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros.bin", bytes(5_000_000))
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace((5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(archive, max_bytes=2000)
    assert set(tmp_path.iterdir()) == {archive}


def test_a_tar_of_endless_padding_is_refused(tmp_path):
    archive = make_tar(tmp_path / "bomb.tgz", FILES)
    with gzip.open(archive, "ab", compresslevel=1) as file:
        for _ in range(70):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="more than the 1,000 bytes allowed"):
        extract(archive, max_bytes=1000)


def test_a_tar_header_without_measure_is_not_read_into_memory(tmp_path):
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    archive = tmp_path / "bomb.tar"
    archive.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(DataError, match="damaged or incomplete"):
        extract(archive, max_bytes=1 << 50)


def test_a_sparse_file_counts_as_large_as_it_becomes(tmp_path):
    header = tarfile.TarInfo("sparse")
    header.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0%011o\0" % (0, 0)  # the first stretch of data: none
    block[483:495] = b"%011o\0" % (1 << 30)  # what the file becomes
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    archive = tmp_path / "sparse.tar"
    archive.write_bytes(bytes(block) + bytes(1024))
    with pytest.raises(DataError, match="more than the 1,000,000 bytes allowed"):
        extract(archive, max_bytes=1_000_000)


@pytest.mark.parametrize("limits", [{"max_bytes": 1000}, {"max_files": 9}], ids=["bytes", "files"])
@pytest.mark.parametrize("form", [lzma.FORMAT_XZ, lzma.FORMAT_ALONE], ids=["xz", "lzma"])
def test_a_tar_whose_unpacking_may_take_any_memory_is_refused_where_limits_are_given(tmp_path, limits, form):
    archive = make_tar(tmp_path / "set.tar", FILES, "w")
    archive.write_bytes(lzma.compress(archive.read_bytes(), form))
    with pytest.raises(DataError, match=r"packed with xz or lzma; pack it as \.tar\.gz"):
        extract(archive, **limits)
    assert contents(extract(archive)) == FILES


@pytest.mark.parametrize("limits", [{"max_bytes": 1000}, {"max_files": 9}], ids=["bytes", "files"])
def test_a_zip_packed_with_lzma_is_refused_where_limits_are_given(tmp_path, limits):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as zipped:
        zipped.writestr("a.txt", b"text")
    with pytest.raises(DataError, match="packed with lzma"):
        extract(archive, **limits)
    assert contents(extract(archive)) == {"a.txt": b"text"}


@pytest.fixture
def crowded(tmp_path):
    """A zip of 70,000 entries, which needs the large form of the last record."""
    archive = tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for number in range(70_000):
            zipped.writestr(f"{number}.txt", b"")
    return archive


@pytest.mark.parametrize("max_files", [100, 69_999])
def test_a_zip_of_too_many_files_is_refused_before_they_are_listed_in_memory(crowded, max_files):
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"more than the {max_files:,} files allowed"):
            extract(crowded, max_files=max_files)
        assert tracemalloc.get_traced_memory()[1] < crowded.stat().st_size
    finally:
        tracemalloc.stop()


def test_a_small_directory_elsewhere_does_not_hide_a_large_one(tmp_path):
    archive = make_zip(tmp_path / "set.zip", {f"{number}.txt": b"" for number in range(50)})
    raw = archive.read_bytes()
    decoy = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 0, 0, 0, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    (size,) = struct.unpack("<L", raw[-10:-6])
    end = raw[-22:-10] + struct.pack("<L", size + len(locator)) + raw[-6:]
    archive.write_bytes(decoy + raw[:-22] + locator + end)
    with pytest.raises(DataError, match="more than the 40 files allowed"):
        extract(archive, max_files=40)


def test_a_small_zip_with_words_after_it_is_within_its_limit(tmp_path):
    archive = make_zip(tmp_path / "set.zip", FILES)
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.comment = b"PK\x05 a comment \0\0"
    assert contents(extract(archive, max_files=2)) == FILES


def test_a_zip_that_lies_about_its_number_of_files_is_counted(tmp_path):
    archive = make_zip(tmp_path / "set.zip", {f"{number}.txt": b"" for number in range(50)})
    raw = archive.read_bytes()
    archive.write_bytes(raw[:-14] + struct.pack("<2H", 1, 1) + raw[-10:])
    with pytest.raises(DataError, match="more than the 40 files allowed"):
        extract(archive, max_files=40)


@pytest.mark.parametrize(("mode", "max_bytes"), [("w:bz2", None), ("w:bz2", 1000), ("w:xz", None)])
def test_a_compressed_tar_under_a_plain_name_is_read_all_the_same(tmp_path, mode, max_bytes):
    archive = make_tar(tmp_path / "set.tar", FILES, mode)
    assert contents(extract(archive, max_bytes=max_bytes)) == FILES


def test_an_archive_with_nothing_in_it_is_refused(tmp_path):
    with pytest.raises(DataError, match="nothing in this archive"):
        extract(make_tar(tmp_path / "empty.tgz", {}))


@pytest.mark.parametrize("name", ["missing.tgz", "picture.jpg"])
def test_what_is_no_archive_is_refused(tmp_path, put, name):
    put(tmp_path / "picture.jpg")
    with pytest.raises(DataError, match="no such archive; expected a file ending in"):
        extract(tmp_path / name)


def test_a_killed_extraction_does_not_stand_for_a_whole_one(tmp_path):
    files = {f"set/{i}.txt": b"content" for i in range(2000)}
    archive = make_tar(tmp_path / "set.tgz", files)
    program = (
        "import gc, os, signal, sys; gc.disable(); from avsl_core.data import extract\n"
        "def die_in_the_middle(event, given):\n"
        "    if event == 'open' and str(given[0]).endswith('/1000.txt'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(die_in_the_middle)\n"
        "extract(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive)],
        cwd=Path(avsl_core.data.__file__).parents[2],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("set.tgz.partial-*/set/*.txt"))) in (1000, 1001)
    assert not archive.with_name("set.tgz.extracted").exists()
    assert contents(extract(archive)) == files


def test_only_leftovers_older_than_a_day_are_removed(tmp_path, put):
    archive = make_tar(tmp_path / "set.tgz", FILES)
    old, fresh = (tmp_path / f"set.tgz.partial-{kind}" for kind in ("old", "fresh"))
    for folder in (old, fresh):
        put(folder / "1.jpg")
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    extract(archive)
    assert not old.exists()
    assert fresh.exists()


def test_a_file_is_found_in_the_folder_and_one_level_below(tmp_path, put):
    put(tmp_path / "deep" / "list.txt", "")
    assert find_inside(tmp_path, "list.txt") == tmp_path / "deep" / "list.txt"
    put(tmp_path / "list.txt", "")
    assert find_inside(tmp_path, "list.txt") == tmp_path / "list.txt"


def test_a_file_is_found_in_an_archive(tmp_path):
    archive = make_tar(tmp_path / "set.tgz", FILES)
    expected = tmp_path / "set.tgz.extracted" / "set" / "list.txt"
    assert find_inside(archive, "list.txt") == expected
    assert find_inside(tmp_path, "list.txt", ("set.tgz",)) == expected


def test_what_is_not_found_names_the_places(tmp_path):
    assert look_inside(tmp_path, "list.txt", ("set.tgz",)) is None
    with pytest.raises(
        DataError, match=r"no list\.txt here or one folder below nor set\.tgz to take it from"
    ):
        find_inside(tmp_path, "list.txt", ("set.tgz",))
    with pytest.raises(DataError, match="nowhere: no such folder or archive"):
        find_inside(tmp_path / "nowhere", "list.txt")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_folders_without_end_are_refused_and_leave_nothing(tmp_path, make):
    path = tmp_path / ("deep.zip" if make is make_zip else "deep.tgz")
    make(path, {"x/" * 1500 + "1.png": b"1"})
    with pytest.raises(DataError, match="lies more than 50 folders deep") as caught:
        extract(path)
    assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == [path]


def test_headers_that_only_announce_headers_are_damage(tmp_path):
    head = tarfile.TarInfo("x")
    head.type = tarfile.GNUTYPE_LONGNAME
    path = tmp_path / "chain.tar"
    path.write_bytes(head.tobuf(tarfile.GNU_FORMAT) * 5000)
    with pytest.raises(DataError, match="its headers go round in circles"):
        extract(path)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_name_that_no_disk_takes_is_told_without_the_systems_numbers(tmp_path, make):
    path = tmp_path / ("long.zip" if make is make_zip else "long.tgz")
    make(path, {"x" * 5000: b"1"})
    with pytest.raises(DataError, match=r"\(a name in it is longer than this disk allows\)"):
        extract(path)
