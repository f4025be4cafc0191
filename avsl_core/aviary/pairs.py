"""Pairs of pictures whose difference is known: one part changed, or two species that are kin in a known way.

Every pair depends on the seed and its number alone, so a short run is the beginning of a longer one, and
a run can be taken up anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avsl_core.aviary.alter import KINDS, alter_part, possible_changes
from avsl_core.aviary.parameters import PARTS, Bird, Scene
from avsl_core.aviary.render import part_masks, render
from avsl_core.aviary.scenes import sample_scene
from avsl_core.aviary.species import Species, species_of
from avsl_core.errors import ConfigError, DataError

__all__ = ["MIN_DIFFERENCE", "RELATIONS", "PartPair", "SpeciesPair", "part_pairs", "species_pairs"]

MIN_DIFFERENCE = 6.0
"""How much two pictures of a pair differ at least where the changed part is: the mean over its visible
pixels and the channels of the absolute difference, in 8-bit steps."""

RELATIONS: tuple[str, ...] = ("same", "twin_form", "twin_plumage", "family", "other")
"""How the species of a pair are kin: the same; same form, other plumage (twin_form); same plumage, other
form (twin_plumage); another of the family that is neither; of another family."""

_ATTEMPTS = 400
_PART_PAIRS, _SPECIES_PAIRS = 1, 2  # keeps the two streams of random numbers apart


@dataclass(frozen=True)
class PartPair:
    """Two pictures that differ in one part of the bird and nowhere else.

    Attributes:
        a: The bird as its species is, RGB uint8 [S, S, 3].
        b: The bird with one part changed, in the same scene.
        part: Which part.
        kind: What of it: "form", "texture", "palette" or "any".
        mask_a: Where the part shows in a, bool [S, S]; outside mask_a and mask_b no pixel differs.
        mask_b: Where it shows in b.
        bird_a: The bird of a.
        bird_b: The bird of b.
        scene: The scene of both.
        species: The species of a.
    """

    a: NDArray[np.uint8]
    b: NDArray[np.uint8]
    part: str
    kind: str
    mask_a: NDArray[np.bool_]
    mask_b: NDArray[np.bool_]
    bird_a: Bird
    bird_b: Bird
    scene: Scene
    species: Species


@dataclass(frozen=True)
class SpeciesPair:
    """Two species, each in a scene of its own.

    Attributes:
        a: RGB uint8 [S, S, 3].
        b: RGB uint8 [S, S, 3].
        masks_a: Where each part shows in a, by part: coverage, uint8 [S, S].
        masks_b: Where each part shows in b.
        species_a: What a shows.
        species_b: What b shows.
        scene_a: The scene of a.
        scene_b: The scene of b.
    """

    a: NDArray[np.uint8]
    b: NDArray[np.uint8]
    masks_a: Mapping[str, NDArray[np.uint8]]
    masks_b: Mapping[str, NDArray[np.uint8]]
    species_a: Species
    species_b: Species
    scene_a: Scene
    scene_b: Scene


def part_pairs(
    count: int,
    seed: int,
    *,
    size: int = 224,
    split: str = "test",
    kinds: Sequence[str] = ("any",),
    min_area: float = 0.004,
    start: int = 0,
) -> Iterator[PartPair]:
    """Pairs that differ in one part, going round the parts, and round the kinds from lap to lap.

    Bird and scene are drawn anew where the part is hardly visible, or its change is (MIN_DIFFERENCE).

    Args:
        count: How many pairs.
        seed: Not negative; another seed, other pairs.
        size: Side of the pictures in pixels.
        split: Whose species to show: "train", "val", "test" or "all".
        kinds: What of the part may change, of :data:`KINDS`.
        min_area: The share of the picture that the part covers at least, in both pictures.
        start: Number of the first pair, to take up a run.

    Returns:
        An iterator over pair number start, start + 1, ...; each is drawn when it is asked for.

    Raises:
        ConfigError: A number is negative, or a kind or the split is unknown.
        DataError: No pair can be found, because min_area is too large.
    """
    _check_numbers(count=count, seed=seed, start=start)
    unknown = next((kind for kind in kinds if kind not in KINDS), None)
    if unknown is not None or not kinds:
        raise ConfigError(f"kinds of change: {list(kinds)!r}; give one or more of {', '.join(KINDS)}")
    species = species_of(split)
    return (
        _part_pair(
            PARTS[number % len(PARTS)],
            kinds[number // len(PARTS) % len(kinds)],
            np.random.default_rng((seed, number, _PART_PAIRS)),
            species,
            size,
            min_area,
        )
        for number in range(start, start + count)
    )


def species_pairs(
    count: int, seed: int, *, size: int = 224, relation: str = "same", split: str = "test", start: int = 0
) -> Iterator[SpeciesPair]:
    """Pairs of species that are kin in a known way, in two scenes drawn apart.

    Args:
        count: How many pairs.
        seed: Not negative; another seed, other pairs.
        size: Side of the pictures in pixels.
        relation: One of :data:`RELATIONS`.
        split: Whose species to show: "train", "val", "test" or "all".
        start: Number of the first pair, to take up a run.

    Returns:
        An iterator over pair number start, start + 1, ...; each is drawn when it is asked for.

    Raises:
        ConfigError: A number is negative, or the relation or the split is unknown.
    """
    _check_numbers(count=count, seed=seed, start=start)
    if relation not in RELATIONS:
        raise ConfigError(f"relation of two species: {relation!r} is not one of {', '.join(RELATIONS)}")
    species = species_of(split)
    return (
        _species_pair(relation, np.random.default_rng((seed, number, _SPECIES_PAIRS)), species, size)
        for number in range(start, start + count)
    )


def _part_pair(
    part: str,
    kind: str,
    generator: np.random.Generator,
    candidates: Sequence[Species],
    size: int,
    min_area: float,
) -> PartPair:
    for _ in range(_ATTEMPTS):
        species = candidates[int(generator.integers(len(candidates)))]
        scene = sample_scene(generator)
        if (part, kind) not in possible_changes(species.bird):
            continue
        changed = alter_part(species.bird, part, generator, kind)
        if changed.parts[part].form == "none":
            continue
        mask_a = part_masks(species.bird, scene, size)[part] > 0
        if mask_a.mean() < min_area:
            continue
        mask_b = part_masks(changed, scene, size)[part] > 0
        if mask_b.mean() < min_area:
            continue
        a, b = render(species.bird, scene, size), render(changed, scene, size)
        if _difference(a, b, mask_a | mask_b) >= MIN_DIFFERENCE:
            return PartPair(a, b, part, kind, mask_a, mask_b, species.bird, changed, scene, species)
    raise DataError(
        f"no pair found in {_ATTEMPTS} attempts whose {part} covers {min_area:g} of the picture and visibly "
        f"changes its {kind}; set a smaller min_area"
    )


def _difference(a: NDArray[np.uint8], b: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    return float(np.abs(a[where].astype(np.int16) - b[where].astype(np.int16)).mean())


def _species_pair(
    relation: str, generator: np.random.Generator, candidates: Sequence[Species], size: int
) -> SpeciesPair:
    first = candidates[int(generator.integers(len(candidates)))]
    partners = [other for other in candidates if _related(first, other, relation)]
    second = partners[int(generator.integers(len(partners)))]
    scenes = sample_scene(generator), sample_scene(generator)
    return SpeciesPair(
        render(first.bird, scenes[0], size),
        render(second.bird, scenes[1], size),
        part_masks(first.bird, scenes[0], size),
        part_masks(second.bird, scenes[1], size),
        first,
        second,
        *scenes,
    )


def _related(first: Species, second: Species, relation: str) -> bool:
    family = first.family == second.family
    line = first.line == second.line
    variant = first.variant == second.variant
    return {
        "same": family and line and variant,
        "twin_form": family and not line and variant,
        "twin_plumage": family and line and not variant,
        "family": family and not line and not variant,
        "other": not family,
    }[relation]


def _check_numbers(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 0:
            raise ConfigError(f"{name} of pairs must be 0 or more, not {value}")
