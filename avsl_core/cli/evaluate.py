"""``evaluate``: how often the nearest neighbours are of the same class."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.cli.output import add_crop_option, add_device_option, add_json_option, print_json, print_lines
from avsl_core.data import DATASETS, LoadOptions, PictureSet, kind_of, load_dataset, read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError, DataError
from avsl_core.evaluation import evaluate_encoding, evaluate_queries, evaluate_rows
from avsl_core.metrics import RetrievalMetrics
from avsl_core.models import Encoding, RamlModel, Role, Rows
from avsl_core.models.raml import Sides
from avsl_core.multiscale import multiscale_rows, parse_scales
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command", "add_sides_option", "read_parts", "with_sides"]

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
    parser.add_argument("--part", help="which part of a split file or published set (test)")
    add_crop_option(parser)
    add_json_option(parser)
    parser.add_argument("--nmi", action="store_true", help="cluster as well (k-means) and report NMI")
    parser.add_argument(
        "--full-ranking", action="store_true", help="measure every pair (slow), and report mAP as well"
    )
    add_sides_option(parser)
    parser.add_argument(
        "--scales",
        metavar="S,S,...",
        help="encode each picture at several scales, such as 0.7,1,1.4, and average (plain vectors only)",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    parser.add_argument("--precision", choices=("none", "bf16", "fp16"), default="none", help="of the trunk")
    add_device_option(parser)
    parser.set_defaults(run=_run)


def add_sides_option(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--sides``."""
    parser.add_argument(
        "--sides",
        choices=("asymmetric", "student", "teacher"),
        help="who looks at queries and gallery (RAML only; as the checkpoint says)",
    )


def read_parts(options: argparse.Namespace) -> tuple[PictureSet, PictureSet | None]:
    """The queries that ``folder``, ``dataset`` and ``part`` name, and the gallery where it is another set.

    Cropped to boxes where the command has ``crop_to_box`` and it is set.

    Raises:
        ConfigError: If a part of a plain folder is asked for.
        DataError: If they cannot be read, there is no such part, or they have no boxes to crop to.
    """
    kind = options.dataset or kind_of(options.folder)
    cropped: bool = getattr(options, "crop_to_box", False)
    if kind == "folder":
        if options.part is not None:
            raise ConfigError(
                f"--part {options.part}: {options.folder} is a plain folder, which has no parts; leave "
                "--part out, or give a split file"
            )
        return replace(read_folder(options.folder), cropped=cropped), None
    part = options.part or "test"
    split = load_dataset(kind, options.folder, LoadOptions(val_fraction=0.0, crop_to_box=cropped))
    if split.query is not None and split.gallery is not None and part == "test":
        return split.query, split.gallery
    parts = split.parts()
    if part not in parts:
        raise DataError(f"{options.folder}: has no part {part!r}; it has {', '.join(parts)}")
    return parts[part], None


def _run(options: argparse.Namespace) -> int:
    if options.batch_size < 1 or options.workers < 0:
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    checkpoint = with_sides(checkpoint, options.sides)
    scales = None if options.scales is None else parse_scales(options.scales)
    queries, gallery = read_parts(options)
    if gallery is not None and options.nmi:
        raise ConfigError(
            f"--nmi clusters one set, and {options.folder} has queries and a gallery: leave --nmi out"
        )
    started = time.monotonic()
    if scales is None:
        metrics = _judge(checkpoint, queries, gallery, options)
    else:
        metrics = _judge_scales(checkpoint, queries, gallery, scales, options)
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


def with_sides(checkpoint: Checkpoint, sides: Sides | None) -> Checkpoint:
    """The checkpoint with other networks looking; as it is for None.

    Raises:
        ConfigError: If it is not RAML's.
    """
    if sides is None:
        return checkpoint
    if not isinstance(checkpoint.model, RamlModel):
        raise ConfigError(f"--sides {sides}: only RAML has two sides, this is {checkpoint.model.method}")
    return replace(checkpoint, model=checkpoint.model.with_sides(sides))


def _judge(
    checkpoint: Checkpoint, queries: PictureSet, gallery: PictureSet | None, options: argparse.Namespace
) -> RetrievalMetrics:
    if gallery is None:
        return evaluate_encoding(
            checkpoint.model,
            _encode(checkpoint, queries, None, options),  # each picture is asked for and found
            queries.labels,
            with_nmi=options.nmi,
            with_pairs=False,
            full_ranking=options.full_ranking,
        ).metrics
    return evaluate_queries(
        checkpoint.model,
        _encode(checkpoint, queries, "query", options),
        queries.labels,
        _encode(checkpoint, gallery, "gallery", options),
        gallery.labels,
        full_ranking=options.full_ranking,
    )


def _judge_scales(
    checkpoint: Checkpoint,
    queries: PictureSet,
    gallery: PictureSet | None,
    scales: Sequence[float],
    options: argparse.Namespace,
) -> RetrievalMetrics:
    if options.full_ranking:
        raise ConfigError("--full-ranking does not go with --scales: leave one of them out")

    def rows(pictures: PictureSet, *roles: Role) -> list[Rows]:
        return multiscale_rows(
            checkpoint.model,
            checkpoint.preprocess,
            pictures.paths,
            scales,
            roles=roles,
            boxes=pictures.crops,
            batch_size=options.batch_size,
            workers=options.workers,
            precision=options.precision,
            progress=True,
        )

    if gallery is None:
        asked, found = rows(queries, "query", "gallery")
    else:
        (asked,), (found,) = rows(queries, "query"), rows(gallery, "gallery")
    others = queries if gallery is None else gallery
    return evaluate_rows(
        checkpoint.model.measure(),
        asked,
        queries.labels,
        found,
        others.labels,
        same_set=gallery is None,
        with_nmi=options.nmi,
    )


def _encode(
    checkpoint: Checkpoint, pictures: PictureSet, role: Role | None, options: argparse.Namespace
) -> Encoding:
    return encode_pictures(
        checkpoint.model,
        checkpoint.preprocess,
        pictures.paths,
        boxes=pictures.crops,
        role=role,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
        progress=True,
    )
