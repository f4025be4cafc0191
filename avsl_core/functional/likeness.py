"""Which cells of one picture are alike to which of the other: the bilinear side of a distance."""

import torch
from torch import Tensor

__all__ = ["cell_likeness", "mean_in_cells", "regrid"]


def regrid(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """Carry values of cells to another grid of the same picture; every sum over cells stays.

    A cell hands its value on by area: to the new cells that it overlaps, in proportion.

    Args:
        values: ``[..., H, W]``.
        grid: Rows and columns wanted.

    Returns:
        ``[..., h, w]``.

    Raises:
        ValueError: If a grid has no cells.

    Example:
        >>> regrid(torch.tensor([[1.0, 1.0, 4.0]]), (1, 2)).tolist()
        [[1.5, 4.5]]
    """
    rows, columns = values.shape[-2:]
    if min(*grid, rows, columns) < 1:
        raise ValueError(f"cannot carry a grid of {rows} x {columns} cells to one of {grid[0]} x {grid[1]}")
    if (rows, columns) == tuple(grid):
        return values
    down, across = _overlap(rows, grid[0], values), _overlap(columns, grid[1], values)
    return down.T @ values @ across


def mean_in_cells(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average values over the cells of another grid of the same picture, by area.

    Args:
        values: ``[..., H, W]``.
        grid: Rows and columns wanted.

    Returns:
        ``[..., h, w]`` with the same mean.

    Raises:
        ValueError: If a grid has no cells.

    Example:
        >>> mean_in_cells(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), (1, 2)).tolist()
        [[0.5, 0.0]]
    """
    rows, columns = values.shape[-2:]
    return regrid(values, grid) * (grid[0] * grid[1] / (rows * columns))


def cell_likeness(shares_a: Tensor, shares_b: Tensor, weight: Tensor) -> Tensor:
    """Divide a weighted inner product of two vectors among the cells of the two pictures.

    With n_r(x) the sum over positions p of x_r[p], and the same for y: sum_r w_r n_r(x) n_r(y) is the sum
    over p and q of sum_r w_r x_r[p] y_r[q]. A region of x has the rows of its cells, which add up to a map
    over y.

    Args:
        shares_a: What each cell of the first picture adds to its vector, ``[R, Na]``.
        shares_b: The same of the second, ``[R, Nb]``.
        weight: w, ``[R]``.

    Returns:
        ``[Na, Nb]``, which sums to the inner product.

    Example:
        >>> x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0]])
        >>> cell_likeness(x, y, torch.tensor([0.5])).tolist()
        [[1.5, 0.0], [3.0, 0.0]]
    """
    return (shares_a * weight[:, None]).T @ shares_b


def _overlap(source: int, target: int, like: Tensor) -> Tensor:
    """What part of each source cell lies in each target cell along one side, ``[source, target]``."""
    # In units of 1 / (source * target) all edges are whole numbers, so the shares are exact.
    starts = torch.arange(source, dtype=torch.float64)[:, None] * target
    target_starts = torch.arange(target, dtype=torch.float64) * source
    low = torch.maximum(starts, target_starts)
    high = torch.minimum(starts + target, target_starts + source)
    return ((high - low).clamp_min(0) / target).to(like)
