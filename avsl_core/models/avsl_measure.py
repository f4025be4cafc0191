"""The AVSL distance on flat rows, for search."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.measure import Measure, Rows

__all__ = ["AvslMeasure"]


class AvslMeasure(Measure):
    """The ledger's form of the distance: weights from the top down, times squared node differences.

    Rows hold all levels' nodes side by side, and the certainties of levels 2 to L as gates.

    Args:
        alphas: ``[R]`` for levels 2 to L.
        betas: ``[R]`` for the same levels.
        normalized_linkages: W, ``[R, R]`` for the same levels.
        gamma: Steepness of the gate.
    """

    def __init__(
        self,
        alphas: Sequence[Tensor],
        betas: Sequence[Tensor],
        normalized_linkages: Sequence[Tensor],
        gamma: float,
    ) -> None:
        self.alphas, self.betas = [a.detach().clone() for a in alphas], [b.detach().clone() for b in betas]
        self.linkages, self.gamma = [W.detach().clone() for W in normalized_linkages], gamma
        self.widths = (self.linkages[0].shape[0], *(W.shape[1] for W in self.linkages))
        self.parts = tuple(f"level{level + 1}" for level in range(len(self.widths)))
        self.gates = sum(self.widths[1:])

    def part_distances(self, a: Rows, b: Rows) -> Tensor:
        """Unroll the recursion for each pair, as :func:`avsl_core.functional.top_down_weights`."""
        gates = [
            AF.gate(s, t, alpha, beta, gamma=self.gamma)
            for s, t, alpha, beta in zip(
                self._levels(a.gates), self._levels(b.gates), self.alphas, self.betas, strict=True
            )
        ]
        weights = AF.top_down_weights(gates, self.linkages)
        squared = torch.split((a.vectors - b.vectors).square(), list(self.widths), dim=1)
        sums = [torch.linalg.vecdot(w, d) for w, d in zip(weights, squared, strict=True)]
        return torch.stack(sums, dim=1)

    def bound_weights(self, queries: Rows, low: Tensor, high: Tensor) -> Tensor:
        """Limit P over the rows, see :mod:`avsl_core.functional.bound`."""
        limits = [
            AF.gate_range(s, least, greatest, alpha, beta, gamma=self.gamma)
            for s, least, greatest, alpha, beta in zip(
                self._levels(queries.gates),
                self._levels(low),
                self._levels(high),
                self.alphas,
                self.betas,
                strict=True,
            )
        ]
        least, greatest = zip(*limits, strict=True)
        return torch.cat(AF.lower_bound_weights(least, greatest, self.linkages), dim=1)

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """The same measure on another device or in another number type."""
        return type(self)(
            [a.to(target) for a in self.alphas],
            [b.to(target) for b in self.betas],
            [W.to(target) for W in self.linkages],
            self.gamma,
        )

    def _levels(self, gates: Tensor) -> tuple[Tensor, ...]:
        return torch.split(gates, list(self.widths[1:]), dim=-1)
