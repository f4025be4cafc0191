"""Signed heatmaps: what pulls two pictures together and what pushes them apart, drawn on them.

Blue pulls together, orange pushes apart: the pair that stays distinct in every common kind of colour
blindness. The picture underneath is paled and greyed, so that no colour of its own reads as a signal.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

__all__ = [
    "APART",
    "TOGETHER",
    "color_of",
    "density",
    "draw_lit",
    "draw_signed",
    "draw_spotlight",
    "shared_scale",
]

TOGETHER = (27, 94, 170)
"""Colour of cells that pull the pictures together, RGB."""

APART = (206, 84, 0)
"""Colour of cells that push the pictures apart, RGB."""

_STEPS = 255  # odd, so that zero has a step of its own
_STRONGEST = 0.88  # opacity at the end of the scale: the picture stays visible under it

Picture = NDArray[np.uint8]


def draw_signed(crop: Picture, maps: Sequence[Tensor], scale: float, *, side: int | None = None) -> Picture:
    """Lay one signed map, or the sum of several, over the picture it explains.

    Colour stands for the part of the distance per area (a cell's value times the number of cells), so that
    maps of different resolution can be compared by eye.

    Args:
        crop: What the network saw, uint8 RGB ``[S, S, 3]``.
        maps: Signed maps ``[H, W]`` of any resolution, drawn as their sum; positive pushes apart.
        scale: Value per area at which the colour is full, from :func:`shared_scale`; 0 draws no colour.
        side: Side of the result in pixels; that of the crop when None.

    Returns:
        uint8 RGB ``[side, side, 3]``.
    """
    side = side or crop.shape[0]
    drawn = np.zeros((side, side), np.float32)
    for values in maps:
        drawn += density(values, side)
    unit = np.clip(drawn / scale, -1.0, 1.0) if scale > 0 else np.zeros_like(drawn)
    index = np.rint((unit + 1.0) * (_STEPS // 2)).astype(np.uint8)
    return _blend(_paled(crop, side), _COLORS[index], _OPACITY[index])


def density(values: Tensor, side: int) -> NDArray[np.float32]:
    """A map as it is drawn: value per area, so that grids of different size compare, enlarged smoothly.

    Args:
        values: ``[H, W]``.
        side: Side of the result in pixels.

    Returns:
        float32 ``[side, side]``; its mean is about the sum of the values.
    """
    return _upsample(_density(values), side)


def draw_spotlight(crop: Picture, values: Tensor, *, side: int | None = None) -> Picture:
    """Light up where a node answers, and pale the rest.

    Args:
        crop: What the network saw, uint8 RGB ``[S, S, 3]``.
        values: Activation map ``[H, W]``; below its median pale, near its greatest fully lit.
        side: Side of the result in pixels; that of the crop when None.

    Returns:
        uint8 RGB ``[side, side, 3]``.
    """
    side = side or crop.shape[0]
    raw = values.detach().cpu().numpy().astype(np.float32)
    # The peak of the map carries its channels' maxima once more; percentiles keep the rest visible.
    low, high = np.quantile(raw, (0.5, 0.98))
    return _lit(crop, (raw - low) / (high - low) if high > low else np.zeros_like(raw), side)


def draw_lit(crop: Picture, values: Tensor, *, side: int | None = None) -> Picture:
    """Light up cells by how much they count, and pale the rest.

    Args:
        crop: What the network saw, uint8 RGB ``[S, S, 3]``.
        values: Not negative, ``[H, W]``; the greatest is fully lit, nothing is pale.
        side: Side of the result in pixels; that of the crop when None.

    Returns:
        uint8 RGB ``[side, side, 3]``.
    """
    raw = values.detach().cpu().numpy().astype(np.float32)
    greatest = float(raw.max(initial=0.0))
    return _lit(crop, raw / greatest if greatest > 0 else np.zeros_like(raw), side or crop.shape[0])


def shared_scale(maps: Sequence[Tensor]) -> float:
    """One scale for maps that should be compared by eye.

    The 99th percentile of the absolute value per area, so that a single extreme cell does not wash out the
    rest; cells beyond it get the full colour.

    Args:
        maps: Signed maps ``[H, W]``, of any resolutions.

    Returns:
        Value per area of the full colour; 0 if all maps are zero.
    """
    if not maps:
        return 0.0
    return max(float(np.quantile(np.abs(_density(values)), 0.99)) for values in maps)


def color_of(unit: float) -> str:
    """The colour of a place on the scale over white, for legends: ``#rrggbb``.

    Args:
        unit: From -1 (together) to 1 (apart).
    """
    index = round((min(1.0, max(-1.0, unit)) + 1) * (_STEPS // 2))
    white = np.full((1, 3), 246, np.uint8)
    red, green, blue = _blend(white, _COLORS[index][None], _OPACITY[index][None])[0]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _lit(crop: Picture, unit: NDArray[np.float32], side: int) -> Picture:
    """Mix the picture and its pale copy; 1 is fully lit."""
    light = (np.clip(_upsample(np.clip(unit, 0.0, 1.0), side), 0.0, 1.0) * 256).astype(np.uint16)[..., None]
    dim = (_paled(crop, side).astype(np.uint16) * 3 + 2 * 255) // 5
    return _blend(dim.astype(np.uint8), _resized(crop, side), light)


def _density(values: Tensor) -> NDArray[np.float32]:
    plain: NDArray[np.float32] = values.detach().cpu().numpy().astype(np.float32)
    return plain * plain.size


def _upsample(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    if values.shape == (side, side):
        return values
    return np.asarray(Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC))


def _resized(crop: Picture, side: int) -> Picture:
    if crop.shape[:2] == (side, side):
        return crop
    return np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC))


def _paled(crop: Picture, side: int) -> Picture:
    """Grey, lifted towards white: contours stay, colours go."""
    grey = np.asarray(Image.fromarray(_resized(crop, side)).convert("L")).astype(np.uint16)
    lifted = (90 + grey * 160 // 255).astype(np.uint8)
    return np.repeat(lifted[..., None], 3, axis=2)


def _blend(under: Picture, over: Picture, opacity: NDArray[np.uint16]) -> Picture:
    """Mix in integers; opacity is in 256ths and broadcasts over the colours."""
    mixed = under * (256 - opacity) + over * opacity
    return (mixed >> 8).astype(np.uint8)


def _color_table() -> tuple[Picture, NDArray[np.uint16]]:
    """Colour and opacity of every step: the hue tells the sign, the opacity the size."""
    unit = np.linspace(-1.0, 1.0, _STEPS)
    colors = np.where(unit[:, None] < 0, np.array(TOGETHER), np.array(APART)).astype(np.uint8)
    opacity = (np.abs(unit) ** 0.75 * _STRONGEST * 256).astype(np.uint16)
    return colors, opacity[:, None]


_COLORS, _OPACITY = _color_table()
