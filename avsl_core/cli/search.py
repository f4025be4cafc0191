"""``search``: the pictures of a gallery that look most like a given one."""

import argparse
from pathlib import Path
from typing import Any

from avsl_core.cli.fast import ensure_fast
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.errors import ConfigError
from avsl_core.gallery import Gallery, load_checkpoint_of
from avsl_core.search.searcher import Searcher, SearchResult
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Find the pictures of GALLERY (made by `index`) that look most like PICTURE, nearest first, with the parts
of each distance and the part that decided: the one that brings the pair closest compared with a typical
pair of the gallery.

  exact   the same neighbours and distances as from comparing PICTURE with every picture
  fast    an index proposes candidates, which are compared exactly; it may miss some, and says how many it
          missed when it was built: by `index --fast`, or by the first search that wants it"""

_EXAMPLES = """\
  train_cli.py search gallery/ bird.jpg --k 10
  train_cli.py search gallery/ bird.jpg --weight level1=1              alike at the lowest level only
  train_cli.py search gallery/ bird.jpg --class robin --class wren --json"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "search",
        help="find the most similar pictures of a gallery",
        description=_DESCRIPTION,
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("gallery", type=Path, help="the gallery's folder")
    parser.add_argument("picture", type=Path, help="what to look for")
    parser.add_argument("--k", type=int, default=10, help="how many neighbours (%(default)s)")
    parser.add_argument("--mode", choices=("exact", "fast"), default="exact", help="(%(default)s)")
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="PART=NUMBER",
        help="what a part counts in the order; parts not named count nothing (default: the distance itself)",
    )
    parser.add_argument(
        "--class", dest="classes", action="append", metavar="NAME", help="only pictures of this class"
    )
    parser.add_argument(
        "--checkpoint", help="the one that made the gallery, if it is no longer where it was then"
    )
    add_json_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    weights = _weights(options.weight)
    gallery = Gallery.open(options.gallery)
    checkpoint = load_checkpoint_of(gallery.stamp, options.checkpoint, device=resolve_device(options.device))
    if options.mode == "fast":
        gallery.check(checkpoint)
        ensure_fast(gallery, checkpoint.model.measure())
    searcher = Searcher(checkpoint, gallery)
    result = searcher.search(
        options.picture, options.k, mode=options.mode, weights=weights, classes=options.classes
    )
    if options.json:
        print_json(_as_json(result))
    else:
        print_lines(_as_text(result))
    return 0


def _weights(texts: list[str]) -> dict[str, float] | None:
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            weights[name] = float(number)
        except ValueError as error:
            raise ConfigError(f"--weight {text}: write a part and a number, as in level1=0.5") from error
    return weights or None


def _as_json(result: SearchResult) -> dict[str, Any]:
    return {
        "neighbours": [
            {
                "path": str(hit.item.path),
                "distance": hit.distance,
                "score": hit.score,
                "name": hit.item.name,
                "class": hit.item.class_name,
                "components": [{"name": name, "value": value} for name, value in hit.parts.items()],
                "decided_by": hit.decided_by,
            }
            for hit in result.hits
        ],
        "mode": result.mode,
        "verified": result.verified,
        "searched": result.searched,
        "recall": result.recall,
        "seconds": result.seconds,
    }


def _as_text(result: SearchResult) -> list[str]:
    lines = [
        f"{rank:>3}  {hit.distance:.4f}  {hit.decided_by:<8}  {hit.item.name}"
        for rank, hit in enumerate(result.hits, start=1)
    ]
    found = "" if result.recall is None else f"; finds {result.recall:.1%} of the true neighbours"
    return [
        *lines,
        f"{result.verified:,} of {result.searched:,} pictures compared in full, "
        f"{1000 * result.seconds:.0f} ms{found}",
    ]
