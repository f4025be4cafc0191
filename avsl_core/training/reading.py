"""Which options a recipe reads: one that would change nothing is refused rather than ignored."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from avsl_core.errors import ConfigError
from avsl_core.training.config import TrainConfig
from avsl_core.training.loss_options import LOSS_OPTIONS

__all__ = ["DECIDING", "option_value", "require_effect", "require_read"]

# Which methods read an option, or the options of a group; all methods read what is not listed.
_READ_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{method: (method,) for method in ("diml", "cgd", "raml")},
        "pooling": ("embedding", "diml"),
        "lr_gates": ("avsl", "raml"),
        **dict.fromkeys(("top_k", "gamma", "certainty", "momentum"), ("avsl",)),
        **dict.fromkeys(("level_weights", "final_weight"), ("avsl",)),
    }
)

_LEARNING = ("proxy_anchor", "proxy_nca", "soft_triple", "arcface")  # losses with vectors of their own


@dataclass(frozen=True)
class _Condition:
    """Where an option is read.

    Attributes:
        holds: Whether a recipe reads it.
        decided_by: The options that decide it.
        remedy: What to set so that it is.
    """

    holds: Callable[[TrainConfig], bool]
    decided_by: tuple[str, ...]
    remedy: str


_BY_PROXIES = _Condition(lambda c: c.loss == "proxy_anchor", ("loss",), "loss=proxy_anchor")
_BY_MARGINS = _Condition(
    lambda c: c.loss == "proxy_anchor" or (c.loss == "margin" and c.method == "avsl"),
    ("loss", "method"),
    "loss=proxy_anchor",
)
_PROXIES_LEARN = _Condition(
    lambda c: c.loss in _LEARNING or (c.loss == "margin" and _learns_beta(c)),
    ("loss", "method", "loss_options"),
    f"loss to one that learns, such as {', '.join(_LEARNING)}",
)
_LOSS_IS_USED = _Condition(
    lambda c: c.method != "raml" or c.raml.teacher_epochs > 0 or c.raml.distillation == "alone",
    ("raml.teacher_epochs", "raml.distillation"),
    "raml.teacher_epochs above 0, or raml.distillation=alone",
)
_TRUNK_LEARNS = _Condition(
    lambda c: any(c.stages_at(epoch) != "none" for epoch in range(c.total_epochs)),
    ("stages", "finetune_epochs"),
    "stages=all, or finetune_epochs above 0",
)
_TRUNK_IS_TAUGHT = _Condition(
    lambda c: any(
        c.stages_at(epoch) != "none" and not (_student_rests_trunk(c) and epoch >= c.raml.teacher_epochs)
        for epoch in range(c.total_epochs)
    ),
    ("raml.student_backbone", "raml.distillation", "raml.teacher_epochs", "warmup_epochs", "stages"),
    "raml.student_backbone to a network of its own, or stages=all and raml.teacher_epochs above the warm-up",
)
_STUDENT_FINETUNES = _Condition(
    lambda c: not _student_rests_trunk(c),
    ("raml.student_backbone", "raml.distillation"),
    "raml.student_backbone to a network of its own",
)
_WARMS_UP = _Condition(lambda c: c.stages != "none", ("stages",), "stages=all")
_TRUNK_RESTS = _Condition(
    lambda c: any(c.stages_at(epoch) == "none" for epoch in range(c.total_epochs)),
    ("stages", "warmup_epochs"),
    "stages=none, or warmup_epochs above 0",
)
_HAS_GATES = _Condition(
    lambda c: c.method != "raml" or c.raml.pooling in ("gem", "gemmp"),
    ("raml.pooling",),
    "raml.pooling to gem or gemmp",
)
_FINETUNES = _Condition(lambda c: c.finetune_epochs > 0, ("finetune_epochs",), "finetune_epochs above 0")
_STEPS = _Condition(
    lambda c: c.schedule in ("step", "exponential", "cyclic"),
    ("schedule",),
    "schedule to step, exponential or cyclic",
)
_CACHES = _Condition(lambda c: c.cached, ("cached",), "cached=true")
_CLASSIFIES = _Condition(
    lambda c: c.cgd.auxiliary_weight > 0, ("cgd.auxiliary_weight",), "cgd.auxiliary_weight above 0"
)
_OWN_STUDENT = _Condition(
    lambda c: c.raml.student_backbone != "shared",
    ("raml.student_backbone",),
    "raml.student_backbone to a network of its own",
)
_STUDENT_LEARNS = _Condition(
    lambda c: c.total_epochs > c.raml.teacher_epochs,
    ("epochs", "raml.teacher_epochs"),
    "epochs above raml.teacher_epochs",
)
_ON_VIEWS = _Condition(
    lambda c: c.raml.distillation == "ts_aug", ("raml.distillation",), "raml.distillation=ts_aug"
)
_SEVERAL_VIEWS = _Condition(lambda c: c.raml.views > 1, ("raml.views",), "raml.views above 1")
_BY_TRIPLETS = _Condition(
    lambda c: c.raml.distillation == "sym", ("raml.distillation",), "raml.distillation=sym"
)

_CONDITIONS: Mapping[str, tuple[_Condition, ...]] = MappingProxyType(
    {
        "loss": (_LOSS_IS_USED,),
        "loss_options": (_LOSS_IS_USED,),
        "loss_alpha": (_BY_PROXIES, _LOSS_IS_USED),
        "positive_margin": (_BY_MARGINS, _LOSS_IS_USED),
        "negative_margin": (_BY_MARGINS, _LOSS_IS_USED),
        "all_proxies_up_to": (_BY_PROXIES, _LOSS_IS_USED),
        "lr_proxies": (_PROXIES_LEARN, _LOSS_IS_USED),
        "lr_trunk": (_TRUNK_LEARNS, _TRUNK_IS_TAUGHT),
        "lr_gates": (_HAS_GATES,),
        "warmup_epochs": (_WARMS_UP,),
        "finetune_stages": (_FINETUNES, _STUDENT_FINETUNES),
        "finetune_lr_scale": (_FINETUNES,),
        "step_epochs": (_STEPS,),
        "step_factor": (_STEPS,),
        "views": (_CACHES, _TRUNK_RESTS),
        "cgd.smoothing": (_CLASSIFIES,),
        "cgd.auxiliary_temperature": (_CLASSIFIES,),
        "raml.student_weights": (_OWN_STUDENT,),
        "raml.distillation": (_STUDENT_LEARNS,),
        "raml.views": (_ON_VIEWS, _STUDENT_LEARNS),
        "raml.relational_ts": (_ON_VIEWS, _SEVERAL_VIEWS, _STUDENT_LEARNS),
        "raml.relational_ss": (_ON_VIEWS, _SEVERAL_VIEWS, _STUDENT_LEARNS),
        "raml.triplet_margin": (_BY_TRIPLETS, _STUDENT_LEARNS),
    }
)

DECIDING = frozenset(
    {"method", *(name for group in _CONDITIONS.values() for c in group for name in c.decided_by)}
)
"""Options that decide whether others are read."""


def require_read(keys: Iterable[str], method: str) -> None:
    """Refuse options that a method never reads.

    Args:
        keys: As they are written; those of a group with a dot.
        method: The method's name.

    Raises:
        ConfigError: If one is never read.
    """
    for key in keys:
        readers = _READ_BY.get(key.partition(".")[0], (method,))
        if method not in readers:
            raise ConfigError(
                f"{key}: an option of method {' and '.join(readers)}, and the method is {method}; "
                f"leave it out, or set method={readers[0]}"
            )


def require_effect(keys: Iterable[str], config: TrainConfig) -> None:
    """Refuse options that a recipe as a whole does not read, for its loss or its way of learning.

    Args:
        keys: Those that were changed; those of a group with a dot.
        config: The recipe with the changes.

    Raises:
        ConfigError: If one is not read; it says because of which other option, and what to set instead.

    Example:
        >>> require_effect(["step_epochs"], TrainConfig(schedule="cosine"))
        Traceback (most recent call last):
        avsl_core.errors.ConfigError: step_epochs: has no effect with schedule=cosine; leave it out, or set \
schedule to step, exponential or cyclic
    """
    for key in keys:
        group = key.partition(".")[0]
        for condition in _CONDITIONS.get(key, _CONDITIONS.get(group, ())):
            if condition.holds(config):
                continue
            written = [f"{name}={option_value(config, name)}" for name in condition.decided_by]
            raise ConfigError(
                f"{key}: has no effect with {' and '.join(written)}; leave it out, or set "
                f"{condition.remedy}{_instead(key, config)}"
            )


def option_value(config: TrainConfig, key: str) -> Any:
    """The value of an option by its name, that of a group as ``raml.views``; None for a loss's default."""
    group, dot, name = key.partition(".")
    value = getattr(config, group)
    if not dot:
        return value
    return value.get(name) if group == "loss_options" else getattr(value, name)


def _learns_beta(config: TrainConfig) -> bool:
    return config.method != "avsl" and bool(config.loss_options.get("learn_beta", True))


def _student_rests_trunk(config: TrainConfig) -> bool:
    """Whether RAML's student leaves the trunk alone: it is the teacher's, and the teacher is at rest."""
    return config.method == "raml" and config.raml.student_backbone == "shared" and config.raml.distils


def _instead(key: str, config: TrainConfig) -> str:
    """What the recipe's own loss has in place of Proxy-Anchor's options."""
    own = LOSS_OPTIONS[config.loss]
    if key not in ("loss_alpha", "positive_margin", "negative_margin") or not own or config.method == "avsl":
        return ""
    return f", or an option of the loss: {', '.join(f'loss_options.{name}' for name in own)}"
