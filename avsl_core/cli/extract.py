"""``extract``: the encodings of a folder of pictures as arrays."""

import argparse
import time
from pathlib import Path
from typing import Any

from avsl_core.checkpoint import load_checkpoint
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.errors import ConfigError
from avsl_core.extraction import extract_pictures, list_for_extraction, write_arrays
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_DESCRIPTION = """\
Encode the pictures of a folder, or those listed in a text file (one path a line), and write arrays that
numpy.load reads:

  vectors, gates   one row a picture: what the model's distance is computed from
  node_vectors     the same, scaled so that the squared Euclidean distance is the model's for a typical
                   pair: for clustering, maps and other programs
  paths            names below the folder
  labels, classes  numbers and names of the folders FOLDER/<class>/; -1 is none
  parts, widths    the levels, and how many columns of the vectors each has

Pictures that cannot be read are reported and left out. All rows are held in memory, about 10 kB a picture
with the default model; for more than some 100,000 pictures use `index`, which can also go on where it
stopped."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "extract",
        help="write the encodings of a folder as arrays",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument(
        "folder", type=Path, help="folder of pictures, with or without classes, or a list file"
    )
    parser.add_argument("out", type=Path, metavar="OUT.npz", help="file to write")
    parser.add_argument("--batch-size", type=int, default=32, help="pictures per pass (%(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode pictures")
    parser.add_argument("--precision", choices=("none", "bf16", "fp16"), default="none", help="of the trunk")
    add_device_option(parser)
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.batch_size < 1 or options.workers < 0:
        raise ConfigError("--batch-size must be at least 1 and --workers 0 or more")
    if options.out.suffix != ".npz" or options.out.is_dir():
        raise ConfigError(f"{options.out}: the arrays go to one file; end its name in .npz")
    pictures = list_for_extraction(options.folder)
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    started = time.monotonic()
    extraction = extract_pictures(
        checkpoint,
        pictures,
        batch_size=options.batch_size,
        workers=options.workers,
        precision=options.precision,
        progress=True,
    )
    write_arrays(checkpoint, extraction, options.out)
    seconds, count = time.monotonic() - started, len(extraction.pictures)
    values = {
        "pictures": count,
        "dimensions": int(extraction.rows.vectors.shape[1]),
        "skipped": len(extraction.skipped),
        "seconds": seconds,
        "out": str(options.out),
    }
    if options.json:
        print_json(values)
    else:
        left_out = f", {values['skipped']:,} left out" if extraction.skipped else ""
        print_lines([f"{options.out}: {count:,} pictures in {seconds:.1f} s{left_out}"])
    return 0
