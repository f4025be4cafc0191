"""Frozen networks by name, as their makers meant them to be used: all stages, weights and preprocessing."""

from collections.abc import Sequence
from typing import Any, Literal

import timm
import timm.data

from avsl_core.errors import ConfigError
from avsl_core.images import Preprocess
from avsl_core.models import AdaptationConfig, AdaptationModel, BackboneConfig
from avsl_core.models.clip import CLIP_PREFIX, ClipTrunk

__all__ = ["default_levels", "default_weights", "frozen_model", "preprocess_of"]

_PACKAGED = "tf_efficientnet_lite0"
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def frozen_model(
    name: str,
    *,
    levels: Sequence[int | str] | None = None,
    weights: str | None = None,
    pooling: Literal["avg", "avgmax"] = "avg",
) -> AdaptationModel:
    """A network whose pooled stages, side by side, are the features.

    Args:
        name: timm's name, or ``clip:`` and open_clip's name of a ResNet.
        levels: Which stages; None for all.
        weights: As of :class:`avsl_core.models.Backbone`; None for those of :func:`default_weights`.
        pooling: How a stage is pooled.

    Returns:
        A model without adaptation ("dummy"), in evaluation mode.

    Raises:
        ConfigError: If there is no such network, or it has no such levels.
        CheckpointError: If the weights cannot be had.
    """
    backbone = BackboneConfig(name, tuple(default_levels(name) if levels is None else levels))
    config = AdaptationConfig(backbone, kind="dummy", pooling=pooling)
    chosen = default_weights(name) if weights is None else weights
    return AdaptationModel(config, chosen).eval().requires_grad_(False)


def default_levels(name: str) -> tuple[int | str, ...]:
    """All stages that a network offers; of a CLIP its four and the pooled embedding, as published.

    Raises:
        ConfigError: If timm does not know the network, or not its stages.
    """
    if name.startswith(CLIP_PREFIX):
        return (1, 2, 3, 4, "head")
    if not timm.is_model(name):
        return (0,)  # the backbone says what is wrong with the name
    stages: Any = getattr(timm.create_model(name, pretrained=False, num_classes=0), "feature_info", None)
    if not stages:
        raise ConfigError(f"timm does not know the stages of {name}: choose another backbone")
    return tuple(range(len(stages)))


def default_weights(name: str) -> str:
    """``"packaged"`` where a package carries the weights, else ``"hub"``."""
    return "packaged" if name == _PACKAGED else "hub"


def preprocess_of(model: AdaptationModel) -> Preprocess:
    """What the network was trained to see, as its makers say."""
    trunk = model.trunk
    if isinstance(trunk, ClipTrunk):
        size = trunk.image_size
        return Preprocess(size=size, resize=size, mean=_CLIP_MEAN, std=_CLIP_STD)
    published = timm.get_pretrained_cfg(trunk.config.name)
    options = timm.data.resolve_data_config({}, pretrained_cfg=published.to_dict() if published else {})
    size = int(options["input_size"][-1])
    interpolation = options["interpolation"]
    return Preprocess(
        size=size,
        resize=max(size, round(size / options["crop_pct"])),
        interpolation=interpolation if interpolation in ("bicubic", "bilinear") else "bicubic",
        mean=tuple(options["mean"]),
        std=tuple(options["std"]),
    )
