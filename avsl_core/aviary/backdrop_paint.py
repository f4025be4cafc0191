"""What the painters of backdrops and occluders share: colours, light, paints, leaves and stems.

Everything is drawn in units of the picture's side (0 to 1, y downwards), so that a picture is the same at
every size. Colours are (red, green, blue) in 0 to 1.
"""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import skia

from avsl_core.aviary.parameters import Scene

RGB = tuple[float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Light:
    """The light of a scene.

    Attributes:
        x: Towards the light, rightwards; with y a vector of length 1.
        y: Towards the light, downwards (negative: from above).
        strength: 0 (flat) to 1.
        warmth: -1 (blue hour) to 1 (evening sun).
        color: Of the light.
    """

    x: float
    y: float
    strength: float
    warmth: float
    color: RGB


def light_of(scene: Scene) -> Light:
    """The light that the scene's numbers describe."""
    angle = math.radians(scene.light_from)
    neutral, tint = (1.0, 0.98, 0.92), (1.0, 0.76, 0.46) if scene.warmth > 0 else (0.70, 0.82, 1.0)
    return Light(
        math.cos(angle),
        -math.sin(angle),
        scene.light,
        scene.warmth,
        mix(neutral, tint, abs(scene.warmth)),
    )


def hsl(hue: float, saturation: float, lightness: float) -> RGB:
    """A colour from hue (degrees), saturation and lightness (0 to 1)."""
    return colorsys.hls_to_rgb(hue % 360 / 360, min(max(lightness, 0.0), 1.0), min(max(saturation, 0.0), 1.0))


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """From a (share 0) to b (share 1)."""
    rest = 1 - share
    return (a[0] * rest + b[0] * share, a[1] * rest + b[1] * share, a[2] * rest + b[2] * share)


def shade(color: RGB, factor: float) -> RGB:
    """The colour darker (factor below 1) or lighter (above 1)."""
    return (min(color[0] * factor, 1.0), min(color[1] * factor, 1.0), min(color[2] * factor, 1.0))


def argb(color: RGB, alpha: float = 1.0) -> int:
    """The colour as skia's 32-bit number."""
    return (
        (round(alpha * 255) << 24)
        | (round(color[0] * 255) << 16)
        | (round(color[1] * 255) << 8)
        | round(color[2] * 255)
    )


def fill(color: RGB, alpha: float = 1.0) -> skia.Paint:
    """Paint that fills a shape."""
    return skia.Paint(AntiAlias=True, Color=argb(color, alpha))


def line(color: RGB, width: float, alpha: float = 1.0) -> skia.Paint:
    """Paint that draws a line with round ends."""
    return skia.Paint(
        AntiAlias=True,
        Color=argb(color, alpha),
        Style=skia.Paint.kStroke_Style,
        StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap,
    )


def gradient(start: Point, end: Point, colors: Sequence[int]) -> skia.Paint:
    """Paint that turns from colour to colour between two points."""
    shader = skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], list(colors))
    return skia.Paint(AntiAlias=True, Shader=shader)


def leaf_path(base: Point, angle: float, length: float, width: float, bend: float = 0.0) -> skia.Path:
    """A leaf from its base to its tip.

    Args:
        base: Where the stalk meets the blade.
        angle: Of the blade, radians, clockwise from rightwards.
        length: From base to tip.
        width: At the broadest, shares of the length.
        bend: The tip turns sideways by this share of the length.
    """
    cos, sin = math.cos(angle) * length, math.sin(angle) * length

    def at(along: float, across: float) -> Point:
        return (base[0] + cos * along - sin * across, base[1] + sin * along + cos * across)

    half = width / 2
    path = skia.Path()
    path.moveTo(*base)
    path.cubicTo(*at(0.18, half * 1.1), *at(0.58, half * 1.5 + bend * 0.3), *at(1.0, bend))
    path.cubicTo(*at(0.62, -half * 1.1 + bend * 0.5), *at(0.22, -half * 1.5), *base)
    path.close()
    return path


def paint_leaf(
    canvas: skia.Canvas,
    base: Point,
    form: tuple[float, float, float, float],
    color: RGB,
    light: Light,
) -> None:
    """A leaf in focus: the half towards the light bright, the other dark, with a midrib.

    Args:
        canvas: In units of the picture's side.
        base: Where the stalk meets the blade.
        form: Angle, length, width and bend, as in :func:`leaf_path`.
        color: Of the leaf.
        light: Of the scene.
    """
    angle, length, width, bend = form
    cos, sin = math.cos(angle), math.sin(angle)
    facing = 1.0 if -sin * light.x + cos * light.y > 0 else -1.0
    bright = mix(shade(color, 1.06), light.color, 0.05 + 0.17 * light.strength)
    canvas.drawPath(
        leaf_path(base, angle, length, width, bend), fill(shade(color, 0.9 - 0.16 * light.strength))
    )

    def at(along: float, across: float) -> Point:
        return (
            base[0] + (cos * along - sin * across) * length,
            base[1] + (sin * along + cos * across) * length,
        )

    half = facing * width / 2
    lit = skia.Path()
    lit.moveTo(*base)
    if facing > 0:
        lit.cubicTo(*at(0.18, half * 1.1), *at(0.58, half * 1.5 + bend * 0.3), *at(1.0, bend))
    else:
        lit.cubicTo(*at(0.22, half * 1.5), *at(0.62, half * 1.1 + bend * 0.5), *at(1.0, bend))
    lit.quadTo(*at(0.5, bend * 0.15), *base)
    lit.close()
    canvas.drawPath(lit, fill(bright))
    rib = skia.Path()
    rib.moveTo(*at(-0.08, 0.0))
    rib.quadTo(*at(0.5, bend * 0.15), *at(0.95, bend * 0.95))
    canvas.drawPath(rib, line(mix(bright, (1.0, 1.0, 0.78), 0.3), length * 0.025, 0.7))


def stem_path(
    start: Point, end: Point, bend: float, wide: float, thin: float, steps: int = 9
) -> tuple[skia.Path, list[Point]]:
    """A stem that tapers from one point to another.

    Args:
        start: Where it is wide.
        end: Where it is thin.
        bend: How far it bulges sideways, share of its length.
        wide: Thickness at the start.
        thin: Thickness at the end.
        steps: Number of straight pieces.

    Returns:
        Its outline, and the steps + 1 points along its middle.
    """
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    points: list[Point] = []
    left: list[skia.Point] = []
    right: list[skia.Point] = []
    for i in range(steps + 1):
        t = i / steps
        bulge, slope = 4 * t * (1 - t) * bend, 4 * (1 - 2 * t) * bend
        half = (wide + (thin - wide) * t) / 2 / length
        x, y = start[0] + dx * t - dy * bulge, start[1] + dy * t + dx * bulge
        across_x, across_y = (-dy - dx * slope) * half, (dx - dy * slope) * half
        points.append((x, y))
        left.append(skia.Point(x + across_x, y + across_y))
        right.append(skia.Point(x - across_x, y - across_y))
    return skia.Path.Polygon(left + right[::-1], True), points


def leaf_hue(rng: np.random.Generator) -> float:
    """The hue of leaves: greens of every kind, now and then autumn."""
    return float(rng.uniform(26, 50) if rng.random() < 0.2 else rng.uniform(66, 122))


def lit_paint(color: RGB, at: Point, across: Point, light: Light) -> skia.Paint:
    """Paint of a solid: from its lit top at a point, through its own colour, to its shaded foot."""
    bright = mix(shade(color, 1.25), light.color, 0.12 + 0.24 * light.strength)
    dark = shade(color, 0.48 - 0.12 * light.strength)
    end = (at[0] + across[0], at[1] + across[1])
    return gradient(at, end, [argb(bright), argb(color), argb(shade(color, 0.8)), argb(dark)])
