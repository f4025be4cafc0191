"""The outcome of an evaluation, as a value that can be logged, compared and saved."""

from dataclasses import dataclass, replace

from avsl_core.errors import DataError

__all__ = ["RetrievalMetrics"]


@dataclass(frozen=True)
class RetrievalMetrics:
    """Retrieval and clustering quality of a set of queries, every metric in [0, 1] and larger is better.

    Means are over the queries that have a positive: `queries - queries_without_positive` of them.

    Attributes:
        recall: R@k by k: share of queries with a picture of their class among the k nearest.
        precision_at_1: share of queries whose nearest picture is of their class.
        r_precision: mean share of positives among the R nearest, R the number of positives of the query.
        map_at_r: mean average precision cut at R.
        mean_average_precision: mean average precision over the whole ranking, or None when only the nearest
            were found.
        nmi: normalised mutual information of clusters and classes, or None when it was not computed.
        queries: all queries.
        queries_without_positive: those without another picture of their class in the gallery.
    """

    recall: dict[int, float]
    precision_at_1: float
    r_precision: float
    map_at_r: float
    mean_average_precision: float | None
    nmi: float | None
    queries: int
    queries_without_positive: int

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            if name.startswith("queries"):
                continue
            if value is not None and not 0 <= value <= 1:
                raise DataError(f"metric {name} is {value}; it must lie in [0, 1]")

    def with_nmi(self, nmi: float) -> "RetrievalMetrics":
        """Return the same metrics with `nmi` filled in."""
        return replace(self, nmi=nmi)

    def to_dict(self) -> dict[str, float | None]:
        """Return plain numbers by their usual names, ready for JSON or a log.

        >>> metrics = RetrievalMetrics({1: 0.5}, 0.5, 0.4, 0.3, 0.6, None, 9, 1)
        >>> metrics.to_dict()
        {'recall@1': 0.5, 'precision@1': 0.5, 'r_precision': 0.4, 'map@r': 0.3, 'map': 0.6, 'nmi': None,
         'queries': 9, 'queries_without_positive': 1}
        """
        return {
            **{f"recall@{k}": value for k, value in self.recall.items()},
            "precision@1": self.precision_at_1,
            "r_precision": self.r_precision,
            "map@r": self.map_at_r,
            "map": self.mean_average_precision,
            "nmi": self.nmi,
            "queries": self.queries,
            "queries_without_positive": self.queries_without_positive,
        }
