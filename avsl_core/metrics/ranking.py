"""What one query's ranking is worth: the five figures from which every retrieval metric is a mean.

The gallery is sorted once per query; after that only the ranks of the positives matter, and these are few.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SCORING_BYTES", "QueryScores", "score_rows"]

SCORING_BYTES = 64
"""Working memory of `score_rows` in bytes per distance where all are positives; about 14 where few are."""


@dataclass(frozen=True)
class QueryScores:
    """Figures of some queries, one entry each, on the CPU.

    Attributes:
        positives: [b] int64, gallery pictures of the query's class, the query itself not counted.
        first_hit: [b] int64, rank of the nearest positive from 1; one past the gallery when there is none.
        r_precision: [b] float64, share of positives among the R nearest, where R is `positives`.
        map_at_r: [b] float64, (1/R) times the sum over ranks i <= R that hold a positive of precision at i.
        average_precision: [b] float64, mean over all positives of the precision at their rank.
    """

    positives: Tensor
    first_hit: Tensor
    r_precision: Tensor
    map_at_r: Tensor
    average_precision: Tensor

    @classmethod
    def concatenate(cls, parts: Sequence["QueryScores"]) -> "QueryScores":
        """Join the figures of several groups of queries, in the order given."""
        return cls(
            positives=torch.cat([part.positives for part in parts]),
            first_hit=torch.cat([part.first_hit for part in parts]),
            r_precision=torch.cat([part.r_precision for part in parts]),
            map_at_r=torch.cat([part.map_at_r for part in parts]),
            average_precision=torch.cat([part.average_precision for part in parts]),
        )


def score_rows(
    distances: Tensor, query_labels: Tensor, gallery_labels: Tensor, own_columns: Tensor | None
) -> QueryScores:
    """Rank the gallery for each query and score the ranking.

    Equal distances are ordered by gallery index, so that a ranking never depends on the sorting algorithm.
    Figures of a query without positives are 0.

    Args:
        distances: [b, G], no NaN; smaller is closer.
        query_labels: [b] int64.
        gallery_labels: [G] int64.
        own_columns: [b] int64, the column where each query meets itself, left out of its ranking; or None.
    """
    rows, ranks = _positive_ranks(distances, query_labels, gallery_labels, own_columns)
    return _score_ranks(rows, ranks, queries=len(distances), gallery=len(gallery_labels))


def _positive_ranks(
    distances: Tensor, query_labels: Tensor, gallery_labels: Tensor, own_columns: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return row and rank (from 1) of every positive, by row and then by rank, on the CPU.

    The sums that follow run on the CPU in this order, so that a result is the same to the bit on every run.
    """
    device = distances.device
    order = distances.argsort(dim=1, stable=True)
    is_positive = query_labels.to(device)[:, None] == gallery_labels.to(device)[None, :]
    if own_columns is None:
        rows, places = is_positive.gather(1, order).nonzero(as_tuple=True)
        return rows.cpu(), places.cpu() + 1
    # The query keeps its place in the order, wherever that is, and ranks beyond it count one less. Pushing it
    # to the end by an infinite distance would fail where other distances are infinite.
    own_columns = own_columns.to(device)[:, None]
    is_positive.scatter_(1, own_columns, False)
    own_places = (order == own_columns).to(torch.uint8).argmax(dim=1)
    rows, places = is_positive.gather(1, order).nonzero(as_tuple=True)
    ranks = places + 1 - (places > own_places[rows]).long()
    return rows.cpu(), ranks.cpu()


def _score_ranks(rows: Tensor, ranks: Tensor, *, queries: int, gallery: int) -> QueryScores:
    """Turn the ranks of the positives, in the order of `_positive_ranks`, into figures per query."""
    positives = rows.bincount(minlength=queries)
    offsets = positives.cumsum(0) - positives
    hits_so_far = torch.arange(len(rows)) - offsets[rows] + 1
    precision = hits_so_far.double() / ranks.double()
    within_r = (ranks <= positives[rows]).double()

    first_hit = torch.full((queries,), gallery + 1)
    has_positive = positives > 0
    first_hit[has_positive] = ranks[offsets[has_positive]]

    divisor = positives.clamp(min=1)
    return QueryScores(
        positives=positives,
        first_hit=first_hit,
        r_precision=rows.bincount(within_r, minlength=queries) / divisor,
        map_at_r=rows.bincount(precision * within_r, minlength=queries) / divisor,
        average_precision=rows.bincount(precision, minlength=queries) / divisor,
    )
