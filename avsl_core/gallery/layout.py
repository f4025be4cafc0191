"""How rows are divided among segments: few large ones, written as a stream, without copying too often."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsl_core.gallery.files import publish
from avsl_core.gallery.segment import Record, SegmentWriter, load_array, write_items

__all__ = ["Piece", "choose_rewritten", "merge_pieces"]

_MANY_SMALL = 64
_STREAM_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows to copy: some of a segment's or a chunk's.

    Attributes:
        folder: Of the segment or chunk.
        rows: Which, ascending.
        records: What is noted of them, in the same order; read once.
    """

    folder: Path
    rows: NDArray[np.int64]
    records: Iterator[Record]


def choose_rewritten(rows: Sequence[int], removed: Sequence[int], new: int, segment_rows: int) -> list[bool]:
    """Which segments to write anew, so that segments stay few and removed rows do not pile up.

    Removed rows are dropped when they are more than a quarter of all. New rows take in the last segments
    as long as these are not much larger than what is being written: a row is then copied a number of times
    that grows with the logarithm of the gallery only. When small segments have piled up (processes
    that build together leave them), all from the first small one on are merged.

    Args:
        rows: Of each segment.
        removed: Of them.
        new: Rows to come, which follow the last segment; 0 leaves the last segments alone.
        segment_rows: Rows of a large segment.

    Example:
        >>> choose_rewritten([1000, 20, 10], [0, 0, 0], 8, 1000)
        [False, True, True]
        >>> choose_rewritten([1000, 20], [600, 0], 0, 1000)
        [True, False]
    """
    compact = 4 * sum(removed) > sum(rows)
    chosen = [compact and count > 0 for count in removed]
    if not new:
        return chosen
    small = [number for number, count in enumerate(rows) if 2 * count < segment_rows]
    start = small[0] if len(small) > _MANY_SMALL else len(rows)
    together = new
    last = len(rows)
    while last > 0 and rows[last - 1] < segment_rows and rows[last - 1] <= 2 * together:
        last -= 1
        together += rows[last] - removed[last]
    return [was or number >= min(start, last) for number, was in enumerate(chosen)]


def merge_pieces(
    segments: Path,
    pieces: Sequence[Piece],
    *,
    mark: str,
    dimensions: int,
    gates: int,
    dtype: np.dtype[Any],
    segment_rows: int,
) -> list[tuple[Path, int]]:
    """Copy pieces one after the other into new segments, a few thousand rows at a time.

    Args:
        segments: Folder of all segments.
        pieces: In order.
        mark: Of the items.
        dimensions: D.
        gates: G.
        dtype: Of the numbers.
        segment_rows: Most rows of a segment.

    Returns:
        Folder and number of rows of each new segment.
    """
    total = sum(len(piece.rows) for piece in pieces)
    records = (record for piece in pieces for record in piece.records)
    written = []
    for start in range(0, total, segment_rows):
        rows = min(segment_rows, total - start)
        folder = segments / secrets.token_hex(8)
        temporary = segments / f".tmp-{folder.name}"
        writer = SegmentWriter(temporary, rows, dimensions, gates, dtype)
        for batch in _read(pieces, start, start + rows):
            writer.append(*batch)
        writer.close()
        write_items(temporary, mark, (next(records) for _ in range(rows)), rows)
        publish(temporary, folder)
        written.append((folder, rows))
    return written


def _read(
    pieces: Sequence[Piece], start: int, stop: int
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[np.uint8]]]:
    """Vectors, gates and digests of rows of all pieces together, a batch at a time."""
    first = 0
    for piece in pieces:
        inside = piece.rows[max(0, start - first) : max(0, stop - first)]
        first += len(piece.rows)
        if not len(inside):
            continue
        arrays = [
            load_array(piece.folder / f"{name}.npy", mapped=True) for name in ("vectors", "gates", "digests")
        ]
        for at in range(0, len(inside), _STREAM_ROWS):
            rows = inside[at : at + _STREAM_ROWS]
            vectors, gates, digests = (np.asarray(array[rows]) for array in arrays)
            yield vectors, gates, digests
