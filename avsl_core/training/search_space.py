"""What a search may try for one option of a recipe: a range of numbers, or a list of values."""

import math
from dataclasses import dataclass, replace
from typing import Any

import optuna

from avsl_core.config import parse_override
from avsl_core.errors import ConfigError
from avsl_core.training.config import TrainConfig
from avsl_core.training.loss_options import LOSS_OPTIONS, parse_loss_option
from avsl_core.training.recipes import GROUPS

__all__ = ["SearchOption", "parse_search"]


@dataclass(frozen=True)
class SearchOption:
    """One option and its values.

    Attributes:
        text: As it was written.
        key: The option, that of a group as ``raml.views``.
        choices: Values to choose from, as texts; empty for a range.
        low: Least value of a range.
        high: Greatest value.
        whole: Whether only whole numbers are values.
        log: Whether the range is drawn from evenly in its logarithm.
    """

    text: str
    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False

    def propose(self, trial: optuna.Trial) -> str:
        """Let a trial choose: ``key=value``, as a recipe's overrides take it."""
        if self.choices:
            return f"{self.key}={trial.suggest_categorical(self.key, self.choices)}"
        if self.whole:
            return f"{self.key}={trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)}"
        return f"{self.key}={trial.suggest_float(self.key, self.low, self.high, log=self.log)!r}"


def parse_search(recipe: TrainConfig, text: str) -> SearchOption:
    """Read one option of a search from a command line.

    Args:
        recipe: Whose option it is.
        text: ``key=low:high``, ``key=low:high:log`` or ``key=value,value,...``.

    Raises:
        ConfigError: If the option is unknown, or a value does not fit it.

    Example:
        >>> parse_search(TrainConfig(), "lr_heads=1e-5:1e-2:log").high
        0.01
        >>> parse_search(TrainConfig(), "loss=margin,proxy_anchor").choices
        ('margin', 'proxy_anchor')
    """
    key, separator, values = text.partition("=")
    if not separator or not values:
        raise ConfigError(f"{text!r}: write what to search as key=low:high, key=low:high:log or key=a,b")
    parts = values.split(":")
    if len(parts) == 1:
        choices = tuple(dict.fromkeys(part.strip() for part in values.split(",") if part.strip()))
        for choice in choices:
            _read(recipe, key, choice)
        if len(choices) < 2:
            raise ConfigError(f"{text}: needs at least two values to choose from")
        return SearchOption(text, key, choices=choices)
    if len(parts) > 3 or parts[2:] not in ([], ["log"]):
        raise ConfigError(f"{text}: write a range as low:high, or low:high:log")
    low, high = (_read(recipe, key, part) for part in parts[:2])
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in (low, high)):
        raise ConfigError(f"{text}: {key} is no number, so it has no range; list its values with commas")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"{text}: a range rises from one number to another")
    option = SearchOption(text, key, low=low, high=high, whole=isinstance(low, int), log=len(parts) == 3)
    if option.log and low <= 0:
        raise ConfigError(f"{text}: a range in logarithms begins above 0")
    return replace(option, low=float(low), high=float(high))


def _read(recipe: TrainConfig, key: str, text: str) -> Any:
    """One value of an option."""
    group, dot, name = key.partition(".")
    if dot and group == "loss_options":
        # Where losses are searched as well, the recipe's need not be the one that is meant.
        losses = [loss for loss in (recipe.loss, *LOSS_OPTIONS) if name in LOSS_OPTIONS[loss]]
        return parse_loss_option(losses[0] if losses else recipe.loss, name, text)
    if dot and group in GROUPS:
        return parse_override(type(getattr(recipe, group)), f"{name}={text}")[1]
    return parse_override(TrainConfig, f"{key}={text}")[1]
