"""Judge a model on labelled pictures: retrieval metrics, and what its distances mean."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core.metrics import PairDistribution, RetrievalMetrics, evaluate_retrieval, nmi, pair_distances
from avsl_core.models import Encoding, SimilarityModel

__all__ = ["Evaluation", "distance_rows", "evaluate_encoding", "evaluate_queries"]

_ROW_BYTES = 64 * 2**20
_HELD = 8000  # pictures whose distance matrix (256 MB) is kept to be read twice


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
    rows: Iterable[tuple[int, Tensor]] = distance_rows(model, encoding, encoding)
    if len(encoding) <= _HELD:
        rows = list(rows)
        pairs = pair_distances(rows, labels, seed=seed)
    else:
        # The whole matrix would not fit: pairs are drawn from a sample, and the rows pass by once.
        chosen = _sample(labels, seed)
        sample = encoding[chosen]
        pairs = pair_distances(
            distance_rows(model, sample, sample), [labels[index] for index in chosen], seed=seed
        )
    metrics = evaluate_retrieval(rows, labels, labels, same_set=True, ks=ks)
    if with_nmi:
        metrics = metrics.with_nmi(nmi(model.node_vectors(encoding), labels, seed))
    return Evaluation(metrics, pairs)


@torch.inference_mode()
def evaluate_queries(
    model: SimilarityModel,
    queries: Encoding,
    query_labels: Sequence[int],
    gallery: Encoding,
    gallery_labels: Sequence[int],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
) -> RetrievalMetrics:
    """Rank a gallery's pictures for queries that are not part of it (In-Shop).

    Args:
        model: Measures.
        queries: Encoded as ``"query"``.
        query_labels: Their classes.
        gallery: Encoded as ``"gallery"``.
        gallery_labels: Their classes.
        ks: The k of R@k.

    Raises:
        DataError: If no query has a picture of its class in the gallery.
    """
    rows = distance_rows(model, queries, gallery)
    return evaluate_retrieval(rows, query_labels, gallery_labels, same_set=False, ks=ks)


def _sample(labels: Sequence[int], seed: int) -> list[int]:
    """Whole classes, drawn until enough pictures are together: same-kind pairs stay frequent."""
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    order = torch.randperm(len(by_class), generator=torch.Generator().manual_seed(seed)).tolist()
    classes = list(by_class.values())
    chosen: list[int] = []
    for taken, position in enumerate(order):
        if taken >= 2 and len(chosen) >= _HELD // 4:
            break
        chosen += classes[position][: max(2, _HELD // 8)]
    return chosen


def distance_rows(model: SimilarityModel, a: Encoding, b: Encoding) -> Iterator[tuple[int, Tensor]]:
    """Yield (first row, distances ``[rows, len(b)]``) so that a whole matrix need not be held."""
    per_block = max(1, _ROW_BYTES // (4 * len(b)))
    for start in range(0, len(a), per_block):
        yield start, model.distance_matrix(a[start : start + per_block], b)
