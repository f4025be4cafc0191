"""Encode a folder's pictures to arrays that any program can read."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from avsl_core.batches import MemoryBatches
from avsl_core.checkpoint import Checkpoint
from avsl_core.data import list_pictures
from avsl_core.data.loading import in_order
from avsl_core.encoding import load_for
from avsl_core.errors import AvslError, ConfigError, DataError, ImageError
from avsl_core.images import PICTURE_SUFFIXES, Preprocess
from avsl_core.models import Rows, SimilarityModel
from avsl_core.precision import Precision, effective_precision, trunk_precision

__all__ = [
    "Extraction",
    "Listed",
    "extract_pictures",
    "list_for_extraction",
    "pass_over",
    "write_arrays",
    "write_npz",
]

_log = logging.getLogger(__name__)

_NOT_FINITE = "the model's numbers for it are not finite; try without reduced precision"


@dataclass(frozen=True)
class Listed:
    """A picture to encode.

    Attributes:
        path: The file.
        name: What it is called in the result.
        class_name: The folder that it lies in, below the folder given; empty for none.
    """

    path: Path
    name: str
    class_name: str = ""


@dataclass(frozen=True, eq=False)
class Extraction:
    """Encoded pictures.

    Attributes:
        rows: One per picture, float32 on the CPU.
        pictures: Those that could be read, in the order of the rows.
        skipped: What was wrong with each of the others.
    """

    rows: Rows
    pictures: tuple[Listed, ...]
    skipped: tuple[str, ...]


def list_for_extraction(source: Path) -> list[Listed]:
    """List a folder's pictures, however deep, or those named in a text file, one path a line.

    In a folder the first folder below it is a picture's class. A list's paths start from its own folder.

    Raises:
        DataError: If there is nothing there, or no picture in it.
    """
    if not source.is_file():
        found = list_pictures(source, recursive=True, extensions=PICTURE_SUFFIXES)
        names = [path.relative_to(source) for path in found]
        return [
            Listed(path, name.as_posix(), name.parts[0] if len(name.parts) > 1 else "")
            for path, name in zip(found, names, strict=True)
        ]
    data = source.read_bytes()
    if b"\0" in data:
        raise DataError(f"{source}: neither a folder nor a text file with one path a line")
    # Names of files need not be valid text; Python has a way to write them all the same.
    lines = [line.strip() for line in os.fsdecode(data.removeprefix(b"\xef\xbb\xbf")).splitlines()]
    listed = [Listed(source.parent / line, line) for line in lines if line]
    if not listed:
        raise DataError(f"{source}: no paths in it; write one picture's path a line")
    return listed


def extract_pictures(
    checkpoint: Checkpoint,
    pictures: Sequence[Listed],
    *,
    batch_size: int = 32,
    workers: int = 0,
    precision: Precision = "none",
    progress: bool = False,
) -> Extraction:
    """Encode pictures; those that cannot be read are logged and left out.

    Args:
        checkpoint: Model and preprocessing.
        pictures: What to encode.
        batch_size: Pictures per pass; halved where the device's memory is full.
        workers: Processes that decode; 0 decodes here.
        precision: Of the trunk; heads always work in float32.
        progress: Whether to show a bar on standard error.

    Raises:
        DataError: If no picture could be read.
    """
    model = checkpoint.model
    precision = effective_precision(precision, model.device)

    def encode(images: Tensor) -> list[Tensor]:
        rows = _encode(model, images, precision=precision)
        return [rows.vectors, rows.gates]

    (vectors, gates), kept, skipped = pass_over(
        pictures,
        checkpoint.preprocess,
        encode,
        label="encoding",
        batch_size=batch_size,
        workers=workers,
        progress=progress,
    )
    return Extraction(Rows(vectors, gates), kept, skipped)


def pass_over(
    pictures: Sequence[Listed],
    preprocess: Preprocess,
    compute: Callable[[Tensor], list[Tensor]],
    *,
    label: str,
    batch_size: int = 32,
    workers: int = 0,
    progress: bool = False,
) -> tuple[list[Tensor], tuple[Listed, ...], tuple[str, ...]]:
    """Compute something of every picture; those that cannot be read, or come to no number, are left out.

    What is left out is logged. Where the device's memory is full, the batch is halved and the work goes on.

    Args:
        pictures: What to look at.
        preprocess: How the network wants them.
        compute: Arrays on the CPU, a row per picture, of pictures ``[B, 3, S, S]``, each by itself.
        label: Of the work, beside its bar.
        batch_size: Pictures per pass, to begin with.
        workers: Processes that decode; 0 decodes here.
        progress: Whether to show a bar on standard error.

    Returns:
        The arrays whole, the pictures of their rows, and what was wrong with each of the others.

    Raises:
        DataError: If no picture could be read.
        torch.OutOfMemoryError: If not even one picture fits into the memory.
    """
    loader: DataLoader[Any] = DataLoader(
        _PictureList(pictures, preprocess), batch_size=batch_size, num_workers=workers, collate_fn=_as_list
    )
    batches = MemoryBatches(batch_size)
    found: list[list[Tensor]] = []
    kept: list[Listed] = []
    skipped: list[str] = []
    with (
        tqdm(total=len(pictures), unit=" pictures", desc=label, disable=not progress) as bar,
        torch.inference_mode(),
    ):
        for batch in in_order(loader):
            skipped += [reason for _, reason in batch if isinstance(reason, str)]
            read = [(pictures[number], image) for number, image in batch if isinstance(image, Tensor)]
            if read:
                pieces = batches.run(compute, torch.stack([image for _, image in read]))
                arrays = [torch.cat(piece) for piece in zip(*pieces, strict=True)]
                finite = torch.stack([array.isfinite().all(dim=1) for array in arrays]).all(dim=0)
                found.append([array[finite] for array in arrays])
                for (picture, _), fine in zip(read, finite.tolist(), strict=True):
                    if fine:
                        kept.append(picture)
                    else:
                        skipped.append(f"{picture.path}: {_NOT_FINITE}")
            bar.update(len(batch))
    for reason in skipped:
        _log.warning("left out: %s", reason)
    if not kept:
        raise DataError(f"none of {len(pictures):,} pictures could be read; the first: {skipped[0]}")
    return [torch.cat(pieces) for pieces in zip(*found, strict=True)], tuple(kept), tuple(skipped)


def write_arrays(checkpoint: Checkpoint, extraction: Extraction, path: Path) -> None:
    """Write an extraction as ``.npz``, whole or not at all; nothing in it needs unpickling.

    Arrays: ``vectors`` ``[N, D]`` and ``gates`` ``[N, G]``, which decide the model's distances;
    ``node_vectors`` ``[N, D]``, whose squared Euclidean distance is the model's at the mean gate of these
    pictures; ``paths`` ``[N]``; ``labels`` ``[N]``, -1 for no class, and ``classes``, the names they number;
    ``parts`` ``[P]`` and ``widths`` ``[P]``, the levels and how many columns of the vectors each has.

    Raises:
        ConfigError: If the name does not end in ``.npz``.
        AvslError: If it cannot be written.
    """
    if path.suffix != ".npz" or path.is_dir():
        raise ConfigError(f"{path}: the arrays go to one file; end its name in .npz")
    measure, rows = checkpoint.model.measure().to("cpu"), extraction.rows
    weights = measure.typical_weights(rows.gates.mean(dim=0))
    names = [picture.class_name for picture in extraction.pictures]
    classes = [name for name in dict.fromkeys(names) if name]
    numbers = {name: number for number, name in enumerate(classes)}
    arrays = {
        "vectors": rows.vectors.numpy(),
        "gates": rows.gates.numpy(),
        "node_vectors": (rows.vectors * weights.sqrt()).numpy(),
        "paths": np.array([picture.name for picture in extraction.pictures], dtype=np.str_),
        "labels": np.array([numbers.get(name, -1) for name in names], dtype=np.int64),
        "classes": np.array(classes, dtype=np.str_),
        "parts": np.array(measure.parts, dtype=np.str_),
        "widths": np.array(measure.widths, dtype=np.int64),
    }
    write_npz(path, arrays)


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays as one file, whole or not at all.

    Raises:
        AvslError: If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    except OSError as error:
        raise AvslError(f"{path}: could not be written ({error.strerror}); choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)  # gone when all went well


def _encode(model: SimilarityModel, images: Tensor, precision: Precision) -> Rows:
    moved = images.to(model.device, memory_format=torch.channels_last)
    with trunk_precision(precision, model.device):
        maps = model.trunk_maps(moved, "gallery")
    rows = model.rows(model.encode_maps(maps, "gallery", keep_maps=False))
    return rows.to("cpu").to(torch.float32)


class _PictureList(Dataset[tuple[int, Tensor | str]]):
    """Pictures ready for the network, each with its number; what is wrong with it where it cannot be read."""

    def __init__(self, pictures: Sequence[Listed], preprocess: Preprocess) -> None:
        self.pictures, self.preprocess = pictures, preprocess

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        try:
            return index, self.preprocess(load_for(self.preprocess, self.pictures[index].path))
        except ImageError as error:
            return index, str(error)


def _as_list(pictures: list[tuple[int, Tensor | str]]) -> list[tuple[int, Tensor | str]]:
    """What a loader makes of some of them: the list itself, as not all need be pictures."""
    return pictures
