"""``rerank``: what matching cells adds to a ranking, for many numbers of re-ranked neighbours at once."""

import argparse
import time
from pathlib import Path
from typing import Any

from avsl_core.checkpoint import load_checkpoint
from avsl_core.cli.evaluate import add_sides_option, read_parts, with_sides
from avsl_core.cli.output import add_crop_option, add_device_option, add_json_option, print_json, print_lines
from avsl_core.data import DATASETS
from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError, DataError
from avsl_core.models import DimlEncoding, DimlModel
from avsl_core.reranking import TOP_K, evaluate_reranked, write_table
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Match the cells of pictures by optimal transport (DIML), over the vectors of any method; of raml with one
network at both sides (--sides). Needs no training. Every picture's neighbours are ranked by the method's own
distance; then the first K of them by half of it (all of it, where it is 1 - cos: raml, adaptation) plus what
the match leaves unlike. All K are answered in one evaluation; K = 0 is the method's own ranking."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rerank",
        help="re-rank neighbours by matching cells",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument("folder", type=Path, help="as `evaluate` takes it")
    parser.add_argument("--dataset", choices=tuple(DATASETS), help="what FOLDER holds, if not a plain folder")
    parser.add_argument("--part", help="which part of a split file or published set (test)")
    add_crop_option(parser)
    add_sides_option(parser)
    parser.add_argument(
        "--top-k",
        default=",".join(map(str, TOP_K)),
        metavar="K,K,...",
        help="numbers to re-rank (%(default)s)",
    )
    parser.add_argument("--grid", type=int, help="cells along a side, 1 to 7 (4, or the checkpoint's)")
    parser.add_argument("--marginals", choices=("cross_correlation", "uniform"), help="what a cell counts")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    add_json_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    top_k = _numbers(options.top_k)
    if options.batch_size < 1 or options.workers < 0:
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    _check_csv(options.csv)
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    checkpoint = with_sides(checkpoint, options.sides)
    model = _matching(checkpoint.model, options)
    pictures, gallery = read_parts(options)
    if gallery is not None:
        raise DataError(f"{options.folder}: has a gallery of its own; re-ranking is measured within one set")
    started = time.monotonic()
    encoding = encode_pictures(
        model,
        checkpoint.preprocess,
        pictures.paths,
        boxes=pictures.crops,
        batch_size=options.batch_size,
        workers=options.workers,
        progress=True,
    )
    assert isinstance(encoding, DimlEncoding)
    encoded = time.monotonic()
    rows = evaluate_reranked(model, encoding, pictures.labels, top_k=top_k, progress=True)
    seconds = {"encoding_seconds": encoded - started, "matching_seconds": time.monotonic() - encoded}
    if options.csv is not None:
        write_table(rows, options.csv)
    if options.json:
        kept = [
            {"top_k": row.top_k} | {k: v for k, v in row.metrics.to_dict().items() if v is not None}
            for row in rows
        ]
        print_json({"rows": kept, **seconds})
        return 0
    names = ("recall@1", "recall@2", "recall@4", "recall@8", "map@r")
    lines = [pictures.summary(), f"{'top K':>6}" + "".join(f"{name:>11}" for name in names)]
    for row in rows:
        values = row.metrics.to_dict()
        lines.append(f"{row.top_k:>6}" + "".join(f"{100 * (values[name] or 0.0):>9.2f} %" for name in names))
    print_lines([*lines, f"matched in {seconds['matching_seconds']:.1f} s"])
    return 0


def _matching(model: Any, options: argparse.Namespace) -> DimlModel:
    """The checkpoint's model if it matches as asked, else matching over it."""
    asked = {name: getattr(options, name) for name in ("grid", "marginals")}
    given = {name: value for name, value in asked.items() if value is not None}
    if not isinstance(model, DimlModel):
        return DimlModel.over(model, **given)
    if not given:
        return model
    own = {"grid": model.config.grid, "marginals": model.config.marginals}
    return DimlModel.over(
        model.base,
        temperature=model.config.temperature,
        max_iterations=model.config.max_iterations,
        **own | given,
    )


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--top-k {text}: write whole numbers, such as 0,10,100") from error
    if min(numbers) < 0:
        raise ConfigError(f"--top-k {text}: give whole numbers, 0 or more")
    return numbers


def _check_csv(table: Path | None) -> None:
    """Refuse at once what would fail only when everything is encoded and matched."""
    if table is None:
        return
    if table.is_dir():
        raise ConfigError(f"--csv {table}: is a folder; name the file to write")
    if not table.absolute().parent.is_dir():
        raise ConfigError(f"--csv {table}: no folder {table.parent} to write to; choose another place")
