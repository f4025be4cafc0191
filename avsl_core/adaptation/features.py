"""The features of pictures: a frozen network's pooled stages, as arrays."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avsl_core.config import to_dict
from avsl_core.extraction import Listed, pass_over, write_npz
from avsl_core.images import Preprocess
from avsl_core.models import AdaptationModel
from avsl_core.precision import Precision, effective_precision, trunk_precision

__all__ = ["Features", "cached_features", "extract_features"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of pictures.

    Attributes:
        vectors: x, one row per picture, float32 ``[N, D]`` on the CPU.
        mirrored: The same of the pictures' mirror images, or None.
        pictures: Those that could be read, in the order of the rows.
        skipped: What was wrong with each of the others.
    """

    vectors: Tensor
    mirrored: Tensor | None
    pictures: tuple[Listed, ...]
    skipped: tuple[str, ...] = ()


def extract_features(
    model: AdaptationModel,
    preprocess: Preprocess,
    pictures: Sequence[Listed],
    *,
    mirrored: bool = False,
    batch_size: int = 32,
    workers: int = 0,
    precision: Precision = "none",
    progress: bool = False,
) -> Features:
    """Run the trunk over pictures; those that cannot be read are logged and left out.

    Where the device's memory is full, the batch is halved and the work goes on.

    Args:
        model: Its trunk and pooling make the features; its adaptation is not used.
        preprocess: What the trunk is to see.
        pictures: What to encode.
        mirrored: Whether to encode their mirror images as well.
        batch_size: Pictures per pass, to begin with.
        workers: Processes that decode; 0 decodes here.
        precision: Of the trunk.
        progress: Whether to show a bar on standard error.

    Raises:
        DataError: If no picture could be read.
        torch.OutOfMemoryError: If not even one picture fits into the memory.
    """
    precision = effective_precision(precision, model.device)

    def compute(images: Tensor) -> list[Tensor]:
        views = [images, images.flip(3)] if mirrored else [images]
        return [_features(model, view, precision) for view in views]

    views, kept, skipped = pass_over(
        pictures,
        preprocess,
        compute,
        label="features",
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    return Features(views[0], views[1] if mirrored else None, kept, skipped)


def _features(model: AdaptationModel, images: Tensor, precision: Precision) -> Tensor:
    moved = images.to(model.device, memory_format=torch.channels_last)
    with trunk_precision(precision, model.device):
        maps = model.trunk_maps(moved)
    return model.features(maps).float().cpu()


def cached_features(
    cache: Path, model: AdaptationModel, preprocess: Preprocess, pictures: Sequence[Listed], **options: Any
) -> Features:
    """As :func:`extract_features`, from a file where it holds the features of just these pictures.

    The file is known by all that decides its content: the network and its weights, the preprocessing, and
    name, size and time of change of every picture. It is written anew where any of these differs, or it is
    damaged.

    Args:
        cache: The file, ``.npz``.
        model: As of :func:`extract_features`.
        preprocess: The same.
        pictures: The same.
        **options: The same.

    Raises:
        DataError: If no picture could be read.
        AvslError: If the file cannot be written.
    """
    mirrored = bool(options.get("mirrored", False))
    precision = effective_precision(options.get("precision", "none"), model.device)
    key = _key(model, preprocess, pictures, precision)
    found = _read(cache, key, pictures, mirrored)
    if found is not None:
        _log.info("%s: features taken from there", cache)
        for reason in found.skipped:
            _log.warning("left out: %s", reason)
        return found
    made = extract_features(model, preprocess, pictures, **options)
    place = {picture.name: number for number, picture in enumerate(pictures)}
    arrays = {
        "key": np.array(key),
        "vectors": made.vectors.numpy(),
        "rows": np.array([place[picture.name] for picture in made.pictures], dtype=np.int64),
        "skipped": np.array(made.skipped, dtype=np.str_),
    }
    if made.mirrored is not None:
        arrays["mirrored"] = made.mirrored.numpy()
    write_npz(cache, arrays)
    return made


def _read(cache: Path, key: str, pictures: Sequence[Listed], mirrored: bool) -> Features | None:
    if not cache.is_file():
        return None
    try:
        with np.load(cache, allow_pickle=False) as file:
            if str(file["key"]) != key or (mirrored and "mirrored" not in file.files):
                return None
            return Features(
                torch.from_numpy(file["vectors"]),
                torch.from_numpy(file["mirrored"]) if mirrored else None,
                tuple(pictures[row] for row in file["rows"].tolist()),
                tuple(str(reason) for reason in file["skipped"]),
            )
    except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile) as error:
        _log.warning("%s: not readable (%s), extracting the features again", cache, type(error).__name__)
        return None


def _key(
    model: AdaptationModel, preprocess: Preprocess, pictures: Iterable[Listed], precision: Precision
) -> str:
    digest = hashlib.blake2b(digest_size=16)
    settings = {
        "backbone": to_dict(model.config.backbone),
        "pooling": model.config.pooling,
        "preprocess": to_dict(preprocess),
        "precision": precision,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(model.trunk.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for picture in pictures:
        digest.update(f"{picture.name}|{_state(picture.path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size}|{status.st_mtime_ns}"
