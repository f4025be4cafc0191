"""The pointing game on pairs that differ in one known part: does the map's maximum lie on it?

Source: the pointing game of Zhang et al., *Top-down Neural Attention by Excitation Backprop*, IJCV 2018, here
on the distance of a pair: one maximum over both pictures, and masks that are exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avsl_core.errors import DataError
from avsl_core.faithfulness.maps import PairMaps, densities

__all__ = ["Pointing", "point"]

_TOLERANCE = 15.0 / 224.0  # the game's 15 pixels, on pictures of 224

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pointing:
    """How one explanation did on one pair.

    Attributes:
        hit: The maximum of both maps together lies on the part.
        near: It lies within 15 pixels of 224 of the part (the usual tolerance).
        mass: Share of the positive part of both maps that lies on the part, 0 to 1.
        area: Share of both pictures that is the part: what chance would reach in ``hit`` and ``mass``.
    """

    hit: bool
    near: bool
    mass: float
    area: float


def point(maps: PairMaps, mask_a: Mask, mask_b: Mask) -> Pointing:
    """Play the pointing game on one pair.

    Args:
        maps: The explanation.
        mask_a: Where the part is in the first picture, ``[S, S]``.
        mask_b: Where it is in the second, ``[S, S]``.

    Raises:
        DataError: If the masks are not two squares of one size, or both are empty.

    Example:
        >>> import torch
        >>> part = np.zeros((8, 8), bool)
        >>> part[:4, :4] = True
        >>> peak = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
        >>> result = point(PairMaps(peak, torch.zeros(2, 2)), part, part)
        >>> result.hit, result.area
        (True, 0.25)
    """
    masks = _checked(mask_a, mask_b)
    side = masks.shape[1]
    values = densities(maps, side)
    picture, row, column = np.unravel_index(int(values.argmax()), values.shape)
    rows, columns = np.nonzero(masks[picture])
    squared = (rows - row) ** 2 + (columns - column) ** 2
    positive = values.clip(min=0.0).astype(np.float64)
    whole = float(positive.sum())
    return Pointing(
        hit=bool(masks[picture, row, column]),
        near=bool((squared <= (_TOLERANCE * side) ** 2).any()),
        mass=float(positive[masks].sum()) / whole if whole > 0 else 0.0,
        area=float(masks.mean()),
    )


def _checked(mask_a: Mask, mask_b: Mask) -> NDArray[np.bool_]:
    shapes = {mask_a.shape, mask_b.shape}
    if len(shapes) != 1 or mask_a.ndim != 2 or mask_a.shape[0] != mask_a.shape[1]:
        raise DataError(
            f"the part's masks must be two squares of one size, not {mask_a.shape}, {mask_b.shape}"
        )
    masks = np.stack([mask_a, mask_b]).astype(bool)
    if not masks.any():
        raise DataError("the part is in neither picture: there is nothing to point at")
    return masks
