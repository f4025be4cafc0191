"""What a build has to do: which files are new, what an interrupted build has already done, what is gone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from avsl_core.gallery.chunks import Chunk, ChunkKey
from avsl_core.gallery.sources import FileEntry, Listing
from avsl_core.gallery.store import Gallery, thumbnail_path

__all__ = ["Holdings", "Plan", "make_plan"]


@dataclass(frozen=True)
class Holdings:
    """What a gallery holds, for looking up.

    Attributes:
        files: (row, size, mtime) of every file, by absolute path.
        digests: Row of every content.
    """

    files: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    digests: dict[bytes, int] = field(default_factory=dict)

    @classmethod
    def of(cls, gallery: Gallery | None) -> "Holdings":
        """Read a gallery's; nothing for none."""
        holdings = cls()
        if gallery is None:
            return holdings
        alive = None if gallery.live is None else gallery.live.numpy()
        roots = [root.rstrip("/") for root in gallery.roots]
        for row, record in enumerate(gallery.records()):
            if alive is not None and not alive[row]:
                continue
            holdings.digests[gallery.digests[row].tobytes()] = row
            for file in record.files:
                holdings.files[f"{roots[file.root]}/{file.name}"] = (row, file.size, file.mtime)
        return holdings

    def has(self, entry: FileEntry) -> bool:
        """Whether a file is here as it is now, judged by its size and time."""
        held = self.files.get(entry.path)
        return held is not None and held[1:] == (entry.size, entry.mtime)


@dataclass(frozen=True)
class Plan:
    """The work of a build.

    Attributes:
        unchanged: Files that need nothing.
        finished: Chunks of an interrupted build that can be used: (position of the first file, folder).
        finished_files: Files in them.
        todo: Chunks to encode: (position of the first file, files).
        seen: Position of the first file of each content in ``finished``.
        known: Contents that the gallery has.
        gone: Paths that the source no longer has, where those are to be removed.
    """

    unchanged: int
    finished: list[tuple[int, Path]]
    finished_files: int
    todo: list[tuple[int, list[FileEntry]]]
    seen: dict[bytes, int]
    known: set[bytes]
    gone: list[str]


def make_plan(
    listing: Listing,
    holdings: Holdings,
    chunks: Iterable[Chunk],
    *,
    key: ChunkKey,
    gallery: Path,
    chunk_files: int,
    prune: bool,
) -> Plan:
    """Compare what the source has with what the gallery and its pending chunks hold.

    Args:
        listing: The source.
        holdings: The gallery.
        chunks: Pending.
        key: Chunks made with anything else are of no use.
        gallery: The gallery's folder, for thumbnails.
        chunk_files: Files of a new chunk.
        prune: Whether to remove what is gone.
    """
    work = [entry for entry in listing.entries if not holdings.has(entry)]
    position = {entry.path: number for number, entry in enumerate(work)}
    usable = sorted(
        (
            (position[chunk.entries[0].path], chunk)
            for chunk in chunks
            if chunk.key == key and _fits(chunk, work, position)
        ),
        key=lambda pair: (pair[0], pair[1].folder.name),
    )
    covered = bytearray(len(work))
    seen: dict[bytes, int] = {}
    finished: list[tuple[int, Path]] = []
    for first, chunk in usable:
        places = [position[entry.path] for entry in chunk.entries]
        digests = chunk.digests()
        if any(covered[place] for place in places):
            continue
        if not _resolvable(chunk, {*holdings.digests, *seen, *digests} if _has_same(chunk) else set()):
            continue
        if not all(thumbnail_path(gallery, digest.hex()).exists() for digest in digests):
            continue
        finished.append((first, chunk.folder))
        rows = iter(digests)
        for (_, outcome, _), place in zip(chunk.files(), places, strict=True):
            covered[place] = 1
            if outcome.kind == "row":
                seen.setdefault(next(rows), place)
    return Plan(
        unchanged=len(listing.entries) - len(work),
        finished=finished,
        finished_files=sum(covered),
        todo=_cut(work, covered, chunk_files),
        seen=seen,
        known=set(holdings.digests),
        gone=_gone(listing, holdings) if prune else [],
    )


def _fits(chunk: Chunk, work: list[FileEntry], position: dict[str, int]) -> bool:
    """Whether each of a chunk's files is to be encoded, and is now what it was then."""
    for entry in chunk.entries:
        place = position.get(entry.path)
        if place is None or work[place] != entry:
            return False
    return bool(chunk.entries)


def _has_same(chunk: Chunk) -> bool:
    return any(outcome.kind == "same" for outcome in chunk.outcomes)


def _resolvable(chunk: Chunk, digests: set[bytes]) -> bool:
    """Whether what a chunk refers to is still there; a removal in between may have taken it."""
    return all(bytes.fromhex(outcome.text) in digests for outcome in chunk.outcomes if outcome.kind == "same")


def _cut(work: list[FileEntry], covered: bytearray, size: int) -> list[tuple[int, list[FileEntry]]]:
    """Cut what is not covered into chunks; none reaches across a finished one, so that order is kept."""
    todo: list[tuple[int, list[FileEntry]]] = []
    place = 0
    while place < len(work):
        if covered[place]:
            place += 1
            continue
        limit = min(place + size, len(work))
        next_covered = covered.find(1, place, limit)
        stop = limit if next_covered < 0 else next_covered
        todo.append((place, work[place:stop]))
        place = stop
    return todo


def _gone(listing: Listing, holdings: Holdings) -> list[str]:
    if listing.scope is None:
        return []
    present = {entry.path for entry in listing.entries}
    inside = f"{listing.scope.rstrip('/')}/"
    return [path for path in holdings.files if path.startswith(inside) and path not in present]
