"""Four sets that torchvision knows how to download, read from the files that it leaves on disk.

Only the download is torchvision's. What it lists, it divides by pictures; we divide by classes, so all of
its parts are put together here, and what is read are the publishers' own files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from avsl_core.data.dataset import PictureSet
from avsl_core.data.layout import check_files, read_lines, read_mat, read_table
from avsl_core.errors import ConfigError, DataError

__all__ = ["TORCHVISION_SETS", "TorchvisionSet", "read_torchvision"]


@dataclass(frozen=True)
class TorchvisionSet:
    """One of the sets: what torchvision calls it, where it puts it, and what belongs in it.

    Attributes:
        class_name: the data set class in `torchvision.datasets`.
        folder: the folder that it makes inside the root.
        read: lists (picture, class name) and the classes in order, from that folder.
        published: how many pictures and classes there should be.
    """

    class_name: str
    folder: str
    read: Callable[[Path], tuple[list[tuple[Path, str]], list[str]]]
    published: tuple[int, int]


def read_torchvision(
    name: str, root: str | os.PathLike[str], *, download: bool = False, check_counts: bool = True
) -> PictureSet:
    """Read all pictures of one of torchvision's sets, its parts put together.

    Args:
        name: "flowers102", "oxford_pets", "aircraft" or "food101".
        root: the folder that holds (or is to hold) torchvision's folder of the set.
        download: get it first where it is not there.
        check_counts: compare with the published numbers of pictures and classes.

    Returns:
        Every picture, under the publisher's class names.

    Raises:
        ConfigError: there is no set of that name.
        DataError: it is not there, cannot be downloaded, is incomplete or malformed.
    """
    if name not in TORCHVISION_SETS:
        raise ConfigError(f"no torchvision set {name!r}; known are {', '.join(TORCHVISION_SETS)}")
    known = TORCHVISION_SETS[name]
    folder = Path(root) / known.folder
    if download:
        _download(known, Path(root))
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; put {name} there or ask for its download")
    listed, classes = known.read(folder)
    used = {class_name for _, class_name in listed}
    pictures = PictureSet.from_names(
        name,
        [path for path, _ in listed],
        [class_name for _, class_name in listed],
        class_names=[class_name for class_name in classes if class_name in used],
    )
    check_files(pictures.paths, folder)
    found = (len(pictures), pictures.num_classes)
    if check_counts and found != known.published:
        raise DataError(
            f"{folder}: {found[0]:,} pictures of {found[1]:,} classes, but {known.published[0]:,} of "
            f"{known.published[1]:,} were published; remove the folder and download it again"
        )
    return pictures


def _download(known: TorchvisionSet, root: Path) -> None:
    from torchvision import datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        getattr(datasets, known.class_name)(root, download=True)
    except Exception as error:  # network, disk, checksum, archive: each raises its own kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{root / known.folder}: {known.class_name} could not be downloaded ({reason}); "
            "check the network, remove what is there of it, and try again"
        ) from error


def _read_flowers102(folder: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """Pictures are numbered from 1, and so are the labels, one per picture (Nilsback and Zisserman, 2008)."""
    from torchvision.datasets import Flowers102

    # The publisher gives numbers only; the names come with torchvision.
    names: list[str] = list(Flowers102.classes)
    labels = [int(label) for label in np.atleast_1d(read_mat(folder / "imagelabels.mat", "labels"))]
    wrong = next((label for label in labels if not 1 <= label <= len(names)), None)
    if wrong is not None:
        raise DataError(f"{folder / 'imagelabels.mat'}: label {wrong} is not in 1 to {len(names)}")
    listed = [(folder / "jpg" / f"image_{i:05d}.jpg", names[label - 1]) for i, label in enumerate(labels, 1)]
    return listed, names


def _read_oxford_pets(folder: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """A picture is called after its breed, "american_bulldog_12" (Parkhi et al., CVPR 2012)."""
    rows = [
        row for part in ("trainval", "test") for row in read_table(folder / "annotations" / f"{part}.txt", 4)
    ]
    listed = [
        (folder / "images" / f"{picture}.jpg", picture.rpartition("_")[0].replace("_", " ").title())
        for picture, *_ in rows
    ]
    return listed, sorted({breed for _, breed in listed})


def _read_aircraft(folder: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """A class is a variant, the finest of the three levels (Maji et al., 2013)."""
    data = folder / "data"
    rows = [
        row for part in ("trainval", "test") for row in read_table(data / f"images_variant_{part}.txt", 2)
    ]
    return [(data / "images" / f"{picture}.jpg", variant) for picture, variant in rows], read_lines(
        data / "variants.txt"
    )


def _read_food101(folder: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """Each part is an object of class name to pictures (Bossard et al., ECCV 2014)."""
    listed: list[tuple[Path, str]] = []
    for part in ("train", "test"):
        path = folder / "meta" / f"{part}.json"
        try:
            content = json.loads("\n".join(read_lines(path)))
            pairs = [(str(name), str(picture)) for name, pictures in content.items() for picture in pictures]
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{path}: is not an object of class names and pictures ({error})") from error
        listed.extend((folder / "images" / f"{picture}.jpg", name) for name, picture in pairs)
    return listed, sorted({name for _, name in listed})


TORCHVISION_SETS: Mapping[str, TorchvisionSet] = MappingProxyType(
    {
        "flowers102": TorchvisionSet("Flowers102", "flowers-102", _read_flowers102, (8189, 102)),
        "oxford_pets": TorchvisionSet("OxfordIIITPet", "oxford-iiit-pet", _read_oxford_pets, (7349, 37)),
        "aircraft": TorchvisionSet("FGVCAircraft", "fgvc-aircraft-2013b", _read_aircraft, (10000, 100)),
        "food101": TorchvisionSet("Food101", "food-101", _read_food101, (101000, 101)),
    }
)
