"""The aviary: made birds whose every difference is known, to the pixel.

A bird has nine parts, each with a form, a texture and a palette; a scene is all else that a picture
depends on. The same bird and scene give the same pixels, and a changed part changes no pixel elsewhere.
"""

try:
    import skia  # noqa: F401
except ImportError as error:
    from avsl_core.errors import AvslError

    raise AvslError(
        f"the aviary draws with skia, which cannot be loaded ({error}); "
        "install requirements.txt, and on Debian or Ubuntu the packages libegl1 and libgl1"
    ) from error

from avsl_core.aviary.alter import KINDS, alter_part, possible_changes
from avsl_core.aviary.individuals import sample_individual
from avsl_core.aviary.pairs import (
    MIN_DIFFERENCE,
    RELATIONS,
    PartPair,
    SpeciesPair,
    part_pairs,
    species_pairs,
)
from avsl_core.aviary.parameters import (
    BACKGROUNDS,
    FORMS,
    OCCLUDERS,
    PALETTES,
    PARTS,
    TEXTURES,
    Bird,
    Build,
    Palette,
    Part,
    Scene,
)
from avsl_core.aviary.pictures import AviaryPicture, draw
from avsl_core.aviary.render import part_masks, render
from avsl_core.aviary.scenes import calm_scene, sample_scene
from avsl_core.aviary.sketch import SKETCHES, sketch
from avsl_core.aviary.species import SPLITS, Species, all_species, species_of
from avsl_core.aviary.write import FORMATS, WriteReport, write_aviary
from avsl_core.aviary.write_pairs import DrawnPair, PairReport, draw_pair, write_pairs

__all__ = [
    "BACKGROUNDS",
    "FORMATS",
    "FORMS",
    "KINDS",
    "MIN_DIFFERENCE",
    "OCCLUDERS",
    "PALETTES",
    "PARTS",
    "RELATIONS",
    "SKETCHES",
    "SPLITS",
    "TEXTURES",
    "AviaryPicture",
    "Bird",
    "Build",
    "DrawnPair",
    "PairReport",
    "Palette",
    "Part",
    "PartPair",
    "Scene",
    "Species",
    "SpeciesPair",
    "WriteReport",
    "all_species",
    "alter_part",
    "calm_scene",
    "draw",
    "draw_pair",
    "part_masks",
    "part_pairs",
    "possible_changes",
    "render",
    "sample_individual",
    "sample_scene",
    "sketch",
    "species_of",
    "species_pairs",
    "write_aviary",
    "write_pairs",
]
