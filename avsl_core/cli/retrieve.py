"""``retrieve``: pictures of a labelled set with their nearest neighbours, drawn on one sheet."""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.cli.evaluate import read_parts
from avsl_core.cli.output import add_crop_option, add_device_option, add_json_option, print_json, print_lines
from avsl_core.data import DATASETS, PictureSet
from avsl_core.data.dataset import Box
from avsl_core.encoding import encode_pictures, load_for
from avsl_core.errors import ConfigError, DataError
from avsl_core.explain.retrieval import RetrievalRow, Tile, draw_retrieval
from avsl_core.search import ExactSearch, MemoryRows
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Draw queries with their K nearest neighbours in FOLDER, nearest first, into OUT.png. A green frame with a tick
is a neighbour of the query's own class, a red one with a cross is of another; below it is the distance. A
picture is not its own neighbour. A query from elsewhere has the class that its folder is named after, if
FOLDER has such a class; otherwise frames are grey."""

_EXAMPLES = """\
  train_cli.py retrieve default pictures/ sheet.png                     six queries drawn by lot
  train_cli.py retrieve my.safetensors my.run/split.json sheet.png --queries 20 --k 5 --seed 3
  train_cli.py retrieve default pictures/ sheet.png --queries pictures/robin/1.jpg elsewhere/bird.jpg"""

_QUERIES = 6


@dataclass(frozen=True)
class _Query:
    path: Path
    class_name: str | None
    row: int = -1  # in the set that queries were drawn from; -1 for a picture from elsewhere
    box: Box | None = None


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "retrieve",
        help="draw queries with their nearest neighbours",
        description=_DESCRIPTION,
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument(
        "folder", type=Path, help="FOLDER/<class>/<picture>, a split file, or a set's archive"
    )
    parser.add_argument("out", type=Path, metavar="OUT.png", help="the sheet to write")
    parser.add_argument(
        "--queries",
        nargs="+",
        default=[str(_QUERIES)],
        metavar="N|PICTURE",
        help=f"how many to draw by lot, or which pictures ({_QUERIES})",
    )
    parser.add_argument("--k", type=int, default=10, help="how many neighbours (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the lot")
    parser.add_argument("--dataset", choices=tuple(DATASETS), help="what FOLDER holds, if not a plain folder")
    parser.add_argument("--part", help="which part of a split file or published set (test)")
    add_crop_option(parser)
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    add_json_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if min(options.k, options.batch_size) < 1 or options.workers < 0:
        raise ConfigError("--k and --batch-size must be at least 1 and --workers 0 or more")
    _check_out(options.out)
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    asked, gallery = read_parts(options)
    same_set = gallery is None
    gallery = asked if gallery is None else gallery
    queries = _choose(options, asked)
    found = _search(checkpoint, queries, gallery, options, same_set=same_set)
    sheet = draw_retrieval(
        [_row(checkpoint, q, hits, gallery) for q, hits in zip(queries, found, strict=True)]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(options.out, format="PNG")
    if options.json:
        print_json(_as_json(options.out, queries, found, gallery))
    else:
        print_lines(_as_text(options.out, queries, found, gallery))
    return 0


def _check_out(out: Path) -> None:
    """Refuse at once what would fail only when everything is encoded."""
    if out.suffix.lower() != ".png" or out.is_dir():
        raise ConfigError(f"{out}: name the sheet to write, a file that ends in .png")


def _choose(options: argparse.Namespace, pictures: PictureSet) -> list[_Query]:
    """The queries drawn by lot, or those named."""
    texts: list[str] = options.queries
    if len(texts) == 1 and texts[0].lstrip("-").isdecimal() and not Path(texts[0]).is_file():
        count = int(texts[0])
        if not 1 <= count <= len(pictures):
            raise ConfigError(
                f"--queries {count}: {pictures.name} has {len(pictures)} pictures; give 1 to {len(pictures)}"
            )
        drawn = random.Random(options.seed).sample(range(len(pictures)), count)
        return [_of_set(pictures, row) for row in drawn]
    places = {path.resolve(): row for row, path in enumerate(pictures.paths)}
    queries = []
    for text in texts:
        path = Path(text)
        row = places.get(path.resolve())
        if row is not None:
            queries.append(_of_set(pictures, row))
        elif pictures.cropped:
            raise DataError(f"{path}: is not in {pictures.name} and has no box; leave --crop-to-box out")
        else:
            known = path.absolute().parent.name
            queries.append(_Query(path, known if known in pictures.class_names else None))
    return queries


def _of_set(pictures: PictureSet, row: int) -> _Query:
    class_name = pictures.class_names[pictures.labels[row]]
    return _Query(pictures.paths[row], class_name, row, pictures.crop_of(row))


@torch.inference_mode()
def _search(
    checkpoint: Checkpoint,
    queries: Sequence[_Query],
    gallery: PictureSet,
    options: argparse.Namespace,
    *,
    same_set: bool,
) -> list[list[tuple[int, float]]]:
    """Row and distance of each query's neighbours; a picture of the gallery does not find itself."""
    model = checkpoint.model
    # Queries first: one that cannot be read is refused before the gallery is encoded.
    boxes = [query.box for query in queries if query.box is not None]
    own = encode_pictures(
        model,
        checkpoint.preprocess,
        [query.path for query in queries],
        boxes=boxes or None,
        role="query",
        batch_size=options.batch_size,
        workers=options.workers,
    )
    theirs = encode_pictures(
        model,
        checkpoint.preprocess,
        gallery.paths,
        boxes=gallery.crops,
        role="gallery",
        batch_size=options.batch_size,
        workers=options.workers,
        progress=True,
    )
    exclude = torch.tensor([query.row for query in queries]) if same_set else None
    found_rows = model.rows(theirs, "gallery")
    search = ExactSearch(model.measure(), MemoryRows(found_rows), device=found_rows.vectors.device)
    k = min(options.k, len(gallery))
    found = search.search(model.rows(own, "query"), k, exclude=exclude)
    return [
        [(row, distance) for row, distance in zip(*pair, strict=True) if row >= 0]
        for pair in zip(found.rows.tolist(), found.distances.tolist(), strict=True)
    ]


def _row(
    checkpoint: Checkpoint, query: _Query, hits: Sequence[tuple[int, float]], gallery: PictureSet
) -> RetrievalRow:
    """What the network saw of a query and its neighbours."""
    preprocess = checkpoint.preprocess

    def seen(path: Path, box: Box | None) -> Any:
        return preprocess.crop(load_for(preprocess, path, box=box))

    tiles = [
        Tile(
            seen(gallery.paths[row], gallery.crop_of(row)),
            f"{distance:.4f}",
            _is_same(query, row, gallery),
        )
        for row, distance in hits
    ]
    return RetrievalRow(Tile(seen(query.path, query.box), query.class_name or query.path.name), tiles)


def _is_same(query: _Query, row: int, gallery: PictureSet) -> bool | None:
    if query.class_name is None:
        return None
    return gallery.class_names[gallery.labels[row]] == query.class_name


def _as_json(
    out: Path,
    queries: Sequence[_Query],
    found: Sequence[Sequence[tuple[int, float]]],
    gallery: PictureSet,
) -> dict[str, Any]:
    return {
        "sheet": str(out),
        "queries": [
            {
                "path": str(query.path),
                "class": query.class_name,
                "neighbours": [
                    {
                        "path": str(gallery.paths[row]),
                        "class": gallery.class_names[gallery.labels[row]],
                        "distance": distance,
                        "same_class": _is_same(query, row, gallery),
                    }
                    for row, distance in hits
                ],
            }
            for query, hits in zip(queries, found, strict=True)
        ],
    }


def _as_text(
    out: Path,
    queries: Sequence[_Query],
    found: Sequence[Sequence[tuple[int, float]]],
    gallery: PictureSet,
) -> list[str]:
    lines = []
    for query, hits in zip(queries, found, strict=True):
        same = [_is_same(query, row, gallery) for row, _ in hits]
        verdict = (
            "class unknown" if query.class_name is None else f"{sum(map(bool, same))} of {len(same)} alike"
        )
        lines.append(f"{verdict:<16}{query.path}")
    return [*lines, f"{out}: {len(queries)} queries with their nearest of {len(gallery):,} pictures"]
