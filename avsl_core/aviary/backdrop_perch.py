"""What the bird stands on where there is no branch: a stone, a crag or a post."""

import math

import numpy as np
import skia

from avsl_core.aviary.backdrop_noise import texture
from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    argb,
    fill,
    gradient,
    hsl,
    line,
    lit_paint,
    mix,
    shade,
)


def paint_stone(
    canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point, *, sunk: float = 0.0
) -> skia.Rect:
    """A rounded stone whose top passes through the foot point.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
        sunk: The share of its height that is under water or ground, and not painted.

    Returns:
        The bounds of the visible stone.
    """
    half, deep = rng.uniform(0.2, 0.36), rng.uniform(0.1, 0.15)
    stone = _stone_color(rng)
    path = _boulder(rng, foot, half, deep)
    bounds: skia.Rect = path.computeTightBounds()
    level = bounds.bottom() - bounds.height() * sunk
    visible = skia.Rect(bounds.left(), bounds.top(), bounds.right(), level)
    canvas.save()
    if sunk > 0:
        canvas.clipPath(_above(visible), True)
    canvas.clipPath(path, True)
    canvas.drawPath(
        path,
        lit_paint(stone, (foot[0] + light.x * half * 0.5, foot[1]), (-light.x * half, deep * 1.7), light),
    )
    texture(canvas, rng, rng.normal(0, 0.3), along=0.9, across=0.6, strength=0.7)
    _patches(canvas, rng, light, bounds)
    if sunk > 0:
        wet = [argb(stone, 0.0), argb(shade(stone, 0.3), 0.85)]
        canvas.drawPaint(gradient((0.5, level - 0.03), (0.5, level + 0.012), wet))
    canvas.restore()
    return visible


def paint_crag(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """The tip of a rock that rises from the lower edge of the picture to the foot point.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    stone = _stone_color(rng)
    left, right = _flank(rng, foot, -1.0), _flank(rng, foot, 1.0)
    outline = [skia.Point(x, y) for x, y in [*reversed(left), foot, *right]]
    path = skia.Path.Polygon(outline, True)
    canvas.save()
    canvas.clipPath(path, True)
    canvas.drawPath(path, lit_paint(stone, foot, (-light.x * 0.35, 0.4), light))
    # Faces that turn from the light: from corners of the outline down into the rock.
    away = left if light.x > 0 else right
    for x, y in away[::2]:
        face = skia.Path()
        face.moveTo(x, y)
        face.lineTo(x + rng.uniform(-0.02, 0.08) * math.copysign(1, light.x), y + rng.uniform(0.12, 0.3))
        face.lineTo(x - 0.3 * math.copysign(1, light.x), 1.2)
        face.close()
        canvas.drawPath(face, fill(shade(stone, 0.35), 0.3))
    texture(canvas, rng, rng.uniform(0.3, 1.2), along=1.1, across=0.7, strength=0.8)
    for _ in range(7):
        x, y = foot[0] + rng.normal(0, 0.16), foot[1] + rng.uniform(0.04, 0.35)
        run = (rng.normal(0, 0.05), rng.uniform(0.03, 0.12))
        canvas.drawLine(x, y, x + run[0], y + run[1], line(shade(stone, 0.4), rng.uniform(0.002, 0.004), 0.6))
    _patches(canvas, rng, light, skia.Rect(0, foot[1], 1, foot[1] + 0.3))
    canvas.restore()


def paint_post(canvas: skia.Canvas, rng: np.random.Generator, light: Light, foot: Point) -> None:
    """A weathered fence post whose head passes through the foot point.

    Args:
        canvas: In units of the picture's side.
        rng: Draws the details.
        light: Of the scene.
        foot: Where the feet stand.
    """
    half, lean = rng.uniform(0.05, 0.075), rng.normal(0, 0.012)
    wood = hsl(rng.uniform(20, 42), rng.uniform(0.06, 0.28), rng.uniform(0.36, 0.56))
    x, y = foot
    low = y + rng.uniform(0.006, 0.016)
    corners = [
        (x - half, low),
        (x - half * 0.8, y + 0.001),
        (x, y),
        (x + half * 0.8, y + 0.001),
        (x + half, low),
    ]
    corners += [(x + half * 1.1 + lean, 1.2), (x - half * 1.1 + lean, 1.2)]
    path = skia.Path.Polygon([skia.Point(*corner) for corner in corners], True)
    if rng.random() < 0.7:
        _wires(canvas, rng, foot)
    bright = mix(shade(wood, 1.2), light.color, 0.1 + 0.2 * light.strength)
    tones = [argb(bright), argb(wood), argb(shade(wood, 0.5))]
    canvas.save()
    canvas.clipPath(path, True)
    canvas.drawPath(path, gradient((x - half, y), (x + half, y), tones if light.x < 0 else tones[::-1]))
    texture(canvas, rng, math.pi / 2, along=1.5, across=0.2, strength=0.9)
    for _ in range(6):
        a, b = x + rng.uniform(-1, 1) * half, y + rng.uniform(0.0, 0.2)
        canvas.drawLine(
            a, b, a + rng.normal(0, 0.003), b + rng.uniform(0.04, 0.2), line(shade(wood, 0.4), 0.003, 0.6)
        )
    canvas.drawLine(x - half, low, x + half, low, line(bright, 0.012, 0.6))
    canvas.restore()


def _above(visible: skia.Rect) -> skia.Path:
    """All above a waterline that sags towards the viewer."""
    left, right, level = visible.left() - 0.02, visible.right() + 0.02, visible.bottom()
    path = skia.Path()
    path.moveTo(left, -1)
    path.lineTo(left, level - 0.01)
    path.quadTo((left + right) / 2, level + 0.035, right, level - 0.01)
    path.lineTo(right, -1)
    path.close()
    return path


def _stone_color(rng: np.random.Generator) -> RGB:
    """Grey that leans to brown, seldom to blue."""
    hue = rng.uniform(20, 60) if rng.random() < 0.7 else rng.uniform(200, 225)
    return hsl(hue, rng.uniform(0.03, 0.16), rng.uniform(0.34, 0.56))


def _boulder(rng: np.random.Generator, foot: Point, half: float, deep: float) -> skia.Path:
    """A smooth closed outline, flattened at the top, that touches the foot point."""
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False) + math.pi / 2
    first, second, third = rng.uniform(0, 2 * math.pi, 3)
    wobble = (
        1
        + 0.07 * np.sin(2 * angles + first)
        + 0.04 * np.sin(3 * angles + second)
        + 0.015 * np.sin(7 * angles + third)
    )
    x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** 0.8 * half * wobble
    y = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** 0.9 * deep * wobble
    x = x + foot[0] + rng.uniform(-0.25, 0.25) * half
    upper = y < 0
    order = np.argsort(x[upper])
    y = y - float(np.interp(foot[0], x[upper][order], y[upper][order])) + foot[1]
    return skia.Path.Polygon([skia.Point(a, b) for a, b in zip(x, y, strict=True)], True)


def _flank(rng: np.random.Generator, foot: Point, side: float) -> list[Point]:
    """The outline of a crag from beside the foot point down to the edge of the picture."""
    points = [(foot[0] + side * rng.uniform(0.05, 0.09), foot[1] + rng.uniform(0.0, 0.012))]
    steep = rng.uniform(0.4, 1.8)
    while points[-1][1] < 1.15 and abs(points[-1][0] - 0.5) < 0.7:
        run = rng.uniform(0.02, 0.08)
        points.append((points[-1][0] + side * run, points[-1][1] + run * steep * rng.uniform(-0.05, 2.0)))
    return [*points, (points[-1][0], 1.2)]


def _patches(canvas: skia.Canvas, rng: np.random.Generator, light: Light, bounds: skia.Rect) -> None:
    """Clusters of lichen or moss near the top of a rock."""
    color = mix(hsl(rng.uniform(45, 110), rng.uniform(0.15, 0.4), rng.uniform(0.36, 0.66)), light.color, 0.12)
    for _ in range(int(rng.integers(0, 5))):
        x, y = (
            rng.uniform(bounds.left(), bounds.right()),
            bounds.top() + bounds.height() * rng.uniform(0.05, 0.6),
        )
        for dx, dy in rng.normal(0, 1, (6, 2)):
            canvas.drawCircle(x + dx * 0.016, y + dy * 0.008, rng.uniform(0.003, 0.009), fill(color, 0.5))


def _wires(canvas: skia.Canvas, rng: np.random.Generator, foot: Point) -> None:
    x, y = foot
    for drop in (rng.uniform(0.06, 0.1), rng.uniform(0.17, 0.24)):
        wire = skia.Path()
        wire.moveTo(-0.05, y + drop + rng.uniform(-0.02, 0.03))
        wire.quadTo(x / 2, y + drop + 0.03, x, y + drop)
        wire.quadTo((1 + x) / 2, y + drop + 0.03, 1.05, y + drop + rng.uniform(-0.02, 0.03))
        canvas.drawPath(wire, line((0.3, 0.3, 0.31), 0.005, 0.9))
