"""Putting the likeness of cells together over levels, for every method."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.explanation import CellLikeness

__all__ = ["LIKENESS_SIDE", "added_likeness", "common_grid", "likeness_of"]

LIKENESS_SIDE = 16
"""Most cells a side: a matrix of cells by cells has the fourth power of it."""


def likeness_of(levels: Sequence[tuple[Tensor, Tensor, Tensor]]) -> CellLikeness:
    """Which cells of two pictures are alike, all levels together.

    In single precision where it is given so: unlike the maps, no one takes these numbers off each other.

    Args:
        levels: Per level what each cell of the first picture adds to its vector, ``[R, H, W]``, the same of
            the second, ``[R, h, w]``, and the weight of each entry of the vectors, ``[R]``.

    Returns:
        On the finest of the levels' grids, or a coarser one of 16 cells a side.
    """
    grid_a = common_grid([one for one, _, _ in levels])
    grid_b = common_grid([other for _, other, _ in levels])
    matrix = torch.zeros(grid_a[0] * grid_a[1], grid_b[0] * grid_b[1], dtype=torch.float64)
    for one, other, weight in levels:
        shares = AF.regrid(one, grid_a).flatten(1), AF.regrid(other, grid_b).flatten(1)
        matrix = matrix.to(one.device) + AF.cell_likeness(*shares, weight)
    return CellLikeness(grid_a, grid_b, matrix)


def added_likeness(base: CellLikeness | None, more: CellLikeness) -> CellLikeness:
    """Two likenesses of one pair as one, on the finer grid of either picture."""
    if base is None:
        return more
    grid_a = max(base.grid_a, more.grid_a, key=lambda grid: grid[0] * grid[1])
    grid_b = max(base.grid_b, more.grid_b, key=lambda grid: grid[0] * grid[1])
    return CellLikeness(grid_a, grid_b, base.on(grid_a, grid_b).matrix + more.on(grid_a, grid_b).matrix)


def common_grid(maps: Sequence[Tensor]) -> tuple[int, int]:
    """The finest grid among maps ``[..., H, W]``, at most 16 cells a side."""
    rows = max(int(m.shape[-2]) for m in maps)
    columns = max(int(m.shape[-1]) for m in maps)
    return min(rows, LIKENESS_SIDE), min(columns, LIKENESS_SIDE)
