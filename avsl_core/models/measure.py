"""What search needs of a method: a row of numbers per picture, the distance between rows, a bound on it.

A :class:`Measure` is a frozen copy of what decides a model's distances, without the network. It lets a
gallery store flat rows and lets search work on them, whatever the method.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from avsl_core.errors import EncodingError

__all__ = ["EuclideanMeasure", "Measure", "Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures as search sees them, one row each.

    Attributes:
        vectors: ``[B, D]``: what is compared. The parts of the distance own consecutive columns.
        gates: ``[B, G]``: what else the distance of a pair needs, such as what decides how much each column
            counts; G may be 0.
    """

    vectors: Tensor
    gates: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, index: slice | Tensor) -> Self:
        return type(self)(self.vectors[index], self.gates[index])

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """Move to a device, or convert to a number type."""
        return type(self)(self.vectors.to(target), self.gates.to(target))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join batches of one measure, in the order given; at least one."""
        return cls(torch.cat([part.vectors for part in parts]), torch.cat([part.gates for part in parts]))


class Measure(ABC):
    """The distance of a method on rows, in named parts, with a lower bound that search can afford.

    Attributes:
        parts: Names of the parts, as in the model's explanations, from low to high.
        widths: Columns of ``Rows.vectors`` that each part owns, in the same order; 0 for a part that is
            measured on gates alone and has no bound but zero.
        gates: Columns of ``Rows.gates``.
    """

    parts: tuple[str, ...]
    widths: tuple[int, ...]
    gates: int

    @property
    def dimensions(self) -> int:
        """D, columns of ``Rows.vectors``."""
        return sum(self.widths)

    @abstractmethod
    def part_distances(self, a: Rows, b: Rows) -> Tensor:
        """Measure pairs part by part.

        Args:
            a: B rows, or one that is compared with each of b.
            b: B rows, or one.

        Returns:
            ``[B, P]``, not negative; the sum over parts is the model's distance.
        """

    @abstractmethod
    def bound_weights(self, queries: Rows, low: Tensor, high: Tensor) -> Tensor:
        """Weigh columns so that the weighted squared differences never exceed the distance.

        For every row y with ``low <= y.gates <= high``, every query x and each part p: the sum over p's
        columns of w (x - y)^2 is at most ``part_distances(x, y)[p]``. With ``low == high`` the two are equal.

        Args:
            queries: Q rows.
            low: Least gates of the rows to bound, ``[G]``.
            high: Their greatest, ``[G]``.

        Returns:
            w, ``[Q, D]``, not negative.
        """

    @abstractmethod
    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """The same measure on another device or in another number type."""

    def typical_weights(self, gates: Tensor) -> Tensor:
        """What each column counts between two pictures of the same gates: ``[G]`` to ``[D]``."""
        picture = Rows(gates.new_zeros(1, self.dimensions), gates[None])
        return self.bound_weights(picture, gates, gates)[0]

    def distances(self, a: Rows, b: Rows) -> Tensor:
        """Measure pairs, ``[B]``: the model's distance."""
        return self.part_distances(a, b).sum(dim=1)

    def check(self, rows: Rows) -> None:
        """Refuse rows of another model.

        Raises:
            EncodingError: If the widths differ.
        """
        given = (rows.vectors.shape[1], rows.gates.shape[1])
        if given != (self.dimensions, self.gates):
            raise EncodingError(
                f"rows of {given[0]} numbers and {given[1]} gates do not fit this model "
                f"({self.dimensions} and {self.gates}): encode with one model"
            )


class EuclideanMeasure(Measure):
    """A squared Euclidean distance in parts, each with a fixed factor; the bound is the distance.

    Args:
        parts: Names.
        widths: Columns of each part.
        factors: What each part's squared distance is multiplied with, not negative.
    """

    def __init__(self, parts: Sequence[str], widths: Sequence[int], factors: Sequence[float]) -> None:
        self.parts, self.widths, self.gates = tuple(parts), tuple(widths), 0
        self.factors = tuple(factors)

    def part_distances(self, a: Rows, b: Rows) -> Tensor:
        """Sum the squared differences of each part's columns."""
        squared = torch.split((a.vectors - b.vectors).square(), list(self.widths), dim=1)
        sums = [f * part.sum(dim=1) for f, part in zip(self.factors, squared, strict=True)]
        return torch.stack(sums, dim=1)

    def bound_weights(self, queries: Rows, low: Tensor, high: Tensor) -> Tensor:
        """The factors, repeated over each part's columns."""
        columns = [
            queries.vectors.new_full((width,), factor)
            for width, factor in zip(self.widths, self.factors, strict=True)
        ]
        return torch.cat(columns).expand(len(queries), -1)

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """Itself: it holds no tensors."""
        return self
