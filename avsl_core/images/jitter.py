"""Shift the colours of a picture by given factors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

__all__ = ["ColourFactors", "jitter_colours"]


@dataclass(frozen=True)
class ColourFactors:
    """One draw of colour changes.

    Attributes:
        brightness: 1 leaves it; 0 is black.
        contrast: 1 leaves it; 0 is even grey.
        saturation: 1 leaves it; 0 is without colour.
        hue: Turn of the colour circle, -0.5 to 0.5 of it; 0 leaves it.
        order: In which order the four are applied, as places in the list above.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[int, ...]


def jitter_colours(image: NDArray[np.uint8], factors: ColourFactors) -> NDArray[np.uint8]:
    """Apply brightness, contrast, saturation and hue changes in the given order.

    Args:
        image: uint8 RGB [H, W, 3].
        factors: What to change; neutral factors cost nothing.

    Returns:
        uint8 RGB [H, W, 3]; `image` itself where nothing changes.
    """
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    strengths = (factors.brightness, factors.contrast, factors.saturation)
    if strengths == (1.0, 1.0, 1.0) and factors.hue == 0:
        return image
    picture = Image.fromarray(image)
    for place in factors.order:
        if place == len(enhancers):
            picture = _turn_hue(picture, factors.hue)
        elif strengths[place] != 1:
            picture = enhancers[place](picture).enhance(strengths[place])
    return np.array(picture)


def _turn_hue(picture: Image.Image, turn: float) -> Image.Image:
    steps = round(turn * 256) % 256
    if steps == 0:
        return picture
    hue, saturation, value = picture.convert("HSV").split()
    turned = hue.point([(level + steps) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
