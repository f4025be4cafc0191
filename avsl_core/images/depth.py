"""Grey pictures of more than 8 bits: scaled to 8 by the range that their file means."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsl_core.errors import ImageError

__all__ = ["is_deep", "to_eight_bits"]

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_WHITE_IS_ZERO = 0


def is_deep(picture: Image.Image) -> bool:
    """Whether pixels are grey values of 16 or 32 bits, or floating point."""
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def to_eight_bits(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Scale deep grey values to 8 bits.

    16-bit files are divided by 257 (12-bit TIFF accordingly), so that black stays black and full white
    becomes 255. 32-bit and floating-point pixels state no range: values within [0, 1] (floating point
    only), [0, 255] or [0, 65535] are read as that range, anything else is refused.

    Args:
        picture: A loaded picture for which `is_deep` holds.

    Returns:
        The picture in mode L, and an alpha channel in mode L where the file names a transparent grey.

    Raises:
        ImageError: The values have no known range.
    """
    values = np.asarray(picture)
    full = _full_scale(picture, values)
    grey = np.rint(values.astype(np.float32) * (255.0 / full)).clip(0, 255).astype(np.uint8)
    if _tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    return Image.fromarray(grey), _alpha(picture, values)


def _full_scale(picture: Image.Image, values: NDArray[Any]) -> float:
    """The value that means white."""
    if picture.mode.startswith("I;16"):
        bits = _tag(picture, _BITS_PER_SAMPLE)
        return float(2**bits - 1) if bits is not None and 8 < bits < 16 else 65535.0
    low, high = float(values.min()), float(values.max())
    scales = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
    for full in scales:
        if low >= 0 and high <= full:
            return full
    raise ImageError(
        f"32-bit pixel values from {low:.6g} to {high:.6g} have no known range; save it with 8 or 16 bits"
    )


def _alpha(picture: Image.Image, values: NDArray[Any]) -> Image.Image | None:
    transparent = picture.info.get("transparency")
    if not isinstance(transparent, int):
        return None
    return Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))


def _tag(picture: Image.Image, tag: int) -> int | None:
    """A whole-number tag of a TIFF file; None in every other format."""
    value = getattr(picture, "tag_v2", {}).get(tag)
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, int) else None
