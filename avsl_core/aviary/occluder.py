"""What stands in front of the bird: leaves on a twig, bare twigs or blades of grass.

The shapes are drawn one by one in a fixed order of the scene's seed; as many of them are painted as hide the
wanted share of the bird's box, counted on a coarse grid with the shapes themselves.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

import numpy as np
import skia

from avsl_core.aviary.backdrop_paint import (
    RGB,
    Light,
    Point,
    fill,
    hsl,
    leaf_hue,
    leaf_path,
    light_of,
    mix,
    paint_leaf,
    shade,
    stem_path,
)
from avsl_core.aviary.parameters import Scene
from avsl_core.errors import ConfigError

__all__ = ["paint_occluder"]

_Box = tuple[float, float, float, float]

_STREAM = 2
_GRID = 32
_MOST = 60
"""More shapes than this are never painted, whatever they hide."""


@dataclass(frozen=True)
class _Shape:
    """A silhouette and how to paint it; a carrier is there for the shapes that follow it only."""

    path: skia.Path
    paint: Callable[[skia.Canvas], None]
    carrier: bool = False


def paint_occluder(
    canvas: skia.Canvas, scene: Scene, size: int, box: tuple[float, float, float, float]
) -> None:
    """Paints what stands in front of the bird, normally (src-over), on whatever the canvas shows.

    Args:
        canvas: To paint on; its units are pixels.
        scene: Gives the kind, about what share of the box it hides, the light and the seed.
        size: Side of the picture in pixels.
        box: The bird's left, top, right and bottom in pixels.

    Raises:
        ConfigError: If the box is empty.
    """
    left, top, right, bottom = (edge / size for edge in box)
    if not (left < right and top < bottom):
        raise ConfigError(f"the bird's box (left, top, right, bottom) is empty: {box}")
    if scene.occluder == "none" or scene.cover <= 0:
        return
    rng = np.random.default_rng([scene.seed, _STREAM])
    light = light_of(scene)
    growth = {"leaves": _leaves, "twig": _twigs, "grass": _grass}[scene.occluder]
    inside = (left, top, right, bottom)
    # On a layer of its own: composed at once, it leaves pixels of alpha 0 untouched and replaces those of
    # alpha 255 wholly, which shapes laid over each other with soft edges do only up to rounding.
    canvas.saveLayer()
    canvas.scale(size, size)
    for shape in _enough(growth(rng, light, inside, scene.cover), scene.cover, inside):
        shape.paint(canvas)
    canvas.restore()


def _enough(shapes: Iterator[_Shape], cover: float, box: _Box) -> list[_Shape]:
    """The first shapes that together hide the wanted share of the box; the last only if that is nearer."""
    counts = np.zeros((_GRID, _GRID), dtype=np.uint8)
    counter = skia.Surface.MakeRasterDirect(skia.ImageInfo.MakeA8(_GRID, _GRID), counts, _GRID).getCanvas()
    counter.scale(_GRID / (box[2] - box[0]), _GRID / (box[3] - box[1]))
    counter.translate(-box[0], -box[1])
    ink = skia.Paint(AntiAlias=True)
    chosen: list[_Shape] = []
    hidden = 0.0
    for shape in islice(shapes, _MOST):
        counter.drawPath(shape.path, ink)
        now = float(counts.mean()) / 255
        if now >= cover:
            if now - cover < cover - hidden:
                chosen.append(shape)
            break
        chosen.append(shape)
        hidden = now
    while chosen and chosen[-1].carrier:
        chosen.pop()
    return chosen


def _leaves(rng: np.random.Generator, light: Light, box: _Box, cover: float) -> Iterator[_Shape]:
    """Sprays of leaves that reach into the box from one side, leaf after leaf along each stem."""
    hue, lightness = leaf_hue(rng), rng.uniform(0.26, 0.42)
    width = rng.uniform(0.38, 0.58)
    # Some ten leaves hide the wanted share: the more there is to hide, the nearer and larger they are.
    length = float(np.clip(math.sqrt(cover * _area(box) / 10 / (0.6 * width)), 0.07, 0.26))
    turn = rng.choice((-1.0, 1.0))
    angle = rng.uniform(0, 2 * math.pi)
    while True:
        start, end = _reach(rng, box, angle)
        angle += turn * rng.uniform(0.35, 0.8)
        steps = int(np.clip(math.dist(start, end) / (length * 0.45), 5, 10))
        stem, points = stem_path(start, end, rng.normal(0, 0.12), 0.011, 0.004, steps)
        yield _Shape(stem, _painter(stem, fill(hsl(hue - 25, 0.28, 0.24))), carrier=True)
        side = rng.choice((-1.0, 1.0))
        for i in range(steps // 3, steps + 1):
            (x0, y0), (x1, y1) = points[i - 1], points[i]
            side = -side
            aside = side * rng.uniform(0.5, 1.0) if i < steps else rng.normal(0, 0.2)
            color = hsl(hue + rng.normal(0, 6), rng.uniform(0.32, 0.5), lightness + rng.normal(0, 0.03))
            form = (
                math.atan2(y1 - y0, x1 - x0) + aside,
                length * rng.uniform(0.8, 1.15),
                width,
                rng.normal(0, 0.1),
            )
            yield _Shape(leaf_path((x1, y1), *form), partial(_leaf, (x1, y1), form, color, light))


def _twigs(rng: np.random.Generator, light: Light, box: _Box, cover: float) -> Iterator[_Shape]:
    """Twigs across the box in about one direction, with side twigs that end in a leaf."""
    bark = hsl(rng.uniform(15, 40), rng.uniform(0.12, 0.34), rng.uniform(0.2, 0.36))
    hue, lightness = leaf_hue(rng), rng.uniform(0.28, 0.42)
    lean = rng.uniform(-0.8, 0.8)
    direction = lean if rng.random() < 0.5 else math.pi - lean
    side_length = math.sqrt(_area(box))
    wide = float(np.clip(cover * side_length * 0.3, 0.016, 0.07))
    leaf = float(np.clip(math.sqrt(cover) * side_length * 0.42, 0.05, 0.13))
    while True:
        height = rng.uniform(0.25, 0.95)
        middle = (box[0] + (box[2] - box[0]) * rng.uniform(0.3, 0.7), box[1] + (box[3] - box[1]) * height)
        angle = direction + rng.normal(0, 0.2)
        cos, sin = math.cos(angle), math.sin(angle)
        reach = (box[2] - box[0]) * rng.uniform(0.4, 0.8)
        start, end = (
            (middle[0] - cos * 1.1, middle[1] - sin * 1.1),
            (middle[0] + cos * reach, middle[1] + sin * reach),
        )
        bend = rng.normal(0, 0.05)
        stem, points = stem_path(start, end, bend, wide * 1.8, wide * 0.2, 12)
        facing = math.copysign(wide * 0.22, -sin * light.x + cos * light.y)
        offset = (-sin * facing, cos * facing)
        flank, _ = stem_path(_shift(start, offset), _shift(end, offset), bend, wide * 0.8, wide * 0.15, 12)
        yield _Shape(stem, partial(_stick, stem, flank, bark, light))
        side = rng.choice((-1.0, 1.0))
        for point in points[7:]:
            side = -side
            turn, far = angle + side * rng.uniform(0.4, 0.9), leaf * rng.uniform(0.3, 1.3)
            tip = (point[0] + math.cos(turn) * far, point[1] + math.sin(turn) * far)
            spur, _ = stem_path(point, tip, rng.normal(0, 0.1), wide * 0.4, 0.005, 4)
            yield _Shape(spur, _painter(spur, fill(shade(bark, 0.85))))
            color = hsl(hue + rng.normal(0, 6), 0.42, lightness + rng.normal(0, 0.03))
            form = (turn + rng.normal(0, 0.3), leaf * rng.uniform(0.8, 1.2), 0.46, rng.normal(0, 0.1))
            yield _Shape(leaf_path(tip, *form), partial(_leaf, tip, form, color, light))


def _grass(rng: np.random.Generator, light: Light, box: _Box, cover: float) -> Iterator[_Shape]:
    """Blades that rise from below the box, thickest at one place, some with an ear."""
    hue, lightness = rng.uniform(52, 108), rng.uniform(0.3, 0.46)
    middle = rng.uniform(box[0], box[2])
    across, height, lean = box[2] - box[0], box[3] - box[1], rng.normal(0, 0.08)
    floor = max(box[3] + 0.12, 1.03)
    # Some thirty blades hide the wanted share; the first stand behind, in the shade of the others.
    wide = float(np.clip(cover * across / 3.2, 0.014, 0.065))
    for index in count():
        offset = rng.normal(0, 0.3)
        x = middle + offset * across
        rise = rng.uniform(0.35, 1.0) * math.exp(-((offset * 1.1) ** 2)) * (0.5 + 1.4 * cover)
        tip = (x + lean + rng.normal(0, 0.09), box[3] - height * rise)
        blade, points = stem_path(
            (x, floor), tip, rng.normal(0, 0.09), wide * rng.uniform(0.7, 1.3), 0.002, 7
        )
        front = min(index / 25, 1.0)
        color = hsl(hue + rng.normal(0, 7), rng.uniform(0.3, 0.48), (0.72 + 0.4 * front) * lightness)
        color = mix(color, light.color, (0.05 + 0.2 * light.strength) * rng.uniform(0.4, 1.0) * front)
        yield _Shape(blade, _painter(blade, fill(color)))
        if rng.random() < 0.2:
            (x0, y0), (x1, y1) = points[-2], points[-1]
            form = (math.atan2(y1 - y0, x1 - x0), rng.uniform(0.06, 0.1), 0.26, rng.normal(0, 0.1))
            straw = mix(color, (0.86, 0.74, 0.48), 0.7)
            yield _Shape(leaf_path((x1, y1), *form), partial(_leaf, (x1, y1), form, straw, light))


def _shift(point: Point, by: Point) -> Point:
    return (point[0] + by[0], point[1] + by[1])


def _area(box: _Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _reach(rng: np.random.Generator, box: _Box, angle: float) -> tuple[Point, Point]:
    """From outside the box in a direction to a point inside its near part."""
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    half = ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
    cos, sin = math.cos(angle), math.sin(angle)
    start = (centre[0] + cos * (half[0] + 0.3), centre[1] + sin * (half[1] + 0.3))
    deep = rng.uniform(0.25, 0.6)
    end = (centre[0] + cos * half[0] * deep + rng.normal(0, 0.04), centre[1] + sin * half[1] * deep)
    return start, end


def _stick(path: skia.Path, lit: skia.Path, color: RGB, light: Light, canvas: skia.Canvas) -> None:
    """A round stick: its shaded whole, then its lit flank."""
    canvas.drawPath(path, fill(shade(color, 0.72)))
    canvas.drawPath(lit, fill(mix(shade(color, 1.15), light.color, 0.06 + 0.2 * light.strength)))


def _painter(path: skia.Path, paint: skia.Paint) -> Callable[[skia.Canvas], None]:
    return lambda canvas: canvas.drawPath(path, paint)


def _leaf(
    base: Point, form: tuple[float, float, float, float], color: RGB, light: Light, canvas: skia.Canvas
) -> None:
    paint_leaf(canvas, base, form, color, light)
