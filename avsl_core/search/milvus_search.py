"""Search with Milvus: least bounds from the server, exact distances here.

For a query x the bound (:meth:`avsl_core.models.Measure.bound_weights`) opens into an inner product,

    sum_r w_r (x_r - y_r)^2  =  X - <[2 w x, -w], [y, y^2]>,      X = sum_r w_r x_r^2

of a vector of the query and one of the row. Milvus keeps the latter and finds the greatest products, that is
the least bounds; rows are fetched in that order and measured in full, until no other row's bound can be below
the k-th distance. The server computes in float32; what its rounding can hide is derived in
:func:`least_product`, so that the answer is that of measuring every pair.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from avsl_core.models import Measure, Rows
from avsl_core.search.milvus_store import MilvusStore, from_text
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.pairs import column_weights, measure_pairs
from avsl_core.search.source import MemoryRows

__all__ = ["Mode", "Question", "encode_rows", "least_product", "search_exactly", "search_fast"]

Mode = Literal["exact", "fast"]

_MOST = 16_384  # hits in one answer
_FIRST = 64  # hits in the first answer, at least
_TOGETHER = 16  # queries in one message
_ROUNDOFF = 2.0**-24  # of float32
_SHORTLIST = 200

_Hit = tuple[int, float]


@dataclass(frozen=True, eq=False)
class Question:
    """What all queries of a search have in common, and the rows that each must not find.

    Attributes:
        store: Where the rows are.
        measure: Of the rows.
        k: Neighbours wanted.
        part_weights: What each part counts in the order; None for all alike.
        condition: On the rows, as Milvus writes it; empty for none.
        exclude: ``[Q]``, a row number or -1 per query; None for none.
    """

    store: MilvusStore
    measure: Measure
    k: int
    part_weights: tuple[float, ...] | None
    condition: str
    exclude: Tensor | None


def encode_rows(measure: Measure, rows: Rows, mode: Mode, mean_gates: Tensor) -> tuple[Tensor, Tensor]:
    """What Milvus keeps of rows: the vectors to search, and what else it takes to measure them.

    Returns:
        ``[y, y^2]`` and the gates; in mode ``"fast"``, y scaled by the roots of the weights at the mean gate,
        and y and the gates.
    """
    if mode == "exact":
        return torch.cat([rows.vectors, rows.vectors.square()], dim=1), rows.gates
    scaled = rows.vectors * measure.typical_weights(mean_gates).sqrt()
    return scaled, torch.cat([rows.vectors, rows.gates], dim=1)


def search_exactly(question: Question, queries: Rows, low: Tensor, high: Tensor, stop: int) -> Neighbours:
    """Find what measuring all rows would find.

    Args:
        question: To the gallery.
        queries: Q rows.
        low: Least gates of all rows.
        high: Greatest.
        stop: One past the greatest row number.
    """
    measure = question.measure
    # Weights as the distance has them, in float32; from there on in float64, so that little but the server's
    # arithmetic rounds.
    x = queries.vectors.double()
    weights = measure.bound_weights(queries, low, high).double()
    if question.part_weights is not None:
        weights = weights * column_weights(measure, question.part_weights)
    asked = torch.cat([2.0 * weights * x, -weights], dim=1)
    own = (weights * x.square()).sum(dim=1)
    limit = min(_MOST, max(_FIRST, 4 * question.k))
    answers = []
    for start in range(0, len(queries), _TOGETHER):
        some = asked[start : start + _TOGETHER]
        for offset, hits in enumerate(question.store.nearest(some, limit, question.condition, {})):
            i = start + offset
            excluded = -1 if question.exclude is None else int(question.exclude[i])
            pursuit = _Pursuit(question, queries[i : i + 1], asked[i : i + 1], float(own[i]), excluded)
            pursuit.settle(0, stop, limit, hits)
            answers.append(pursuit.found)
    return Neighbours.concatenate([Neighbours.empty(0, question.k, len(measure.parts)), *answers])


def search_fast(question: Question, queries: Rows, mean_gates: Tensor) -> Neighbours:
    """Measure a shortlist by the distance at its mean gate.

    Args:
        question: To the gallery.
        queries: Q rows.
        mean_gates: That the gallery was created with.
    """
    scaled = queries.vectors * question.measure.typical_weights(mean_gates).sqrt()
    uneven = question.part_weights is not None and len(set(question.part_weights)) > 1
    limit = min(_MOST, max(_SHORTLIST, 20 * question.k) * (8 if uneven else 1))
    answers = []
    for start in range(0, len(queries), _TOGETHER):
        some = scaled[start : start + _TOGETHER]
        for offset, hits in enumerate(question.store.nearest(some, limit, question.condition, {"ef": limit})):
            i = start + offset
            excluded = -1 if question.exclude is None else int(question.exclude[i])
            answer = Neighbours.empty(1, question.k, len(question.measure.parts))
            rows = [row for row, _ in hits if row != excluded]
            answer = _measure(question, queries[i : i + 1], rows, answer, "fast")
            answers.append(replace(answer, bounded=torch.tensor([len(hits)])))
    return Neighbours.concatenate([Neighbours.empty(0, question.k, len(question.measure.parts)), *answers])


def least_product(own: float, distance: float, terms: int) -> float:
    """The product, as float32 may give it, below which no row lies whose bound is at most a distance.

    Let Y = sum_r w_r y_r^2. A row with bound B has the product X - B. A sum of n products in float32, in
    whatever order, errs by at most gamma_n = n u / (1 - n u) times the sum of the magnitudes, u = 2^-24;
    rounding the query's vector and y^2 adds two u. By Cauchy and Schwarz the magnitudes add up to at most
    2 sqrt(X Y) + Y, and by the triangle inequality sqrt(Y) is at most sqrt(X) + sqrt(B).

    Args:
        own: X of the query.
        distance: In float32; its own rounding is allowed for.
        terms: n, columns of the vectors in Milvus.

    Example:
        >>> least_product(1.0, 0.25, 3072) < 1.0 - 0.25
        True
    """
    bound = distance * (1.0 + 1e-4) + 1e-6
    unit = (terms + 4) * _ROUNDOFF
    longest = math.sqrt(own) + math.sqrt(bound)
    magnitudes = 2.0 * math.sqrt(own) * longest + longest * longest
    return own - bound - unit / (1.0 - unit) * magnitudes


class _Pursuit:
    """One query on its way through ever longer answers."""

    def __init__(self, question: Question, query: Rows, asked: Tensor, own: float, excluded: int) -> None:
        self.question, self.query, self.asked, self.own = question, query, asked, own
        self.found = Neighbours.empty(1, question.k, len(question.measure.parts))
        self._seen = {excluded}

    def settle(self, start: int, stop: int, limit: int, hits: list[_Hit] | None = None) -> None:
        """Measure all rows from start to stop that may be neighbours.

        Args:
            start: First row number.
            stop: One past the last.
            limit: Hits to ask for at first.
            hits: The first answer, if it is known already.
        """
        while True:
            if hits is None:
                hits = self._ask(start, stop, limit)
            self.found = replace(self.found, bounded=self.found.bounded + len(hits))
            self._measure(hits)
            if len(hits) < limit or hits[-1][1] < self._least():
                return
            if stop - start <= limit:
                return
            if limit == _MOST:  # no longer answer can be had: ask for fewer rows
                middle = (start + stop) // 2
                self.settle(start, middle, _MOST)
                self.settle(middle, stop, _MOST)
                return
            limit, hits = min(4 * limit, _MOST), None

    def _ask(self, start: int, stop: int, limit: int) -> list[_Hit]:
        conditions = [f"row >= {start} and row < {stop}"]
        if self.question.condition:
            conditions.append(self.question.condition)
        return self.question.store.nearest(self.asked, limit, " and ".join(conditions), {})[0]

    def _measure(self, hits: Sequence[_Hit]) -> None:
        """Measure hits, best first, until the others are out of reach."""
        waiting = [hit for hit in hits if hit[0] not in self._seen]
        count = max(self.question.k, 16)
        while waiting:
            least = self._least()
            now = [row for row, product in waiting[:count] if product >= least]
            if not now:
                return
            self.found = _measure(self.question, self.query, now, self.found, "exact")
            self._seen.update(now)
            waiting, count = waiting[count:], 2 * count

    def _least(self) -> float:
        """The product that a further neighbour must have."""
        farthest = float(self.found.distances[0, -1])
        if farthest == float("inf"):
            return -farthest
        return least_product(self.own, farthest, self.asked.shape[1])


def _measure(
    question: Question, query: Rows, numbers: Sequence[int], found: Neighbours, mode: Mode
) -> Neighbours:
    """Fetch rows and rank them among those found; rows that were just deleted are passed over."""
    measure, width = question.measure, question.measure.dimensions
    entries = question.store.fetch(numbers, ["vector", "payload"] if mode == "exact" else ["payload"])
    rows = torch.tensor([number for number in numbers if number in entries], dtype=torch.int64)
    if len(rows) == 0:
        return found
    kept = [entries[number] for number in rows.tolist()]
    payload = torch.stack([from_text(entry["payload"]) for entry in kept])
    if mode == "exact":
        vectors, gates = torch.tensor([entry["vector"][:width] for entry in kept]), payload
    else:
        vectors, gates = payload[:, :width], payload[:, width:]
    pairs = (torch.zeros(len(rows), dtype=torch.int64), torch.arange(len(rows)))
    parts = measure_pairs(measure, query, MemoryRows(Rows(vectors, gates)), pairs, torch.device("cpu"))
    weighted = parts if question.part_weights is None else parts * torch.tensor(question.part_weights)
    merged = found.merge(rows[None], weighted.sum(dim=1)[None], parts[None])
    return replace(merged, verified=found.verified + len(rows))
