"""What every kind of search shares: measuring chosen pairs, and refusing what cannot be searched for."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import Measure, Rows
from avsl_core.search.source import RowSource

__all__ = ["ALIKE", "both_masks", "check_search", "column_weights", "measure_pairs"]

ALIKE = 16
"""Matrix products of a multiple of so many rows round each row alike, if the parts are as many columns wide.

So copies of a picture come out equally far, to the bit, and in the order of their numbers. With parts whose
width is no multiple of 16 the last bit may depend on a row's place in the list.
"""

_PAIRS = 512  # measured at once: their intermediates stay in the cache
_LARGEST_WEIGHT = 1e6
_LARGEST_NUMBER = 1e15


def measure_pairs(
    measure: Measure, queries: Rows, source: RowSource, pairs: tuple[Tensor, Tensor], device: torch.device
) -> Tensor:
    """Measure pairs part by part, each pair giving the same bits wherever it stands in the list.

    Args:
        measure: On the device.
        queries: On the device.
        source: Of the other side.
        pairs: Places in ``queries`` and row numbers, ``[B]`` each.
        device: That computes.

    Returns:
        ``[B, P]``.
    """
    first, second = pairs
    # Products whose number of rows is no such multiple take other paths, which round differently.
    short = -len(first) % ALIKE
    if short:
        first, second = (torch.cat([side, side[-1:].expand(short)]) for side in (first, second))
    parts = [
        measure.part_distances(
            queries[first[start : start + _PAIRS]], source.gather(second[start : start + _PAIRS]).to(device)
        )
        for start in range(0, len(first), _PAIRS)
    ]
    return torch.cat(parts)[: len(pairs[0])]


def column_weights(measure: Measure, part_weights: Sequence[float]) -> Tensor:
    """What each column counts, ``[D]``, given what each part counts."""
    return torch.tensor(part_weights, dtype=torch.float32).repeat_interleave(torch.tensor(measure.widths))


def both_masks(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Rows that both masks let through; None lets all through."""
    if one is None or other is None:
        return other if one is None else one
    return one & other.to(one.device)


def check_search(
    measure: Measure,
    source: RowSource,
    queries: Rows,
    k: int,
    part_weights: Sequence[float] | None,
    allowed: Tensor | None,
    exclude: Tensor | None,
) -> None:
    """Refuse what cannot be searched for.

    Raises:
        ConfigError: If k, the weights, or the shape of ``allowed`` or ``exclude`` do not fit.
        EncodingError: If the queries are not of this measure, or not finite.
    """
    if k < 1:
        raise ConfigError(f"k is {k}: ask for at least 1 neighbour")
    measure.check(queries)
    for numbers in (queries.vectors, queries.gates):
        if not bool((numbers.abs() <= _LARGEST_NUMBER).all()):  # false for NaN as well
            raise EncodingError(
                "a query holds numbers that are not finite, or far too large; check picture and model"
            )
    if part_weights is not None:
        values = [float(weight) for weight in part_weights]
        names = ", ".join(measure.parts)
        if len(values) != len(measure.parts):
            raise ConfigError(
                f"{len(values)} weights for {len(measure.parts)} parts ({names}): give one each"
            )
        if not all(0.0 <= value <= _LARGEST_WEIGHT for value in values) or not any(values):
            raise ConfigError(f"weights {values} of {names}: each from 0 to 1,000,000, and not all 0")
    if allowed is not None and (allowed.dtype != torch.bool or allowed.shape != (len(source),)):
        raise ConfigError(f"allowed must be {len(source)} booleans, one per row")
    if exclude is not None and (exclude.dtype != torch.int64 or exclude.shape != (len(queries),)):
        raise ConfigError(f"exclude must be {len(queries)} row numbers (int64), one per query")
