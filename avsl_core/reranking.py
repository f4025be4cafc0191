"""Structural re-ranking: the first K of a ranking ordered by the match of their cells (DIML, section 3.3).

One evaluation answers for many K: what the largest needs is measured once.
"""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from avsl_core.errors import ConfigError, DataError
from avsl_core.metrics import QueryScores, RetrievalMetrics, count_positives, mean_scores, score_neighbours
from avsl_core.metrics.retrieval import check_ks
from avsl_core.metrics.rows import as_labels
from avsl_core.models import DimlEncoding, DimlModel
from avsl_core.search import ExactSearch, MemoryRows

__all__ = ["TOP_K", "Reranked", "evaluate_reranked", "write_table"]

TOP_K = (0, 5, 10, 50, 100, 500, 1000)
"""Published choices of K; 0 leaves the base's order as it is."""

_PAIRS = 16384  # matched at once
_CANDIDATES = 128  # gathered at once
_QUERIES = 512


@dataclass(frozen=True)
class Reranked:
    """Retrieval with the first K in structural order.

    Attributes:
        top_k: K.
        metrics: With it.
    """

    top_k: int
    metrics: RetrievalMetrics


@torch.inference_mode()
def evaluate_reranked(
    model: DimlModel,
    encoding: DimlEncoding,
    labels: Sequence[int],
    *,
    top_k: Sequence[int] = TOP_K,
    ks: Sequence[int] = (1, 2, 4, 8),
    progress: bool = False,
) -> list[Reranked]:
    """Rank every picture's neighbours by the base distance, then the first K of them by DIML's.

    Args:
        model: Measures.
        encoding: Of all pictures.
        labels: Their classes.
        top_k: Every K to report; those beyond the number of other pictures re-rank all.
        ks: The k of R@k.
        progress: Whether to show a bar on standard error.

    Returns:
        One entry per K, in the order given.

    Raises:
        ConfigError: If a K is negative, or none is given.
        DataError: If no picture has another of its class, or the labels are not one each.
        EncodingError: If the encoding is another model's.
    """
    if not top_k or any(k < 0 for k in top_k):
        raise ConfigError(f"top_k {list(top_k)}: give whole numbers, 0 or more")
    check_ks(ks)
    model.rows(encoding[:1])  # refuses another model's encoding, or another grid's
    classes = as_labels(labels, "labels")
    if len(classes) != len(encoding):
        raise DataError(f"{len(classes)} labels for {len(encoding)} pictures; give one each")
    positives = count_positives(classes, classes, same_set=True)
    if not bool(positives.any()):
        raise DataError("no picture has another of its class: there is nothing to find")
    deepest = min(max(top_k), len(classes) - 1)
    needed = min(max(deepest, *ks, int(positives.max())), len(classes) - 1)
    base = model.base.rows(encoding.base)
    search = ExactSearch(model.base.measure(), MemoryRows(base), device=base.vectors.device)
    scores: dict[int, list[QueryScores]] = {k: [] for k in top_k}
    with tqdm(total=len(classes), unit=" queries", desc="matching", disable=not progress) as bar:
        for start in range(0, len(classes), _QUERIES):
            some = torch.arange(start, min(start + _QUERIES, len(classes)))
            found = search.search(base[some.to(base.vectors.device)], needed, exclude=some)
            unlike = structural_distances(model, encoding, some, found.rows[:, :deepest])
            total = found.distances[:, :deepest] * model.config.base_weight + unlike
            for k in top_k:
                order = found.rows.clone()
                within = total[:, :k].argsort(dim=1, stable=True)
                order[:, : within.shape[1]] = found.rows[:, :k].gather(1, within)
                scores[k].append(score_neighbours(order, classes[some], classes, positives[some]))
            bar.update(len(some))
    return [Reranked(k, mean_scores(QueryScores.concatenate(scores[k]), ks)) for k in top_k]


def structural_distances(
    model: DimlModel, encoding: DimlEncoding, queries: Tensor, candidates: Tensor
) -> Tensor:
    """One less the structural similarity of queries and their candidates.

    Args:
        model: Measures.
        encoding: Of all pictures.
        queries: ``[Q]`` their numbers.
        candidates: ``[Q, K]`` numbers.

    Returns:
        ``[Q, K]``, on the CPU.
    """
    measure = model.measure()
    if candidates.shape[1] == 0:
        return torch.zeros(candidates.shape)
    parts = [measure.unlike(products) for products in _products(encoding, queries, candidates)]
    return torch.cat(parts).cpu()


def write_table(rows: Sequence[Reranked], path: str | os.PathLike[str]) -> None:
    """Write one line per K as CSV.

    Raises:
        ConfigError: If the file cannot be written.
    """
    names = [key for key, value in rows[0].metrics.to_dict().items() if value is not None]
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["top_k", *names])
            for row in rows:
                values = row.metrics.to_dict()
                table.writerow([row.top_k, *(values[name] for name in names)])
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _products(encoding: DimlEncoding, queries: Tensor, candidates: Tensor) -> Iterator[Tensor]:
    """Products of many queries with their candidates, ``[Q, K, N + 1, N + 1]``; all candidates in ``K``."""
    cells, whole = encoding.cells, encoding.whole
    (count, channels), width = cells.shape[1:], candidates.shape[1]
    # One place for the candidates of all: fresh memory would cost as much as the product.
    together = max(1, _CANDIDATES // width)  # queries whose candidates have room there
    near = cells.new_empty(together * min(width, _CANDIDATES), count, channels)
    near_whole = whole.new_empty(len(near), channels)
    queries, candidates = queries.to(cells.device), candidates.to(cells.device)
    per_batch = max(1, _PAIRS // width)
    for start in range(0, len(queries), per_batch):
        some, others = queries[start : start + per_batch], candidates[start : start + per_batch]
        products = cells.new_empty(*others.shape, count + 1, count + 1)
        for top in range(0, len(some), together):
            few = slice(top, top + together)
            a, whole_a = cells[some[few]], whole[some[few]][..., None]
            for left in range(0, width, _CANDIDATES):
                chosen = others[few, left : left + _CANDIDATES]
                flat, shape = chosen.flatten(), (len(a), -1, channels)
                b = torch.index_select(cells, 0, flat, out=near[: len(flat)]).view(shape)
                whole_b = torch.index_select(whole, 0, flat, out=near_whole[: len(flat)]).view(shape)
                own = products[few, left : left + _CANDIDATES]
                # Wholes by themselves: a product of 17 columns costs much more than one of 16.
                own[..., :-1, :-1] = (b @ a.mT).view(*chosen.shape, count, count).mT
                own[..., :-1, -1] = whole_b @ a.mT
                own[..., -1, :-1] = (b @ whole_a).view(*chosen.shape, count)
                own[..., -1, -1] = (whole_b @ whole_a)[..., 0]
        yield products
