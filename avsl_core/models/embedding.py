"""Plain embeddings: frozen pooled features, or one learned vector per level, compared by squared distance.

The baselines that AVSL is measured against, behind the same interface.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models.backbone import Backbone, BackboneConfig
from avsl_core.models.base import Encoding, Role, check_pair, check_widths
from avsl_core.models.euclidean import EuclideanModel
from avsl_core.models.explanation import Component, Explanation
from avsl_core.models.heads import kaiming_fan_out
from avsl_core.models.likeness import CellShares, common_grid, likeness_of
from avsl_core.models.measure import EuclideanMeasure, Rows
from avsl_core.models.split import cell_coefficients, split_levels

__all__ = ["EmbeddingConfig", "EmbeddingEncoding", "EmbeddingModel"]


@dataclass(frozen=True)
class EmbeddingConfig:
    """Everything that shapes a plain embedding.

    Attributes:
        backbone: Trunk and levels; several levels are concatenated, each with equal weight.
        nodes: Length of the learned vector per level; 0 compares the pooled features themselves.
        pooling: ``"avg"``, or ``"avgmax"`` for average plus maximum.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(levels=(4,)))
    nodes: int = 512
    pooling: Literal["avg", "avgmax"] = "avgmax"

    def __post_init__(self) -> None:
        if self.nodes < 0:
            raise ConfigError(f"nodes must be 0 (no projection) or more, not {self.nodes}")
        if self.pooling not in ("avg", "avgmax"):
            raise ConfigError(f'pooling must be "avg" or "avgmax", not {self.pooling!r}')


@dataclass(frozen=True, eq=False)
class EmbeddingEncoding(Encoding):
    """One normalised vector per level, ``[B, D]``; with norms and maps as in AVSL's encoding."""

    nodes: tuple[Tensor, ...]
    norms: tuple[Tensor, ...]
    maps: tuple[Tensor, ...] | None = None


class EmbeddingModel(EuclideanModel):
    """Pooled maps, optionally projected; distance = mean over levels of the squared distance, in [0, 4].

    Args:
        config: The model's shape.
        weights: Source of the trunk's first weights.
        generator: Randomness of the projections' initialisation.
    """

    method: ClassVar[str] = "embedding"

    def __init__(
        self, config: EmbeddingConfig, weights: str = "none", *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.trunk = Backbone(config.backbone, weights)
        shape = [(config.nodes, channels) for channels in self.trunk.channels] if config.nodes else []
        self.projections = nn.ParameterList([kaiming_fan_out(s, generator) for s in shape])
        self.biases = nn.ParameterList([torch.zeros(config.nodes) for _ in shape])

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.trunk.channels)

    def embeddings(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Pool and project, ``[B, D]`` per level, not normalised, with gradient."""
        pooled = self.pooled(maps)
        if not self.config.nodes:
            return pooled
        return [
            F.linear(p, w.to(p), b.to(p))
            for p, w, b in zip(pooled, self.projections, self.biases, strict=True)
        ]

    def pooled(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Average, or average plus maximum, as configured: ``[B, C]`` per level."""
        if self.config.pooling == "avgmax":
            return super().pooled(maps)
        return [m.mean(dim=(2, 3)) for m in maps]

    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> EmbeddingEncoding:
        """Encode from the trunk's maps."""
        embeddings = self.embeddings(maps)
        return EmbeddingEncoding(
            nodes=tuple(F.normalize(e, dim=1) for e in embeddings),
            norms=tuple(e.norm(dim=1).clamp_min(1e-12) for e in embeddings),
            maps=tuple(maps) if keep_maps else None,
        )

    @property
    def embedded_width(self) -> int:
        """Length of the highest level's vector."""
        return self._widths[-1]

    def embedded_map(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The highest level, projected cell by cell where there is a projection, and its embedding."""
        embedded, whole = maps[-1], self.embeddings(maps)[-1]
        if self.config.nodes:
            weight, bias = self.projections[-1].to(embedded), self.biases[-1].to(embedded)
            embedded = F.conv2d(embedded, weight[:, :, None, None], bias)
        return embedded, whole

    @torch.no_grad()
    def explain(self, a: Encoding, b: Encoding, *, split: AF.Split = "matched") -> Explanation:
        """Account for one pair exactly: a value and two signed maps per level, in float64.

        Args:
            a: First picture.
            b: Second picture.
            split: How a difference is spread over cells; any choice adds up.

        Raises:
            EncodingError: If an encoding is not one picture of this method with its maps.
            ConfigError: If there is no such split.
        """
        check_pair(a, b, EmbeddingEncoding)
        x, y = self._own(a), self._own(b)
        if x.maps is None or y.maps is None:
            raise EncodingError("explaining needs the maps: encode with keep_maps=True")
        # In float64 from the maps, see AvslModel.explain.
        maps_x, maps_y = ([m.double() for m in side] for side in (x.maps, y.maps))
        e_x, e_y = self.embeddings(maps_x), self.embeddings(maps_y)
        values: list[float] = []
        signed: list[tuple[Tensor, Tensor]] = []
        for level in range(self.levels):
            nodes = F.normalize(torch.cat([e_x[level], e_y[level]]), dim=1)
            values.append(float((nodes[0] - nodes[1]).square().sum()) / self.levels)
            weight = torch.full_like(nodes[:1], 1.0 / self.levels)
            coefficients, even = cell_coefficients(weight, nodes, split)
            map_a = self._map(maps_x[level], level, coefficients[:1], e_x[level])
            map_b = self._map(maps_y[level], level, coefficients[1:], e_y[level])
            signed.append((map_a + even / map_a.numel(), map_b + even / map_b.numel()))
        features = [(one[0], other[0]) for one, other in zip(x.maps, y.maps, strict=True)]
        components = [
            Component(f"level{level + 1}", value, *maps)
            for level, (value, maps) in enumerate(
                zip(values, split_levels(signed, features, split), strict=True)
            )
        ]
        total = float(sum(component.value for component in components))

        def shares() -> list[CellShares]:
            sides = [
                (self._shares(maps_x, level, e_x), self._shares(maps_y, level, e_y))
                for level in range(self.levels)
            ]
            return [(one, other, torch.full_like(one[:, 0, 0], 1.0 / self.levels)) for one, other in sides]

        likeness = likeness_of(common_grid(maps_x), common_grid(maps_y), shares)
        return Explanation(self.method, total, tuple(components), likeness=likeness)

    def node_vectors(self, encoding: Encoding) -> Tensor:
        """The levels' vectors side by side, scaled so that the whole has length 1."""
        return torch.cat(self._own(encoding).nodes, dim=1) / math.sqrt(self.levels)

    def measure(self) -> EuclideanMeasure:
        """Each level's squared distance, with equal weight."""
        names = [f"level{level + 1}" for level in range(self.levels)]
        return EuclideanMeasure(names, self._widths, [1.0 / self.levels] * self.levels)

    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """All levels' vectors side by side; no gates."""
        vectors = torch.cat(self._own(encoding).nodes, dim=1)
        return Rows(vectors, vectors.new_zeros((len(vectors), 0)))

    @property
    def _widths(self) -> list[int]:
        return [self.config.nodes or channels for channels in self.trunk.channels]

    def _own(self, encoding: Encoding) -> EmbeddingEncoding:
        if not isinstance(encoding, EmbeddingEncoding):
            raise EncodingError(
                f"need an EmbeddingEncoding, not {type(encoding).__name__}: encode with this model"
            )
        check_widths(encoding.nodes, self._widths)
        return encoding

    def _shares(self, maps: Sequence[Tensor], level: int, embeddings: Sequence[Tensor]) -> Tensor:
        """What each cell of one picture adds to each node of a level, ``[R, H, W]``."""
        features, length = maps[level].float(), embeddings[level].norm(dim=1).clamp_min(1e-12).float()
        if self.config.pooling == "avgmax":
            features = AF.peak_augmented(features)
        if not self.config.nodes:
            own: Tensor = features[0] / (features[0, 0].numel() * length)
            return own
        weight, bias = self.projections[level].float(), self.biases[level].float()
        return AF.node_shares(features, weight, bias, length)[0]

    def _map(self, features: Tensor, level: int, coefficients: Tensor, embedding: Tensor) -> Tensor:
        if self.config.pooling == "avgmax":
            features = AF.peak_augmented(features)
        offset = features.new_zeros(())
        if self.config.nodes:
            offset = (coefficients @ self.biases[level].double())[0]
            coefficients = coefficients @ self.projections[level].double()
        spread = torch.einsum("bc,bchw->bhw", coefficients, features)
        length = embedding.norm().clamp_min(1e-12)
        values: Tensor = (spread + offset)[0] / (features.shape[2] * features.shape[3] * length)
        return values
