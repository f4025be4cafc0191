"""Judge a model on labelled pictures: retrieval metrics, and what its distances mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core.metrics import PairDistribution, RetrievalMetrics, evaluate_retrieval, nmi, pair_distances
from avsl_core.models import Encoding, SimilarityModel

__all__ = ["Evaluation", "distance_rows", "evaluate_encoding"]

_ROW_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one labelled set.

    Attributes:
        metrics: Retrieval and, if asked for, clustering.
        pairs: Distances of same-kind and different-kind pairs.
    """

    metrics: RetrievalMetrics
    pairs: PairDistribution


@torch.inference_mode()
def evaluate_encoding(
    model: SimilarityModel,
    encoding: Encoding,
    labels: Sequence[int],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    with_nmi: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Rank every picture's neighbours among the others by the model's exact distance.

    Args:
        model: Measures.
        encoding: Of all pictures.
        labels: Their classes.
        ks: The k of R@k.
        with_nmi: Whether to cluster as well (k-means on the node vectors).
        seed: Of the clustering and of sampling pairs.

    Raises:
        DataError: If no picture has another of its class.
    """
    rows = [(start, block) for start, block in distance_rows(model, encoding, encoding)]
    metrics = evaluate_retrieval(rows, labels, labels, same_set=True, ks=ks)
    if with_nmi:
        metrics = metrics.with_nmi(nmi(model.node_vectors(encoding), labels, seed))
    return Evaluation(metrics, pair_distances(rows, labels, seed=seed))


def distance_rows(model: SimilarityModel, a: Encoding, b: Encoding) -> Iterator[tuple[int, Tensor]]:
    """Yield (first row, distances ``[rows, len(b)]``) so that a whole matrix need not be held."""
    per_block = max(1, _ROW_BYTES // (4 * len(b)))
    for start in range(0, len(a), per_block):
        yield start, model.distance_matrix(a[start : start + per_block], b)
