"""Data sets by name, for the places where a user picks one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from avsl_core.data.cars import read_cars196
from avsl_core.data.cub import read_cub200
from avsl_core.data.dataset import PictureSet
from avsl_core.data.folder import read_folder
from avsl_core.data.inshop import read_inshop
from avsl_core.data.sop import read_sop
from avsl_core.data.split_file import read_split_file
from avsl_core.data.splits import Split, hold_out_classes, split_classes
from avsl_core.data.torchvision_sets import TORCHVISION_SETS, read_torchvision
from avsl_core.errors import ConfigError

__all__ = ["DATASETS", "LoadOptions", "Reader", "kind_of", "load_dataset"]


@dataclass(frozen=True)
class LoadOptions:
    """How a data set is divided and checked.

    Attributes:
        fractions: shares of classes for train, val and test, for sets without an official division.
        val_fraction: share of the official training classes that become val, in [0, 1); 0 for none.
        seed: which of the random divisions.
        download: get a torchvision set that is not there.
        check_counts: compare a published set with its published numbers.
        crop_to_box: look only at what is inside each picture's box, for sets that have boxes (cub, cars).
    """

    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    val_fraction: float = 0.1
    seed: int = 0
    download: bool = False
    check_counts: bool = True
    crop_to_box: bool = False


Reader = Callable[[Path, LoadOptions], Split]


def kind_of(root: str | os.PathLike[str]) -> str:
    """What a path holds when nobody says: a split file if it is a ``.json``, else a folder of classes."""
    return "split" if Path(root).suffix == ".json" else "folder"


def load_dataset(spec: str, root: str | os.PathLike[str], options: LoadOptions | None = None) -> Split:
    """Read a data set and divide it by classes.

    Published sets with an official test part (cub, cars, sop, inshop) keep it, and a share of their
    training classes becomes val. A split file is taken as it is. All others are divided at random.

    Args:
        spec: one of `DATASETS`: "folder", "split", "cub", "cars", "sop", "inshop", "flowers102",
            "oxford_pets", "aircraft" or "food101".
        root: the folder, archive or split file, as the reader of that set says.
        options: how to divide and check; by default as `LoadOptions` says.

    Returns:
        Parts that share no class.

    Raises:
        ConfigError: the name or an option is not valid.
        DataError: the data set is missing, incomplete or not laid out as expected, or is to be cropped and
            has no boxes.
    """
    if spec not in DATASETS:
        raise ConfigError(f"no data set {spec!r}; known are {', '.join(DATASETS)}")
    options = options or LoadOptions()
    split = DATASETS[spec](Path(root), options)
    if options.crop_to_box:
        cropped = {name: dataclasses.replace(part, cropped=True) for name, part in split.parts().items()}
        split = dataclasses.replace(split, **cropped)
    return split


def _divide(pictures: PictureSet, options: LoadOptions) -> Split:
    return split_classes(pictures, options.fractions, options.seed)


def _folder(root: Path, options: LoadOptions) -> Split:
    return _divide(read_folder(root), options)


def _split_file(root: Path, options: LoadOptions) -> Split:
    return read_split_file(root)


def _official(read: Callable[..., Split], root: Path, options: LoadOptions) -> Split:
    split = read(root, check_counts=options.check_counts)
    assert split.train is not None  # all four have a training part
    train, val = hold_out_classes(split.train, options.val_fraction, options.seed)
    return dataclasses.replace(split, train=train, val=val)


def _torchvision(name: str, root: Path, options: LoadOptions) -> Split:
    pictures = read_torchvision(name, root, download=options.download, check_counts=options.check_counts)
    return _divide(pictures, options)


DATASETS: Mapping[str, Reader] = MappingProxyType(
    {
        "folder": _folder,
        "split": _split_file,
        "cub": partial(_official, read_cub200),
        "cars": partial(_official, read_cars196),
        "sop": partial(_official, read_sop),
        "inshop": partial(_official, read_inshop),
        **{name: partial(_torchvision, name) for name in TORCHVISION_SETS},
    }
)
