"""What the Bird lab works with: the aviary, one checkpoint, and the pictures already encoded with it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.lab.state import LabState, Place
from app.work.cache import LruCache
from app.work.turnstile import Turnstile
from avsl_core.aviary.parameters import Bird, Scene
from avsl_core.aviary.render import part_masks, render
from avsl_core.aviary.scenes import calm_scene, sample_scene
from avsl_core.aviary.species import Species, all_species
from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import Comparison, EncodedPicture, compare_encoded
from avsl_core.faithfulness.explainers import pair_maps
from avsl_core.faithfulness.maps import PairMaps, densities
from avsl_core.faithfulness.pointing import Pointing, point
from avsl_core.models import Role

__all__ = ["LabBench", "LabPicture", "LabResult", "Spot"]

Mask = NDArray[np.bool_]
_HALF = 127  # of a mask's coverage in 256ths: most of the pixel


@dataclass(frozen=True, eq=False)
class LabPicture:
    """A bird as the model saw it, and where its parts are.

    Attributes:
        encoded: Ready for any number of comparisons.
        masks: Where each part is visible, ``[S, S]``, on the pixels of the crop.
    """

    encoded: EncodedPicture
    masks: Mapping[str, Mask]


@dataclass(frozen=True)
class Spot:
    """Where everything that pushes the pictures apart is strongest.

    Attributes:
        picture: 0 for the left one, 1 for the right one.
        x: Share of the width, 0 to 1.
        y: Share of the height, 0 to 1.
        part: The part that is visible there, or None beside the bird.
    """

    picture: int
    x: float
    y: float
    part: str | None


@dataclass(frozen=True, eq=False)
class LabResult:
    """The two birds, compared.

    Attributes:
        birds: Left and right.
        pictures: Left and right.
        comparison: The model's account.
        spot: The strongest spot; None where nothing pushes apart.
        pointing: How the maps did on the changed part; None unless exactly one part is changed and visible.
        place: Where the strongest spot lies, seen from that part; None where `pointing` is.
    """

    birds: tuple[Bird, Bird]
    pictures: tuple[LabPicture, LabPicture]
    comparison: Comparison
    spot: Spot | None
    pointing: Pointing | None
    place: Place | None

    @property
    def identical(self) -> bool:
        """Whether the two pictures are the same to the pixel."""
        first, second = (picture.encoded.crop for picture in self.pictures)
        return bool(np.array_equal(first, second))


class LabBench:
    """Paints and compares birds; a bird seen before is neither painted nor encoded again.

    Args:
        checkpoint: Model and preprocessing.
        pictures: Encoded pictures kept.
        turnstile: The queue before the model; None gives it one of its own.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, pictures: int = 32, turnstile: Turnstile | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.turnstile = turnstile or Turnstile()
        self.species: Mapping[str, Species] = {species.name: species for species in all_species()}
        self._pictures: LruCache[LabPicture] = LruCache(pictures)

    def families(self) -> dict[str, list[str]]:
        """The names of the species in each family, families in alphabetical order."""
        families: dict[str, list[str]] = {}
        for species in self.species.values():
            families.setdefault(species.family, []).append(species.name)
        return dict(sorted(families.items()))

    def birds(self, state: LabState) -> tuple[Bird, Bird]:
        """The left and the right bird."""
        left = self.species[state.species].bird
        right = left
        for part, look in state.changes:
            right = right.with_part(part, form=look.form, texture=look.texture, palette=look.palette)
        return left, right

    def result(self, state: LabState) -> LabResult:
        """Paint what is new and compare the two birds.

        Raises:
            BusyError: If the model has too much to do.
        """
        with self.turnstile.turn():
            return self._result(state)

    def _result(self, state: LabState) -> LabResult:
        left, right = self.birds(state)
        scene = _scene(state)
        original = state.with_bird(state.species, state.scene, wild=state.wild).key
        first = self._picture(original, left, scene, "query")
        second = self._picture(state.key, right, scene, "gallery") if state.changes else first
        comparison = compare_encoded(self.checkpoint, first.encoded, second.encoded)
        maps = pair_maps(comparison.explanation)
        spot = _strongest(maps, first, second)
        masks = [picture.masks[state.changed[0]] for picture in (first, second)] if state.changes else []
        single = len(state.changes) == 1 and spot is not None and any(mask.any() for mask in masks)
        # The birds differ where the part is in either picture, and nowhere else.
        pointing = point(maps, *[masks[0] | masks[1]] * 2) if single else None
        return LabResult((left, right), (first, second), comparison, spot, pointing, _place(pointing))

    def _picture(self, key: str, bird: Bird, scene: Scene, role: Role) -> LabPicture:
        def make() -> LabPicture:
            preprocess, model = self.checkpoint.preprocess, self.checkpoint.model
            # Painted at the size that the network scales to: cutting the centre out moves no pixel.
            side, start = preprocess.resize, (preprocess.resize - preprocess.size) // 2
            window = slice(start, start + preprocess.size)
            crop = np.array(render(bird, scene, side)[window, window])
            masks = {
                name: mask[window, window] > _HALF for name, mask in part_masks(bird, scene, side).items()
            }
            images = preprocess.normalize(crop)[None].to(model.device)
            with torch.inference_mode():
                encoding = model.encode(images.contiguous(memory_format=torch.channels_last), role)
            return LabPicture(EncodedPicture(crop, encoding), masks)

        return self._pictures.get_or_make(f"{role}|{key}", make)


def _scene(state: LabState) -> Scene:
    generator = np.random.default_rng(state.scene)
    return sample_scene(generator) if state.wild else calm_scene(generator)


def _strongest(maps: PairMaps, *pictures: LabPicture) -> Spot | None:
    """The maximum of both maps as they are drawn."""
    side = pictures[0].encoded.crop.shape[0]
    values = densities(maps, side)
    index, row, column = (int(i) for i in np.unravel_index(int(values.argmax()), values.shape))
    if values[index, row, column] <= 0:
        return None
    there = (name for name, mask in pictures[index].masks.items() if mask[row, column])
    return Spot(index, (column + 0.5) / side, (row + 0.5) / side, next(there, None))


def _place(pointing: Pointing | None) -> Place | None:
    if pointing is None:
        return None
    if pointing.hit:
        return "on"
    return "beside" if pointing.near else "elsewhere"
