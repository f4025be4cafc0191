"""Learning from pairs which features of a frozen network matter: features, fitting, runs."""

from avsl_core.adaptation.features import Features, cached_features, extract_features
from avsl_core.adaptation.fit import FitOptions, PairFeatures, fit_head
from avsl_core.adaptation.runs import (
    AdaptationResult,
    AdaptationRun,
    RunOptions,
    adapt_pairs,
    adapted_model,
    pair_features,
)
from avsl_core.adaptation.trunks import default_levels, default_weights, frozen_model, preprocess_of

__all__ = [
    "AdaptationResult",
    "AdaptationRun",
    "Features",
    "FitOptions",
    "PairFeatures",
    "RunOptions",
    "adapt_pairs",
    "adapted_model",
    "cached_features",
    "default_levels",
    "default_weights",
    "extract_features",
    "fit_head",
    "frozen_model",
    "pair_features",
    "preprocess_of",
]
