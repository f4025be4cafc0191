"""Drawings of the Bird lab: heatmaps with the true outline and the strongest spot on them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from app.lab.bench import Spot
from avsl_core.explain.heatmap import draw_signed

__all__ = ["draw_map", "draw_outline", "draw_spot"]

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_SIDE = 336  # sharp on a screen of double density at the size the page shows them
_INK, _HALO = (16, 20, 24), (255, 255, 255)


def draw_map(
    crop: Picture, maps: Sequence[Tensor], scale: float, outlines: Sequence[Mask], spot: Spot | None
) -> Picture:
    """Lay maps, outlines and the strongest spot over one picture.

    Args:
        crop: What the network saw, uint8 RGB ``[S, S, 3]``.
        maps: Signed maps, drawn as their sum.
        scale: Value per area of the full colour.
        outlines: Where the changed parts are, ``[S, S]`` each.
        spot: The strongest spot if it lies in this picture.

    Returns:
        uint8 RGB ``[336, 336, 3]``.
    """
    drawn = draw_signed(crop, maps, scale, side=_SIDE)
    for mask in outlines:
        drawn = draw_outline(drawn, mask)
    return drawn if spot is None else draw_spot(drawn, spot)


def draw_outline(picture: Picture, mask: Mask) -> Picture:
    """Draw the contour of a region just outside of it: dark with a white edge, to be seen on every colour.

    Args:
        picture: uint8 RGB ``[H, W, 3]``.
        mask: ``[h, w]``, of any resolution.
    """
    if not mask.any():
        return picture
    height, width = picture.shape[:2]
    region = Image.fromarray(mask.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    # The blurred region falls off smoothly across its border, so that each of its levels is a parallel line.
    soft = np.asarray(region.filter(ImageFilter.GaussianBlur(2.5))).astype(np.float32)[..., None] / 255
    drawn: NDArray[np.float32] = picture.astype(np.float32)
    for colour, level, ramp in ((_HALO, 0.02, 0.04), (_INK, 0.16, 0.06), (picture, 0.46, 0.10)):
        opacity = np.clip((soft - level) / ramp, 0.0, 1.0).astype(np.float32)
        drawn = drawn * (1 - opacity) + np.asarray(colour, np.float32) * opacity
    return drawn.round().astype(np.uint8)


def draw_spot(picture: Picture, spot: Spot) -> Picture:
    """Ring the strongest spot."""
    side = picture.shape[0]
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    x, y = spot.x * side, spot.y * side
    for colour, radius, width in ((_HALO, 12, 7), (_INK, 10, 3)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=width)
    return np.asarray(image)
