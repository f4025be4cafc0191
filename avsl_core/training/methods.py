"""What trains each method, by the method's name."""

from collections.abc import Mapping
from types import MappingProxyType

from avsl_core.training.cgd_objective import CgdObjective
from avsl_core.training.diml_objective import DimlObjective
from avsl_core.training.objectives import AvslObjective, EmbeddingObjective, Objective
from avsl_core.training.raml_objective import RamlObjective

__all__ = ["OBJECTIVES"]

OBJECTIVES: Mapping[str, type[Objective]] = MappingProxyType(
    {
        "avsl": AvslObjective,
        "embedding": EmbeddingObjective,
        "cgd": CgdObjective,
        "diml": DimlObjective,
        "raml": RamlObjective,
    }
)
