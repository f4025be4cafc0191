"""What commands print: one JSON object, or lines for people."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["add_crop_option", "add_device_option", "add_json_option", "print_json", "print_lines"]


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--json``."""
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object, for scripts")


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--device``."""
    parser.add_argument("--device", default="auto", help="auto (a GPU if there is one), cpu, cuda or cuda:N")


def add_crop_option(parser: argparse.ArgumentParser) -> None:
    """Give a command that reads data sets ``--crop-to-box``."""
    parser.add_argument(
        "--crop-to-box",
        action="store_true",
        help="look only at what is inside each picture's box (sets that have boxes: cub, cars)",
    )


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    sys.stdout.write(json.dumps(values) + "\n")


def print_lines(lines: Sequence[str]) -> None:
    """Print lines for people; what the terminal's encoding lacks (file names hold anything) is escaped."""
    text = "\n".join(lines) + "\n"
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
