"""``tune``: search a recipe's options on the validation classes."""

import argparse
import logging
from pathlib import Path
from typing import Any

from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.cli.train import add_learning_options, data_record, read_split
from avsl_core.data import write_split
from avsl_core.errors import ConfigError, DataError
from avsl_core.training import find_recipe, start_process, stop_process

__all__ = ["add_command"]

_DESCRIPTION = """\
Train a recipe N times with other options, and keep what does best on the validation classes. What a trial
tries depends on how the trials before it did; trials that fall behind the median are given up early. OUT
holds the best model (best.safetensors), a table of all trials (trials.csv), the division of the pictures
(split.json) and the search itself: the same command goes on where an interruption left it, and more
--trials add to it. The test classes are never looked at.

Options are named as with --set. KEY=LOW:HIGH draws from a range, KEY=LOW:HIGH:log evenly in its logarithm,
KEY=A,B,C from a list."""

_EXAMPLES = """\
examples:
  train_cli.py tune --recipe cpu --data pictures/ --out search/ --trials 20 \\
      --search lr_heads=1e-5:1e-2:log --search head_init=kaiming,pca
  train_cli.py tune --recipe cpu-raml --data pictures/ --out search/ --trials 30 \\
      --search raml.relational_ts=0:4 --search raml.relational_ss=0:4 --metric recall@1
  train_cli.py evaluate search/best.safetensors search/split.json
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tune",
        help="search a recipe's options",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_learning_options(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the search lives")
    parser.add_argument("--trials", required=True, type=int, metavar="N", help="how many there are to be")
    parser.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="an option to search, and its values; repeatable",
    )
    parser.add_argument(
        "--metric", choices=("map@r", "recall@1"), default="map@r", help="what to maximise (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the proposals (%(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars, no line for each trial")
    add_json_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Searching needs a library that no other command does.
    import optuna

    from avsl_core.training.search_space import parse_search
    from avsl_core.training.tuning import TrialOutcome, tune

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    recipe = find_recipe(options.recipe, options.set)
    search = [parse_search(recipe, text) for text in options.search]
    if options.seed < 0:
        raise ConfigError(f"--seed {options.seed}: must be 0 or more")
    if options.out.exists() and not options.out.is_dir():
        raise ConfigError(f"--out {options.out}: is a file; name a folder for the search")
    split = read_split(options)
    if split.train is None or split.val is None:
        raise DataError(f"{options.data}: has no validation part to judge by; give it a share with --split")
    log = logging.getLogger("avsl_core.tune")
    log.setLevel(logging.WARNING if options.quiet else logging.INFO)

    def tell(outcome: TrialOutcome) -> None:
        log.info("%s", _line(outcome, options.metric))

    process = start_process(options.device)
    try:
        result = tune(
            recipe,
            search,
            split.train,
            split.val,
            options.out,
            process,
            trials=options.trials,
            metric=options.metric,
            seed=options.seed,
            progress=not options.quiet,
            record=data_record(split, options),
            on_trial=tell,
        )
    finally:
        stop_process()
    write_split(split, options.out / "split.json")
    if options.json:
        print_json(
            {
                "checkpoint": str(result.checkpoint),
                options.metric: result.best.value,
                "trial": result.best.number,
                "options": result.best.options,
                "trials": len(result.trials),
            }
        )
        return 0
    chosen = [f"  --set {key}={value}" for key, value in result.best.options.items()]
    print_lines(
        [
            f"{result.checkpoint}: the best of {len(result.trials)} trials, {result.table} lists all",
            _line(result.best, options.metric),
            *chosen,
        ]
    )
    return 0


def _line(outcome: Any, metric: str) -> str:
    value = "" if outcome.value is None else f", validation {metric} {100 * outcome.value:.2f} %"
    why = "" if outcome.error is None else f": {outcome.error}"
    return f"trial {outcome.number}: {outcome.state}{value} in {outcome.seconds:.0f} s{why}"
