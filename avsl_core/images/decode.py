"""The one door through which pictures enter: any source to RGB, or an error that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsl_core.errors import AvslError, ConfigError, ImageError
from avsl_core.images.colour import Rgb, to_rgb
from avsl_core.images.limits import DEFAULT_LIMITS, ImageLimits
from avsl_core.images.opening import OpenedPicture, open_picture
from avsl_core.images.orientation import orientation_of, upright
from avsl_core.images.source import ImageSource, label_of, one_line, read_bytes

__all__ = ["load_image"]

_WHITE: Rgb = (255, 255, 255)
_WORDS = re.compile(r"[A-Za-z][A-Za-z',:. -]*")
_JARGON = re.compile(r"Error|MAX_|driver|decoder|codec|object|index out|[a-z]\.[A-Za-z]")


def load_image(
    source: ImageSource,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    name: str | None = None,
    background: Rgb = _WHITE,
    target_side: int | None = None,
    box: tuple[int, int, int, int] | None = None,
) -> NDArray[np.uint8]:
    """Decode a picture to RGB, upright and in sRGB, as a viewer would show it.

    JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, and HEIC where pillow-heif is installed; the bytes decide,
    not the file name. The first frame or page stands for the file. Limits are checked on the file and
    its header before any pixel is decoded. EXIF orientation is applied, an embedded colour profile is
    converted to sRGB, transparency is composited on `background`, 16 bits are scaled to 8. Safe to call
    from several threads; no process-wide setting of Pillow is changed.

    Args:
        source: A path, encoded bytes, a binary stream (read from where it stands), a PIL image, or a
            uint8 array of shape [H, W], [H, W, 3] (RGB) or [H, W, 4] (RGBA).
        limits: How large, small or thin the picture may be.
        name: What error messages call the picture when `source` is not a path.
        background: RGB behind transparent pixels, 0 to 255 each.
        target_side: A hint that the picture will be scaled so that its short side has this many pixels.
            A large JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, several times faster; its short
            side never falls below `target_side`. Other formats ignore it.
        box: Left, top, right and bottom, in pixels of the upright picture, right and bottom exclusive: the
            only part to give. What of it lies outside the picture is left out. `target_side` is then
            ignored.

    Returns:
        uint8 [H, W, 3], contiguous, writable, sharing memory with nothing. With `target_side`, H and W
        may be smaller than those of the file; with `box` they are those of the box.

    Raises:
        ImageError: The picture is missing, unreadable, empty, damaged, cut short, of an unsupported
            format, or outside the limits, or the box lies outside of it. One line: which picture, what is
            wrong, what to do.
        ConfigError: `background` or `target_side` is out of range.

    Examples:
        >>> import numpy as np
        >>> load_image(np.zeros((24, 32), dtype=np.uint8)).shape
        (24, 32, 3)
    """
    _check_options(background, target_side)
    label = label_of(source, name)
    with _only_image_errors(label):
        if isinstance(source, np.ndarray):
            picture = _from_array(source, limits, label)
        elif isinstance(source, Image.Image):
            limits.check_size(*source.size, label)
            picture = source
            picture.load()
        else:
            picture = _decode(
                open_picture(read_bytes(source, limits, label), label),
                limits,
                label,
                target_side if box is None else None,
            )
        orientation = orientation_of(picture)
        rgb = upright(to_rgb(picture, background), orientation)
        if box is not None:
            rgb = _cut(rgb, box, label)
        return np.array(rgb, dtype=np.uint8, order="C")


def _check_options(background: Rgb, target_side: int | None) -> None:
    if len(background) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in background):
        raise ConfigError(f"background is {background!r}; give three whole numbers from 0 to 255")
    if target_side is not None and target_side < 1:
        raise ConfigError(f"target_side is {target_side}; give a number of pixels of at least 1, or None")


@contextmanager
def _only_image_errors(label: str) -> Iterator[None]:
    """Turn whatever a codec throws at hostile bytes into one ImageError that names the picture."""
    try:
        yield
    except AvslError as error:
        message = str(error)
        if message.startswith(f"{label}: "):
            raise
        raise ImageError(f"{label}: {message}") from error
    except MemoryError as error:
        raise ImageError(f"{label}: not enough memory to decode it; scale it down first") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{label}: more pixels than PIL.Image.MAX_IMAGE_PIXELS allows; scale it down first"
        ) from error
    except Exception as error:
        # Codecs raise anything from SyntaxError to struct.error on damaged data: no list is complete.
        reason = _reason(error)
        raise ImageError(
            f"{label}: damaged, cut short, or of a rare variant ({reason}); "
            "copy it again, or open it in a viewer and save it as JPEG or PNG"
        ) from error


def _reason(error: Exception) -> str:
    """A codec's words where they are words, and not the name or number of something inside it."""
    text = one_line(str(error), 120).removeprefix("Invalid input: ")
    if _WORDS.fullmatch(text) and not _JARGON.search(text):
        return text
    return "its content makes no sense"


def _decode(opened: OpenedPicture, limits: ImageLimits, label: str, target_side: int | None) -> Image.Image:
    limits.check_size(opened.width, opened.height, label)
    if opened.tile_pixels > limits.max_pixels:
        raise ImageError(f"{label}: its tiles are larger than the pixel limit; save it again without tiles")
    picture = opened.decode(target_side)
    if picture.width > opened.width or picture.height > opened.height:
        # A HEIC header can understate what its stream holds.
        limits.check_size(*picture.size, label)
    return picture


def _cut(picture: Image.Image, box: tuple[int, int, int, int], label: str) -> Image.Image:
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(picture.width, box[2]), min(picture.height, box[3])
    if left >= right or top >= bottom:
        raise ImageError(
            f"{label}: nothing of its box {box} lies in its {picture.width} x {picture.height} pixels; "
            "get the picture and its box from one place"
        )
    return picture.crop((left, top, right, bottom))


def _from_array(array: NDArray[np.generic], limits: ImageLimits, label: str) -> Image.Image:
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not shape_fits:
        raise ImageError(
            f"{label}: an array of {array.dtype} and shape {list(array.shape)}; "
            "give uint8 of shape [H, W], [H, W, 3] or [H, W, 4]"
        )
    limits.check_size(array.shape[1], array.shape[0], label)
    return Image.fromarray(np.ascontiguousarray(array))
