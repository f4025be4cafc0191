"""Whether explanations are true: every method asked the same question about pairs with a known answer."""

from avsl_core.faithfulness.completeness import completeness_error
from avsl_core.faithfulness.explainers import EXPLAINERS, Explainer, choose
from avsl_core.faithfulness.landmarks import LandmarkReport, LandmarkScore, score_landmarks
from avsl_core.faithfulness.level_truth import LevelCase, level_truth
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.faithfulness.measure import measure_faithfulness
from avsl_core.faithfulness.perturbation import Curves, perturb
from avsl_core.faithfulness.pointing import Pointing, point
from avsl_core.faithfulness.sanity import cascade, map_correlation, sanity_curve

__all__ = [
    "EXPLAINERS",
    "Curves",
    "Explainer",
    "LandmarkReport",
    "LandmarkScore",
    "LevelCase",
    "PairMaps",
    "Pointing",
    "cascade",
    "choose",
    "completeness_error",
    "level_truth",
    "map_correlation",
    "measure_faithfulness",
    "perturb",
    "point",
    "sanity_curve",
    "score_landmarks",
]
