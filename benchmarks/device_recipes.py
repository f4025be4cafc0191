"""The part of device.py that runs published recipes as they are, through the trainer, on drawn pictures.

Each method's first epochs: its own batch, resolution, pictures per class, accumulation, views and precision.
Only the length of an epoch is ours, a given number of steps.
"""

import argparse
import csv
import functools
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from avsl_core.adaptation import (
    FitOptions,
    RunOptions,
    adapt_pairs,
    frozen_model,
    pair_features,
    preprocess_of,
)
from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.data import PictureSet, read_folder, read_pairs
from avsl_core.errors import AvslError
from avsl_core.precision import Precision, effective_precision
from avsl_core.training import RECIPES, Process, TrainConfig, Trainer

__all__ = ["METHODS", "failures", "measure_recipes"]

_PER_SPECIES = 8
_COMPONENTS, _SHARE = 256, 0.75  # as published
_ADAPTATION_AMP: Precision = "bf16"  # as in all recipes: an adaptation has none


class _EnoughError(Exception):
    """Ends a run whose schedule is meant to go on."""


def _recipes() -> dict[str, TrainConfig]:
    cub = RECIPES["cub"]
    return {
        "avsl": cub,
        "proxy-anchor": replace(cub, method="embedding", levels=(4,), level_weights=(1.0,)),
        "diml": RECIPES["diml"],
        "cgd": RECIPES["cgd"],
        "raml": RECIPES["raml"],
    }


METHODS = (*_recipes(), "adaptation")


def measure_recipes(options: argparse.Namespace, device: torch.device) -> dict[str, dict[str, Any]]:
    """One row a method and phase, see :func:`train` and :func:`adapt`; what fails says how."""
    rows: dict[str, dict[str, Any]] = {}

    def row(name: str, measured: Callable[[], dict[str, Any]]) -> None:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        try:
            rows[name] = measured()
        except (AvslError, torch.OutOfMemoryError) as error:
            rows[name] = {"failed": f"{type(error).__name__}: {error}"}
        print(name, rows[name], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for method, published in _recipes().items():
            if method not in (options.only or METHODS):
                continue
            config = _changed(published, options)
            pictures = _pictures(config, options)
            run = functools.partial(train, pictures=pictures, options=options, device=device)
            if config.warmup_epochs:
                row(f"{method}, warm-up", functools.partial(run, config, out=out / f"{method}-warm-up"))
                config = replace(config, warmup_epochs=0)
            name = f"{method}, teacher" if method == "raml" else method
            row(name, functools.partial(run, config, out=out / method))
            if method == "raml" and "failed" not in rows[name]:
                student = replace(
                    config,
                    epochs=config.total_epochs - config.raml.teacher_epochs,
                    raml=replace(config.raml, teacher_epochs=0, teacher=str(out / "raml.safetensors")),
                )
                row("raml, student", functools.partial(run, student, out=out / "student"))
        if "adaptation" in (options.only or METHODS):
            row("adaptation", functools.partial(adapt, out, options, device))
    return rows


def train(
    config: TrainConfig, pictures: PictureSet, out: Path, options: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    """The first epochs of a recipe: the rate of the last of them, all losses, and peak memory.

    Raises:
        TrainingError: If a loss is not finite.
        torch.OutOfMemoryError: If the device's memory is full.
    """
    target = out.with_suffix(".safetensors")
    trainer = Trainer(config, pictures, None, target, Process(0, 1, device), progress=False)

    def stop(epoch: int, evaluation: Any) -> None:
        if epoch == options.epochs:
            raise _EnoughError

    try:
        trainer.fit(after_epoch=stop)
    except _EnoughError:
        save_checkpoint(Checkpoint(trainer.objective.judged, config.preprocess), target)
    with (trainer.folder / "log.csv").open(encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    losses = [float(epoch["loss/total"]) for epoch in epochs]
    views = config.views_at(0)
    rate = float(epochs[-1]["images_per_second"])
    return {
        "batch_size": config.batch_size,
        "accumulation": config.accumulation,
        "samples_per_class": config.samples_per_class,
        "views": views,
        "size": config.preprocess.size,
        "amp": trainer.config.amp,
        "trunk_learns": config.stages_at(0),
        "epochs": len(epochs),
        "images_per_second": round(rate, 2),
        "views_per_second": round(rate * views, 2),
        "losses": losses,
        "finite": all(map(math.isfinite, losses)),
        "peak_memory_gib": _peak(device),
    }


def adapt(out: Path, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Extract the features of drawn pairs and their mirror images, and learn one adaptation."""
    frozen = frozen_model(options.trunk, weights=options.weights).to(device)
    preprocess = preprocess_of(frozen)
    if options.size is not None:
        preprocess = replace(preprocess, size=options.size, resize=options.size)
    wanted = options.amp or _ADAPTATION_AMP

    def draw(folder: Path) -> None:
        # Drawing needs system libraries that a machine with a GPU may lack: there, bring the folder.
        from avsl_core.aviary import write_pairs

        write_pairs(folder, options.pairs, 1, size=preprocess.resize, progress=True)

    folder = drawn(options.work / f"pairs-{options.pairs}-{preprocess.resize}", draw)
    workers = 8 if options.workers is None else options.workers
    started = time.monotonic()
    pairs, features = pair_features(
        frozen,
        preprocess,
        read_pairs(folder),
        out / "features.npz",
        batch_size=options.batch or 32,
        workers=workers,
        precision=wanted,
    )
    extracted = time.monotonic() - started
    # A PCA needs more training pairs than components.
    fit = FitOptions(pca=_COMPONENTS if int(_SHARE * len(pairs)) > _COMPONENTS else 0)
    started = time.monotonic()
    result = adapt_pairs(
        frozen, preprocess, pairs, features.to(device), fit, RunOptions(runs=1, split=_SHARE, ks=(1,))
    )
    (run,) = result.runs
    return {
        "batch_size": options.batch or 32,
        "size": preprocess.size,
        "amp": effective_precision(wanted, device),
        "pairs": len(pairs),
        "pca": fit.pca,
        "images_per_second": round(4 * len(pairs) / extracted, 2),
        "fit_steps_per_second": round(fit.steps / (time.monotonic() - started), 2),
        "losses": [run.loss],
        "finite": math.isfinite(run.loss) and bool(features.left.isfinite().all()),
        "peak_memory_gib": _peak(device),
    }


def _changed(config: TrainConfig, options: argparse.Namespace) -> TrainConfig:
    """The recipe with what the command line asks for: weights and trunk, and all else only if given."""
    changes: dict[str, Any] = {"backbone": options.trunk, "weights": options.weights}
    raml: dict[str, Any] = {"student_weights": options.weights}
    if config.raml.student_backbone != "shared":
        raml["student_backbone"] = options.trunk
    if options.amp is not None:
        changes["amp"] = options.amp
    if options.workers is not None:
        changes["workers"] = options.workers
    if options.batch is not None:
        # As many parts as published, if each still has pictures of two classes.
        least = 2 * max(1, config.samples_per_class)
        parts = min(config.accumulation, max(1, options.batch // least))
        changes |= {"batch_size": options.batch, "accumulation": parts}
    if options.size is not None:
        side = options.size * config.raml.student_size // config.preprocess.size
        raml["student_size"] = max(1, side)
        changes["preprocess"] = replace(config.preprocess, size=options.size, resize=options.size)
    return replace(config, raml=replace(config.raml, **raml), **changes)


def _pictures(config: TrainConfig, options: argparse.Namespace) -> PictureSet:
    """Drawn birds, enough for an epoch of as many steps as asked for, drawn unless they are there."""
    count = options.steps * config.batch_size
    size = config.preprocess.resize

    def draw(folder: Path) -> None:
        from avsl_core.aviary import write_aviary

        species = max(2, count // _PER_SPECIES)
        write_aviary(folder, count, 1, size=size, species=min(species, 150), progress=True)

    return read_folder(drawn(options.work / f"birds-{count}-{size}", draw))


def drawn(folder: Path, draw: Callable[[Path], object]) -> Path:
    """The folder, filled by ``draw`` unless it is there; it bears its name only once it is full."""
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        draw(unfinished)  # goes on with what is there
        unfinished.rename(folder)
    return folder


def _peak(device: torch.device) -> float | None:
    """GiB that torch held at most; a CPU has no such figure."""
    if device.type != "cuda":
        return None
    return round(torch.cuda.max_memory_allocated(device) / 2**30, 2)


def failures(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What ran out of memory, failed, or lost its numbers."""
    return [
        f"{name}: {row.get('failed', 'not finite')}" for name, row in rows.items() if not row.get("finite")
    ]
