"""Which of the supported formats a file is in, told by its first bytes and never by its name."""

from avsl_core.errors import ImageError

__all__ = ["PICTURE_SUFFIXES", "identify"]

PICTURE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")
)  # lower case, for listing folders; the decoder itself looks at the bytes

_SUPPORTED = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF
    (b"MM\x00+", "TIFF"),
)

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2")
)

# Files that people try, with the word they know them by.
_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript drawing"),
    (b"\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x1aE\xdf\xa3", "a video"),
)


def identify(data: bytes, name: str) -> str:
    """Name the format of an encoded picture.

    Args:
        data: The encoded picture; its first 64 bytes decide, or 512 for text that is no picture.
        name: What the message calls the picture.

    Returns:
        One of "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIC", "AVIF".

    Raises:
        ImageError: None of these; the message says what the file seems to be.

    Examples:
        >>> identify(b"GIF89a" + bytes(20), "wing.gif")
        'GIF'
    """
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    seems = _foreign_kind(data, brands)
    raise ImageError(f"{name}: not a picture that can be read here ({seems}); convert it to {_SUPPORTED}")


def _brands(data: bytes) -> set[bytes]:
    """The brands of an ISO media file (ISO/IEC 14496-12, `ftyp`): the major and the compatible ones."""
    if data[4:8] != b"ftyp":
        return set()
    length = min(int.from_bytes(data[:4], "big"), 64, len(data))
    return {data[8:12]} | {data[at : at + 4] for at in range(16, length - 3, 4)}


def _foreign_kind(data: bytes, brands: set[bytes]) -> str:
    if brands:
        return "it seems to be a video"
    for signature, words in _FOREIGN:
        if data.startswith(signature):
            return f"it seems to be {words}"
    text = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "it seems to be an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "it seems to be a web page, so the download may have failed"
    if text and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text):
        return "it seems to be text"
    return "its first bytes belong to no known picture format"
