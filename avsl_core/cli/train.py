"""``train``: learn a similarity from a folder of classes or a published data set."""

import argparse
import logging
from pathlib import Path
from typing import Any

from avsl_core.cli.output import add_crop_option, add_device_option, print_lines
from avsl_core.data import DATASETS, LoadOptions, Split, kind_of, load_dataset, write_split
from avsl_core.errors import ConfigError, DataError
from avsl_core.precision import effective_precision
from avsl_core.training import RECIPES, Trainer, TrainResult, find_recipe, start_process, stop_process

__all__ = ["add_command", "add_learning_options", "data_record", "read_split"]

_DESCRIPTION = """\
Train a model by a named recipe. DATA is a folder of classes, DATA/<class>/<picture>, or a split file (.json),
unless --dataset names something else. Classes, not pictures, are split: the model learns on some, the best
epoch is chosen on others, and the test classes are never looked at.

Interrupt with Ctrl-C at any time and go on with --resume: at most the running epoch is lost."""

_EPILOG = f"""\
recipes: {", ".join(RECIPES)}
  cub, cars, sop   the published ones (ResNet-50; a GPU)
  cpu              heads on cached maps of a small frozen trunk: minutes on two cores
  whole            the same small network, all of it learning (a GPU)
  cgd, cpu-cgd     several descriptors of one map: the published recipe (a GPU), and on cached maps
  diml, cpu-diml   cells of one map matched by optimal transport: the same two ways
  raml, cpu-raml   a student that looks at small pictures, and its teacher: the same two ways

examples:
  train_cli.py train --recipe cpu --data pictures/ --out my.safetensors
  train_cli.py train --recipe cpu --data pictures/ --out my.safetensors --set finetune_epochs=3
  torchrun --nproc-per-node 4 train_cli.py train --recipe cub --dataset cub --data CUB_200_2011.tgz \\
      --out cub.safetensors
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a model on your pictures",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_learning_options(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="CHECKPOINT", help="the .safetensors file to write"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="where cached maps go (beside the checkpoint)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last whole epoch")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_device_option(parser)
    parser.set_defaults(run=_run)


def add_learning_options(parser: argparse.ArgumentParser) -> None:
    """What a command that trains is told of recipe and pictures."""
    parser.add_argument("--recipe", required=True, metavar="NAME", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--data", required=True, type=Path, help="folder, split file or archive")
    parser.add_argument(
        "--dataset",
        metavar="KIND",
        help=f"one of {', '.join(DATASETS)}; a .json is a split file, else folder",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change an option of the recipe; repeatable",
    )
    parser.add_argument(
        "--split",
        default="0.6,0.2,0.2",
        metavar="TRAIN,VAL,TEST",
        help="shares of the classes, for data without a split of its own",
    )
    parser.add_argument("--split-seed", type=int, default=0, help="which classes fall into which part")
    parser.add_argument(
        "--val-fraction", type=float, default=0.1, help="share of official training classes to validate on"
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch a torchvision data set if it is missing"
    )
    add_crop_option(parser)


def read_split(options: argparse.Namespace) -> Split:
    """The division of the pictures that a command was given; it has a training part.

    Raises:
        DataError: If the pictures cannot be read, or none is for training.
    """
    loading = LoadOptions(
        fractions=_fractions(options.split),
        val_fraction=options.val_fraction,
        seed=options.split_seed,
        download=options.download,
        crop_to_box=options.crop_to_box,
    )
    split = load_dataset(_kind(options), options.data, loading)
    if split.train is None:
        raise DataError(f"{options.data}: has no training part")
    return split


def data_record(split: Split, options: argparse.Namespace) -> dict[str, Any]:
    """What was learned from, for the checkpoint."""
    return {
        "data": options.data.name,
        "dataset": _kind(options),
        "parts": {name: {"classes": p.num_classes, "pictures": len(p)} for name, p in split.parts().items()},
        "split_seed": options.split_seed,
        "crop_to_box": options.crop_to_box,
    }


def _run(options: argparse.Namespace) -> int:
    config = find_recipe(options.recipe, options.set)
    _check_out(options.out)
    split = read_split(options)
    assert split.train is not None
    logging.getLogger("avsl_core").setLevel(logging.WARNING if options.quiet else logging.INFO)
    process = start_process(options.device)
    if any(text.startswith("amp=") for text in options.set):
        effective_precision(config.amp, process.device)  # says so, as loudly as a wish of one's own deserves
    try:
        trainer = Trainer(
            config,
            split.train,
            split.val,
            options.out,
            process,
            cache_root=options.cache,
            progress=not options.quiet,
            record=data_record(split, options),
        )

        def keep_split() -> None:
            # Beside the run, so that `evaluate` can be given the classes that were held out.
            if process.is_first:
                trainer.folder.mkdir(parents=True, exist_ok=True)
                write_split(split, trainer.folder / "split.json")

        result = trainer.fit(resume=options.resume, on_begin=keep_split)
    finally:
        stop_process()
    if process.is_first:
        print_lines(_summary(result))
    return 0


def _check_out(out: Path) -> None:
    """Refuse at once what would fail only when the first epoch is over."""
    if not out.name or out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name the file to write, such as my.safetensors")
    if out.suffix == ".run":
        raise ConfigError(f"--out {out}: the run's own folder has that name; end it in .safetensors")


def _kind(options: argparse.Namespace) -> str:
    return options.dataset or kind_of(options.data)


def _fractions(text: str) -> tuple[float, float, float]:
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise DataError(f"--split {text}: write three shares, such as 0.6,0.2,0.2") from error
    return train, val, test


def _summary(result: TrainResult) -> list[str]:
    lines = [f"{result.checkpoint}: the model of epoch {result.best_epoch}"]
    for key in ("recall@1", "map@r"):
        value = result.validation.get(key)
        if value is not None:
            lines.append(f"validation {key}: {100 * value:.2f} %")
    return lines
