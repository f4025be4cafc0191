"""Judge a model on labelled pictures: retrieval metrics, and what its distances mean."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avsl_core.errors import DataError
from avsl_core.metrics import (
    PairDistribution,
    QueryScores,
    RetrievalMetrics,
    count_positives,
    evaluate_retrieval,
    mean_scores,
    nmi,
    pair_distances,
    score_neighbours,
)
from avsl_core.metrics.retrieval import check_ks
from avsl_core.metrics.rows import as_labels
from avsl_core.models import Encoding, Measure, Rows, SimilarityModel
from avsl_core.search import ExactSearch, MemoryRows

__all__ = [
    "Evaluation",
    "distance_rows",
    "evaluate_encoding",
    "evaluate_queries",
    "evaluate_rows",
    "measure_pairs_of",
]

_ROW_BYTES = 64 * 2**20
_QUERIES = 2048
_PAIRS = 200_000  # of each kind: quantiles of more hardly differ
_CHUNK = 512  # pairs whose intermediates stay in the cache


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one labelled set.

    Attributes:
        metrics: Retrieval and, if asked for, clustering.
        pairs: Distances of same-kind and different-kind pairs, or None if not asked for.
    """

    metrics: RetrievalMetrics
    pairs: PairDistribution | None


@torch.inference_mode()
def evaluate_encoding(
    model: SimilarityModel,
    encoding: Encoding,
    labels: Sequence[int],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    with_nmi: bool = False,
    with_pairs: bool = True,
    full_ranking: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Rank every picture's neighbours among the others by the model's exact distance.

    The neighbours come from :class:`avsl_core.search.ExactSearch`: as many as the metrics need, the same as
    from measuring every pair, at a small part of its cost.

    Args:
        model: Measures.
        encoding: Of all pictures, for both sides.
        labels: Their classes.
        ks: The k of R@k.
        with_nmi: Whether to cluster as well (k-means on the node vectors).
        with_pairs: Whether to measure pairs of the same kind and of different kinds.
        full_ranking: Whether to measure every pair, which gives the mean average precision as well.
        seed: Of the clustering and of drawing pairs.

    Raises:
        DataError: If no picture has another of its class.
    """
    asked, found = model.rows(encoding, "query"), model.rows(encoding, "gallery")
    if full_ranking:
        rows = distance_rows(model, encoding, encoding)
        metrics = evaluate_retrieval(rows, labels, labels, same_set=True, ks=ks)
    else:
        metrics = _evaluate_rows(model.measure(), asked, labels, found, labels, ks=ks, same_set=True)
    pairs = (
        pair_distances(measure_pairs_of(model.measure(), asked, found), labels, max_pairs=_PAIRS, seed=seed)
        if with_pairs
        else None
    )
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
    full_ranking: bool = False,
) -> RetrievalMetrics:
    """Rank a gallery's pictures for queries that are not part of it (In-Shop).

    Args:
        model: Measures.
        queries: Encoded as ``"query"``.
        query_labels: Their classes.
        gallery: Encoded as ``"gallery"``.
        gallery_labels: Their classes.
        ks: The k of R@k.
        full_ranking: Whether to measure every pair, which gives the mean average precision as well.

    Raises:
        DataError: If no query has a picture of its class in the gallery.
    """
    if full_ranking:
        rows = distance_rows(model, queries, gallery)
        return evaluate_retrieval(rows, query_labels, gallery_labels, same_set=False, ks=ks)
    return _evaluate_rows(
        model.measure(),
        model.rows(queries, "query"),
        query_labels,
        model.rows(gallery, "gallery"),
        gallery_labels,
        ks=ks,
        same_set=False,
    )


@torch.inference_mode()
def evaluate_rows(
    measure: Measure,
    queries: Rows,
    query_labels: Sequence[int],
    gallery: Rows,
    gallery_labels: Sequence[int],
    *,
    same_set: bool,
    ks: Sequence[int] = (1, 2, 4, 8),
    with_nmi: bool = False,
    seed: int = 0,
) -> RetrievalMetrics:
    """Rank pictures by their rows alone, wherever those come from.

    Args:
        measure: Of the model.
        queries: Rows of the queries' side.
        query_labels: Their classes.
        gallery: Rows of the gallery's side.
        gallery_labels: Their classes.
        same_set: Whether both are the same pictures, in the same order: none finds itself then.
        ks: The k of R@k.
        with_nmi: Whether to cluster the gallery's rows as well (k-means).
        seed: Of the clustering.

    Raises:
        DataError: If no query has a picture of its class in the gallery.
    """
    metrics = _evaluate_rows(
        measure, queries, query_labels, gallery, gallery_labels, ks=ks, same_set=same_set
    )
    return metrics.with_nmi(nmi(gallery.vectors, gallery_labels, seed)) if with_nmi else metrics


def measure_pairs_of(
    measure: Measure, queries: Rows, gallery: Rows | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """A function from row numbers of both sides, ``[P]`` each, to distances ``[P]``.

    Args:
        measure: Of the model.
        queries: Rows of one side.
        gallery: The same pictures' rows of the other side; None where the sides are alike.
    """
    others = queries if gallery is None else gallery

    def measured(first: Tensor, second: Tensor) -> Tensor:
        parts = [
            measure.distances(queries[first[start : start + _CHUNK]], others[second[start : start + _CHUNK]])
            for start in range(0, len(first), _CHUNK)
        ]
        return torch.cat(parts)

    return measured


def distance_rows(model: SimilarityModel, a: Encoding, b: Encoding) -> Iterator[tuple[int, Tensor]]:
    """Yield (first row, distances ``[rows, len(b)]``) so that a whole matrix need not be held."""
    per_block = max(1, _ROW_BYTES // (4 * len(b)))
    for start in range(0, len(a), per_block):
        yield start, model.distance_matrix(a[start : start + per_block], b)


def _evaluate_rows(
    measure: Measure,
    queries: Rows,
    query_labels: Sequence[int],
    gallery: Rows,
    gallery_labels: Sequence[int],
    *,
    ks: Sequence[int],
    same_set: bool,
) -> RetrievalMetrics:
    """Find as many neighbours as the metrics look at, for queries of like need together."""
    check_ks(ks)
    own, theirs = as_labels(query_labels, "query_labels"), as_labels(gallery_labels, "gallery_labels")
    for labels, rows in ((own, queries), (theirs, gallery)):
        if len(labels) != len(rows):
            raise DataError(f"{len(labels)} labels for {len(rows)} pictures; give one each")
    positives = count_positives(own, theirs, same_set=same_set)
    search = ExactSearch(measure, MemoryRows(gallery), device=gallery.vectors.device)
    order = positives.argsort(stable=True)
    scores: list[QueryScores] = []
    for start in range(0, len(order), _QUERIES):
        some = order[start : start + _QUERIES]
        k = min(max([1, *ks, int(positives[some].max())]), len(gallery))
        on_device = some.to(queries.vectors.device)
        found = search.search(queries[on_device], k, exclude=some if same_set else None)
        scores.append(score_neighbours(found.rows, own[some], theirs, positives[some]))
    return mean_scores(QueryScores.concatenate(scores), ks)
