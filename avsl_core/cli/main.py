"""The parser over all commands, and the rules every command keeps.

Results go to standard output, progress and messages to standard error. Exit status: 0 fine, 2 a
mistake of the user's (one line ``error: ...``), 130 interrupted, 141 the reader of a pipe went away.
"""

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import torch

from avsl_core.cli import (
    adapt,
    aviary,
    compare,
    evaluate,
    extract,
    faithfulness,
    index,
    info,
    rerank,
    retrieve,
    search,
    train,
    tune,
)
from avsl_core.errors import AvslError

__all__ = ["build_parser", "main"]

_DESCRIPTION = """\
How alike are two pictures, and why? Train, evaluate and use models of visual similarity.

A CHECKPOINT is a file, or the name of a shipped one (see `info`)."""

_EXAMPLES = """\
first steps:
  %(prog)s compare default cat.jpg dog.jpg              how far apart, level by level
  %(prog)s compare default cat.jpg dog.jpg --heatmaps out/
  %(prog)s train --recipe cpu --data pictures/ --out my.safetensors
                                                        pictures/<class>/<picture>.jpg
  %(prog)s evaluate my.safetensors pictures/            R@1, R@2, ... of its neighbours
  %(prog)s retrieve my.safetensors pictures/ sheet.png  who its neighbours are, drawn
  %(prog)s index default pictures/ gallery/             encode once, for searching
  %(prog)s search gallery/ cat.jpg --k 10               the most similar pictures, and why
  %(prog)s info my.safetensors                          what it is and how it was made
  %(prog)s adapt pairs/ --out my.safetensors        pairs/left/<name>.jpg and pairs/right/<name>.jpg
  %(prog)s aviary birds/ --count 2000 --seed 1          made birds to train and judge on

`%(prog)s COMMAND --help` explains a command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name; those of the process when None.

    Returns:
        The exit status.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # Pillow warns about harmless oddities of files; a user's terminal is no place for them.
    warnings.filterwarnings("ignore", module="PIL")
    return _guarded(options)


def build_parser() -> argparse.ArgumentParser:
    """The parser over all commands; what it parses has ``run``, the command's function."""
    parser = _Parser(
        prog="train_cli.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        train,
        tune,
        adapt,
        evaluate,
        rerank,
        retrieve,
        compare,
        index,
        search,
        extract,
        info,
        aviary,
        faithfulness,
    ):
        module.add_command(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in the one line that all other mistakes have; commands inherit the class."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def _guarded(options: argparse.Namespace) -> int:
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except AvslError as error:
        _complain(str(error))
        return 2
    except torch.OutOfMemoryError:
        _complain("the GPU's memory is full: set a smaller batch size, or --device cpu")
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:
        # The reader has gone (`| head`): say nothing, and keep Python from trying to flush again.
        # A status of its own, because the command may not have finished.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # The library types what it foresees; what is left is a place that cannot be read or written.
        _complain(f"{error}; check the path, its permissions and the free space")
        return 2


def _complain(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
