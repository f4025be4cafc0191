"""Level names in plain words, for those who have never seen a network from inside.

They name a level's place in the network and nothing more. That low levels show texture and high ones form is
often said; measured on pairs that differ in nothing else, the bars do not tell the two apart (see
:mod:`avsl_core.faithfulness.level_truth`).
"""

from avsl_core.models.explanation import Component, Explanation

__all__ = ["LEVELS_NOTE", "component_titles", "level_words"]

LEVELS_NOTE = (
    "A level is a depth of the network, not a kind of difference: on drawn birds, changing only a pattern or "
    "only a shape moved the bars alike."
)
"""What the bars may be taken to mean, for whoever shows them."""

_LOWEST, _HIGHEST, _BETWEEN = "early in the network", "late in the network", "half-way up the network"


def component_titles(explanation: Explanation) -> dict[str, tuple[str, str]]:
    """Name every component of an explanation.

    Args:
        explanation: Components named ``level1`` ... are named by their height; others keep their name.

    Returns:
        By component name, in its order: a short title and a gloss, such as ``("Level 1", "early in
        the network, 28 x 28 cells")``.
    """
    levels = [c for c in explanation.components if c.name.startswith("level")]
    titles: dict[str, tuple[str, str]] = {}
    for component in explanation.components:
        if component.name.startswith("level"):
            index = levels.index(component)
            gloss = f"{level_words(index, len(levels))}, {_grid(component)}"
            titles[component.name] = (f"Level {index + 1}", gloss)
        else:
            titles[component.name] = (component.name, _grid(component))
    return titles


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


def _grid(component: Component) -> str:
    height, width = component.map_a.shape
    return f"{height}\u00a0\u00d7\u00a0{width}\u00a0cells"  # unbreakable
