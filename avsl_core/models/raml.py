"""RAML: a student that looks at small pictures finds what a teacher saw in large ones.

Suma and Tolias, *Large-to-small Image Resolution Asymmetry in Deep Metric Learning*, WACV 2023. A gallery
is encoded once, by the teacher; queries are encoded by the cheaper student, whose vectors live in the same
space.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

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
from avsl_core.models.raml_pooling import RamlPooling, pool, pool_shares
from avsl_core.models.split import cell_coefficients, split_levels

__all__ = ["RamlConfig", "RamlEncoding", "RamlModel", "Sides"]

Sides = Literal["asymmetric", "student", "teacher"]
"""Who looks: the student at queries and the teacher at the gallery, or one of them at both."""

_STUDENT, _TEACHER = 0, 1
_NAMES = ("student", "teacher")
_PARTS = ("low", "high")
_FIRST_EXPONENT = 3.0


@dataclass(frozen=True)
class RamlConfig:
    """Everything that shapes a RAML model.

    Pictures come at the teacher's size; the student's trunk sees them reduced, inside the model.

    Attributes:
        backbone: The teacher's trunk, with one level.
        student: The student's; None looks through the teacher's trunk with a head of its own.
        student_size: Side in pixels of what the student's trunk sees.
        nodes: Length of the vectors.
        pooling: Of both sides; the exponent of ``"gem"`` is learned, one for each channel in ``"gemmp"``.
        sides: Who looks at which side of a comparison.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BackboneConfig(levels=(4,)))
    student: BackboneConfig | None = None
    student_size: int = 224
    nodes: int = 512
    pooling: RamlPooling = "gem"
    sides: Sides = "asymmetric"

    def __post_init__(self) -> None:
        for trunk in (self.backbone, self.student):
            if trunk is not None and len(trunk.levels) != 1:
                raise ConfigError(f"levels {trunk.levels}: RAML compares one level, such as 4 or head")
        for name in ("student_size", "nodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.pooling not in ("gem", "gemmp", "mac", "spoc", "rmac"):
            raise ConfigError(f"pooling must be gem, gemmp, mac, spoc or rmac, not {self.pooling!r}")
        if self.sides not in ("asymmetric", "student", "teacher"):
            raise ConfigError(f"sides must be asymmetric, student or teacher, not {self.sides!r}")


@dataclass(frozen=True, eq=False)
class RamlEncoding(Encoding):
    """What either network made of the pictures.

    Attributes:
        student: Unit vectors ``[B, D]``, or None where the student did not look.
        teacher: The teacher's.
        maps: The trunk's map of each side that looked, student first, ``[B, C, H, W]``; None if not kept.
    """

    student: Tensor | None = None
    teacher: Tensor | None = None
    maps: tuple[Tensor, ...] | None = None


class RamlModel(EuclideanModel):
    """Trunk, pooling, L2, linear, L2 on either side; distance = 1 - student(query) . teacher(gallery).

    Args:
        config: The model's shape.
        weights: Source of the teacher's trunk's first weights.
        generator: Randomness of the heads' initialisation.
        student_weights: Source of the student's, where it has a trunk of its own.
    """

    method: ClassVar[str] = "raml"
    scale: ClassVar[float] = 0.5

    def __init__(
        self,
        config: RamlConfig,
        weights: str = "none",
        *,
        generator: torch.Generator | None = None,
        student_weights: str = "none",
    ) -> None:
        super().__init__()
        self.config = config
        self.trunk = Backbone(config.backbone, weights)
        self.student_trunk = None if config.student is None else Backbone(config.student, student_weights)
        channels = [self._trunk(side).channels[0] for side in (_STUDENT, _TEACHER)]
        lengths = {"gem": [1, 1], "gemmp": channels}.get(config.pooling, [])
        self.exponents = nn.ParameterList([torch.full((length,), _FIRST_EXPONENT) for length in lengths])
        self.projections = nn.ParameterList([kaiming_fan_out((config.nodes, c), generator) for c in channels])
        self.biases = nn.ParameterList([torch.zeros(config.nodes) for _ in channels])

    @property
    def trunks(self) -> tuple[Backbone, ...]:
        """The teacher's trunk, and the student's where it has its own."""
        return (self.trunk,) if self.student_trunk is None else (self.trunk, self.student_trunk)

    @property
    def maps_settings(self) -> dict[str, Any]:
        """Whose maps they are, and how large a picture the student sees."""
        return {"raml": {"sides": self.config.sides, "student_size": self.config.student_size}}

    def with_sides(self, sides: Sides) -> Self:
        """A model that shares all weights with this one and lets others look.

        Raises:
            ConfigError: If there is no such choice.
        """
        return self._changed(replace(self.config, sides=sides))

    def at_scale(self, scale: float) -> Self:
        """Show the student as much more or less as the pictures are larger or smaller than usual."""
        size = max(1, round(self.config.student_size * scale))
        return self._changed(replace(self.config, student_size=size))

    def trunk_maps(self, images: Tensor, role: Role | None = None) -> list[Tensor]:
        """Run the trunks: the student's map and the teacher's, or that of one role's side alone.

        Args:
            images: As :meth:`encode` takes them, at the teacher's size.
            role: None for all that ``sides`` needs, student first.
        """
        sides = self._sides(role)
        reduced = self._reduce(images) if _STUDENT in sides else images
        if len(sides) == 2 and reduced is images and self.student_trunk is None:
            seen: Tensor = self.trunk(images)[0]
            return [seen, seen]
        return [self._trunk(side)(images if side == _TEACHER else reduced)[0] for side in sides]

    def pooled(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """What the heads see: normalised pooled features ``[B, C]`` of the student and of the teacher."""
        sides = (_STUDENT, _TEACHER) if len(maps) == 2 else self._sides(None)
        return [self._pooled(m, side) for m, side in zip(maps, sides, strict=True)]

    def vectors(self, features: Tensor, side: int) -> Tensor:
        """Pool and project one map as the student (0) or the teacher (1) does: ``[B, D]``, normalised."""
        return F.normalize(self._projected(self._pooled(features, side), side), dim=1)

    def encode_maps(
        self, maps: Sequence[Tensor], role: Role | None = None, *, keep_maps: bool = True
    ) -> RamlEncoding:
        """Encode from the trunks' maps: two, or one that is ``role``'s.

        Raises:
            EncodingError: If there is one map, and it could be of either side.
        """
        sides = (_STUDENT, _TEACHER) if len(maps) == 2 else self._sides(role)
        if len(sides) != len(maps):
            raise EncodingError(f"{len(maps)} map for both sides: say whose with role=query or role=gallery")
        made = {_NAMES[side]: self.vectors(m, side) for side, m in zip(sides, maps, strict=True)}
        return RamlEncoding(**made, maps=tuple(maps) if keep_maps else None)

    @property
    def embedded_width(self) -> int:
        """Length of the vectors."""
        width: int = self.config.nodes
        return width

    def embedded_map(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Each cell's vector as if the picture were this cell alone, and the picture's, not normalised.

        Raises:
            EncodingError: If a network of its own looks at each side: they agree on pictures, not on cells.
        """
        sides = self._sides(None)
        if len(sides) == 2:
            raise EncodingError(
                "student and teacher agree on whole pictures, not on cells: let one look at both sides, "
                'with_sides("student") or with_sides("teacher")'
            )
        (features,), (side,) = maps, sides
        B, _, H, W = features.shape
        cells = features.permute(0, 2, 3, 1).reshape(B * H * W, -1, 1, 1)
        embedded = self._projected(self._pooled(cells, side), side)
        return (
            embedded.view(B, H, W, -1).permute(0, 3, 1, 2),
            self._projected(self._pooled(features, side), side),
        )

    def compared(self, encoding: Encoding, role: Role) -> Tensor:
        """The vectors of the network that looks at a side, of length 1."""
        return self._side(encoding, role)

    @torch.no_grad()
    def explain(self, a: Encoding, b: Encoding, *, split: AF.Split = "matched") -> Explanation:
        """Account for one pair in float64: what either network finds different, half and half.

        ``"low"`` is half the students' distance, on the student's cells; ``"high"`` half the teachers', on
        the teacher's. What is left is the resolution gap: how far the student fell short of the teacher. A
        model whose ``sides`` are one network has that one component, and no gap.

        Args:
            a: First picture, the query.
            b: Second picture, of the gallery.
            split: How a difference is spread over cells; any choice adds up.

        Raises:
            EncodingError: If an encoding is not one picture of this method with the maps of both sides.
            ConfigError: If there is no such split.
        """
        check_pair(a, b, RamlEncoding)
        sides = self._sides(None)
        features = [(self._map(a, side)[0], self._map(b, side)[0]) for side in sides]
        values, signed, units = [], [], []
        for side, maps in zip(sides, features, strict=True):
            value, spread, nodes = self._account(maps, side, 0.5 / len(sides), split)
            values.append(value)
            signed.append(spread)
            units.append(nodes)
        parts = tuple(
            Component(_PARTS[side], value, *maps)
            for side, value, maps in zip(sides, values, split_levels(signed, features, split), strict=True)
        )
        total = float((units[0][0] - units[-1][1]).square().sum()) / 2.0
        # What is scored: the student's vector of the query against the teacher's of the other.
        seen = (features[0][0], sides[0]), (features[-1][1], sides[-1])

        def shares() -> list[CellShares]:
            query, other = (self._shares(*one) for one in seen)
            return [(query, other, query.new_ones(len(query)))]

        likeness = likeness_of(common_grid([seen[0][0]]), common_grid([seen[1][0]]), shares)
        if len(sides) == 1:
            return Explanation(self.method, values[0], parts, likeness=likeness)
        return Explanation(
            self.method, total, parts, residual=total - sum(values), exact=False, likeness=likeness
        )

    def node_vectors(self, encoding: Encoding) -> Tensor:
        """The gallery side's vectors, or the queries' where the encoding has no others."""
        name = _NAMES[self._sides("gallery")[0]]
        return self._side(encoding, "query" if getattr(self._own(encoding), name) is None else "gallery")

    def measure(self) -> EuclideanMeasure:
        """Half the squared distance, in one part.

        It bears the component's name where one network looks at both sides. Between two networks it is
        ``"distance"``: rows hold one side each, and a component takes both.
        """
        sides = self._sides(None)
        return EuclideanMeasure(
            ["distance" if len(sides) == 2 else _PARTS[sides[0]]], [self.config.nodes], [0.5]
        )

    def rows(self, encoding: Encoding, role: Role = "gallery") -> Rows:
        """The vectors of the network that looks at this side; no gates."""
        vectors = self._side(encoding, role)
        return Rows(vectors, vectors.new_zeros((len(vectors), 0)))

    def _changed(self, config: RamlConfig) -> Self:
        twin = copy.copy(self)  # parameters and modules are shared
        twin.config = config
        return twin

    def _sides(self, role: Role | None) -> tuple[int, ...]:
        """Who looks at a role's side, or at either."""
        if self.config.sides != "asymmetric":
            return (_NAMES.index(self.config.sides),)
        return {None: (_STUDENT, _TEACHER), "query": (_STUDENT,), "gallery": (_TEACHER,)}[role]

    def _trunk(self, side: int) -> Backbone:
        return self.trunk if side == _TEACHER or self.student_trunk is None else self.student_trunk

    def _reduce(self, images: Tensor) -> Tensor:
        size = (self.config.student_size, self.config.student_size)
        if tuple(images.shape[2:]) == size:
            return images
        return F.interpolate(images, size, mode="bilinear", antialias=True)

    def _pooled(self, features: Tensor, side: int) -> Tensor:
        return F.normalize(pool(features, self.config.pooling, self._exponent(side)), dim=1)

    def _exponent(self, side: int) -> Tensor | None:
        return self.exponents[side] if len(self.exponents) else None

    def _projected(self, pooled: Tensor, side: int) -> Tensor:
        return F.linear(pooled, self.projections[side].to(pooled), self.biases[side].to(pooled))

    def _own(self, encoding: Encoding) -> RamlEncoding:
        if not isinstance(encoding, RamlEncoding):
            raise EncodingError(f"need a RamlEncoding, not {type(encoding).__name__}: encode with this model")
        return encoding

    def _side(self, encoding: Encoding, role: Role) -> Tensor:
        """The vectors of the network that looks at a role's side."""
        name = _NAMES[self._sides(role)[0]]
        vectors: Tensor | None = getattr(self._own(encoding), name)
        if vectors is None:
            raise EncodingError(
                f"the encoding lacks the {name}'s vectors, which a {role} needs: encode with role={role}, or "
                "with no role for both sides"
            )
        check_widths([vectors], [self.config.nodes])
        return vectors

    def _map(self, encoding: Encoding, side: int) -> Tensor:
        """One side's map."""
        own = self._own(encoding)
        kept = [place for place, name in enumerate(_NAMES) if getattr(own, name) is not None]
        if own.maps is None or side not in kept:
            raise EncodingError(
                f"explaining needs the {_NAMES[side]}'s map of both pictures: encode with keep_maps=True"
            )
        return own.maps[kept.index(side)]

    def _shares(self, features: Tensor, side: int) -> Tensor:
        """What each cell of one network's map adds to each entry of its vector, ``[D, H, W]``."""
        features = features[None].double()
        pooled = pool(features, self.config.pooling, self._exponent(side))
        length = self._projected(F.normalize(pooled, dim=1), side).norm().clamp_min(1e-12)
        shares = pool_shares(features, self.config.pooling, self._exponent(side))[0]
        shares = shares / pooled.norm().clamp_min(1e-12)
        weight, bias = self.projections[side].double(), self.biases[side].double()
        projected = torch.einsum("rc,chw->rhw", weight, shares)
        vectors: Tensor = (projected + bias[:, None, None] / shares[0].numel()) / length
        return vectors

    def _account(
        self, features: tuple[Tensor, Tensor], side: int, factor: float, split: AF.Split
    ) -> tuple[float, tuple[Tensor, Tensor], Tensor]:
        """One network's part of a pair, factor times its squared distance, over cells; its unit vectors."""
        maps = [m[None].double() for m in features]
        # Not normalised yet: both lengths are needed to take the vectors apart again.
        pooled = [pool(m, self.config.pooling, self._exponent(side)) for m in maps]
        projected = [self._projected(F.normalize(g, dim=1), side) for g in pooled]
        nodes = F.normalize(torch.cat(projected), dim=1)
        coefficients, even = cell_coefficients(torch.full_like(nodes[:1], factor), nodes, split)
        spread = []
        for row, m in enumerate(maps):
            shares = pool_shares(m, self.config.pooling, self._exponent(side))[0]
            shares = shares / pooled[row].norm().clamp_min(1e-12)
            length = projected[row].norm().clamp_min(1e-12)
            weights = coefficients[row] @ self.projections[side].double()
            offset = coefficients[row] @ self.biases[side].double()
            cells = shares.shape[1] * shares.shape[2]
            values = torch.einsum("c,chw->hw", weights, shares) + offset / cells
            spread.append(values / length + even / cells)
        value = factor * float((nodes[0] - nodes[1]).square().sum())
        return value, (spread[0], spread[1]), nodes
