"""Checks that the saved options of this package share."""

import math
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from avsl_core.errors import ConfigError

__all__ = ["check_keys", "finite_number", "whole_number"]


def check_keys(section: str, values: object, owner: type[Any]) -> None:
    """Refuse keys that a configuration dataclass does not have.

    Args:
        section: What the message calls the configuration.
        values: What was read from a file.
        owner: The dataclass whose fields are allowed.

    Raises:
        ConfigError: `values` is no mapping, or a key is unknown; the message names it.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{section} is a {type(values).__name__}; give a table of options")
    known = [field.name for field in fields(owner)]
    for key in values:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{section} has no option {key!r}; {advice}")


def whole_number(section: str, key: str, value: object, *, least: int) -> None:
    """Refuse a value that is not a whole number of at least `least`.

    Raises:
        ConfigError: It is not; the message names section and key.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{section} {key} is {value!r}; give a whole number of at least {least}")


def finite_number(section: str, key: str, value: object, *, least: float, most: float) -> None:
    """Refuse a value that is not a number from `least` to `most`.

    Raises:
        ConfigError: It is not; the message names section and key.
    """
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not numeric or not least <= float(value) <= most:  # type: ignore[arg-type]
        limit = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of at least {least:g}"
        raise ConfigError(f"{section} {key} is {value!r}; give a number {limit}")
