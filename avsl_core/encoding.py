"""Encode many pictures: decoded by workers, in batches, without gradient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from avsl_core.data.dataset import Box
from avsl_core.data.loading import in_order
from avsl_core.errors import DataError
from avsl_core.images import ImageSource, Preprocess, load_image
from avsl_core.models import Encoding, Role, SimilarityModel
from avsl_core.precision import Precision, effective_precision, trunk_precision

__all__ = ["encode_pictures", "load_for"]


def encode_pictures(
    model: SimilarityModel,
    preprocess: Preprocess,
    paths: Sequence[Path],
    *,
    boxes: Sequence[Box] | None = None,
    role: Role | None = None,
    batch_size: int = 32,
    workers: int = 0,
    precision: Precision = "none",
    emulate: bool = False,
    progress: bool = False,
    keep_maps: bool = False,
) -> Encoding:
    """Encode files in their order.

    Args:
        model: In evaluation mode.
        preprocess: The model's own.
        paths: At least one.
        boxes: What to look at of each, see :attr:`avsl_core.data.PictureSet.crops`; None for all of it.
        role: Side of the comparison; None encodes for either.
        batch_size: Pictures per pass.
        workers: Processes that decode; 0 decodes here.
        precision: Of the trunk; heads always work in float32.
        emulate: Whether to hold to the precision even on a CPU that is slow in it, see
            :func:`avsl_core.precision.effective_precision`.
        progress: Whether to show a bar on standard error.
        keep_maps: Whether the encoding can explain as well.

    Returns:
        One encoding of all pictures.

    Raises:
        ImageError: If a picture cannot be read; the message names it.
        DataError: If there are no pictures.
    """
    if not paths:
        raise DataError("no pictures to encode; give at least one file")
    loader: DataLoader[Tensor] = DataLoader(
        _Files(paths, preprocess, boxes), batch_size=batch_size, num_workers=workers
    )
    side = None if keep_maps else role
    if not emulate:
        precision = effective_precision(precision, model.device)
    parts: list[Encoding] = []
    shown = tqdm(total=len(paths), unit=" pictures", desc="encoding", disable=not progress)
    with shown as bar, torch.inference_mode():
        for images in in_order(loader):
            moved = images.to(model.device, memory_format=torch.channels_last)
            with trunk_precision(precision, model.device):
                maps = model.trunk_maps(moved, side)
            parts.append(model.encode_maps(maps, side, keep_maps=keep_maps))
            bar.update(len(images))
    return type(parts[0]).concatenate(parts)


def load_for(
    preprocess: Preprocess, picture: ImageSource, *, name: str | None = None, box: Box | None = None
) -> NDArray[np.uint8]:
    """Decode a picture for a network: a large JPEG no larger than needed. Used wherever nothing is random.

    Args:
        preprocess: The network's.
        picture: A path, bytes, an open file, a PIL picture or an array.
        name: What messages call the picture.
        box: The only part to look at, in pixels; None for all of it.

    Returns:
        uint8 RGB ``[H, W, 3]``, its short side at least twice what the network sees if it was that large.

    Raises:
        ImageError: If the picture cannot be read.
    """
    return load_image(picture, name=name, target_side=preprocess.decoded_side, box=box)


class _Files(Dataset[Tensor]):
    def __init__(self, paths: Sequence[Path], preprocess: Preprocess, boxes: Sequence[Box] | None) -> None:
        self.paths, self.preprocess, self.boxes = paths, preprocess, boxes

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        box = None if self.boxes is None else self.boxes[index]
        return self.preprocess(load_for(self.preprocess, self.paths[index], box=box))
