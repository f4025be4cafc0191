"""Pointing at a region of one picture: what answers to it in the other, and how much it counts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import ConfigError
from avsl_core.explain.total import total_maps
from avsl_core.models import CellLikeness, Explanation
from avsl_core.whatif import Side

__all__ = ["Counterpart", "Side", "counterpart", "coverage_of"]


@dataclass(frozen=True, eq=False)
class Counterpart:
    """What a region of one picture comes to.

    Attributes:
        value: What the region has in common with all of the other picture; negative if it contradicts.
        share: That as a share of what the two pictures have in common; 0 if that is nothing, or less: no
            part of it can be told then.
        distance: What the region adds to the distance: the sum of the signed maps over it.
        map: Over the other picture's cells, ``[h, w]`` float64: what of ``value`` lies where. It sums to it.
    """

    value: float
    share: float
    distance: float
    map: Tensor


def counterpart(explanation: Explanation, coverage: ArrayLike, side: Side = "a") -> Counterpart:
    """Find what answers to a region of one picture in the other, without another pass of the network.

    The similarity side of the distance is bilinear in the cells of the two pictures, so the rows of the
    region's cells, added up, are a map over the other picture (:class:`avsl_core.models.CellLikeness`).

    Args:
        explanation: Of the pair.
        coverage: How much of each cell the region covers, ``[H, W]`` in [0, 1] on the grid that the likeness
            has for this picture: see :func:`coverage_of`.
        side: Which picture the region lies on.

    Raises:
        ConfigError: If the explanation knows no likeness, or the coverage is of another grid or out of range.
    """
    likeness = _likeness(explanation)
    if side not in ("a", "b"):
        raise ConfigError(f'side must be "a" or "b", not {side!r}')
    grid = likeness.grid_a if side == "a" else likeness.grid_b
    other = likeness.grid_b if side == "a" else likeness.grid_a
    weights = torch.as_tensor(np.asarray(coverage, dtype=np.float64))
    if tuple(weights.shape) != grid:
        raise ConfigError(
            f"the region is given on a grid of {tuple(weights.shape)}, the picture has {grid[0]} x {grid[1]} "
            "cells"
        )
    if not bool(((weights >= 0) & (weights <= 1)).all()):
        raise ConfigError("a region covers each cell by 0 to 1")
    weights = weights.to(likeness.matrix)
    matrix = likeness.matrix if side == "a" else likeness.matrix.T
    found = weights.flatten() @ matrix
    value, total = float(found.sum()), likeness.total
    mine = total_maps(explanation)[0 if side == "a" else 1]
    lies = AF.regrid(mine, grid).to(weights)
    return Counterpart(
        value, value / total if total > 0 else 0.0, float((lies * weights).sum()), found.view(other)
    )


def coverage_of(
    grid: tuple[int, int], x: float, y: float, width: float, height: float
) -> NDArray[np.float64]:
    """How much of each cell a rectangle covers.

    Args:
        grid: Rows and columns of the picture's cells.
        x: Left edge, as a fraction of the picture's width.
        y: Upper edge, as a fraction of its height.
        width: As a fraction; what reaches beyond the picture is cut off.
        height: As a fraction.

    Returns:
        ``[H, W]`` in [0, 1].

    Raises:
        ConfigError: If the rectangle is empty, lies outside or is not made of numbers.

    Example:
        >>> coverage_of((2, 2), 0.25, 0.0, 0.25, 1.0).tolist()
        [[0.5, 0.0], [0.5, 0.0]]
    """
    if not all(np.isfinite(value) for value in (x, y, width, height)):
        raise ConfigError("a region is four numbers: x, y, width and height, as fractions of the picture")
    down = _along(grid[0], y, y + height)
    across = _along(grid[1], x, x + width)
    if not down.any() or not across.any():
        raise ConfigError(
            f"the region {x:g}, {y:g}, {width:g}, {height:g} covers nothing of the picture: give x, y, width "
            "and height as fractions between 0 and 1"
        )
    covered: NDArray[np.float64] = down[:, None] * across
    return covered


def _likeness(explanation: Explanation) -> CellLikeness:
    if explanation.likeness is None:
        raise ConfigError("this account does not know which cells are alike: compare the two pictures again")
    return explanation.likeness


def _along(cells: int, start: float, end: float) -> NDArray[np.float64]:
    """Covered part of each cell along one side."""
    edges = np.arange(cells + 1) / cells
    covered = (np.minimum(end, edges[1:]) - np.maximum(start, edges[:-1])) * cells
    clipped: NDArray[np.float64] = np.clip(covered, 0.0, 1.0)
    return clipped
