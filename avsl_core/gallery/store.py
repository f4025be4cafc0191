"""A gallery on disk, as search and the app read it: rows through memory maps, items one at a time."""

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.checkpoint import Checkpoint
from avsl_core.errors import GalleryError
from avsl_core.gallery.files import absolute_path
from avsl_core.gallery.finding import NameIndex
from avsl_core.gallery.manifest import MANIFEST, Manifest, StorageType, read_manifest, root_paths
from avsl_core.gallery.segment import (
    DIGEST_BYTES,
    Record,
    Segment,
    check_segment,
    damaged,
    iterate_records,
    load_array,
    read_record,
)
from avsl_core.gallery.stamp import CheckpointStamp, stamp_of
from avsl_core.models import Rows
from avsl_core.search.source import BLOCK_ROWS, Block

__all__ = ["Gallery", "Item", "thumbnail_path"]

_MAPPED = 128  # segments mapped at once: each takes two open files, and a process has few
_ATTEMPTS = 5


@dataclass(frozen=True)
class Item:
    """One picture of a gallery.

    Attributes:
        row: Its number.
        path: The file, absolute.
        name: The file's path below the folder it was indexed from, with ``/``.
        class_name: The folder that stands for its class, or None.
        digest: Of the file's content, 32 hexadecimal digits.
        copies: Names of further files with the same content.
        width: Pixels per row, as seen upright.
        height: Number of rows.
    """

    row: int
    path: Path
    name: str
    class_name: str | None
    digest: str
    copies: tuple[str, ...]
    width: int
    height: int


class Gallery:
    """A finished gallery; opened with :meth:`open`. Stays as it was opened while others change the folder.

    Implements :class:`avsl_core.search.source.RowSource`. Any number of threads may read.

    Args:
        path: The gallery's folder.
        manifest: What it holds.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._starts = np.cumsum([0, *(segment.rows for segment in manifest.segments)])
        self._mapped: OrderedDict[int, Segment] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | Path, *, checkpoint: Checkpoint | None = None) -> Self:
        """Open a gallery. Reads the manifest and looks at sizes of files: quick at any size.

        Args:
            path: The gallery's folder.
            checkpoint: Refuse a gallery that another one made.

        Raises:
            GalleryError: If it is missing, damaged, unfinished, or was made by another checkpoint.
        """
        folder = Path(absolute_path(path))
        manifest = _required_manifest(folder)
        for attempt in range(_ATTEMPTS):
            try:
                cls._check_files(folder, manifest)
                break
            except GalleryError:
                # A writer may have replaced the state that we were looking at.
                current = _required_manifest(folder)
                if current.generation == manifest.generation or attempt == _ATTEMPTS - 1:
                    raise
                manifest = current
        gallery = cls(folder, manifest)
        if checkpoint is not None:
            gallery.check(checkpoint)
        return gallery

    @staticmethod
    def _check_files(folder: Path, manifest: Manifest) -> None:
        for segment in manifest.segments:
            check_segment(folder / "segments" / segment.id, segment)
        for name in (manifest.removed, manifest.map.file if manifest.map else None):
            if name is not None and not (folder / name).is_file():
                raise damaged(folder / name, "it is missing")

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def generation(self) -> str:
        """Changes with every change of the gallery."""
        return self.manifest.generation

    @property
    def count(self) -> int:
        """Pictures, those removed not counted."""
        return self.manifest.count

    @property
    def stamp(self) -> CheckpointStamp:
        """The checkpoint that made the rows."""
        return self.manifest.checkpoint

    @property
    def dtype(self) -> StorageType:
        """Number type on disk."""
        return self.manifest.dtype

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; :attr:`class_codes` counts in them."""
        return self.manifest.classes

    def check(self, checkpoint: Checkpoint) -> None:
        """Refuse a checkpoint other than the one that made the rows.

        Raises:
            GalleryError: Naming both, and saying what to do.
        """
        self.stamp.check(stamp_of(checkpoint), self.path)

    @cached_property
    def live(self) -> Tensor | None:
        """Which rows have not been removed, ``[N]`` bool; None if all."""
        if self.manifest.removed is None:
            return None
        removed = self._load(self.path / self.manifest.removed, len(self))
        return torch.from_numpy(~removed.astype(bool))

    def blocks(self) -> Sequence[Block]:
        """All rows in order, in blocks of at most ``BLOCK_ROWS``; none spans two segments."""
        return self._blocks

    @cached_property
    def _blocks(self) -> list[Block]:
        blocks = []
        for number, entry in enumerate(self.manifest.segments):
            limits = torch.from_numpy(self._load(self.segment_folder(number) / "limits.npy"))
            first = int(self._starts[number])
            blocks += [
                Block(first + start, first + min(start + BLOCK_ROWS, entry.rows), low, high)
                for start, (low, high) in zip(range(0, entry.rows, BLOCK_ROWS), limits, strict=True)
            ]
        return blocks

    def read(self, start: int, stop: int) -> Rows:
        """Consecutive rows, float32."""
        start, stop, _ = slice(start, stop).indices(len(self))
        parts = [self._empty()]
        while start < stop:
            number = int(np.searchsorted(self._starts, start, side="right")) - 1
            first = int(self._starts[number])
            end = min(stop, int(self._starts[number + 1]))
            segment = self._segment(number)
            inside = slice(start - first, end - first)
            parts.append(_rows(segment.vectors[inside], segment.gates[inside]))
            start = end
        return parts[1] if len(parts) == 2 else Rows.concatenate(parts)

    def gather(self, rows: Tensor) -> Rows:
        """Rows by number, ``[B]`` int64, in the order asked for; float32.

        Raises:
            IndexError: If there is no such row.
        """
        wanted = rows.cpu().numpy()
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"a row outside 0 to {len(self) - 1}")
        # In the order on disk, segment by segment: reading ahead then helps.
        order = np.argsort(wanted, kind="stable")
        ordered = wanted[order]
        edges = np.searchsorted(ordered, self._starts)
        vectors = np.empty((len(wanted), self.stamp.dimensions), np.float32)
        gates = np.empty((len(wanted), self.stamp.gates), np.float32)
        for number, (start, stop) in enumerate(pairwise(edges)):
            if start < stop:
                segment, inside = self._segment(number), ordered[start:stop] - self._starts[number]
                vectors[order[start:stop]] = segment.vectors[inside]
                gates[order[start:stop]] = segment.gates[inside]
        return Rows(torch.from_numpy(vectors), torch.from_numpy(gates))

    def item(self, row: int) -> Item:
        """What is known of a picture.

        Raises:
            IndexError: If there is no such row, or it was removed.
            GalleryError: If its entry is damaged.
        """
        record = self.record(row)
        if not record.files or (self.live is not None and not self.live[row]):
            raise IndexError(f"row {row} was removed")
        first, *others = record.files
        return Item(
            row=row,
            path=Path(self.roots[first.root]) / first.name,
            name=first.name,
            class_name=self.classes[record.class_code] if record.class_code >= 0 else None,
            digest=self.digests[row].tobytes().hex(),
            copies=tuple(file.name for file in others),
            width=record.width,
            height=record.height,
        )

    @cached_property
    def class_codes(self) -> NDArray[np.int32]:
        """Each row's class as a number in :attr:`classes`, ``[N]``; -1 for none."""
        parts = [
            self._load(self.segment_folder(number) / f"classes-{entry.items}.npy", entry.rows)
            for number, entry in enumerate(self.manifest.segments)
        ]
        return np.concatenate([np.empty(0, np.int32), *parts])

    @cached_property
    def digests(self) -> NDArray[np.uint8]:
        """Each row's digest, ``[N, 16]``."""
        parts = [
            self._load(self.segment_folder(number) / "digests.npy", entry.rows)
            for number, entry in enumerate(self.manifest.segments)
        ]
        return np.concatenate([np.empty((0, DIGEST_BYTES), np.uint8), *parts])

    @cached_property
    def coordinates(self) -> NDArray[np.float32] | None:
        """Where each picture is on the map of the gallery, ``[N, 2]`` in [0, 1]; None without a map."""
        if self.manifest.map is None:
            return None
        return self._load(self.path / self.manifest.map.file, len(self)).astype(np.float32, copy=False)

    def thumbnail(self, row: int) -> Path:
        """The small WebP picture that was made when the row was.

        Raises:
            IndexError: If there is no such row.
        """
        self._place(row)
        return thumbnail_path(self.path, self.digests[row].tobytes().hex())

    def find(self, key: str | Path) -> int | None:
        """The row of a picture by its name, its path or its digest; None if it is not here.

        The first call with a name reads all names.
        """
        text = str(key)
        if re.fullmatch("[0-9a-f]{32}", text):
            same = np.flatnonzero((self.digests == np.frombuffer(bytes.fromhex(text), np.uint8)).all(axis=1))
            rows = [int(row) for row in same if self.live is None or self.live[int(row)]]
            if rows:
                return rows[0]
        return self._names.find(text)

    @cached_property
    def _names(self) -> NameIndex:
        return NameIndex(self.roots, self.records(), self.live)

    def record(self, row: int) -> Record:
        """What is noted of one row.

        Raises:
            IndexError: If there is no such row.
            GalleryError: If its entry is damaged.
        """
        number, inside = self._place(row)
        with self._reading():
            items = self.manifest.segments[number].items
            return self._checked(number, read_record(self.segment_folder(number), items, inside))

    def records(self) -> Iterator[Record]:
        """What is noted of each row, in order, read from the disk as it is asked for."""
        for number, entry in enumerate(self.manifest.segments):
            with self._reading():
                for record in iterate_records(self.segment_folder(number), entry.items):
                    yield self._checked(number, record)

    def _checked(self, number: int, record: Record) -> Record:
        """A record whose numbers of roots and classes are there."""
        roots = len(self.manifest.roots)
        try:
            fine = -1 <= record.class_code < len(self.classes)
            fine = fine and all(0 <= file.root < roots for file in record.files)
        except TypeError:
            fine = False
        if not fine:
            items = f"items-{self.manifest.segments[number].items}.jsonl"
            raise damaged(self.segment_folder(number) / items, "a root or class that is not there")
        return record

    def _place(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} outside 0 to {len(self) - 1}")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return number, row - int(self._starts[number])

    @cached_property
    def roots(self) -> list[str]:
        """Folders that the pictures come from, absolute."""
        return root_paths(self.path, self.manifest)

    def segment_folder(self, number: int) -> Path:
        """The folder of a segment."""
        return self.path / "segments" / self.manifest.segments[number].id

    def _segment(self, number: int) -> Segment:
        with self._lock:
            segment = self._mapped.get(number)
            if segment is None:
                with self._reading():
                    segment = Segment.load(self.segment_folder(number), self.manifest.segments[number])
                self._mapped[number] = segment
                if len(self._mapped) > _MAPPED:
                    self._mapped.popitem(last=False)
            self._mapped.move_to_end(number)
            return segment

    def _load(self, path: Path, rows: int | None = None) -> NDArray[Any]:
        with self._reading():
            return load_array(path, rows)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Tell damage from a change: files of an old state go when a writer has written the next."""
        try:
            yield
        except GalleryError as error:
            current = read_manifest(self.path)
            if current is None or current.generation != self.generation:
                raise GalleryError(f"{self.path}: was changed since it was opened; open it again") from error
            raise

    def _empty(self) -> Rows:
        return Rows(torch.empty(0, self.stamp.dimensions), torch.empty(0, self.stamp.gates))


def thumbnail_path(gallery: Path, digest: str) -> Path:
    """Where a gallery keeps the thumbnail of a content."""
    return gallery / "thumbnails" / digest[:2] / f"{digest}.webp"


def _required_manifest(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest is not None:
        return manifest
    if (folder / "pending").is_dir():
        raise GalleryError(
            f"{folder}: unfinished; run the same `index` command again, it goes on where it stopped"
        )
    if not folder.exists():
        raise GalleryError(f"{folder}: no such gallery; make one with `index`")
    raise GalleryError(f"{folder}: not a gallery (it has no {MANIFEST}); give a folder that `index` made")


def _rows(vectors: NDArray[np.number[Any]], gates: NDArray[np.number[Any]]) -> Rows:
    # Copied: the map is read-only, and stays what it is while the rows are worked on.
    return Rows(
        torch.from_numpy(np.array(vectors, np.float32)), torch.from_numpy(np.array(gates, np.float32))
    )
