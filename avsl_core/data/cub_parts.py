"""Part locations and boxes of Caltech-UCSD Birds-200-2011: where beak, eye, wing ... are in every photograph.

The files are `parts/parts.txt` ("1 back"), `parts/part_locs.txt` ("picture part x y visible"),
`bounding_boxes.txt` ("picture left top width height") and `images.txt` (Wah et al., CNS-TR-2011-001).
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from avsl_core.data.archive import find_inside
from avsl_core.data.layout import check_files
from avsl_core.errors import DataError

__all__ = ["CubParts", "PartsPicture", "Point", "PointBox", "read_cub_parts"]

Point: TypeAlias = tuple[float, float]
PointBox: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class PartsPicture:
    """One photograph with what people marked in it.

    Attributes:
        path: the file.
        box: left, top, right, bottom of the bird, in pixels of the original picture.
        points: x and y of every visible part by its name, in pixels of the original picture.
    """

    path: Path
    box: PointBox
    points: Mapping[str, Point]

    @property
    def class_name(self) -> str:
        """The species: the name of the picture's folder."""
        return self.path.parent.name


@dataclass(frozen=True)
class CubParts:
    """All photographs with their marks.

    Attributes:
        names: the parts, in the order of their numbers.
        pictures: the photographs, in the order of `images.txt`.
    """

    names: tuple[str, ...]
    pictures: tuple[PartsPicture, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def subset_of_classes(self, class_names: Iterable[str]) -> CubParts:
        """Keep the pictures of some species, for instance those that a model was not trained on.

        Raises:
            DataError: a species is not here, or none is given.
        """
        wanted = set(class_names)
        known = {picture.class_name for picture in self.pictures}
        if not wanted <= known or not wanted:
            unknown = ", ".join(sorted(wanted - known)) or "an empty list"
            raise DataError(f"no species {unknown} among {len(known)}; give names of the pictures' folders")
        kept = tuple(picture for picture in self.pictures if picture.class_name in wanted)
        return dataclasses.replace(self, pictures=kept)


def read_cub_parts(root: str | os.PathLike[str]) -> CubParts:
    """Read the part locations and boxes of CUB-200-2011.

    Args:
        root: `CUB_200_2011.tgz`, the folder that it unpacks to, or a folder that holds either.

    Returns:
        Every photograph with its box and the points of its visible parts.

    Raises:
        DataError: a file is missing, or a line is garbled, repeated or missing; the message gives file
            and line.
    """
    base = find_inside(
        root, "images.txt", ("CUB_200_2011.tgz", "CUB_200_2011.tar.gz", "CUB_200_2011.zip")
    ).parent
    pictures = _read_names(base / "images.txt")
    names = _read_names(base / "parts" / "parts.txt")
    boxes = _read_boxes(base / "bounding_boxes.txt", pictures)
    points = _read_points(base / "parts" / "part_locs.txt", pictures, names)
    read = CubParts(
        tuple(names.values()),
        tuple(
            PartsPicture(base / "images" / name, boxes[number], MappingProxyType(points[number]))
            for number, name in pictures.items()
        ),
    )
    check_files([picture.path for picture in read.pictures], root)
    return read


def _read_names(path: Path) -> dict[str, str]:
    """Numbers and names, in the order of the file."""
    names: dict[str, str] = {}
    for line, (number, name) in _rows(path, 2):
        if number in names:
            raise _garbled(path, line, f"gives number {number} a second time")
        names[number] = name
    if not names:
        raise DataError(f"{path}: is empty; get the data set again")
    return names


def _read_boxes(path: Path, pictures: Mapping[str, str]) -> dict[str, PointBox]:
    boxes: dict[str, PointBox] = {}
    for line, (number, *values) in _rows(path, 5):
        _check_number(path, line, number, pictures, "picture")
        if number in boxes:
            raise _garbled(path, line, f"gives picture {number} a second box")
        left, top, width, height = _numbers(path, line, values)
        if width <= 0 or height <= 0:
            raise _garbled(path, line, f"has a box of {width:g} x {height:g} pixels")
        boxes[number] = (left, top, left + width, top + height)
    lacking = next((number for number in pictures if number not in boxes), None)
    if lacking is not None:
        raise DataError(f"{path}: no line for picture {lacking}; get the data set again")
    return boxes


def _read_points(
    path: Path, pictures: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, dict[str, Point]]:
    points: dict[str, dict[str, Point]] = {number: {} for number in pictures}
    seen: set[tuple[str, str]] = set()
    for line, (number, part, *values) in _rows(path, 5):
        _check_number(path, line, number, pictures, "picture")
        _check_number(path, line, part, names, "part")
        if (number, part) in seen:
            raise _garbled(path, line, f"gives part {part} of picture {number} a second time")
        seen.add((number, part))
        x, y, visible = _numbers(path, line, values)
        if visible not in (0, 1):
            raise _garbled(path, line, f"should end in 0 or 1, for hidden or visible, not {values[2]!r}")
        if visible:
            points[number][names[part]] = (x, y)
    lacking = next(((n, p) for n in pictures for p in names if (n, p) not in seen), None)
    if lacking is not None:
        raise DataError(
            f"{path}: no line for part {lacking[1]} of picture {lacking[0]}; get the data set again"
        )
    return points


def _rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank, with their number from 1, split into columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); get the data set again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8; get the data set again") from error
    for line, content in enumerate(text.splitlines(), 1):
        # The last column of a table of names may hold blanks; a table of numbers must not.
        row = content.split(maxsplit=1) if columns == 2 else content.split()
        if row and len(row) != columns:
            raise _garbled(path, line, f"{content.strip()!r} does not have {columns} columns")
        if row:
            yield line, [value.strip() for value in row]


def _numbers(path: Path, line: int, values: list[str]) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except ValueError as error:
        raise _garbled(path, line, f"{' '.join(values)!r} should be numbers") from error
    if not all(math.isfinite(number) for number in numbers):
        raise _garbled(path, line, f"{' '.join(values)!r} should be finite numbers")
    return numbers


def _check_number(path: Path, line: int, number: str, known: Mapping[str, str], what: str) -> None:
    if number not in known:
        raise _garbled(path, line, f"speaks of {what} {number}, which is not listed")


def _garbled(path: Path, line: int, what: str) -> DataError:
    return DataError(f"{path}: line {line} {what}; get the data set again")
