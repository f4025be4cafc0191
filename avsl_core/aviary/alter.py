"""The same bird with one part changed: interventions whose effect on a picture is known exactly.

Part-level interventions as the ground truth of explanations follow FunnyBirds (Hesse, Schaub-Meyer and
Roth, ICCV 2023), which removes parts; here a part gets another form, texture or palette.
"""

from typing import TypeVar

import numpy as np

from avsl_core.aviary.parameters import FORMS, PALETTES, PARTS, TEXTURES, Bird
from avsl_core.errors import ConfigError

__all__ = ["KINDS", "alter_part", "possible_changes"]

KINDS: tuple[str, ...] = ("form", "texture", "palette", "any")
"""What of a part changes; "any" changes form, texture and palette together."""

MIN_COLOUR_STEP = 60.0
"""How far the base colours of two palettes lie apart at least, Euclidean in sRGB steps: a change of palette
should be seen."""

_T = TypeVar("_T")


def alter_part(bird: Bird, part: str, generator: np.random.Generator, kind: str = "any") -> Bird:
    """Change one part of a bird, and nothing else.

    Args:
        bird: The bird to start from; it stays as it is.
        part: One of the nine parts.
        generator: Source of the choice.
        kind: One of :data:`KINDS`. "any" gives the part another form *and* texture *and* palette; it makes
            a crest appear but never disappear, so that the change of texture and palette can be seen.

    Returns:
        A bird that differs from the first in that part.

    Raises:
        ConfigError: There is no such part or kind, or the texture or palette of an absent crest is to change.
    """
    _check(part, kind)
    look = bird.parts[part]
    if look.form == "none" and kind in ("texture", "palette"):
        raise ConfigError(f"a bird without a {part} shows no {kind} of it; change its form, or 'any'")
    changes = {}
    if kind in ("form", "any"):
        kept = {look.form, "none"} if kind == "any" else {look.form}
        changes["form"] = _pick([form for form in FORMS[part] if form not in kept], generator)
    if kind in ("texture", "any"):
        changes["texture"] = _pick([name for name in TEXTURES if name != look.texture], generator)
    if kind in ("palette", "any"):
        changes["palette"] = _pick(_apart(look.palette), generator)
    return bird.with_part(part, **changes)


def possible_changes(bird: Bird) -> list[tuple[str, str]]:
    """Every (part, kind) that :func:`alter_part` accepts for a bird, in the order of parts and kinds."""
    return [
        (part, kind)
        for part in PARTS
        for kind in KINDS
        if bird.parts[part].form != "none" or kind in ("form", "any")
    ]


def _check(part: str, kind: str) -> None:
    if part not in PARTS:
        raise ConfigError(f"part: {part!r} is not one of {', '.join(PARTS)}")
    if kind not in KINDS:
        raise ConfigError(f"kind of change: {kind!r} is not one of {', '.join(KINDS)}")


def _pick(choices: list[_T], generator: np.random.Generator) -> _T:
    return choices[int(generator.integers(len(choices)))]


def _apart(palette: str) -> list[str]:
    """The palettes that no one would take for this one."""
    base = np.array(PALETTES[palette].base, dtype=float)
    return [
        name
        for name, other in PALETTES.items()
        if float(np.linalg.norm(base - np.array(other.base))) >= MIN_COLOUR_STEP
    ]
