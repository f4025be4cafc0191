"""What outlines are made of: pieces of parts, smooth loops, feathers and ribbons."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import skia

from avsl_core.aviary.anatomy import Anatomy

__all__ = [
    "Grain",
    "Piece",
    "feather",
    "joined",
    "loop",
    "merged",
    "neck_line",
    "neck_point",
    "ribbon",
    "smooth",
]


@dataclass(frozen=True)
class Grain:
    """How feathers lie in a piece: patterns follow it.

    Attributes:
        anchor: A point that bars and rows are counted from.
        way: Unit vector along the feathers, towards their tips.
        bow: Radius of the arcs that bars lie on, pixels; the arcs' middle is ``bow`` against the way.
        pitch: Distance from bar to bar, pixels.
    """

    anchor: complex
    way: complex
    bow: float
    pitch: float


@dataclass(frozen=True)
class Piece:
    """One closed area of a part: what can be painted in one go.

    Attributes:
        part: The part it belongs to.
        path: Its outline, pixels.
        grain: How its feathers lie.
        feathers: Contours inside, drawn as edges of single feathers.
        lines: Open or closed lines inside, drawn thin.
        within: The piece shows only inside this path too.
        rim: Strength of the darker contour, 0 to 1.
        dusk: How much darker than usual the piece is (a limb on the far side), 0 to 1.
        soft: Whether small body feathers cover it.
        eyeball: Whether it is the eye itself: a circle with iris, pupil and catch-light.
    """

    part: str
    path: skia.Path
    grain: Grain
    feathers: tuple[skia.Path, ...] = ()
    lines: tuple[skia.Path, ...] = ()
    within: skia.Path | None = None
    rim: float = 1.0
    dusk: float = 0.0
    soft: bool = False
    eyeball: bool = False


def smooth(nodes: Sequence[tuple[complex, complex]]) -> skia.Path:
    """A closed curve through points with given directions.

    Args:
        nodes: Points and tangents; the tangents' lengths do not matter.
    """
    path = skia.Path()
    path.moveTo(nodes[0][0].real, nodes[0][0].imag)
    for (start, out), (end, into) in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
        reach = 0.38 * abs(end - start)
        a, b = start + reach * out / abs(out), end - reach * into / abs(into)
        path.cubicTo(a.real, a.imag, b.real, b.imag, end.real, end.imag)
    path.close()
    return path


def loop(points: Sequence[complex], sharp: Collection[int] = ()) -> skia.Path:
    """A closed Catmull-Rom curve through points.

    Args:
        points: At least three.
        sharp: Indices of points that are corners.
    """
    count = len(points)
    path = skia.Path()
    path.moveTo(points[0].real, points[0].imag)
    for i in range(count):
        p, q = points[i], points[(i + 1) % count]
        gap = abs(q - p)
        a = p if i in sharp else p + _handle(points[i - 1], q, gap)
        b = q if (i + 1) % count in sharp else q - _handle(p, points[(i + 2) % count], gap)
        path.cubicTo(a.real, a.imag, b.real, b.imag, q.real, q.imag)
    path.close()
    return path


def feather(root: complex, tip: complex, width: float, bend: complex = 0j, blunt: float = 0.8) -> skia.Path:
    """One feather, or anything that is long and has a tip.

    Args:
        root: Where it grows.
        tip: Its end.
        width: Half its breadth at the widest, pixels.
        bend: How far its middle lies off the straight line.
        blunt: Shape of the tip, 0 (a needle) to 1 (round).
    """
    way = tip - root
    side = -1j * way / abs(way) * width
    near, far = root + 0.4 * way + bend, root + (0.72 + 0.28 * blunt) * way + 0.8 * bend
    full = 0.35 + 0.9 * blunt
    path = skia.Path()
    start = root + 0.45 * side
    path.moveTo(start.real, start.imag)
    for a, b, end in (
        (near + 1.15 * side, far + full * side, tip),
        (far - full * side, near - 1.15 * side, root - 0.45 * side),
    ):
        path.cubicTo(a.real, a.imag, b.real, b.imag, end.real, end.imag)
    path.close()
    return path


def ribbon(points: Sequence[complex], widths: Sequence[float]) -> skia.Path:
    """A band along a line, half as broad as ``widths`` to each side, with a smooth outline.

    Args:
        points: Middle line, at least two.
        widths: One for each point, pixels.
    """
    left, right = [], []
    for i, (point, width) in enumerate(zip(points, widths, strict=True)):
        way = points[min(i + 1, len(points) - 1)] - points[max(i - 1, 0)]
        side = -1j * way / abs(way) * width
        left.append(point + side)
        right.append(point - side)
    return loop([*left, *reversed(right)])


def joined(paths: Sequence[skia.Path]) -> skia.Path:
    """The union of single contours, all turned the same way round."""
    whole = skia.Path()
    for path in paths:
        if _turn(path) < 0:
            whole.reverseAddPath(path)
        else:
            whole.addPath(path)
    return whole


def merged(paths: Sequence[skia.Path]) -> skia.Path:
    """The union of contours with one outer contour, where their inner edges would show."""
    builder = skia.OpBuilder()
    for path in paths:
        builder.add(path, skia.PathOp.kUnion_PathOp)
    return builder.resolve() or joined(paths)


def neck_line(anatomy: Anatomy, share: float) -> tuple[complex, complex]:
    """A point on the neck's middle line and the direction there, towards the head.

    Args:
        anatomy: Of the bird.
        share: 0 at the middle of the head, 1 at the root of the neck.
    """
    neck = anatomy.neck
    curve = min(max((anatomy.neck_length - 0.4) / 1.4, 0.0), 1.0)
    up, back = neck.u, neck.v / abs(neck.v) * abs(neck.u)
    p0, p3 = neck.origin, neck.at(1.0, 0.0)
    p1 = p0 + 0.45 * (up - 0.75 * curve * back)
    p2 = p3 - 0.42 * (up + 0.45 * curve * back)
    t = 1.0 - share
    point = (1 - t) ** 3 * p0 + 3 * t * (1 - t) ** 2 * p1 + 3 * t**2 * (1 - t) * p2 + t**3 * p3
    way = (1 - t) ** 2 * (p1 - p0) + 2 * t * (1 - t) * (p2 - p1) + t**2 * (p3 - p2)
    return point, way / abs(way)


def neck_point(anatomy: Anatomy, share: float, side: float) -> complex:
    """A point across the neck.

    Args:
        anatomy: Of the bird.
        share: As in :func:`neck_line`.
        side: -1 at the nape, 1 at the throat.
    """
    point, way = neck_line(anatomy, share)
    front = way * 1j * anatomy.facing
    return point + side * _neck_width(anatomy, share) * front


def _neck_width(anatomy: Anatomy, share: float) -> float:
    slim = min(max((anatomy.neck_length - 0.3) / 1.2, 0.0), 1.0)
    waist = min(max(share / 0.3, 0.0), 1.0) * (1.0 - 0.5 * min(max((share - 0.55) / 0.45, 0.0), 1.0))
    return abs(anatomy.neck.v) * (1.0 - 0.48 * slim * waist)


def _turn(path: skia.Path) -> float:
    """Positive for a contour that runs clockwise on the picture."""
    points = [complex(p.x(), p.y()) for p in path.getPoints(path.countPoints())]
    return sum((p.conjugate() * q).imag for p, q in zip(points, [*points[1:], points[0]], strict=True))


def _handle(before: complex, after: complex, gap: float) -> complex:
    """A third of the way that a Catmull-Rom curve takes, never longer than the gap calls for."""
    way = after - before
    length = abs(way)
    return way / length * gap * 0.36 if length > 0 else 0j
