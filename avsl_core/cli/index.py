"""``index``: encode pictures once into a gallery, for searching."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.cli.fast import ensure_fast
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.errors import ConfigError
from avsl_core.gallery import BuildOptions, BuildReport, Gallery, Progress, build_gallery, remove_pictures
from avsl_core.search.fast_files import Recall
from avsl_core.training.distributed import Process, start_process, stop_process

__all__ = ["add_command"]

_DESCRIPTION = """\
Encode the pictures of FOLDER into GALLERY, a folder of its own that `search` and the app open. FOLDER may
also be an archive (.zip, .tar, .tar.gz, .tgz) or a text file with one path a line. FOLDER/<class>/<picture>
keeps the names of classes.

Run it again to bring the gallery up to date: only new and changed files are encoded. An interrupted run goes
on where it stopped; until it has finished, the gallery is as it was before. Files that cannot be read are
listed and left out, files of equal content are kept once.

On several GPUs or machines with one disk: torchrun --nproc-per-node=8 train_cli.py index ..."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "index",
        help="encode a folder of pictures into a gallery",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument("folder", help="folder, archive, or text file with one path a line")
    parser.add_argument("gallery", type=Path, help="the gallery's folder; made if missing")
    parser.add_argument(
        "--dtype",
        choices=("fp16", "fp32"),
        help="number type on disk; fp16 takes half the space (a new gallery: fp32)",
    )
    parser.add_argument(
        "--workers", type=int, help="processes that decode pictures (cores less one, 8 at most)"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--precision", choices=("none", "bf16", "fp16"), default="none", help="of the trunk")
    parser.add_argument(
        "--map",
        choices=("pca", "umap", "none"),
        default="pca",
        help="how to lay out the map (%(default)s; umap separates kinds better, and is slow)",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="also build the index for `search --mode fast`, and say how many true neighbours it finds",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="also remove pictures that FOLDER (a folder or an archive) no longer has, or has damaged",
    )
    parser.add_argument(
        "--remove",
        nargs="+",
        metavar="NAME",
        default=[],
        help="remove these pictures (names, paths or digests) instead of indexing FOLDER",
    )
    parser.add_argument("--max-archive-bytes", type=int, help="refuse an archive that unpacks to more")
    parser.add_argument("--max-archive-files", type=int, help="refuse an archive with more entries")
    add_json_option(parser)
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    chosen = _build_options(options)
    process = start_process(options.device)
    try:
        checkpoint = load_checkpoint(options.checkpoint, process.device)
        if options.remove:
            # One process is enough, and a second would find the gallery locked.
            report = _remove(options, checkpoint) if process.is_first else None
        else:
            report = _build(options, checkpoint, chosen, process)
    except KeyboardInterrupt:
        if process.is_first:
            _say(["stopped; the same command goes on where it stopped, and the gallery is as it was before"])
        raise
    finally:
        stop_process()
    if report is not None and process.is_first:
        recall = _fast_recall(report, checkpoint) if options.fast else None
        _tell(report, recall, as_json=options.json)
    return 0


def _build_options(options: argparse.Namespace) -> BuildOptions:
    if options.batch_size < 1 or (options.workers is not None and options.workers < 0):
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    return BuildOptions(
        dtype=options.dtype,
        batch_size=options.batch_size,
        workers=_default_workers() if options.workers is None else options.workers,
        precision=options.precision,
        map=options.map,
        prune=options.prune,
        max_archive_bytes=options.max_archive_bytes,
        max_archive_files=options.max_archive_files,
    )


def _default_workers() -> int:
    """One core stays for the network; processes of torchrun share the others."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(8, max(0, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1))


def _build(
    options: argparse.Namespace, checkpoint: Checkpoint, chosen: BuildOptions, process: Process
) -> BuildReport:
    shown = tqdm(unit=" pictures", desc="encoding", disable=not process.is_first)
    with shown as bar:

        def show(progress: Progress) -> None:
            if bar.total is None:
                # What an earlier run has done counts as done, but not into the rate.
                bar.reset(total=progress.total)
                bar.initial = bar.n = progress.done
            bar.update(progress.done - bar.n)
            bar.set_postfix_str(f"{progress.skipped} skipped" if progress.skipped else "", refresh=False)
            if progress.done == progress.total:
                bar.set_description("finishing")

        return build_gallery(
            checkpoint,
            options.folder,
            options.gallery,
            options=chosen,
            progress=show if process.is_first else None,
        )


def _remove(options: argparse.Namespace, checkpoint: Checkpoint) -> BuildReport:
    started = time.monotonic()
    Gallery.open(options.gallery, checkpoint=checkpoint)
    removed = remove_pictures(options.gallery, options.remove)
    gallery = Gallery.open(options.gallery)
    seconds = time.monotonic() - started
    return BuildReport(0, 0, (), (), removed, seconds, gallery.path, gallery.count)


def _tell(report: BuildReport, recall: Recall | None, *, as_json: bool) -> None:
    _say(
        [f"same content: {name} = {other}" for name, other in report.duplicates]
        + [f"skipped: {name}: {reason}" for name, reason in report.skipped]
    )
    if as_json:
        print_json(
            {
                "pictures": report.pictures,
                "added": report.added,
                "unchanged": report.unchanged,
                "duplicates": [list(pair) for pair in report.duplicates],
                "skipped": [{"path": name, "reason": reason} for name, reason in report.skipped],
                "removed": report.removed,
                "seconds": report.seconds,
                "gallery": str(report.gallery),
                "fast_recall": None if recall is None else recall.value,
            }
        )
        return
    print_lines(
        [
            f"{report.gallery}: {report.pictures:,} pictures",
            f"{report.added:,} added, {report.unchanged:,} unchanged, {report.removed:,} removed, "
            f"{len(report.duplicates):,} of equal content, {len(report.skipped):,} skipped, "
            f"in {report.seconds:.1f} s",
            *([] if recall is None else [_recall_words(recall)]),
        ]
    )


def _fast_recall(report: BuildReport, checkpoint: Checkpoint) -> Recall | None:
    return ensure_fast(Gallery.open(report.gallery), checkpoint.model.measure()).recall


def _recall_words(recall: Recall) -> str:
    share = f"{recall.value:.1%} of the {recall.k} nearest"
    return f"fast search finds {share}, measured on {recall.queries} pictures"


def _say(lines: Sequence[str]) -> None:
    """Lines on standard error, so that standard output holds nothing but the result."""
    encoding = sys.stderr.encoding or "utf-8"
    for line in lines:
        sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
