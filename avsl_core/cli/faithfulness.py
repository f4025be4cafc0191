"""``faithfulness``: whether explanations of a model's distances are true."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avsl_core.checkpoint import load_checkpoint
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Measure how true explanations are, on pairs of made birds that differ in exactly one part. The ledger (the
model's own account) and its rivals explain the same pairs:

  pointing   the strongest place of the two maps lies on the changed part (area: what chance would reach)
  mass       share of what pushes apart that lies on the part
  deletion   the distance that is left, on average, while both pictures lose what a map ranks highest:
             lower is better; insertion: while they regain it: higher is better
  ms         time per pair, from pixels to maps (median)

Without --json a table; with it, also figures by part and by level, curves and whatever was asked for."""

_EXAMPLES = """\
  train_cli.py faithfulness default --pairs 90 --seed 1
  train_cli.py faithfulness default --pairs 200 --methods ledger,grad_cam --json
  train_cli.py faithfulness default --pairs 45 --photos pictures/ --sanity --levels --json"""

_COLUMNS = ("pointing", "pointing_15px", "mass", "area", "deletion", "insertion", "ms")


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "faithfulness",
        help="measure whether explanations are true",
        description=_DESCRIPTION,
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument("--pairs", type=int, default=45, metavar="N", help="made pairs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other pairs (0)")
    parser.add_argument("--methods", metavar="A,B", help="only these, by the names in the table")
    parser.add_argument(
        "--perturbation-pairs", type=int, metavar="N", help="pairs for deletion and insertion (the first 20)"
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="FOLDER/<class>/<picture>: deletion and insertion on photographs of different classes too",
    )
    parser.add_argument("--sanity", action="store_true", help="destroy the model bit by bit: do maps change?")
    parser.add_argument("--levels", action="store_true", help="measure what the level bars mean")
    add_json_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Not at the top: the statistics it uses take a while to load, and other commands do without.
    from avsl_core.faithfulness import measure_faithfulness

    given = None if options.methods is None else (name.strip() for name in options.methods.split(","))
    methods = None if given is None else [name for name in given if name]
    report = measure_faithfulness(
        load_checkpoint(options.checkpoint, resolve_device(options.device)),
        pairs=options.pairs,
        seed=options.seed,
        methods=methods,
        perturbation_pairs=options.perturbation_pairs,
        photos=options.photos,
        sanity=options.sanity,
        levels=options.levels,
        progress=True,
    )
    if options.json:
        print_json(report)
    else:
        print_lines(_as_text(report))
    return 0


def _as_text(report: Mapping[str, Mapping[str, Any]]) -> list[str]:
    wide = {name: max(len(name), 7) + 2 for name in _COLUMNS}
    lines = [f"{'method':<22}" + "".join(f"{name:>{wide[name]}}" for name in _COLUMNS)]
    lines += [
        f"{method:<22}" + "".join(f"{_figure(name, values[name]):>{wide[name]}}" for name in _COLUMNS)
        for method, values in report.items()
    ]
    for method, values in report.items():
        for key in ("species", "photos"):
            if key in values:
                one = values[key]
                lines.append(
                    f"{method} on {key}: deletion {one['deletion']:.3f}, insertion {one['insertion']:.3f}"
                )
        if "completeness" in values:
            lines.append(f"{method} adds up to within {values['completeness']['worst']:.1e} (worst pair)")
        if "sanity" in values:
            steps = ", ".join(f"{step} {value:.2f}" for step, value in values["sanity"].items())
            lines.append(f"{method} against destroyed models: {steps}")
        if "level_truth" in values:
            lines.append(values["level_truth"]["says"])
    return lines


def _figure(column: str, value: float) -> str:
    if column == "ms":
        return f"{value:.1f}"
    return f"{value:.3f}" if column in ("deletion", "insertion") else f"{100 * value:.1f} %"
