"""Foliage behind the bird: leaves and spots of light out of focus, a leafy branch to stand on."""

import math

import numpy as np
import skia

from avsl_core.aviary.backdrop_branch import paint_branch
from avsl_core.aviary.backdrop_noise import (
    Field,
    blend,
    grid,
    noise_tile,
    ramp,
    sample,
    smoothstep,
    soft_layer,
)
from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    fill,
    hsl,
    leaf_hue,
    leaf_path,
    line,
    mix,
    shade,
)


def paint_foliage(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """Layers of leaves, the nearer the sharper; the bird stands on a branch with leaves.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    hue, bright, colorful = leaf_hue(rng), rng.uniform(0.2, 0.5), rng.uniform(0.24, 0.44)
    with soft_layer(canvas, 112) as middle:
        with soft_layer(middle, 44, foliage_field(rng, light, hue, bright, colorful)) as far:
            for _ in range(int(rng.integers(10, 36))):
                color = _leaf_color(rng, light, hue, bright, colorful)
                base = (rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 1.1))
                _soft_leaf(far, rng, base, rng.uniform(0, 2 * math.pi), 0.2, color, rng.uniform(0.3, 0.7))
            light_spots(far, rng, light, hue, int(rng.integers(4, 16)))
        bokeh(middle, rng, light, hue, int(rng.integers(0, 14)))
        for _ in range(int(rng.integers(2, 7))):
            _sprig(middle, rng, light, hue, bright, colorful)
    dress = "leaves" if rng.random() < 0.75 else None
    paint_branch(canvas, rng, light, foot, hue=hue, dress=dress)


def foliage_field(
    rng: np.random.Generator, light: Light, hue: float, bright: float, colorful: float
) -> Field:
    """[64, 64, 3], the depth of the leaves: dark and light masses, lighter towards the light."""
    y, x = grid(64)
    scale = rng.uniform(0.4, 0.9)
    masses = sample(
        noise_tile(rng, 64, rng.uniform(1.3, 1.8)), y * scale + rng.random(), x * scale + rng.random()
    )
    towards = 0.5 + 0.5 * ((x - 0.5) * light.x + (y - 0.5) * light.y)
    values = np.clip(masses * 0.8 + (towards - 0.4) * (0.3 + 0.6 * light.strength), 0, 1)
    dark = hsl(hue + 14, colorful, bright * 0.4)
    pale = mix(hsl(hue - 14, colorful + 0.06, min(bright * 1.5 + 0.08, 0.78)), light.color, 0.25)
    field = ramp([dark, hsl(hue, colorful, bright), pale], values)
    return blend(field, light.color, 0.35 * light.strength * smoothstep(0.7, 1.3, values + towards * 0.5))


def light_spots(canvas: skia.Canvas, rng: np.random.Generator, light: Light, hue: float, count: int) -> None:
    """Soft spots of light between the leaves, thickest towards the light."""
    for _ in range(count):
        x, y = _lit_place(rng, light)
        color = mix(hsl(hue - 10, 0.4, 0.72), light.color, rng.uniform(0.2, 0.8))
        canvas.drawCircle(x, y, rng.uniform(0.03, 0.08), fill(color, rng.uniform(0.1, 0.3)))


def bokeh(canvas: skia.Canvas, rng: np.random.Generator, light: Light, hue: float, count: int) -> None:
    """Points of light out of focus: discs with a brighter rim, as a lens draws them."""
    size = rng.uniform(0.02, 0.045)
    for _ in range(count):
        x, y = _lit_place(rng, light)
        color, alpha = mix(hsl(hue - 12, 0.45, 0.74), light.color, rng.random()), rng.uniform(0.12, 0.32)
        radius = size * rng.uniform(0.7, 1.3)
        canvas.drawCircle(x, y, radius, fill(color, alpha))
        canvas.drawCircle(x, y, radius, line(color, radius * 0.14, alpha * 0.7))


def _lit_place(rng: np.random.Generator, light: Light) -> Point:
    return 0.5 + 0.25 * light.x + rng.normal(0, 0.38), 0.5 + 0.25 * light.y + rng.normal(0, 0.38)


def _leaf_color(rng: np.random.Generator, light: Light, hue: float, bright: float, colorful: float) -> RGB:
    color = shade(hsl(hue + rng.normal(0, 9), colorful + rng.normal(0, 0.05), bright), rng.uniform(0.6, 1.55))
    return mix(color, light.color, 0.1 * light.strength)


def _soft_leaf(
    canvas: skia.Canvas,
    rng: np.random.Generator,
    base: Point,
    angle: float,
    length: float,
    color: RGB,
    alpha: float,
) -> None:
    path = leaf_path(base, angle, length * rng.uniform(0.7, 1.25), rng.uniform(0.4, 0.6), rng.normal(0, 0.1))
    canvas.drawPath(path, fill(color, alpha))


def _sprig(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, hue: float, bright: float, colorful: float
) -> None:
    """A stem with leaves in two rows, a little out of focus."""
    x, y, angle = rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 1.0), rng.uniform(0, 2 * math.pi)
    length, side = rng.uniform(0.07, 0.14), 1.0
    for _ in range(int(rng.integers(4, 8))):
        start = (x, y)
        x, y = x + math.cos(angle) * length * 0.5, y + math.sin(angle) * length * 0.5
        canvas.drawLine(*start, x, y, line(hsl(hue - 20, 0.25, bright * 0.6), 0.008, 0.8))
        side, angle = -side, angle + rng.normal(0, 0.15)
        color = _leaf_color(rng, light, hue, bright, colorful)
        _soft_leaf(canvas, rng, (x, y), angle + side * rng.uniform(0.5, 1.1), length, color, 0.9)
