"""The next state of a gallery, in terms of rows and names, before anything is written."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avsl_core.errors import GalleryError
from avsl_core.gallery.chunks import Chunk
from avsl_core.gallery.manifest import Manifest, Root, root_paths
from avsl_core.gallery.plan import Holdings
from avsl_core.gallery.segment import FileRef, Record
from avsl_core.gallery.sources import FileEntry
from avsl_core.gallery.store import Gallery

__all__ = ["Draft", "NewRows"]


@dataclass(frozen=True, eq=False)
class NewRows:
    """The rows of a chunk that enter the gallery.

    Attributes:
        folder: Of the chunk.
        rows: Rows of the chunk in all.
        kept: Those that enter, ascending; the others equal an earlier picture.
        first: Number of the first among all new rows.
    """

    folder: Path
    rows: int
    kept: NDArray[np.int64]
    first: int


@dataclass(eq=False)
class Draft:
    """Changes to a gallery, gathered one file at a time.

    Attributes:
        gallery: As it is now, or None.
        holdings: What it holds.
        roots: Absolute; those of the gallery first, then new ones.
        classes: Numbers of class names.
        edited: Rows whose files change, with their files from now on.
        new: Rows to come, chunk by chunk.
        copies: Further files of new rows.
        added: New pictures.
        refreshed: Files whose content the gallery had under that name, or under one that is gone.
        duplicates: (name, name that it equals).
        skipped: (name, why).
    """

    gallery: Gallery | None
    holdings: Holdings
    roots: list[Root] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    edited: dict[int, list[FileRef]] = field(default_factory=dict)
    new: list[NewRows] = field(default_factory=list)
    copies: dict[int, list[FileRef]] = field(default_factory=dict)
    added: int = 0
    refreshed: int = 0
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._root_numbers: dict[tuple[str, bool], int] = {}
        self._new_names: list[str] = []
        self._holders = self.holdings.digests  # new rows from -1 downwards
        if self.gallery is not None:
            self.roots = known_roots(self.gallery.path, self.gallery.manifest)
            self.classes = {name: number for number, name in enumerate(self.gallery.classes)}
        for number, root in enumerate(self.roots):
            self._root_numbers[root.path, root.classes] = number

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.new or self.edited)

    @property
    def removed(self) -> list[int]:
        """Rows that have lost their last file."""
        return [row for row, files in self.edited.items() if not files]

    def remove(self, paths: Iterable[str]) -> None:
        """Take files away; unknown ones are passed over."""
        for path in paths:
            held = self.holdings.files.get(path)
            if held is not None:
                self._detach(held[0], path)

    def remove_name(self, row: int, name: str) -> None:
        """Take one file of a row away, or with a digest for a name all of them."""
        files = self._files(row)
        path = os.path.abspath(name)  # noqa: PTH100 - without following links
        named = [file for file in files if name == file.name or path == self._path(file)]
        if named:
            files.remove(named[0])
        elif re.fullmatch("[0-9a-f]{32}", name):
            files.clear()

    def add(self, chunk: Chunk, *, prune: bool = False) -> None:
        """Take in what became of a chunk's files; chunks come in the order of the source.

        Args:
            chunk: The next one.
            prune: Let go of the old content of a file that changed and cannot be read any more.
        """
        digests = chunk.digests()
        kept, first = [], len(self._new_names)
        for entry, outcome, row in chunk.files():
            if outcome.kind == "bad":
                self.skipped.append((entry.name, outcome.text))
                if prune:
                    self.remove([entry.path])
                continue
            digest = digests[row] if row >= 0 else bytes.fromhex(outcome.text)
            held = self.holdings.files.get(entry.path)
            holder = self._holders.get(digest)
            if holder is not None:
                self._attach(holder, entry, None if held is None else held[0])
                continue
            if row < 0:
                raise GalleryError(f"{chunk.folder}: refers to a picture that is gone; remove that folder")
            if held is not None:
                self._detach(held[0], entry.path)
            self._new_names.append(entry.name)
            self._holders[digest] = -len(self._new_names)
            self._class_number(entry.class_name)
            self.root_number(entry)
            kept.append(row)
            self.added += 1
        if kept:
            self.new.append(NewRows(chunk.folder, chunk.rows, np.array(kept, np.int64), first))

    def new_records(self, chunk: Chunk, rows: NewRows) -> Iterator[Record]:
        """Records of the rows of a chunk that enter, in order."""
        kept = set(rows.kept.tolist())
        number = rows.first
        for entry, outcome, row in chunk.files():
            if row in kept:
                files = (self.reference(entry), *self.copies.get(number, ()))
                yield Record(files, outcome.width, outcome.height, self._class_number(entry.class_name))
                number += 1

    def old_record(self, row: int, record: Record) -> Record:
        """The record of a row that is there already, as it is from now on."""
        files = self.edited.get(row)
        if not files:
            return record
        first = files[0]
        name = FileEntry("", first.name, self.roots[first.root].classes, 0, 0).class_name
        return record._replace(files=tuple(files), class_code=self._class_number(name))

    def reference(self, entry: FileEntry) -> FileRef:
        """How a file is noted."""
        return FileRef(self.root_number(entry), entry.name, entry.size, entry.mtime)

    def root_number(self, entry: FileEntry) -> int:
        """The number of a file's root, which is noted when it is new."""
        key = (entry.root, entry.classes)
        if key not in self._root_numbers:
            self._root_numbers[key] = len(self.roots)
            self.roots.append(Root(entry.root, entry.classes))
        return self._root_numbers[key]

    def _class_number(self, name: str | None) -> int:
        return -1 if name is None else self.classes.setdefault(name, len(self.classes))

    def _attach(self, holder: int, entry: FileEntry, held: int | None) -> None:
        if holder < 0:
            if held is not None:
                self._detach(held, entry.path)
            self.copies.setdefault(-holder - 1, []).append(self.reference(entry))
            self.duplicates.append((entry.name, self._new_names[-holder - 1]))
            return
        if held is not None and held != holder:
            self._detach(held, entry.path)
        files = self._files(holder)
        reference = self.reference(entry)
        for place, file in enumerate(files):
            if self._path(file) == entry.path:
                files[place] = reference
                self.refreshed += 1
                return
        if files:
            self.duplicates.append((entry.name, files[0].name))
        else:
            self.refreshed += 1  # moved: its other names are gone
        files.append(reference)

    def _detach(self, row: int, path: str) -> None:
        files = self._files(row)
        files[:] = [file for file in files if self._path(file) != path]

    def _files(self, row: int) -> list[FileRef]:
        """A row's files, from now on to be written anew."""
        if row not in self.edited:
            assert self.gallery is not None  # rows of its own
            self.edited[row] = list(self.gallery.record(row).files)
        return self.edited[row]

    def _path(self, file: FileRef) -> str:
        return f"{self.roots[file.root].path.rstrip('/')}/{file.name}"


def known_roots(folder: Path, manifest: Manifest) -> list[Root]:
    """A gallery's roots, absolute."""
    paths: Sequence[str] = root_paths(folder, manifest)
    return [Root(path, root.classes) for path, root in zip(paths, manifest.roots, strict=True)]
