"""Methods by name: what a checkpoint or a command line asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from avsl_core.config import from_dict, to_dict
from avsl_core.errors import ConfigError
from avsl_core.models.adaptation import AdaptationConfig, AdaptationModel
from avsl_core.models.avsl import AvslConfig, AvslModel
from avsl_core.models.base import SimilarityModel
from avsl_core.models.cgd import CgdConfig, CgdModel
from avsl_core.models.diml import DimlConfig, DimlModel
from avsl_core.models.embedding import EmbeddingConfig, EmbeddingModel
from avsl_core.models.raml import RamlConfig, RamlModel

__all__ = ["METHODS", "MethodEntry", "build_model", "model_config"]


@dataclass(frozen=True)
class MethodEntry:
    """A method's configuration and model classes."""

    config: type[Any]
    model: type[Any]


METHODS: Mapping[str, MethodEntry] = {
    "avsl": MethodEntry(AvslConfig, AvslModel),
    "diml": MethodEntry(DimlConfig, DimlModel),
    "embedding": MethodEntry(EmbeddingConfig, EmbeddingModel),
    "adaptation": MethodEntry(AdaptationConfig, AdaptationModel),
    "cgd": MethodEntry(CgdConfig, CgdModel),
    "raml": MethodEntry(RamlConfig, RamlModel),
}


def build_model(
    method: str,
    config: Mapping[str, Any],
    *,
    weights: str = "none",
    generator: torch.Generator | None = None,
) -> SimilarityModel:
    """Build a method's model from its name and plain configuration.

    Raises:
        ConfigError: If the method or one of its options is unknown.
        CheckpointError: If the trunk's weights cannot be had.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    entry = METHODS[method]
    model: SimilarityModel = entry.model(
        from_dict(entry.config, config, where=f"{method} configuration"), weights, generator=generator
    )
    return model


def model_config(model: SimilarityModel) -> dict[str, Any]:
    """The plain configuration that :func:`build_model` takes to build this model again."""
    return to_dict(model.config)
