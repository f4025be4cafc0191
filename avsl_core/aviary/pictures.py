"""One picture of one species, drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avsl_core.aviary.parameters import Scene
from avsl_core.aviary.render import render
from avsl_core.aviary.scenes import sample_scene
from avsl_core.aviary.species import Species

__all__ = ["AviaryPicture", "draw"]


@dataclass(frozen=True)
class AviaryPicture:
    """A picture and everything that made it.

    Attributes:
        pixels: RGB uint8 [S, S, 3].
        species: What it shows.
        scene: How it shows it.
    """

    pixels: NDArray[np.uint8]
    species: Species
    scene: Scene


def draw(species: Species, seed: int | Sequence[int], size: int = 224) -> AviaryPicture:
    """Draw a species in a scene of :func:`sample_scene`.

    Args:
        species: One of :func:`all_species`, or one of your own.
        seed: Of the scene: not negative; the same seed shows another species in the same scene.
        size: Side of the picture in pixels.

    Returns:
        The picture; the same arguments give the same pixels.
    """
    scene = sample_scene(np.random.default_rng(seed))
    return AviaryPicture(render(species.bird, scene, size), species, scene)
