"""What a distance means: its place among the distances of same-kind and of different-kind pairs.

Kept as quantiles, so that it travels with a checkpoint and turns a bare number into words such as "closer
than 93 % of pairs of the same kind".
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from avsl_core.errors import DataError

__all__ = ["PairDistribution", "Threshold"]


@dataclass(frozen=True)
class Threshold:
    """A rule: pairs at most `distance` apart are called the same kind.

    Attributes:
        distance: where the line is drawn.
        balanced_accuracy: mean of the shares of same-kind and of different-kind pairs that it gets right.
    """

    distance: float
    balanced_accuracy: float


@dataclass(frozen=True)
class PairDistribution:
    """Distances of same-kind and of different-kind pairs of a labelled set, as evenly spaced quantiles.

    Attributes:
        same: quantiles of the distances of same-kind pairs, from the least to the greatest.
        different: quantiles of the distances of different-kind pairs.
        same_count: same-kind pairs in the set (the quantiles may come from a sample of them).
        different_count: different-kind pairs in the set.

    Raises:
        DataError: fewer than two quantiles, not finite or not in rising order, or a count below 1.

    Example:
        >>> pairs = PairDistribution((0.0, 1.0, 2.0), (1.5, 3.0, 6.0), same_count=30, different_count=900)
        >>> pairs.share_same_farther(0.5)
        0.75
        >>> pairs.share_different_closer(0.5)
        0.0
    """

    same: tuple[float, ...]
    different: tuple[float, ...]
    same_count: int
    different_count: int

    def __post_init__(self) -> None:
        for name, quantiles in (("same", self.same), ("different", self.different)):
            _check_quantiles(name, quantiles)
        for name, count in (("same_count", self.same_count), ("different_count", self.different_count)):
            if count < 1:
                raise DataError(f"pair distribution: {name} is {count}; it must be 1 or more")

    def share_same_farther(self, distance: float) -> float:
        """Return the share of same-kind pairs that are farther apart than `distance`, in [0, 1]."""
        return 1.0 - _share_at_most(self.same, distance)

    def share_different_closer(self, distance: float) -> float:
        """Return the share of different-kind pairs that are closer than `distance`, in [0, 1]."""
        return _share_below(self.different, distance)

    def threshold(self) -> Threshold:
        """Return the distance that best tells the kinds apart, both kinds weighing the same.

        Where a whole stretch of distances does equally well, as in a gap between the kinds, the middle of it.

        >>> PairDistribution((0.0, 1.0), (2.0, 5.0), same_count=9, different_count=9).threshold()
        Threshold(distance=1.5, balanced_accuracy=1.0)
        """
        # Between neighbouring quantiles both shares are straight lines, and at a repeated quantile they jump:
        # a maximum lies at a quantile or just below one.
        quantiles = sorted({*self.same, *self.different})
        below = [math.nextafter(value, -math.inf) for value in quantiles[1:]]
        candidates = sorted({*quantiles, *below})
        scores = [self._balanced_accuracy(candidate) for candidate in candidates]
        best = max(scores) - 1e-12
        first = last = next(index for index, score in enumerate(scores) if score >= best)
        while last + 1 < len(scores) and scores[last + 1] >= best:
            last += 1
        middle = candidates[first] + (candidates[last] - candidates[first]) / 2
        return Threshold(middle, self._balanced_accuracy(middle))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, ready for JSON."""
        return {
            "same": list(self.same),
            "different": list(self.different),
            "same_count": self.same_count,
            "different_count": self.different_count,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PairDistribution":
        """Rebuild what `to_dict` gave.

        Raises:
            DataError: a key missing or unknown, or a value that is not what it should be.
        """
        expected = {"same", "different", "same_count", "different_count"}
        if wrong := sorted(expected.symmetric_difference(values), key=str):
            raise DataError(f"pair distribution: key {wrong[0]!r} is missing or unknown; save it again")
        try:
            return cls(
                same=_as_quantiles(values["same"]),
                different=_as_quantiles(values["different"]),
                same_count=int(values["same_count"]),
                different_count=int(values["different_count"]),
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"pair distribution: not numbers ({error}); save it again") from error

    def _balanced_accuracy(self, distance: float) -> float:
        return (_share_at_most(self.same, distance) + 1.0 - _share_at_most(self.different, distance)) / 2


def _as_quantiles(values: object) -> tuple[float, ...]:
    # A string is a sequence too, and "12" would pass for the numbers 1 and 2.
    if not isinstance(values, list | tuple):
        raise TypeError(f"quantiles are a {type(values).__name__}")
    return tuple(float(value) for value in values)


def _check_quantiles(name: str, quantiles: tuple[float, ...]) -> None:
    if len(quantiles) < 2:
        raise DataError(f"pair distribution: {name} has {len(quantiles)} quantiles; it needs 2 or more")
    if not all(math.isfinite(value) for value in quantiles):
        raise DataError(f"pair distribution: {name} holds a value that is not finite; measure it again")
    if any(low > high for low, high in pairwise(quantiles)):
        raise DataError(f"pair distribution: {name} is not in rising order; sort it")


def _share_at_most(quantiles: tuple[float, ...], distance: float) -> float:
    """Return the share of values <= distance: at a repeated quantile, all of its repetitions."""
    return _share(quantiles, distance, bisect_right(quantiles, _number(distance)))


def _share_below(quantiles: tuple[float, ...], distance: float) -> float:
    """Return the share of values < distance: at a repeated quantile, none of its repetitions."""
    return _share(quantiles, distance, bisect_left(quantiles, _number(distance)))


def _share(quantiles: tuple[float, ...], distance: float, above: int) -> float:
    """Interpolate between quantile `above - 1` and quantile `above`, which lie around `distance`."""
    if above == 0:
        return 0.0
    if above == len(quantiles):
        return 1.0
    low, high = quantiles[above - 1], quantiles[above]
    return (above - 1 + (distance - low) / (high - low)) / (len(quantiles) - 1)


def _number(distance: float) -> float:
    if math.isnan(distance):
        raise DataError("the distance is NaN; check the pictures and the model")
    return distance
