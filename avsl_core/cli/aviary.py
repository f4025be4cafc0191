"""``aviary``: draw a folder of made birds, whose every difference is known."""

import argparse
from pathlib import Path
from typing import Any

from avsl_core.cli.output import add_json_option, print_json, print_lines
from avsl_core.errors import ConfigError

__all__ = ["add_command"]

_DESCRIPTION = """\
Draw pictures of made birds into OUT/<species>/<picture>: up to 240 species of 20 families, each picture
in another pose, place, light and background. OUT/aviary.jsonl tells what every picture shows, and with
--split all OUT/split.json divides the species into train, val and test.

With --pairs the birds are single ones, each drawn twice: OUT/left/<number> shows it as above, OUT/right/
<number> on paper, as a pencil sketch or a silhouette, in another pose, place and size. `adapt` learns from
such pairs.

The same arguments give the same bytes. A run that was broken off is taken up by the same command."""

_EXAMPLES = """\
  train_cli.py aviary birds/ --count 2000 --seed 1
  train_cli.py aviary birds/ --count 2000 --seed 1 --masks birds-parts/
  train_cli.py train --recipe cpu --data birds/split.json --out birds.safetensors
  train_cli.py evaluate birds.safetensors birds/split.json
  train_cli.py aviary sketches/ --pairs sketch --count 1000 --seed 1
  train_cli.py adapt sketches/ --out sketches.safetensors"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "aviary",
        help="draw made birds to train and judge on",
        description=_DESCRIPTION,
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="new or empty folder, or one to continue")
    parser.add_argument("--count", type=int, required=True, metavar="N", help="how many pictures")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, other scenes (0)")
    parser.add_argument("--size", type=int, default=224, help="side of the pictures in pixels (%(default)s)")
    parser.add_argument(
        "--split", choices=("all", "train", "val", "test"), default="all", help="whose species (%(default)s)"
    )
    parser.add_argument(
        "--species", type=int, metavar="K", help="how many species (so many that each has about 8 pictures)"
    )
    parser.add_argument(
        "--pairs", choices=("sketch", "silhouette"), help="draw N pairs, the right one of each on paper"
    )
    parser.add_argument(
        "--masks", type=Path, metavar="FOLDER", help="also write there which part each pixel shows (PNG)"
    )
    parser.add_argument(
        "--format", choices=("webp", "png", "jpg"), default="webp", help="of the files (%(default)s)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (one for each processor)")
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.pairs is not None:
        return _run_pairs(options)
    # Drawing needs system libraries that no other command does.
    from avsl_core.aviary import write_aviary

    report = write_aviary(
        options.out,
        options.count,
        options.seed,
        size=options.size,
        split=options.split,
        species=options.species,
        workers=options.workers,
        masks=options.masks,
        format=options.format,
        progress=True,
    )
    if options.json:
        print_json(
            {
                "pictures": report.pictures,
                "species": report.species,
                "seconds": report.seconds,
                "per_second": report.per_second,
                "out": str(report.out),
            }
        )
        return 0
    print_lines(
        [
            f"{report.pictures} pictures of {report.species} species in {report.out}",
            f"{report.drawn} drawn in {report.seconds:.1f} s ({report.per_second:.0f} a second)",
        ]
    )
    return 0


def _run_pairs(options: argparse.Namespace) -> int:
    for name in ("species", "masks"):
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name} does not go with --pairs: leave one of them out")
    from avsl_core.aviary import write_pairs

    report = write_pairs(
        options.out,
        options.count,
        options.seed,
        options.pairs,
        size=options.size,
        split=options.split,
        workers=options.workers,
        format=options.format,
        progress=True,
    )
    if options.json:
        print_json(
            {
                "pairs": report.pairs,
                "kind": options.pairs,
                "seconds": report.seconds,
                "per_second": report.per_second,
                "out": str(report.out),
            }
        )
        return 0
    print_lines(
        [
            f"{report.pairs} pairs of a bird and its {options.pairs} in {report.out}",
            f"{report.drawn} drawn in {report.seconds:.1f} s ({report.per_second:.0f} a second)",
        ]
    )
    return 0
