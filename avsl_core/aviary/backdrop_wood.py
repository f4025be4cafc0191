"""A wood in the haze behind the bird, and a stout branch with bark to stand on."""

import numpy as np
import skia

from avsl_core.aviary.backdrop_branch import paint_branch
from avsl_core.aviary.backdrop_foliage import bokeh, foliage_field, light_spots
from avsl_core.aviary.backdrop_noise import soft_layer
from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    argb,
    fill,
    gradient,
    hsl,
    leaf_hue,
    line,
    mix,
    shade,
)


def paint_wood(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """Trunks in the haze, pale far away and darker near; the bird stands on a stout branch.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    hue, bright = leaf_hue(rng), rng.uniform(0.24, 0.6)
    haze = mix(hsl(hue + rng.uniform(-30, 60), 0.16, bright + 0.12), light.color, 0.2 + 0.2 * light.strength)
    bark = hsl(rng.uniform(10, 50), rng.uniform(0.05, 0.25), rng.choice((0.2, 0.28, 0.62)))
    count, lean = int(rng.integers(3, 13)), rng.normal(0, 0.05)
    with soft_layer(canvas, 76) as middle:
        with soft_layer(middle, 40, foliage_field(rng, light, hue, bright, rng.uniform(0.2, 0.42))) as far:
            _mist(far, haze, rng)
            for _ in range(count):
                _trunk(
                    far, rng, light, mix(haze, bark, rng.uniform(0.15, 0.45)), rng.uniform(0.008, 0.022), lean
                )
            light_spots(far, rng, light, hue, int(rng.integers(2, 12)))
        for _ in range(int(rng.integers(0, 3))):
            _trunk(middle, rng, light, mix(haze, bark, rng.uniform(0.5, 0.8)), rng.uniform(0.03, 0.075), lean)
        bokeh(middle, rng, light, hue, int(rng.integers(0, 9)))
    dress = "leaves" if rng.random() < 0.45 else None
    paint_branch(canvas, rng, light, foot, thickness=(0.06, 0.11), hue=hue, dress=dress)


def _mist(canvas: skia.Canvas, haze: RGB, rng: np.random.Generator) -> None:
    """Thick at one height, thin elsewhere."""
    height = rng.uniform(0.2, 0.9)
    canvas.drawPaint(
        gradient((0.5, height - 0.8), (0.5, height), [argb(haze, 0.0), argb(haze, rng.uniform(0.15, 0.65))])
    )


def _trunk(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, color: RGB, half: float, lean: float
) -> None:
    """A trunk from edge to edge, lit on one side, with a bough or two and marks in its bark."""
    x, lean = rng.uniform(-0.05, 1.05), lean + rng.normal(0, 0.06)
    sway = rng.normal(0, 0.03)
    path = skia.Path()
    path.moveTo(x - half * 0.8 + lean, -0.05)
    path.lineTo(x + half * 0.8 + lean, -0.05)
    path.quadTo(x + half + sway, 0.6, x + half * 1.35, 1.05)
    path.lineTo(x - half * 1.35, 1.05)
    path.quadTo(x - half + sway, 0.6, x - half * 0.8 + lean, -0.05)
    bright = mix(shade(color, 1.12), light.color, 0.08 + 0.22 * light.strength)
    tones = [argb(bright), argb(color), argb(shade(color, 0.75))]
    canvas.drawPath(path, gradient((x - half, 0), (x + half, 0), tones if light.x < 0 else tones[::-1]))
    for _ in range(int(rng.integers(0, 3))):
        y, side = rng.uniform(0, 0.7), rng.choice((-1.0, 1.0))
        reach = rng.uniform(0.1, 0.3)
        bough = skia.Path()
        bough.moveTo(x + lean * (1 - y), y)
        bough.quadTo(
            x + side * reach * 0.5, y - reach * 0.2, x + side * reach, y - reach * rng.uniform(0.3, 1.0)
        )
        canvas.drawPath(bough, line(color, half * 0.5, 0.8))
    for _ in range(4):
        y = rng.uniform(0, 1)
        mark = x + lean * (1 - y) + half * rng.uniform(-0.7, 0.7)
        box = skia.Rect(mark - half * 0.4, y, mark + half * 0.4, y + half * rng.uniform(0.2, 0.8))
        canvas.drawOval(box, fill(shade(color, 0.5), 0.35))
