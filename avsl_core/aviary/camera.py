"""The camera of the aviary: the colour of the light, a blur of finite reach and the sensor's noise.

Developing is strictly local: a pixel's value depends on the pixels under the blur's kernel and on nothing
else, so that what changed in a developed picture can be bounded to the pixel. The blur is computed in
integers (weights in steps of 1/4096), the same on every machine, and :func:`develop_mask` uses the very
same kernel: what it leaves at zero cannot have changed.
"""

import math

import numpy as np
from numpy.typing import NDArray

from avsl_core.aviary.parameters import Scene
from avsl_core.errors import ImageError

__all__ = ["develop", "develop_mask"]

_NOISE_STREAM = 3
_ONE = 4096
"""The weights of the kernel are whole numbers that sum to this; 255 * 4096 ** 2 still fits 32 bits."""


def develop(pixels: NDArray[np.uint8], scene: Scene) -> NDArray[np.uint8]:
    """What the camera makes of the painted picture.

    Args:
        pixels: [S, S, 3], RGB.
        scene: Gives the warmth of the light, the blur and the noise.

    Returns:
        [S, S, 3]. The noise depends on the seed of the scene and on the position only.

    Raises:
        ImageError: If the picture is not uint8 [S, S, 3].
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageError(f"the camera develops uint8 [S, S, 3], not {pixels.dtype} {list(pixels.shape)}")
    side = _side(pixels)
    kernel = _kernel(scene.blur * side)
    if len(kernel) == 1:
        exposed = pixels * _gains(scene.warmth)
    else:
        exposed = _blur(pixels, kernel) * (_gains(scene.warmth) / np.float32(_ONE**2))
    if scene.noise > 0:
        generator = np.random.default_rng([scene.seed, _NOISE_STREAM])
        noise = generator.standard_normal(pixels.shape, dtype=np.float32)
        noise *= np.float32(scene.noise)
        exposed += noise
    np.rint(exposed, out=exposed)
    np.clip(exposed, 0, 255, out=exposed)
    return exposed.astype(np.uint8)


def develop_mask(coverage: NDArray[np.uint8], scene: Scene) -> NDArray[np.uint8]:
    """Where the developed picture can depend on the covered pixels, and how much of them is there.

    Args:
        coverage: [S, S], 0 (none) to 255 (all of the pixel).
        scene: Gives the blur.

    Returns:
        [S, S], the coverage blurred as the picture is and rounded up: zero only where no covered pixel
        lies under the kernel.

    Raises:
        ImageError: If the mask is not uint8 [S, S].
    """
    if coverage.dtype != np.uint8 or coverage.ndim != 2:
        raise ImageError(f"a coverage mask is uint8 [S, S], not {coverage.dtype} {list(coverage.shape)}")
    kernel = _kernel(scene.blur * _side(coverage))
    if len(kernel) == 1:
        return coverage.copy()
    # One is taken off before the division, lest the rounding up overflow 32 bits.
    blurred = _blur(coverage, kernel)
    return np.where(blurred > 0, (blurred - np.uint32(1)) // np.uint32(_ONE**2) + 1, 0).astype(np.uint8)


def _side(picture: NDArray[np.uint8]) -> int:
    height, width = int(picture.shape[0]), int(picture.shape[1])
    if height != width or not height:
        raise ImageError(f"pictures of the aviary are square, not {height} x {width} pixels")
    return height


def _gains(warmth: float) -> NDArray[np.float32]:
    """[3], what the light does to red, green and blue; the luma of grey stays about the same."""
    return np.array([1 + 0.10 * warmth, 1 - 0.01 * warmth, 1 - 0.17 * warmth], dtype=np.float32)


def _kernel(deviation: float) -> list[int]:
    """One half of a Gaussian cut at three standard deviations, centre first; the whole sums to _ONE."""
    # Below a fifth of a pixel every weight but the centre rounds to nothing.
    if deviation < 0.2:
        return [_ONE]
    reach = math.ceil(3 * deviation)
    curve = [math.exp(-0.5 * (i / deviation) ** 2) for i in range(reach + 1)]
    total = curve[0] + 2 * sum(curve[1:])
    flanks = [weight for value in curve[1:] if (weight := round(_ONE * value / total)) > 0]
    return [_ONE - 2 * sum(flanks), *flanks]


def _blur(picture: NDArray[np.uint8], kernel: list[int]) -> NDArray[np.uint32]:
    """Separable blur, times _ONE ** 2; beyond the edges the outermost pixels repeat."""
    reach = len(kernel) - 1
    values = picture.astype(np.uint32)
    for axis in (0, 1):
        padding = [(reach, reach) if i == axis else (0, 0) for i in range(values.ndim)]
        padded = np.pad(values, padding, mode="edge")
        length = values.shape[axis]
        values = _window(padded, axis, reach, length) * np.uint32(kernel[0])
        for offset, weight in enumerate(kernel[1:], start=1):
            pair = _window(padded, axis, reach - offset, length) + _window(
                padded, axis, reach + offset, length
            )
            pair *= np.uint32(weight)
            values += pair
    return values


def _window(array: NDArray[np.uint32], axis: int, start: int, length: int) -> NDArray[np.uint32]:
    return array[start : start + length] if axis == 0 else array[:, start : start + length]
