"""DIML: structural matching of cells over the vectors of another method (Zhao et al., ICCV 2021)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models.adaptation import AdaptationConfig, AdaptationModel
from avsl_core.models.avsl import AvslConfig, AvslModel
from avsl_core.models.backbone import Backbone
from avsl_core.models.base import Encoding, Role, SimilarityModel, check_counts, check_pair
from avsl_core.models.cgd import CgdConfig, CgdModel
from avsl_core.models.clip import pools_at_top
from avsl_core.models.diml_measure import DimlMeasure
from avsl_core.models.embedding import EmbeddingConfig, EmbeddingModel
from avsl_core.models.explanation import CellLikeness, Component, Explanation, Flow
from avsl_core.models.likeness import added_likeness
from avsl_core.models.measure import Rows
from avsl_core.models.raml import RamlConfig, RamlModel

__all__ = ["DimlConfig", "DimlEncoding", "DimlModel"]

_BASES: Mapping[type[Any], type[Any]] = MappingProxyType(
    {
        EmbeddingConfig: EmbeddingModel,
        AvslConfig: AvslModel,
        CgdConfig: CgdModel,
        RamlConfig: RamlModel,
        AdaptationConfig: AdaptationModel,
    }
)

BaseConfig = EmbeddingConfig | AvslConfig | CgdConfig | RamlConfig | AdaptationConfig

# The published score adds the cosine to the structural similarity. These distances are 1 - cos; the others
# are 2 - 2 cos, or no cosine and of that range.
_COSINE_DISTANCES = (RamlConfig, AdaptationConfig)


@dataclass(frozen=True)
class DimlConfig:
    """Everything that shapes a structural matching.

    Attributes:
        base: The method whose vectors and cells are used: plain embeddings (Proxy-Anchor or frozen features),
            AVSL, CGD, an adaptation, or RAML with one network at both sides.
        grid: Cells along each side, 1 to 7 as published.
        marginals: What a cell counts.
        temperature: Of the transport's kernel.
        max_iterations: Most Sinkhorn steps.
    """

    base: BaseConfig = field(default_factory=EmbeddingConfig)
    grid: int = 4
    marginals: AF.Marginals = "cross_correlation"
    temperature: float = 0.05
    max_iterations: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.base, RamlConfig) and self.base.sides == "asymmetric":
            raise ConfigError(
                "RAML with a network for each side has no cells to match: student and teacher agree on whole "
                "pictures, not on cells; let one look at both sides: sides=student or teacher (--sides)"
            )
        if isinstance(self.base, AdaptationConfig) and pools_at_top(self.base.backbone):
            raise ConfigError(
                f"{self.base.backbone.name} with level head ends in one pooled vector, which has no cells to "
                "match; leave head out of its levels"
            )
        if not 1 <= self.grid <= 7:
            raise ConfigError(f"grid must be 1 to 7 cells along a side, not {self.grid}")
        if self.marginals not in ("cross_correlation", "uniform"):
            raise ConfigError(f'marginals must be "cross_correlation" or "uniform", not {self.marginals!r}')
        # Below, the kernel of two unlike cells is zero in single precision.
        if not 0.03 <= self.temperature <= 10.0:
            raise ConfigError(f"temperature must lie in [0.03, 10], not {self.temperature}")
        if self.max_iterations < 1:
            raise ConfigError(f"max_iterations must be at least 1, not {self.max_iterations}")

    @property
    def cells(self) -> int:
        """Cells of a picture."""
        return self.grid * self.grid

    @property
    def base_weight(self) -> float:
        """What the base's distance is multiplied with: 1 where it is 1 - cos, else 1/2."""
        return 1.0 if isinstance(self.base, _COSINE_DISTANCES) else 0.5


@dataclass(frozen=True, eq=False)
class DimlEncoding(Encoding):
    """What DIML remembers of a batch of pictures.

    Attributes:
        base: The base method's encoding.
        cells: Normalised cells of the embedded map, ``[B, grid * grid, C]``, in reading order.
        whole: The normalised vector of the whole picture, ``[B, C]``.
    """

    base: Encoding
    cells: Tensor
    whole: Tensor


class DimlModel(SimilarityModel):
    """A base method's distance, weighted, plus what the best match of cells leaves unlike.

    With T the transport plan between the cells and S their cosines, and for unit vectors of distance d =
    2 - 2 cos, the published score cos + sum(T S) becomes the distance d / 2 + (1 - sum(T S)) = 2 - cos -
    sum(T S). Where d is 1 - cos it is not halved; the halved form also serves base methods whose distance is
    no cosine. The plan is entropic: a picture's match with itself spreads a little, so identical pictures are
    not quite at zero.

    Args:
        config: The model's shape.
        weights: Source of the trunk's first weights.
        generator: Randomness of the base's heads.
    """

    method: ClassVar[str] = "diml"

    def __init__(
        self, config: DimlConfig, weights: str = "none", *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.base: SimilarityModel = _BASES[type(config.base)](config.base, weights, generator=generator)

    @classmethod
    def over(cls, base: SimilarityModel, **options: Any) -> "DimlModel":
        """Match cells over a trained model, with no training: the weights are shared, not copied.

        Args:
            base: A model of a method that has cells; of RAML with one network at both sides, see
                :meth:`RamlModel.with_sides`.
            **options: Of :class:`DimlConfig`, except ``base``.

        Raises:
            ConfigError: If it has none, or an option is out of range.
        """
        if type(base.config) not in _BASES:
            known = ", ".join(sorted(kind.method for kind in _BASES.values()))
            raise ConfigError(f"method {base.method!r} has no cells to match; use one of {known}")
        model = cls.__new__(cls)
        SimilarityModel.__init__(model)
        model.config = DimlConfig(base=base.config, **options)
        model.base = base
        return model.train(base.training)

    @property
    def trunk(self) -> Any:  # type: ignore[override]
        """The base's trunk."""
        return self.base.trunk

    @property
    def trunks(self) -> tuple[Backbone, ...]:
        """The base's."""
        return self.base.trunks

    @property
    def maps_settings(self) -> dict[str, Any]:
        """As the base."""
        return self.base.maps_settings

    def trunk_maps(self, images: Tensor, role: Role | None = None) -> list[Tensor]:
        """As the base."""
        return self.base.trunk_maps(images, role)

    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> DimlEncoding:
        """Encode from the trunk's maps."""
        base = self.base.encode_maps(maps, role, keep_maps=keep_maps)
        return DimlEncoding(base, *self.cells(maps))

    def cells(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Cells ``[B, grid * grid, C]`` and whole ``[B, C]`` of the base's top level, with gradient."""
        embedded, whole = self.base.embedded_map(maps)
        return AF.cell_grid(embedded, self.config.grid), F.normalize(whole, dim=1)

    def distance(self, a: Encoding, b: Encoding) -> Tensor:
        """Measure pairs, ``[B]``, not negative; a batch of one is compared with each of the other side.

        In [0, 4], save over AVSL. Up to the tolerance of the transport (about 1e-5) the same
        both ways round.
        """
        check_counts(a, b)
        first, second = self._own(a), self._own(b)
        return self.measure().distances(self.rows(first), self.rows(second))

    def distance_matrix(self, a: Encoding, b: Encoding, *, byte_budget: int = 256 * 2**20) -> Tensor:
        """Measure all of a against all of b, ``[N, M]``, in blocks that respect the byte budget."""
        first, second = self._own(a), self._own(b)
        cells = self.config.cells
        element = first.cells.element_size()
        # Kernels, plans and products of a block live at once.
        per_row = max(1, byte_budget // (8 * (cells + 1) ** 2 * element))
        width = max(1, min(len(second), per_row))
        height = max(1, per_row // width)
        weight: float = self.config.base_weight
        out = self.base.distance_matrix(first.base, second.base, byte_budget=byte_budget) * weight
        for top in range(0, len(first), height):
            for left in range(0, len(second), width):
                x, y = first[top : top + height], second[left : left + width]
                products = torch.stack(
                    [
                        AF.structural_products(c, w, y.cells, y.whole)
                        for c, w in zip(x.cells, x.whole, strict=True)
                    ]
                )
                out[top : top + height, left : left + width] += self.measure().unlike(products)
        return out

    @torch.no_grad()
    def explain(self, a: Encoding, b: Encoding, *, split: AF.Split = "matched") -> Explanation:
        """Account for one pair exactly: the base's parts, weighted, the structure, and the flow of cells.

        A cell's value in the maps of ``"structure"`` is what its own mass leaves unlike; mass that the
        marginals do not hold (about 1e-5) is spread evenly.

        Args:
            a: First picture.
            b: Second picture.
            split: How the base spreads a difference over cells.

        Raises:
            EncodingError: If an encoding is not one picture of this method with its maps.
            ConfigError: If there is no such split.
        """
        check_pair(a, b, DimlEncoding)
        x, y = self._own(a), self._own(b)
        below: Any = self.base
        base: Explanation = below.explain(x.base, y.base, split=split)
        products = AF.structural_products(
            x.cells[0].double(), x.whole[0].double(), y.cells.double(), y.whole.double()
        )[0]
        S = products[:-1, :-1]
        T = self.plan(products)
        u, v = AF.marginals_of(products, self.config.marginals)
        unlike = T * (1.0 - S)
        even = (1.0 - float(T.sum())) / (2 * self.config.cells)
        grid = (self.config.grid, self.config.grid)
        maps = [(unlike.sum(dim=dim) / 2 + even).view(grid) for dim in (1, 0)]
        w = self.config.base_weight
        parts = [Component(c.name, c.value * w, c.map_a * w, c.map_b * w) for c in base.components]
        parts.append(Component("structure", 1.0 - float((T * S).sum()), *maps))
        return Explanation(
            self.method,
            float(sum(part.value for part in parts)),
            tuple(parts),
            flow=Flow(grid, grid, T, S, u, v),
            likeness=added_likeness(base.likeness, CellLikeness(grid, grid, T * S)),
        )

    def plan(self, products: Tensor) -> Tensor:
        """Transport plans ``[..., N, N]`` from the products of :func:`functional.structural_products`."""
        return self.measure().plan(products)

    def node_vectors(self, encoding: Encoding) -> Tensor:
        """The base's vectors: cells take no part in approximate search."""
        return self.base.node_vectors(self._own(encoding).base)

    def measure(self) -> DimlMeasure:
        """The base's measure and the matching of cells that ride along as gates."""
        config = self.config
        return DimlMeasure(
            self.base.measure(),
            config.cells,
            self.base.embedded_width,
            base_weight=config.base_weight,
            marginals=config.marginals,
            temperature=config.temperature,
            max_iterations=config.max_iterations,
        )

    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """The base's vectors; as gates the base's, the cells, and the whole."""
        own = self._own(encoding)
        base = self.base.rows(own.base, role)
        return Rows(base.vectors, torch.cat([base.gates, own.cells.flatten(1), own.whole], dim=1))

    def _own(self, encoding: Encoding) -> DimlEncoding:
        if not isinstance(encoding, DimlEncoding):
            raise EncodingError(f"need a DimlEncoding, not {type(encoding).__name__}: encode with this model")
        if encoding.cells.shape[1] != self.config.cells:
            raise EncodingError(
                f"the encoding has {encoding.cells.shape[1]} cells, this model {self.config.cells}: "
                "encode with this model"
            )
        return encoding
