"""DeepFashion In-shop Clothes Retrieval (Liu et al., CVPR 2016): queries and gallery apart."""

from __future__ import annotations

import os
from pathlib import Path

from avsl_core.data.archive import find_inside, is_archive
from avsl_core.data.dataset import PictureSet
from avsl_core.data.layout import check_files, compare_counts, read_table
from avsl_core.data.splits import Split
from avsl_core.errors import DataError

__all__ = ["read_inshop"]

_PUBLISHED = {"train": (25882, 3997), "query": (14218, 3985), "gallery": (12612, 3985)}


def read_inshop(root: str | os.PathLike[str], *, check_counts: bool = True) -> Split:
    """Read the In-shop benchmark with its own split by items.

    Args:
        root: a folder with `list_eval_partition.txt` (in it or in `Eval/`) and `Img/img/` or `Img/img.zip`;
            an archive of that folder; or `img.zip` with the list beside it.
        check_counts: compare with the published 25,882 pictures of 3,997 items to train, 14,218 queries
            and 12,612 gallery pictures of 3,985 items.

    Returns:
        Parts train, query and gallery; the last two share their class names.

    Raises:
        DataError: a file is missing or malformed, or the numbers differ.
    """
    base = Path(root)
    if is_archive(base) and base.with_name("list_eval_partition.txt").is_file():
        base = base.parent
    listing = find_inside(base, "list_eval_partition.txt")
    # The names in the list begin with "img/".
    pictures = find_inside(base, "img", ("img.zip",)).parent
    split = _read_partition(listing, pictures)
    check_files([path for part in split.parts().values() for path in part.paths], root)
    if check_counts:
        compare_counts(split, _PUBLISHED, root)
    return split


def _read_partition(listing: Path, pictures: Path) -> Split:
    # The number of pictures, a heading, then: file, item, part.
    rows = read_table(listing, 3, skip=2)
    unknown = next((part for *_, part in rows if part not in _PUBLISHED), None)
    if unknown is not None:
        raise DataError(
            f"{listing}: part {unknown!r} is none of {', '.join(_PUBLISHED)}; get the data set again"
        )
    shown = sorted({item for _, item, part in rows if part != "train"})
    parts: dict[str, PictureSet] = {}
    for name in _PUBLISHED:
        chosen = [(pictures / file, item) for file, item, part in rows if part == name]
        parts[name] = PictureSet.from_names(
            "inshop",
            [path for path, _ in chosen],
            [item for _, item in chosen],
            class_names=None if name == "train" else shown,
        )
    return Split(**parts)
