"""The account of one distance: named parts that add up to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType

import torch
from torch import Tensor

from avsl_core import functional as AF

__all__ = ["CellLikeness", "Component", "Explanation", "Flow", "LevelDetails"]


@dataclass(frozen=True, eq=False)
class Component:
    """One named part of a distance.

    Attributes:
        name: For instance ``"level1"``; stable, used in files.
        value: Its part of the distance. The two maps sum to it.
        map_a: Signed map over the first picture, ``[H, W]`` float64: positive cells push the pictures
            apart, negative cells pull them together.
        map_b: The same over the second picture, ``[h, w]``.
    """

    name: str
    value: float
    map_a: Tensor
    map_b: Tensor


@dataclass(frozen=True, eq=False)
class LevelDetails:
    """What happened inside one level of AVSL, for those who want the matrices.

    Attributes:
        gate: Reliability P, ``[R]`` in (0, 1); all ones at the lowest level, which trusts itself.
        weight: Top-down weight w, ``[R]``: the share of each node's difference that reaches the total.
        contribution: w times the node's squared difference, ``[R]``; sums to the level's value.
    """

    gate: Tensor
    weight: Tensor
    contribution: Tensor


@dataclass(frozen=True, eq=False)
class Flow:
    """Which cells of one picture were matched to which of the other, and how alike they are.

    Attributes:
        grid_a: Rows and columns of the first picture's cells.
        grid_b: Of the second's.
        plan: T, ``[Na, Nb]`` float64: mass moved from each cell to each, summing to about 1.
        similarity: S, ``[Na, Nb]``: cosine of each two cells, in [-1, 1].
        marginal_a: What each cell of the first picture counts, ``[Na]``, summing to about 1.
        marginal_b: The same for the second, ``[Nb]``.
    """

    grid_a: tuple[int, int]
    grid_b: tuple[int, int]
    plan: Tensor
    similarity: Tensor
    marginal_a: Tensor
    marginal_b: Tensor

    @property
    def likeness(self) -> Tensor:
        """T * S, ``[Na, Nb]``: what each match adds to the structural similarity."""
        return self.plan * self.similarity


class CellLikeness:
    """How much each cell of one picture has in common with each of the other, worked out on demand.

    The similarity side of the distance, which is bilinear in the cells of the two pictures: for AVSL
    sum_r w_r n_r(x) n_r(y) over all levels, for methods that measure by a cosine that cosine, and for DIML
    the flow T * S besides. Rows added up over a region of the first picture are a map over the second.

    Args:
        grid_a: Rows and columns of the first picture's cells.
        grid_b: Of the second's.
        matrix: See :attr:`matrix`, or what makes it, once.
    """

    def __init__(
        self, grid_a: tuple[int, int], grid_b: tuple[int, int], matrix: Tensor | Callable[[], Tensor]
    ) -> None:
        self.grid_a, self.grid_b = grid_a, grid_b
        self._matrix = matrix
        self._lock = Lock()

    @property
    def matrix(self) -> Tensor:
        """``[Na, Nb]`` float64; positive where cells answer to each other, negative where they contradict."""
        with self._lock:
            if not isinstance(self._matrix, Tensor):
                with torch.no_grad():
                    self._matrix = self._matrix()
            return self._matrix

    @property
    def total(self) -> float:
        """What the two pictures have in common, as the method counts it: of a cosine at most 1."""
        return float(self.matrix.sum())

    def on(self, grid_a: tuple[int, int], grid_b: tuple[int, int]) -> "CellLikeness":
        """The same on other grids; sums over whole pictures stay."""
        by_b = AF.regrid(self.matrix.view(-1, *self.grid_b), grid_b).flatten(1)
        by_a = AF.regrid(by_b.T.reshape(-1, *self.grid_a), grid_a).flatten(1)
        return CellLikeness(grid_a, grid_b, by_a.T)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why two pictures are as far apart as they are.

    Components plus residual equal the total, always.

    Attributes:
        method: Name of the method that measured.
        total: The distance.
        components: The parts, from low to high level.
        residual: What the components leave unexplained; 0 when ``exact``.
        exact: Whether the residual is zero by construction.
        levels: Per-component details, by component name, for methods that have them.
        flow: The match of cells, for methods that compare by one.
        before: The same pair before the method's learned adaptation, for methods that adapt features.
        likeness: Which cells answer to which; None where nothing is known of it.
    """

    method: str
    total: float
    components: tuple[Component, ...]
    residual: float = 0.0
    exact: bool = True
    levels: Mapping[str, LevelDetails] = field(default_factory=lambda: MappingProxyType({}))
    flow: Flow | None = None
    before: "Explanation | None" = None
    likeness: CellLikeness | None = None

    def component(self, name: str) -> Component:
        """Look up a part by name.

        Raises:
            KeyError: If there is none of that name.
        """
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(f"no component {name!r}; there are {', '.join(c.name for c in self.components)}")

    def shares(self) -> dict[str, float]:
        """Each component's share of the total, by name; zeros when the pictures are identical."""
        scale = self.total if self.total > 0 else 1.0
        return {component.name: component.value / scale for component in self.components}
