"""Cut a box out of a picture and scale it, in one resampling step."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsl_core.errors import ImageError

__all__ = ["INTERPOLATIONS", "Box", "central_box", "check_rgb", "resample"]

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels; edges, not centres

INTERPOLATIONS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def resample(
    image: NDArray[np.uint8], box: Box, width: int, height: int, *, interpolation: str, antialias: bool
) -> NDArray[np.uint8]:
    """Scale the part of a picture inside `box` to `width` x `height`.

    Args:
        image: uint8 [H, W, 3].
        box: Region inside the picture; fractions of a pixel count.
        width: Pixels per row of the result.
        height: Rows of the result.
        interpolation: "bicubic" or "bilinear".
        antialias: Average over all source pixels that a result pixel covers. Without it only the
            nearest few count, as in networks trained without antialiasing.

    Returns:
        uint8 [height, width, 3], writable.

    Raises:
        ImageError: `image` is not uint8 RGB.
    """
    picture = Image.fromarray(np.ascontiguousarray(check_rgb(image)))
    method = INTERPOLATIONS[interpolation]
    if antialias:
        return np.array(picture.resize((width, height), method, box=box))
    # Pillow's resize always averages; sampling a transformed grid does not.
    return np.array(picture.transform((width, height), Image.Transform.EXTENT, box, resample=method))


def central_box(height: int, width: int, size: int, resize: int) -> Box:
    """The centred square of `size` that is cut out once the short side is scaled to `resize`.

    Args:
        height: Rows of the picture.
        width: Pixels per row.
        size: Side of the square, after scaling.
        resize: Length of the short side, after scaling.

    Returns:
        In pixels before scaling; fractions are meant.
    """
    side = min(height, width) * size / resize
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def check_rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture itself, once it is known to be uint8 [H, W, 3].

    Raises:
        ImageError: It is something else.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{image.dtype} {list(image.shape)}" if hasattr(image, "dtype") else type(image).__name__
        raise ImageError(
            f"expected an RGB picture, uint8 [H, W, 3], and got {kind}; decode it with load_image"
        )
    if 0 in image.shape:
        raise ImageError(f"a picture of shape {list(image.shape)} has no pixels; decode one with load_image")
    return image
