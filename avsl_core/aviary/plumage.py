"""How a piece of a bird is painted: base colour, pattern, feather edges, volume and contour, all in its path.

The look is painted on a sheet of its own and then drawn once through the piece's outline, so nothing can
bleed into another part and the outline's coverage is the piece's exact opacity.
"""

import random

import skia

from avsl_core.aviary.anatomy import Anatomy
from avsl_core.aviary.outlines import Piece
from avsl_core.aviary.paints import INK, argb, mix, stroke, tight_box
from avsl_core.aviary.parameters import PALETTES, Palette, Part
from avsl_core.aviary.shading import round_edges, shade
from avsl_core.aviary.textures import paint_texture, soften

__all__ = ["draw_piece", "draw_through"]


def draw_piece(
    canvas: skia.Canvas,
    piece: Piece,
    look: Part,
    anatomy: Anatomy,
    generator: random.Random,
    mark: skia.Path | None = None,
) -> None:
    """Draw one piece with its texture.

    Args:
        canvas: Of the picture, in pixels.
        piece: What to draw.
        look: Texture and palette.
        anatomy: Of the bird.
        generator: Of the details; its own for every part.
        mark: An area of the piece that takes the mark colour.
    """
    reach = piece.path.getBounds()
    info = canvas.imageInfo()
    if not reach.intersect(skia.Rect.MakeWH(info.width(), info.height())):
        return
    sheet_box = reach.roundOut()
    surface = skia.Surface(max(sheet_box.width(), 1), max(sheet_box.height(), 1))
    sheet = surface.getCanvas()
    sheet.translate(-sheet_box.left(), -sheet_box.top())
    if piece.eyeball:
        _paint_eyeball(sheet, piece, PALETTES[look.palette], look, anatomy, generator)
    else:
        _paint_plumage(sheet, piece, PALETTES[look.palette], look, anatomy, generator, mark)
    shader = surface.makeImageSnapshot().makeShader(
        localMatrix=skia.Matrix.Translate(sheet_box.left(), sheet_box.top())
    )
    draw_through(canvas, piece, skia.Paint(AntiAlias=True, Shader=shader))


def draw_through(canvas: skia.Canvas, piece: Piece, paint: skia.Paint) -> None:
    """Fill a piece's outline, inside what bounds it, with one paint."""
    if piece.within is None:
        canvas.drawPath(piece.path, paint)
        return
    canvas.save()
    canvas.clipPath(piece.within, doAntiAlias=True)
    canvas.drawPath(piece.path, paint)
    canvas.restore()


def _paint_plumage(
    sheet: skia.Canvas,
    piece: Piece,
    palette: Palette,
    look: Part,
    anatomy: Anatomy,
    generator: random.Random,
    mark: skia.Path | None,
) -> None:
    paint_texture(sheet, piece, palette, look.texture, anatomy, generator)
    if mark is not None:
        sheet.drawPath(mark, skia.Paint(AntiAlias=True, Color=argb(palette.mark)))
    grain = anatomy.grain
    if piece.soft:
        soften(sheet, piece, palette, anatomy, generator)
    shade(sheet, piece, anatomy)
    if piece.feathers:
        _lay_feathers(sheet, piece, palette, grain)
    else:
        round_edges(sheet, piece, palette, anatomy)
    for line in piece.lines:
        sheet.drawPath(line, stroke(mix(palette.base, INK, 0.75), 0.85, 0.55 * grain))
    if piece.dusk:
        sheet.drawColor(argb(INK, 0.6 * piece.dusk))


def _lay_feathers(sheet: skia.Canvas, piece: Piece, palette: Palette, grain: float) -> None:
    """Feathers that overlap: each hides the edges of those below it, and has a contour of its own."""
    place = skia.Matrix()
    if not sheet.getTotalMatrix().invert(place):
        return
    shader = sheet.getSurface().makeImageSnapshot().makeShader(localMatrix=place)
    fill = skia.Paint(AntiAlias=True, Shader=shader)
    edge = stroke(mix(palette.base, INK, 0.66), 0.7, 0.95 * grain)
    for feather in piece.feathers:
        sheet.drawPath(feather, fill)
        sheet.drawPath(feather, edge)


def _paint_eyeball(
    sheet: skia.Canvas, piece: Piece, palette: Palette, look: Part, anatomy: Anatomy, generator: random.Random
) -> None:
    box = tight_box(piece)
    middle, radius = complex(box.centerX(), box.centerY()), 0.5 * box.width()
    paint_texture(sheet, piece, palette, look.texture, anatomy, generator)
    sheet.drawPath(piece.path, stroke(INK, 1.0, 0.32 * radius))
    pupil = 0.48 * radius
    sheet.drawCircle(middle.real, middle.imag, pupil, skia.Paint(AntiAlias=True, Color=argb((12, 10, 16))))
    spark = middle + 0.34 * radius * anatomy.light
    white = skia.Paint(AntiAlias=True, Color=argb((255, 255, 255), 0.95))
    sheet.drawCircle(spark.real, spark.imag, 0.24 * radius, white)
