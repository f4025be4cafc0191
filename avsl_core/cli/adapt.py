"""``adapt``: learn from pairs which features of a frozen network matter."""

import argparse
import functools
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from avsl_core.adaptation import (
    AdaptationResult,
    FitOptions,
    RunOptions,
    adapt_pairs,
    default_weights,
    frozen_model,
    pair_features,
    preprocess_of,
)
from avsl_core.checkpoint import save_checkpoint
from avsl_core.cli.backbone import add_backbone_options, parse_levels, parse_numbers
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.data import PairSet, read_pairs
from avsl_core.errors import ConfigError
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Learn from pairs of pictures that look alike which features of a frozen network matter. PAIRS holds two
folders, left and right; pictures of the same name (without the ending) are partners.

The network's stages are pooled, each scaled to length 1, put side by side, and reduced to the principal
components of the training part (--pca 0 leaves them as they are). A single layer on top learns to tell
partners from all others. Each run divides the pairs anew, learns on one part and is judged on the other: aR@k
says how often a picture is among the k nearest of its partner, or the partner among its own. The checkpoint
holds the first run's model; compare, index, search and the app take it like any other.

Features are kept beside the checkpoint (CHECKPOINT without its ending, .features.npz), so that a second call
learns at once."""

_EXAMPLES = """\
examples:
  train_cli.py aviary sketches/ --pairs sketch --count 1000 --seed 1
  train_cli.py adapt sketches/ --out sketches.safetensors
  train_cli.py adapt pairs/ --out clip.safetensors --backbone clip:RN50x4"""

_IDLE = {"peterson": ("width",), "dummy": ("width", "steps", "lr", "tensorboard")}
"""Options that a kind never looks at: one weight a feature has no width, and nothing learns in no steps."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "adapt",
        help="learn from pairs which features of a frozen network matter",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", type=Path, metavar="PAIRS", help="folder with left/ and right/")
    parser.add_argument(
        "--out", required=True, type=Path, metavar="CHECKPOINT", help="the .safetensors file to write"
    )
    add_backbone_options(parser, default="tf_efficientnet_lite0")
    parser.add_argument(
        "--kind",
        choices=("original", "peterson", "dummy"),
        default="original",
        help="ReLU(W x), x * ReLU(w), or the features themselves (%(default)s)",
    )
    parser.add_argument("--width", type=int, help=f"outputs of the original ({FitOptions.width})")
    parser.add_argument(
        "--pca", type=int, default=256, metavar="N", help="principal components, 0 for none (%(default)s)"
    )
    parser.add_argument("--temperature", type=float, default=15.0, help="multiplies cosines (%(default)s)")
    parser.add_argument("--steps", type=int, help=f"of Adam, on all pairs at once ({FitOptions.steps})")
    parser.add_argument("--lr", type=float, help="learning rate (one that suits the kind)")
    parser.add_argument("--runs", type=int, default=5, help="divisions of the pairs (%(default)s)")
    parser.add_argument("--split", type=float, default=0.75, help="share to learn from (%(default)s)")
    parser.add_argument("--top-k", default="1,3,5", metavar="K,...", help="the k of aR@k (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first run (%(default)s)")
    parser.add_argument(
        "--mirrored",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="learn from the mirror images as well (yes)",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    parser.add_argument("--precision", choices=("none", "bf16", "fp16"), default="none", help="of the trunk")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write each run's loss beside the checkpoint"
    )
    add_device_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    fit = _fit_options(options)
    ks = tuple(parse_numbers("--top-k", options.top_k))
    runs = RunOptions(options.runs, options.split, ks, options.seed)
    _check(options)
    pairs = read_pairs(options.pairs)
    device = resolve_device(options.device)
    started = time.monotonic()
    frozen = frozen_model(options.backbone, levels=parse_levels(options.levels), weights=options.weights).to(
        device
    )
    preprocess = preprocess_of(frozen)
    pairs, features = pair_features(
        frozen,
        preprocess,
        pairs,
        options.out.with_suffix(".features.npz"),
        mirrored=options.mirrored,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
        progress=True,
    )
    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(
                total=runs.runs * fit.steps,
                unit=" steps",
                desc="adapting",
                disable=fit.kind == "dummy",  # which takes no steps
            )
        )
        writers = _event_writers(options, runs, stack)

        def stepped(run: int, step: int, loss: float) -> None:
            bar.update()
            if step % 10 == 0:
                bar.set_postfix_str(f"run {run + 1} of {runs.runs}, loss {loss:.3f}", refresh=False)
            if writers:
                writers[run](step, loss)

        record = {"weights": options.weights or default_weights(options.backbone)}
        result = adapt_pairs(
            frozen, preprocess, pairs, features.to(device), fit, runs, record=record, on_step=stepped
        )
    save_checkpoint(result.checkpoint, options.out)
    _report(options, pairs, result, time.monotonic() - started)
    return 0


def _fit_options(options: argparse.Namespace) -> FitOptions:
    """How to learn; what a kind never looks at is refused where it is given."""
    idle = _IDLE.get(options.kind, ())
    unfit = next((name for name in idle if getattr(options, name) not in (None, False)), None)
    if unfit is not None:
        raise ConfigError(f"--{unfit} means nothing to --kind {options.kind}: leave one of them out")
    asked = {name: getattr(options, name) for name in ("width", "steps", "lr")}
    given = {name: value for name, value in asked.items() if value is not None}
    return FitOptions(kind=options.kind, pca=options.pca, temperature=options.temperature, **given)


def _check(options: argparse.Namespace) -> None:
    """Refuse at once what would fail only when the features are there."""
    if options.batch_size < 1 or options.workers < 0:
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    if not options.out.name or options.out.is_dir():
        raise ConfigError(f"--out {options.out}: is a folder; name the file, such as my.safetensors")
    if not 0 < options.split < 1:
        raise ConfigError(f"--split {options.split:g}: the share to learn from lies between 0 and 1")


def _event_writers(
    options: argparse.Namespace, runs: RunOptions, stack: ExitStack
) -> list[Callable[[int, float], None]]:
    """One function a run that writes a step's loss, or none."""
    if not options.tensorboard:
        return []
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError("--tensorboard needs the package: pip install tensorboard") from error
    writers: list[Callable[[int, float], None]] = []
    for number in range(runs.runs):
        folder = options.out.with_suffix(".tensorboard") / f"run{number}"
        events: Any = stack.enter_context(SummaryWriter(str(folder)))
        writers.append(functools.partial(_write_loss, events))
    return writers


def _write_loss(events: Any, step: int, loss: float) -> None:
    events.add_scalar("loss", loss, step)


def _report(options: argparse.Namespace, pairs: PairSet, result: AdaptationResult, seconds: float) -> None:
    summary = result.summary()
    if options.json:
        print_json(
            {
                "out": str(options.out),
                "pairs": len(pairs),
                "left_out": len(pairs.alone),
                "runs": [vars(run) for run in result.runs],
                "summary": summary,
                "seconds": seconds,
            }
        )
        return
    lines = [pairs.summary(), f"{'':<8}{'before':>18}{'after':>18}"]
    for key in summary["before"]:
        cells = [summary[when][key] for when in ("before", "after")]
        texts = [f"{100 * cell['mean']:.1f} ± {100 * cell['deviation']:.1f} %" for cell in cells]
        lines.append(f"{key.replace('asymmetric_recall', 'aR'):<8}{texts[0]:>18}{texts[1]:>18}")
    test = result.runs[0].test
    lines.append(f"mean and deviation of {len(result.runs)} runs, {test} held-out pairs each")
    print_lines([*lines, f"{options.out}: the model of the first run, in {seconds:.1f} s"])
