"""What every explanation of a pair is measured as: one signed map over each picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.explain.heatmap import density

__all__ = ["FloatMap", "PairMaps", "densities"]

FloatMap = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PairMaps:
    """Signed maps over two pictures: positive cells push the pictures apart, negative ones pull together.

    Attributes:
        a: Over the first picture, ``[H, W]`` of any resolution.
        b: Over the second picture, ``[h, w]``.
        levels: For explanations that have levels, each level's own two maps by name, from low to high.
        target: What a complete explanation's two maps must add up to; None where nothing is promised.
    """

    a: Tensor
    b: Tensor
    levels: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=lambda: MappingProxyType({}))
    target: float | None = None

    def sum(self) -> float:
        """Everything that the two maps hand out."""
        return float(self.a.double().sum() + self.b.double().sum())

    def level(self, name: str) -> "PairMaps":
        """One level's maps alone.

        Raises:
            KeyError: If there is no such level.
        """
        return PairMaps(*self.levels[name])


def densities(maps: PairMaps, side: int) -> FloatMap:
    """Both pictures' maps as they are drawn, see :func:`avsl_core.explain.heatmap.density`.

    What is measured is what people are shown: maps with levels are the sum of their levels as drawn.

    Returns:
        float32 ``[2, side, side]``.
    """
    levels = list(maps.levels.values()) or [(maps.a, maps.b)]
    return np.stack([np.sum([density(pair[i], side) for pair in levels], axis=0) for i in (0, 1)])
