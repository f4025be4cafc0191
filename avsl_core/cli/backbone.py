"""The options of commands that take a frozen network by name."""

import argparse
from collections.abc import Sequence

from avsl_core.errors import ConfigError

__all__ = ["add_backbone_options", "parse_levels", "parse_numbers"]


def add_backbone_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Give a command ``--backbone``, ``--weights`` and ``--levels``."""
    parser.add_argument(
        "--backbone",
        default=default,
        metavar="NAME",
        help="timm's name of a network, or clip:RN50x4 and the like with open_clip"
        + (f" ({default})" if default else ""),
    )
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="packaged, hub, none (random) or a file (packaged for tf_efficientnet_lite0, else hub)",
    )
    parser.add_argument(
        "--levels", metavar="1,2,...", help="which stages, from low to high; the last may be head (all)"
    )


def parse_levels(text: str | None) -> tuple[int | str, ...] | None:
    """Stages as given, or None for all.

    Raises:
        ConfigError: If they are not numbers, or head at the end.

    Example:
        >>> parse_levels("2,3,head")
        (2, 3, 'head')
    """
    if text is None:
        return None
    items = [item.strip() for item in text.split(",")]
    if not all(item.isdecimal() or item == "head" for item in items):
        raise ConfigError(f"--levels {text}: write numbers, such as 1,2,3,4; the last may be head")
    return tuple(int(item) if item.isdecimal() else item for item in items)


def parse_numbers(option: str, text: str) -> Sequence[int]:
    """Whole numbers separated by commas.

    Raises:
        ConfigError: If they are not.
    """
    items = [item.strip() for item in text.split(",")]
    if not all(item.isdecimal() for item in items):
        raise ConfigError(f"{option} {text}: write numbers, such as 1,3,5")
    return [int(item) for item in items]
