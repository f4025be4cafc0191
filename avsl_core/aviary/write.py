"""A folder of pictures drawn by the aviary: OUT/<species>/<number>.webp, with their parameters.

Beside the pictures lie aviary.jsonl (one line per picture: file, species, family, split, bird and scene),
split.json where species of all splits are drawn (see `avsl_core.data.read_split_file`), and aviary.json,
the arguments of the run.
"""

import functools
import io
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from avsl_core.aviary.claim import claim_folder, replace_file
from avsl_core.aviary.parameters import PARTS
from avsl_core.aviary.pictures import AviaryPicture, draw
from avsl_core.aviary.plan import PlannedPicture, plan_pictures
from avsl_core.aviary.processes import run_in_processes
from avsl_core.aviary.render import part_masks
from avsl_core.aviary.scenes import sample_scene
from avsl_core.aviary.species import SPLITS, all_species
from avsl_core.data import PictureSet, Split, write_split
from avsl_core.errors import ConfigError, DataError

__all__ = ["FORMATS", "WriteReport", "check_arguments", "encode_picture_file", "write_aviary"]

FORMATS: tuple[str, ...] = ("webp", "png", "jpg")
"""Endings of the picture files; webp and jpg at a quality of 90."""

_SIZES = (32, 2048)
_LABEL_COLOURS = (
    *((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
    *((0, 114, 178), (213, 94, 0), (204, 121, 167), (255, 255, 255), (140, 86, 75)),
)
"""Of nothing and the nine parts; after Okabe and Ito's colours for the colour-blind."""


@dataclass(frozen=True)
class WriteReport:
    """What a run has written.

    Attributes:
        out: The folder.
        pictures: How many pictures it holds.
        drawn: How many of them this run drew; the others were there already.
        species: How many species they show.
        seconds: How long the run took, with starting its processes.
    """

    out: Path
    pictures: int
    drawn: int
    species: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Pictures drawn per second."""
        return self.drawn / self.seconds if self.seconds > 0 else 0.0


def write_aviary(
    out: str | os.PathLike[str],
    count: int,
    seed: int,
    *,
    size: int = 224,
    split: str = "all",
    species: int | None = None,
    workers: int | None = None,
    masks: str | os.PathLike[str] | None = None,
    format: str = "webp",
    progress: bool = False,
) -> WriteReport:
    """Write a folder of pictures that `avsl_core.data.read_folder` reads.

    The bytes depend on the arguments alone, not on the number of workers; picture n of a species depends
    on seed and size alone. A run that was broken off is taken up by calling again with the same arguments.

    Args:
        out: A new or empty folder, or one that a run with the same arguments began.
        count: How many pictures.
        seed: Not negative; another seed, other scenes.
        size: Side of the pictures in pixels, 32 to 2048.
        split: Whose species to show: "train", "val", "test" or "all".
        species: How many species, spread evenly over families and splits; by default so many that each
            has about eight pictures, and at least two.
        workers: Processes that draw; by default one for each processor, 0 or 1 draws in this process.
        masks: Another folder, which receives a picture of labels for each picture (PNG with a palette; a
            pixel is 1 + position in PARTS of the part that covers most of it, 0 for none).
        format: One of :data:`FORMATS`.
        progress: Show progress on standard error.

    Raises:
        ConfigError: An argument is out of range, or the folder of masks lies in the folder of pictures.
        DataError: A folder holds anything else than this run's files, or cannot be written.
    """
    started = time.monotonic()
    check_arguments(seed, size, workers, format)
    plan = plan_pictures(count, split, species)
    chosen = len({picture.species for picture in plan})
    settings = {"count": count, "seed": seed, "size": size, "split": split, "species": chosen}
    folder = Path(out)
    mask_folder = None if masks is None else _apart(Path(masks), folder)
    claim_folder(folder, settings | {"format": format}, _files(plan, format, split))
    if mask_folder is not None:
        claim_folder(mask_folder, settings | {"labels": list(PARTS)}, [f"{one.stem}.png" for one in plan])
    try:
        missing = [one for one in plan if not _is_complete(one, folder, mask_folder, format)]
        work = functools.partial(
            _draw_files, folder=folder, mask_folder=mask_folder, seed=seed, size=size, format=format
        )
        with tqdm(total=len(plan), unit=" pictures", desc="drawing", disable=not progress) as bar:
            bar.update(len(plan) - len(missing))
            run_in_processes(work, missing, os.cpu_count() or 1 if workers is None else workers, bar.update)
        _write_tables(folder, plan, seed, format, split)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}); mend that and run again to continue"
        ) from error
    return WriteReport(folder, len(plan), len(missing), chosen, time.monotonic() - started)


def check_arguments(seed: int, size: int, workers: int | None, format: str) -> None:
    """Refuse what no folder of the aviary can be drawn with.

    Raises:
        ConfigError: An argument is out of range.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}")
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise ConfigError(f"size must lie in {_SIZES[0]} to {_SIZES[1]} pixels, not {size}")
    if workers is not None and workers < 0:
        raise ConfigError(f"workers must be 0 or more, not {workers}")
    if format not in FORMATS:
        raise ConfigError(f"format: {format!r} is not one of {', '.join(FORMATS)}")


def _apart(masks: Path, out: Path) -> Path:
    """A folder of masks among the pictures would be read as one more class."""
    first, second = masks.resolve(), out.resolve()
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise ConfigError(f"masks: {masks} and {out} lie one in the other; give a folder beside it")
    return masks


def _files(plan: Sequence[PlannedPicture], format: str, split: str) -> list[str]:
    tables = ["aviary.jsonl", "split.json"] if split == "all" else ["aviary.jsonl"]
    return [*tables, *(f"{picture.stem}.{format}" for picture in plan)]


def _is_complete(picture: PlannedPicture, out: Path, masks: Path | None, format: str) -> bool:
    drawn = (out / f"{picture.stem}.{format}").is_file()
    return drawn and (masks is None or (masks / f"{picture.stem}.png").is_file())


def _draw_files(
    pictures: Sequence[PlannedPicture],
    *,
    folder: Path,
    mask_folder: Path | None,
    seed: int,
    size: int,
    format: str,
) -> None:
    for planned in pictures:
        picture = draw(all_species()[planned.species], _seed(planned, seed), size)
        replace_file(folder / f"{planned.stem}.{format}", encode_picture_file(picture.pixels, format))
        if mask_folder is not None:
            replace_file(mask_folder / f"{planned.stem}.png", _labels(picture, size))


def _seed(picture: PlannedPicture, seed: int) -> tuple[int, int, int]:
    return seed, picture.species, picture.number


def encode_picture_file(pixels: NDArray[np.uint8], format: str) -> bytes:
    """A picture as the content of a file, in one of :data:`FORMATS`."""
    options: dict[str, dict[str, Any]] = {
        # Method 2 takes half the time of the usual 4 for files a few per cent larger.
        "webp": {"format": "WEBP", "quality": 90, "method": 2},
        "jpg": {"format": "JPEG", "quality": 90, "subsampling": 0},
        "png": {"format": "PNG"},
    }
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **options[format])
    return file.getvalue()


def _labels(picture: AviaryPicture, size: int) -> bytes:
    masks = part_masks(picture.species.bird, picture.scene, size)
    cover = np.stack([masks[part].astype(np.int16) for part in PARTS])
    nothing = np.clip(255 - cover.sum(axis=0), 0, 255)
    labels = np.concatenate([nothing[None], cover]).argmax(axis=0).astype(np.uint8)
    image = Image.fromarray(labels)
    image.putpalette([value for colour in _LABEL_COLOURS for value in colour])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _write_tables(folder: Path, plan: Sequence[PlannedPicture], seed: int, format: str, split: str) -> None:
    lines = [json.dumps(_line(picture, seed, format)) for picture in plan]
    replace_file(folder / "aviary.jsonl", ("\n".join(lines) + "\n").encode())
    if split == "all":
        parts = {name: _picture_set(folder, plan, name, format) for name in SPLITS}
        write_split(Split(**parts), folder / "split.json", root=folder)


def _line(picture: PlannedPicture, seed: int, format: str) -> dict[str, Any]:
    species = all_species()[picture.species]
    return {
        "file": f"{picture.stem}.{format}",
        "species": species.name,
        "family": species.family,
        "split": species.split,
        "line": species.line,
        "variant": species.variant,
        "bird": species.bird.to_dict(),
        "scene": sample_scene(np.random.default_rng(_seed(picture, seed))).to_dict(),
    }


def _picture_set(folder: Path, plan: Sequence[PlannedPicture], split: str, format: str) -> PictureSet | None:
    chosen = [one for one in plan if all_species()[one.species].split == split]
    if not chosen:
        return None
    names = [all_species()[one.species].slug for one in chosen]
    return PictureSet.from_names(split, [folder / f"{one.stem}.{format}" for one in chosen], names)
