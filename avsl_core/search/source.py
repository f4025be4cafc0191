"""Where search finds its rows: in memory, or wherever a gallery keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from avsl_core.models import Rows

__all__ = ["BLOCK_ROWS", "Block", "MemoryRows", "RowSource", "gate_limits"]

BLOCK_ROWS = 8192
"""Rows that share limits on their gates, and are bounded in one go."""


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows and the limits of their gates.

    Attributes:
        start: First row.
        stop: One past the last row.
        low: Least gates, ``[G]`` float32.
        high: Greatest gates, ``[G]`` float32.
    """

    start: int
    stop: int
    low: Tensor
    high: Tensor

    def __len__(self) -> int:
        return self.stop - self.start


class RowSource(Protocol):
    """Rows by number, as float32, read block by block or picked one by one."""

    def __len__(self) -> int:
        """Number of rows, those that were removed included."""
        ...

    @property
    def live(self) -> Tensor | None:
        """Which rows have not been removed, ``[N]`` bool; None if all."""
        ...

    def blocks(self) -> Sequence[Block]:
        """All rows in order, in blocks: a gallery's have at most :data:`BLOCK_ROWS`."""
        ...

    def read(self, start: int, stop: int) -> Rows:
        """Consecutive rows."""
        ...

    def gather(self, rows: Tensor) -> Rows:
        """Rows by number, ``[B]`` int64, in the order asked for."""
        ...


class MemoryRows:
    """Rows that are held in memory, on any device.

    Args:
        rows: All of them.
        block_rows: Rows per block.
    """

    live: Tensor | None = None

    def __init__(self, rows: Rows, *, block_rows: int = BLOCK_ROWS) -> None:
        self._rows = rows.to(torch.float32)
        self._blocks = [
            Block(start, stop, *gate_limits(self._rows.gates[start:stop]))
            for start in range(0, len(rows), block_rows)
            for stop in [min(start + block_rows, len(rows))]
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def blocks(self) -> Sequence[Block]:
        """All rows in order, in blocks of as many as asked for."""
        return self._blocks

    def read(self, start: int, stop: int) -> Rows:
        """Consecutive rows."""
        return self._rows[start:stop]

    def gather(self, rows: Tensor) -> Rows:
        """Rows by number."""
        return self._rows[rows.to(self._rows.vectors.device)]


def gate_limits(gates: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest of each column of ``[B, G]``, B at least 1."""
    return gates.amin(dim=0), gates.amax(dim=0)
