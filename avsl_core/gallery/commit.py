"""From a draft to the next state on disk: new files first, then the manifest, then the old files go."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsl_core.gallery.chunks import CHUNK_FILE, read_chunk
from avsl_core.gallery.draft import Draft, NewRows
from avsl_core.gallery.files import publish, remove_quietly, sync_folder, write_array
from avsl_core.gallery.layout import Piece, choose_rewritten, merge_pieces
from avsl_core.gallery.manifest import (
    Manifest,
    MapEntry,
    Root,
    SegmentEntry,
    next_generation,
    store_root,
    write_manifest,
)
from avsl_core.gallery.map import choose_method, map_coordinates
from avsl_core.gallery.options import MapMethod
from avsl_core.gallery.segment import Record, describe_segment, iterate_records, write_items
from avsl_core.gallery.store import Gallery, thumbnail_path
from avsl_core.gallery.thumbnails import sweep_thumbnails
from avsl_core.models import Measure

__all__ = ["clean", "clean_pending", "commit", "pending_names", "recover"]

_OWN_FOLDER = re.compile(r"(\.tmp-)?[0-9a-f]{16}")
_STATE_FILE = re.compile(r"(removed|map)-\d+-[0-9a-f]+\.npy")


def commit(
    folder: Path,
    draft: Draft,
    base: Manifest,
    *,
    segment_rows: int,
    move: bool = False,
    layout: tuple[MapMethod, Measure] | None = None,
    keep: Collection[str] = (),
) -> Manifest:
    """Write a gallery's next state and make it the current one.

    Args:
        folder: The gallery's folder.
        draft: The changes.
        base: The manifest to go on from; one without segments for a new gallery.
        segment_rows: Most rows of a segment.
        move: Take chunks over as segments, by renaming, instead of merging them into large ones.
        layout: How to make the map; None carries the old one over.
        keep: Pending chunks that are not to be removed.

    Returns:
        The new manifest.

    Raises:
        OSError: If the disk is full; the old state is then still the current one.
    """
    generation = next_generation(base.generation)
    writer = _Writer(folder, draft, base, generation, segment_rows)
    writer.write(move)
    removed = np.concatenate([np.empty(0, bool), *writer.removed])
    origin = np.concatenate([np.empty(0, np.int64), *writer.origin])
    removed_file = None
    if removed.any():
        removed_file = f"removed-{generation}.npy"
        write_array(folder / removed_file, removed)
    manifest = replace(
        base,
        generation=generation,
        roots=tuple(Root(store_root(folder, root.path), root.classes) for root in draft.roots),
        classes=tuple(draft.classes),
        segments=tuple(writer.entries),
        count=int(len(removed) - removed.sum()),
        removed=removed_file,
        map=None,
    )
    manifest = replace(manifest, map=_write_map(folder, manifest, base, draft.gallery, origin, layout))
    dropped = _dropped_digests(draft)
    sync_folder(folder)  # what the manifest names must be on the disk before it is
    write_manifest(folder, manifest)
    clean(folder, manifest, keep=keep)
    for digest in dropped:
        remove_quietly(thumbnail_path(folder, digest))
    if dropped and removed_file is None and not keep:
        sweep_thumbnails(Gallery(folder, manifest))
    return manifest


def recover(folder: Path, manifest: Manifest | None) -> None:
    """Tidy up after a writer that was ended: chunks it had moved already are pending again."""
    used = {segment.id for segment in manifest.segments} if manifest is not None else set()
    for segment in _own(folder / "segments"):
        if segment.name in used:
            continue
        if (segment / CHUNK_FILE).is_file() and not segment.name.startswith("."):
            (folder / "pending").mkdir(exist_ok=True)
            publish(segment, folder / "pending" / segment.name)
        else:
            remove_quietly(segment)
    for chunk in _own(folder / "pending"):
        if chunk.name.startswith("."):
            remove_quietly(chunk)


def clean(folder: Path, manifest: Manifest, *, keep: Collection[str] = ()) -> None:
    """Remove what the current state does not use, and nothing that is not a gallery's own.

    Args:
        folder: The gallery's folder.
        manifest: The current state.
        keep: Pending chunks that another build will want.
    """
    used = {segment.id: set(segment.files) for segment in manifest.segments}
    for segment in _own(folder / "segments"):
        if segment.name not in used:
            remove_quietly(segment)
            continue
        for file in segment.iterdir():
            if file.name not in used[segment.name]:
                remove_quietly(file)
    current = {manifest.removed, manifest.map.file if manifest.map else None}
    for file in folder.iterdir():
        if _STATE_FILE.fullmatch(file.name) and file.name not in current:
            remove_quietly(file)
    clean_pending(folder, keep=keep)


def clean_pending(folder: Path, *, keep: Collection[str] = ()) -> None:
    """Remove pending chunks but those to keep, and ``pending/`` itself when that leaves it empty."""
    for chunk in _own(folder / "pending"):
        if chunk.name not in keep:
            remove_quietly(chunk)
    with suppress(OSError):
        (folder / "pending").rmdir()


def pending_names(folder: Path) -> set[str]:
    """Names of all pending chunks."""
    return {chunk.name for chunk in _own(folder / "pending")}


def _own(folder: Path) -> list[Path]:
    """The segments or chunks in a folder; what has another name is not a gallery's."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if _OWN_FOLDER.fullmatch(entry.name))


class _Writer:
    """Writes segments in the order of rows, and keeps account of what became of each row."""

    def __init__(
        self, folder: Path, draft: Draft, base: Manifest, generation: str, segment_rows: int
    ) -> None:
        self._folder, self._draft, self._base = folder, draft, base
        self._mark, self._segment_rows = generation, segment_rows
        self._gone = np.zeros(base.rows, bool)
        if draft.gallery is not None and draft.gallery.live is not None:
            self._gone |= ~draft.gallery.live.numpy()
        self._gone[draft.removed] = True
        self._edited = np.array(sorted(draft.edited), np.int64)
        self._starts = np.cumsum([0, *(segment.rows for segment in base.segments)])
        self.entries: list[SegmentEntry] = []
        self.removed: list[NDArray[np.bool_]] = []
        self.origin: list[NDArray[np.int64]] = []  # row of the old state; -1 for a new one
        self._waiting: list[Piece] = []
        self._waiting_origin: list[NDArray[np.int64]] = []

    def write(self, move: bool) -> None:
        (self._folder / "segments").mkdir(exist_ok=True)
        new = sum(len(rows.kept) for rows in self._draft.new)
        gone = [int(self._gone[self._rows(number)].sum()) for number in range(len(self._base.segments))]
        rewritten = choose_rewritten(
            [segment.rows for segment in self._base.segments], gone, 0 if move else new, self._segment_rows
        )
        for number, rewrite in enumerate(rewritten):
            if rewrite:
                self._wait_old(number)
            else:
                self._keep(number)
        for rows in self._draft.new:
            if move:
                self._move(rows)
            else:
                self._waiting.append(Piece(rows.folder, rows.kept, _new_records(self._draft, rows)))
                self._waiting_origin.append(np.full(len(rows.kept), -1))
        self._merge()

    def _rows(self, number: int) -> slice:
        return slice(int(self._starts[number]), int(self._starts[number + 1]))

    def _keep(self, number: int) -> None:
        self._merge()
        entry, rows = self._base.segments[number], self._rows(number)
        first, last = np.searchsorted(self._edited, [rows.start, rows.stop])
        if first < last:
            folder = self._folder / "segments" / entry.id
            write_items(folder, self._mark, self._old_records(number), entry.rows)
            entry = describe_segment(folder, entry.rows, self._mark)
        self._note(entry, self._gone[rows], np.arange(rows.start, rows.stop))

    def _wait_old(self, number: int) -> None:
        rows = self._rows(number)
        kept = np.flatnonzero(~self._gone[rows])
        records = zip(self._old_records(number), self._gone[rows], strict=True)
        chosen = (record for record, gone in records if not gone)
        self._waiting.append(Piece(self._folder / "segments" / self._base.segments[number].id, kept, chosen))
        self._waiting_origin.append(kept + rows.start)

    def _move(self, rows: NewRows) -> None:
        self._merge()
        folder = self._folder / "segments" / rows.folder.name
        publish(rows.folder, folder)
        gone = np.ones(rows.rows, bool)
        gone[rows.kept] = False
        records = _spread(_new_records(self._draft, replace(rows, folder=folder)), gone)
        write_items(folder, self._mark, records, rows.rows)
        self._note(describe_segment(folder, rows.rows, self._mark), gone, np.full(rows.rows, -1))

    def _merge(self) -> None:
        """Write what waits, and let go of it."""
        stamp = self._base.checkpoint
        written = merge_pieces(
            self._folder / "segments",
            self._waiting,
            mark=self._mark,
            dimensions=stamp.dimensions,
            gates=stamp.gates,
            dtype=np.dtype(np.float16 if self._base.dtype == "fp16" else np.float32),
            segment_rows=self._segment_rows,
        )
        for folder, rows in written:
            self.entries.append(describe_segment(folder, rows, self._mark))
            self.removed.append(np.zeros(rows, bool))
        self.origin += self._waiting_origin
        self._waiting, self._waiting_origin = [], []

    def _note(self, entry: SegmentEntry, removed: NDArray[np.bool_], origin: NDArray[np.int64]) -> None:
        self.entries.append(entry)
        self.removed.append(removed)
        self.origin.append(origin)

    def _old_records(self, number: int) -> Iterator[Record]:
        entry = self._base.segments[number]
        records = iterate_records(self._folder / "segments" / entry.id, entry.items)
        for row, record in enumerate(records, start=int(self._starts[number])):
            yield self._draft.old_record(row, record)


def _new_records(draft: Draft, rows: NewRows) -> Iterator[Record]:
    yield from draft.new_records(read_chunk(rows.folder), rows)


def _spread(records: Iterator[Record], gone: Sequence[Any] | NDArray[np.bool_]) -> Iterator[Record]:
    """Records for all rows of a chunk; those that do not count get an empty one."""
    nothing = Record((), 0, 0, -1)
    for missing in gone:
        yield nothing if missing else next(records)


def _dropped_digests(draft: Draft) -> list[str]:
    if draft.gallery is None:
        return []
    return [draft.gallery.digests[row].tobytes().hex() for row in draft.removed]


def _write_map(
    folder: Path,
    manifest: Manifest,
    base: Manifest,
    old: Gallery | None,
    origin: NDArray[np.int64],
    layout: tuple[MapMethod, Measure] | None,
) -> MapEntry | None:
    if layout is None:
        if old is None or old.coordinates is None or base.map is None:
            return None
        coordinates, method, fitted = old.coordinates[origin], base.map.method, base.map.fitted
    else:
        chosen = choose_method(layout[0], manifest.count)
        if chosen == "none":
            return None
        coordinates = map_coordinates(Gallery(folder, manifest), layout[1], chosen)
        method, fitted = chosen, manifest.count
    file = f"map-{manifest.generation}.npy"
    write_array(folder / file, coordinates)
    return MapEntry(file, method, fitted)
