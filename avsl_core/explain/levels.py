"""Level names in plain words, for those who have never seen a network from inside."""

from avsl_core.models.explanation import Component, Explanation

__all__ = ["component_titles", "level_words"]

_LOWEST, _HIGHEST = "local patterns and colour", "parts and the whole"
_BETWEEN = {1: ("shapes and small parts",), 2: ("shapes", "small parts")}


def component_titles(explanation: Explanation) -> dict[str, tuple[str, str]]:
    """Name every component of an explanation.

    Args:
        explanation: Components named ``level1`` ... are named by their height; others keep their name.

    Returns:
        By component name, in its order: a short title and a gloss, such as ``("Level 1", "local patterns and
        colour, 28 x 28 cells")``.
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
    """What a level looks at, in a few words.

    Args:
        index: 0 for the lowest.
        count: How many levels there are.

    Example:
        >>> [level_words(i, 3) for i in range(3)]
        ['local patterns and colour', 'shapes and small parts', 'parts and the whole']
    """
    if count == 1:
        return "the whole picture"
    if index == 0:
        return _LOWEST
    if index == count - 1:
        return _HIGHEST
    words = _BETWEEN.get(count - 2)
    return words[index - 1] if words else "shapes and small parts"


def _grid(component: Component) -> str:
    height, width = component.map_a.shape
    return f"{height}\u00a0\u00d7\u00a0{width}\u00a0cells"  # unbreakable
