"""Single birds: each of a family, but with proportions, forms and plumage of its own."""

from dataclasses import asdict

import numpy as np

from avsl_core.aviary.parameters import FORMS, PARTS, Bird, Build
from avsl_core.aviary.species import species_of

__all__ = ["sample_individual"]

_SPREAD = 0.15
_OWN_FORM = 0.5


def sample_individual(generator: np.random.Generator, split: str = "all") -> Bird:
    """A bird that is like a species, and like no other bird.

    The proportions are the family's, each up to 15 % more or less, and every second part takes a form at
    random; textures and palettes are the species'.

    Args:
        generator: Source of all choices; two in the same state give the same bird.
        split: Whose species to begin from: "train", "val", "test" or "all".

    Raises:
        ConfigError: If there is no such split.
    """
    species = species_of(split)
    bird = species[int(generator.integers(len(species)))].bird
    factors = {
        name: value * float(generator.uniform(1 - _SPREAD, 1 + _SPREAD))
        for name, value in asdict(bird.build).items()
    }
    bird = Bird(Build(**factors), bird.parts)
    for part in PARTS:
        form = FORMS[part][int(generator.integers(len(FORMS[part])))]
        if generator.random() < _OWN_FORM:
            bird = bird.with_part(part, form=form)
    return bird
