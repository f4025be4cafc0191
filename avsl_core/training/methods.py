"""What trains each method, by the method's name."""

from collections.abc import Mapping
from types import MappingProxyType

from avsl_core.training.objectives import AvslObjective, EmbeddingObjective, Objective

__all__ = ["OBJECTIVES"]

OBJECTIVES: Mapping[str, type[Objective]] = MappingProxyType(
    {"avsl": AvslObjective, "embedding": EmbeddingObjective}
)
