"""How a build decodes a picture, unless it is told another way."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from avsl_core.encoding import load_for
from avsl_core.images import Preprocess
from avsl_core.images.opening import upright_size

__all__ = ["Load", "load_here"]

Load = Callable[[Preprocess, bytes, str], tuple[NDArray[np.uint8], tuple[int, int]]]
"""From encoded bytes and their name to what ``load_for`` gives, and the whole width and height."""


def load_here(preprocess: Preprocess, data: bytes, name: str) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode in this process.

    Args:
        preprocess: The network's.
        data: The encoded picture.
        name: What messages call it.

    Returns:
        uint8 RGB ``[H, W, 3]``, and width and height of the whole picture, upright.

    Raises:
        ImageError: If the picture cannot be read.
    """
    pixels = load_for(preprocess, data, name=name)
    return pixels, upright_size(data, name, *pixels.shape[:2])
