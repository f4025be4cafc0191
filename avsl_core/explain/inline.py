"""Pictures inside a page: what is shown needs no further request and can be taken away with the page."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["picture_address"]


def picture_address(pixels: NDArray[np.uint8]) -> str:
    """A picture as a ``data:`` address.

    Args:
        pixels: uint8 RGB ``[H, W, 3]``.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=86)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
