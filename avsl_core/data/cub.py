"""Caltech-UCSD Birds-200-2011 (Wah et al., CNS-TR-2011-001)."""

from __future__ import annotations

import math
import os
from pathlib import Path

from avsl_core.data.archive import find_inside
from avsl_core.data.dataset import Box, PictureSet
from avsl_core.data.layout import check_files, compare_counts, read_table, whole_number
from avsl_core.data.splits import Split
from avsl_core.errors import DataError

__all__ = ["read_cub200"]

_PUBLISHED = {"train": (5864, 100), "test": (5924, 100)}


def read_cub200(root: str | os.PathLike[str], *, check_counts: bool = True) -> Split:
    """Read CUB-200-2011 with the usual zero-shot split: the first half of the classes trains.

    Args:
        root: `CUB_200_2011.tgz`, the folder that it unpacks to, or a folder that holds either.
        check_counts: compare with the published 5,864 and 5,924 pictures of 100 classes each.

    Returns:
        Parts train and test, with the birds' boxes where `bounding_boxes.txt` is present.

    Raises:
        DataError: a file is missing or malformed, or the numbers differ.
    """
    base = find_inside(
        root, "images.txt", ("CUB_200_2011.tgz", "CUB_200_2011.tar.gz", "CUB_200_2011.zip")
    ).parent
    names = dict(read_table(base / "classes.txt", 2))
    pictures = read_table(base / "images.txt", 2)
    class_of = dict(read_table(base / "image_class_labels.txt", 2))
    unlabelled = next((number for number, _ in pictures if class_of.get(number) not in names), None)
    if unlabelled is not None:
        raise DataError(
            f"{base}: picture {unlabelled} has no class in image_class_labels.txt and classes.txt"
        )
    ordered = sorted(names, key=lambda number: whole_number(number, base / "classes.txt"))
    whole = PictureSet.from_names(
        "cub",
        [base / "images" / path for _, path in pictures],
        [names[class_of[number]] for number, _ in pictures],
        class_names=[names[number] for number in ordered],
        boxes=_read_boxes(base / "bounding_boxes.txt", [number for number, _ in pictures]),
    )
    check_files(whole.paths, root)
    half = whole.num_classes // 2
    split = Split(
        train=whole.subset_of_classes(range(half)),
        test=whole.subset_of_classes(range(half, whole.num_classes)),
    )
    if check_counts:
        compare_counts(split, _PUBLISHED, root)
    return split


def _read_boxes(path: Path, numbers: list[str]) -> list[Box] | None:
    """Turn "number left top width height" into whole pixels that cover the box, in the order of `numbers`."""
    if not path.is_file():
        return None
    boxes: dict[str, Box] = {}
    for number, *values in read_table(path, 5):
        try:
            left, top, width, height = (float(value) for value in values)
        except ValueError as error:
            raise DataError(f"{path}: picture {number} has a box that is not four numbers") from error
        boxes[number] = (math.floor(left), math.floor(top), math.ceil(left + width), math.ceil(top + height))
    lacking = next((number for number in numbers if number not in boxes), None)
    if lacking is not None:
        raise DataError(f"{path}: no box for picture {lacking}; get the data set again")
    return [boxes[number] for number in numbers]
