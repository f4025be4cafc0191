"""``evaluate``: how often the nearest neighbours are of the same class."""

import argparse
import time
from pathlib import Path
from typing import Any

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.data import DATASETS, LoadOptions, PictureSet, kind_of, load_dataset, read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError, DataError
from avsl_core.evaluation import evaluate_encoding, evaluate_queries
from avsl_core.models import Encoding, Role
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Evaluate a checkpoint on FOLDER/<class>/<picture>, on a part of a split file, or with --dataset on a
published set (In-Shop's queries against its gallery): each picture's neighbours among all the others are
ranked by the exact distance. recall@k: a picture of the same class is among the k nearest. map@r and
r_precision look at the first R neighbours, R being how many others of the class there are. All are
fractions. Only as many neighbours are found as these figures need, which is hundreds of times faster than
measuring every pair and gives the same.

For a fair figure the classes must not have been trained on. `train` leaves the division it made beside the
checkpoint: `evaluate my.safetensors my.run/split.json` judges on the classes that training never saw."""

_PLAIN = ("recall@1", "recall@2", "recall@4", "recall@8", "map@r", "r_precision")


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="measure retrieval on a folder of classes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument(
        "folder", type=Path, help="FOLDER/<class>/<picture>, a split file, or a set's archive"
    )
    parser.add_argument("--dataset", choices=tuple(DATASETS), help="what FOLDER holds, if not a plain folder")
    parser.add_argument("--part", default="test", help="which part of a split file or published set (test)")
    add_json_option(parser)
    parser.add_argument("--nmi", action="store_true", help="cluster as well (k-means) and report NMI")
    parser.add_argument(
        "--full-ranking", action="store_true", help="measure every pair (slow), and report mAP as well"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    parser.add_argument("--precision", choices=("none", "bf16", "fp16"), default="none", help="of the trunk")
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.batch_size < 1 or options.workers < 0:
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    queries, gallery = _parts(options)
    started = time.monotonic()
    encoding = _encode(checkpoint, queries, "query", options)
    if gallery is None:
        metrics = evaluate_encoding(
            checkpoint.model,
            encoding,
            queries.labels,
            with_nmi=options.nmi,
            with_pairs=False,
            full_ranking=options.full_ranking,
        ).metrics
    else:
        others = _encode(checkpoint, gallery, "gallery", options)
        metrics = evaluate_queries(
            checkpoint.model,
            encoding,
            queries.labels,
            others,
            gallery.labels,
            full_ranking=options.full_ranking,
        )
    seconds = time.monotonic() - started
    values = metrics.to_dict()
    if options.json:
        kept = {key: value for key, value in values.items() if value is not None}
        print_json(kept | {"seconds": seconds})
        return 0
    lines = [f"{queries.summary()}", *(f"{key:<12}{100 * (values[key] or 0.0):6.2f} %" for key in _PLAIN)]
    if metrics.mean_average_precision is not None:
        lines.append(f"{'map':<12}{100 * metrics.mean_average_precision:6.2f} %")
    if metrics.nmi is not None:
        lines.append(f"{'nmi':<12}{100 * metrics.nmi:6.2f} %")
    print_lines([*lines, f"{metrics.queries} queries in {seconds:.1f} s"])
    return 0


def _parts(options: argparse.Namespace) -> tuple[PictureSet, PictureSet | None]:
    """The queries, and the gallery where it is not the queries themselves."""
    kind = options.dataset or kind_of(options.folder)
    if kind == "folder":
        return read_folder(options.folder), None
    split = load_dataset(kind, options.folder, LoadOptions(val_fraction=0.0))
    if split.query is not None and split.gallery is not None and options.part == "test":
        return split.query, split.gallery
    parts = split.parts()
    if options.part not in parts:
        raise DataError(f"{options.folder}: has no part {options.part!r}; it has {', '.join(parts)}")
    return parts[options.part], None


def _encode(
    checkpoint: Checkpoint, pictures: PictureSet, role: Role, options: argparse.Namespace
) -> Encoding:
    return encode_pictures(
        checkpoint.model,
        checkpoint.preprocess,
        pictures.paths,
        role=role,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
        progress=True,
    )
