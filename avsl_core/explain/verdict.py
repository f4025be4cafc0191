"""A distance in words, with a sentence that says what the words rest on."""

from dataclasses import dataclass
from typing import Literal

from avsl_core.metrics import PairDistribution

__all__ = ["PAIRS_NOTE", "Grade", "Verdict", "judge"]

PAIRS_NOTE = "These are the pairs of pictures that this model was tested with."
"""What the pairs are of which a verdict speaks."""

Grade = Literal["very alike", "alike", "in between", "different", "very different", "unknown"]

# Float32 encodings of one and the same picture differ by less than this.
_ZERO = 1e-9

_WORDS: dict[Grade, str] = {
    "very alike": "Very alike",
    "alike": "Alike",
    "in between": "In between",
    "different": "Different",
    "very different": "Very different",
    "unknown": "Distance only",
}


@dataclass(frozen=True)
class Verdict:
    """What a distance means.

    Attributes:
        grade: One of five steps, or "unknown" without validation pairs to compare with.
        words: The grade as a heading.
        sentence: What it rests on, one sentence that holds exactly what was measured.
        same_farther: Share of same-kind validation pairs that are farther apart, in [0, 1], or None.
        different_closer: Share of different-kind validation pairs that are closer, in [0, 1], or None.
    """

    grade: Grade
    words: str
    sentence: str
    same_farther: float | None = None
    different_closer: float | None = None

    @property
    def basis(self) -> str:
        """What pairs the sentence speaks of; empty if it speaks of none."""
        return PAIRS_NOTE if " pair" in self.sentence and self.grade != "unknown" else ""


def judge(distance: float, pairs: PairDistribution | None) -> Verdict:
    """Put a distance into words.

    The grade follows from two shares of the checkpoint's validation pairs: s, the same-kind pairs that are
    farther apart, and t, the different-kind pairs that are closer. With rising distance s falls and t rises,
    so the grades come in this order and never go back:

    * very alike: s >= 50 % and t <= 5 %;
    * alike: otherwise s >= 10 % and t < 10 %;
    * in between: both 10 % or more, so that either kind is plausible;
    * different: s < 10 % and t >= 10 %;
    * very different: of these, s <= 5 % and t >= 50 %.

    Where both are below 10 %, in a gap between the kinds, the best threshold decides between alike and
    different.

    Args:
        distance: Smaller is closer.
        pairs: The checkpoint's validation pairs, or None if it carries none.

    Raises:
        DataError: If the distance is not a number.

    Example:
        >>> pairs = PairDistribution((0.0, 1.0), (0.9, 2.0), same_count=50, different_count=900)
        >>> judge(0.25, pairs).words
        'Very alike'
        >>> judge(0.25, pairs).sentence
        'Closer together than 75 % of same-kind pairs; no different-kind pair is closer.'
    """
    if pairs is None:
        return _without_yardstick(distance)
    same, different = pairs.share_same_farther(distance), pairs.share_different_closer(distance)
    if distance <= _ZERO:
        sentence = "The model sees no difference at all: the distance is zero."
        return Verdict("very alike", "Identical to the model", sentence, same, different)
    grade = _grade(distance, same, different, pairs)
    return Verdict(grade, _WORDS[grade], _sentence(same, different), same, different)


def _without_yardstick(distance: float) -> Verdict:
    if distance <= _ZERO:
        sentence = "The model sees no difference at all: the distance is zero."
        return Verdict("unknown", "Identical to the model", sentence)
    sentence = "No pairs of pictures that this model was tested with are known here: smaller is closer."
    return Verdict("unknown", _WORDS["unknown"], sentence)


def _grade(distance: float, same: float, different: float, pairs: PairDistribution) -> Grade:
    if same >= 0.10 and different >= 0.10:
        return "in between"
    if same < 0.10 and different < 0.10:
        return "alike" if distance <= pairs.threshold().distance else "different"
    if same >= 0.10:
        return "very alike" if same >= 0.50 and different <= 0.05 else "alike"
    return "very different" if same <= 0.05 and different >= 0.50 else "different"


def _sentence(same: float, different: float) -> str:
    if same == 0:
        first = "Farther apart than every same-kind pair measured"
    elif same == 1:
        first = "Closer together than every same-kind pair measured"
    else:
        only = "only " if 0.01 <= same < 0.25 else ""
        first = f"Closer together than {only}{_percent(same)} of same-kind pairs"
    if different == 0:
        second = "no different-kind pair is closer"
    elif different == 1:
        second = "every different-kind pair measured is closer"
    else:
        only = "only " if 0.01 <= different < 0.10 else ""
        second = f"{only}{_percent(different)} of different-kind pairs are closer"
    return f"{first}; {second}."


def _percent(share: float) -> str:
    """A whole percentage that never rounds a share inside (0, 1) to none or all."""
    if share < 0.01:
        return "less than 1 %"
    if share > 0.99:
        return "more than 99 %"
    return f"{100 * share:.0f} %"
