"""Distances by rows: one checked stream of slices, whether a matrix or an iterator of blocks came in.

A set of 60,000 pictures has 3.6 billion distances, 14 GB in float32, so no metric asks for the whole
matrix. Every metric reads its distances through `row_slices`, which holds one slice at a time.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, DataError

__all__ = ["Distances", "Labels", "as_labels", "row_slices", "rows_within"]

Distances = Tensor | Iterable[tuple[int, Tensor]]
"""The whole matrix [Q, G], or blocks of its rows as (first row, [b, G]), in any order, each row once."""

Labels = Tensor | Sequence[int]
"""One whole number per picture."""


def as_labels(labels: Labels, name: str) -> Tensor:
    """Return labels as an int64 tensor [N] on the CPU.

    Args:
        labels: [N] whole numbers; equal numbers mean the same class.
        name: what the caller calls them, for the message.

    Raises:
        DataError: empty, not one-dimensional, or not whole numbers.
    """
    if len(labels) == 0:
        raise DataError(f"{name} is empty; give one class number per picture")
    try:
        tensor = torch.as_tensor(labels).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} are not whole numbers ({error}); number the classes first") from error
    if tensor.ndim != 1:
        raise DataError(f"{name} have shape {list(tensor.shape)}; give one class number per picture, [N]")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise DataError(f"{name} are {tensor.dtype}, not whole numbers; number the classes first")
    return tensor.long()


def row_slices(
    distances: Distances, queries: int, gallery: int, *, rows_at_once: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield (first row, [b, G]) slices of at most `rows_at_once` rows that together hold every row once.

    Slices are views of what came in, detached, on the device and in the precision they came in.

    Args:
        distances: the whole matrix [Q, G], or blocks of its rows.
        queries: Q, the number of rows there must be.
        gallery: G, the number of columns there must be.
        rows_at_once: the most rows in one slice, at least 1.

    Raises:
        DataError: a wrong shape, a type that is not floating point, NaN, or a row missing or given twice.
    """
    given = torch.zeros(queries, dtype=torch.bool)
    blocks = [(0, distances)] if isinstance(distances, Tensor) else distances
    for start, block in blocks:
        _check_block(start, block, queries, gallery)
        rows_given = given[start : start + len(block)]
        if rows_given.any():
            row = start + int(rows_given.int().argmax())
            raise DataError(f"the distances of query {row} were given twice; give every row once")
        rows_given.fill_(True)
        for offset in range(0, len(block), rows_at_once):
            piece = block[offset : offset + rows_at_once].detach()
            _check_numbers(start + offset, piece)
            yield start + offset, piece
    if not given.all():
        row = int(given.int().argmin())
        raise DataError(f"the distances of query {row} are missing; {queries} labels need {queries} rows")


def rows_within(byte_budget: int, bytes_per_row: int) -> int:
    """Return how many rows fit into a byte budget, and at least one.

    Raises:
        ConfigError: the budget is not positive.
    """
    if byte_budget < 1:
        raise ConfigError(f"byte_budget is {byte_budget}; give a positive number of bytes")
    return max(1, byte_budget // max(1, bytes_per_row))


def _check_block(start: int, block: Tensor, queries: int, gallery: int) -> None:
    """Refuse a block that cannot be rows of a [queries, gallery] matrix."""
    if block.ndim != 2 or block.shape[1] != gallery:
        raise DataError(
            f"distances have shape {list(block.shape)}; "
            f"with {gallery} gallery labels they must be [rows, {gallery}]"
        )
    if start < 0 or start + len(block) > queries:
        raise DataError(
            f"distances of queries {start} to {start + len(block) - 1} do not fit {queries} query labels; "
            "give as many rows as labels"
        )
    if not block.is_floating_point():
        raise DataError(f"distances are {block.dtype}; convert them to float32 or float64")


def _check_numbers(start: int, block: Tensor) -> None:
    """Refuse NaN, which has no place in an order."""
    broken = block.isnan().any(dim=1)
    if broken.any():
        row = start + int(broken.int().argmax())
        raise DataError(f"the distances of query {row} contain NaN; check that picture and the model")
