"""Unpacking data sets as published, once, next to the archive, without trusting what the archive says."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import logging
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from avsl_core.errors import DataError
from avsl_core.images.source import one_line

__all__ = ["extract", "find_inside", "is_archive", "look_inside"]

_log = logging.getLogger(__name__)

_ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip")
_ZIP_END = (1 << 16) + 22 + 20
_STAMP = ".archive_size"
_ABANDONED_AFTER_SECONDS = 24 * 3600
_TAR_OVERHEAD = 64 * 2**20
_COMPRESSIONS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open))
_LZMA = (b"\xfd7zXZ", b"\x5d\x00\x00")
_ENTRY_BYTES = 512  # of a zip's directory, on average: names are seldom longer
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    lzma.LZMAError,
    NotImplementedError,
    OverflowError,
    RecursionError,  # headers that only announce further headers
    ValueError,
)
_DEEPEST = 50  # folders: walking through more, and removing them, takes Python to its limits


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Tell by its name whether a path is an archive that `extract` reads."""
    return Path(path).name.lower().endswith(_ENDINGS)


def extract(
    archive: str | os.PathLike[str], *, max_bytes: int | None = None, max_files: int | None = None
) -> Path:
    """Unpack an archive into the folder `<archive>.extracted` beside it, or find that done already.

    The files are written to a temporary folder that gets its final name when it is complete, so an
    interruption never leaves half a data set behind and several processes may call this at once. Only
    plain files and folders below that folder are written; anything else makes the archive refused.

    Args:
        archive: a .tar, .tar.gz, .tgz or .zip file.
        max_bytes: refuse an archive whose files are larger together, whatever it says of their sizes; None
            for as much as the disk holds.
        max_files: refuse an archive with more entries, folders counted.

    Returns:
        The folder with the contents.

    Raises:
        DataError: the archive is missing, damaged, locked by a password, holds links or names that lead
            outside, does not fit on the disk or the limits, or is another one than the folder was made from.
    """
    archive = Path(archive)
    if not archive.is_file() or not is_archive(archive):
        raise DataError(f"{archive}: no such archive; expected a file ending in {', '.join(_ENDINGS)}")
    target = archive.with_name(f"{archive.name}.extracted")
    size = archive.stat().st_size
    if not target.exists():
        _extract_anew(archive, target, size, _Budget(archive, max_bytes, max_files))
    stamp = target / _STAMP
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != str(size):
        raise DataError(
            f"{target}: was not made from {archive.name} as it is now; remove that folder and try again"
        )
    return target


def find_inside(root: str | os.PathLike[str], wanted: str, archives: tuple[str, ...] = ()) -> Path:
    """Find a file or folder of a data set, as `look_inside` does, and insist on it.

    Raises:
        DataError: it is nowhere there, or an archive cannot be unpacked.
    """
    found = look_inside(root, wanted, archives)
    if found is None:
        hint = f" nor {' or '.join(archives)} to take it from" if archives else ""
        raise DataError(
            f"{root}: no {wanted} here or one folder below{hint}; give the data set's folder or archive"
        )
    return found


def look_inside(root: str | os.PathLike[str], wanted: str, archives: tuple[str, ...] = ()) -> Path | None:
    """Look for a file or folder of a data set, whichever way the user keeps the data set.

    Looks in the folder itself, then one level below, then in the archives lying in those places.

    Args:
        root: a folder, or the archive of the data set.
        wanted: the name to find, possibly with folders ("Eval/list_eval_partition.txt").
        archives: file names of archives that may hold it.

    Returns:
        The path of `wanted`, or None where it is not to be found.

    Raises:
        DataError: there is nothing at `root`, or an archive cannot be unpacked.
    """
    base = Path(root)
    if not base.exists():
        raise DataError(f"{base}: no such folder or archive")
    if base.is_file():
        base = extract(base)
    places = [base, *sorted(entry for entry in base.iterdir() if entry.is_dir() and _is_ordinary(entry.name))]
    for place in places:
        if _holds(place, wanted):
            return place / wanted
    for place in places:
        for archive in (place / name for name in archives):
            if archive.is_file():
                return find_inside(archive, wanted)
    return None


def _holds(place: Path, wanted: str) -> bool:
    # In-Shop keeps "img" inside "Img": a disk that ignores case must not mistake one for the other.
    first = Path(wanted).parts[0]
    return any(entry.name == first for entry in place.iterdir()) and (place / wanted).exists()


def _is_ordinary(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX" and not name.endswith(".extracted")


def _extract_anew(archive: Path, target: Path, size: int, budget: _Budget) -> None:
    _remove_abandoned(archive)
    _log.info("unpacking %s, once, to %s", archive, target)
    try:
        partial = Path(tempfile.mkdtemp(prefix=f"{archive.name}.partial-", dir=archive.parent))
    except OSError as error:
        raise DataError(
            f"{archive}: cannot write beside it ({error.strerror}); unpack it elsewhere and give that folder"
        ) from error
    try:
        if archive.name.lower().endswith(".zip"):
            _unpack_zip(archive, partial, budget)
        else:
            _unpack_tar(archive, partial, budget)
        (partial / _STAMP).write_text(str(size), encoding="ascii")
        partial.chmod(0o755)
        _publish(partial, target)
    except _DAMAGE as error:
        raise DataError(f"{archive}: damaged or incomplete ({_damage(error)}); get it again") from error
    except OSError as error:
        raise DataError(
            f"{archive}: cannot be unpacked ({_reason(error)}); mend that and try again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _damage(error: Exception) -> str:
    """What is wrong, without numbers and bytes of the file that tell nobody anything."""
    text = one_line(str(error), 100)
    if "CRC" in text:
        return "a checksum is wrong"
    if "differ" in text:
        return "its list of files and its content do not agree"
    if isinstance(error, RecursionError):
        return "its headers go round in circles"
    return text


def _reason(error: OSError) -> str:
    """The system's words, without the number and the places of this machine that it adds."""
    if error.errno == errno.ENAMETOOLONG:
        return "a name in it is longer than this disk allows"
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return "one name in it is both a file and a folder"
    return error.strerror or str(error)


def _publish(partial: Path, target: Path) -> None:
    try:
        partial.rename(target)
    except OSError:
        # Another process was faster; its folder is as good as ours.
        if not (target / _STAMP).is_file():
            raise


class _Budget:
    """What an archive may still unpack to.

    Args:
        archive: For the message.
        max_bytes: Of all files together; None for no limit.
        max_files: Entries; None for no limit.
    """

    def __init__(self, archive: Path, max_bytes: int | None, max_files: int | None) -> None:
        self.archive, self.max_bytes, self.max_files = archive, max_bytes, max_files
        self._bytes = self._files = 0

    @property
    def limited(self) -> bool:
        """Whether there is any limit: the archive is not trusted then."""
        return self.max_bytes is not None or self.max_files is not None

    def add(self, size: int) -> None:
        """Count one more entry of that size, before it is written."""
        self._bytes += size
        self._files += 1
        if self.max_files is not None and self._files > self.max_files:
            raise self.too_many()
        if self.max_bytes is not None and self._bytes > self.max_bytes:
            raise self.too_large()

    def too_many(self) -> DataError:
        """The error for an archive with too many entries."""
        return DataError(
            f"{self.archive}: refused, it has more than the {self.max_files:,} files allowed; "
            "raise that limit if you trust it"
        )

    def too_large(self) -> DataError:
        """The error for an archive that unpacks to too much."""
        return DataError(
            f"{self.archive}: refused, it unpacks to more than the {self.max_bytes:,} bytes allowed; "
            "raise that limit if you trust it"
        )


class _Bounded(io.RawIOBase):
    """A decompressed tar that ends in an error when it is longer than its files could explain.

    Sizes of entries are checked one by one; this bounds what is no file: headers, which are read into
    memory whole, entries without content, and padding without end.
    """

    def __init__(self, inner: IO[bytes], budget: _Budget, max_bytes: int) -> None:
        super().__init__()
        self._inner, self._budget = inner, budget
        self._most = 2 * max_bytes + _TAR_OVERHEAD

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > _TAR_OVERHEAD:
            raise ValueError(f"a header of {size:,} bytes")
        data = self._inner.read(size if size >= 0 else self._most + 1)
        return self._checked(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset > self._most:
            raise self._budget.too_large()
        return self._inner.seek(offset)

    def tell(self) -> int:
        return self._inner.tell()

    def _checked(self, data: bytes) -> bytes:
        if self._inner.tell() > self._most:
            raise self._budget.too_large()
        return data


@contextlib.contextmanager
def _open_tar(archive: Path, budget: _Budget) -> Iterator[tarfile.TarFile]:
    if not budget.limited:
        with tarfile.open(archive) as tar:
            yield tar
        return
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith(_LZMA):
        # What it unpacks to can be bounded, but not the memory that unpacking takes.
        raise DataError(f"{archive}: refused, it is packed with xz or lzma; pack it as .tar.gz")
    opened: Any = next((opener for magic, opener in _COMPRESSIONS if start.startswith(magic)), open)
    if budget.max_bytes is None:
        with opened(archive, "rb") as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            yield tar
        return
    with (
        opened(archive, "rb") as raw,
        tarfile.open(fileobj=cast("IO[bytes]", _Bounded(raw, budget, budget.max_bytes)), mode="r:") as tar,
    ):
        yield tar


def _unpack_tar(archive: Path, folder: Path, budget: _Budget) -> None:
    # One pass: listing a compressed archive first would decompress it twice.
    with _open_tar(archive, budget) as tar:
        for member in tar:
            _check_name(archive, member.name)
            if not (member.isreg() or member.isdir()):
                raise DataError(_not_plain(archive, member.name))
            budget.add(member.size if member.isreg() else 0)
            tar.extract(member, folder, filter="data")
        # Reading on to the very end makes the compression compare its checksum.
        while tar.fileobj is not None and tar.fileobj.read(1 << 20):
            pass
    _check_not_empty(archive, folder)


def _unpack_zip(archive: Path, folder: Path, budget: _Budget) -> None:
    if budget.max_files is not None:
        _check_directory(archive, budget, budget.max_files)
    with zipfile.ZipFile(archive) as zipped:
        members = zipped.infolist()
        for member in members:
            budget.add(member.file_size)
        needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
        if needed > free:
            raise DataError(f"{archive}: needs {needed:,} bytes but {free:,} are free beside it; make room")
        for member in members:
            _check_name(archive, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(_not_plain(archive, member.filename))
            if member.compress_type == zipfile.ZIP_LZMA and budget.limited:
                raise DataError(f"{archive}: refused, it is packed with lzma; pack it again without")
            if member.flag_bits & 1:
                raise DataError(f"{archive}: locked by a password; unpack it yourself and give that folder")
            # Never writes more than the size that was counted above, whatever the data would give.
            zipped.extract(member, folder)
    _check_not_empty(archive, folder)


def _check_directory(archive: Path, budget: _Budget, max_files: int) -> None:
    """Count a zip's entries on the disk: opening it makes objects of them all, however many.

    Raises:
        DataError: there are too many, or their names take more room than that many files need.
    """
    with archive.open("rb") as file:
        for end, size in _directories(file):
            if size > max_files * _ENTRY_BYTES:
                raise budget.too_many()
            file.seek(max(0, end - size))
            directory, place, entries = file.read(size), 0, 0
            while directory.startswith(b"PK\x01\x02", place) and place + 46 <= size:
                place += 46 + sum(struct.unpack_from("<3H", directory, place + 28))  # name, extra, comment
                entries += 1
                if entries > max_files:
                    raise budget.too_many()


def _directories(file: IO[bytes]) -> Iterator[tuple[int, int]]:
    """Where a zip's directory may end, and its size: what the records at the end of the file say.

    An archive of more than 4 GB or 65,535 entries has a larger record before the usual one.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _ZIP_END))
    tail = file.read()
    # As zipfile looks for it: right at the end, or else before the last comment.
    place = len(tail) - 22
    if not (place >= 0 and tail.startswith(b"PK\x05\x06", place) and tail.endswith(b"\0\0")):
        place = tail.rfind(b"PK\x05\x06", max(0, len(tail) - (1 << 16) - 22))
    if place < 0 or place + 22 > len(tail):
        return  # no zip: opening it says so
    end = size - len(tail) + place
    large = {}
    if place >= 20 and tail.startswith(b"PK\x06\x07", place - 20):
        (noted,) = struct.unpack_from("<Q", tail, place - 12)
        for start in {noted, end - 76}:
            if 0 <= start <= size - 56:
                file.seek(start)
                record = file.read(56)
                if record.startswith(b"PK\x06\x06"):
                    large[start] = int(struct.unpack_from("<Q", record, 40)[0])
    yield from large.items()
    if end - 76 not in large:  # a larger record elsewhere may be passed over
        yield end, int(struct.unpack_from("<L", tail, place + 12)[0])


def _check_name(archive: Path, name: str) -> None:
    if ".." in re.split(r"[/\\]", name) or name.startswith(("/", "\\")) or Path(name).is_absolute():
        raise DataError(
            f"{archive}: refused, its entry {_shown(name)} leads outside; get it from its publisher"
        )
    if len(re.split(r"[/\\]", name)) > _DEEPEST:
        raise DataError(
            f"{archive}: refused, its entry {_shown(name)} lies more than {_DEEPEST} folders deep; pack it "
            "again with fewer folders inside each other"
        )


def _not_plain(archive: Path, name: str) -> str:
    return f"{archive}: refused, its entry {_shown(name)} is a link or device; get it from its publisher"


def _shown(name: str) -> str:
    return repr(one_line(name, 100))


def _check_not_empty(archive: Path, folder: Path) -> None:
    if not any(folder.iterdir()):
        raise DataError(f"{archive}: nothing in this archive; get it again")


def _remove_abandoned(archive: Path) -> None:
    """Remove what a killed extraction left; a day's age says that no process is still writing there."""
    for leftover in archive.parent.glob(f"{_glob_escape(archive.name)}.partial-*"):
        with contextlib.suppress(OSError):  # another process has just finished with it, or it is not ours
            if time.time() - leftover.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)


def _glob_escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
