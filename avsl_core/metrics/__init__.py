"""Retrieval and clustering metrics, and the meaning of a distance, from distances and labels alone.

`evaluate_retrieval` scores rankings, `nmi` scores clusters, `pair_distances` measures how far apart pairs of
the same kind and of different kinds lie. All of them take tensors or blocks of rows; none knows a model.
"""

from avsl_core.metrics.clustering import nmi
from avsl_core.metrics.neighbours import count_positives, score_neighbours
from avsl_core.metrics.pair_distribution import PairDistribution, Threshold
from avsl_core.metrics.pairs import pair_distances
from avsl_core.metrics.ranking import QueryScores
from avsl_core.metrics.results import RetrievalMetrics
from avsl_core.metrics.retrieval import evaluate_retrieval, mean_scores

__all__ = [
    "PairDistribution",
    "QueryScores",
    "RetrievalMetrics",
    "Threshold",
    "count_positives",
    "evaluate_retrieval",
    "mean_scores",
    "nmi",
    "pair_distances",
    "score_neighbours",
]
