"""A branch to stand on: bark, knots and lichen, side twigs with leaves, blossom, berries or buds."""

import math

import numpy as np
import skia
from numpy.typing import NDArray

from avsl_core.aviary.backdrop_noise import texture
from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    fill,
    hsl,
    line,
    lit_paint,
    mix,
    paint_leaf,
    shade,
    stem_path,
)

_STEPS = 48


def paint_branch(
    canvas: skia.Canvas,
    rng: np.random.Generator,
    light: Light,
    foot: Point,
    *,
    thickness: tuple[float, float] = (0.035, 0.06),
    hue: float = 90.0,
    dress: str | None = None,
) -> None:
    """A branch across the picture whose upper edge passes through the foot point.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
        thickness: Range of its thickness at the foot point.
        hue: Of its leaves.
        dress: What its twigs carry, "leaves", "blossom", "berries" or "buds"; drawn without.
    """
    kind = dress or str(rng.choice(["buds", "leaves", "blossom", "berries"], p=[0.4, 0.3, 0.15, 0.15]))
    bark = hsl(rng.uniform(14, 44), rng.uniform(0.08, 0.34), rng.uniform(0.24, 0.48))
    xs = np.linspace(-0.1, 1.1, _STEPS)
    thick = rng.uniform(*thickness)
    slope = float(np.clip(rng.normal(0, 0.14), -0.3, 0.3))
    top, widths = _edge(rng, xs, foot, slope, thick)
    bottom = top + widths * (1 + 0.06 * _waves(rng, xs, 11.0))
    for _ in range(int(rng.integers(2, 6))):
        _twig(canvas, rng, light, foot, (xs, top, widths), bark, kind, hue)
    outline = [skia.Point(x, y) for x, y in zip(xs, top, strict=True)]
    outline += [skia.Point(x, y) for x, y in zip(xs[::-1], bottom[::-1], strict=True)]
    path = skia.Path.Polygon(outline, True)
    angle = math.atan(slope)
    canvas.save()
    canvas.clipPath(path, True)
    across = (-math.sin(angle) * thick * 1.05, math.cos(angle) * thick * 1.05)
    canvas.drawPath(path, lit_paint(bark, foot, across, light))
    texture(canvas, rng, angle, along=1.6, across=0.26, strength=0.85)
    _bark(canvas, rng, light, (xs, top, widths), slope, bark)
    canvas.restore()


_Edge = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Positions along the branch, its upper edge there and its thickness."""


def _edge(
    rng: np.random.Generator, xs: NDArray[np.float64], foot: Point, slope: float, thick: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Upper edge and thickness; knots and bends fade out at the feet, so that the edge passes there."""
    away = xs - foot[0]
    taper = rng.choice((-1.0, 1.0)) * rng.uniform(0.2, 0.7)
    widths = thick * np.clip(1 + taper * away, 0.35, 1.8)
    bumps = _waves(rng, xs, 7.0) * thick * 0.16 * np.minimum(np.abs(away) * 6, 1)
    top = slope * away + rng.normal(0, 0.12) * away**2 + bumps
    return top - np.interp(foot[0], xs, top) + foot[1], widths


def _waves(rng: np.random.Generator, xs: NDArray[np.float64], frequency: float) -> NDArray[np.float64]:
    """A smooth irregular line about zero, within about -1..1."""
    phases, stretch = rng.uniform(0, 2 * math.pi, 3), rng.uniform(0.7, 1.4, 3)
    waves: NDArray[np.float64] = sum(
        (0.6**k * np.sin(xs * frequency * 1.9**k * stretch[k] + phases[k]) for k in range(3)),
        start=np.zeros_like(xs),
    )
    return waves / 1.6


def _bark(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, edge: _Edge, slope: float, bark: RGB
) -> None:
    """Fissures along the branch, a knot or two, patches of lichen."""
    xs, top, widths = edge
    for _ in range(14):
        x, run = rng.uniform(0, 1), rng.uniform(0.02, 0.1)
        y = float(np.interp(x, xs, top) + np.interp(x, xs, widths) * rng.uniform(0.2, 0.95))
        crack = skia.Path()
        crack.moveTo(x, y)
        crack.quadTo(x + run / 2, y + slope * run / 2 + rng.normal(0, 0.004), x + run, y + slope * run)
        canvas.drawPath(crack, line(shade(bark, 0.42), rng.uniform(0.0015, 0.004), 0.65))
    for _ in range(int(rng.integers(0, 3))):
        x, thick = rng.uniform(0, 1), float(widths.mean())
        y = float(np.interp(x, xs, top)) + thick * rng.uniform(0.35, 0.7)
        canvas.drawOval(_oval(x, y, thick * 0.3, thick * 0.17), fill(shade(bark, 0.7)))
        canvas.drawOval(_oval(x, y - thick * 0.03, thick * 0.2, thick * 0.11), fill(shade(bark, 0.4)))
    lichen = mix(hsl(rng.uniform(60, 130), 0.22, 0.62), light.color, 0.15)
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(0, 1)
        y = float(np.interp(x, xs, top))
        for dx, dy in rng.normal(0, 1, (7, 2)):
            canvas.drawCircle(
                x + dx * 0.025, y + abs(dy) * 0.014, rng.uniform(0.003, 0.008), fill(lichen, 0.6)
            )


def _twig(
    canvas: skia.Canvas,
    rng: np.random.Generator,
    light: Light,
    foot: Point,
    edge: _Edge,
    bark: RGB,
    kind: str,
    hue: float,
) -> None:
    """A twig off the branch, away from the feet, forked once, and what it carries."""
    xs, top, widths = edge
    x = rng.uniform(0.02, 0.98)
    if abs(x - foot[0]) < 0.18:
        x = foot[0] + math.copysign(0.18 + 0.1 * rng.random(), x - foot[0])
    thick = float(np.interp(x, xs, widths))
    start = (x, float(np.interp(x, xs, top)) + thick * 0.5)
    outward = math.copysign(1.0, x - foot[0])
    steep = rng.uniform(0.35, 1.1) * (-1.0 if rng.random() < 0.65 else 1.0)
    far = rng.uniform(0.16, 0.36)
    end = (start[0] + outward * math.cos(steep) * far, start[1] + math.sin(steep) * far)
    wide = min(max(thick * 0.28, 0.008), 0.02)
    color = mix(shade(bark, 0.82), light.color, 0.14 * light.strength)
    stem, points = stem_path(start, end, rng.normal(0, 0.12), wide, wide * 0.3)
    canvas.drawPath(stem, fill(color))
    fork = points[int(rng.integers(3, 6))]
    turn = math.atan2(end[1] - start[1], end[0] - start[0]) + rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 0.8)
    tip = (fork[0] + math.cos(turn) * far * 0.45, fork[1] + math.sin(turn) * far * 0.45)
    spur, others = stem_path(fork, tip, rng.normal(0, 0.12), wide * 0.6, wide * 0.25)
    canvas.drawPath(spur, fill(color))
    _carry(canvas, rng, light, [*points[4:], *others[4::3]], kind, hue)


def _carry(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, points: list[Point], kind: str, hue: float
) -> None:
    """Leaves, blossom, berries or buds at points of a twig."""
    if kind == "leaves":
        side = 1.0
        for (x0, y0), (x1, y1) in zip(points[:-1:2], points[1::2], strict=False):
            side = -side
            angle = math.atan2(y1 - y0, x1 - x0) + side * rng.uniform(0.3, 1.0)
            color = hsl(hue + rng.normal(0, 7), rng.uniform(0.3, 0.5), rng.uniform(0.28, 0.42))
            form = (angle, rng.uniform(0.07, 0.12), rng.uniform(0.4, 0.56), rng.normal(0, 0.1))
            paint_leaf(canvas, (x1, y1), form, color, light)
        return
    for x, y in points[:: 1 if kind == "blossom" else 2]:
        if kind == "blossom":
            _blossom(canvas, rng, light, (x, y))
        elif kind == "berries":
            red = mix(hsl(rng.uniform(-8, 14), 0.68, 0.42), light.color, 0.08)
            canvas.drawCircle(x, y + 0.012, 0.012, fill(shade(red, 0.8)))
            canvas.drawCircle(x + 0.003 * light.x, y + 0.012 + 0.003 * light.y, 0.008, fill(red))
            canvas.drawCircle(
                x + 0.005 * light.x, y + 0.012 + 0.005 * light.y, 0.003, fill((1.0, 0.9, 0.85), 0.8)
            )
        else:
            canvas.drawOval(_oval(x, y, 0.006, 0.008), fill(hsl(hue - 20, 0.3, 0.34)))


def _blossom(canvas: skia.Canvas, rng: np.random.Generator, light: Light, at: Point) -> None:
    x, y = at[0] + rng.normal(0, 0.01), at[1] + rng.normal(0, 0.01)
    petal = mix(hsl(340, 0.6, rng.uniform(0.84, 0.93)), light.color, 0.15)
    first, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.009, 0.014)
    for k in range(5):
        angle = first + k * 2 * math.pi / 5
        tone = shade(petal, 0.93 + 0.07 * math.cos(angle - math.atan2(light.y, light.x)))
        canvas.drawCircle(
            x + math.cos(angle) * radius, y + math.sin(angle) * radius, radius * 0.85, fill(tone)
        )
    canvas.drawCircle(x, y, radius * 0.4, fill((0.86, 0.62, 0.3)))


def _oval(x: float, y: float, half: float, tall: float) -> skia.Rect:
    return skia.Rect(x - half, y - tall, x + half, y + tall)
