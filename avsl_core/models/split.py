"""How a level's difference is spread over the cells of both pictures, for every method with pooled levels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import ConfigError

__all__ = ["cell_coefficients", "split_levels"]

_MATCHING_CELLS = 400  # a finer grid takes over a coarser one's match if it can: a plan has the square of it


def cell_coefficients(weight: Tensor, nodes: Tensor, split: AF.Split) -> tuple[Tensor, float]:
    """What the nodes of one level are combined with to give each cell's part of the distance.

    Args:
        weight: w of every node, ``[1, R]``.
        nodes: Both pictures' normalised embeddings, ``[2, R]``.
        split: Only ``"similarity"`` differs: there a cell counts by what it has in common with the other
            picture, which is taken off an even share.

    Returns:
        Coefficients ``[2, R]``, one row per picture, and what is spread evenly over each picture besides.
    """
    if split == "similarity":
        return -weight * nodes.flip(0), float((weight * nodes.square()).sum()) / 2
    pull = weight * (nodes[:1] - nodes[1:])
    return torch.cat([pull, -pull]), 0.0


def split_levels(
    maps: Sequence[tuple[Tensor, Tensor]], features: Sequence[tuple[Tensor, Tensor]], split: AF.Split
) -> list[tuple[Tensor, Tensor]]:
    """Choose what the cells of signed maps are held against; no sum over both pictures changes.

    The pictures are matched once, by the cosine of their features on the finest level of moderate size; the
    other levels follow that match. A level whose grid neither divides that one's nor is divided by it, or
    whose pictures are of two sizes, is matched by its own features.

    Args:
        maps: Signed maps ``[H, W]`` of both pictures per level, against a reference of zero.
        features: The trunk's maps of the two pictures, ``[C, H, W]`` per level.
        split: See :data:`avsl_core.functional.Split`; maps of ``"similarity"`` come as they should be.

    Returns:
        Two maps per level.

    Raises:
        ConfigError: If there is no such split.
    """
    if split in ("zero", "similarity"):
        return list(maps)
    if split == "centred":
        return [AF.centred_split(a, b) for a, b in maps]
    if split != "matched":
        raise ConfigError(f'split must be "matched", "zero", "centred" or "similarity", not {split!r}')
    anchor = features[_matching_level(features)]
    plans = {_grid(anchor[0]): _plan(*anchor)}
    matched = []
    for pair, level in zip(maps, features, strict=True):
        if not _follows(level, anchor):
            matched.append(AF.matched_split(*pair, _plan(*level)))
        elif _grid(level[0])[0] > _grid(anchor[0])[0] or _grid(level[0])[1] > _grid(anchor[0])[1]:
            coarse = _grid(anchor[0])
            matched.append(AF.matched_split(*pair, plans[coarse], coarse))
        else:
            matched.append(AF.matched_split(*pair, _at(_grid(level[0]), plans)))
    return matched


def _at(grid: tuple[int, int], plans: dict[tuple[int, int], Tensor]) -> Tensor:
    """The first plan on another grid, kept for further levels of that grid."""
    if grid not in plans:
        source, plan = next(iter(plans.items()))
        plans[grid] = AF.resize_plan(plan, source, grid)
    return plans[grid]


def _plan(a: Tensor, b: Tensor) -> Tensor:
    x, y = F.normalize(a.flatten(1).float(), dim=0), F.normalize(b.flatten(1).float(), dim=0)
    return AF.transport_plan(x.T @ y)


def _matching_level(features: Sequence[tuple[Tensor, Tensor]]) -> int:
    """The finest level that is cheap to match; the coarsest if none is."""
    cells = [max(x[0].numel(), y[0].numel()) for x, y in features]
    moderate = [level for level, count in enumerate(cells) if count <= _MATCHING_CELLS]
    return max(moderate, key=lambda level: cells[level]) if moderate else cells.index(min(cells))


def _follows(level: tuple[Tensor, Tensor], anchor: tuple[Tensor, Tensor]) -> bool:
    """Whether a level can take over the match of another: pictures of one size, grids that divide."""
    if level is anchor:
        return True
    if _grid(level[0]) != _grid(level[1]) or _grid(anchor[0]) != _grid(anchor[1]):
        return False
    own, other = _grid(level[0]), _grid(anchor[0])
    finer = all(n % m == 0 for n, m in zip(own, other, strict=True))
    return finer or all(m % n == 0 for n, m in zip(own, other, strict=True))


def _grid(features: Tensor) -> tuple[int, int]:
    return int(features.shape[-2]), int(features.shape[-1])
