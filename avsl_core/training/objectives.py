"""What a method learns from: named losses over a batch, and the parameters with their own rates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsl_core import functional as AF
from avsl_core.models.avsl import AvslModel
from avsl_core.models.backbone import TrainableStages
from avsl_core.models.base import SimilarityModel
from avsl_core.models.embedding import EmbeddingModel
from avsl_core.precision import trunk_precision
from avsl_core.training.config import TrainConfig
from avsl_core.training.distributed import gather_rows, mean_over_processes
from avsl_core.training.losses import MetricLoss, build_loss

__all__ = ["AvslObjective", "EmbeddingObjective", "Objective", "keep_layout_of_gradients"]


class Objective(nn.Module, ABC):
    """A model with the proxies and losses that train it.

    Args:
        model: What is trained.
        config: The recipe.
        num_classes: Training classes.
        generator: Randomness of the proxies.
    """

    def __init__(
        self,
        model: SimilarityModel,
        config: TrainConfig,
        num_classes: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.num_classes = num_classes
        widths = self._proxy_widths()
        self.proxies = nn.ParameterList([_proxies(num_classes, width, generator) for width in widths])
        self.criterion = self._build_criterion()

    @staticmethod
    @abstractmethod
    def model_options(config: TrainConfig) -> dict[str, Any]:
        """The part of a recipe that shapes the model, as :func:`avsl_core.models.build_model` takes it."""

    @property
    def head_model(self) -> SimilarityModel:
        """Whose ``pooled`` features and ``projections`` the heads are: the model itself, or one inside."""
        return self.model

    def begin_epoch(self, epoch: int) -> None:
        """Get ready for an epoch, counted from 0: called before each, also after resuming."""

    def set_trainable(self, stages: TrainableStages) -> None:
        """Choose what of the trunk learns in the epoch that has begun."""
        self.model.trunk.set_trainable(stages)

    @property
    def judged(self) -> SimilarityModel:
        """What validation judges and the checkpoint keeps, as things stand in the epoch that has begun."""
        return self.model

    def judges_anew_at(self, epoch: int) -> bool:
        """Whether what is judged from an epoch on cannot be compared with what was judged before it."""
        return False

    def forward(
        self, inputs: Tensor | Sequence[Tensor], labels: Tensor, pictures: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the losses of one batch.

        Args:
            inputs: Pictures ``[B, 3, S, S]``, or the trunk's maps, one per level.
            labels: ``[B]``, dense.
            pictures: Which training pictures they are, ``[B]``; None if that is not known.

        Returns:
            Scalars by name; ``"total"`` is the one to minimise.
        """
        if isinstance(inputs, Tensor):
            with trunk_precision(self.config.amp, inputs.device):
                inputs = self.model.trunk_maps(inputs)
            keep_layout_of_gradients(inputs)
        return self._losses(inputs, labels)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates, named trunk, heads, gates and proxies."""
        trunk = [p for part in self.model.trunks for p in part.parameters()]
        gates = self._gates()
        taken = {id(p) for p in [*trunk, *gates]}
        heads = [p for p in self.model.parameters() if id(p) not in taken]
        learned = [] if self.criterion is None else list(self.criterion.parameters())
        config = self.config
        groups = [
            {"name": "trunk", "params": trunk, "lr": config.lr_trunk},
            {"name": "heads", "params": heads, "lr": config.lr_heads},
            {"name": "gates", "params": gates, "lr": config.lr_gates},
            {"name": "proxies", "params": [*self.proxies, *learned], "lr": config.lr_proxies},
        ]
        return [group for group in groups if group["params"]]

    @abstractmethod
    def _proxy_widths(self) -> list[int]:
        """Length of the proxies of each level."""

    @abstractmethod
    def _losses(self, maps: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The method's losses from the trunk's maps."""

    def _gates(self) -> list[nn.Parameter]:
        return []

    def _build_criterion(self) -> MetricLoss | None:
        """A loss of :mod:`avsl_core.training.losses` with its parameters; None for those on proxies here."""
        return None

    def _select(self, labels: Tensor) -> tuple[list[Tensor], Tensor]:
        """Normalised proxies in use, and which of them is positive for which picture."""
        classes = torch.arange(self.num_classes, device=labels.device)
        if self.num_classes > self.config.all_proxies_up_to:
            classes = torch.unique(labels)
        chosen = [F.normalize(proxies[classes], dim=1) for proxies in self.proxies]
        return chosen, labels[:, None] == classes[None]

    def _loss(self, distances: Tensor, is_positive: Tensor) -> Tensor:
        config = self.config
        if config.loss == "margin":
            middle = (config.positive_margin + config.negative_margin) / 2
            half = (config.negative_margin - config.positive_margin) / 2
            return AF.margin_loss(distances, is_positive, beta=middle, margin=half)
        return AF.proxy_anchor_loss(
            distances,
            is_positive,
            alpha=config.loss_alpha,
            positive_margin=config.positive_margin,
            negative_margin=config.negative_margin,
        )


class AvslObjective(Objective):
    """Proxy-Anchor, or margin on the pairs of a batch, on every level and on the final distance.

    CVPR 2022, section 3.5.

    The final loss sees detached node distances: it teaches alpha and beta, the level losses teach the
    rest.
    """

    model: AvslModel

    @staticmethod
    def model_options(config: TrainConfig) -> dict[str, Any]:
        """Backbone, nodes, and what shapes linkage and gates."""
        return {
            "backbone": {"name": config.backbone, "levels": config.levels},
            "nodes": config.nodes,
            "top_k": config.top_k,
            "gamma": config.gamma,
            "certainty": config.certainty,
            "momentum": config.momentum,
        }

    def _proxy_widths(self) -> list[int]:
        return [self.model.config.nodes] * self.model.levels

    def _gates(self) -> list[nn.Parameter]:
        return [*self.model.alphas, *self.model.betas]

    def _losses(self, maps: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        model = self.model
        heads = model.nodes(maps)
        A = heads.activation_maps
        links = [mean_over_processes(AF.linkage(low, high)) for low, high in pairwise(A)]
        if self.training:
            model.update_linkage(links)
        labels = gather_rows(labels)
        nodes = [F.normalize(gather_rows(e), dim=1) for e in heads.embeddings]
        certainties = [gather_rows(s) for s in heads.certainties]
        if self.config.loss == "margin":
            level_distances, final, positive = self._distances_to_each_other(nodes, certainties, labels)
        else:
            proxies, positive = self._select(labels)
            level_distances = [2.0 - 2.0 * n @ p.T for n, p in zip(nodes, proxies, strict=True)]
            final = self._final_distance(nodes, certainties, proxies)
        losses = {"final": self._loss(final, positive)}
        total = self.config.final_weight * losses["final"]
        for level, (distance, weight) in enumerate(
            zip(level_distances, self.config.level_weights, strict=True), start=1
        ):
            losses[f"level{level}"] = self._loss(distance, positive)
            total = total + weight * losses[f"level{level}"]
        losses["total"] = total
        return losses

    def _distances_to_each_other(
        self, nodes: Sequence[Tensor], certainties: Sequence[Tensor], labels: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Distances of all pairs of the batch without the pictures themselves, ``[B, B - 1]`` each."""
        model = self.model
        others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)

        def without_self(matrix: Tensor) -> Tensor:
            return matrix[others].view(len(labels), -1)

        detached = [n.detach() for n in nodes]
        unused = model.alphas[0]
        final = AF.pairwise_avsl_distance(
            [n[:, None] for n in detached],
            [s[:, None] for s in certainties],
            [n[None] for n in detached],
            [s[None] for s in certainties],
            model.normalized_linkages,
            [unused, *model.alphas],
            [unused, *model.betas],
            gamma=model.config.gamma,
        )
        levels = [without_self(2.0 - 2.0 * n @ n.T) for n in nodes]
        return levels, without_self(final), without_self(labels[:, None] == labels[None])

    def _final_distance(
        self, nodes: Sequence[Tensor], certainties: Sequence[Tensor], proxies: Sequence[Tensor]
    ) -> Tensor:
        """Distances to all proxies, ``[B, proxies]``, by matrix products.

        A proxy has no picture: its certainty is the level's mean over the batch, the same for all. The
        gates, and with them the top-down weights, therefore depend on the picture only, and the recursion
        becomes a weighted squared distance per level.
        """
        model = self.model
        gates = [
            AF.gate(s, s.mean(), alpha, beta, gamma=model.config.gamma)
            for s, alpha, beta in zip(certainties[1:], model.alphas, model.betas, strict=True)
        ]
        weights = AF.top_down_weights(gates, model.normalized_linkages)
        parts = [
            AF.weighted_squared_distance(n.detach(), p.detach(), w)
            for n, p, w in zip(nodes, proxies, weights, strict=True)
        ]
        return torch.stack(parts).sum(dim=0)


class EmbeddingObjective(Objective):
    """Any loss on the concatenated embedding; Proxy-Anchor is the usual one (Kim et al., CVPR 2020)."""

    model: EmbeddingModel

    @staticmethod
    def model_options(config: TrainConfig) -> dict[str, Any]:
        """Backbone, nodes and pooling."""
        backbone = {"name": config.backbone, "levels": config.levels}
        return {"backbone": backbone, "nodes": config.nodes, "pooling": config.pooling}

    def _widths(self) -> list[int]:
        width = self.model.config.nodes
        return [width or channels for channels in self.model.trunk.channels]

    def _proxy_widths(self) -> list[int]:
        return self._widths() if self.config.loss == "proxy_anchor" else []

    def _build_criterion(self) -> MetricLoss | None:
        config = self.config
        if config.loss == "proxy_anchor":
            return None
        return build_loss(config.loss, self.num_classes, sum(self._widths()), options=config.loss_options)

    def _losses(self, maps: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        labels = gather_rows(labels)
        nodes = [F.normalize(gather_rows(e), dim=1) for e in self.model.embeddings(maps)]
        if self.criterion is not None:
            loss = self.criterion(torch.cat(nodes, dim=1) / math.sqrt(len(nodes)), labels)
            return {"final": loss, "total": loss}
        proxies, positive = self._select(labels)
        distances = [2.0 - 2.0 * n @ p.T for n, p in zip(nodes, proxies, strict=True)]
        final = self._loss(torch.stack(distances).mean(dim=0), positive)
        return {"final": final, "total": final}


def _proxies(classes: int, width: int, generator: torch.Generator | None) -> Tensor:
    proxies = torch.empty(classes, width)
    nn.init.kaiming_normal_(proxies, mode="fan_out", generator=generator)
    return proxies


def keep_layout_of_gradients(maps: Sequence[Tensor]) -> None:
    """Hand gradients back to a channels-last trunk as it likes them.

    Pooling returns them in the plain layout, and every layer below would then reorder or run its slow path.
    """
    for level in maps:
        if level.requires_grad and level.is_contiguous(memory_format=torch.channels_last):
            level.register_hook(_channels_last)  # type: ignore[no-untyped-call]


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)
