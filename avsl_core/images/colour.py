"""Any colour mode that a decoder produces, to 8-bit sRGB."""

import io

from PIL import Image, ImageCms

from avsl_core.images.depth import is_deep, to_eight_bits

__all__ = ["Rgb", "to_rgb"]

Rgb = tuple[int, int, int]

_MODES_WITH_ALPHA = frozenset(("LA", "La", "PA", "RGBA", "RGBa"))
# Modes that an embedded profile can describe as they are; all others become RGB first.
_PROFILE_MODES = frozenset(("L", "RGB", "CMYK"))


def to_rgb(picture: Image.Image, background: Rgb) -> Image.Image:
    """Convert a decoded picture to RGB as a viewer would show it.

    Grey is repeated, palettes are looked up, 16 bits are scaled to 8, an embedded colour profile is
    applied (and left out where it is damaged or belongs to another mode), and transparency is
    composited on `background`.

    Args:
        picture: A loaded picture of any mode that Pillow knows.
        background: Colour behind transparent pixels, 0 to 255 each.

    Returns:
        A picture of mode RGB and the same size.

    Raises:
        ImageError: Values of 32-bit or floating-point pixels have no known range.
    """
    colours, alpha = _split_alpha(picture)
    colours = _apply_profile(colours, picture.info.get("icc_profile")).convert("RGB")
    if alpha is None:
        return colours
    canvas = Image.new("RGB", colours.size, background)
    canvas.paste(colours, mask=alpha)
    return canvas


def _split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The picture in a mode without alpha, and its alpha channel where it has one."""
    if is_deep(picture):
        return to_eight_bits(picture)
    if not picture.has_transparency_data:
        return (picture.convert("L") if picture.mode == "1" else picture), None
    if picture.mode in ("LA", "La"):
        grey, alpha = picture.convert("LA").split()
        return grey, alpha
    rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    return rgba.convert("RGB"), rgba.getchannel("A")


def _apply_profile(picture: Image.Image, profile: object) -> Image.Image:
    if picture.mode not in _PROFILE_MODES:
        picture = picture.convert("RGB")
    if not isinstance(profile, bytes) or not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if picture.mode == "RGB" and "srgb" in ImageCms.getProfileDescription(source).lower():
            return picture  # nearly every profile there is: spare the transform
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
    except Exception:
        # A damaged profile, or one for another mode: viewers show the plain values, and so do we.
        return picture
    return picture if converted is None else converted
