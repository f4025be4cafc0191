"""The made birds as the measures need them: normalised pictures with the truth beside them.

Pictures are drawn at the size that the network sees, so that nothing is cut away and masks fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.errors import ConfigError, DataError
from avsl_core.faithfulness.level_truth import KINDS, LevelCase
from avsl_core.images import Preprocess

if TYPE_CHECKING:  # drawing needs system libraries; the measures do not
    from avsl_core.aviary import Bird

__all__ = ["PartCase", "changed_parts", "different_species", "three_changes"]

_LEVEL_CASES = 3  # keeps this stream of random numbers apart from those of the aviary's own pairs
_ATTEMPTS = 400


@dataclass(frozen=True, eq=False)
class PartCase:
    """A pair that differs in one part and nowhere else.

    Attributes:
        a: ``[1, 3, S, S]``, normalised, on the model's device.
        b: As ``a``.
        part: Which part.
        mask: Where it is in either picture, bool ``[S, S]``: the two differ nowhere else. Where the part
            changed its outline, one picture lacks what the other has, so both share one region.
    """

    a: Tensor
    b: Tensor
    part: str
    mask: NDArray[np.bool_]


def changed_parts(
    preprocess: Preprocess, device: torch.device, *, count: int, seed: int, split: str = "test"
) -> Iterator[PartCase]:
    """Pairs that differ in one part, going round the parts; each is drawn when it is asked for.

    Raises:
        ConfigError: If the count or the seed is negative, or the split unknown.
        DataError: If no pair is found whose change can be seen, as in very small pictures.
    """
    from avsl_core.aviary import part_pairs

    for pair in part_pairs(count, seed, size=preprocess.size, split=split):
        a, b = (preprocess.normalize(pixels)[None].to(device) for pixels in (pair.a, pair.b))
        yield PartCase(a, b, pair.part, pair.mask_a | pair.mask_b)


def different_species(
    preprocess: Preprocess, device: torch.device, *, count: int, seed: int, split: str = "test"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of species of different families, each in a scene of its own.

    Yields:
        Two normalised pictures, ``[1, 3, S, S]`` each, on the model's device.

    Raises:
        ConfigError: If the count or the seed is negative, or the split unknown.
    """
    from avsl_core.aviary import species_pairs

    for pair in species_pairs(count, seed, size=preprocess.size, relation="other", split=split):
        a, b = (preprocess.normalize(pixels)[None].to(device) for pixels in (pair.a, pair.b))
        yield a, b


def three_changes(
    preprocess: Preprocess,
    device: torch.device,
    *,
    count: int,
    seed: int,
    split: str = "test",
    min_area: float = 0.004,
) -> Iterator[LevelCase]:
    """One part of a bird with another texture, another palette and another form, going round the parts.

    Bird and scene are drawn anew until the part is visible and every change can be seen, as the aviary's
    own pairs are.

    Args:
        preprocess: The model's.
        device: Where the pictures go.
        count: How many cases.
        seed: Another seed, other cases.
        split: Whose species to show.
        min_area: Share of the picture that the part covers at least, 0 to 1.

    Raises:
        ConfigError: If the count or the seed is negative, or the split unknown.
        DataError: If no such bird is found, because ``min_area`` is too large.
    """
    from avsl_core.aviary import PARTS, species_of

    if count < 0 or seed < 0:
        raise ConfigError(f"count and seed of the cases must be 0 or more, not {count} and {seed}")
    birds = [species.bird for species in species_of(split)]
    for number in range(count):
        generator = np.random.default_rng((seed, number, _LEVEL_CASES))
        part = PARTS[number % len(PARTS)]
        pixels = _drawn(birds, part, generator, preprocess.size, min_area)
        pictures = {kind: preprocess.normalize(picture)[None].to(device) for kind, picture in pixels.items()}
        yield LevelCase(part, pictures.pop("original"), pictures)


def _drawn(
    birds: "Sequence[Bird]", part: str, generator: np.random.Generator, size: int, min_area: float
) -> dict[str, NDArray[np.uint8]]:
    from avsl_core.aviary import (
        MIN_DIFFERENCE,
        alter_part,
        part_masks,
        possible_changes,
        render,
        sample_scene,
    )

    for _ in range(_ATTEMPTS):
        bird, scene = birds[int(generator.integers(len(birds)))], sample_scene(generator)
        if not {(part, kind) for kind in KINDS} <= set(possible_changes(bird)):
            continue
        original_mask = part_masks(bird, scene, size)[part] > 0
        if original_mask.mean() < min_area:
            continue
        pictures = {"original": render(bird, scene, size)}
        for kind in KINDS:
            changed = alter_part(bird, part, generator, kind)
            where = original_mask | (part_masks(changed, scene, size)[part] > 0)
            picture = render(changed, scene, size)
            step = np.abs(picture[where].astype(np.int16) - pictures["original"][where].astype(np.int16))
            if step.mean() < MIN_DIFFERENCE:
                break
            pictures[kind] = picture
        if len(pictures) == 1 + len(KINDS):
            return pictures
    raise DataError(
        f"no bird found in {_ATTEMPTS} attempts whose {part} covers {min_area:g} of the picture and visibly "
        "changes in texture, palette and form; set a smaller min_area"
    )
