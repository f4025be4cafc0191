"""What the readers of published data sets share: tables of text, and two checks on what was read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from avsl_core.data.splits import Split
from avsl_core.errors import DataError

__all__ = ["check_files", "compare_counts", "read_lines", "read_mat", "read_table", "whole_number"]


def read_lines(path: Path) -> list[str]:
    """Read a text file in UTF-8: its lines without the ends, blank ones left out.

    Raises:
        DataError: the file is missing or not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8; get the data set again") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_table(path: Path, columns: int, *, skip: int = 0) -> list[list[str]]:
    """Read a text file of columns divided by blanks; the last column may hold blanks itself.

    Args:
        path: the file.
        columns: how many columns each line has.
        skip: how many lines at the top are not part of the table.

    Returns:
        One list of `columns` strings per line that is not blank.

    Raises:
        DataError: the file is missing, not text, or a line has fewer columns.
    """
    rows = [line.split(maxsplit=columns - 1) for line in read_lines(path)[skip:]]
    short = next((row for row in rows if len(row) != columns), None)
    if short is not None:
        raise DataError(
            f"{path}: line {' '.join(short)!r} does not have {columns} columns; get the data set again"
        )
    return rows


def whole_number(text: str, path: Path) -> int:
    """Read a whole number from a table.

    Raises:
        DataError: it is none; the message names the file.
    """
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"{path}: {text!r} should be a whole number; get the data set again") from error


def read_mat(path: Path, variable: str) -> Any:
    """Read one variable of a Matlab file (version 5 to 7), without its dimensions of size one.

    Raises:
        DataError: the file is missing, damaged, or has no such variable.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise DataError(f"{path}: no such file; get the data set again")
    try:
        content = loadmat(path, squeeze_me=True)
    except Exception as error:  # the parser lets whatever it stumbles on through
        raise DataError(f"{path}: damaged Matlab file ({error}); get the data set again") from error
    if variable not in content:
        raise DataError(f"{path}: holds no variable {variable!r}; get the data set again")
    return content[variable]


def check_files(paths: Iterable[Path], source: str | os.PathLike[str]) -> None:
    """Make sure that every listed picture is on disk.

    Raises:
        DataError: some are missing; the message counts them and names the first three.
    """
    listed = list(paths)
    # One listing per folder: asking for 120,000 files one by one is slow on network disks.
    present: dict[Path, frozenset[str]] = {
        parent: _names_in(parent) for parent in {path.parent for path in listed}
    }
    missing = [path for path in listed if path.name not in present[path.parent] and not path.is_file()]
    if missing:
        shown = ", ".join(str(path) for path in missing[:3]) + (" ..." if len(missing) > 3 else "")
        raise DataError(
            f"{source}: {len(missing):,} of {len(listed):,} pictures are missing: {shown}; get them again"
        )


def compare_counts(
    split: Split, expected: Mapping[str, tuple[int, int]], source: str | os.PathLike[str]
) -> None:
    """Compare a split with the numbers that its publisher states.

    Args:
        split: what was read.
        expected: pictures and classes, by name of the part.
        source: what to name in the message.

    Raises:
        DataError: a number differs.
    """
    for part, pictures in split.parts().items():
        found = (len(pictures), len(set(pictures.labels)))
        if found != expected[part]:
            raise DataError(
                f"{source}: {part} has {found[0]:,} pictures of {found[1]:,} classes, but "
                f"{expected[part][0]:,} of {expected[part][1]:,} were published; get the data set again"
            )


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in folder.iterdir())
    except OSError:
        return frozenset()
