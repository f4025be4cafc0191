"""Pairs of photographs of different classes, for measures that need no known answer."""

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from avsl_core.data import PictureSet, read_folder
from avsl_core.encoding import load_for
from avsl_core.images import Preprocess

__all__ = ["pairs_of", "photograph_pairs"]


def photograph_pairs(
    preprocess: Preprocess, folder: str | os.PathLike[str], device: torch.device, count: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw pairs of photographs of different classes.

    Args:
        preprocess: The model's.
        folder: ``FOLDER/<class>/<picture>``.
        device: Where the pictures go.
        count: How many pairs.
        seed: Another seed, other pairs.

    Returns:
        An iterator over pairs of ``[1, 3, S, S]``, normalised; pictures are read as they are asked for.

    Raises:
        DataError: If the folder is not laid out so.
        ImageError: If a picture cannot be read.
    """
    return pairs_of(preprocess, read_folder(folder), device, count, seed)


def pairs_of(
    preprocess: Preprocess, pictures: PictureSet, device: torch.device, count: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of pictures of different classes of a set: as :func:`photograph_pairs`."""
    labels = np.asarray(pictures.labels)
    classes = np.unique(labels)
    for number in range(count):
        generator = np.random.default_rng((seed, number))
        two = generator.choice(classes, 2, replace=False)
        paths = [pictures.paths[int(generator.choice(np.flatnonzero(labels == one)))] for one in two]
        a, b = (preprocess(load_for(preprocess, path))[None].to(device) for path in paths)
        yield a, b
