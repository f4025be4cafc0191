"""Read a picture's header, and promise its pixels: size first, so that limits come before decoding."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from avsl_core.errors import ImageError
from avsl_core.images.formats import identify

__all__ = ["OpenedPicture", "open_picture", "upright_size"]

_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags
_PHOTOMETRIC, _YCBCR, _SUBSAMPLING, _PLANES = 262, 6, 530, 284


@dataclass(frozen=True)
class OpenedPicture:
    """A picture whose header was read and whose pixels were not.

    Attributes:
        kind: Format, as `identify` names it.
        width: Pixels per row.
        height: Number of rows.
        tile_pixels: Pixels of one TIFF tile, which is held in memory whole however little of it lies
            inside the picture; 0 where there are no tiles.
        decode: Decodes the pixels. Given a side, a JPEG may come out smaller: scaled by 1/2, 1/4 or
            1/8 while neither side falls below that side. Raises whatever the codec raises.
    """

    kind: str
    width: int
    height: int
    tile_pixels: int
    decode: Callable[[int | None], Image.Image]


def open_picture(data: bytes, name: str) -> OpenedPicture:
    """Read the header of an encoded picture.

    The codec's class is called directly instead of `PIL.Image.open`: only the formats listed here can
    ever run, and Pillow's process-wide pixel limit, which warns before it refuses, is not asked (the
    TIFF codec asks it of its own accord). An animation or a multi-page file stands for its first frame.

    Args:
        data: The encoded picture.
        name: What the message calls the picture.

    Returns:
        Size, and the way to the pixels.

    Raises:
        ImageError: The format is not supported, or needs a package that is missing.
        Exception: Whatever a codec raises on a damaged header.
    """
    kind = identify(data, name)
    if kind == "HEIC":
        return _open_heic(data, name)
    stream = _PictureBytes(data)
    picture = _CODECS[kind](stream)
    tags = picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else {}
    tile_pixels = int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0))

    def decode(target_side: int | None) -> Image.Image:
        if target_side is not None and kind == "JPEG":
            picture.draft(None, (target_side, target_side))
        stream.must_not_end = True
        picture.load()
        return picture

    return OpenedPicture(kind, picture.width, picture.height, tile_pixels, decode)


def upright_size(data: bytes, name: str, height: int, width: int) -> tuple[int, int]:
    """A whole picture's size as seen, when it may have been decoded smaller, and was turned.

    Args:
        data: The encoded picture.
        name: What messages call it.
        height: Rows that were decoded.
        width: Pixels per row that were decoded.

    Returns:
        Width and height.
    """
    opened = open_picture(data, name)
    ratio = width / height
    stored, turned = opened.width / opened.height, opened.height / opened.width
    if abs(ratio - turned) < abs(ratio - stored):
        return opened.height, opened.width
    return opened.width, opened.height


class _PictureBytes(io.BytesIO):
    """Encoded bytes that, while pixels are decoded, treat running out as the error it is.

    Pillow fills the rest with grey when a program has set `ImageFile.LOAD_TRUNCATED_IMAGES`; here a
    picture that was cut short is refused whatever that flag says.
    """

    must_not_end = False

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if self.must_not_end and not block and size != 0:
            raise OSError("the file ends before the picture does")
        return block


class _Tiff(TiffImagePlugin.TiffImageFile):
    """TIFF whose damaged EXIF block costs the picture its orientation and nothing more.

    Luminance and colour difference, unpacked, are read for what they are: Pillow takes them for four bytes a
    pixel, which ends in an error, or in wrong colours where more of the file follows.
    """

    def _setup(self) -> None:
        super()._setup()
        if self.tag_v2.get(_PHOTOMETRIC) != _YCBCR or self.info.get("compression") != "raw":
            return
        if tuple(self.tag_v2.get(_SUBSAMPLING, (2, 2))) != (1, 1) or self.tag_v2.get(_PLANES, 1) != 1:
            raise OSError("colours of half the size in an unpacked TIFF")
        self._mode = "YCbCr"
        self.tile = [tile._replace(args=("YCbCr", *list(tile.args or ())[1:])) for tile in self.tile]

    def load_end(self) -> None:
        try:
            super().load_end()
        except Exception:
            self._size = self.im.size


_CODECS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _Tiff,
    "AVIF": AvifImagePlugin.AvifImageFile,
}


def _open_heic(data: bytes, name: str) -> OpenedPicture:
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"{name}: a HEIC picture, which needs the package pillow-heif; install it, or convert to JPEG"
        ) from error
    container = pillow_heif.open_heif(data)
    width, height = container.size

    def decode(target_side: int | None) -> Image.Image:
        picture: Image.Image = container.to_pillow()
        return picture

    return OpenedPicture("HEIC", width, height, 0, decode)
