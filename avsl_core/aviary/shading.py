"""Light and shade of a piece, inside its own outline."""

import skia

from avsl_core.aviary.anatomy import Anatomy, Frame
from avsl_core.aviary.outlines import Piece
from avsl_core.aviary.paints import INK, SUN, argb, mix, span_along, stroke, tight_box
from avsl_core.aviary.parameters import Palette

__all__ = ["round_edges", "shade"]


def shade(sheet: skia.Canvas, piece: Piece, anatomy: Anatomy) -> None:
    """Light from the scene's direction; the coat's body and head are round."""
    strength = 0.3 + 0.7 * anatomy.shade
    box = tight_box(piece)
    if piece.part == "coat":
        _globe(sheet, anatomy.body, anatomy.light, strength)
        _gleam(sheet, anatomy.head, anatomy.light, 0.8 * strength)
    elif piece.part == "wing":
        _globe(
            sheet,
            Frame(piece.grain.anchor, 1.2 * anatomy.wing.u, 1.8 * anatomy.wing.v),
            anatomy.light,
            strength,
        )
    else:
        middle = complex(box.centerX(), box.centerY())
        way = 0.5 * span_along(box, anatomy.light) * anatomy.light
        lit, dim = middle + way, middle - way
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(lit.real, lit.imag), skia.Point(dim.real, dim.imag)],
            [argb(SUN, 0.3 * strength), argb(SUN, 0.0), argb(INK, 0.02), argb(INK, 0.36 * strength)],
            [0.0, 0.4, 0.55, 1.0],
        )
        sheet.drawPaint(skia.Paint(Shader=shader))


def round_edges(sheet: skia.Canvas, piece: Piece, palette: Palette, anatomy: Anatomy) -> None:
    """Darken the edges that turn away from the light, and draw the contour."""
    strength = piece.rim * (0.3 + 0.7 * anatomy.shade)
    for width, alpha in ((7.0, 0.07), (4.4, 0.08), (2.4, 0.09)):
        away = 0.35 * width * anatomy.grain * anatomy.light
        edge = skia.Path(piece.path)
        edge.offset(away.real, away.imag)
        sheet.drawPath(edge, stroke(INK, alpha * strength, width * anatomy.grain))
    contour = mix(palette.base, INK, 0.7)
    sheet.drawPath(piece.path, stroke(contour, 0.85 * piece.rim, 1.3 * anatomy.grain))


def _globe(sheet: skia.Canvas, frame: Frame, light: complex, strength: float) -> None:
    """Shade an ellipsoid: bright towards the light, dark away from it."""
    radius = 1.55
    inverse = _matrix(frame)
    a, b = _inside(frame, 0.5 * abs(frame.v) * light)
    shader = skia.GradientShader.MakeRadial(
        skia.Point(a, b),
        radius,
        [argb(SUN, 0.26 * strength), argb(SUN, 0.0), argb(INK, 0.04), argb(INK, 0.46 * strength)],
        [0.0, 0.42, 0.5, 1.0],
        localMatrix=inverse,
    )
    sheet.drawPaint(skia.Paint(Shader=shader))


def _gleam(sheet: skia.Canvas, frame: Frame, light: complex, strength: float) -> None:
    """A soft light on a ball, fading to nothing."""
    middle = frame.origin + 0.45 * abs(frame.u) * light
    shader = skia.GradientShader.MakeRadial(
        skia.Point(middle.real, middle.imag),
        1.1 * abs(frame.u),
        [argb(SUN, 0.3 * strength), argb(SUN, 0.0)],
    )
    sheet.drawPaint(skia.Paint(Shader=shader))


def _matrix(frame: Frame) -> skia.Matrix:
    u, v, o = frame.u, frame.v, frame.origin
    return skia.Matrix.MakeAll(u.real, v.real, o.real, u.imag, v.imag, o.imag, 0.0, 0.0, 1.0)


def _inside(frame: Frame, way: complex) -> tuple[float, float]:
    """A direction in a frame's own coordinates, for a frame at right angles."""
    return (
        (way * frame.u.conjugate()).real / abs(frame.u) ** 2,
        (way * frame.v.conjugate()).real / abs(frame.v) ** 2,
    )
