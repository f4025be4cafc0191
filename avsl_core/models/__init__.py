"""Methods that measure and explain similarity, behind one interface."""

from avsl_core.models.adaptation import AdaptationConfig, AdaptationEncoding, AdaptationModel
from avsl_core.models.avsl import AvslConfig, AvslEncoding, AvslModel
from avsl_core.models.backbone import Backbone, BackboneConfig
from avsl_core.models.base import Encoding, Role, SimilarityModel
from avsl_core.models.cgd import CgdConfig, CgdEncoding, CgdModel
from avsl_core.models.diml import DimlConfig, DimlEncoding, DimlModel
from avsl_core.models.embedding import EmbeddingConfig, EmbeddingEncoding, EmbeddingModel
from avsl_core.models.explanation import CellLikeness, Component, Explanation, Flow, LevelDetails
from avsl_core.models.measure import Measure, Rows
from avsl_core.models.raml import RamlConfig, RamlEncoding, RamlModel
from avsl_core.models.registry import METHODS, build_model, model_config

__all__ = [
    "METHODS",
    "AdaptationConfig",
    "AdaptationEncoding",
    "AdaptationModel",
    "AvslConfig",
    "AvslEncoding",
    "AvslModel",
    "Backbone",
    "BackboneConfig",
    "CellLikeness",
    "CgdConfig",
    "CgdEncoding",
    "CgdModel",
    "Component",
    "DimlConfig",
    "DimlEncoding",
    "DimlModel",
    "EmbeddingConfig",
    "EmbeddingEncoding",
    "EmbeddingModel",
    "Encoding",
    "Explanation",
    "Flow",
    "LevelDetails",
    "Measure",
    "RamlConfig",
    "RamlEncoding",
    "RamlModel",
    "Role",
    "Rows",
    "SimilarityModel",
    "build_model",
    "model_config",
]
