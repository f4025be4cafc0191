"""Sky behind the bird: a gradient of the hour, clouds of fractal noise, sometimes hills."""

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
from avsl_core.aviary.backdrop_paint import RGB, Light, Point, hsl, leaf_hue, mix
from avsl_core.aviary.backdrop_perch import paint_crag, paint_post

_SIDE = 112


def paint_sky(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """Sky; the bird stands on a branch, a crag or a post.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    field = _clouds(_gradient(rng, light), rng, light)
    if rng.random() < 0.5:
        field = _hills(field, rng, light)
    with soft_layer(canvas, _SIDE, field):
        pass
    kind = rng.random()
    if kind < 0.55:
        paint_branch(canvas, rng, light, foot, hue=leaf_hue(rng))
    elif kind < 0.85:
        paint_crag(canvas, rng, light, foot)
    else:
        paint_post(canvas, rng, light, foot)


def sky_colors(rng: np.random.Generator, light: Light) -> list[RGB]:
    """Colours of the sky from the zenith to the horizon."""
    hue, grey, depth = rng.uniform(194, 214), 0.75 * rng.random() ** 1.5, rng.uniform(0.45, 0.7)
    top = hsl(hue + 6, 0.56 * (1 - grey), depth)
    low = hsl(hue - 8, 0.46 * (1 - grey), min(depth + 0.22, 0.88))
    if light.warmth > 0:
        glow, strength = hsl(rng.uniform(18, 42), 0.75, 0.74), light.warmth * rng.uniform(0.6, 1.0)
        middle = mix(mix(top, low, 0.6), hsl(rng.uniform(330, 375), 0.35, 0.74), strength * 0.7)
    else:
        glow, strength = hsl(rng.uniform(215, 320), 0.25, 0.82), -light.warmth * rng.uniform(0.3, 0.9)
        top = mix(top, hsl(216, 0.36, 0.36), -light.warmth * 0.6)
        middle = mix(top, low, 0.55)
    return [top, middle, mix(low, glow, strength * 0.6), mix(low, glow, strength)]


def _gradient(rng: np.random.Generator, light: Light) -> Field:
    """[n, n, 3], the clear sky, brighter towards the light."""
    y, x = grid(_SIDE)
    height = np.clip(y * rng.uniform(0.8, 1.15) + 0.1 * light.x * (0.5 - x), 0, 1)
    field = ramp(sky_colors(rng, light), height)
    sun = np.exp(-3.0 * ((x - 0.5 - 0.6 * light.x) ** 2 + (y - 0.5 - 0.6 * light.y) ** 2))
    return blend(field, light.color, (sun * 0.5 * light.strength).astype(np.float32))


def _clouds(field: Field, rng: np.random.Generator, light: Light) -> Field:
    """Lays clouds over the sky: heaps, veils or long bands."""
    tile = noise_tile(rng, slope=rng.uniform(1.5, 2.0))
    y, x = grid(_SIDE)
    down, right = rng.uniform(0, 1, 2)
    stretch, scale = rng.uniform(1.1, 3.0), rng.uniform(0.4, 0.8)
    rows, columns = y * scale + down, x * scale / stretch + y * rng.normal(0, 0.12) + right
    thick = sample(tile, rows, columns)
    # Denser towards the light: that flank of a heap is lit, the other lies in its own shade.
    towards = sample(tile, rows + 0.03 * light.y, columns + 0.03 * light.x / stretch)
    low = rng.uniform(0.36, 0.64)
    veil = smoothstep(low, low + rng.uniform(0.12, 0.34), thick) * rng.uniform(0.6, 0.95)
    lit = np.clip(0.62 + (thick - towards) * (1.6 + 2.4 * light.strength), 0, 1)
    white = mix((0.97, 0.97, 0.98), light.color, 0.4)
    shadow = mix(hsl(214, 0.14, rng.uniform(0.5, 0.72)), light.color, 0.2)
    return blend(field, ramp([shadow, mix(shadow, white, 0.7), white], lit), veil)


def _hills(field: Field, rng: np.random.Generator, light: Light) -> Field:
    """Ridges in the haze along the lower edge, sometimes with the ragged edge of a wood."""
    y, x = grid(_SIDE)
    hue, horizon, count = rng.uniform(80, 225), field[-1].mean(axis=0), int(rng.integers(1, 4))
    base, wooded = rng.uniform(0.6, 0.8), rng.random() < 0.5
    haze = (float(horizon[0]), float(horizon[1]), float(horizon[2]))
    for i in range(count):
        ridge = np.full_like(x, base + 0.09 * i)
        for octave in range(3):
            wave = np.sin(x * 2.3 * 2**octave + rng.uniform(0, 2 * math.pi))
            ridge = ridge + rng.uniform(0.01, 0.04) / (octave + 1) * wave
        if wooded:
            ridge = ridge - 0.035 * (i + 1) / count * rng.random((1, _SIDE)).astype(np.float32) ** 2
        near = (i + 1) / (count + 1)
        color = mix(mix(haze, hsl(hue, 0.2, 0.34), 0.3 + 0.5 * near), light.color, 0.08 * light.strength)
        field = blend(field, color, smoothstep(-0.008, 0.008, y - ridge))
    return field
