"""A drawn bird as somebody would draw it by hand: a pencil sketch, or a silhouette on paper.

Made from the same outlines as the picture itself, so that the forms of all parts are the bird's own. Colour
is gone: a sketch keeps how dark a part is, as hatching, and its pattern; a silhouette keeps the outline.
"""

import random

import numpy as np
import skia
from numpy.typing import NDArray

from avsl_core.aviary.bird import PosedBird, pose_bird
from avsl_core.aviary.outlines import Piece
from avsl_core.aviary.paints import argb, span_along, stroke, tight_box
from avsl_core.aviary.parameters import PALETTES, Bird, Color, Palette, Part, Scene
from avsl_core.aviary.plumage import draw_through
from avsl_core.aviary.textures import paint_texture
from avsl_core.errors import ConfigError

__all__ = ["SKETCHES", "sketch"]

SKETCHES: tuple[str, ...] = ("sketch", "silhouette")
"""How a bird can be put on paper."""

_PAPER: Color = (246, 243, 234)
_LEAD: Color = (62, 60, 64)
_PATTERN: Color = (132, 129, 128)
_LUMA = (0.299, 0.587, 0.114)
_HATCHED = 0.25  # what is lighter than this stays white
_SMALLEST, _LARGEST = 32, 2048


def sketch(bird: Bird, scene: Scene, kind: str = "sketch", size: int = 224) -> NDArray[np.uint8]:
    """Draw a bird on paper.

    Of the scene only what poses the bird counts (facing, size, place, tilt, nod, tail and wing) and its seed:
    paper has no background, no light and nothing in front.

    Args:
        bird: What to draw.
        scene: How it is posed.
        kind: One of :data:`SKETCHES`.
        size: Side of the picture, 32 to 2048 pixels.

    Returns:
        [S, S, 3] RGB; the same arguments give the same bytes.

    Raises:
        ConfigError: If there is no such kind, or the size is out of range.
    """
    if kind not in SKETCHES:
        raise ConfigError(f"kind of sketch: {kind!r} is not one of {', '.join(SKETCHES)}")
    if not _SMALLEST <= size <= _LARGEST:
        raise ConfigError(f"a picture's side is {_SMALLEST} to {_LARGEST} pixels, not {size}")
    posed = pose_bird(bird, scene, size)
    pixels = np.zeros((size, size, 4), np.uint8)
    canvas = skia.Canvas(pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    canvas.drawColor(argb(_PAPER))
    if kind == "silhouette":
        ink = skia.Paint(AntiAlias=True, Color=skia.ColorBLACK)
        for piece in posed.pieces:
            draw_through(canvas, piece, ink)
    else:
        _pencil(canvas, posed)
    return np.ascontiguousarray(pixels[:, :, :3])


def _pencil(canvas: skia.Canvas, posed: PosedBird) -> None:
    """From back to front: every piece hides what it covers, then gets its pattern, hatching and contour."""
    for index, piece in enumerate(posed.pieces):
        generator = random.Random(f"{posed.seed}/sketch/{piece.part}/{index}")
        box = piece.path.getBounds().roundOut()
        # A sheet of its own, as for paint: nothing bleeds into what lies beside it.
        surface = skia.Surface(max(box.width(), 1), max(box.height(), 1))
        sheet = surface.getCanvas()
        sheet.translate(-box.left(), -box.top())
        _fill(sheet, piece, posed.bird.parts[piece.part], posed, generator)
        place = skia.Matrix.Translate(box.left(), box.top())
        shader = surface.makeImageSnapshot().makeShader(localMatrix=place)
        draw_through(canvas, piece, skia.Paint(AntiAlias=True, Shader=shader))
        if not piece.feathers:  # whose outline is theirs
            width = (1.0 if piece.rim >= 0.5 else 0.6) * posed.anatomy.grain
            draw_through(canvas, piece, _lead(posed, generator, 0.9, width))


def _fill(sheet: skia.Canvas, piece: Piece, look: Part, posed: PosedBird, generator: random.Random) -> None:
    """The inside of a piece, over the whole sheet."""
    if piece.eyeball:
        sheet.drawColor(argb(_LEAD))
        return
    grain = posed.anatomy.grain
    texture = "plain" if look.texture == "iridescent" else look.texture  # a play of colours leaves no mark
    paint_texture(sheet, piece, Palette(_PAPER, _PATTERN, _PAPER), texture, posed.anatomy, generator)
    darkness = 1 - sum(w * c / 255 for w, c in zip(_LUMA, PALETTES[look.palette].base, strict=True))
    if darkness > _HATCHED:
        strokes = _hatching(piece, 1j * piece.grain.way, grain * (1.2 + 2.6 * (1 - darkness)), generator)
        sheet.drawPath(strokes, _lead(posed, generator, 0.5, 0.5 * grain))
    hidden = skia.Matrix()
    if piece.feathers and sheet.getTotalMatrix().invert(hidden):
        shader = sheet.getSurface().makeImageSnapshot().makeShader(localMatrix=hidden)
        for feather in piece.feathers:  # each hides the edges of those below it
            sheet.drawPath(feather, skia.Paint(AntiAlias=True, Shader=shader))
            sheet.drawPath(feather, _lead(posed, generator, 0.8, 0.8 * grain))
    for line in piece.lines:
        sheet.drawPath(line, _lead(posed, generator, 0.7, 0.55 * grain))


def _hatching(piece: Piece, way: complex, gap: float, generator: random.Random) -> skia.Path:
    """Strokes along a direction, a gap apart, over the box around a piece."""
    box = tight_box(piece)
    middle = complex(box.centerX(), box.centerY())
    reach, across = 0.5 * span_along(box, way), 0.5 * span_along(box, 1j * way)
    path = skia.Path()
    for number in range(int(2 * across / gap) + 1):
        start = middle + 1j * way * (number * gap - across + generator.uniform(-0.2, 0.2) * gap)
        ends = start - reach * way, start + reach * way
        path.moveTo(ends[0].real, ends[0].imag)
        path.lineTo(ends[1].real, ends[1].imag)
    return path


def _lead(posed: PosedBird, generator: random.Random, alpha: float, width: float) -> skia.Paint:
    """A pencil in an unsteady hand."""
    paint = stroke(_LEAD, alpha, max(width, 0.6))
    grain = posed.anatomy.grain
    paint.setPathEffect(skia.DiscretePathEffect.Make(4 * grain, 0.3 * grain, generator.getrandbits(31)))
    return paint
