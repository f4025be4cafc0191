"""A meadow behind the bird: grass and flowers out of focus, ground, stone or post to stand on."""

import math

import numpy as np
import skia

from avsl_core.aviary.backdrop_noise import (
    Field,
    blend,
    grid,
    noise_tile,
    ramp,
    sample,
    smoothstep,
    soft_layer,
    texture,
)
from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    argb,
    fill,
    gradient,
    hsl,
    line,
    mix,
    shade,
    stem_path,
)
from avsl_core.aviary.backdrop_perch import paint_post, paint_stone
from avsl_core.aviary.backdrop_sky import sky_colors

_FLOWERS: tuple[RGB, ...] = (
    (0.93, 0.8, 0.28),
    (0.95, 0.95, 0.92),
    (0.8, 0.28, 0.26),
    (0.6, 0.5, 0.8),
    (0.9, 0.62, 0.74),
    (0.4, 0.5, 0.85),
)


def paint_meadow(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """Grass up to a soft horizon; the bird stands on the ground, a stone or a post.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    grass = (rng.uniform(44, 100), rng.uniform(0.22, 0.42), rng.uniform(0.3, 0.56))
    horizon = float(min(rng.uniform(-0.35, 0.5), foot[1] - 0.25))
    with soft_layer(canvas, 96) as middle:
        with soft_layer(middle, 64, _grassland(rng, light, horizon, grass)) as far:
            _flowers(far, rng, light, horizon)
        for _ in range(int(rng.integers(8, 26))):
            _stalk(middle, rng, light, grass)
    kind = rng.random()
    if kind < 0.25:
        paint_post(canvas, rng, light, foot)
    elif kind < 0.45:
        stone = paint_stone(canvas, rng, light, foot, sunk=0.2)
        _ground(canvas, rng, light, grass, (foot[0], stone.bottom() - 0.03))
    else:
        _ground(canvas, rng, light, grass, foot)


_Grass = tuple[float, float, float]
"""Hue, saturation and lightness."""


def _grassland(rng: np.random.Generator, light: Light, horizon: float, grass: _Grass) -> Field:
    """[64, 64, 3]: sky, a line of trees in the haze, grass in patches and upright blades."""
    y, x = grid(64)
    hue, colorful, bright = grass
    tile = noise_tile(rng, 64, slope=1.4)
    sky = sky_colors(rng, light)
    field = ramp(sky, np.broadcast_to(np.clip(0.4 + 0.6 * y / max(horizon, 0.05), 0, 1), (64, 64)))
    trees = horizon - rng.uniform(0.0, 0.2) * sample(tile, np.full_like(x, 0.2), x * rng.uniform(0.4, 1.0))
    wood = mix(mix(hsl(hue + 20, 0.25, 0.3), sky[-1], rng.uniform(0.2, 0.6)), light.color, 0.1)
    field = blend(field, wood, smoothstep(-0.03, 0.03, y - trees))
    depth = np.maximum(y - horizon, 0) + 0.06
    patches = sample(tile, 0.3 * np.log(depth) + rng.random(), (x - 0.5) * 0.2 / depth + rng.random())
    blades = sample(tile, y * 0.3 + 0 * x, x * 1.4 + 0 * y)
    aside = (x - 0.5) * light.x * 0.35 * light.strength
    values = np.clip(0.62 * patches + 0.32 * blades + 0.14 - 0.3 * (y - 0.5) + aside, 0, 1)
    near = hsl(hue + 12, colorful, bright * 0.55)
    far = mix(hsl(hue - 12, colorful, min(bright + 0.2, 0.78)), light.color, 0.3)
    tones = ramp([near, hsl(hue, colorful, bright), far], values)
    return blend(field, tones, smoothstep(-0.03, 0.03, y - horizon - 0.05 * (blades - 0.5)))


def _flowers(canvas: skia.Canvas, rng: np.random.Generator, light: Light, horizon: float) -> None:
    """Drifts of flowers, the nearer the larger and the softer."""
    colors = [_FLOWERS[i] for i in rng.choice(len(_FLOWERS), 2, replace=False)]
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, 1), rng.uniform(max(horizon, 0) + 0.05, 1.0)
        for dx, dy in rng.normal(0, 1, (int(rng.integers(4, 14)), 2)):
            at = max(y + dy * 0.08, horizon + 0.02)
            radius = (0.008 + 0.035 * (at - horizon)) * rng.uniform(0.5, 1.2)
            color = mix(colors[int(rng.random() < 0.25)], light.color, 0.2)
            canvas.drawCircle(x + dx * 0.2, at, radius, fill(color, rng.uniform(0.45, 0.9)))


def _stalk(canvas: skia.Canvas, rng: np.random.Generator, light: Light, grass: _Grass) -> None:
    """A stalk of grass out of focus, some with an ear or a flower."""
    x, y = rng.uniform(0, 1), rng.uniform(0.85, 1.2)
    tall, lean = rng.uniform(0.2, 0.8), rng.normal(0, 0.07)
    color = shade(hsl(grass[0] + rng.normal(0, 8), grass[1], grass[2]), rng.uniform(0.65, 1.35))
    color = mix(color, light.color, 0.12)
    stem, points = stem_path((x, y), (x + lean, y - tall), rng.normal(0, 0.08), 0.012, 0.004)
    canvas.drawPath(stem, fill(color, 0.75))
    kind, (tip_x, tip_y) = rng.random(), points[-1]
    if kind < 0.3:
        straw = mix(color, (0.8, 0.7, 0.46), 0.6)
        canvas.drawLine(*points[-3], tip_x, tip_y - 0.02, line(straw, 0.018, 0.75))
    elif kind < 0.45:
        flower = mix(_FLOWERS[int(rng.integers(len(_FLOWERS)))], light.color, 0.2)
        canvas.drawCircle(tip_x, tip_y, rng.uniform(0.012, 0.028), fill(flower, 0.85))


def _ground(canvas: skia.Canvas, rng: np.random.Generator, light: Light, grass: _Grass, foot: Point) -> None:
    """Rising ground whose edge passes through a point, grown with short grass in focus."""
    slope, curve = rng.normal(0, 0.08), rng.uniform(-0.05, 0.2)
    hue, colorful, bright = grass
    earthy = rng.random() < 0.3
    color = hsl(rng.uniform(24, 42), 0.26, 0.36) if earthy else hsl(hue + 6, colorful, bright * 0.7)

    def edge(x: float) -> float:
        return foot[1] + slope * (x - foot[0]) + curve * (x - foot[0]) ** 2

    xs = [*np.linspace(-0.05, foot[0], 9), *np.linspace(foot[0], 1.05, 9)]
    outline = [skia.Point(x, edge(x)) for x in xs]
    path = skia.Path.Polygon([*outline, skia.Point(1.05, 1.2), skia.Point(-0.05, 1.2)], True)
    bright_edge = mix(shade(color, 1.2), light.color, 0.15 + 0.15 * light.strength)
    canvas.save()
    canvas.clipPath(path, True)
    tones = [argb(bright_edge), argb(color), argb(shade(color, 0.6))]
    canvas.drawPath(path, gradient((0.5, foot[1] - 0.01), (0.5, foot[1] + 0.3), tones))
    texture(canvas, rng, rng.normal(0, 0.1), along=0.7, across=0.35, strength=0.7)
    canvas.restore()
    for _ in range(30 if earthy else 90):
        x = rng.uniform(-0.05, 1.05)
        base = edge(x) + 0.012 + 0.3 * rng.random() ** 2
        # Short before the feet, so that they are seen to stand there.
        tall = rng.uniform(0.03, 0.12) * (0.45 if abs(x - foot[0]) < 0.12 else 1.0)
        lean, half = rng.normal(0, 0.022), rng.uniform(0.002, 0.0055)
        blade = skia.Path()
        blade.moveTo(x - half, base)
        blade.quadTo(x, base - tall * 0.6, x + lean, base - tall)
        blade.quadTo(x + half, base - tall * 0.4, x + half, base)
        tone = shade(hsl(hue + rng.normal(0, 8), colorful, bright), rng.uniform(0.65, 1.5))
        canvas.drawPath(blade, fill(mix(tone, light.color, 0.14 * light.strength)))
    for _ in range(int(rng.integers(0, 7))):
        x = rng.uniform(0, 1)
        if abs(x - foot[0]) > 0.14:
            _daisy(
                canvas, rng, light, (x, edge(x) - rng.uniform(0.01, 0.06)), hsl(hue, colorful, bright * 0.8)
            )


def _daisy(canvas: skia.Canvas, rng: np.random.Generator, light: Light, at: Point, green: RGB) -> None:
    """A small flower in focus on its stalk."""
    x, y = at
    radius, petal = (
        rng.uniform(0.007, 0.013),
        mix(_FLOWERS[int(rng.integers(len(_FLOWERS)))], light.color, 0.12),
    )
    canvas.drawLine(x, y, x + rng.normal(0, 0.006), y + 0.09, line(green, 0.004))
    for k in range(6):
        angle = k * math.pi / 3 + 0.2
        canvas.drawCircle(
            x + math.cos(angle) * radius, y + math.sin(angle) * radius * 0.7, radius * 0.6, fill(petal)
        )
    canvas.drawCircle(x, y, radius * 0.5, fill((0.78, 0.58, 0.2)))
