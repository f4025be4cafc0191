"""Natural noise and soft layers: fractal noise, colour ramps over it, scaling up out of focus.

Fields are float32 pictures of a low, fixed resolution; they are scaled up to whatever size is painted.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import skia
from numpy.typing import NDArray

from avsl_core.aviary.backdrop_paint import RGB

Field = NDArray[np.float32]


def grid(side: int) -> tuple[Field, Field]:
    """Rows [side, 1] and columns [1, side] of pixel centres in 0..1."""
    steps = ((np.arange(side) + 0.5) / side).astype(np.float32)
    return steps[:, None], steps[None, :]


def noise_tile(rng: np.random.Generator, side: int = 128, slope: float = 1.6) -> Field:
    """Fractal noise that repeats without a seam: white noise filtered to a power-law spectrum.

    Args:
        rng: Draws the noise.
        side: Of the tile in samples.
        slope: The amplitude falls with frequency to this power: 1 rough, 2 smooth.

    Returns:
        [side, side], mean 0.5, standard deviation 0.18, clipped to 0..1.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), dtype=np.float32))
    rows = np.fft.fftfreq(side)[:, None] * side
    columns = np.fft.rfftfreq(side)[None, :] * side
    spectrum *= np.maximum(rows**2 + columns**2, 1.0) ** (-slope / 2)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(side, side))
    scaled: Field = np.clip(0.5 + noise * (0.18 / noise.std()), 0, 1).astype(np.float32)
    return scaled


def sample(tile: Field, rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Field:
    """The tile at positions in units of its side, repeating; its side is a power of two.

    Args:
        tile: [side, side].
        rows: From the top; broadcast against columns.
        columns: From the left.

    Returns:
        [broadcast shape of rows and columns].
    """
    last = len(tile) - 1
    # Adding whole tiles makes positions positive, where cutting off the fraction rounds down.
    row = (rows * (last + 1) + 16 * (last + 1)).astype(np.int32) & last
    column = (columns * (last + 1) + 16 * (last + 1)).astype(np.int32) & last
    found: Field = tile[row, column]
    return found


def smoothstep(low: float, high: float, values: NDArray[np.floating]) -> Field:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    curve: Field = (t * t * (3 - 2 * t)).astype(np.float32)
    return curve


def ramp(colors: Sequence[RGB], values: NDArray[np.floating]) -> Field:
    """[..., 3], evenly spaced colours looked up at values in 0..1."""
    steps, knots = np.linspace(0, 1, 256), np.linspace(0, 1, len(colors))
    table = np.stack([np.interp(steps, knots, [color[i] for color in colors]) for i in range(3)], axis=-1)
    found: Field = table.astype(np.float32)[(values * 255 + 0.5).astype(np.uint8)]
    return found


def blend(under: Field, color: RGB | Field, share: Field) -> Field:
    """The field with a colour laid over it by a share per pixel."""
    over = np.asarray(color, dtype=np.float32)
    mixed: Field = under + (over - under) * share[..., None]
    return mixed


def image_of(field: Field) -> skia.Image:
    """An opaque picture of a field [n, m, 3] in 0..1."""
    pixels = np.empty((*field.shape[:2], 4), dtype=np.uint8)
    pixels[..., :3] = np.clip(field * 255 + 0.5, 0, 255)
    pixels[..., 3] = 255
    return skia.Image.fromarray(pixels, skia.ColorType.kRGBA_8888_ColorType, skia.AlphaType.kOpaque_AlphaType)


def grey_image(field: Field) -> skia.Image:
    """An opaque grey picture of a field [n, m] in 0..1, to be used as a texture."""
    return image_of(np.repeat(field[..., None], 3, axis=-1))


def smooth_scaling() -> skia.SamplingOptions:
    """Scaling up by cubic B-splines: soft, and it never overshoots."""
    spline = skia.CubicResampler.Mitchell()
    spline.B, spline.C = 1.0, 0.0
    return skia.SamplingOptions(spline)


@contextmanager
def soft_layer(canvas: skia.Canvas, side: int, ground: Field | None = None) -> Iterator[skia.Canvas]:
    """A layer out of focus: what is drawn is held at a low resolution and scaled up smoothly.

    Args:
        canvas: Receives the layer; in units of the picture's side.
        side: Of the layer in pixels, whatever the size of the picture: fewer are softer.
        ground: [n, n, 3] field below everything; transparent without.

    Yields:
        The canvas to draw on, in the same units.
    """
    surface = skia.Surface(side, side)
    layer = surface.getCanvas()
    layer.scale(side, side)
    if ground is not None:
        layer.drawImageRect(image_of(ground), skia.Rect(0, 0, 1, 1), smooth_scaling())
    yield layer
    canvas.drawImageRect(surface.makeImageSnapshot(), skia.Rect(0, 0, 1, 1), smooth_scaling())


def texture(
    canvas: skia.Canvas,
    rng: np.random.Generator,
    angle: float,
    *,
    along: float,
    across: float,
    strength: float,
) -> None:
    """Lays natural noise over what the canvas is clipped to, as light and shade.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the noise.
        angle: Of its grain, radians.
        along: Extent of the noise's tile along the grain.
        across: And across it.
        strength: 0 to 1.
    """
    image = grey_image(noise_tile(rng, side=64, slope=1.1))
    matrix = skia.Matrix()
    matrix.setRotate(math.degrees(angle))
    matrix.preScale(along / 64, across / 64)
    shader = image.makeShader(skia.TileMode.kRepeat, skia.TileMode.kRepeat, smooth_scaling(), matrix)
    canvas.drawPaint(skia.Paint(Shader=shader, BlendMode=skia.BlendMode.kOverlay, Alphaf=strength))
