"""Stanford Online Products (Oh Song et al., CVPR 2016)."""

from __future__ import annotations

import os
from pathlib import Path

from avsl_core.data.archive import find_inside
from avsl_core.data.dataset import PictureSet
from avsl_core.data.layout import check_files, compare_counts, read_table
from avsl_core.data.splits import Split

__all__ = ["read_sop"]

_PUBLISHED = {"train": (59551, 11318), "test": (60502, 11316)}


def read_sop(root: str | os.PathLike[str], *, check_counts: bool = True) -> Split:
    """Read Stanford Online Products with its own split by products.

    Args:
        root: `Stanford_Online_Products.zip`, the folder that it unpacks to, or a folder that holds either.
        check_counts: compare with the published 59,551 pictures of 11,318 products to train and 60,502 of
            11,316 to test.

    Returns:
        Parts train and test; a product is called after its kind and number ("bicycle/1").

    Raises:
        DataError: a file is missing or malformed, or the numbers differ.
    """
    base = find_inside(root, "Ebay_train.txt", ("Stanford_Online_Products.zip",)).parent
    split = Split(train=_read_part(base / "Ebay_train.txt"), test=_read_part(base / "Ebay_test.txt"))
    check_files([path for part in split.parts().values() for path in part.paths], root)
    if check_counts:
        compare_counts(split, _PUBLISHED, root)
    return split


def _read_part(path: Path) -> PictureSet:
    # A heading, then: picture number, product number, number of its kind, file.
    rows = read_table(path, 4, skip=1)
    names = [f"{file.split('/')[0].removesuffix('_final')}/{product}" for _, product, _, file in rows]
    return PictureSet.from_names("sop", [path.parent / file for *_, file in rows], names)
