"""What becomes of features before they are written: nothing, a PCA, or a trained adaptation."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from avsl_core.adaptation.features import Features
from avsl_core.data import PictureSet, is_pair_set, read_pairs, read_split_file, split_classes, split_pairs
from avsl_core.errors import ConfigError, DataError
from avsl_core.extraction import Listed, list_for_extraction, write_npz
from avsl_core.models import AdaptationModel
from avsl_core.models.adaptation_head import AdaptationHead

__all__ = ["PROCESSORS", "Processor", "list_with_parts", "process_features", "write_features"]

Processor = Literal["save", "pca", "adapt", "adapt-pca"]
PROCESSORS: tuple[Processor, ...] = get_args(Processor)


def list_with_parts(
    source: Path, fraction: float, seed: int, *, unreadable: Collection[Path] = ()
) -> tuple[list[Listed], frozenset[str]]:
    """List pictures, and say which of them are the training part.

    Of a split file the part train; of a folder of pairs (left and right) a share of the pairs, divided as
    `adapt` divides them; of a folder of classes a share of the classes; of other pictures a share of them.

    Args:
        source: A folder, a text file with one path a line, or a split file (``.json``).
        fraction: Share of the training part, between 0 and 1; a split file has its own.
        seed: Which of the random divisions.
        unreadable: Pictures known to be unreadable, whose pairs are not divided.

    Returns:
        The pictures, and the names of those of the training part.

    Raises:
        ConfigError: The fraction is out of range.
        DataError: There is nothing there, or too little to divide.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"the share to learn from is {fraction:g}; it must lie between 0 and 1")
    if source.suffix == ".json" and source.is_file():
        return _of_split_file(source)
    listed = list_for_extraction(source)
    if source.is_dir() and is_pair_set(source):
        pairs = read_pairs(source)
        whole = [
            (name, {left, right})
            for name, left, right in zip(pairs.names, pairs.left, pairs.right, strict=True)
            if left not in unreadable and right not in unreadable
        ]
        chosen, _ = split_pairs([name for name, _ in whole], fraction, seed)
        train = set[Path]().union(*(whole[index][1] for index in chosen))
        return listed, frozenset(one.name for one in listed if one.path in train)
    inside = [one for one in listed if one.class_name]
    if len({one.class_name for one in inside}) >= 2:
        pictures = PictureSet.from_names(
            source.name, [Path(one.name) for one in inside], [one.class_name for one in inside]
        )
        part = split_classes(pictures, (fraction, 0.0, 1 - fraction), seed).train
        assert part is not None  # its share is above 0
        classes = set(part.class_names)
        return listed, frozenset(one.name for one in inside if one.class_name in classes)
    names = [one.name for one in listed]
    chosen, _ = split_pairs(names, fraction, seed)
    return listed, frozenset(names[index] for index in chosen)


def process_features(
    features: Tensor,
    processor: Processor,
    *,
    training: Tensor | None = None,
    pca: int = 0,
    adaptation: AdaptationModel | None = None,
) -> Tensor:
    """Turn features into what is to be written.

    Args:
        features: x, ``[N, D]``.
        processor: ``"save"`` leaves them as they are; ``"pca"`` projects them on principal components of the
            training part; ``"adapt"`` and ``"adapt-pca"`` apply a trained adaptation, without and with a PCA.
        training: Which rows the PCA is fitted on, bool ``[N]``.
        pca: How many components.
        adaptation: The trained model.

    Returns:
        ``[N, P]``; an adaptation's vectors have length 1.

    Raises:
        ConfigError: If something is missing, or the adaptation is of the other sort.
        DataError: If the training part is too small for the PCA.
    """
    if processor == "save":
        return features
    if processor == "pca":
        if pca < 1:
            raise ConfigError("the processor pca needs to know how many components: --pca N")
        if training is None or not bool(training.any()):
            raise DataError("no training picture could be read, so there is nothing to fit a PCA on")
        head = AdaptationHead(features.shape[1], kind="dummy", pca=pca)
        head.fit_pca(features[training])
        return head.reduce(features)
    if adaptation is None:
        raise ConfigError(f"the processor {processor} needs a trained model: --adaptation CHECKPOINT")
    if bool(adaptation.config.pca) != (processor == "adapt-pca"):
        other = "adapt-pca" if adaptation.config.pca else "adapt"
        having = "has" if adaptation.config.pca else "has no"
        raise ConfigError(f"this adaptation {having} PCA: use the processor {other}")
    with torch.inference_mode():
        return adaptation.encode_features(features.to(adaptation.device)).vectors.cpu()


def write_features(
    path: Path,
    model: AdaptationModel,
    features: Features,
    rows: Tensor,
    processor: Processor,
    train: Sequence[bool],
) -> None:
    """Write processed features as ``.npz``, whole or not at all; nothing in it needs unpickling.

    Arrays: ``vectors`` ``[N, P]``; ``paths`` ``[N]``; ``labels`` ``[N]``, -1 for no class, and ``classes``,
    the names they number; ``mirrored`` bool ``[N]``, true for mirror images, which follow all pictures;
    ``train`` bool ``[N]``, what a PCA was fitted on, or would be; ``parts`` and ``widths``, how many columns
    each layer has, as long as layers can be told apart.

    Raises:
        ConfigError: If the name does not end in ``.npz``.
        AvslError: If it cannot be written.
    """
    if path.suffix != ".npz" or path.is_dir():
        raise ConfigError(f"{path}: the arrays go to one file; end its name in .npz")
    times = 1 if features.mirrored is None else 2
    names = [picture.class_name for picture in features.pictures]
    classes = [name for name in dict.fromkeys(names) if name]
    numbers = {name: number for number, name in enumerate(classes)}
    whole = processor == "save"
    parts, widths = (model.layers, model.trunk.channels) if whole else ((processor,), (rows.shape[1],))
    arrays: dict[str, Any] = {
        "vectors": rows.numpy(),
        "paths": np.array([picture.name for picture in features.pictures] * times, dtype=np.str_),
        "labels": np.array([numbers.get(name, -1) for name in names] * times, dtype=np.int64),
        "classes": np.array(classes, dtype=np.str_),
        "mirrored": np.repeat(np.arange(times) > 0, len(names)),
        "train": np.array(list(train) * times, dtype=np.bool_),
        "parts": np.array(parts, dtype=np.str_),
        "widths": np.array(widths, dtype=np.int64),
    }
    write_npz(path, arrays)


def _of_split_file(source: Path) -> tuple[list[Listed], frozenset[str]]:
    split = read_split_file(source)
    listed: dict[str, Listed] = {}
    train: set[str] = set()
    for part, pictures in split.parts().items():
        for path, label in zip(pictures.paths, pictures.labels, strict=True):
            name = str(path)
            listed[name] = Listed(Path(name), name, pictures.class_names[label])
            if part == "train":
                train.add(name)
    if not train:
        raise DataError(f"{source}: has no part train, so there is nothing to fit a PCA on")
    return list(listed.values()), frozenset(train)
