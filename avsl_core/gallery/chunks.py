"""Finished pieces of an unfinished build: what lets the next run go on where this one stopped.

A chunk is a folder in ``pending/`` with the numbers of a segment and ``chunk.json``, which says what
came of each file. It appears whole or not at all.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avsl_core.errors import GalleryError
from avsl_core.gallery.files import publish, write_json
from avsl_core.gallery.manifest import NUMBER_FILES
from avsl_core.gallery.segment import DIGEST_BYTES, SegmentWriter, load_array
from avsl_core.gallery.sources import FileEntry

__all__ = ["CHUNK_FILE", "Chunk", "ChunkKey", "Outcome", "read_chunks", "write_chunk"]

CHUNK_FILE = "chunk.json"


class ChunkKey(NamedTuple):
    """What a chunk's numbers depend on besides its files."""

    fingerprint: str
    dtype: str
    precision: str
    thumbnail_side: int


class Outcome(NamedTuple):
    """What came of one file.

    Attributes:
        kind: ``"row"``: the next row of the chunk. ``"same"``: equal to a picture of the gallery or to an
            earlier row. ``"bad"``: could not be read.
        text: Digest of ``"same"``, reason of ``"bad"``.
        width: Of a row's picture.
        height: Likewise.
    """

    kind: str
    text: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Chunk:
    """A chunk on disk.

    Attributes:
        folder: Where it is.
        key: What it was made with.
        entries: Its files in order.
        outcomes: What came of each.
    """

    folder: Path
    key: ChunkKey
    entries: list[FileEntry]
    outcomes: list[Outcome]

    @property
    def rows(self) -> int:
        """Rows that it holds."""
        return sum(outcome.kind == "row" for outcome in self.outcomes)

    def digests(self) -> list[bytes]:
        """Digests of its rows, in order."""
        return [digest.tobytes() for digest in load_array(self.folder / "digests.npy", self.rows)]

    def files(self) -> Iterator[tuple[FileEntry, Outcome, int]]:
        """Every file with its outcome and the row that it is or, for other kinds, -1."""
        row = 0
        for entry, outcome in zip(self.entries, self.outcomes, strict=True):
            if outcome.kind == "row":
                yield entry, outcome, row
                row += 1
            else:
                yield entry, outcome, -1


def write_chunk(
    pending: Path,
    key: ChunkKey,
    files: Sequence[tuple[FileEntry, Outcome]],
    vectors: NDArray[Any],
    gates: NDArray[Any],
    digests: Sequence[bytes],
) -> Chunk:
    """Save a chunk; ``vectors``, ``gates`` and ``digests`` are those of the outcomes of kind ``"row"``."""
    identity = secrets.token_hex(8)
    temporary = pending / f".tmp-{identity}"
    writer = SegmentWriter(temporary, len(vectors), vectors.shape[1], gates.shape[1], _number_type(key.dtype))
    writer.append(
        vectors, gates, np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), DIGEST_BYTES)
    )
    writer.close()
    entries, outcomes = [entry for entry, _ in files], [outcome for _, outcome in files]
    values = {"key": key, "sizes": _sizes(temporary), "entries": entries, "outcomes": outcomes}
    write_json(temporary / CHUNK_FILE, values)
    publish(temporary, pending / identity)
    return Chunk(pending / identity, key, entries, outcomes)


def read_chunks(pending: Path) -> Iterator[Chunk]:
    """Every finished chunk, in no particular order; one that cannot be read is passed over."""
    if not pending.is_dir():
        return
    for folder in sorted(pending.iterdir()):
        if not folder.name.startswith("."):
            try:
                yield read_chunk(folder)
            except GalleryError:
                continue


def read_chunk(folder: Path) -> Chunk:
    """Read what a chunk says of itself.

    Raises:
        GalleryError: If it cannot be read.
    """
    try:
        values = json.loads((folder / CHUNK_FILE).read_bytes())
        if values["sizes"] != _sizes(folder):
            raise ValueError("its arrays have other sizes")
        return Chunk(
            folder,
            ChunkKey(*values["key"]),
            [FileEntry(*entry) for entry in values["entries"]],
            [Outcome(*outcome) for outcome in values["outcomes"]],
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise GalleryError(f"{folder}: not a finished chunk ({error})") from error


def _sizes(folder: Path) -> list[int]:
    return [(folder / name).stat().st_size for name in NUMBER_FILES]


def _number_type(dtype: str) -> np.dtype[Any]:
    return np.dtype(np.float16 if dtype == "fp16" else np.float32)
