"""What a data set is here: a list of pictures on disk, each with the number of its class."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from avsl_core.errors import ConfigError, DataError

__all__ = ["Box", "Picture", "PictureSet", "merge"]

Picture: TypeAlias = Path
Box: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class PictureSet:
    """Pictures with class labels; nothing is decoded or held open.

    A class may be without pictures: the query and gallery parts of one data set share their classes, and
    a `subset` keeps those of the whole, so that labels stay comparable.

    Attributes:
        paths: one file per picture.
        labels: one class number per picture, in [0, number of classes).
        class_names: one name per class, all different.
        name: what to call the set in messages and tables.
        boxes: where the object is, one (left, top, right, bottom) in pixels per picture, right and bottom
            exclusive; None when the set has no boxes.
        cropped: whether a picture stands for what is inside its box, and nothing else of it is looked at.

    Raises:
        DataError: there are no pictures, lengths differ, a label is out of range, two classes have one
            name, a box is empty, or there are none to crop to.

    Example:
        >>> birds = PictureSet((Path("a.jpg"), Path("b.jpg")), (0, 1), ("robin", "wren"), name="birds")
        >>> len(birds), birds.num_classes
        (2, 2)
    """

    paths: tuple[Picture, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    name: str
    boxes: tuple[Box, ...] | None = None
    cropped: bool = False

    def __post_init__(self) -> None:
        if not self.paths:
            raise DataError(f"{self.name}: no pictures; a data set needs at least one")
        if len(self.labels) != len(self.paths):
            raise DataError(
                f"{self.name}: {len(self.paths)} pictures but {len(self.labels)} labels; give one each"
            )
        if min(self.labels) < 0 or max(self.labels) >= len(self.class_names):
            wrong = next(label for label in self.labels if not 0 <= label < len(self.class_names))
            raise DataError(
                f"{self.name}: label {wrong} is not in 0 to {len(self.class_names) - 1}, one per class name"
            )
        repeated = [name for name, count in Counter(self.class_names).items() if count > 1]
        if repeated:
            raise DataError(f"{self.name}: class name {repeated[0]!r} is given twice; names must differ")
        if self.boxes is not None:
            self._check_boxes(self.boxes)
        elif self.cropped:
            raise DataError(f"{self.name}: has no boxes to crop to; leave crop_to_box (--crop-to-box) out")

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def from_names(
        cls,
        name: str,
        paths: Sequence[Picture],
        names: Sequence[str],
        *,
        class_names: Sequence[str] | None = None,
        boxes: Sequence[Box] | None = None,
    ) -> PictureSet:
        """Number the classes of pictures that come with the *name* of their class.

        Args:
            name: what to call the set.
            paths: one file per picture.
            names: the class name of each picture.
            class_names: the classes in the order of their numbers; by default as they first appear.
            boxes: one (left, top, right, bottom) per picture, or None.

        Returns:
            The set, with pictures in the order given.

        Raises:
            DataError: a name is not among `class_names`, or what the class itself refuses.
        """
        ordered = tuple(dict.fromkeys(names)) if class_names is None else tuple(class_names)
        numbers = {class_name: number for number, class_name in enumerate(ordered)}
        unknown = next((class_name for class_name in names if class_name not in numbers), None)
        if unknown is not None:
            raise DataError(f"{name}: class {unknown!r} is not among the {len(ordered)} class names")
        labels = tuple(numbers[class_name] for class_name in names)
        return cls(tuple(paths), labels, ordered, name, None if boxes is None else tuple(boxes))

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def subset_of_classes(self, classes: Iterable[int | str]) -> PictureSet:
        """Keep only the pictures of some classes, numbered anew from 0.

        Args:
            classes: class numbers or class names, in any order.

        Returns:
            The pictures and the classes kept, both in the order they have here.

        Raises:
            DataError: a class is not in this set, or no picture is left.
        """
        kept = self._class_numbers(classes)
        renumbered = {old: new for new, old in enumerate(kept)}
        chosen = self.subset([index for index, label in enumerate(self.labels) if label in renumbered])
        return dataclasses.replace(
            chosen,
            labels=tuple(renumbered[label] for label in chosen.labels),
            class_names=tuple(self.class_names[old] for old in kept),
        )

    def subset(self, indices: Iterable[int]) -> PictureSet:
        """Keep only some pictures, in the order given; labels and class names stay as they are.

        Raises:
            DataError: an index is not in [0, len), or none is given.
        """
        chosen = list(indices)
        wrong = next((index for index in chosen if not 0 <= index < len(self)), None)
        if wrong is not None:
            raise DataError(f"{self.name}: picture {wrong} is not in 0 to {len(self) - 1}")
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[index] for index in chosen),
            labels=tuple(self.labels[index] for index in chosen),
            boxes=None if self.boxes is None else tuple(self.boxes[index] for index in chosen),
        )

    @property
    def crops(self) -> tuple[Box, ...] | None:
        """What to look at of each picture, or None for all of it."""
        return self.boxes if self.cropped else None

    def crop_of(self, index: int) -> Box | None:
        """What to look at of one picture, or None for all of it."""
        return None if self.crops is None else self.crops[index]

    def class_sizes(self) -> tuple[int, ...]:
        """Count the pictures of each class: one number per class, in class order."""
        counts = Counter(self.labels)
        return tuple(counts[label] for label in range(self.num_classes))

    def summary(self) -> str:
        """Say in one line what the set holds.

        Example:
            >>> PictureSet((Path("a.jpg"), Path("b.jpg")), (0, 1), ("robin", "wren"), name="birds").summary()
            'birds: 2 pictures of 2 classes, 1 per class'
        """
        sizes = self.class_sizes()
        span = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
        return f"{self.name}: {len(self):,} pictures of {self.num_classes:,} classes, {span} per class"

    def _check_boxes(self, boxes: tuple[Box, ...]) -> None:
        if len(boxes) != len(self.paths):
            raise DataError(
                f"{self.name}: {len(self.paths)} pictures but {len(boxes)} boxes; give one each or none"
            )
        for path, box in zip(self.paths, boxes, strict=True):
            left, top, right, bottom = box
            if left >= right or top >= bottom:
                raise DataError(
                    f"{self.name}: box {box} of {path} is empty; need left < right and top < bottom"
                )

    def _class_numbers(self, classes: Iterable[int | str]) -> list[int]:
        by_name = {name: number for number, name in enumerate(self.class_names)}
        numbers = set()
        for item in classes:
            number = by_name.get(item) if isinstance(item, str) else item
            if number is None:
                raise DataError(f"{self.name}: no class is called {item!r}")
            if not 0 <= number < self.num_classes:
                raise DataError(f"{self.name}: class {item} is not in 0 to {self.num_classes - 1}")
            numbers.add(number)
        return sorted(numbers)


def merge(sets: Sequence[PictureSet], prefix: bool = True) -> PictureSet:
    """Put several sets together, one after the other, for a model that learns from all of them.

    Boxes are kept only when every set has them, and cropping is for all sets or for none.

    Args:
        sets: at least one set.
        prefix: write the name of its set before each class name ("birds/robin"), so that equal names in
            two sets stay two classes.

    Returns:
        A set called after all of them ("birds+grocery").

    Raises:
        ConfigError: no set is given, two sets have one name though names are to be prefixed, or some are
            cropped and others not.
        DataError: two sets share a class name and `prefix` is false.
    """
    if not sets:
        raise ConfigError("merge: no picture sets given; give at least one")
    names = [pictures.name for pictures in sets]
    if prefix and len(set(names)) < len(names):
        raise ConfigError(f"merge: two sets have one name among {', '.join(names)}; rename one of them")
    if len({pictures.cropped for pictures in sets}) > 1:
        raise ConfigError(f"merge: of {', '.join(names)} some are cropped to boxes and others are not")
    paths: list[Picture] = []
    labels: list[int] = []
    class_names: list[str] = []
    boxes: list[Box] = []
    for pictures in sets:
        paths.extend(pictures.paths)
        labels.extend(len(class_names) + label for label in pictures.labels)
        class_names.extend(f"{pictures.name}/{name}" if prefix else name for name in pictures.class_names)
        boxes.extend(pictures.boxes or ())
    all_have_boxes = all(pictures.boxes is not None for pictures in sets)
    return PictureSet(
        tuple(paths),
        tuple(labels),
        tuple(class_names),
        "+".join(names),
        tuple(boxes) if all_have_boxes else None,
        sets[0].cropped,
    )
