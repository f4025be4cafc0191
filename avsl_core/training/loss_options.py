"""What can be set of each loss: ``--set loss_options.m=0.3``. Defaults are those of the losses' papers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from avsl_core.errors import ConfigError

__all__ = ["LOSS_OPTIONS", "LossOption", "LossValue", "loss_values", "parse_loss_option", "require_known"]

LossValue = bool | int | float | str
"""A value of an option, of the type of its default."""


@dataclass(frozen=True)
class LossOption:
    """One option of a loss.

    Attributes:
        default: Its type is the option's.
        low: Least value of a number.
        high: Greatest value.
        open: Whether ``low`` and ``high`` are not values themselves.
        choices: The texts there are; empty for numbers and switches.
    """

    default: LossValue
    low: float = 0.0
    high: float = math.inf
    open: bool = False
    choices: tuple[str, ...] = ()

    @property
    def need(self) -> str:
        """What a value must be, for messages."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if isinstance(self.default, bool):
            return "true or false"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        if self.high == math.inf:
            return f"{kind} above {self.low:g}" if self.open else f"{kind}, {self.low:g} or more"
        return f"{kind} between {self.low:g} and {self.high:g}" + (", neither of them" if self.open else "")

    def fits(self, value: LossValue) -> bool:
        """Whether a value is of the right type and in range; a whole number is a number as well."""
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if isinstance(self.default, str) or isinstance(value, str):
            return value in self.choices
        if not math.isfinite(value) or (isinstance(self.default, int) and not isinstance(value, int)):
            return False
        return self.low < value < self.high if self.open else self.low <= value <= self.high


def _positive(default: float) -> LossOption:
    return LossOption(default, open=True)


# On Euclidean distances of unit vectors, which are at most 2, or on cosines, where a paper has it so. Names
# are those of pytorch-metric-learning.
LOSS_OPTIONS: Mapping[str, Mapping[str, LossOption]] = MappingProxyType(
    {
        "proxy_anchor": {},
        "margin": {
            "margin": LossOption(0.2, high=2.0),
            "nu": LossOption(0.0),
            "beta": LossOption(1.2, high=2.0),
            "learn_beta": LossOption(True),
        },
        "multi_similarity": {
            "alpha": _positive(2.0),
            "beta": _positive(50.0),
            "base": LossOption(0.5, low=-1.0, high=1.0),
            "epsilon": LossOption(0.1, high=2.0),
        },
        "contrastive": {
            "pos_margin": LossOption(0.0, high=2.0),
            "neg_margin": LossOption(1.0, high=2.0),
        },
        "triplet": {
            "margin": LossOption(0.2, high=2.0),
            "type_of_triplets": LossOption("semihard", choices=("semihard", "hard", "all")),
        },
        "lifted": {
            "pos_margin": LossOption(0.0, high=2.0),
            "neg_margin": LossOption(1.0, high=2.0),
        },
        "proxy_nca": {"softmax_scale": _positive(3.0)},
        "soft_triple": {
            "centers_per_class": LossOption(10, low=1, high=1000),
            "la": _positive(20.0),
            "gamma": _positive(0.1),
            "margin": LossOption(0.01, high=2.0),
        },
        "arcface": {"margin": LossOption(28.6, high=180.0), "scale": _positive(64.0)},
        "batch_hard_triplet": {"margin": LossOption(0.1, high=2.0)},
        "circle": {"m": LossOption(0.4, low=-1.0, high=1.0, open=True), "gamma": _positive(80.0)},
        "angular": {"alpha": LossOption(40.0, high=90.0, open=True)},
        "n_pair": {},
        "snr": {"pos_margin": LossOption(0.01), "neg_margin": LossOption(0.2)},
        "histogram": {"n_bins": LossOption(100, low=2, high=10_000)},
    }
)
"""Options by loss, and by name."""


def loss_values(loss: str, options: Mapping[str, LossValue]) -> dict[str, LossValue]:
    """All values of a loss: its defaults, changed by options.

    Args:
        loss: A key of :data:`LOSS_OPTIONS`.
        options: By name; numbers that are whole may be given as such.

    Raises:
        ConfigError: If the loss has no such option, or a value is of another type or out of range.

    Example:
        >>> loss_values("circle", {"m": 0.3})
        {'m': 0.3, 'gamma': 80.0}
    """
    known = LOSS_OPTIONS[loss]
    values = {name: option.default for name, option in known.items()}
    for name, value in options.items():
        require_known(loss, name)
        if not known[name].fits(value):
            raise ConfigError(f"loss_options.{name}={value}: must be {known[name].need} with loss={loss}")
        values[name] = type(known[name].default)(value)
    return values


def parse_loss_option(loss: str, name: str, text: str) -> LossValue:
    """Read the value of an option as it is written on a command line; its range is not looked at.

    Raises:
        ConfigError: If the loss has no such option, or the text is no value of its type.

    Example:
        >>> parse_loss_option("histogram", "n_bins", "50")
        50
    """
    require_known(loss, name)
    option = LOSS_OPTIONS[loss][name]
    if isinstance(option.default, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif isinstance(option.default, str):
        return text
    else:
        try:
            return type(option.default)(text)
        except ValueError:
            pass
    raise ConfigError(f"loss_options.{name}={text}: must be {option.need} with loss={loss}")


def require_known(loss: str, name: str) -> None:
    """Refuse an option that a loss has not.

    Raises:
        ConfigError: It lists those that the loss has.
    """
    known = LOSS_OPTIONS.get(loss)
    if known is None:
        raise ConfigError(f"loss={loss}: must be one of {', '.join(LOSS_OPTIONS)}")
    if name in known:
        return
    if loss == "proxy_anchor":
        raise ConfigError(
            f"loss_options.{name}: loss=proxy_anchor has options outside this group, loss_alpha, "
            "positive_margin and negative_margin"
        )
    listed = f"known: {', '.join(known)}" if known else "it has none"
    raise ConfigError(f"loss_options.{name}: no option of loss={loss}; {listed}")
