"""AVSL: Attributable Visual Similarity Learning (Zhang et al., CVPR 2022)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models.avsl_measure import AvslMeasure
from avsl_core.models.backbone import Backbone, BackboneConfig
from avsl_core.models.base import Encoding, Role, SimilarityModel, check_counts, check_pair, check_widths
from avsl_core.models.explanation import CellLikeness, Component, Explanation, LevelDetails
from avsl_core.models.heads import kaiming_fan_out
from avsl_core.models.likeness import CellShares, common_grid, likeness_of
from avsl_core.models.measure import Rows
from avsl_core.models.split import cell_coefficients, split_levels

__all__ = ["AvslConfig", "AvslEncoding", "AvslModel", "Nodes"]


@dataclass(frozen=True)
class AvslConfig:
    """Everything that shapes an AVSL model.

    Attributes:
        backbone: Trunk and levels.
        nodes: R, similarity nodes per level.
        top_k: Lower nodes that stay linked to each higher node.
        gamma: Steepness of the reliability gate.
        certainty: Which minimum is subtracted before the spread is taken, see
            :func:`avsl_core.functional.certainty`.
        momentum: m of the linkage's moving average: new = (1 - m) old + m batch.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    nodes: int = 512
    top_k: int = 128
    gamma: float = 10.0
    certainty: AF.CertaintyMode = "row"
    momentum: float = 0.5

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.top_k < 1:
            raise ConfigError(f"nodes ({self.nodes}) and top_k ({self.top_k}) must be at least 1")
        if self.certainty not in ("row", "global"):
            raise ConfigError(f'certainty must be "row" or "global", not {self.certainty!r}')
        if not 0.0 < self.momentum <= 1.0:
            raise ConfigError(f"momentum must lie in (0, 1], not {self.momentum}")
        if not 0.0 < self.gamma < float("inf"):
            raise ConfigError(f"gamma must be positive and finite, not {self.gamma}")


@dataclass(frozen=True, eq=False)
class AvslEncoding(Encoding):
    """What AVSL remembers of a batch of pictures; one entry per level, from low to high.

    Attributes:
        nodes: Normalised embeddings n, ``[B, R]``.
        norms: |e| before normalisation, ``[B]``.
        certainties: s, ``[B, R]``.
        maps: The trunk's maps, ``[B, C, H, W]``, or None when they were not kept.
    """

    nodes: tuple[Tensor, ...]
    norms: tuple[Tensor, ...]
    certainties: tuple[Tensor, ...]
    maps: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class Nodes:
    """The heads' outputs for one batch during training: lists from low to high level.

    Attributes:
        embeddings: e, ``[B, R]``, with gradient.
        activation_maps: A, ``[B, R, H, W]``, without gradient.
        certainties: s, ``[B, R]``, without gradient.
    """

    embeddings: list[Tensor]
    activation_maps: list[Tensor]
    certainties: list[Tensor]


class AvslModel(SimilarityModel):
    """Nodes on several levels, mixed by reliability (P) and linkage (W) into one distance.

    Args:
        config: The model's shape.
        weights: Source of the trunk's first weights.
        generator: Randomness of the heads' initialisation; torch's own when None.

    Raises:
        ConfigError: If the configuration does not hold together.
        CheckpointError: If the trunk's weights cannot be had.
    """

    method: ClassVar[str] = "avsl"

    def __init__(
        self, config: AvslConfig, weights: str = "none", *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.trunk = Backbone(config.backbone, weights)
        levels = len(self.trunk.channels)
        if levels < 2:
            raise ConfigError("AVSL needs at least two levels to link")
        shape = [(config.nodes, channels) for channels in self.trunk.channels]
        self.projections = nn.ParameterList([kaiming_fan_out(s, generator) for s in shape])
        self.biases = nn.ParameterList([torch.zeros(config.nodes) for _ in shape])
        # The lowest level has nothing below it to mix with, hence no gate.
        self.alphas = nn.ParameterList([torch.ones(config.nodes) for _ in range(levels - 1)])
        self.betas = nn.ParameterList([torch.zeros(config.nodes) for _ in range(levels - 1)])
        for level in range(levels - 1):
            self.register_buffer(f"linkage_{level}", torch.zeros(config.nodes, config.nodes))
            self.register_buffer(f"W_{level}", torch.zeros(config.nodes, config.nodes), persistent=False)
        self.register_buffer("linkage_initialized", torch.zeros((), dtype=torch.bool))
        self.linkage_initialized: Tensor
        self.register_load_state_dict_post_hook(_refresh_after_load)  # type: ignore[no-untyped-call]

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.projections)

    @property
    def linkages(self) -> list[Tensor]:
        """Moving averages of the raw linkage, ``[R, R]`` per pair of adjacent levels."""
        return [self.get_buffer(f"linkage_{level}") for level in range(self.levels - 1)]

    @property
    def normalized_linkages(self) -> list[Tensor]:
        """W, ``[R, R]`` per pair of adjacent levels."""
        return [self.get_buffer(f"W_{level}") for level in range(self.levels - 1)]

    def nodes(self, maps: Sequence[Tensor]) -> Nodes:
        """Apply the heads, with gradient through the embeddings only."""
        embeddings = [
            AF.project(m, weight, bias)
            for m, weight, bias in zip(maps, self.projections, self.biases, strict=True)
        ]
        with torch.no_grad():
            activation = [
                AF.activation_map(m.detach(), weight, bias)
                for m, weight, bias in zip(maps, self.projections, self.biases, strict=True)
            ]
            certainties = [AF.certainty(A, self.config.certainty) for A in activation]
        return Nodes(embeddings, activation, certainties)

    @torch.no_grad()
    def update_linkage(self, batch_linkages: Sequence[Tensor]) -> None:
        """Move the averages towards a batch's linkage; the first batch is copied.

        Args:
            batch_linkages: ``[R, R]`` per pair of adjacent levels.
        """
        m = self.config.momentum if bool(self.linkage_initialized) else 1.0
        for average, batch in zip(self.linkages, batch_linkages, strict=True):
            average.lerp_(batch.to(average), m)
        self.linkage_initialized.fill_(True)
        self.refresh_linkage()

    @torch.no_grad()
    def refresh_linkage(self) -> None:
        """Recompute W from the moving averages."""
        for average, W in zip(self.linkages, self.normalized_linkages, strict=True):
            W.copy_(AF.normalize_linkage(average, self.config.top_k))

    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> AvslEncoding:
        """Encode from the trunk's maps."""
        heads = self.nodes(maps)
        # Never zero: a picture that no node answers to can still be explained.
        norms = [e.norm(dim=1).clamp_min(1e-12) for e in heads.embeddings]
        return AvslEncoding(
            nodes=tuple(F.normalize(e, dim=1) for e in heads.embeddings),
            norms=tuple(norms),
            certainties=tuple(heads.certainties),
            maps=tuple(maps) if keep_maps else None,
        )

    @property
    def embedded_width(self) -> int:
        """R."""
        return int(self.config.nodes)

    def embedded_map(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The highest level, projected cell by cell, and its embedding."""
        weight, bias = self.projections[-1], self.biases[-1]
        embedded = F.conv2d(maps[-1], weight[:, :, None, None].to(maps[-1]), bias.to(maps[-1]))
        return embedded, AF.project(maps[-1], weight, bias)

    def distance(self, a: Encoding, b: Encoding) -> Tensor:
        """Measure pairs, ``[B]``, never negative; a batch of one is compared with each of the other side."""
        first, second = self._own(a), self._own(b)
        check_counts(first, second)
        return self._measure(first.nodes, first.certainties, second.nodes, second.certainties)

    def distance_matrix(self, a: Encoding, b: Encoding, *, byte_budget: int = 256 * 2**20) -> Tensor:
        """Measure all of a against all of b, ``[N, M]``, in blocks that respect the byte budget."""
        first, second = self._own(a), self._own(b)
        rows, columns = len(first), len(second)
        element = first.nodes[0].element_size()
        # About six [block, R] tensors live at the peak of the recursion.
        pairs = max(1, byte_budget // (6 * self.config.nodes * element))
        block_columns = max(1, min(columns, pairs))
        block_rows = max(1, pairs // block_columns)
        out = first.nodes[0].new_empty((rows, columns))
        for top in range(0, rows, block_rows):
            x = first[top : top + block_rows]
            for left in range(0, columns, block_columns):
                y = second[left : left + block_columns]
                out[top : top + block_rows, left : left + block_columns] = self._measure(
                    [n[:, None] for n in x.nodes],
                    [s[:, None] for s in x.certainties],
                    [n[None] for n in y.nodes],
                    [s[None] for s in y.certainties],
                )
        return out

    @torch.no_grad()
    def explain(self, a: Encoding, b: Encoding, *, split: AF.Split = "matched") -> Explanation:
        """Account for one pair exactly: a value and two signed maps per level, plus P, w and node parts.

        Computed in float64, so that the maps add up to the total far below float32 rounding.

        Args:
            a: First picture.
            b: Second picture.
            split: How a difference is spread over cells; any choice adds up.

        Raises:
            EncodingError: If an encoding is not one picture of this method with its maps.
            ConfigError: If there is no such split.
        """
        check_pair(a, b, AvslEncoding)
        x, y = self._own(a), self._own(b)
        if x.maps is None or y.maps is None:
            raise EncodingError("explaining needs the maps: encode with keep_maps=True")
        # Everything again in float64 from the maps: the float32 nodes of the encoding would leave a rounding
        # error that is large beside the distance of two near-duplicates.
        maps = [
            [AF.peak_augmented(m.double()) for m in _together(one, other)]
            for one, other in zip(x.maps, y.maps, strict=True)
        ]
        heads = [(w.double(), b.double()) for w, b in zip(self.projections, self.biases, strict=True)]
        # The mean of an augmented map is average plus maximum pooling: its projection is the embedding.
        embeddings = [
            F.linear(torch.cat([m.mean(dim=(2, 3)) for m in level]), *head)
            for level, head in zip(maps, heads, strict=True)
        ]
        # Kept from zero: a picture without any answer has a map of zeros, not of NaN.
        lengths = [e.norm(dim=1).clamp_min(1e-12) for e in embeddings]
        nodes = [e / length[:, None] for e, length in zip(embeddings, lengths, strict=True)]
        # Values and maps share these weights, so they need no further digits than the distance has.
        gates = self._gates(x.certainties, y.certainties)
        weights = [w.double() for w in AF.top_down_weights(gates, self.normalized_linkages)]
        contributions: list[Tensor] = []
        signed: list[tuple[Tensor, Tensor]] = []
        for level in range(self.levels):
            difference = nodes[level][:1] - nodes[level][1:]
            pull = weights[level] * difference
            contributions.append((pull * difference)[0])
            coefficients, even = cell_coefficients(weights[level], nodes[level], split)
            sizes = [len(m) for m in maps[level]]
            parts = zip(
                maps[level], torch.split(coefficients, sizes), torch.split(lengths[level], sizes), strict=True
            )
            map_a, map_b = (
                one for part in parts for one in AF.spread_nodes(part[0], *heads[level], *part[1:])
            )
            signed.append((map_a + even / map_a.numel(), map_b + even / map_b.numel()))
        features = [(one[0], other[0]) for one, other in zip(x.maps, y.maps, strict=True)]
        components, details = [], {}
        for level, (map_a, map_b) in enumerate(split_levels(signed, features, split)):
            name = f"level{level + 1}"
            components.append(Component(name, float(contributions[level].sum()), map_a, map_b))
            P = gates[level - 1][0] if level else torch.ones_like(weights[0][0])
            details[name] = LevelDetails(P, weights[level][0], contributions[level])
        total = float(sum(component.value for component in components))
        return Explanation(
            self.method,
            total,
            tuple(components),
            levels=MappingProxyType(details),
            likeness=self._likeness((x.maps, y.maps), lengths, weights),
        )

    def _likeness(
        self, maps: tuple[Sequence[Tensor], Sequence[Tensor]], lengths: list[Tensor], weights: list[Tensor]
    ) -> CellLikeness:
        """Of one pair, from the maps, |e| of both pictures and w per level."""

        def shares() -> list[CellShares]:
            return [
                (
                    self._shares(level, maps[0][level], lengths[level][:1]),
                    self._shares(level, maps[1][level], lengths[level][1:]),
                    weights[level][0].float(),
                )
                for level in range(self.levels)
            ]

        return likeness_of(common_grid(maps[0]), common_grid(maps[1]), shares)

    def _shares(self, level: int, features: Tensor, length: Tensor) -> Tensor:
        """What each cell of one picture adds to each node of a level, ``[R, H, W]``."""
        weight, bias = self.projections[level].float(), self.biases[level].float()
        return AF.node_shares(AF.peak_augmented(features.float()), weight, bias, length.float())[0]

    def node_vectors(self, encoding: Encoding) -> Tensor:
        """All levels' nodes side by side, each level weighted by the root of its mean top-down weight."""
        own = self._own(encoding)
        mean = [s.mean(dim=0, keepdim=True) for s in own.certainties]
        weights = AF.top_down_weights(self._gates(mean, mean), self.normalized_linkages)
        return torch.cat([n * w.sqrt() for n, w in zip(own.nodes, weights, strict=True)], dim=1)

    def measure(self) -> AvslMeasure:
        """Gates and linkages as they stand."""
        return AvslMeasure(list(self.alphas), list(self.betas), self.normalized_linkages, self.config.gamma)

    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """All levels' nodes side by side; the certainties of the gated levels."""
        own = self._own(encoding)
        return Rows(torch.cat(own.nodes, dim=1), torch.cat(own.certainties[1:], dim=1))

    def _own(self, encoding: Encoding) -> AvslEncoding:
        if not isinstance(encoding, AvslEncoding):
            raise EncodingError(
                f"need an AvslEncoding, not {type(encoding).__name__}: encode with this model"
            )
        check_widths(encoding.nodes, [self.config.nodes] * self.levels)
        return encoding

    def _gates(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
        return [
            AF.gate(s_a, s_b, alpha.to(s_a), beta.to(s_a), gamma=self.config.gamma)
            for s_a, s_b, alpha, beta in zip(a[1:], b[1:], self.alphas, self.betas, strict=True)
        ]

    def _measure(
        self, n_a: Sequence[Tensor], s_a: Sequence[Tensor], n_b: Sequence[Tensor], s_b: Sequence[Tensor]
    ) -> Tensor:
        unused = self.alphas[0]
        return AF.pairwise_avsl_distance(
            n_a,
            s_a,
            n_b,
            s_b,
            self.normalized_linkages,
            [unused, *self.alphas],
            [unused, *self.betas],
            gamma=self.config.gamma,
        )


def _together(one: Tensor, other: Tensor) -> list[Tensor]:
    """Two pictures' maps as one batch where they are of one size, which halves the work's overhead."""
    return [torch.cat([one, other])] if one.shape == other.shape else [one, other]


def _refresh_after_load(module: nn.Module, incompatible: Any) -> None:
    assert isinstance(module, AvslModel)
    module.refresh_linkage()
