"""Dividing a data set by *classes*: what a model is measured on, it has never seen the like of."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations

from avsl_core.data.dataset import PictureSet
from avsl_core.errors import ConfigError, DataError

__all__ = ["Split", "hold_out_classes", "split_classes"]


@dataclass(frozen=True)
class Split:
    """The named parts of a data set; a part that the data set does not have is None.

    Attributes:
        train: to learn from.
        val: to choose the best epoch and settings on.
        test: to report on, every picture a query against all others.
        query: to report on where queries and gallery are given apart; shares its classes with `gallery`.
        gallery: what the queries are looked up in.

    Raises:
        DataError: there is no part at all, two of train, val and the parts to report on share a class, or
            only one of query and gallery is given or their classes differ.
    """

    train: PictureSet | None = None
    val: PictureSet | None = None
    test: PictureSet | None = None
    query: PictureSet | None = None
    gallery: PictureSet | None = None

    def __post_init__(self) -> None:
        parts = self.parts()
        if not parts:
            raise DataError("a split needs at least one part of train, val, test, query and gallery")
        if (self.query is None) != (self.gallery is None):
            raise DataError("a split with queries needs a gallery too, and the other way round")
        if (
            self.query is not None
            and self.gallery is not None
            and self.query.class_names != self.gallery.class_names
        ):
            raise DataError("query and gallery must have the same class names in the same order")
        for first, second in combinations([name for name in parts if name != "gallery"], 2):
            shared = set(parts[first].class_names) & set(parts[second].class_names)
            if shared:
                raise DataError(
                    f"class {min(shared)!r} is in both {first} and {second}; parts must share no class"
                )

    def parts(self) -> dict[str, PictureSet]:
        """Give the parts that are there, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: part for name, part in found.items() if part is not None}

    def summary(self) -> str:
        """Say in one line per part what the split holds."""
        return "\n".join(f"{name}: {part.summary()}" for name, part in self.parts().items())


def split_classes(
    pictures: PictureSet, fractions: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int = 0
) -> Split:
    """Divide the classes of a set at random into train, val and test.

    The division depends on the class names, the fractions and the seed alone: neither on the order of the
    files nor on the machine.

    Args:
        pictures: the whole set.
        fractions: the share of classes for train, val and test, adding up to 1. A share of 0 leaves val or
            test out; any other gets at least one class.
        seed: another seed, another division.

    Returns:
        Parts that share no class and together hold every picture.

    Raises:
        ConfigError: the fractions are negative, do not add up to 1, or leave nothing to train on.
        DataError: there are fewer classes than parts.
    """
    if len(fractions) != 3 or not all(0 <= share <= 1 for share in fractions) or fractions[0] == 0:
        raise ConfigError(
            f"fractions {fractions}: need three shares in [0, 1] for train, val, test, the first above 0"
        )
    if not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise ConfigError(f"fractions {fractions} add up to {sum(fractions):g}; they must add up to 1")
    counts = _apportion(pictures, fractions)
    shuffled = _shuffled_classes(pictures, seed)
    train, rest = shuffled[: counts[0]], shuffled[counts[0] :]
    val, test = rest[: counts[1]], rest[counts[1] :]
    return Split(
        train=pictures.subset_of_classes(train),
        val=pictures.subset_of_classes(val) if val else None,
        test=pictures.subset_of_classes(test) if test else None,
    )


def hold_out_classes(
    pictures: PictureSet, fraction: float, seed: int = 0
) -> tuple[PictureSet, PictureSet | None]:
    """Set a share of the training classes aside for validation.

    Args:
        pictures: the official training part of a data set.
        fraction: the share of classes to set aside, in [0, 1); 0 sets none aside.
        seed: another seed, another choice.

    Returns:
        The remaining training set, and the validation set or None.

    Raises:
        ConfigError: the fraction is out of range.
        DataError: there are too few classes to divide.
    """
    if not 0 <= fraction < 1:
        raise ConfigError(f"validation fraction {fraction} is not in [0, 1)")
    split = split_classes(pictures, (1 - fraction, fraction, 0.0), seed)
    assert split.train is not None  # its share is above 0
    return split.train, split.val


def _apportion(pictures: PictureSet, fractions: Sequence[float]) -> list[int]:
    """Turn shares into class counts that add up: largest remainders first, none of a wanted part empty."""
    wanted = [share > 0 for share in fractions]
    if pictures.num_classes < sum(wanted):
        raise DataError(
            f"{pictures.name}: {pictures.num_classes} classes cannot be divided into {sum(wanted)} parts; "
            "add classes or set a fraction to 0"
        )
    exact = [share * pictures.num_classes for share in fractions]
    counts = [max(math.floor(amount + 1e-9), int(want)) for amount, want in zip(exact, wanted, strict=True)]
    while sum(counts) < pictures.num_classes:
        counts[max((i for i in range(3) if wanted[i]), key=lambda i: exact[i] - counts[i])] += 1
    while sum(counts) > pictures.num_classes:
        counts[max((i for i in range(3) if counts[i] > 1), key=lambda i: counts[i] - exact[i])] -= 1
    return counts


def _shuffled_classes(pictures: PictureSet, seed: int) -> list[str]:
    # random() is the one method whose sequence Python promises to keep for a seed, so sort by its numbers.
    generator = random.Random(seed)
    drawn = {name: generator.random() for name in sorted(pictures.class_names)}
    return sorted(drawn, key=drawn.__getitem__)
