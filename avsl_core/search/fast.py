"""Fast nearest neighbours: a shortlist from faiss, measured in full.

The shortlist is drawn by the distance at its mean gate, which is plain Euclidean
(:mod:`avsl_core.search.faiss_index`); what is on it is then ranked by the model's own distance. A neighbour
that the index overlooks is lost, but no distance is ever approximate. How many are lost is measured when an
index is built.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, GalleryError
from avsl_core.models import Measure, Rows
from avsl_core.search.exact import ExactSearch
from avsl_core.search.faiss_index import Kind, Progress, lookup, train_index
from avsl_core.search.fast_files import FastInfo, Recall, generation_of, read_index, write_index
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.pairs import both_masks, check_search, measure_pairs
from avsl_core.search.source import RowSource

__all__ = ["FastIndex", "StoredRows", "build_fast", "open_fast"]

_FOLDER = "fast"
_HNSW_ROWS = 200_000  # above, a graph of full vectors takes more memory than it saves time
_LEAST_CODED = 1024  # rows that codes can be learned from
_TARGET = 0.98
_LADDERS: dict[str, tuple[tuple[int, int], ...]] = {  # effort and shortlist for k = 10, cheapest first
    "hnsw": ((128, 100), (256, 200), (512, 400), (1024, 800)),
    "ivfpq": ((16, 100), (32, 200), (64, 400), (128, 800), (256, 1600)),
}
_LADDER_K = 10
_FEW, _THIN = 4096, 0.05  # allowed rows, or their share, below which a graph or list is no help


class StoredRows(RowSource, Protocol):
    """A gallery: rows in a folder, whose state has a name."""

    @property
    def path(self) -> Path:
        """The folder."""
        ...

    @property
    def generation(self) -> str:
        """Changes with every change of the rows."""
        ...


class FastIndex:
    """A faiss index over a source of rows, and the exact distance to rank its answers by.

    Made by :meth:`build` or :meth:`load`. Safe to share between threads.

    Attributes:
        info: Kind, size, and the recall measured when it was built.
    """

    def __init__(self, index: Any, info: FastInfo, exact: ExactSearch) -> None:
        self._index, self.info, self._exact = index, info, exact
        self._kind: Kind = "hnsw" if info.kind == "hnsw" else "ivfpq"

    @property
    def recall(self) -> Recall | None:
        """How much of the exact answer it finds, measured when it was built; None for a single row."""
        return self.info.recall

    @classmethod
    def build(
        cls,
        measure: Measure,
        source: RowSource,
        *,
        kind: Literal["auto", "hnsw", "ivfpq"] = "auto",
        seed: int = 0,
        sample: int = 200,
        k: int = _LADDER_K,
        generation: str = "",
        exact: ExactSearch | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Index all rows, and measure how well it finds them.

        Effort and shortlist are the least of a few whose recall reaches 98 %, or the greatest.

        Args:
            measure: Of the model that made the rows.
            source: At least one row.
            kind: ``"hnsw"``: a graph, about 1.3 kB a row; ``"ivfpq"``: codes, 72 bytes a row; ``"auto"``: the
                first up to 200,000 rows.
            seed: Of all that is random. On one thread, the same rows give the same index.
            sample: Rows to look up for measuring recall.
            k: Neighbours to find for that.
            generation: Name of the state of the rows, to be kept with the index.
            exact: Search over the same rows, where there is one already.
            progress: Told how many rows of how many are indexed.

        Raises:
            GalleryError: If there are no rows.
            ConfigError: If there are too few rows for codes, or an option is out of range.
        """
        started, chosen = time.monotonic(), _choose(kind, source, sample, k)
        index = train_index(measure, source, chosen, seed)
        for block in source.blocks():
            index.add(source.read(block.start, block.stop).vectors.contiguous().numpy())
            if progress is not None:
                progress(block.stop, len(source))
        effort, shortlist = _LADDERS[chosen][0]
        info = FastInfo(
            chosen, len(source), measure.dimensions, generation, effort, shortlist, recall=None, seconds=0.0
        )
        built = cls(index, info, exact or ExactSearch(measure, source))
        _tune(built, seed, sample, k)
        built.info = replace(built.info, seconds=time.monotonic() - started)
        return built

    def save(self, folder: Path) -> None:
        """Write to a folder, whole or not at all.

        Raises:
            GalleryError: If it cannot be written.
        """
        self.info = write_index(folder, self._index, self.info)

    @classmethod
    def load(
        cls, folder: Path, measure: Measure, source: RowSource, *, exact: ExactSearch | None = None
    ) -> Self:
        """Read from a folder.

        Raises:
            GalleryError: If there is no index, or it is damaged or covers other rows.
        """
        index, info = read_index(folder)
        if (info.rows, info.dimensions) != (len(source), measure.dimensions):
            raise GalleryError(
                f"{folder}: an index of {info.rows:,} rows of {info.dimensions} numbers, not of these "
                f"{len(source):,} of {measure.dimensions}; build it again"
            )
        return cls(index, info, exact or ExactSearch(measure, source))

    @torch.inference_mode()
    def search(
        self,
        queries: Rows,
        k: int,
        *,
        part_weights: Sequence[float] | None = None,
        allowed: Tensor | None = None,
        exclude: Tensor | None = None,
        shortlist: int | None = None,
    ) -> Neighbours:
        """Find each query's k nearest rows, most likely.

        The index knows the whole distance only, and is bad at finding a few allowed rows among many. With
        unequal weights, and where less than one row in twenty or few rows at all are allowed, the answer is
        that of :class:`~avsl_core.search.exact.ExactSearch`, as ``bounded`` then tells.

        Args:
            queries: Q rows of the same measure.
            k: How many; more than there are leaves places empty.
            part_weights: What each part of the distance counts in the order, as in exact search.
            allowed: ``[N]`` bool, rows that may be found; all when None. Removed rows never are.
            exclude: ``[Q]`` int64, one row that each query must not find (itself); -1 for none.
            shortlist: Rows to measure per query; None for as many as recall was measured with, and more for
                larger k.

        Returns:
            The neighbours; ``verified`` counts the rows on the shortlist, ``bounded`` is 0.

        Raises:
            ConfigError: If an argument is out of range or of the wrong shape.
            EncodingError: If the queries are not of this measure, or not finite.
            GalleryError: If rows were added since the index was built.
        """
        source = self._exact.source
        check_search(self._exact.measure, source, queries, k, part_weights, allowed, exclude)
        if len(source) != self.info.rows:
            raise GalleryError(
                f"the fast index covers {self.info.rows:,} of {len(source):,} rows; build it again"
            )
        if shortlist is not None and shortlist < 1:
            raise ConfigError(f"a shortlist of {shortlist}: measure at least 1 row")
        wanted = both_masks(source.live, allowed)
        share = 1.0 if wanted is None else float(wanted.sum()) / len(wanted)
        uneven = part_weights is not None and len(set(part_weights)) > 1
        if uneven or share < _THIN or share * len(source) <= min(_FEW, len(source) // 2):
            return self._exact.search(queries, k, part_weights=part_weights, allowed=allowed, exclude=exclude)
        count = shortlist or max(self.info.shortlist, self.info.shortlist * k // _LADDER_K)
        count = min(max(count, k) + (exclude is not None), len(source))
        # What is not allowed is passed on the way, but not kept: the way must be longer by its share.
        effort = round(self.info.effort / share)
        rows = lookup(self._index, queries.vectors.cpu(), count, self._kind, effort, wanted)
        if exclude is not None:
            rows = rows.masked_fill(rows == exclude.cpu()[:, None], -1)
        found = self._measure(queries, rows, k, 1.0 if part_weights is None else float(part_weights[0]))
        short = (found.rows >= 0).sum(dim=1) < min(k, round(share * len(source)) - (exclude is not None))
        if bool(short.any()):  # the index came to a dead end
            others = None if exclude is None else exclude[short.to(exclude.device)]
            again = self._exact.search(
                queries[short], k, part_weights=part_weights, allowed=allowed, exclude=others
            )
            _put(found, short, again)
        return found

    def _measure(self, queries: Rows, rows: Tensor, k: int, factor: float) -> Neighbours:
        """Rank a shortlist, ``[Q, m]`` with -1 for no row, by distance."""
        measure, device = self._exact.measure, self._exact.device
        moved = queries.to(device).to(torch.float32)
        query, place = (rows >= 0).nonzero(as_tuple=True)
        table = Neighbours.empty(rows.shape[0], rows.shape[1], len(measure.parts))
        if len(query):
            pairs = (query, rows[query, place])
            table.parts[query, place] = measure_pairs(measure, moved, self._exact.source, pairs, device).cpu()
        table.distances[query, place] = factor * table.parts[query, place].sum(dim=1)
        found = Neighbours.empty(len(queries), k, len(measure.parts))
        found = found.merge(rows, table.distances, table.parts)
        return replace(found, verified=(rows >= 0).sum(dim=1))


def build_fast(
    gallery: StoredRows,
    measure: Measure,
    *,
    kind: Literal["auto", "hnsw", "ivfpq"] = "auto",
    seed: int = 0,
    exact: ExactSearch | None = None,
    progress: Progress | None = None,
) -> FastIndex:
    """Index a gallery as it stands and keep the index in its folder.

    Raises:
        GalleryError: If the gallery is empty, or the index cannot be written.
        ConfigError: If there are too few rows for codes.
    """
    generation = gallery.generation
    index = FastIndex.build(
        measure, gallery, kind=kind, seed=seed, generation=generation, exact=exact, progress=progress
    )
    index.save(gallery.path / _FOLDER)
    return index


def open_fast(gallery: StoredRows, measure: Measure, *, exact: ExactSearch | None = None) -> FastIndex | None:
    """Open the index in a gallery's folder, if there is one that covers the gallery as it stands.

    Raises:
        GalleryError: If there is one, but it is damaged.
    """
    folder = gallery.path / _FOLDER
    if generation_of(folder) != gallery.generation:
        return None
    return FastIndex.load(folder, measure, gallery, exact=exact)


def _choose(kind: str, source: RowSource, sample: int, k: int) -> Kind:
    if len(source) == 0 or (source.live is not None and not bool(source.live.any())):
        raise GalleryError("no rows to index; add pictures first")
    if sample < 1 or k < 1:
        raise ConfigError(f"recall at {k} on {sample} rows: both must be at least 1")
    if kind not in {"auto", "hnsw", "ivfpq"}:
        raise ConfigError(f"no kind of index {kind!r}; known are auto, hnsw, ivfpq")
    if kind == "ivfpq" and len(source) < _LEAST_CODED:
        raise ConfigError(
            f"{len(source):,} rows are too few to learn codes from (at least {_LEAST_CODED:,}); "
            "use kind='hnsw'"
        )
    if kind == "auto":
        return "hnsw" if len(source) <= _HNSW_ROWS else "ivfpq"
    return "hnsw" if kind == "hnsw" else "ivfpq"


def _tune(index: FastIndex, seed: int, sample: int, k: int) -> None:
    """Take the least effort that finds enough, and record what it finds."""
    source, exact = index._exact.source, index._exact
    live = torch.arange(len(source)) if source.live is None else source.live.nonzero()[:, 0].cpu()
    if len(live) == 1:
        return
    order = torch.randperm(len(live), generator=torch.Generator().manual_seed(seed))
    rows = live[order[:sample]].sort().values
    queries = source.gather(rows)
    true = exact.search(queries, k, exclude=rows)
    for effort, shortlist in _LADDERS[index.info.kind]:
        index.info = replace(index.info, effort=effort, shortlist=shortlist)
        found = index.search(queries, k, exclude=rows)
        # By distance, not by row: of pictures at one distance any may be found.
        real = true.rows >= 0
        hits = (found.distances <= true.distances) & real
        value = float(hits.sum() / real.sum())
        measured = int(found.verified.float().mean().round())
        index.info = replace(index.info, recall=Recall(k, value, len(rows), measured))
        if value >= _TARGET:
            return


def _put(found: Neighbours, which: Tensor, again: Neighbours) -> None:
    """Replace the answers of some queries."""
    for name in ("rows", "distances", "parts", "verified", "bounded"):
        getattr(found, name)[which] = getattr(again, name)
