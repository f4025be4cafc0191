"""A bird and a scene become a picture and a mask for every part."""

import numpy as np
import skia
from numpy.typing import NDArray

from avsl_core.aviary.backdrop import paint_backdrop
from avsl_core.aviary.bird import PosedBird, pose_bird
from avsl_core.aviary.camera import develop, develop_mask
from avsl_core.aviary.occluder import paint_occluder
from avsl_core.aviary.parameters import Bird, Scene
from avsl_core.errors import ConfigError

__all__ = ["part_masks", "render"]

_SMALLEST, _LARGEST = 32, 2048


def render(bird: Bird, scene: Scene, size: int = 224) -> NDArray[np.uint8]:
    """Draw a picture; the same arguments give the same bytes.

    Args:
        bird: What to draw.
        scene: Everything else.
        size: Side of the picture, 32 to 2048 pixels.

    Returns:
        [S, S, 3] RGB.

    Raises:
        ConfigError: If the size is out of range.
    """
    _check(size)
    posed = pose_bird(bird, scene, size)
    pixels = np.zeros((size, size, 4), np.uint8)
    canvas = _canvas(pixels)
    paint_backdrop(canvas, scene, size, posed.anatomy.footing)
    posed.paint(canvas)
    front = _occluder(posed, scene, size)
    if front is not None:
        image = skia.Image.fromarray(front, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, copy=False)
        canvas.drawImage(image, 0, 0)
    return develop(np.ascontiguousarray(pixels[:, :, :3]), scene)


def part_masks(bird: Bird, scene: Scene, size: int = 224) -> dict[str, NDArray[np.uint8]]:
    """Where each part of a bird is seen on its picture.

    Args:
        bird: What is drawn.
        scene: Everything else.
        size: Side of the picture, 32 to 2048 pixels.

    Returns:
        For each part [S, S]: the share of the pixel that the part fills, as seen by the camera, 0 to 255.
        Wherever the part has any influence on :func:`render`, its mask is above 0.

    Raises:
        ConfigError: If the size is out of range.
    """
    _check(size)
    posed = pose_bird(bird, scene, size)
    front = _occluder(posed, scene, size)
    hidden = np.zeros((size, size), np.uint8) if front is None else front[:, :, 3]
    masks = posed.coverage(size, hidden)
    return {name: develop_mask(mask, scene) for name, mask in masks.items()}


def _occluder(posed: PosedBird, scene: Scene, size: int) -> NDArray[np.uint8] | None:
    """What stands in front, on a sheet of its own: its opacity is then exactly what hides the bird."""
    if scene.occluder == "none" or scene.cover == 0:
        return None
    sheet = np.zeros((size, size, 4), np.uint8)
    paint_occluder(_canvas(sheet), scene, size, posed.anatomy.box)
    return sheet


def _canvas(pixels: NDArray[np.uint8]) -> skia.Canvas:
    """A canvas that draws into an array [S, S, 4], RGBA, premultiplied."""
    return skia.Canvas(pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)


def _check(size: int) -> None:
    if not _SMALLEST <= size <= _LARGEST:
        raise ConfigError(f"a picture's side is {_SMALLEST} to {_LARGEST} pixels, not {size}")
