"""Turn a picture the way its camera was held."""

from PIL import Image

__all__ = ["orientation_of", "upright"]

_ORIENTATION = 0x0112  # EXIF 2.32, table 4: 1 is upright, 2 to 8 are mirrored or turned
_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation of a picture, 1 to 8; 1 when it has none or its EXIF block is damaged."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except Exception:
        # EXIF is written by thousands of programs, many of them careless; the pixels are still good.
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT_BY else 1


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Undo an EXIF orientation.

    Args:
        picture: A picture as stored.
        orientation: 1 to 8.

    Returns:
        The picture as seen; width and height change places for 5 to 8.
    """
    operation = _UPRIGHT_BY.get(orientation)
    return picture if operation is None else picture.transpose(operation)
