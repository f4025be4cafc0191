"""Stanford Cars, also called Cars196 (Krause et al., 3dRR 2013), in both layouts that were published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avsl_core.data.archive import find_inside, look_inside
from avsl_core.data.dataset import Box, PictureSet
from avsl_core.data.layout import check_files, compare_counts, read_mat
from avsl_core.data.splits import Split
from avsl_core.errors import DataError

__all__ = ["read_cars196"]

_PUBLISHED = {"train": (8054, 98), "test": (8131, 98)}
_PARTS = {
    "cars_train": ("cars_train_annos.mat", ("cars_train.tgz",)),
    "cars_test": ("cars_test_annos_withlabels.mat", ("cars_test.tgz",)),
}


def read_cars196(root: str | os.PathLike[str], *, check_counts: bool = True) -> Split:
    """Read Cars196 with the usual zero-shot split: the first half of the classes trains.

    Two layouts are understood. The older has all pictures in `car_ims/` (or `car_ims.tgz`) and one
    `cars_annos.mat`. The newer has `cars_train/` and `cars_test/` (or their archives),
    `devkit/cars_train_annos.mat`, `devkit/cars_meta.mat` and `cars_test_annos_withlabels.mat`. Both name
    the same pictures; the publisher's division of *pictures* into train and test is not used.

    Args:
        root: a folder with these files, an archive of it, or `car_ims.tgz` with `cars_annos.mat` beside it.
        check_counts: compare with the published 8,054 and 8,131 pictures of 98 classes each.

    Returns:
        Parts train and test, with the cars' boxes.

    Raises:
        DataError: a file is missing or malformed, or the numbers differ.
    """
    base = Path(root)
    if base.name == "car_ims.tgz" and base.with_name("cars_annos.mat").is_file():
        base = base.parent
    whole = _read_older(base) or _read_newer(base)
    check_files(whole.paths, root)
    half = whole.num_classes // 2
    split = Split(
        train=whole.subset_of_classes(range(half)),
        test=whole.subset_of_classes(range(half, whole.num_classes)),
    )
    if check_counts:
        compare_counts(split, _PUBLISHED, root)
    return split


def _read_older(base: Path) -> PictureSet | None:
    folder = look_inside(base, "car_ims", ("car_ims.tgz",))
    if folder is None:
        return None
    annotations = find_inside(base, "cars_annos.mat")
    rows = _rows(annotations, "relative_im_path")
    # The names in the annotations begin with "car_ims/".
    listed = [(folder.parent / path, number, box) for path, number, box in rows]
    return _build(annotations, listed, _class_names(annotations))


def _read_newer(base: Path) -> PictureSet:
    if look_inside(base, "cars_train", ("cars_train.tgz",)) is None:
        raise DataError(
            f"{base}: neither car_ims nor cars_train here, as folder or .tgz; give the folder of Cars196"
        )
    listed: list[tuple[Path, int, Box]] = []
    for part, (file_name, archives) in _PARTS.items():
        folder = find_inside(base, part, archives)
        # Some copies hold one more folder of the same name.
        folder = folder / part if (folder / part).is_dir() else folder
        annotations = find_inside(base, file_name, ("car_devkit.tgz",))
        listed.extend((folder / name, number, box) for name, number, box in _rows(annotations, "fname"))
    meta = find_inside(base, "cars_meta.mat", ("car_devkit.tgz",))
    return _build(meta, listed, _class_names(meta))


def _rows(path: Path, name_field: str) -> Iterator[tuple[str, int, Box]]:
    """Yield file name, class number from 1 and box of each annotation."""
    table: Any = np.atleast_1d(read_mat(path, "annotations"))
    needed = (name_field, "class", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
    lacking = [field for field in needed if field not in (table.dtype.names or ())]
    if lacking:
        raise DataError(f"{path}: annotations have no field {lacking[0]!r}; get the file with labels")
    for row in table:
        left, top, right, bottom = (int(row[field]) for field in needed[2:])
        # Matlab counts pixels from 1 and means the last one too.
        yield str(row[name_field]), int(row["class"]), (max(0, left - 1), max(0, top - 1), right, bottom)


def _class_names(path: Path) -> list[str]:
    return [str(name) for name in np.atleast_1d(read_mat(path, "class_names"))]


def _build(source: Path, listed: list[tuple[Path, int, Box]], names: list[str]) -> PictureSet:
    wrong = next((number for _, number, _ in listed if not 1 <= number <= len(names)), None)
    if wrong is not None:
        raise DataError(f"{source}: class {wrong} is not in 1 to {len(names)}; get the data set again")
    return PictureSet(
        paths=tuple(path for path, _, _ in listed),
        labels=tuple(number - 1 for _, number, _ in listed),
        class_names=tuple(names),
        name="cars",
        boxes=tuple(box for _, _, box in listed),
    )
