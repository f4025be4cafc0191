"""Retrieval metrics from the nearest neighbours alone, where whole rankings would be too much to make."""

import torch
from torch import Tensor

from avsl_core.errors import DataError
from avsl_core.metrics.ranking import QueryScores
from avsl_core.metrics.rows import Labels, as_labels

__all__ = ["count_positives", "score_neighbours"]


def count_positives(query_labels: Labels, gallery_labels: Labels, *, same_set: bool) -> Tensor:
    """Count the pictures of each query's class that it can find.

    Args:
        query_labels: ``[Q]`` whole numbers.
        gallery_labels: ``[G]`` whole numbers.
        same_set: The queries are the gallery, and none finds itself.

    Returns:
        R, ``[Q]`` int64.

    Example:
        >>> count_positives([0, 0, 1], [0, 0, 1], same_set=True)
        tensor([1, 1, 0])
    """
    queries, gallery = as_labels(query_labels, "query_labels"), as_labels(gallery_labels, "gallery_labels")
    names, counts = torch.unique(gallery, return_counts=True)
    place = torch.searchsorted(names, queries).clamp_max(len(names) - 1)
    found = torch.where(names[place] == queries, counts[place], 0)
    return (found - 1).clamp_min(0) if same_set else found


def score_neighbours(
    neighbours: Tensor, query_labels: Tensor, gallery_labels: Tensor, positives: Tensor
) -> QueryScores:
    """Score some queries by their nearest neighbours.

    Args:
        neighbours: ``[b, K]`` int64 rows of the gallery, nearest first, the query itself left out; -1 where
            there is none. K is at least the largest of ``positives``, or all there is.
        query_labels: ``[b]`` int64.
        gallery_labels: ``[G]`` int64.
        positives: R, ``[b]`` int64, as :func:`count_positives`.

    Returns:
        The figures; a first hit beyond the neighbours counts as one past the gallery, and the average
        precision, which needs the whole ranking, is NaN.

    Raises:
        DataError: If there are fewer neighbours than R-precision needs.
    """
    within, K = len(gallery_labels), neighbours.shape[1]
    if min(int(positives.max()), within) > K:
        raise DataError(
            f"{K} neighbours a query, but a class has {int(positives.max())} more pictures: find more"
        )
    hits = (gallery_labels[neighbours.clamp_min(0)] == query_labels[:, None]) & (neighbours >= 0)
    ranks = torch.arange(1, K + 1)
    precision = hits.cumsum(dim=1).double() / ranks
    counted = hits & (ranks <= positives[:, None])
    divisor = positives.clamp_min(1)
    first = torch.where(hits.any(dim=1), hits.int().argmax(dim=1) + 1, within + 1)
    return QueryScores(
        positives=positives,
        first_hit=first,
        r_precision=counted.sum(dim=1).double() / divisor,
        map_at_r=(precision * counted).sum(dim=1) / divisor,
        average_precision=torch.full((len(hits),), torch.nan, dtype=torch.float64),
    )
