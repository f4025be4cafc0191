"""What search needs of DIML: the base's measure, and structural matching of the cells in the gates."""

from typing import Self

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.measure import Measure, Rows

__all__ = ["DimlMeasure"]


class DimlMeasure(Measure):
    """The base's distance, weighted, plus one less the structural similarity.

    The matching has no bound but zero: exact search measures every picture whose base distance leaves a
    chance. Cells and whole follow the base's gates in ``Rows.gates``.

    Args:
        base: Of the method below.
        cells: Cells of a picture.
        channels: Length of a cell's vector.
        base_weight: What the base's distance is multiplied with.
        marginals: What a cell counts.
        temperature: Of the transport's kernel.
        max_iterations: Most Sinkhorn steps.
    """

    def __init__(
        self,
        base: Measure,
        cells: int,
        channels: int,
        *,
        base_weight: float,
        marginals: AF.Marginals,
        temperature: float,
        max_iterations: int,
    ) -> None:
        self.base, self.cells, self.channels, self.marginals = base, cells, channels, marginals
        self.base_weight = base_weight
        self.temperature, self.max_iterations = temperature, max_iterations
        self.parts, self.widths = (*base.parts, "structure"), (*base.widths, 0)
        self.gates = base.gates + (cells + 1) * channels

    def part_distances(self, a: Rows, b: Rows) -> Tensor:
        """The base's parts, weighted, and the structure, ``[B, P + 1]``."""
        parts = self.base.part_distances(self._base(a), self._base(b)) * self.base_weight
        products = self._ends(a) @ self._ends(b).transpose(1, 2)
        return torch.cat([parts, self.unlike(products)[:, None]], dim=1)

    def unlike(self, products: Tensor) -> Tensor:
        """One less the structural similarity, ``[...]``, not negative, from ``[..., N + 1, N + 1]``."""
        similarity = (self.plan(products) * products[..., :-1, :-1]).sum(dim=(-2, -1))
        return (1.0 - similarity).clamp_min(0.0)

    def plan(self, products: Tensor) -> Tensor:
        """Transport plans ``[..., N, N]``."""
        return AF.structural_plan(
            products,
            marginals=self.marginals,
            temperature=self.temperature,
            max_iterations=self.max_iterations,
        )

    def bound_weights(self, queries: Rows, low: Tensor, high: Tensor) -> Tensor:
        """The base's weights, weighted as its distance."""
        own = self.base.gates
        return self.base.bound_weights(self._base(queries), low[:own], high[:own]) * self.base_weight

    def to(self, target: torch.device | torch.dtype | str) -> Self:
        """The same measure with the base's elsewhere."""
        return type(self)(
            self.base.to(target),
            self.cells,
            self.channels,
            base_weight=self.base_weight,
            marginals=self.marginals,
            temperature=self.temperature,
            max_iterations=self.max_iterations,
        )

    def _base(self, rows: Rows) -> Rows:
        return Rows(rows.vectors, rows.gates[:, : self.base.gates])

    def _ends(self, rows: Rows) -> Tensor:
        """Cells and whole, ``[B, N + 1, C]``."""
        return rows.gates[:, self.base.gates :].view(len(rows), self.cells + 1, self.channels)
