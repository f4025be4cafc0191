"""How far apart pairs of the same kind and pairs of different kinds lie, measured on a labelled set.

Pairs are numbered, not enumerated: with the pictures sorted by class, the partners of a picture that come
after it form one range for its own class and one for all others, so that pair number t is found by a
binary search. A sample of pairs is then a sample of numbers, drawn before any distance is read; it is the
same however the distance matrix is cut into blocks, and costs nothing per pair that is not drawn.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics.pair_distribution import PairDistribution
from avsl_core.metrics.rows import Distances, Labels, as_labels, row_slices, rows_within

__all__ = ["pair_distances"]


def pair_distances(
    distances: Distances | Callable[[Tensor, Tensor], Tensor],
    labels: Labels,
    *,
    quantiles: int = 101,
    max_pairs: int = 1_000_000,
    seed: int = 0,
    byte_budget: int = 256 * 2**20,
) -> PairDistribution:
    """Reduce the distances within a labelled set to quantiles per kind of pair.

    Every pair of pictures i < j counts once, by the entry in row i and column j. Where a kind has more than
    `max_pairs` pairs, that many are drawn without repetition, evenly over all of them.

    Memory: what the caller holds, and about 100 bytes per pair drawn.

    Args:
        distances: [N, N] of a set with itself; or an iterable of its row blocks (first row, [b, N]); or a
            function that measures pairs, from two lists of picture numbers [P] to distances [P], which is
            asked for the drawn pairs only.
        labels: [N] whole numbers.
        quantiles: how many to keep, evenly spaced from the least distance to the greatest; 2 or more.
        max_pairs: most pairs of one kind to look at.
        seed: of the draw; not used where all pairs are looked at.
        byte_budget: working memory of the check for NaN, in bytes.

    Raises:
        DataError: malformed input, NaN, an infinite distance of a drawn pair, or no pair of one of the kinds.
        ConfigError: an option out of range.

    Example:
        >>> positions = torch.tensor([0.0, 1.0, 3.0, 6.0])
        >>> distances = (positions[:, None] - positions[None, :]).abs()
        >>> pairs = pair_distances(distances, [0, 0, 1, 1], quantiles=3)
        >>> pairs.same, pairs.different
        ((1.0, 2.0, 3.0), (2.0, 4.0, 6.0))
    """
    classes = as_labels(labels, "labels")
    if quantiles < 2:
        raise ConfigError(f"quantiles is {quantiles}; give 2 or more")
    if max_pairs < 1:
        raise ConfigError(f"max_pairs is {max_pairs}; give 1 or more")
    order, same_partners, different_partners = _partner_ranges(classes)
    generator = torch.Generator().manual_seed(seed)
    same = _draw_pairs(order, same_partners, max_pairs, generator)
    different = _draw_pairs(order, different_partners, max_pairs, generator)
    if same.shape[1] == 0:
        raise DataError("no class has two pictures, so there is no pair of the same kind; add pictures")
    if different.shape[1] == 0:
        raise DataError("all pictures are of one class, so there is no pair of different kinds; add a class")

    # One reading of the blocks serves both kinds: an iterator can be read only once.
    pairs = torch.cat([same, different], dim=1)
    if callable(distances):
        values = _check_finite(distances(*pairs).double().cpu(), pairs)
    else:
        values = _check_finite(_read_pairs(distances, len(classes), pairs, byte_budget), pairs)
    return PairDistribution(
        same=_quantiles(values[: same.shape[1]], quantiles),
        different=_quantiles(values[same.shape[1] :], quantiles),
        same_count=int((same_partners[1] - same_partners[0]).sum()),
        different_count=int((different_partners[1] - different_partners[0]).sum()),
    )


def _partner_ranges(classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pictures sorted by class [N], and per sorted picture the ranges [2, N] of its later partners.

    A range is (first, one past the last) in sorted positions; the first for partners of the same class, the
    second for those of other classes.
    """
    order = classes.argsort(stable=True)
    in_order = classes[order]
    class_end = torch.searchsorted(in_order, in_order, right=True)
    after_self = torch.arange(1, len(classes) + 1)
    set_end = torch.full_like(class_end, len(classes))
    return order, torch.stack([after_self, class_end]), torch.stack([class_end, set_end])


def _draw_pairs(order: Tensor, partners: Tensor, max_pairs: int, generator: torch.Generator) -> Tensor:
    """Return [2, P] picture indices (i, j), i < j, of all pairs or of `max_pairs` of them."""
    begin, end = partners
    numbers_end = (end - begin).cumsum(0)  # the pairs of sorted picture p are numbered up to here
    numbers = _draw_numbers(int(numbers_end[-1]), max_pairs, generator)
    first = torch.searchsorted(numbers_end, numbers, right=True)
    second = end[first] - (numbers_end[first] - numbers)
    pairs = torch.stack([order[first], order[second]])
    return torch.stack([pairs.amin(dim=0), pairs.amax(dim=0)])


def _draw_numbers(total: int, most: int, generator: torch.Generator) -> Tensor:
    """Return all of 0 .. total - 1, or one drawn from each of `most` nearly equal stretches of them."""
    if total <= most:
        return torch.arange(total)
    edges = torch.arange(most + 1) * total // most
    lengths = edges[1:] - edges[:-1]
    fractions = torch.rand(most, generator=generator, dtype=torch.float64)
    # The product may round up to the length itself, which belongs to the next stretch.
    return edges[:-1] + torch.minimum((fractions * lengths).long(), lengths - 1)


def _read_pairs(distances: Distances, count: int, pairs: Tensor, byte_budget: int) -> Tensor:
    """Return [P] float64: the distance of each pair, taken from the rows as they pass by."""
    by_row = pairs[0].argsort()
    rows = pairs[0][by_row]
    values = torch.empty(pairs.shape[1], dtype=torch.float64)
    # One boolean per distance: the check for NaN.
    rows_at_once = rows_within(byte_budget, count)
    for start, block in row_slices(distances, count, count, rows_at_once=rows_at_once):
        edges = torch.searchsorted(rows, torch.tensor([start, start + len(block)]))
        here = by_row[int(edges[0]) : int(edges[1])]
        i, j = pairs[:, here].to(block.device)
        values[here] = block[i - start, j].double().cpu()
    return values


def _check_finite(values: Tensor, pairs: Tensor) -> Tensor:
    """Return the distances of pairs [2, P] if all are finite."""
    broken = ~values.isfinite()
    if broken.any():
        i, j = pairs[:, int(broken.int().argmax())].tolist()
        raise DataError(f"the distance of pictures {i} and {j} is infinite; pair distances must be finite")
    return values


def _quantiles(values: Tensor, count: int) -> tuple[float, ...]:
    """Return evenly spaced quantiles, linear between neighbours, of float64 values [P]."""
    points: list[float] = np.quantile(values.numpy(), np.linspace(0.0, 1.0, count)).tolist()
    return tuple(points)
