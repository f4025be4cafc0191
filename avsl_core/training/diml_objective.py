"""What DIML learns from: a loss on pairs whose distances are structural, or any loss on the vectors."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core.models.base import SimilarityModel
from avsl_core.models.diml import DimlModel
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import gather_rows
from avsl_core.training.losses import MetricLoss, build_loss
from avsl_core.training.objectives import Objective

__all__ = ["DimlObjective"]


class DimlObjective(Objective):
    """Structural training (ICCV 2021, section 3.4) on plain embeddings.

    With a_i, b_j the cells, g the wholes and T the plan between the cells, which gets no gradient,

        d = (sum T |a_i - b_j| + |g_a - g_b|) / 2      for losses on distances (margin ...)
        s = sum T (S + cos) / 2                        for losses on similarities (multi-similarity)

    Each marginal belongs to its own picture: what a cell of a counts is its answer to b as a whole.
    """

    model: DimlModel

    @staticmethod
    def model_options(config: TrainConfig) -> dict[str, Any]:
        """A plain embedding of the recipe's backbone, and the matching."""
        backbone = {"name": config.backbone, "levels": config.levels}
        return {
            "base": {"backbone": backbone, "nodes": config.nodes, "pooling": config.pooling},
            "grid": config.diml.grid,
            "marginals": config.diml.marginals,
            "temperature": config.diml.temperature,
            "max_iterations": config.diml.max_iterations,
        }

    @property
    def head_model(self) -> SimilarityModel:
        """The embedding below."""
        return self.model.base

    def _proxy_widths(self) -> list[int]:
        return [self.model.base.embedded_width] if self.config.loss == "proxy_anchor" else []

    def _build_criterion(self) -> MetricLoss | None:
        config = self.config
        if config.loss == "proxy_anchor":
            return None
        width = self.model.base.embedded_width
        return build_loss(
            config.loss,
            self.num_classes,
            width,
            given=config.diml.structural,
            options=config.loss_options,
        )

    def _losses(self, maps: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        cells, whole = self.model.cells(maps)
        labels = gather_rows(labels)
        whole = gather_rows(whole)
        if self.criterion is None:
            proxies, positive = self._select(labels)
            loss = self._loss(2.0 - 2.0 * whole @ proxies[0].T, positive)
        elif not self.config.diml.structural:
            loss = self.criterion(whole, labels)
        else:
            loss = self.criterion(self._pairs(gather_rows(cells), whole), labels)
        return {"final": loss, "total": loss}

    def _pairs(self, cells: Tensor, whole: Tensor) -> Tensor:
        """Structural distances, or similarities, of all pairs of a batch, ``[B, B]``."""
        products = all_products(cells, whole)
        with torch.no_grad():
            T = self.model.plan(products)
        S, cosine = products[..., :-1, :-1], products[..., -1, -1]
        if self.config.loss == "multi_similarity":
            return (T * (S + cosine[..., None, None])).sum(dim=(-2, -1)) / 2
        return ((T * _length(S)).sum(dim=(-2, -1)) + _length(cosine)) / 2


def all_products(cells: Tensor, whole: Tensor) -> Tensor:
    """The products of :func:`avsl_core.functional.structural_products` for all pairs of a batch.

    Args:
        cells: ``[B, N, C]``.
        whole: ``[B, C]``.

    Returns:
        ``[B, B, N + 1, N + 1]``.
    """
    ends = torch.cat([cells, whole[:, None]], dim=1)
    count, size = ends.shape[:2]
    flat = ends.flatten(0, 1)
    return (flat @ flat.T).view(count, size, count, size).transpose(1, 2)


def _length(cosine: Tensor) -> Tensor:
    """Distance of unit vectors from their cosine; the root has no slope where they are equal."""
    squared = F.relu(2.0 - 2.0 * cosine)
    return torch.where(squared > 1e-7, squared.clamp_min(1e-7).sqrt(), 0.0 * squared)
