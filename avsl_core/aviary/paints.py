"""Colours and paints, and how large a piece is: what all painters of plumage use."""

import colorsys

import skia

from avsl_core.aviary.outlines import Piece
from avsl_core.aviary.parameters import Color

__all__ = ["INK", "SUN", "argb", "mix", "span_along", "stroke", "tight_box", "vivid"]

INK: Color = (26, 22, 40)
"""Shade: a cool dark violet rather than black."""

SUN: Color = (255, 250, 232)
"""Light."""


def stroke(color: Color, alpha: float, width: float) -> skia.Paint:
    """A round pen of a width in pixels."""
    return skia.Paint(
        AntiAlias=True,
        Style=skia.Paint.kStroke_Style,
        StrokeWidth=width,
        StrokeJoin=skia.Paint.kRound_Join,
        Color=argb(color, alpha),
    )


def argb(color: Color, alpha: float = 1.0) -> int:
    """A colour as the canvas wants it."""
    return int(skia.ColorSetARGB(round(255 * min(alpha, 1.0)), *color))


def mix(color: Color, other: Color, share: float) -> Color:
    """A colour, a share of the way to another."""
    r, g, b = (round(c + share * (o - c)) for c, o in zip(color, other, strict=True))
    return r, g, b


def vivid(color: Color, turn: float, light: float) -> Color:
    """A colour with its hue turned by degrees, at least fairly saturated."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(c / 255 for c in color))
    lightness = min(max(lightness * light, 0.2), 0.8)
    r, g, b = colorsys.hls_to_rgb((hue + turn / 360) % 1.0, lightness, max(saturation, 0.42))
    return round(255 * r), round(255 * g), round(255 * b)


def tight_box(piece: Piece) -> skia.Rect:
    """The box around a piece, pixels."""
    return piece.path.computeTightBounds()


def span_along(box: skia.Rect, way: complex) -> float:
    """How long a box is in a direction."""
    return float(abs(way.real) * box.width() + abs(way.imag) * box.height())
