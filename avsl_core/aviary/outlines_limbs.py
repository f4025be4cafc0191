"""Outlines of tail, wings and legs."""

import math

from avsl_core.aviary.anatomy import Anatomy, Frame, Leg
from avsl_core.aviary.outlines import Grain, Piece, feather, joined, loop, merged, ribbon

__all__ = ["far_wing_pieces", "leg_pieces", "tail_pieces", "wing_pieces"]


# fmt: off
_TAILS: dict[str, tuple[tuple[float, float], ...]] = {
    "square": tuple((1.0, s) for s in (0.95, 0.55, 0.15, -0.25, -0.65, -1.0)),
    "rounded": tuple((1.06 - 0.34 * s * s, 1.15 * s) for s in (1.0, 0.62, 0.22, -0.22, -0.62, -1.0)),
    "pointed": tuple((1.28 - 0.62 * abs(s), 0.8 * s) for s in (1.0, -1.0, 0.66, -0.66, 0.34, -0.34, 0.0)),
    "forked": tuple((0.6 + 0.58 * s * s, 1.4 * s) for s in (0.15, -0.2, 0.45, -0.5, 0.75, -0.75, 1.0, -1.0)),
    "fan": ((0.85, 2.11), (0.95, 1.6), (1.01, 0.98), (1.05, 0.32), (1.05, -0.32), (1.01, -0.98),
        (0.95, -1.6), (0.85, -2.11)),
    "streamer": ((0.5, 0.75), (0.54, -0.8), (0.6, 0.35), (0.6, -0.4)),
}
"""Tips of the tail's feathers in the tail's frame, what lies below first."""

_WING_TIPS = ((1.0, 0.1), (0.97, -0.12), (0.9, -0.31), (0.8, -0.46), (0.68, -0.57), (0.55, -0.64),
    (0.42, -0.66), (0.29, -0.62))
"""Tips of a rounded wing's long feathers in the wing's frame, the outermost first."""

_WINGS = {
    "rounded": (0.92, 1.0, 0.95),
    "pointed": (1.12, 0.82, 0.3),
    "broad": (0.98, 1.22, 0.9),
    "swept": (1.18, 0.72, 0.2),
    "plumed": (0.8, 0.9, 0.8),
}
"""Length, breadth and bluntness of the feathers of a wing."""

_PLUMES = ((0.9, -1.16), (1.1, -0.98), (1.26, -0.66), (1.36, -0.3), (1.28, 0.06))
_UNDER = ((-0.07, -0.04), (-0.02, 0.36), (0.2, 0.52), (0.46, 0.48), (0.66, 0.3), (0.6, -0.08),
    (0.42, -0.36), (0.2, -0.52), (0.02, -0.4))
_SHOULDER = ((-0.09, -0.06), (-0.04, 0.36), (0.1, 0.52), (0.19, 0.4), (0.15, 0.0), (0.14, -0.34),
    (0.02, -0.42))
# fmt: on


def tail_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """The tail: a fan of feathers that grow from its root."""
    tail = anatomy.tail
    half = abs(tail.v)
    blunt = {"square": 1.0, "pointed": 0.15, "forked": 0.3, "streamer": 0.7}.get(form, 0.95)
    wide = {"fan": 0.42, "pointed": 0.34, "streamer": 0.36}.get(form, 0.31) * half
    feathers = [feather(tail.at(-0.1, 0.35 * v), tail.at(u, v), wide, blunt=blunt) for u, v in _TAILS[form]]
    if form == "streamer":
        for v, tip in ((0.5, 1.5), (-0.5, -1.3)):
            bend = tail.along(0, -0.55 * v)
            feathers.append(feather(tail.at(0.1, 0.25 * v), tail.at(1.5, tip), 0.24 * half, bend, 0.6))
    sides = ((-0.25, 0.75), (0.3, 0.72), (0.42, 0.0), (0.3, -0.72), (-0.25, -0.75))
    root = loop([tail.at(*p) for p in sides])
    grain = Grain(tail.at(0.02, 0.0), tail.u / abs(tail.u), 1.1 * abs(tail.u), 4.4 * anatomy.grain)
    return [Piece("tail", joined([root, *feathers]), grain, feathers=tuple(feathers))]


def wing_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """The wing on our side."""
    return [_wing(form, anatomy, anatomy.wing, 0.0)]


def far_wing_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """The wing on the far side, which shows only when the wings are raised."""
    return [_wing(form, anatomy, anatomy.far_wing, 0.55)] if anatomy.lift > 0.12 else []


def leg_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """Both legs, the far one first."""
    return [
        _leg(form, anatomy, anatomy.far_leg, 0.45),
        _leg(form, anatomy, anatomy.near_leg, 0.0),
    ]


def _wing(form: str, anatomy: Anatomy, wing: Frame, dusk: float) -> Piece:
    long, deep, blunt = _WINGS[form]
    deep *= 1 + 0.55 * anatomy.lift

    def at(u: float, v: float) -> complex:
        return wing.at(u * long, v * deep)

    plumes = _PLUMES if form == "plumed" else ()
    sag = wing.along(0, 0.3)
    feathers = [feather(wing.at(0.45, -0.1), wing.at(*p), 0.09 * abs(wing.v), sag, 0.3) for p in plumes]
    for i, (u, v) in enumerate(_wing_tips(form)):
        bend = wing.along(0, (0.34 if form == "swept" else 0.14 - 0.02 * i) * deep)
        root = at(0.06 / long + 0.3 * u, 0.26 - 0.05 * i)
        feathers.append(feather(root, at(u, v), 0.17 * abs(wing.v) * deep, bend, blunt))
    for start, length, count in ((0.34, 0.26, 6), (0.2, 0.22, 6), (0.06, 0.2, 5)):  # rows of coverts
        for i in range(count):
            s = i / (count - 1)
            u, v = start + 0.06 * math.sin(math.pi * s) - 0.1 * s, 0.4 - 0.78 * s
            tip = at(u + length, v - 0.02 - 0.12 * s)
            feathers.append(feather(at(u, v), tip, 0.6 * abs(wing.v) * deep / count, blunt=1.0))
    feathers.append(loop([at(*p) for p in _SHOULDER]))
    path = joined([*feathers, loop([at(*p) for p in _UNDER])])
    grain = Grain(wing.at(-0.05, 0.05), wing.u / abs(wing.u), 0.9 * abs(wing.u), 4.6 * anatomy.grain)
    return Piece("wing", path, grain, feathers=tuple(feathers), dusk=dusk)


def _wing_tips(form: str) -> list[tuple[float, float]]:
    """Tips of the long feathers, the outermost first."""
    if form == "pointed":
        return [(u * (1.0 - 0.05 * i), v - 0.12 + 0.06 * i) for i, (u, v) in enumerate(_WING_TIPS)]
    if form == "swept":
        tips = ((u * (1.02 - 0.075 * i), v) for i, (u, v) in enumerate(_WING_TIPS))
        return [(u, v + 0.5 * max(u - 0.45, 0.0)) for u, v in tips]
    if form == "broad":
        return [(u + 0.06 * (i < 4), 1.02 * v) for i, (u, v) in enumerate(_WING_TIPS)]
    return list(_WING_TIPS)


def _leg(form: str, anatomy: Anatomy, leg: Leg, dusk: float) -> Piece:
    g, side = anatomy.grain, anatomy.facing
    half = {"slender": 1.1, "stout": 2.1, "wader": 1.05, "feathered": 1.5, "webbed": 1.5}[form] * g
    bones = [leg.hip, leg.ankle, leg.foot - 0.4j * half]
    widths = [1.5 * half, half, 1.05 * half]
    parts = []
    if form == "feathered":
        middle = 0.5 * (leg.ankle + leg.foot)
        points = [leg.hip, leg.ankle, middle, leg.foot - 0.5j * half]
        parts.append(ribbon(points, [5.2 * g, 4.4 * g, 3.2 * g, 2.4 * g]))
    else:
        if form == "wader":
            widths = [1.2 * half, 2.4 * half, half]
            bones.insert(2, leg.ankle + 0.22 * (leg.foot - leg.ankle))
            widths.insert(2, half)
        parts.append(ribbon(bones, widths))
    long = {"slender": 6.5, "stout": 6.5, "wader": 10.0, "feathered": 6.0, "webbed": 9.0}[form] * g
    tips = [leg.foot + complex(side * a, b) * long for a, b in ((1.0, 0.1), (0.72, 0.22), (-0.62, 0.14))]
    if form == "webbed":
        heel = leg.foot - complex(side * 1.2 * g, 0.6 * half)
        front = leg.foot + complex(side, 0.1) * long
        low = leg.foot + complex(side * 0.45, 0.5) * long
        parts.append(loop([heel, front, low, heel + 1.6j * half], sharp=(1, 2)))
        tips = tips[2:]
    for tip in tips:
        knuckle = 0.5 * (leg.foot + tip) - 0.35j * half
        parts.append(ribbon([leg.foot - 0.3j * half, knuckle, tip], [0.95 * half, 0.85 * half, 0.35 * half]))
    grain = Grain(leg.foot, (leg.foot - leg.ankle) / abs(leg.foot - leg.ankle), 40 * g, 3.4 * g)
    return Piece("legs", merged(parts), grain, rim=0.8, dusk=dusk)
