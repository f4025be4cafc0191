"""A learned adaptation of frozen features (Risser-Maroulis, Kurtz and Lomenie, ICIP 2021).

The trunk stays as it is. Its stages are pooled and put side by side, and one small function, learned from
pairs that people call alike, decides which of those features count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models.adaptation_head import AdaptationHead, AdaptationKind
from avsl_core.models.backbone import BackboneConfig
from avsl_core.models.base import Encoding, Role, check_pair, check_widths
from avsl_core.models.clip import build_trunk
from avsl_core.models.euclidean import EuclideanModel
from avsl_core.models.explanation import Component, Explanation
from avsl_core.models.likeness import CellShares, common_grid, likeness_of
from avsl_core.models.measure import EuclideanMeasure, Rows
from avsl_core.models.split import cell_coefficients, split_levels

__all__ = ["AdaptationConfig", "AdaptationEncoding", "AdaptationModel"]

_TINY = 1e-12  # keeps the length of a picture without any answer from zero


@dataclass(frozen=True)
class AdaptationConfig:
    """Everything that shapes a learned adaptation.

    Attributes:
        backbone: Trunk and levels; ``clip:`` before the name takes open_clip's ResNets.
        kind: ``"original"`` ReLU(W x), ``"peterson"`` x * ReLU(w), ``"dummy"`` the features themselves.
        width: Outputs of the original kind.
        pca: Principal components of the features that the adaptation sees; 0 shows it the features.
        pooling: ``"avg"``, or ``"avgmax"`` for average plus maximum.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(levels=(1, 2, 3, 4)))
    kind: AdaptationKind = "original"
    width: int = 1024
    pca: int = 0
    pooling: Literal["avg", "avgmax"] = "avg"

    def __post_init__(self) -> None:
        if self.kind not in ("original", "peterson", "dummy"):
            raise ConfigError(f'kind must be "original", "peterson" or "dummy", not {self.kind!r}')
        if self.width < 1:
            raise ConfigError(f"width must be at least 1, not {self.width}")
        if self.pca < 0:
            raise ConfigError(f"pca must be 0 (none) or more, not {self.pca}")
        if self.pooling not in ("avg", "avgmax"):
            raise ConfigError(f'pooling must be "avg" or "avgmax", not {self.pooling!r}')


@dataclass(frozen=True, eq=False)
class AdaptationEncoding(Encoding):
    """What the adaptation remembers of a batch of pictures.

    Attributes:
        vectors: f(x) / |f(x)|, ``[B, F]``; zeros for a picture that no output answers to.
        maps: The trunk's maps, ``[B, C, H, W]`` per level, or None when they were not kept.
    """

    vectors: Tensor
    maps: tuple[Tensor, ...] | None = None


class AdaptationModel(EuclideanModel):
    """Pooled stages side by side, adapted; distance = 1 - cos = half the squared distance of unit vectors.

    A picture that no output answers to has a vector of zeros, which is 1/2 from every other.

    Args:
        config: The model's shape.
        weights: Source of the trunk's weights.
        generator: Randomness of W; torch's own when None.

    Raises:
        ConfigError: If the configuration does not hold together.
        CheckpointError: If the trunk's weights cannot be had.
    """

    method: ClassVar[str] = "adaptation"
    scale: ClassVar[float] = 0.5

    def __init__(
        self, config: AdaptationConfig, weights: str = "none", *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.trunk = build_trunk(config.backbone, weights)
        self.head = AdaptationHead(
            sum(self.trunk.channels),
            kind=config.kind,
            width=config.width,
            pca=config.pca,
            generator=generator,
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the levels, from low to high: the components of an explanation."""
        return tuple(f"layer{level + 1}" for level in range(len(self.trunk.channels)))

    def pooled(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Average, or average plus maximum, as configured: ``[B, C]`` per level."""
        if self.config.pooling == "avgmax":
            return super().pooled(maps)
        return [m.mean(dim=(2, 3)) for m in maps]

    def features(self, maps: Sequence[Tensor]) -> Tensor:
        """x, ``[B, D]``: each level pooled and of length 1, side by side."""
        return torch.cat([F.normalize(pooled, dim=1) for pooled in self.pooled(maps)], dim=1)

    def encode_features(self, features: Tensor) -> AdaptationEncoding:
        """Encode from features x, ``[B, D]``; such an encoding can be compared but not explained.

        Raises:
            EncodingError: If they are of another length.
        """
        if features.dim() != 2 or features.shape[1] != self.head.features:
            raise EncodingError(
                f"features must be [B, {self.head.features}] for this model, not {tuple(features.shape)}: "
                "extract them with its backbone and levels"
            )
        return AdaptationEncoding(F.normalize(self.head(features), dim=1))

    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> AdaptationEncoding:
        """Encode from the trunk's maps."""
        vectors = self.encode_features(self.features(maps)).vectors
        return AdaptationEncoding(vectors, tuple(maps) if keep_maps else None)

    @property
    def embedded_width(self) -> int:
        """Length of the adapted vectors."""
        return self.head.outputs

    def embedded_map(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """f(x) of each cell of the coarsest level as if the picture were this cell alone, and of the picture.

        Every level is pooled inside the cell as it is over a picture, so nothing is approximated.
        """
        grid = min((int(m.shape[2]), int(m.shape[3])) for m in maps)
        inside = [F.adaptive_avg_pool2d(m, grid) for m in maps]
        if self.config.pooling == "avgmax":
            inside = [mean + F.adaptive_max_pool2d(m, grid) for mean, m in zip(inside, maps, strict=True)]
        x = torch.cat([F.normalize(m, dim=1) for m in inside], dim=1)
        cells = self.head(x.permute(0, 2, 3, 1).flatten(0, 2))
        return cells.view(len(x), *grid, -1).permute(0, 3, 1, 2), self.head(self.features(maps))

    def compared(self, encoding: Encoding, role: Role) -> Tensor:
        """The adapted features, of length 1."""
        return self._own(encoding).vectors

    @torch.no_grad()
    def explain(self, a: Encoding, b: Encoding, *, split: AF.Split = "matched") -> Explanation:
        """Account for one pair exactly: a value and two signed maps per layer, in float64.

        With the outputs that answer held, f is linear, so u = f(x) / |f(x)| is a sum over layers of u^l, and
        layer l's part of |u - v|^2 / 2 is (u - v) . (u^l - v^l) / 2, which may be negative: a layer can pull
        pictures together. Pooling spreads u^l over the cells; a PCA's mean is spread evenly.

        Args:
            a: First picture.
            b: Second picture.
            split: How a difference is spread over cells; any choice adds up.

        Returns:
            The account, with that of the same pair by the features as they are in ``before``.

        Raises:
            EncodingError: If an encoding is not one picture of this method with its maps.
            ConfigError: If there is no such split.
        """
        check_pair(a, b, AdaptationEncoding)
        x, y = self._own(a), self._own(b)
        if x.maps is None or y.maps is None:
            raise EncodingError("explaining needs the maps: encode with keep_maps=True")
        # In float64 from the maps, see AvslModel.explain.
        pair = [[m.double() for m in side] for side in (x.maps, y.maps)]
        raw = torch.cat([self.features(side) for side in pair])
        before = self._account(pair, raw, AdaptationHead(raw.shape[1], kind="dummy"), split)
        after = self._account(pair, raw, self.head, split)

        def shares() -> list[CellShares]:
            one, other = (self._shares(side, raw[row : row + 1]) for row, side in enumerate(pair))
            return [(one, other, one.new_ones(len(one)))]

        return Explanation(
            self.method,
            float(sum(component.value for component in after)),
            tuple(after),
            before=Explanation(
                self.method, float(sum(component.value for component in before)), tuple(before)
            ),
            likeness=likeness_of(common_grid(pair[0]), common_grid(pair[1]), shares),
        )

    def node_vectors(self, encoding: Encoding) -> Tensor:
        """The vectors, scaled so that their squared Euclidean distance is the model's."""
        return self._own(encoding).vectors * math.sqrt(0.5)

    def measure(self) -> EuclideanMeasure:
        """Half the squared distance, in one part: what the layers add may be negative, as no part may."""
        return EuclideanMeasure(["distance"], [self.head.outputs], [0.5])

    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """The vectors; no gates."""
        vectors = self._own(encoding).vectors
        return Rows(vectors, vectors.new_zeros((len(vectors), 0)))

    def _own(self, encoding: Encoding) -> AdaptationEncoding:
        if not isinstance(encoding, AdaptationEncoding):
            raise EncodingError(
                f"need an AdaptationEncoding, not {type(encoding).__name__}: encode with this model"
            )
        check_widths([encoding.vectors], [self.head.outputs])
        return encoding

    def _shares(self, maps: Sequence[Tensor], raw: Tensor) -> Tensor:
        """What each cell adds to each entry of u = f(x) / |f(x)|, ``[F, H, W]``, all layers together.

        Layers meet in the cosine, so they need one grid.
        """
        rows, columns = common_grid(maps)
        layers = []
        for m in maps:
            length = self.pooled([m])[0].norm().clamp_min(_TINY)
            features = AF.peak_augmented(m) if self.config.pooling == "avgmax" else m
            layers.append(AF.regrid(features[0], (rows, columns)) / (features[0, 0].numel() * length))
        cells = torch.cat(layers).flatten(1).T.float()
        # The linear part takes the PCA's mean off each row: a cell bears its even share of it.
        linear = self.head.linear(cells * len(cells)) / len(cells)
        gains = self.head.gains(raw) / self.head(raw).norm().clamp_min(_TINY)
        vectors: Tensor = (linear * gains.float()).T.reshape(-1, rows, columns)
        return vectors

    def _account(
        self, pair: Sequence[Sequence[Tensor]], raw: Tensor, head: AdaptationHead, split: AF.Split
    ) -> list[Component]:
        """One component per layer, of both pictures' maps and features ``[2, D]``, under a head."""
        adapted = head(raw)
        lengths = adapted.norm(dim=1, keepdim=True).clamp_min(_TINY)
        units = adapted / lengths
        gains = head.gains(raw) / lengths
        centred = raw - head.mean(raw)
        half = torch.full_like(units[:1], 0.5)
        # The difference decides the values; what the cells are held against decides the maps.
        pull = half * (units[:1] - units[1:])
        values = head.pull_back(torch.cat([pull, -pull]) * gains) * centred
        own = head.pull_back(units * gains) * centred
        coefficients = head.pull_back(cell_coefficients(half, units, split)[0] * gains)
        offsets = coefficients * head.mean(raw)
        widths = list(self.trunk.channels)
        signed: list[tuple[Tensor, Tensor]] = []
        by_level = (torch.split(table, widths, dim=1) for table in (coefficients, offsets, own))
        for level, (weight, offset, part) in enumerate(zip(*by_level, strict=True)):
            even = float(part.sum()) / 4 if split == "similarity" else 0.0
            map_a, map_b = (
                self._spread(pair[side][level], weight[side], even - float(offset[side].sum()))
                for side in (0, 1)
            )
            signed.append((map_a, map_b))
        features = [(one[0], other[0]) for one, other in zip(*pair, strict=True)]
        parts = [float(part.sum()) for part in torch.split(values, widths, dim=1)]
        return [
            Component(name, value, *maps)
            for name, value, maps in zip(
                self.layers, parts, split_levels(signed, features, split), strict=True
            )
        ]

    def _spread(self, features: Tensor, coefficients: Tensor, even: float) -> Tensor:
        """A level's map ``[H, W]``: what each cell adds to coefficients . x^l, plus an even share."""
        length = self.pooled([features])[0].norm().clamp_min(_TINY)
        if self.config.pooling == "avgmax":
            features = AF.peak_augmented(features)
        values: Tensor = torch.einsum("c,chw->hw", coefficients, features[0]) / length
        return (values + even) / values.numel()
