"""The 240 species of the aviary: twenty families of twelve, each four plumage lines by three form variants.

Inside a family the twelve species form a grid. Species of one line wear the same textures and palettes and
differ in the form of one to three parts (a difference that is told at a high level); species of one form
variant have the same forms and differ in texture or palette of two to five parts (a low level). So every
species has two twins of the first kind and three of the second.

The split is by whole plumage lines. Test holds three whole families, so that families never seen are
judged, and half of the lines of four more, so that new species of known families are; validation holds one
whole family and half of the lines of four others. Twins of both kinds are therefore found inside every split.
"""

import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from avsl_core.aviary.families import FAMILIES, Family
from avsl_core.aviary.naming import form_word, plumage_words
from avsl_core.aviary.parameters import PARTS, TEXTURES, Bird, Part
from avsl_core.errors import ConfigError

__all__ = ["LINES", "SPLITS", "VARIANTS", "Species", "all_species", "species_of"]

LINES = 4
"""Plumage lines of a family."""

VARIANTS = 3
"""Form variants of a family."""

SPLITS: tuple[str, ...] = ("train", "val", "test")
"""The parts that share no species: 144, 36 and 60."""

_SEED = 240
_HELD_OUT: Mapping[str, tuple[str, tuple[int, ...]]] = MappingProxyType(
    {
        "jay": ("test", (0, 1, 2, 3)),
        "woodpecker": ("test", (0, 1, 2, 3)),
        "heron": ("test", (0, 1, 2, 3)),
        "finch": ("test", (2, 3)),
        "hummingbird": ("test", (2, 3)),
        "owl": ("test", (2, 3)),
        "duck": ("test", (2, 3)),
        "gull": ("val", (0, 1, 2, 3)),
        "warbler": ("val", (2, 3)),
        "parrot": ("val", (2, 3)),
        "pheasant": ("val", (2, 3)),
        "quail": ("val", (2, 3)),
    }
)
_TOUCHING = (
    *itertools.combinations(("coat", "wing", "tail"), 2),
    *(("coat", part) for part in ("breast", "throat", "crest", "eye", "beak")),
    ("breast", "throat"),
    ("breast", "wing"),
    ("breast", "legs"),
    ("throat", "beak"),
)
"""Parts that lie side by side and so must not wear the same palette."""

_Plumage = dict[str, tuple[str, str]]  # part: texture and palette


@dataclass(frozen=True)
class Species:
    """One fixed kind of bird.

    Attributes:
        name: Unique, made of what is true of the bird, such as "scarlet-throated fork-tailed swallow".
        family: Name of the family; its birds share their build.
        bird: What every picture of the species shows.
        split: "train", "val" or "test".
        line: Plumage line, 0 to 3: within a family, species of one line have the same textures and palettes.
        variant: Form variant, 0 to 2: within a family, species of one variant have the same forms.
    """

    name: str
    family: str
    bird: Bird
    split: Literal["train", "val", "test"]
    line: int
    variant: int

    @property
    def slug(self) -> str:
        """The name as a folder is called: lower-case letters and hyphens."""
        return self.name.replace(" ", "-")


@functools.cache
def all_species() -> tuple[Species, ...]:
    """All species, family by family, line by line, variant by variant; always the same 240.

    Example:
        >>> species = all_species()
        >>> len(species), len({one.family for one in species})
        (240, 20)
    """
    return tuple(
        species for number, family in enumerate(FAMILIES) for species in _species_of_family(family, number)
    )


def species_of(split: str) -> tuple[Species, ...]:
    """The species of one split, in the order of :func:`all_species`.

    Args:
        split: "train", "val", "test" or "all".

    Raises:
        ConfigError: There is no such split.
    """
    if split not in (*SPLITS, "all"):
        raise ConfigError(f"split of the aviary: {split!r} is not one of {', '.join(SPLITS)}, all")
    return tuple(species for species in all_species() if split in (species.split, "all"))


def _species_of_family(family: Family, number: int) -> Iterable[Species]:
    generator = np.random.default_rng((_SEED, number))
    while True:
        lines = _plumage_lines(family, generator)
        words = _line_words(family, lines, generator)
        if words is not None:
            break
    for line, variant in itertools.product(range(LINES), range(VARIANTS)):
        bird = _bird(family, lines[line], variant)
        name = " ".join(filter(None, (words[line], form_word(bird, family.key), family.name)))
        yield Species(name, family.name, bird, _split(family.name, line), line, variant)


def _plumage_lines(family: Family, generator: np.random.Generator) -> list[_Plumage]:
    """Four plumages that differ from each other in two to five parts."""
    varying = _varying_parts(family, generator)
    first = _plumage(family, generator)
    lines = [first]
    while len(lines) < LINES:
        drawn = _plumage(family, generator)
        candidate = {part: drawn[part] if part in varying else first[part] for part in PARTS}
        differences = [sum(candidate[part] != line[part] for part in PARTS) for line in lines]
        if min(differences) >= 2 and _pleasing(candidate):
            lines.append(candidate)
    return lines


def _varying_parts(family: Family, generator: np.random.Generator) -> set[str]:
    """The five parts by which the plumage lines of a family differ."""
    more = ["coat", "tail", "eye", "beak", "legs"]
    if all(family.variant_forms(variant)["crest"] != "none" for variant in range(VARIANTS)):
        more.append("crest")
    # The coat is most of a bird: let it vary in most families.
    weights = np.array([4.0 if part == "coat" else 1.0 for part in more])
    chosen = generator.choice(more, size=2, replace=False, p=weights / weights.sum())
    return {"breast", "throat", "wing", *(str(part) for part in chosen)}


def _plumage(family: Family, generator: np.random.Generator) -> _Plumage:
    """Textures and palettes after the family's theme."""
    while True:
        coat, wing, tail = generator.permutation(family.tones)[:3]
        palettes = {
            "coat": coat,
            "wing": wing,
            "tail": tail,
            "breast": generator.choice(family.fronts),
            **{part: generator.choice(family.accents) for part in ("throat", "eye", "crest")},
            **{part: generator.choice(family.bare) for part in ("beak", "legs")},
        }
        plumage = {part: (_texture(part, family, generator), str(palettes[part])) for part in PARTS}
        if _pleasing(plumage):
            return plumage


def _texture(part: str, family: Family, generator: np.random.Generator) -> str:
    """Mostly plain on the head and its bare parts, patterned on the large areas of feathers."""
    chance = {"wing": 0.7, "breast": 0.5, "tail": 0.45, "coat": 0.35, "throat": 0.3, "crest": 0.25}.get(
        part, 0.04
    )
    return str(generator.choice(family.patterns)) if generator.random() < chance else TEXTURES[0]


def _pleasing(plumage: _Plumage) -> bool:
    """Neighbours stand apart, and neither nothing nor everything is patterned."""
    patterned = sum(texture != "plain" for texture, _ in plumage.values())
    apart = all(plumage[first][1] != plumage[second][1] for first, second in _TOUCHING)
    return apart and 1 <= patterned <= 4


def _line_words(
    family: Family, lines: list[_Plumage], generator: np.random.Generator
) -> tuple[str, ...] | None:
    """A word for each line that is true of it alone; None if one of them has nothing of its own."""
    birds = [_bird(family, line, 0) for line in lines]
    # "white-tailed fork-tailed swallow" would say tail twice.
    key_suffix = form_word(_bird(family, lines[0], 1), family.key).rpartition("-")[2]
    words = []
    for bird in birds:
        own = plumage_words(bird, [other for other in birds if other is not bird])
        own = [word for word in own if not word.endswith(f"-{key_suffix}")]
        if not own:
            return None
        words.append(str(generator.choice(own)))
    return tuple(words)


def _bird(family: Family, plumage: _Plumage, variant: int) -> Bird:
    forms = family.variant_forms(variant)
    return Bird(family.build, {part: Part(forms[part], *plumage[part]) for part in PARTS})


def _split(family: str, line: int) -> Literal["train", "val", "test"]:
    split, lines = _HELD_OUT.get(family, ("train", ()))
    if line not in lines:
        return "train"
    return "test" if split == "test" else "val"
