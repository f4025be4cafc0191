"""What CGD learns from: any ranking loss on the joined descriptors, and a classifier on the first of them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsl_core.errors import ConfigError
from avsl_core.models.base import SimilarityModel
from avsl_core.models.cgd import CgdModel
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import gather_rows
from avsl_core.training.losses import MetricLoss, build_loss
from avsl_core.training.objectives import Objective

__all__ = ["CgdObjective"]


class CgdObjective(Objective):
    """Ranking and auxiliary classification loss of CGD (Jun et al., 2019, sections 3.2 and 3.3).

    The classifier sees the first descriptor before its projection. It is part of the training only: the
    model, and so its checkpoint, has none.
    """

    model: CgdModel

    def __init__(
        self,
        model: SimilarityModel,
        config: TrainConfig,
        num_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(model, config, num_classes, generator)
        if config.batch_size // config.accumulation < 2:
            raise ConfigError(
                f"accumulation={config.accumulation}: CGD's batch-norm needs 2 pictures or more in each part"
            )
        weighted = config.cgd.auxiliary_weight > 0
        channels = model.trunk.channels[0]
        self.auxiliary = _classifier(channels, num_classes, generator) if weighted else None

    @staticmethod
    def model_options(config: TrainConfig) -> dict[str, Any]:
        """Backbone, descriptors and nodes."""
        backbone = {
            "name": config.backbone,
            "levels": config.levels,
            "undownsampled": config.cgd.undownsampled,
        }
        return {"backbone": backbone, "descriptors": config.cgd.descriptors, "nodes": config.nodes}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """As of every objective; the classifier learns at the rate of the heads."""
        groups = super().parameter_groups()
        if self.auxiliary is not None:
            heads = next(group for group in groups if group["name"] == "heads")
            heads["params"] = [*heads["params"], *self.auxiliary.parameters()]
        return groups

    def _proxy_widths(self) -> list[int]:
        # A part for each descriptor, as the pictures' vectors have.
        return [self.model.width] * len(self.model.projections) if self.config.loss == "proxy_anchor" else []

    def _build_criterion(self) -> MetricLoss | None:
        config = self.config
        if config.loss == "proxy_anchor":
            return None
        return build_loss(config.loss, self.num_classes, self.model.config.nodes, options=config.loss_options)

    def _losses(self, maps: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        pooled = self.model.pooled(maps)
        labels = gather_rows(labels)
        nodes = [F.normalize(gather_rows(e), dim=1) for e in self.model.project(pooled)]
        losses = {"rank": self._rank(nodes, labels)}
        total = losses["rank"]
        if self.auxiliary is not None:
            options = self.config.cgd
            # All processes' rows, so that batch-norm sees the same batch on each of them.
            logits = self.auxiliary(gather_rows(pooled[0])) / options.auxiliary_temperature
            losses["auxiliary"] = F.cross_entropy(logits, labels, label_smoothing=options.smoothing)
            total = total + options.auxiliary_weight * losses["auxiliary"]
        losses["total"] = total
        return losses

    def _rank(self, nodes: Sequence[Tensor], labels: Tensor) -> Tensor:
        if self.criterion is not None:
            loss: Tensor = self.criterion(torch.cat(list(nodes), dim=1) / math.sqrt(len(nodes)), labels)
            return loss
        proxies, positive = self._select(labels)
        distances = [2.0 - 2.0 * n @ p.T for n, p in zip(nodes, proxies, strict=True)]
        return self._loss(torch.stack(distances).mean(dim=0), positive)


def _classifier(channels: int, classes: int, generator: torch.Generator | None) -> nn.Sequential:
    linear = nn.Linear(channels, classes)
    # torch's own start, by the run's generator.
    nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=generator)
    nn.init.uniform_(linear.bias, -1 / math.sqrt(channels), 1 / math.sqrt(channels), generator=generator)
    return nn.Sequential(nn.BatchNorm1d(channels), linear)
