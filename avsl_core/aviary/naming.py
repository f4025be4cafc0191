"""Names of made birds, put together from what is true of each."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from avsl_core.aviary.parameters import FORMS, Bird

__all__ = ["form_word", "plumage_words"]

_COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "snow": ("snowy", "white"),
        "coal": ("black", "black"),
        "slate": ("grey", "grey"),
        "sand": ("sandy", "buff"),
        "chestnut": ("chestnut", "chestnut"),
        "rust": ("rusty", "rust"),
        "scarlet": ("scarlet", "scarlet"),
        "rose": ("rosy", "rose"),
        "gold": ("golden", "gold"),
        "olive": ("olive", "olive"),
        "leaf": ("green", "green"),
        "teal": ("teal", "teal"),
        "sky": ("azure", "azure"),
        "royal": ("cobalt", "cobalt"),
        "violet": ("violet", "violet"),
    }
)
"""Palette: the word for a whole bird, and the word before "-breasted"."""

_PATTERNS: Mapping[str, str] = MappingProxyType(
    {"barred": "bar", "spotted": "spot", "streaked": "streak", "iridescent": "glossy"}
)

_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "breast": "breasted",
        "throat": "throated",
        "crest": "crested",
        "wing": "winged",
        "tail": "tailed",
        "beak": "billed",
        "legs": "legged",
    }
)

_FORMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coat": ("plain-headed", "hooded", "capped", "patch-naped", "saddle-backed", "side-patched"),
        "tail": (
            "square-tailed",
            "round-tailed",
            "point-tailed",
            "fork-tailed",
            "fan-tailed",
            "ribbon-tailed",
        ),
        "legs": ("slender-legged", "stout-legged", "wading", "feather-legged", "web-footed"),
        "breast": (
            "full-breasted",
            "bibbed",
            "banded",
            "crescent-breasted",
            "wedge-breasted",
            "patch-breasted",
        ),
        "throat": ("chin-patched", "full-throated", "gorgeted", "collared", "stripe-throated", "lappeted"),
        "wing": ("round-winged", "pointed-winged", "broad-winged", "swept-winged", "plume-winged"),
        "beak": (
            "cone-billed",
            "needle-billed",
            "hook-billed",
            "spoon-billed",
            "curve-billed",
            "dagger-billed",
        ),
        "eye": ("plain-eyed", "ring-eyed", "browed", "stripe-eyed", "masked", "spectacled"),
        "crest": ("", "tufted", "spike-crested", "fan-crested", "swept-crested", "curl-crested"),
    }
)
"""One word for each of the part's forms, in their order; a bird without a crest needs no word for that."""


def form_word(bird: Bird, part: str) -> str:
    """The word for the form of one part of a bird, such as "fork-tailed"; empty without a crest."""
    return _FORMS[part][FORMS[part].index(bird.parts[part].form)]


def plumage_words(bird: Bird, others: Sequence[Bird]) -> list[str]:
    """Words for a colour or texture that a bird has and none of the others has.

    Args:
        bird: The bird to name.
        others: The birds that the word has to tell it from.

    Returns:
        Words such as "rusty" (the coat), "spot-breasted" or "scarlet-throated"; perhaps none.
    """
    words = []
    coat = bird.parts["coat"]
    if all(coat.palette != other.parts["coat"].palette for other in others):
        words.append(_COLOURS[coat.palette][0])
    for name, suffix in _PARTS.items():
        part = bird.parts[name]
        if part.form == "none":
            continue
        rivals = [other.parts[name] for other in others if other.parts[name].form != "none"]
        if all(part.palette != rival.palette for rival in rivals):
            words.append(f"{_COLOURS[part.palette][1]}-{suffix}")
        if part.texture != "plain" and all(part.texture != rival.texture for rival in rivals):
            words.append(f"{_PATTERNS[part.texture]}-{suffix}")
    return words
