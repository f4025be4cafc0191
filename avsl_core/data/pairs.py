"""Pairs of pictures that belong together: two folders, partners by file name."""

import logging
import os
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsl_core.data.folder import list_pictures
from avsl_core.errors import ConfigError, DataError
from avsl_core.images import PICTURE_SUFFIXES

__all__ = ["PairSet", "is_pair_set", "read_pairs", "split_pairs"]

_log = logging.getLogger(__name__)

_SIDES = ("left", "right")


@dataclass(frozen=True)
class PairSet:
    """Pairs of pictures; nothing is decoded or held open.

    Attributes:
        left: One file per pair.
        right: Its partner.
        names: The file name that both have, without its ending; in order, all different.
        name: What to call the set in messages and tables.
        alone: Pictures of either folder that have no partner and are left out.
    """

    left: tuple[Path, ...]
    right: tuple[Path, ...]
    names: tuple[str, ...]
    name: str
    alone: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def summary(self) -> str:
        """Say in one line what the set holds."""
        alone = f", {len(self.alone):,} pictures without a partner left out" if self.alone else ""
        return f"{self.name}: {len(self):,} pairs{alone}"


def is_pair_set(root: str | os.PathLike[str]) -> bool:
    """Whether a folder holds the folders left and right."""
    return all((Path(root) / side).is_dir() for side in _SIDES)


def read_pairs(root: str | os.PathLike[str]) -> PairSet:
    """Read ROOT/left/<name>.<ending> and ROOT/right/<name>.<ending>; equal names are partners.

    Endings may differ, and the order of the files says nothing. A picture without a partner is logged,
    counted and left out.

    Args:
        root: The folder.

    Returns:
        The pairs in the order of their names.

    Raises:
        DataError: There is no such folder, a side is missing or empty, two pictures of one side have the same
            name, or no name is on both sides.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    missing = [side for side in _SIDES if not (folder / side).is_dir()]
    if missing:
        raise DataError(f"{folder}: no folder {missing[0]} in it; expected {folder}/left and {folder}/right")
    left, right = (_by_stem(folder / side) for side in _SIDES)
    both = sorted(left.keys() & right.keys())
    alone = [side[stem] for side in (left, right) for stem in sorted(side.keys() - set(both))]
    if not both:
        raise DataError(
            f"{folder}: no picture of left has its partner in right; partners have the same name, such as "
            f"left/{min(left)}.jpg and right/{min(left)}.png"
        )
    for path in alone:
        _log.warning("left out, no partner: %s", path)
    return PairSet(
        tuple(left[stem] for stem in both),
        tuple(right[stem] for stem in both),
        tuple(both),
        folder.resolve().name,
        tuple(alone),
    )


def split_pairs(names: Sequence[str], fraction: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Divide pairs at random into some to learn from and some to judge on.

    The division depends on the names, the fraction and the seed alone.

    Args:
        names: Of the pairs, all different.
        fraction: The share to learn from, between 0 and 1; the rest is judged on.
        seed: Another seed, another division.

    Returns:
        Positions in ``names`` of both parts, each in rising order and with at least two.

    Raises:
        ConfigError: The fraction is out of range.
        DataError: There are fewer than four pairs.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"the share of pairs to learn from is {fraction:g}; it must lie between 0 and 1")
    if len(names) < 4:
        raise DataError(f"{len(names)} pairs are too few: two to learn from and two to judge on are needed")
    # random() is the one method whose sequence Python promises to keep for a seed, so sort by its numbers.
    generator = random.Random(seed)
    drawn = {name: generator.random() for name in sorted(names)}
    order = sorted(range(len(names)), key=lambda index: (drawn[names[index]], names[index]))
    count = min(max(round(fraction * len(names)), 2), len(names) - 2)
    return sorted(order[:count]), sorted(order[count:])


def _by_stem(folder: Path) -> Mapping[str, Path]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in list_pictures(folder, extensions=PICTURE_SUFFIXES):
        found[path.stem].append(path)
    twice = next((paths for paths in found.values() if len(paths) > 1), None)
    if twice is not None:
        names = " and ".join(path.name for path in twice)
        raise DataError(f"{folder}: {names} have one name, so their partner is not decided; rename one")
    return {stem: paths[0] for stem, paths in found.items()}
