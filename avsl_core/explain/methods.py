"""What each method is called and what its account shows, in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from avsl_core.explain.levels import LEVELS_NOTE
from avsl_core.models.explanation import Explanation

__all__ = ["SCALES_NOTE", "MethodWords", "account_words", "method_words"]

SCALES_NOTE = (
    "Each method measures on a scale of its own: compare what the verdicts say, which rest on the pairs that "
    "each model was tested with, not the two numbers."
)
"""What must be said wherever distances of two methods stand side by side."""


@dataclass(frozen=True)
class MethodWords:
    """A method for those who have not read its paper.

    Attributes:
        name: What it is called.
        topic: What its account is about, in a few words.
        shows: The same in one sentence.
        zero: What a distance of 0 means; what the smallest one means where identical pictures are not at 0.
        note: What its parts may be taken to mean, and what not.
    """

    name: str
    topic: str
    shows: str
    zero: str
    note: str

    def title(self, model: str = "") -> str:
        """What a model of this method is called in a list: its name, if it has one, and the topic."""
        name = f"{self.name} ({model})" if model else self.name
        return f"{name}: {self.topic}" if self.topic else name


def method_words(method: str) -> MethodWords:
    """Words for a method by its name; a method that is not known here keeps its name.

    Example:
        >>> method_words("diml").title("default")
        'DIML (default): matching of cells'
        >>> method_words("novel").title("mine")
        'novel (mine)'
    """
    return _WORDS.get(method) or MethodWords(
        method,
        "",
        "Shows the parts that add up to its distance, each with its map.",
        "smaller is closer",
        "",
    )


def account_words(explanation: Explanation) -> MethodWords:
    """Words for one account: what is true of its method in this very case."""
    words = method_words(explanation.method)
    if explanation.method == "raml" and explanation.exact:  # one network looked at both pictures
        return replace(words, zero=_NO_DIFFERENCE, note="One network looked at both pictures.")
    return words


_NO_DIFFERENCE = "0 is no difference"

_WORDS: Mapping[str, MethodWords] = MappingProxyType(
    {
        "avsl": MethodWords(
            "AVSL",
            "levels, reliability and linkage",
            "Shows how much each level of the network adds to the distance, how far each node was trusted, "
            "and which nodes below stand in for those that were not.",
            _NO_DIFFERENCE,
            LEVELS_NOTE,
        ),
        "embedding": MethodWords(
            "Plain embedding",
            "one vector for each level",
            "Shows how much each level's vector adds to the distance: no reliability, no linkage.",
            _NO_DIFFERENCE,
            LEVELS_NOTE,
        ),
        "diml": MethodWords(
            "DIML",
            "matching of cells",
            "Shows which cell of one picture was matched to which cell of the other, and how alike they are.",
            "smaller is closer; identical pictures are not quite at 0",
            "The match spreads every cell a little over all others, so that even identical pictures keep a "
            "rest of the part called Structure.",
        ),
        "cgd": MethodWords(
            "CGD",
            "mean, maximum and what is between",
            "Shows how much each way of summing up a picture adds to the distance: the mean of every "
            "feature, its maximum, and a generalised mean.",
            _NO_DIFFERENCE,
            "The parts differ in how they sum up the same features, not in what they look at.",
        ),
        "raml": MethodWords(
            "RAML",
            "a small view against a large one",
            "Shows what a small network, made for queries, sees at low resolution beside what a large one "
            "sees at high resolution, and the gap between the two.",
            "smaller is closer; even identical pictures are not at 0",
            "The distance is from the first picture, as the small network sees it, to the second, as the "
            "large one does: swapping the pictures may change it.",
        ),
        "adaptation": MethodWords(
            "Feature adaptation",
            "before and after learning",
            "Shows how much each layer of the network adds to the distance, before and after features of a "
            "frozen network were adapted to pairs that belong together.",
            _NO_DIFFERENCE,
            "A layer is a depth of the network, not a kind of difference.",
        ),
    }
)
