"""Retrieval metrics: how often, and how early, a picture's own class comes first.

R@k is a hit rate, as in the metric-learning literature: the share of queries with at least one picture of
their class among the k nearest. R-precision and MAP@R follow Musgrave, Belongie and Lim, "A Metric Learning
Reality Check" (ECCV 2020); a query is never counted among its own positives.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics.ranking import SCORING_BYTES, QueryScores, score_rows
from avsl_core.metrics.results import RetrievalMetrics
from avsl_core.metrics.rows import Distances, Labels, as_labels, row_slices, rows_within

__all__ = ["check_ks", "evaluate_retrieval", "mean_scores"]


def evaluate_retrieval(
    distances: Distances,
    query_labels: Labels,
    gallery_labels: Labels,
    *,
    same_set: bool,
    ks: Sequence[int] = (1, 2, 4, 8),
    byte_budget: int = 256 * 2**20,
) -> RetrievalMetrics:
    """Score the rankings that distances give to a gallery.

    Equal distances are ordered by gallery index. Queries without a positive in the gallery are left out of
    every mean and counted in `queries_without_positive`. The result does not depend on how the rows are cut
    into blocks, nor on their order.

    Memory: what the caller holds, at most `byte_budget` of working memory (or what one row needs, at most 64
    bytes per gallery picture), and 40 bytes per query.

    Args:
        distances: [Q, G], smaller is closer; or an iterable of row blocks (first row, [b, G]) in any order,
            each row once. Any floating type and device; infinite distances rank last, NaN is refused.
        query_labels: [Q] whole numbers.
        gallery_labels: [G] whole numbers.
        same_set: query i is gallery picture i, and is left out of its own ranking.
        ks: the k of R@k, each at least 1; more than the gallery holds is allowed.
        byte_budget: working memory in bytes.

    Returns:
        The metrics, each in [0, 1], with `nmi` None (see `avsl_core.metrics.nmi`).

    Raises:
        DataError: empty or malformed labels or distances, NaN, or no query with a positive.
        ConfigError: a k below 1, or a byte budget that is not positive.

    Example:
        Pictures 0 and 1 are of one class, 2 and 3 of another; 2 lies closer to 1 than to 3.

        >>> positions = torch.tensor([0.0, 1.0, 3.0, 5.5])
        >>> distances = (positions[:, None] - positions[None, :]).abs()
        >>> metrics = evaluate_retrieval(distances, [0, 0, 1, 1], [0, 0, 1, 1], same_set=True, ks=(1, 2))
        >>> metrics.recall
        {1: 0.75, 2: 1.0}
        >>> metrics.mean_average_precision
        0.875
    """
    queries = as_labels(query_labels, "query_labels")
    gallery = as_labels(gallery_labels, "gallery_labels")
    check_ks(ks)
    if same_set and not torch.equal(queries, gallery):
        raise DataError(
            "query_labels and gallery_labels differ although same_set is true; pass the same labels twice"
        )
    return mean_scores(_score_all(distances, queries, gallery, same_set, byte_budget), ks)


def check_ks(ks: Sequence[int]) -> None:
    """Refuse a k of R@k below 1.

    Raises:
        ConfigError: Naming it.
    """
    for k in ks:
        if k < 1:
            raise ConfigError(f"k of R@k is {k}; give whole numbers from 1 up")


def _score_all(
    distances: Distances, queries: Tensor, gallery: Tensor, same_set: bool, byte_budget: int
) -> QueryScores:
    """Score every query, slice by slice, and return the scores in query order."""
    rows_at_once = rows_within(byte_budget, SCORING_BYTES * len(gallery))
    parts: dict[int, QueryScores] = {}
    for start, rows in row_slices(distances, len(queries), len(gallery), rows_at_once=rows_at_once):
        stop = start + len(rows)
        own_columns = torch.arange(start, stop) if same_set else None
        parts[start] = score_rows(rows, queries[start:stop], gallery, own_columns)
    return QueryScores.concatenate([parts[start] for start in sorted(parts)])


def mean_scores(scores: QueryScores, ks: Sequence[int]) -> RetrievalMetrics:
    """Average over the queries that have a positive.

    Average precisions of NaN, where whole rankings were not made, give None.

    Raises:
        DataError: If no query has a positive.
    """
    counted = scores.positives > 0
    total = int(counted.sum())
    if total == 0:
        raise DataError(
            "no query has another picture of its class in the gallery; give classes with two or more pictures"
        )

    def mean(values: Tensor) -> float:
        return float(values[counted].double().sum() / total)

    whole = scores.average_precision
    return RetrievalMetrics(
        recall={int(k): mean(scores.first_hit <= k) for k in ks},
        precision_at_1=mean(scores.first_hit == 1),
        r_precision=mean(scores.r_precision),
        map_at_r=mean(scores.map_at_r),
        mean_average_precision=None if whole.isnan().any() else mean(whole),
        nmi=None,
        queries=len(counted),
        queries_without_positive=len(counted) - total,
    )
