"""``extract``: the encodings of a folder of pictures as arrays."""

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from avsl_core.adaptation import extract_features, frozen_model, preprocess_of
from avsl_core.adaptation.process import PROCESSORS, list_with_parts, process_features, write_features
from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.cli.backbone import add_backbone_options, parse_levels
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.errors import ConfigError
from avsl_core.extraction import extract_pictures, list_for_extraction, write_arrays
from avsl_core.images import Preprocess
from avsl_core.models import AdaptationModel
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Encode the pictures of a folder, or those listed in a text file (one path a line), and write arrays that
numpy.load reads:

  vectors, gates   one row a picture: what the model's distance is computed from
  node_vectors     the same, scaled so that the squared Euclidean distance is the model's for a typical
                   pair: for clustering, maps and other programs
  paths            names below the folder
  labels, classes  numbers and names of the folders FOLDER/<class>/; -1 is none
  parts, widths    the levels, and how many columns of the vectors each has

Pictures that cannot be read are reported and left out. All rows are held in memory, about 10 kB a picture
with the default model; for more than some 100,000 pictures use `index`, which can also go on where it
stopped.

With --backbone the features are those of a frozen network: its stages pooled, each scaled to length 1, side
by side. --processor pca reduces them to principal components of a training part (part train of a split file,
else a share of the pairs in left/ and right/, of the classes, or of the pictures); adapt and adapt-pca apply
what `adapt` has learned, for which --adaptation CHECKPOINT names network, adaptation and division: of the
pairs it was learned from, the training part is the one that it learned from. The arrays are then
vectors, paths, labels, classes, parts and widths as above, and

  mirrored         whether the row is of a mirror image (--mirrored), which follow all pictures
  train            whether the picture is of the training part"""

_USAGE = """%(prog)s [options] CHECKPOINT FOLDER OUT.npz
       %(prog)s --backbone NAME [options] FOLDER OUT.npz
       %(prog)s --adaptation CHECKPOINT --processor adapt [options] FOLDER OUT.npz"""

_SPLIT = 0.75

_EXAMPLES = """examples:
  train_cli.py extract default pictures/ pictures.npz
  train_cli.py extract --backbone resnet50 pictures/ resnet50.npz
  train_cli.py extract --backbone clip:RN50x4 --processor pca --pca 256 pairs/ clip.npz"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "extract",
        help="write the encodings of a folder as arrays",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="file or shipped name")
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="pictures, with or without classes, or a list file"
    )
    out = parser.add_argument("out", type=Path, metavar="OUT.npz", help="file to write")
    out.required = False  # with --backbone there is no CHECKPOINT, and the two others move up
    add_backbone_options(parser)
    parser.add_argument("--processor", choices=PROCESSORS, default="save", help="of features (%(default)s)")
    parser.add_argument("--pca", type=int, default=0, metavar="N", help="principal components")
    parser.add_argument("--adaptation", metavar="CHECKPOINT", help="trained by `adapt`")
    parser.add_argument("--mirrored", action="store_true", help="features of the mirror images as well")
    parser.add_argument("--split", type=float, help=f"share of the training part ({_SPLIT})")
    parser.add_argument("--seed", type=int, help="which of the random divisions (0)")
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    parser.add_argument("--precision", choices=("none", "bf16", "fp16"), default="none", help="of the trunk")
    add_device_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.batch_size < 1 or options.workers < 0:
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    if options.backbone is not None or options.adaptation is not None:
        return _run_features(options)
    _check_checkpoint_form(options)
    if options.out.suffix != ".npz" or options.out.is_dir():
        raise ConfigError(f"{options.out}: the arrays go to one file; end its name in .npz")
    pictures = list_for_extraction(options.folder)
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    started = time.monotonic()
    extraction = extract_pictures(
        checkpoint,
        pictures,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
        progress=True,
    )
    write_arrays(checkpoint, extraction, options.out)
    dimensions = int(extraction.rows.vectors.shape[1])
    _report(
        options, len(extraction.pictures), dimensions, len(extraction.skipped), time.monotonic() - started
    )
    return 0


def _check_checkpoint_form(options: argparse.Namespace) -> None:
    """Refuse what only a frozen network's features have; nothing given is ignored."""
    if options.out is None:
        raise ConfigError("give CHECKPOINT FOLDER OUT.npz, or --backbone NAME FOLDER OUT.npz")
    given = {
        "--weights": options.weights is not None,
        "--levels": options.levels is not None,
        "--processor": options.processor != "save",
        "--pca": options.pca != 0,
        "--mirrored": options.mirrored,
        "--split": options.split is not None,
        "--seed": options.seed is not None,
    }
    unfit = next((name for name, is_given in given.items() if is_given), None)
    if unfit is not None:
        raise ConfigError(f"{unfit} goes with --backbone NAME, not with a checkpoint: leave one of them out")


def _run_features(options: argparse.Namespace) -> int:
    """Features of a frozen network: FOLDER OUT.npz."""
    if options.out is not None:
        raise ConfigError(
            "with --backbone or --adaptation give FOLDER OUT.npz, and no CHECKPOINT before them"
        )
    options.folder, options.out = Path(options.checkpoint), options.folder
    if options.out.suffix != ".npz" or options.out.is_dir():
        raise ConfigError(f"{options.out}: the arrays go to one file; end its name in .npz")
    if options.pca and options.processor != "pca":
        raise ConfigError("--pca goes with --processor pca: leave one of them out")
    if options.adaptation is None:
        split, seed = _division(options, None)
        pictures, training = list_with_parts(options.folder, split, seed)
        model, preprocess = _frozen(options)
    else:
        model, checkpoint = _learned(options)
        preprocess = checkpoint.preprocess
        split, seed = _division(options, checkpoint)
        pictures, training = list_with_parts(options.folder, split, seed)
    adapted = options.processor in ("adapt", "adapt-pca")
    started = time.monotonic()
    features = extract_features(
        model,
        preprocess,
        pictures,
        mirrored=options.mirrored,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
        progress=True,
    )
    if features.skipped:  # which divides the pairs that are left, as `adapt` does
        unreadable = {one.path for one in pictures} - {one.path for one in features.pictures}
        _, training = list_with_parts(options.folder, split, seed, unreadable=unreadable)
    train = [picture.name in training for picture in features.pictures]
    views = [features.vectors] if features.mirrored is None else [features.vectors, features.mirrored]
    rows = process_features(
        torch.cat(views),
        options.processor,
        training=torch.tensor(train * len(views)),
        pca=options.pca,
        adaptation=model if adapted else None,
    )
    write_features(options.out, model, features, rows, options.processor, train)
    seconds = time.monotonic() - started
    _report(options, len(features.pictures), int(rows.shape[1]), len(features.skipped), seconds)
    return 0


def _frozen(options: argparse.Namespace) -> tuple[AdaptationModel, Preprocess]:
    """The network by name."""
    if options.processor in ("adapt", "adapt-pca"):
        raise ConfigError(f"--processor {options.processor} needs --adaptation CHECKPOINT")
    frozen = frozen_model(options.backbone, levels=parse_levels(options.levels), weights=options.weights)
    return frozen.to(resolve_device(options.device)), preprocess_of(frozen)


def _learned(options: argparse.Namespace) -> tuple[AdaptationModel, Checkpoint]:
    """The adaptation, and the checkpoint that it is in."""
    if options.processor not in ("adapt", "adapt-pca"):
        raise ConfigError("--adaptation goes with --processor adapt or adapt-pca")
    if options.weights is not None:
        raise ConfigError("the network's weights come with the adaptation: leave out --weights")
    checkpoint = load_checkpoint(options.adaptation, resolve_device(options.device))
    model = checkpoint.model
    if not isinstance(model, AdaptationModel):
        raise ConfigError(f"{options.adaptation}: a model of {model.method}, not an adaptation; use `adapt`")
    learned = model.config.backbone
    for what, given, own in (
        ("backbone", options.backbone, learned.name),
        ("levels", parse_levels(options.levels), learned.levels),
    ):
        if given is not None and given != own:
            raise ConfigError(f"{options.adaptation}: was learned on {what} {own}, not {given}")
    return model, checkpoint


def _division(options: argparse.Namespace, checkpoint: Checkpoint | None) -> tuple[float, int]:
    """Share and seed of the training part: as given, or as the adaptation was learned."""
    if checkpoint is None:
        split = _SPLIT if options.split is None else options.split
        return split, 0 if options.seed is None else options.seed
    for name in ("split", "seed"):
        if getattr(options, name) is not None:
            raise ConfigError(f"the adaptation's training part is decided: leave out --{name}")
    learned_split, learned_seed = (checkpoint.record.get(name) for name in ("split", "seed"))
    if not isinstance(learned_split, float) or not isinstance(learned_seed, int):
        raise ConfigError(
            f"{options.adaptation}: does not say which part it was learned from; learn it again with `adapt`"
        )
    return learned_split, learned_seed


def _report(options: argparse.Namespace, count: int, dimensions: int, skipped: int, seconds: float) -> None:
    if options.json:
        print_json(
            {
                "pictures": count,
                "dimensions": dimensions,
                "skipped": skipped,
                "seconds": seconds,
                "out": str(options.out),
            }
        )
    else:
        left_out = f", {skipped:,} left out" if skipped else ""
        print_lines([f"{options.out}: {count:,} pictures in {seconds:.1f} s{left_out}"])
