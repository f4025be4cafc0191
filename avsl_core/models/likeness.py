"""Putting the likeness of cells together over levels, for every method."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.explanation import CellLikeness

__all__ = ["LIKENESS_SIDE", "CellShares", "added_likeness", "common_grid", "likeness_of"]

CellShares = tuple[Tensor, Tensor, Tensor]
"""What each cell of the first picture adds to a vector, ``[R, H, W]``, the same of the second, ``[R, h, w]``,
and the weight of each entry of the vectors, ``[R]``."""

LIKENESS_SIDE = 16
"""Most cells a side: a matrix of cells by cells has the fourth power of it."""


def likeness_of(
    grid_a: tuple[int, int], grid_b: tuple[int, int], levels: Callable[[], Sequence[CellShares]]
) -> CellLikeness:
    """Which cells of two pictures are alike, all levels together; worked out when it is asked for.

    In single precision where it is given so: unlike the maps, no one takes these numbers off each other.

    Args:
        grid_a: Rows and columns wanted for the first picture, see :func:`common_grid`.
        grid_b: For the second.
        levels: Gives per level what each cell adds to the vectors.
    """

    def make() -> Tensor:
        return torch.stack(
            [
                AF.cell_likeness(
                    AF.regrid(one, grid_a).flatten(1), AF.regrid(other, grid_b).flatten(1), weight
                ).double()
                for one, other, weight in levels()
            ]
        ).sum(dim=0)

    return CellLikeness(grid_a, grid_b, make)


def added_likeness(base: CellLikeness | None, more: CellLikeness) -> CellLikeness:
    """Two likenesses of one pair as one, on the finer grid of either picture."""
    if base is None:
        return more
    known = base
    grid_a = max(known.grid_a, more.grid_a, key=lambda grid: grid[0] * grid[1])
    grid_b = max(known.grid_b, more.grid_b, key=lambda grid: grid[0] * grid[1])
    return CellLikeness(
        grid_a, grid_b, lambda: known.on(grid_a, grid_b).matrix + more.on(grid_a, grid_b).matrix
    )


def common_grid(maps: Sequence[Tensor]) -> tuple[int, int]:
    """The finest grid among maps ``[..., H, W]``, at most 16 cells a side."""
    rows = max(int(m.shape[-2]) for m in maps)
    columns = max(int(m.shape[-1]) for m in maps)
    return min(rows, LIKENESS_SIDE), min(columns, LIKENESS_SIDE)
