"""Writing so that a crash or a full disk leaves whole files or none."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from avsl_core.errors import GalleryError

__all__ = [
    "ArrayFile",
    "absolute_path",
    "locked",
    "publish",
    "remove_quietly",
    "sync_file",
    "sync_folder",
    "typed_errors",
    "write_array",
    "write_json",
]

_LOCK = "lock"


class ArrayFile:
    """An ``.npy`` file of known shape that is written row by row, through a plain file.

    A memory map would end the process by a signal when the disk is full; a file raises an error.

    Args:
        path: The file.
        dtype: Of its numbers.
        shape: Rows first.
    """

    def __init__(self, path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
        self._dtype = np.dtype(dtype)
        self._file: IO[bytes] = path.open("wb")
        description = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(self._file, description)

    def append(self, rows: NDArray[Any]) -> None:
        """Write the next rows."""
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data.cast("B") if rows.size else b"")

    def close(self) -> None:
        """Bring everything to the disk."""
        sync_file(self._file)
        self._file.close()


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write one array and bring it to the disk."""
    file = ArrayFile(path, array.dtype, array.shape)
    file.append(array)
    file.close()


def write_json(path: Path, value: Any) -> None:
    """Write one JSON file; it appears whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="ascii") as file:
        json.dump(value, file)
        sync_file(file)
    publish(temporary, path)


def publish(temporary: Path, final: Path) -> None:
    """Give a finished file or folder its name, for good."""
    temporary.replace(final)
    sync_folder(final.parent)


def absolute_path(path: str | os.PathLike[str]) -> str:
    """Absolute without following links; ".." is taken away where that leads to the same place."""
    absolute = Path(path).absolute()
    plain = os.path.normpath(absolute)
    if ".." in absolute.parts and os.path.realpath(plain) != os.path.realpath(absolute):
        return str(absolute)
    return plain


def sync_file(file: IO[Any]) -> None:
    """Bring an open file's content to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_quietly(path: Path) -> None:
    """Remove a file or folder that nobody needs; what cannot be removed now is removed another time."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Be the only process that changes a gallery; yields the lock's descriptor.

    The system lets go of the lock when the process ends, however it ends.

    Raises:
        GalleryError: If another process is at it.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GalleryError(
                f"{folder}: is being changed by another process; wait until that one has ended"
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def typed_errors(folder: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into an error that says what to do.

    Raises:
        GalleryError: For any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"{folder}: could not be written ({error.strerror or error}); free some space or mend that, then "
            "run the same again: it goes on where it stopped, and the gallery is as it was before"
        ) from error
