"""Methods that measure and explain similarity, behind one interface."""

from avsl_core.models.avsl import AvslConfig, AvslEncoding, AvslModel
from avsl_core.models.backbone import Backbone, BackboneConfig
from avsl_core.models.base import Encoding, Role, SimilarityModel
from avsl_core.models.embedding import EmbeddingConfig, EmbeddingEncoding, EmbeddingModel
from avsl_core.models.explanation import Component, Explanation, Flow, LevelDetails
from avsl_core.models.measure import Measure, Rows
from avsl_core.models.registry import METHODS, build_model, model_config

__all__ = [
    "METHODS",
    "AvslConfig",
    "AvslEncoding",
    "AvslModel",
    "Backbone",
    "BackboneConfig",
    "Component",
    "EmbeddingConfig",
    "EmbeddingEncoding",
    "EmbeddingModel",
    "Encoding",
    "Explanation",
    "Flow",
    "LevelDetails",
    "Measure",
    "Role",
    "Rows",
    "SimilarityModel",
    "build_model",
    "model_config",
]
