"""Segments: folders of consecutive rows, read through memory maps and written as a stream.

A segment's numbers (``vectors.npy``, ``gates.npy``, ``limits.npy``, ``digests.npy``) never change. Its
items (``items-MARK.jsonl``, ``offsets-MARK.npy``, ``classes-MARK.npy``) are written anew under another
mark when a name comes or goes; the manifest says which mark counts.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avsl_core.errors import GalleryError
from avsl_core.gallery.files import ArrayFile, sync_file, sync_folder, write_array
from avsl_core.gallery.manifest import SegmentEntry
from avsl_core.search.source import BLOCK_ROWS

__all__ = [
    "DIGEST_BYTES",
    "FileRef",
    "Record",
    "Segment",
    "SegmentWriter",
    "check_segment",
    "damaged",
    "describe_segment",
    "iterate_records",
    "load_array",
    "read_record",
    "write_items",
]

DIGEST_BYTES = 16


class FileRef(NamedTuple):
    """A file of a picture: root number, name below the root, size and time of change in ns."""

    root: int
    name: str
    size: int
    mtime: int


class Record(NamedTuple):
    """What a gallery notes of one picture: its files (equal in content, the first names it) and its size."""

    files: tuple[FileRef, ...]
    width: int
    height: int
    class_code: int

    def to_json(self) -> str:
        """One line."""
        return json.dumps([self.width, self.height, self.class_code, *(list(file) for file in self.files)])

    @classmethod
    def from_json(cls, line: bytes | str) -> "Record":
        """Read one line."""
        width, height, code, *files = json.loads(line)
        return cls(tuple(FileRef(*file) for file in files), width, height, code)


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment on disk; its arrays are mapped when first asked for, by :meth:`load`.

    Attributes:
        folder: Where it is.
        entry: What the manifest says of it.
        vectors: ``[n, D]`` as stored.
        gates: ``[n, G]`` as stored.
    """

    folder: Path
    entry: SegmentEntry
    vectors: NDArray[Any]
    gates: NDArray[Any]

    @classmethod
    def load(cls, folder: Path, entry: SegmentEntry) -> "Segment":
        """Map a segment's numbers.

        Raises:
            GalleryError: If a file is damaged or gone.
        """
        return cls(
            folder,
            entry,
            load_array(folder / "vectors.npy", entry.rows, mapped=True),
            load_array(folder / "gates.npy", entry.rows, mapped=True),
        )


def check_segment(folder: Path, entry: SegmentEntry) -> None:
    """Look whether a segment's files are there in full, without opening them.

    Raises:
        GalleryError: Naming the file that is not.
    """
    for name, expected in zip(entry.files, entry.sizes, strict=True):
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise damaged(path, "it is missing") from error
        if size != expected:
            raise damaged(path, f"it has {size:,} bytes instead of {expected:,}")


def describe_segment(folder: Path, rows: int, mark: str) -> SegmentEntry:
    """The manifest's entry for a segment that is finished on disk."""
    bare = SegmentEntry(folder.name, rows, mark, ())
    return replace(bare, sizes=tuple((folder / name).stat().st_size for name in bare.files))


def load_array(path: Path, rows: int | None = None, *, mapped: bool = False) -> NDArray[Any]:
    """Load or map an array.

    Raises:
        GalleryError: If it is damaged, gone, or has another number of rows.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, str(error)) from error
    if rows is not None and len(array) != rows:
        raise damaged(path, f"it has {len(array):,} rows instead of {rows:,}")
    return array


def read_record(folder: Path, mark: str, row: int) -> Record:
    """Read one item, without the others."""
    offsets = load_array(folder / f"offsets-{mark}.npy", mapped=True)
    path = folder / f"items-{mark}.jsonl"
    try:
        with path.open("rb") as file:
            file.seek(int(offsets[row]))
            return Record.from_json(file.read(int(offsets[row + 1] - offsets[row])))
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise damaged(path, str(error)) from error


def iterate_records(folder: Path, mark: str) -> Iterator[Record]:
    """All items in order, one at a time."""
    path = folder / f"items-{mark}.jsonl"
    try:
        with path.open("rb") as file:
            for line in file:
                yield Record.from_json(line)
    except (OSError, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from error


def write_items(folder: Path, mark: str, records: Iterable[Record], rows: int) -> None:
    """Write a segment's items under a mark, and bring them to the disk."""
    offsets = np.zeros(rows + 1, np.int64)
    codes = np.full(rows, -1, np.int32)
    with (folder / f"items-{mark}.jsonl").open("wb") as file:
        for row, record in enumerate(records):
            line = record.to_json().encode("ascii") + b"\n"
            file.write(line)
            offsets[row + 1] = offsets[row] + len(line)
            codes[row] = record.class_code
        sync_file(file)
    write_array(folder / f"offsets-{mark}.npy", offsets)
    write_array(folder / f"classes-{mark}.npy", codes)
    sync_folder(folder)


class SegmentWriter:
    """Writes the numbers of a segment as a stream.

    Args:
        folder: An empty or new folder.
        rows: How many rows will come.
        dimensions: D.
        gates: G.
        dtype: Of vectors and gates on disk.
    """

    def __init__(self, folder: Path, rows: int, dimensions: int, gates: int, dtype: np.dtype[Any]) -> None:
        folder.mkdir(parents=True)
        self._folder, self._rows, self._written = folder, rows, 0
        self._vectors = ArrayFile(folder / "vectors.npy", dtype, (rows, dimensions))
        self._gates = ArrayFile(folder / "gates.npy", dtype, (rows, gates))
        self._digests = ArrayFile(folder / "digests.npy", np.uint8, (rows, DIGEST_BYTES))
        self._dtype = dtype
        blocks = -(-rows // BLOCK_ROWS)
        self._limits = np.empty((blocks, 2, gates), np.float32)
        self._limits[:, 0], self._limits[:, 1] = np.inf, -np.inf

    def append(self, vectors: NDArray[Any], gates: NDArray[Any], digests: NDArray[np.uint8]) -> None:
        """Write the next rows, ``[n, D]``, ``[n, G]`` and ``[n, 16]``."""
        gates = gates.astype(self._dtype, copy=False)
        self._vectors.append(vectors)
        self._gates.append(gates)
        self._digests.append(digests)
        for block, start, stop in _cut(self._written, len(vectors)):
            low, high = self._limits[block]
            part = gates[start:stop].astype(np.float32)
            np.minimum(low, part.min(axis=0), out=low)
            np.maximum(high, part.max(axis=0), out=high)
        self._written += len(vectors)

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._written != self._rows:
            raise GalleryError(f"{self._folder}: {self._written} rows came, not {self._rows}; report this")
        for file in (self._vectors, self._gates, self._digests):
            file.close()
        write_array(self._folder / "limits.npy", self._limits)
        sync_folder(self._folder)


def _cut(first: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Divide ``count`` rows from row ``first`` on among blocks: (block, start, stop) within the rows."""
    start = 0
    while start < count:
        block, inside = divmod(first + start, BLOCK_ROWS)
        stop = min(count, start + BLOCK_ROWS - inside)
        yield block, start, stop
        start = stop


def damaged(path: Path, reason: str) -> GalleryError:
    """The error for a file that does not hold what the manifest says."""
    return GalleryError(
        f"{path}: damaged ({' '.join(reason.split())}); index the pictures again into a new folder, "
        "or bring back a copy"
    )
