"""CGD: several poolings of one map side by side, each a vector of its own, compared by squared distance.

Jun et al., *Combination of Multiple Global Descriptors for Image Retrieval*, 2019. An ensemble that costs one
network: mean (S), maximum (M) and cubic mean (G) of the same map look at a picture in three ways.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

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

__all__ = ["CGD_DESCRIPTORS", "CgdConfig", "CgdEncoding", "CgdModel"]

CGD_DESCRIPTORS = ("S", "M", "G", "SM", "MS", "SG", "GS", "MG", "GM", "SMG", "MSG", "GSM")
"""The published configurations. The order matters: the first descriptor feeds the auxiliary classifier."""


@dataclass(frozen=True)
class CgdConfig:
    """Everything that shapes a CGD model.

    Attributes:
        backbone: Trunk and its one level.
        descriptors: One of :data:`CGD_DESCRIPTORS`.
        nodes: Length of the whole vector; every descriptor has an equal part of it.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(levels=(4,), undownsampled=True))
    descriptors: str = "SMG"
    nodes: int = 1536

    def __post_init__(self) -> None:
        if self.descriptors not in CGD_DESCRIPTORS:
            raise ConfigError(
                f"descriptors {self.descriptors!r}: must be one of {', '.join(CGD_DESCRIPTORS)}"
            )
        if len(self.backbone.levels) != 1:
            raise ConfigError(
                f"levels {self.backbone.levels}: CGD pools one map in several ways; give one level only"
            )
        if self.nodes < 1 or self.nodes % len(self.descriptors):
            raise ConfigError(
                f"nodes={self.nodes}: must be a multiple of {len(self.descriptors)}, so that each of the "
                f"descriptors {self.descriptors} has an equal part"
            )

    @property
    def kinds(self) -> tuple[AF.Descriptor, ...]:
        """The descriptors one by one."""
        return cast("tuple[AF.Descriptor, ...]", tuple(self.descriptors))


@dataclass(frozen=True, eq=False)
class CgdEncoding(Encoding):
    """One normalised vector per descriptor, ``[B, D / n]``, and the map that all of them pool.

    Attributes:
        nodes: In the order of the configuration.
        maps: ``[B, C, H, W]``; None unless kept for explanations.
    """

    nodes: tuple[Tensor, ...]
    maps: Tensor | None = None


class CgdModel(EuclideanModel):
    """Descriptors of one map; distance = mean over them of the squared distance, in [0, 4].

    The same as the squared distance of all descriptors' vectors, joined and normalised as a whole.

    Args:
        config: The model's shape.
        weights: Source of the trunk's first weights.
        generator: Randomness of the projections' initialisation.
    """

    method: ClassVar[str] = "cgd"

    def __init__(
        self, config: CgdConfig, weights: str = "none", *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.trunk = Backbone(config.backbone, weights)
        self.width = config.nodes // len(config.kinds)
        shape = (self.width, self.trunk.channels[0])
        self.projections = nn.ParameterList([kaiming_fan_out(shape, generator) for _ in config.kinds])

    def pooled(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The descriptors, ``[B, C]`` each, as their projections see them."""
        return [AF.global_descriptor(maps[0], kind) for kind in self.config.kinds]

    def embeddings(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Pool and project, ``[B, D / n]`` per descriptor, not normalised, with gradient."""
        return self.project(self.pooled(maps))

    def project(self, pooled: Sequence[Tensor]) -> list[Tensor]:
        """Project descriptors that are pooled already."""
        return [F.linear(p, w.to(p)) for p, w in zip(pooled, self.projections, strict=True)]

    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> CgdEncoding:
        """Encode from the trunk's map."""
        nodes = tuple(F.normalize(e, dim=1) for e in self.embeddings(maps))
        return CgdEncoding(nodes, maps[0] if keep_maps else None)

    @property
    def embedded_width(self) -> int:
        """Length of all descriptors' vectors."""
        return self.width * len(self.projections)

    def embedded_map(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The map through every descriptor's projection, and the joined vectors.

        At a single cell the three descriptors are the same up to G's root, so all of them see the map itself.
        """
        weight = torch.cat(list(self.projections))[:, :, None, None].to(maps[0])
        whole = [F.normalize(e, dim=1) for e in self.embeddings(maps)]
        return F.conv2d(maps[0], weight), torch.cat(whole, dim=1)

    @torch.no_grad()
    def explain(self, a: Encoding, b: Encoding, *, split: AF.Split = "matched") -> Explanation:
        """Account for one pair exactly: a value and two signed maps per descriptor, in float64.

        S is spread cell by cell, M lies at the cells of each channel's maximum, G is shared by the cubes.

        Args:
            a: First picture.
            b: Second picture.
            split: How a difference is spread over cells; any choice adds up. ``"matched"`` and ``"centred"``
                leave M where it is, as ``"zero"``: only the cells of the maxima decide it, and holding them
                against other cells would show those as if they had a part in it.

        Raises:
            EncodingError: If an encoding is not one picture of this method with its map.
            ConfigError: If there is no such split.
        """
        check_pair(a, b, CgdEncoding)
        x, y = self._own(a), self._own(b)
        if x.maps is None or y.maps is None:
            raise EncodingError("explaining needs the maps: encode with keep_maps=True")
        # In float64 from the maps, see AvslModel.explain.
        maps_x, maps_y = x.maps.double(), y.maps.double()
        pairs = list(zip(self.embeddings([maps_x]), self.embeddings([maps_y]), strict=True))
        count = len(self.config.kinds)
        values: list[float] = []
        signed: list[tuple[Tensor, Tensor]] = []
        for kind, weight, (e_x, e_y) in zip(self.config.kinds, self.projections, pairs, strict=True):
            nodes = F.normalize(torch.cat([e_x, e_y]), dim=1)
            values.append(float((nodes[0] - nodes[1]).square().sum()) / count)
            coefficients, even = cell_coefficients(torch.full_like(nodes[:1], 1.0 / count), nodes, split)
            channels = coefficients @ weight.double()
            map_a = _spread(maps_x, kind, channels[0], e_x)
            map_b = _spread(maps_y, kind, channels[1], e_y)
            signed.append((map_a + even / map_a.numel(), map_b + even / map_b.numel()))
        maps = self._split(signed, (x.maps[0], y.maps[0]), split)
        components = [
            Component(kind, value, *pair)
            for kind, value, pair in zip(self.config.kinds, values, maps, strict=True)
        ]

        def shares() -> list[CellShares]:
            sides = [
                (_shares(maps_x, kind, weight, e_x), _shares(maps_y, kind, weight, e_y))
                for kind, weight, (e_x, e_y) in zip(self.config.kinds, self.projections, pairs, strict=True)
            ]
            return [(one, other, torch.full_like(one[:, 0, 0], 1.0 / count)) for one, other in sides]

        likeness = likeness_of(common_grid([maps_x]), common_grid([maps_y]), shares)
        return Explanation(self.method, float(sum(values)), tuple(components), likeness=likeness)

    def node_vectors(self, encoding: Encoding) -> Tensor:
        """The descriptors' vectors side by side, scaled so that the whole has length 1."""
        return torch.cat(self._own(encoding).nodes, dim=1) / math.sqrt(len(self.config.kinds))

    def measure(self) -> EuclideanMeasure:
        """Each descriptor's squared distance, with equal weight."""
        count = len(self.config.kinds)
        return EuclideanMeasure(self.config.kinds, [self.width] * count, [1.0 / count] * count)

    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """All descriptors' vectors side by side; no gates."""
        vectors = torch.cat(self._own(encoding).nodes, dim=1)
        return Rows(vectors, vectors.new_zeros((len(vectors), 0)))

    def _own(self, encoding: Encoding) -> CgdEncoding:
        if not isinstance(encoding, CgdEncoding):
            raise EncodingError(f"need a CgdEncoding, not {type(encoding).__name__}: encode with this model")
        check_widths(encoding.nodes, [self.width] * len(self.config.kinds))
        return encoding

    def _split(
        self, signed: Sequence[tuple[Tensor, Tensor]], features: tuple[Tensor, Tensor], split: AF.Split
    ) -> list[tuple[Tensor, Tensor]]:
        """Hold all maps but M's against what the split says; all follow one match, as the map is one."""
        moved = [pair for kind, pair in zip(self.config.kinds, signed, strict=True) if kind != "M"]
        # At least one, so that an unknown split is refused whatever the descriptors are.
        held = iter(split_levels(moved or signed, [features] * len(moved or signed), split))
        return [
            pair if kind == "M" else next(held) for kind, pair in zip(self.config.kinds, signed, strict=True)
        ]


def _shares(features: Tensor, kind: AF.Descriptor, weight: Tensor, embedding: Tensor) -> Tensor:
    """What each cell adds to each entry of a descriptor's vector, ``[R, H, W]``."""
    shares = AF.descriptor_shares(features, kind)[0]
    shares = shares / embedding.norm().clamp_min(1e-12)
    vectors: Tensor = torch.einsum("rc,chw->rhw", weight.float(), shares.float())
    return vectors


def _spread(features: Tensor, kind: AF.Descriptor, channels: Tensor, embedding: Tensor) -> Tensor:
    """A signed map ``[H, W]``: what each cell adds to the weighted sum of a picture's channels."""
    shares = AF.descriptor_shares(features, kind)[0]
    spread: Tensor = torch.einsum("c,chw->hw", channels, shares) / embedding.norm().clamp_min(1e-12)
    return spread
