"""Where everything on a bird is: frames and anchors from its build and the scene's pose, in pixels.

Points and directions are complex numbers, real to the right and imaginary down; an angle is then a factor.
Nothing here depends on how a part looks, so that changing a part moves nothing.
"""

import cmath
import math
from dataclasses import dataclass

from avsl_core.aviary.parameters import Build, Scene

__all__ = ["Anatomy", "Frame", "Leg", "build_anatomy"]

_DEPTH = 0.64  # a songbird's depth over its length
_HEAD = 0.24  # radius of a songbird's head over the length of its body


@dataclass(frozen=True)
class Frame:
    """The coordinates of one part.

    Attributes:
        origin: Where (0, 0) lies.
        u: One step along the part (towards the beak, the tip of the wing, the end of the tail).
        v: One step across it, towards the bird's back.
    """

    origin: complex
    u: complex
    v: complex

    def at(self, a: float, b: float) -> complex:
        """The point (a, b)."""
        return self.origin + a * self.u + b * self.v

    def along(self, a: float, b: float) -> complex:
        """The direction (a, b), with its length."""
        return a * self.u + b * self.v

    def mapped(self, move: complex, scale: float, mirror: float) -> "Frame":
        """From bird's units (imaginary up) to pixels (imaginary down)."""

        def turn(z: complex) -> complex:
            return scale * complex(mirror * z.real, -z.imag)

        return Frame(move + turn(self.origin), turn(self.u), turn(self.v))


@dataclass(frozen=True)
class Leg:
    """One leg.

    Attributes:
        hip: Inside the body.
        ankle: The backward joint.
        foot: Where the toes meet the ground.
    """

    hip: complex
    ankle: complex
    foot: complex


@dataclass(frozen=True)
class Anatomy:
    """A posed bird on the picture.

    Attributes:
        body: u is half the length towards the breast, v half the depth.
        neck: From its root to the middle of the head (u), v is the head's radius.
        head: u is the head's radius towards the beak, v the same upwards.
        tail: u is the length of the tail, v half its usual width.
        wing: u is the length of the near wing, v half the body's depth.
        far_wing: The other wing, seen only when raised.
        lift: How far the wings are raised, 0 to 1.
        near_leg: The leg on our side.
        far_leg: The other.
        beak: Length of the beak, pixels.
        eye: Radius of the eye, pixels.
        neck_length: Of the build.
        grain: A hundredth of the whole bird's extent, pixels: the measure of line widths and patterns.
        facing: 1 to the right, -1 to the left.
        light: Unit vector towards the light.
        shade: Strength of light and shade, 0 to 1.
        footing: Middle of the feet, pixels.
        box: Left, top, right, bottom of the whole bird, pixels.
    """

    body: Frame
    neck: Frame
    head: Frame
    tail: Frame
    wing: Frame
    far_wing: Frame
    lift: float
    near_leg: Leg
    far_leg: Leg
    beak: float
    eye: float
    neck_length: float
    grain: float
    facing: float
    light: complex
    shade: float
    footing: tuple[float, float]
    box: tuple[float, float, float, float]


def build_anatomy(build: Build, scene: Scene, size: int) -> Anatomy:
    """Pose a bird in a picture.

    Args:
        build: Proportions.
        scene: Pose, size, place and light.
        size: Side of the picture, pixels.

    Returns:
        Frames and anchors in pixels.
    """
    rest = _pose(build, Scene())
    extent = _extent(_outermost(build, rest))
    posed = _pose(build, scene)
    left, low, right, high = _bounds(_outermost(build, posed))
    scale = scene.size * size / extent
    mirror = 1.0 if scene.facing == "right" else -1.0
    middle = complex((left + right) / 2, (low + high) / 2)
    move = size * complex(scene.x, scene.y) - scale * complex(mirror * middle.real, -middle.imag)

    def place(z: complex) -> complex:
        return move + scale * complex(mirror * z.real, -z.imag)

    frames = {name: frame.mapped(move, scale, mirror) for name, frame in posed.frames.items()}
    near, far = (
        Leg(place(leg.hip), place(leg.ankle), place(leg.foot)) for leg in (posed.near_leg, posed.far_leg)
    )
    corners = place(complex(left, high)), place(complex(right, low))
    foot = (near.foot + far.foot) / 2
    radius = abs(frames["head"].u)
    light = cmath.rect(1.0, -math.radians(scene.light_from))
    return Anatomy(
        **frames,
        lift=scene.wing_lift,
        near_leg=near,
        far_leg=far,
        beak=scale * _beak_length(build),
        eye=min(max(0.27 * radius, 0.021 * extent * scale), 0.36 * radius),
        neck_length=build.neck,
        grain=0.01 * extent * scale,
        facing=mirror,
        light=light,
        shade=scene.light,
        footing=(foot.real, foot.imag),
        box=(
            min(corners[0].real, corners[1].real),
            corners[0].imag,
            max(corners[0].real, corners[1].real),
            corners[1].imag,
        ),
    )


@dataclass(frozen=True)
class _Pose:
    frames: dict[str, Frame]
    near_leg: Leg
    far_leg: Leg


def _pose(build: Build, scene: Scene) -> _Pose:
    """Frames in bird's units: a songbird's body is 1 long, facing right, imaginary up, its middle at 0."""
    steep = build.upright - scene.tilt
    axis = _direction(steep)
    half, depth = 0.5 * build.body, 0.5 * _DEPTH * build.depth * build.body
    body = Frame(0j, half * axis, depth * axis * 1j)

    radius = _HEAD * build.head
    rise = steep + (78 - steep) * min(0.45 + 0.25 * build.neck, 0.95) - 0.5 * scene.nod
    reach = 0.55 * radius + 0.06 + 0.3 * build.neck
    root = body.at(0.56, 0.12)
    middle = root + reach * _direction(rise)
    gaze = _direction(-scene.nod - 0.3 * scene.tilt)
    head = Frame(middle, radius * gaze, radius * gaze * 1j)
    towards = _direction(rise)
    neck = Frame(root, reach * towards, radius * towards * 1j)

    back = -axis
    tail_way = back * _direction(-scene.tail_lift - 4)
    length, width = 0.54 * build.tail, 0.15 * build.tail**0.4 * (0.45 + 0.55 * build.depth)
    tail = Frame(body.at(-0.86, 0.1), length * tail_way, -width * tail_way * 1j)

    lift = scene.wing_lift
    shoulder = body.at(0.36, 0.3 + 0.15 * lift)
    wing = _wing(shoulder, back * _direction(7 - 82 * lift), build, lift)
    far = _wing(shoulder + 0.06 * axis, back * _direction(-18 - 78 * lift), build, 0.9 * lift)

    hip = body.at(-0.12 - 0.3 * math.sin(math.radians(build.upright)), -0.45)
    belly = body.at(-0.12 - 0.3 * math.sin(math.radians(build.upright)), -0.97)
    drop = 0.3 * build.legs
    stand = 0.25 * belly.real + 0.75 * hip.real + 0.06
    near_foot = complex(stand + 0.05, belly.imag - drop)
    far_foot = complex(stand - 0.09, belly.imag - 0.93 * drop)
    return _Pose(
        frames={"body": body, "neck": neck, "head": head, "tail": tail, "wing": wing, "far_wing": far},
        near_leg=_leg(hip + 0.03, near_foot, drop),
        far_leg=_leg(hip - 0.1 * axis.real, far_foot, drop),
    )


def _wing(shoulder: complex, way: complex, build: Build, lift: float) -> Frame:
    length = 0.86 * build.body * (1 + 0.12 * lift)
    depth = 0.5 * _DEPTH * build.depth**0.6 * build.body * (1 + 0.35 * lift)
    return Frame(shoulder, length * way, -depth * way * 1j)


def _leg(hip: complex, foot: complex, drop: float) -> Leg:
    middle = hip + 0.52 * (foot - hip)
    return Leg(hip, middle - 0.02 - 0.1 * drop, foot)


def _beak_length(build: Build) -> float:
    return 0.25 * build.beak


def _outermost(build: Build, pose: _Pose) -> list[complex]:
    """Points that bound a bird of ordinary looks."""
    frames = pose.frames
    body, head, tail = frames["body"], frames["head"], frames["tail"]
    tip = head.at(1.0, -0.1) + 1.3 * _beak_length(build) * head.u / abs(head.u)
    around = [body.at(math.cos(t), math.sin(t)) for t in (i * math.pi / 6 for i in range(12))]
    skull = [head.at(0.0, 1.0), head.at(-1.0, 0.0)]
    return [*around, *skull, tip, tail.at(1.05, 0.7), tail.at(1.05, -0.7), pose.near_leg.foot - 0.03j]


def _bounds(points: list[complex]) -> tuple[float, float, float, float]:
    xs, ys = [p.real for p in points], [p.imag for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def _extent(points: list[complex]) -> float:
    left, low, right, high = _bounds(points)
    return max(high - low, 0.84 * (right - left))


def _direction(degrees: float) -> complex:
    return cmath.rect(1.0, math.radians(degrees))
