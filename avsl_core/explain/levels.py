"""Level names in plain words, for those who have never seen a network from inside.

They name a level's place in the network and nothing more. That low levels show texture and high ones form is
often said; measured on pairs that differ in nothing else, the bars do not tell the two apart (see
:mod:`avsl_core.faithfulness.level_truth`).
"""

from collections.abc import Sequence

from avsl_core.models.explanation import Component, Explanation

__all__ = ["LEVELS_NOTE", "component_titles", "level_words", "part_titles", "residual_title"]

LEVELS_NOTE = (
    "A level is a depth of the network, not a kind of difference: on drawn birds, changing only a pattern or "
    "only a shape moved the bars alike."
)
"""What the bars may be taken to mean, for whoever shows them."""

_LOWEST, _HIGHEST, _BETWEEN = "early in the network", "late in the network", "half-way up the network"
_STACKS = ("level", "layer")  # parts that are counted from the bottom of the network
_PARTS = {
    "S": ("Mean", "every feature's mean over the picture"),
    "M": ("Maximum", "every feature where it is strongest"),
    "G": ("Generalised mean", "between mean and maximum: strong places count more"),
    "structure": ("Structure", "what the matched cells lack in likeness"),
    "low": ("Low resolution", "what the small network sees of both pictures"),
    "high": ("High resolution", "what the large network sees of both"),
}
_WHOLE_PARTS = ("low", "high", "distance")  # of distances 1 - cos, which matching takes as they are
_RESIDUALS = {
    "raml": (
        "Resolution gap",
        "how far the small network falls short of the large one; in no region of a picture",
    )
}


def component_titles(explanation: Explanation) -> dict[str, tuple[str, str]]:
    """Name every component of an explanation.

    Args:
        explanation: Its components' names decide; see :func:`part_titles`.

    Returns:
        By component name, in its order: a short title and a gloss, such as ``("Level 1", "early in
        the network, 28 x 28 cells")``.
    """
    names = [component.name for component in explanation.components]
    titles = zip(explanation.components, part_titles(names, explanation.method), strict=True)
    return {c.name: (title, ", ".join(filter(None, [gloss, _grid(c)]))) for c, (title, gloss) in titles}


def part_titles(names: Sequence[str], method: str = "") -> list[tuple[str, str]]:
    """Title and gloss of each part of a distance, by the parts' names.

    Args:
        names: All parts, from low to high.
        method: The method that measures, where that changes what a part is.

    Example:
        >>> part_titles(["level1", "level2"])
        [('Level 1', 'early in the network'), ('Level 2', 'late in the network')]
        >>> part_titles(["M", "colour"])
        [('Maximum', 'every feature where it is strongest'), ('Colour', '')]
    """
    titles = []
    for name in names:
        title, gloss = _PARTS.get(name) or _stack_title(name, names)
        if method == "diml" and name != "structure":
            alone = len(names) == 2  # besides the structure
            title, gloss = ("Whole", "the pictures against each other") if alone else (title, gloss)
            halved = "" if name in _WHOLE_PARTS or name.startswith("layer") else "halved"
            gloss = ", ".join(filter(None, [gloss, halved]))
        titles.append((title, gloss))
    return titles


def residual_title(method: str) -> tuple[str, str]:
    """Title and gloss of what the components leave unexplained."""
    return _RESIDUALS.get(method, ("Not attributed", "left over by the parts above"))


def level_words(index: int, count: int) -> str:
    """Where a level is, in a few words.

    Args:
        index: 0 for the lowest.
        count: How many levels there are.

    Example:
        >>> [level_words(i, 3) for i in range(3)]
        ['early in the network', 'half-way up the network', 'late in the network']
    """
    if count == 1:
        return "the whole picture"
    if index == 0:
        return _LOWEST
    return _HIGHEST if index == count - 1 else _BETWEEN


def _stack_title(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Of a level or layer: its place among those of its kind. Of anything else: its name."""
    for stack in _STACKS:
        places = [other for other in names if other.startswith(stack)]
        if name in places:
            index = places.index(name)
            return f"{stack.capitalize()} {index + 1}", level_words(index, len(places))
    return name[:1].upper() + name[1:], ""


def _grid(component: Component) -> str:
    height, width = component.map_a.shape
    return f"{height}\u00a0\u00d7\u00a0{width}\u00a0cells"  # unbreakable
