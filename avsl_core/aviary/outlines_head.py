"""Outlines of beak, eye and crest."""

import skia

from avsl_core.aviary.anatomy import Anatomy
from avsl_core.aviary.outlines import Grain, Piece, feather, joined, loop, merged, ribbon
from avsl_core.aviary.outlines_body import coat_path

__all__ = ["beak_pieces", "crest_pieces", "eye_pieces"]

Point = tuple[float, float]

# fmt: off
_BEAKS: dict[str, tuple[tuple[float, float], ...]] = {
    "cone": ((-0.12, 0.44), (0.3, 0.43), (0.86, -0.08), (0.35, -0.42), (-0.12, -0.44)),
    "needle": ((-0.1, 0.2), (0.3, 0.11), (1.85, 0.1), (1.85, 0.05), (0.3, -0.12), (-0.1, -0.2)),
    "hook": ((-0.12, 0.5), (0.35, 0.52), (0.8, 0.2), (0.84, -0.52), (0.6, -0.16), (0.5, -0.38),
        (0.2, -0.5), (-0.12, -0.46)),
    "spatula": ((-0.12, 0.34), (0.35, 0.18), (0.85, 0.16), (1.22, 0.32), (1.5, 0.06), (1.25, -0.3),
        (0.85, -0.16), (0.35, -0.22), (-0.12, -0.34)),
    "curve": ((-0.12, 0.3), (0.35, 0.36), (0.95, 0.12), (1.42, -0.62), (1.34, -0.62), (0.8, -0.16),
        (0.3, -0.1), (-0.12, -0.28)),
    "dagger": ((-0.12, 0.36), (0.4, 0.26), (1.5, -0.04), (0.5, -0.24), (-0.12, -0.36)),
}
"""Outlines of beaks: along the beak in its lengths, up in radii of the head."""

_TIPS: dict[str, tuple[int, ...]] = {
    "cone": (2,),
    "needle": (2, 3),
    "hook": (3, 4),
    "spatula": (),
    "curve": (3, 4),
    "dagger": (2,),
}
"""Which points of a beak's outline are corners."""

_MOUTHS: dict[str, tuple[tuple[float, float], ...]] = {
    "cone": ((-0.1, -0.08), (0.3, -0.02), (0.78, -0.09)),
    "needle": ((-0.1, 0.0), (0.6, 0.0), (1.7, 0.07)),
    "hook": ((-0.1, -0.16), (0.3, -0.1), (0.6, -0.16)),
    "spatula": ((-0.1, -0.04), (0.6, -0.02), (1.46, 0.04)),
    "curve": ((-0.1, 0.0), (0.55, 0.1), (1.3, -0.5)),
    "dagger": ((-0.1, -0.02), (0.5, 0.0), (1.4, -0.03)),
}
"""The line between the halves of a beak: start, bow, end."""

_EYE_MARKS: dict[str, tuple[tuple[float, float], ...]] = {
    "brow": ((1.02, 0.3), (0.5, 0.68), (-0.2, 0.74), (-0.92, 0.34), (-0.25, 0.48), (0.1, 0.42),
        (0.4, 0.4), (0.7, 0.3)),
    "stripe": ((1.05, 0.2), (0.4, 0.46), (-0.3, 0.36), (-1.1, -0.02), (-1.05, -0.24),
        (-0.3, -0.02), (0.4, 0.0), (1.05, -0.02)),
    "mask": ((1.1, 0.34), (0.5, 0.66), (-0.1, 0.56), (-0.66, 0.1), (-0.5, -0.42), (0.1, -0.5),
        (0.6, -0.3), (1.1, -0.2)),
}
"""Outlines of marks at the eye in the head's frame."""
# fmt: on


def beak_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """The beak, with the line between its halves and the nostril."""
    head = anatomy.head
    unit, up = head.u / abs(head.u), head.v / abs(head.v)
    root = head.at(0.82, -0.06)
    tall = min(abs(head.v), 1.1 * anatomy.beak)

    def at(a: float, b: float) -> complex:
        return root + a * anatomy.beak * unit + b * tall * up

    path = loop([at(a, b) for a, b in _BEAKS[form]], sharp=_TIPS[form])
    line = skia.Path()
    start, bow, end = (at(a, b) for a, b in _MOUTHS[form])
    line.moveTo(start.real, start.imag)
    line.quadTo(bow.real, bow.imag, end.real, end.imag)
    nostril = at(0.14, 0.16 if form != "needle" else 0.06)
    line.addCircle(nostril.real, nostril.imag, 0.35 * anatomy.grain)
    grain = Grain(at(0.02, 0.0), unit, 2.0 * anatomy.beak, 3.4 * anatomy.grain)
    return [Piece("beak", path, grain, lines=(line,))]


def eye_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """The mark around the eye, if there is one, and the eye."""
    head, radius = anatomy.head, anatomy.eye
    middle = head.at(0.36, 0.22)
    size = abs(head.u)
    wide = max(1.75 * radius, 0.44 * size)
    mark: skia.Path | None = None
    if form == "ring":
        mark = _circle(middle, wide)
    elif form == "spectacle":
        widths = [w * size for w in (0.16, 0.12, 0.14)]
        bridge = ribbon([head.at(1.12, 0.02), head.at(0.8, 0.14), middle], widths)
        back = ribbon([head.at(-1.0, 0.0), head.at(-0.3, 0.24), middle], [0.3 * widths[0], *widths[1:]])
        mark = merged([_circle(middle, 1.2 * wide), bridge, back])
    elif form in _EYE_MARKS:
        corners = {"brow": (3,), "stripe": (0, 3, 4, 7), "mask": (0, 7)}[form]
        mark = loop([head.at(*p) for p in _EYE_MARKS[form]], sharp=corners)
    grain = Grain(head.at(1.0, 0.1), -head.u / size, 1.5 * size, 3.2 * anatomy.grain)
    ball = Piece("eye", _circle(middle, radius), grain, eyeball=True)
    if mark is None:
        return [ball]
    return [Piece("eye", mark, grain, within=coat_path(anatomy), rim=0.5), ball]


def crest_pieces(form: str, anatomy: Anatomy) -> list[Piece]:
    """Feathers on the crown; nothing for the form "none"."""
    head = anatomy.head
    size = abs(head.u)

    def plume(root: Point, tip: Point, wide: float, bend: float, blunt: float) -> skia.Path:
        way = head.at(*tip) - head.at(*root)
        off = bend * way * 1j * anatomy.facing
        return feather(head.at(*root), head.at(*tip), wide * size, bend=off, blunt=blunt)

    if form == "none":
        return []
    if form == "tuft":
        plumes = [
            plume((-0.62, 0.3), (-1.3, 1.0), 0.2, -0.06, 0.35),
            plume((-0.5, 0.4), (-1.16, 1.36), 0.22, -0.06, 0.35),
            plume((-0.3, 0.5), (-0.92, 1.66), 0.24, -0.04, 0.35),
            plume((0.0, 0.5), (-0.56, 1.84), 0.26, 0.0, 0.35),
            plume((0.4, 0.46), (-0.16, 1.62), 0.28, 0.08, 0.35),
        ]
    elif form == "spike":
        plumes = [
            plume((-0.2, 0.55), (-1.5, 1.45), 0.15, 0.06, 0.0),
            plume((0.3, 0.62), (-1.25, 2.1), 0.24, 0.1, 0.0),
        ]
    elif form == "fan":
        plumes = []
        for a in (-0.62, -0.36, -0.12, 0.1, 0.32, 0.54):
            root, tip = (-0.2 + 0.7 * a, 0.66 - 0.3 * a * a), (-0.2 + 2.5 * a, 2.3 - 1.9 * a * a)
            plumes.append(plume(root, tip, 0.21, -0.1 * a, 0.9))
    elif form == "swept":
        plumes = [
            plume((-0.5, 0.42), (-2.0, -0.1), 0.15, 0.16, 0.15),
            plume((-0.2, 0.6), (-2.15, 0.4), 0.17, 0.16, 0.15),
            plume((0.5, 0.62), (-2.0, 0.95), 0.26, 0.14, 0.15),
        ]
    else:
        stem = [head.at(*p) for p in ((-0.05, 0.72), (-0.02, 1.3), (0.28, 1.78), (0.8, 1.86), (1.1, 1.52))]
        plumes = [
            ribbon(stem, [w * size for w in (0.1, 0.1, 0.13, 0.22, 0.16)]),
            plume((-0.25, 0.66), (0.42, 1.62), 0.09, 0.22, 0.5),
        ]
    unit = head.v / abs(head.v) - 0.4 * head.u / size
    grain = Grain(head.at(0.0, 0.3), unit / abs(unit), 1.2 * size, 3.4 * anatomy.grain)
    return [Piece("crest", joined(plumes), grain, feathers=tuple(plumes))]


def _circle(middle: complex, radius: float) -> skia.Path:
    path = skia.Path()
    path.addCircle(middle.real, middle.imag, radius)
    return path
