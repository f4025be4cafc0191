"""Draws the example birds with the aviary: python assets/examples/draw_birds.py (same files on every run)."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from PIL import Image

from avsl_core.aviary import Scene, all_species, render

SIDE = 448
PERCHED = Scene(seed=11, background="branch", light=0.6, warmth=0.2, size=0.8)
AT_THE_LAKE = Scene(seed=4, background="water", light=0.6, warmth=0.1, size=0.85, facing="left")


def main(folder: Path) -> None:
    """Draw all birds into a folder."""
    birds = {species.name: species.bird for species in all_species()}
    jay = birds["violet-winged spike-crested jay"]
    heron = birds["white-throated dagger-billed heron"]
    pictures = {
        "jay": (jay, PERCHED),
        "jay-turned": (
            jay,
            replace(PERCHED, seed=5, facing="left", nod=8.0, tail_lift=8.0, background="foliage", size=0.72),
        ),
        "jay-grey": (birds["grey spike-crested jay"], PERCHED),
        "jay-fan-crest": (birds["violet-winged fan-crested jay"], replace(PERCHED, seed=23, nod=6.0)),
        "heron-dagger": (heron, AT_THE_LAKE),
        "heron-spoon": (heron.with_part("beak", form="spatula"), AT_THE_LAKE),
        "owl": (birds["gold-billed tufted owl"], replace(PERCHED, seed=8, background="foliage")),
        "owl-spotted": (
            birds["gold-billed tufted owl"].with_part("wing", texture="spotted"),
            replace(PERCHED, seed=8, background="foliage"),
        ),
    }
    for name, (bird, scene) in pictures.items():
        Image.fromarray(render(bird, scene, SIDE)).save(folder / f"{name}.webp", quality=84, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
