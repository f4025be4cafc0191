"""Base colour and pattern of a piece: bars, spots, streaks, a gradient of hues, small body feathers."""

import math
import random

import numpy as np
import skia

from avsl_core.aviary.anatomy import Anatomy
from avsl_core.aviary.outlines import Grain, Piece
from avsl_core.aviary.paints import INK, argb, mix, span_along, stroke, tight_box, vivid
from avsl_core.aviary.parameters import Palette

__all__ = ["paint_texture", "soften"]


def paint_texture(
    sheet: skia.Canvas,
    piece: Piece,
    palette: Palette,
    texture: str,
    anatomy: Anatomy,
    generator: random.Random,
) -> None:
    """Fill the sheet with the base colour and the pattern."""
    if texture == "iridescent":
        _iridesce(sheet, piece, palette, anatomy)
        return
    sheet.drawColor(argb(palette.base))
    if texture == "plain":
        return
    box = tight_box(piece)
    grain = piece.grain
    pattern = {"barred": _bars, "spotted": _spots, "streaked": _streaks}[texture](grain, box, generator)
    sheet.drawPath(pattern, skia.Paint(AntiAlias=True, Color=argb(palette.mark, 0.94)))


def soften(
    sheet: skia.Canvas, piece: Piece, palette: Palette, anatomy: Anatomy, generator: random.Random
) -> None:
    """Small body feathers: faint arcs in staggered rows, painted on one tile that repeats along the grain."""
    cell, cells = 16.0, 6
    tile = skia.Surface(round(cell * cells), round(cell * cells))
    path = skia.Path()
    for i in range(-1, cells + 1):
        for j in range(-1, cells + 1):
            x = (i + generator.uniform(-0.15, 0.15)) * cell
            y = (j + 0.5 * (i % 2) + generator.uniform(-0.15, 0.15)) * cell
            path.moveTo(x, y - 0.42 * cell)
            path.quadTo(x + 0.8 * cell, y, x, y + 0.42 * cell)
    tile.getCanvas().drawPath(path, stroke(mix(palette.base, INK, 0.7), 0.3, 0.12 * cell))
    way = piece.grain.way * 3.4 * anatomy.grain / cell
    anchor = piece.grain.anchor
    place = skia.Matrix.MakeAll(
        way.real, -way.imag, anchor.real, way.imag, way.real, anchor.imag, 0.0, 0.0, 1.0
    )
    repeat, linear = skia.TileMode.kRepeat, skia.SamplingOptions(skia.FilterMode.kLinear)
    shader = tile.makeImageSnapshot().makeShader(repeat, repeat, linear, place)
    sheet.drawPaint(skia.Paint(Shader=shader))


def _bars(grain: Grain, box: skia.Rect, generator: random.Random) -> skia.Path:
    """Arcs across the feathers."""
    middle = grain.anchor - grain.bow * grain.way
    near, far = _span(middle, box)
    path = skia.Path()
    path.setFillType(skia.PathFillType.kEvenOdd)
    phase = generator.uniform(0.0, 0.4)
    first, last = (math.ceil((distance - grain.bow) / grain.pitch) for distance in (near, far))
    for i in range(first - 1, last + 1):
        radius = grain.bow + (i + phase + generator.uniform(-0.06, 0.06)) * grain.pitch
        if radius > 0:
            path.addCircle(middle.real, middle.imag, radius)
            path.addCircle(middle.real, middle.imag, radius + generator.uniform(0.4, 0.5) * grain.pitch)
    return path


def _spots(grain: Grain, box: skia.Rect, generator: random.Random) -> skia.Path:
    """Ovals in staggered rows, a little out of place."""
    path = skia.Path()
    pitch = 0.98 * grain.pitch
    for place in _rows(grain, box, 0.82 * pitch, pitch):
        x = place.real + generator.uniform(-0.14, 0.14) * pitch
        y = place.imag + generator.uniform(-0.14, 0.14) * pitch
        path.addCircle(x, y, generator.uniform(0.23, 0.32) * pitch)
    return path


def _streaks(grain: Grain, box: skia.Rect, generator: random.Random) -> skia.Path:
    """Drops along the feathers in staggered rows."""
    path = skia.Path()
    pitch = 0.72 * grain.pitch
    for place in _rows(grain, box, 2.3 * pitch, pitch):
        start = place + grain.way * generator.uniform(-0.5, 0.5) * pitch
        length = grain.way * generator.uniform(1.9, 2.7) * pitch
        tip, side = start + length, 1j * grain.way * generator.uniform(0.5, 0.7) * pitch
        left, right = start + 0.65 * length + side, start + 0.65 * length - side
        path.moveTo(start.real, start.imag)
        path.quadTo(left.real, left.imag, tip.real, tip.imag)
        path.quadTo(right.real, right.imag, start.real, start.imag)
        path.close()
    return path


def _iridesce(sheet: skia.Canvas, piece: Piece, palette: Palette, anatomy: Anatomy) -> None:
    """Three hues that turn into one another across the feathers, with a gleam."""
    box = tight_box(piece)
    middle = complex(box.centerX(), box.centerY())
    way = piece.grain.way * (0.8 + 0.6j * anatomy.facing)
    way *= 0.5 * span_along(box, way / abs(way)) / abs(way)
    colors = [
        vivid(palette.base, -28, 0.95),
        vivid(palette.sheen, 0, 1.12),
        vivid(palette.sheen, 62, 1.05),
        vivid(palette.base, 100, 0.95),
        vivid(palette.base, 0, 0.8),
    ]
    start, end = middle - way, middle + way
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(start.real, start.imag), skia.Point(end.real, end.imag)],
        [argb(c) for c in colors],
        [0.02, 0.27, 0.52, 0.76, 1.0],
    )
    sheet.drawPaint(skia.Paint(Shader=shader))


def _rows(grain: Grain, box: skia.Rect, step: float, gap: float) -> list[complex]:
    """Points in staggered rows over a box: ``step`` apart along the feathers, ``gap`` across."""
    left, right, top, bottom = box.left() - step, box.right() + step, box.top() - step, box.bottom() + step
    corners = [(complex(x, y) - grain.anchor) / grain.way for x in (left, right) for y in (top, bottom)]
    rows = np.arange(min(c.real for c in corners) // step, max(c.real for c in corners) // step + 1)
    columns = np.arange(min(c.imag for c in corners) // gap - 1, max(c.imag for c in corners) // gap + 1)
    across = (columns[None, :] + 0.5 * (rows[:, None] % 2)) * gap
    points = grain.anchor + grain.way * (rows[:, None] * step + 1j * across)
    inside = (points.real > left) & (points.real < right) & (points.imag > top) & (points.imag < bottom)
    kept: list[complex] = points[inside].tolist()
    return kept


def _span(middle: complex, box: skia.Rect) -> tuple[float, float]:
    """Least and greatest distance of a box from a point."""
    dx = max(box.left() - middle.real, 0.0, middle.real - box.right())
    dy = max(box.top() - middle.imag, 0.0, middle.imag - box.bottom())
    corners = [complex(x, y) for x in (box.left(), box.right()) for y in (box.top(), box.bottom())]
    return math.hypot(dx, dy), max(abs(c - middle) for c in corners)
