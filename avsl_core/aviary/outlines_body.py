"""Outlines of the plumage of head and body: coat and its mark, breast, throat."""

import math

import skia

from avsl_core.aviary.anatomy import Anatomy
from avsl_core.aviary.outlines import Grain, Piece, joined, loop, neck_line, neck_point, ribbon, smooth

__all__ = ["breast_pieces", "coat_mark", "coat_path", "coat_pieces", "throat_pieces"]

# fmt: off
_MARKS: dict[str, tuple[tuple[float, float], ...]] = {
    "capped": ((1.3, 0.18), (0.5, 0.36), (-0.2, 0.3), (-0.85, -0.2), (-1.4, -0.3), (-1.4, 1.3),
        (1.3, 1.4)),
    "saddled": ((0.75, 1.5), (0.78, 0.72), (0.5, 0.2), (-0.2, 0.1), (-0.9, 0.12), (-1.3, 0.3),
        (-0.8, 1.5)),
    "flanked": ((0.62, 0.25), (0.7, -0.2), (0.35, -0.6), (-0.3, -0.78), (-1.25, -0.5), (-1.3, 0.1),
        (-0.4, 0.1)),
}
"""Outlines of marks of the coat: the cap in the head's frame, the others in the body's."""

_BREASTS: dict[str, tuple[tuple[float, float], ...]] = {
    "full": ((0.9, 0.22), (0.62, -0.1), (0.2, -0.34), (-0.3, -0.5), (-0.8, -0.62), (-0.7, -1.4),
        (0.4, -1.5), (1.4, -0.8), (1.3, 0.1)),
    "bib": ((0.98, 0.2), (0.72, 0.0), (0.5, -0.3), (0.34, -0.66), (0.4, -1.0), (0.6, -1.4),
        (1.2, -1.2), (1.4, -0.2)),
    "band": ((0.6, 0.4), (0.5, -0.1), (0.24, -0.6), (0.12, -1.4), (0.56, -1.5), (0.58, -0.9),
        (0.76, -0.3), (0.84, 0.4)),
    "crescent": ((1.02, 0.32), (0.62, -0.02), (0.36, -0.4), (0.28, -0.82), (0.48, -1.3),
        (0.64, -0.86), (0.7, -0.5), (0.86, -0.2)),
    "wedge": ((1.1, 0.3), (0.7, -0.05), (0.3, -0.42), (-0.2, -0.62), (-0.85, -0.78), (-0.2, -0.9),
        (0.4, -0.82), (0.86, -0.6), (1.4, -0.4)),
    "sides": ((0.6, 0.1), (0.36, -0.3), (0.0, -0.5), (-0.5, -0.58), (-0.95, -0.5), (-0.7, -0.8),
        (-0.1, -0.84), (0.36, -0.66), (0.68, -0.32)),
}
"""Outlines of the breast in the body's frame; the coat's contour bounds them."""
# fmt: on


def coat_path(anatomy: Anatomy) -> skia.Path:
    """The contour of head, neck and body; it does not depend on the coat's form."""
    body, head = anatomy.body, anatomy.head
    nodes = [
        _egg(anatomy, 168),
        _egg(anatomy, 112),
        _egg(anatomy, 66 + 16 * min(anatomy.neck_length, 1.0)),
        *_neck_nodes(anatomy, -1.0),
        (head.at(-0.96, 0.2), head.along(0.2, 1.0)),
        (head.at(-0.55, 0.84), head.along(0.85, 0.6)),
        (head.at(0.1, 1.02), head.along(1.0, -0.05)),
        (head.at(0.78, 0.62), head.along(0.65, -0.75)),
        (head.at(1.06, -0.08), head.along(-0.02, -1.0)),
        (head.at(0.72, -0.66), head.along(-0.9, -0.5)),
        *_neck_nodes(anatomy, 1.0),
        _egg(anatomy, -36),
        _egg(anatomy, -92),
        _egg(anatomy, -146),
        (body.at(-1.06, -0.04), body.along(-0.1, 1.0)),
    ]
    return smooth(nodes)


def coat_pieces(anatomy: Anatomy) -> list[Piece]:
    """The coat, for any form."""
    body = anatomy.body
    unit = body.u / abs(body.u)
    grain = Grain(body.at(1.4, 0.1), -unit, 3.0 * abs(body.u), 5.6 * anatomy.grain)
    return [Piece("coat", coat_path(anatomy), grain, soft=True)]


def coat_mark(form: str, anatomy: Anatomy) -> skia.Path | None:
    """Where the mark colour of the coat's palette goes; None for a uniform coat."""
    body, head = anatomy.body, anatomy.head
    if form == "hooded":
        end = min(1.0, 0.7 / (0.4 + anatomy.neck_length))
        edge = [
            neck_point(anatomy, end + 0.12 * (i % 2), side) for i, side in enumerate((-1.5, -0.5, 0.5, 1.5))
        ]
        return loop([*edge, head.at(1.6, -0.9), head.at(1.5, 1.3), head.at(-1.2, 1.5), head.at(-1.5, 0.2)])
    if form == "capped":
        return loop([head.at(*p) for p in _MARKS[form]])
    if form == "naped":
        end = min(1.0, 0.75 / (0.4 + anatomy.neck_length)) + 0.15
        down = [neck_point(anatomy, end * s, -0.25 - 0.2 * s) for s in (0.35, 0.7, 1.0)]
        out = [neck_point(anatomy, end * s, -1.8) for s in (1.15, 0.6)]
        return loop([head.at(-0.5, 1.25), head.at(-0.38, 0.5), *down, *out, head.at(-1.5, 0.5)])
    if form in {"saddled", "flanked"}:
        return loop([body.at(*p) for p in _MARKS[form]])
    return None


def breast_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """A patch over the underside, inside the coat's contour."""
    body = anatomy.body
    path = loop([body.at(*p) for p in _BREASTS[form]])
    unit = body.u / abs(body.u)
    way = -unit * (0.9 + 0.25j * anatomy.facing)
    grain = Grain(body.at(1.35, 0.2), way / abs(way), 1.6 * abs(body.u), 4.6 * anatomy.grain)
    return [Piece("breast", path, grain, within=coat_path(anatomy), rim=0.35, soft=True)]


def throat_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """A patch under the beak, or something that hangs there."""
    head, within = anatomy.head, coat_path(anatomy)
    end = min(1.0, 0.9 / (0.5 + 0.75 * anatomy.neck_length))
    way = -neck_line(anatomy, 0.6 * end)[1]
    grain = Grain(head.at(0.6, 0.4), way, 1.2 * abs(head.u), 3.6 * anatomy.grain)

    def at(share: float, side: float) -> complex:
        return neck_point(anatomy, share * end, side)

    chin = [head.at(1.35, -0.95), head.at(1.25, -0.3), head.at(0.7, -0.32)]
    if form == "chin":
        path = loop([*chin, head.at(0.22, -0.5), at(0.45, 0.45), at(0.62, 1.0), at(0.55, 1.7)])
    elif form == "full":
        path = loop([*chin, head.at(0.12, -0.42), at(0.6, 0.3), at(1.0, 0.35), at(1.3, 0.9), at(1.2, 1.8)])
    elif form == "gorget":
        edge = [(0.66, -0.4), (0.72, 0.0), (1.0, 0.02), (0.98, 0.4), (1.28, 0.5), (1.22, 0.9), (1.4, 1.1)]
        scallops = [at(*p) for p in (*edge, (1.1, 1.8))]
        path = loop([*chin, head.at(0.2, -0.26), head.at(-0.5, -0.36), *scallops], sharp=(4, 6, 8, 10))
    elif form == "collar":
        across = (1.7, 0.8, 0.0, -0.8, -1.7)
        top = [at(0.72 - 0.08 * math.cos(1.5 * s), s) for s in across]
        low = [at(1.14 - 0.1 * math.cos(1.5 * s), s) for s in reversed(across)]
        path = loop([*top, *low], sharp=(0, 4, 5, 9))
    elif form == "stripes":
        bands = []
        for side in (0.0, 0.5, 0.97):
            start = head.at(0.5 + 0.2 * side, -0.42 - 0.38 * side)
            points = [start, at(0.55, side), at(0.85, side + 0.04), at(1.2, side)]
            bands.append(ribbon(points, [w * abs(head.u) for w in (0.07, 0.13, 0.13, 0.03)]))
        path = joined(bands)
    else:
        return [_lappet(anatomy)]
    return [Piece("throat", path, grain, within=within, rim=0.35, soft=True)]


def _lappet(anatomy: Anatomy) -> Piece:
    """A drop of skin that hangs from the throat, outside the coat's contour."""
    width, start = abs(anatomy.head.u), anatomy.head.at(0.72, -0.45)
    step = complex(-0.06 * anatomy.facing, 0.45) * width
    line = [start, start + step, start + 2.2 * step, start + 3 * step]
    path = ribbon(line, [w * width for w in (0.24, 0.2, 0.3, 0.14)])
    return Piece("throat", path, Grain(start, 1j, 4 * width, 3.2 * anatomy.grain))


def _egg(anatomy: Anatomy, degrees: float) -> tuple[complex, complex]:
    """A point of the body's contour and its tangent, clockwise for a bird that faces right."""
    t = math.radians(degrees)
    c, s = math.cos(t), math.sin(t)
    full = 1.04 if c > -0.2 else 0.97
    return anatomy.body.at(c, full * s), anatomy.body.along(s, -full * c)


def _neck_nodes(anatomy: Anatomy, side: float) -> list[tuple[complex, complex]]:
    """Points along one edge of a long neck; a short one needs none."""
    if anatomy.neck_length < 0.7:
        return []
    shares = (0.45,) if anatomy.neck_length < 1.2 else (0.62, 0.32)
    if side > 0:
        return [(neck_point(anatomy, s, side), -neck_line(anatomy, s)[1]) for s in reversed(shares)]
    return [(neck_point(anatomy, s, side), neck_line(anatomy, s)[1]) for s in shares]
