"""A folder of pairs: a drawn bird on the left, and on the right the same bird on paper, in another pose.

The two scenes are drawn apart: on the right the bird faces where it likes, has another size, place and
bearing, and raises its wings or not. Laid over each other the two pictures do not fit; what they share is the
bird, its proportions and the forms and patterns of its parts. No two pairs show the same bird.

Beside the pictures lie aviary.jsonl (one line per pair: files, bird and both scenes) and aviary.json, the
arguments of the run.
"""

import functools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avsl_core.aviary.claim import claim_folder, replace_file
from avsl_core.aviary.individuals import sample_individual
from avsl_core.aviary.parameters import Bird, Scene
from avsl_core.aviary.processes import run_in_processes
from avsl_core.aviary.render import render
from avsl_core.aviary.scenes import sample_scene
from avsl_core.aviary.sketch import SKETCHES, sketch
from avsl_core.aviary.species import species_of
from avsl_core.aviary.write import check_arguments, encode_picture_file
from avsl_core.errors import ConfigError, DataError

__all__ = ["DrawnPair", "PairReport", "draw_pair", "write_pairs"]

_PAIRS = 4  # keeps this stream of random numbers apart from the aviary's others


@dataclass(frozen=True)
class DrawnPair:
    """A bird and its likeness on paper.

    Attributes:
        left: The bird, RGB uint8 [S, S, 3].
        right: The same bird on paper, RGB uint8 [S, S, 3].
        bird: What both show.
        scene_left: How left shows it.
        scene_right: How right poses it.
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    bird: Bird
    scene_left: Scene
    scene_right: Scene


@dataclass(frozen=True)
class PairReport:
    """What a run has written.

    Attributes:
        out: The folder.
        pairs: How many pairs it holds.
        drawn: How many of them this run drew; the others were there already.
        seconds: How long the run took, with starting its processes.
    """

    out: Path
    pairs: int
    drawn: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Pairs drawn per second."""
        return self.drawn / self.seconds if self.seconds > 0 else 0.0


def draw_pair(
    number: int, seed: int, kind: str = "sketch", *, size: int = 224, split: str = "all"
) -> DrawnPair:
    """Draw pair number n of a seed; it depends on the arguments alone.

    Args:
        number: Not negative.
        seed: Not negative; another seed, other birds.
        kind: How the right picture is drawn, one of :data:`avsl_core.aviary.sketch.SKETCHES`.
        size: Side of the pictures in pixels.
        split: Whose species the birds are like: "train", "val", "test" or "all".

    Raises:
        ConfigError: If an argument is out of range.
    """
    bird, scenes = _pair(number, seed, split)
    return DrawnPair(render(bird, scenes[0], size), sketch(bird, scenes[1], kind, size), bird, *scenes)


def write_pairs(
    out: str | os.PathLike[str],
    count: int,
    seed: int,
    kind: str = "sketch",
    *,
    size: int = 224,
    split: str = "all",
    workers: int | None = None,
    format: str = "webp",
    progress: bool = False,
) -> PairReport:
    """Write OUT/left/NNNN.webp and OUT/right/NNNN.webp, which `avsl_core.data.read_pairs` reads.

    The bytes depend on the arguments alone, not on the number of workers. A run that was broken off is taken
    up by calling again with the same arguments.

    Args:
        out: A new or empty folder, or one that a run with the same arguments began.
        count: How many pairs.
        seed: Not negative; another seed, other birds.
        kind: How the right pictures are drawn, one of :data:`avsl_core.aviary.sketch.SKETCHES`.
        size: Side of the pictures in pixels, 32 to 2048.
        split: Whose species the birds are like: "train", "val", "test" or "all".
        workers: Processes that draw; by default one for each processor, 0 or 1 draws in this process.
        format: One of :data:`avsl_core.aviary.write.FORMATS`.
        progress: Show progress on standard error.

    Raises:
        ConfigError: An argument is out of range.
        DataError: The folder holds anything else than this run's files, or cannot be written.
    """
    started = time.monotonic()
    check_arguments(seed, size, workers, format)
    if count < 1:
        raise ConfigError(f"count of pairs must be at least 1, not {count}")
    if kind not in SKETCHES:
        raise ConfigError(f"kind of pairs: {kind!r} is not one of {', '.join(SKETCHES)}")
    species_of(split)
    folder = Path(out)
    settings = {"pairs": kind, "count": count, "seed": seed, "size": size, "split": split, "format": format}
    files = [f"{side}/{n:04d}.{format}" for n in range(count) for side in ("left", "right")]
    claim_folder(folder, settings, ["aviary.jsonl", *files])
    try:
        missing = [n for n in range(count) if not _is_complete(folder, n, format)]
        work = functools.partial(
            _draw_files, folder=folder, seed=seed, kind=kind, size=size, split=split, format=format
        )
        with tqdm(total=count, unit=" pairs", desc="drawing", disable=not progress) as bar:
            bar.update(count - len(missing))
            run_in_processes(work, missing, os.cpu_count() or 1 if workers is None else workers, bar.update)
        lines = [_line(n, seed, split, format) for n in range(count)]
        replace_file(folder / "aviary.jsonl", ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror}); mend that and run again to continue"
        ) from error
    return PairReport(folder, count, len(missing), time.monotonic() - started)


def _pair(number: int, seed: int, split: str) -> tuple[Bird, tuple[Scene, Scene]]:
    generator = np.random.default_rng((seed, number, _PAIRS))
    bird = sample_individual(generator, split)
    return bird, (sample_scene(generator), sample_scene(generator))


def _is_complete(folder: Path, number: int, format: str) -> bool:
    return all((folder / side / f"{number:04d}.{format}").is_file() for side in ("left", "right"))


def _draw_files(
    numbers: Sequence[int], *, folder: Path, seed: int, kind: str, size: int, split: str, format: str
) -> None:
    for number in numbers:
        pair = draw_pair(number, seed, kind, size=size, split=split)
        for side, pixels in (("left", pair.left), ("right", pair.right)):
            replace_file(folder / side / f"{number:04d}.{format}", encode_picture_file(pixels, format))


def _line(number: int, seed: int, split: str, format: str) -> str:
    bird, (left, right) = _pair(number, seed, split)
    return json.dumps(
        {
            "left": f"left/{number:04d}.{format}",
            "right": f"right/{number:04d}.{format}",
            "bird": bird.to_dict(),
            "scene_left": left.to_dict(),
            "scene_right": right.to_dict(),
        }
    )
