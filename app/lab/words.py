"""The aviary's vocabulary in the words of the page."""

from collections.abc import Sequence

from avsl_core.aviary.parameters import Bird, Part

__all__ = ["PART_CHOICES", "change_words", "choices", "describe", "join_words", "part_words"]

_NAMES = {
    "beak": "Beak",
    "crest": "Crest",
    "eye": "Eye",
    "throat": "Throat",
    "breast": "Breast",
    "wing": "Wing",
    "coat": "Plumage",
    "tail": "Tail",
    "legs": "Legs",
}

PART_CHOICES: tuple[tuple[str, str], ...] = tuple((words, part) for part, words in _NAMES.items())
"""Label and name of every part, from head to foot."""


def choices(values: Sequence[str]) -> list[tuple[str, str]]:
    """Labels for forms, textures or palettes.

    Example:
        >>> choices(("plain", "barred"))
        [('Plain', 'plain'), ('Barred', 'barred')]
    """
    return [(value.capitalize(), value) for value in values]


def part_words(part: str) -> str:
    """A part inside a sentence."""
    return _NAMES[part].lower()


def change_words(part: str, before: Part, after: Part) -> str:
    """What was changed about one part, in a few words.

    Example:
        >>> change_words("beak", Part("cone", "plain", "coal"), Part("hook", "plain", "scarlet"))
        'Beak: cone became hook, coal became scarlet'
    """
    pairs = ((before.form, after.form), (before.texture, after.texture), (before.palette, after.palette))
    steps = ", ".join(f"{old} became {new}" for old, new in pairs if old != new)
    return f"{_NAMES[part]}: {steps}"


def join_words(words: Sequence[str]) -> str:
    """A list inside a sentence.

    Example:
        >>> join_words(["beak", "tail", "wing"])
        'beak, tail and wing'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))


def describe(bird: Bird) -> str:
    """A bird for those who do not see it: its parts with form, texture and palette."""
    looks = ((name, bird.parts[part]) for part, name in _NAMES.items())
    return "; ".join(f"{name.lower()} {p.form}, {p.texture}, {p.palette}" for name, p in looks)
