"""Build a gallery, bring it up to date, add to it, take from it."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from avsl_core.checkpoint import Checkpoint
from avsl_core.errors import ConfigError, GalleryError
from avsl_core.gallery.chunks import ChunkKey, read_chunk, read_chunks
from avsl_core.gallery.commit import clean, clean_pending, commit, pending_names, recover
from avsl_core.gallery.draft import Draft, known_roots
from avsl_core.gallery.encode import encode_chunks
from avsl_core.gallery.files import absolute_path, locked, remove_quietly, typed_errors
from avsl_core.gallery.manifest import Manifest, StorageType, read_manifest
from avsl_core.gallery.map import choose_method
from avsl_core.gallery.options import BuildOptions, BuildReport, Progress
from avsl_core.gallery.plan import Holdings, Plan, make_plan
from avsl_core.gallery.sources import FileEntry, Listing, Source, list_source
from avsl_core.gallery.stamp import stamp_of
from avsl_core.gallery.store import Gallery
from avsl_core.gallery.team import Team
from avsl_core.gallery.thumbnails import mend_thumbnails, sweep_thumbnails
from avsl_core.precision import effective_precision

__all__ = ["add_pictures", "build_gallery", "remove_pictures"]

_MOST_SEGMENTS = 256
_OWN = {"lock", "manifest.json.tmp", "pending", "segments", "thumbnails"}


def build_gallery(
    checkpoint: Checkpoint,
    source: Source,
    path: str | Path,
    *,
    options: BuildOptions | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BuildReport:
    """Build a gallery, or bring one up to date: encode what is new or has changed, and nothing else.

    An interrupted build leaves the gallery as it was, and goes on where it stopped when called again.
    Under ``torchrun`` (after :func:`avsl_core.training.start_process`) all ranks call this together, on one
    shared disk; each encodes a share.

    Args:
        checkpoint: Encodes.
        source: A folder, an archive, a text file with one path a line, or a sequence of paths.
        path: The gallery's folder.
        options: How to build.
        progress: Told how far it has come, after every batch.
        cancelled: Asked after every batch whether to stop.

    Returns:
        What was done; the same on every rank.

    Raises:
        GalleryError: If the gallery is damaged, in use or another checkpoint's, the disk is full, or no
            picture could be read.
        BuildCancelled: If ``cancelled`` said so.
        DataError: If the source cannot be read.
        ConfigError: If ``options.prune`` is set and the source is neither a folder nor an archive.
    """
    folder = Path(absolute_path(path))
    return _Build(checkpoint, folder, options or BuildOptions(), progress, cancelled).run(source)


def add_pictures(
    checkpoint: Checkpoint,
    path: str | Path,
    sources: Source,
    *,
    options: BuildOptions | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BuildReport:
    """Add pictures to a gallery that exists.

    Args and errors are those of :func:`build_gallery`; nothing is pruned.

    Raises:
        GalleryError: Also if there is no gallery yet.
    """
    Gallery.open(path, checkpoint=checkpoint)
    chosen = replace(options or BuildOptions(), prune=False)
    return build_gallery(checkpoint, sources, path, options=chosen, progress=progress, cancelled=cancelled)


def remove_pictures(path: str | Path, names: Sequence[str | Path]) -> int:
    """Remove pictures from a gallery; their files stay.

    Args:
        path: The gallery's folder.
        names: Names, paths or digests; a name or path takes away that file only, and the picture when no
            other file has the same content.

    Returns:
        How many pictures were removed.

    Raises:
        GalleryError: If one is not in the gallery (nothing is removed then), or as for
            :func:`build_gallery`.
    """
    folder = Path(absolute_path(path))
    Gallery.open(folder)
    with typed_errors(folder), locked(folder):
        gallery = Gallery.open(folder)
        recover(folder, gallery.manifest)
        draft = Draft(gallery, Holdings())
        for name in names:
            row = gallery.find(name)
            if row is None:
                raise GalleryError(f"{folder}: has no picture {str(name)!r}; nothing was removed")
            draft.remove_name(row, str(name))
        before = gallery.count
        segment_rows = max(BuildOptions().segment_rows, *(s.rows for s in gallery.manifest.segments), 1)
        # An interrupted build goes on with its chunks all the same.
        keep = pending_names(folder)
        manifest = commit(folder, draft, gallery.manifest, segment_rows=segment_rows, keep=keep)
        return before - manifest.count


class _Build:
    """One call of :func:`build_gallery`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        folder: Path,
        options: BuildOptions,
        progress: Callable[[Progress], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._checkpoint, self._folder = checkpoint, folder
        # What the numbers are made in, so that chunks of another machine are told from those of this one.
        precision = effective_precision(options.precision, checkpoint.model.device)
        self._options = replace(options, precision=precision)
        self._progress, self._cancelled = progress, cancelled
        self._started = time.monotonic()
        self._stamp = stamp_of(checkpoint)
        self._gallery: Gallery | None = None
        self._holdings = Holdings()
        self._keep: set[str] = set()
        self._lock: int | None = None

    def run(self, source: Source) -> BuildReport:
        team = Team()
        with ExitStack() as held:
            plan, key = team.first(lambda: self._prepare(source, held))
            team.each(lambda: self._encode(plan, key, plan.todo[team.rank :: team.count]))
            return team.first(lambda: self._finish(plan, key, move=team.count > 1 and self._may_move(plan)))

    def _prepare(self, source: Source, held: ExitStack) -> tuple[Plan, ChunkKey]:
        # A source that cannot be read leaves no folder behind.
        listing = None if read_manifest(self._folder) else self._list(source)
        with typed_errors(self._folder):
            _make_folder(self._folder)
            self._lock = held.enter_context(locked(self._folder))
            manifest = read_manifest(self._folder)
            if manifest is not None:
                self._gallery = Gallery.open(self._folder)
                manifest.checkpoint.check(self._stamp, self._folder)
        if listing is None or self._gallery is not None:
            listing = self._list(source)
        with typed_errors(self._folder):
            recover(self._folder, manifest)
            (self._folder / "pending").mkdir(exist_ok=True)
        key = ChunkKey(
            self._stamp.fingerprint, self._dtype(), self._options.precision, self._options.thumbnail_side
        )
        self._holdings = Holdings.of(self._gallery)
        plan = make_plan(
            listing,
            self._holdings,
            read_chunks(self._folder / "pending"),
            key=key,
            gallery=self._folder,
            chunk_files=self._options.chunk,
            prune=self._options.prune,
        )
        self._sort_out_chunks(listing, plan, key)
        return plan, key

    def _sort_out_chunks(self, listing: Listing, plan: Plan, key: ChunkKey) -> None:
        """Remove chunks that are encoded again; note those of a build that single pictures interrupt."""
        again = {files[0].path for _, files in plan.todo}
        usable = {folder for _, folder in plan.finished}
        listed = {entry.path for entry in listing.entries}
        for chunk in read_chunks(self._folder / "pending"):
            first = chunk.entries[0].path if chunk.entries else ""
            if chunk.key == key and first in again and chunk.folder not in usable:
                remove_quietly(chunk.folder)
            elif listing.scope is None and first not in listed:
                self._keep.add(chunk.folder.name)

    def _may_move(self, plan: Plan) -> bool:
        """Whether chunks can be taken over as they are without making too many segments."""
        segments = 0 if self._gallery is None else len(self._gallery.manifest.segments)
        return segments + len(plan.finished) + len(plan.todo) <= _MOST_SEGMENTS

    def _list(self, source: Source) -> Listing:
        known = [] if self._gallery is None else known_roots(self._folder, self._gallery.manifest)
        listing = list_source(source, self._folder, known, self._options)
        if self._options.prune and listing.scope is None:
            raise ConfigError(
                "pruning needs a folder or an archive: a picture or a list of paths does not say what is "
                "gone, and all other pictures would be removed; leave prune away, or name what to remove"
            )
        return listing

    def _dtype(self) -> StorageType:
        wanted = self._options.dtype
        if self._gallery is None:
            return wanted or "fp32"
        if wanted not in (None, self._gallery.dtype):
            raise GalleryError(
                f"{self._folder}: holds {self._gallery.dtype} numbers, not {wanted}; give "
                f"--dtype {self._gallery.dtype}, or index into a new folder"
            )
        return self._gallery.dtype

    def _encode(self, plan: Plan, key: ChunkKey, todo: Sequence[tuple[int, list[FileEntry]]]) -> None:
        encode_chunks(
            self._checkpoint,
            self._folder,
            plan,
            todo,
            key,
            self._options,
            progress=self._progress,
            cancelled=self._cancelled,
            lock=self._lock,
        )

    def _finish(self, plan: Plan, key: ChunkKey, *, move: bool) -> BuildReport:
        draft = Draft(self._gallery, self._holdings)
        draft.remove(plan.gone)
        for folder in self._chunks(plan, key):
            draft.add(read_chunk(folder), prune=self._options.prune)
        with typed_errors(self._folder):
            manifest = self._commit(draft, move)
            self._look_after_thumbnails(manifest)
        return BuildReport(
            added=draft.added,
            unchanged=plan.unchanged + draft.refreshed,
            duplicates=tuple(draft.duplicates),
            skipped=tuple(draft.skipped),
            removed=len(draft.removed),
            seconds=time.monotonic() - self._started,
            gallery=self._folder,
            pictures=manifest.count,
        )

    def _chunks(self, plan: Plan, key: ChunkKey) -> list[Path]:
        """All chunks of this build in the order of the source, whoever encoded them."""
        wanted = {files[0].path: (first, files) for first, files in plan.todo}
        found = dict(plan.finished)
        for chunk in read_chunks(self._folder / "pending"):
            first, files = wanted.get(chunk.entries[0].path, (0, [])) if chunk.entries else (0, [])
            if chunk.key == key and chunk.entries == files:
                found[first] = chunk.folder
        if len(found) < len(plan.finished) + len(plan.todo):
            raise GalleryError(
                f"{self._folder}: some chunks did not arrive; all processes need this same disk; run again"
            )
        return [found[first] for first in sorted(found)]

    def _commit(self, draft: Draft, move: bool) -> Manifest:
        base = Manifest("", self._dtype(), self._stamp)
        if self._gallery is not None:
            base = self._gallery.manifest
            if not draft.changed and self._has_map(base):
                clean(self._folder, base, keep=self._keep)
                return base
        elif not draft.added:
            name, reason = draft.skipped[0]
            clean_pending(self._folder, keep=self._keep)
            count = len(draft.skipped)
            raise GalleryError(f"no picture among {count} files could be read; the first, {name}: {reason}")
        return commit(
            self._folder,
            draft,
            base,
            segment_rows=self._options.segment_rows,
            move=move,
            layout=(self._options.map, self._checkpoint.model.measure()),
            keep=self._keep,
        )

    def _look_after_thumbnails(self, manifest: Manifest) -> None:
        gallery = Gallery(self._folder, manifest)
        if self._options.prune and not pending_names(self._folder):
            sweep_thumbnails(gallery)
        mend_thumbnails(
            gallery,
            self._checkpoint.preprocess,
            self._options.thumbnail_side,
            load=self._options.load,
            cancelled=self._cancelled,
        )

    def _has_map(self, manifest: Manifest) -> bool:
        wanted = choose_method(self._options.map, manifest.count)
        return wanted == (manifest.map.method if manifest.map else "none")


def _make_folder(folder: Path) -> None:
    """Make a gallery's folder, or see that it is one.

    Raises:
        GalleryError: If it holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if read_manifest(folder) is None:
        names = {entry.name for entry in folder.iterdir()}
        # Others may have a folder "segments" too; a build of ours makes the lock before anything else.
        strange = sorted(names - _OWN if "lock" in names else names)
        if strange:
            raise GalleryError(
                f"{folder}: is not a gallery and not empty (it has {strange[0]!r}); give a new folder"
            )
