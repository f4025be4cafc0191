"""Exact nearest neighbours without looking at every pair.

Every row is bounded from below at the speed of a matrix product (:mod:`avsl_core.search.bound`). The rows
with the least bounds are measured in full; the k-th best of them is a distance that any further neighbour
must beat, so only rows whose bound does not exceed it are measured as well. What comes out is what measuring
every pair would give, in the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Lock

import torch
from torch import Tensor

from avsl_core.errors import ConfigError, EncodingError
from avsl_core.models import Measure, Rows
from avsl_core.search.bound import BoundedBlock, BoundSpace, Outline, ScaledQueries
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.source import Block, MemoryRows, RowSource

__all__ = ["ExactSearch", "check_search", "column_weights", "measure_pairs"]

_QUERIES = 512  # at once; more make the products no faster
_TILE = 64  # bounds whose least one is looked at before the others
_PAIRS = 512  # measured at once: their intermediates stay in the cache
_ALIKE = 16  # matrix products of a multiple of so many rows round each row alike
_FEW = 4096  # allowed rows that are rather picked out than masked


class ExactSearch:
    """Finds nearest rows by bound and verification.

    Safe to share between threads, and worth keeping: blocks prepared for one search serve the next.

    Args:
        measure: Of the model that made the rows.
        source: The rows.
        device: Where to compute.
        memory: Bytes of prepared blocks to keep; the others are prepared anew in every search. About half as
            much again is needed to work.
        dtype: Number type of the bounds; None takes the device's fastest. The result does not depend on it.

    Raises:
        EncodingError: If the rows are not of this measure.
    """

    def __init__(
        self,
        measure: Measure,
        source: RowSource,
        *,
        device: torch.device | str = "cpu",
        memory: int = 2 * 2**30,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.source, self.device = source, torch.device(device)
        self.measure = measure.to(self.device)
        self._dtype = dtype
        self._blocks = [
            Block(b.start, b.stop, b.low.to(self.device), b.high.to(self.device)) for b in source.blocks()
        ]
        self.outlines: dict[int, Outline] = {}
        self._kept: dict[int, BoundedBlock] = {}
        self._free, self._lock = memory, Lock()
        self._space: BoundSpace | None = None
        if self._blocks:
            measure.check(source.read(0, 1))

    @torch.inference_mode()
    def search(
        self,
        queries: Rows,
        k: int,
        *,
        part_weights: Sequence[float] | None = None,
        allowed: Tensor | None = None,
        exclude: Tensor | None = None,
    ) -> Neighbours:
        """Find each query's k nearest rows.

        Args:
            queries: Q rows of the same measure.
            k: How many; more than there are leaves places empty.
            part_weights: What each part of the distance counts in the order, P numbers not all zero; all ones
                when None. With a single one that is not zero, pictures are ranked by that part alone.
            allowed: ``[N]`` bool, rows that may be found; all when None. Removed rows never are.
            exclude: ``[Q]`` int64, one row that each query must not find (itself); -1 for none.

        Returns:
            The neighbours, on the CPU: the same as from measuring all pairs.

        Raises:
            ConfigError: If k, the weights, or the shape of ``allowed`` or ``exclude`` do not fit.
            EncodingError: If the queries are not of this measure, or not finite.
        """
        check_search(self.measure, self.source, queries, k, part_weights, allowed, exclude)
        wanted = _both(self.source.live, allowed)
        if wanted is not None and int(wanted.sum()) <= min(_FEW, len(self.source) // 2):
            return self._search_few(queries, k, part_weights, wanted, exclude)
        weights = column_weights(self.measure, part_weights, self.device)
        found = [Neighbours.empty(0, k, len(self.measure.parts))]
        for start in range(0, len(queries), _QUERIES):
            some = queries[start : start + _QUERIES].to(self.device).to(torch.float32)
            excluded = None if exclude is None else exclude[start : start + _QUERIES]
            state = _Search(self, some, k, weights, wanted, excluded)
            found.append(state.run().to("cpu"))
        return Neighbours.concatenate(found)

    def block(self, number: int) -> BoundedBlock:
        """A prepared block, from memory or made anew."""
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        block = self._blocks[number]
        rows = self.source.read(block.start, block.stop).to(self.device)
        prepared = self.space.prepare(rows)
        with self._lock:
            self.outlines[number] = prepared.outline
            if number not in self._kept and prepared.bytes <= self._free:
                self._kept[number] = prepared
                self._free -= prepared.bytes
        return prepared

    @property
    def blocks(self) -> Sequence[Block]:
        """The source's blocks, their limits on the device."""
        return self._blocks

    @property
    def space(self) -> BoundSpace:
        """The scaled columns, laid out by the first block's mean and all blocks' limits."""
        if self._space is None:
            everything = self.everything
            first = self.source.read(0, self._blocks[0].stop).to(self.device)
            centre = first.vectors.mean(dim=0)
            self._space = BoundSpace(self.measure, everything.low, everything.high, centre, self._dtype)
        return self._space

    @property
    def everything(self) -> Block:
        """All rows as one block."""
        low = torch.stack([block.low for block in self._blocks]).amin(dim=0)
        high = torch.stack([block.high for block in self._blocks]).amax(dim=0)
        return Block(0, len(self.source), low, high)

    def _search_few(
        self, queries: Rows, k: int, weights: Sequence[float] | None, wanted: Tensor, exclude: Tensor | None
    ) -> Neighbours:
        """Among few rows, as in a source of their own."""
        numbers = wanted.nonzero()[:, 0]
        if len(numbers) == 0:
            return Neighbours.empty(len(queries), k, len(self.measure.parts))
        places = None
        if exclude is not None:
            place = torch.searchsorted(numbers, exclude.cpu()).clamp_max(len(numbers) - 1)
            places = torch.where(numbers[place] == exclude.cpu(), place, -1)
        few = ExactSearch(
            self.measure, MemoryRows(self.source.gather(numbers)), device=self.device, dtype=self._dtype
        )
        found = few.search(queries, k, part_weights=weights, exclude=places)
        return replace(found, rows=torch.where(found.rows >= 0, numbers[found.rows.clamp_min(0)], -1))


def measure_pairs(
    measure: Measure, queries: Rows, source: RowSource, pairs: tuple[Tensor, Tensor], device: torch.device
) -> Tensor:
    """Measure pairs part by part, each pair giving the same bits wherever it stands in the list.

    Args:
        measure: On the device.
        queries: On the device.
        source: Of the other side.
        pairs: Places in ``queries`` and row numbers, ``[B]`` each.
        device: That computes.

    Returns:
        ``[B, P]``.
    """
    first, second = pairs
    # Products whose number of rows is no such multiple take other paths, which round differently.
    short = -len(first) % _ALIKE
    if short:
        first, second = (torch.cat([side, side[-1:].expand(short)]) for side in (first, second))
    parts = [
        measure.part_distances(
            queries[first[start : start + _PAIRS]], source.gather(second[start : start + _PAIRS]).to(device)
        )
        for start in range(0, len(first), _PAIRS)
    ]
    return torch.cat(parts)[: len(pairs[0])]


def column_weights(
    measure: Measure, part_weights: Sequence[float] | None, device: torch.device | str
) -> Tensor | None:
    """What each column counts, ``[D]``, given what each part counts."""
    if part_weights is None:
        return None
    columns = [torch.full((width,), float(w)) for w, width in zip(part_weights, measure.widths, strict=True)]
    return torch.cat(columns).to(device)


def check_search(
    measure: Measure,
    source: RowSource,
    queries: Rows,
    k: int,
    part_weights: Sequence[float] | None,
    allowed: Tensor | None,
    exclude: Tensor | None,
) -> None:
    """Refuse what cannot be searched for.

    Raises:
        ConfigError: If k, the weights, or the shape of ``allowed`` or ``exclude`` do not fit.
        EncodingError: If the queries are not of this measure, or not finite.
    """
    if k < 1:
        raise ConfigError(f"k is {k}: ask for at least 1 neighbour")
    measure.check(queries)
    if not (queries.vectors.isfinite().all() and queries.gates.isfinite().all()):
        raise EncodingError("a query holds numbers that are not finite; check that picture and the model")
    if part_weights is not None:
        values = [float(weight) for weight in part_weights]
        names = ", ".join(measure.parts)
        if len(values) != len(measure.parts):
            raise ConfigError(
                f"{len(values)} weights for {len(measure.parts)} parts ({names}): give one each"
            )
        if not all(0.0 <= value < float("inf") for value in values) or not any(values):
            raise ConfigError(f"weights {values} of {names}: each at least 0, and not all 0")
    if allowed is not None and (allowed.dtype != torch.bool or allowed.shape != (len(source),)):
        raise ConfigError(f"allowed must be {len(source)} booleans, one per row")
    if exclude is not None and (exclude.dtype != torch.int64 or exclude.shape != (len(queries),)):
        raise ConfigError(f"exclude must be {len(queries)} row numbers (int64), one per query")


class _Search:
    """One group of queries on their way through the blocks."""

    def __init__(
        self,
        search: ExactSearch,
        queries: Rows,
        k: int,
        weights: Tensor | None,
        wanted: Tensor | None,
        exclude: Tensor | None,
    ) -> None:
        self.search, self.queries, self.k, self.weights = search, queries, k, weights
        self.part_weights = None
        if weights is not None:
            first_columns = torch.tensor([0, *search.measure.widths[:-1]]).cumsum(0)
            self.part_weights = weights[first_columns.to(weights.device)]
        self.wanted = None if wanted is None else wanted.to(search.device)
        self.exclude = None if exclude is None else exclude.to(search.device)
        self.found = Neighbours.empty(len(queries), k, len(search.measure.parts), search.device)

    def run(self) -> Neighbours:
        """Go through all blocks, the nearest first."""
        for number, least in self._order():
            if least is not None and bool((least > self._farthest()).all()):
                continue
            self._visit(number)
        return self.found

    def _order(self) -> Iterator[tuple[int, Tensor | None]]:
        """Block numbers, and where it is known already, below what distance no row of the block lies."""
        outlines = dict(self.search.outlines)
        if len(self.search.blocks) > 1 and outlines:
            space = self.search.space
            scaled = space.scale_queries(self.queries, self.search.everything, self.weights)
            least = {number: space.least_squared(scaled, outline) for number, outline in outlines.items()}
            for number in sorted(least, key=lambda number: float(least[number].mean())):
                yield number, least[number]
            yield from ((number, None) for number in range(len(self.search.blocks)) if number not in outlines)
        else:
            yield from ((number, None) for number in range(len(self.search.blocks)))

    def _farthest(self) -> Tensor:
        """The distance that a further neighbour must not exceed, with room for rounding, ``[Q]``."""
        return self.found.distances[:, -1] * (1.0 + 1e-4) + 1e-6

    def _visit(self, number: int) -> None:
        block, bounded = self.search.blocks[number], self.search.block(number)
        scaled = self.search.space.scale_queries(self.queries, block, self.weights)
        bounds = self._bounds(block, bounded, scaled)
        self.found = replace(self.found, bounded=self.found.bounded + len(block))
        if bool(self.found.distances[:, -1].isinf().any()):
            self._measure_best(block, bounds)
        self._measure_rest(block, bounded, scaled, bounds)

    def _bounds(self, block: Block, bounded: BoundedBlock, scaled: ScaledQueries) -> Tensor:
        """Squared distances by tiles, ``[Q, T, tile]``; infinite where no row may be found."""
        bounds = self.search.space.squared(scaled, bounded)
        if self.wanted is not None:
            bounds.masked_fill_(~self.wanted[block.start : block.stop], torch.inf)
        if self.exclude is not None:
            inside = (self.exclude >= block.start) & (self.exclude < block.stop)
            queries = inside.nonzero()[:, 0]
            bounds[queries, self.exclude[queries] - block.start] = torch.inf
        short = -bounds.shape[1] % _TILE
        if short:
            bounds = torch.nn.functional.pad(bounds, (0, short), value=torch.inf)
        return bounds.view(len(bounds), -1, _TILE)

    def _measure_best(self, block: Block, bounds: Tensor) -> None:
        """Measure the rows with the k least bounds: a first idea of how far the k-th neighbour is."""
        # The k least bounds lie in the k tiles with the least minima.
        tiles = bounds.amin(dim=2).topk(min(self.k, bounds.shape[1]), dim=1, largest=False).indices
        inside = bounds.gather(1, tiles[:, :, None].expand(-1, -1, _TILE)).flatten(1)
        least, offset = inside.topk(min(self.k, inside.shape[1]), dim=1, largest=False)
        places = tiles.gather(1, offset // _TILE) * _TILE + offset % _TILE
        queries, column = least.isfinite().nonzero(as_tuple=True)
        self._measure(queries, block.start + places[queries, column])
        bounds.view(len(bounds), -1)[queries, places[queries, column]] = torch.inf

    def _measure_rest(
        self, block: Block, bounded: BoundedBlock, scaled: ScaledQueries, bounds: Tensor
    ) -> None:
        """Measure, best bounds first, every row whose bound leaves a chance."""
        space = self.search.space
        limit = space.thresholds(scaled, bounded, self._farthest())
        best = bounds.amin(dim=2)
        queries, tiles = ((best <= limit[:, None]) & best.isfinite()).nonzero(as_tuple=True)
        inside = bounds[queries, tiles]
        chosen, offset = ((inside <= limit[queries, None]) & inside.isfinite()).nonzero(as_tuple=True)
        values = inside[chosen, offset]
        queries, rows = queries[chosen], block.start + tiles[chosen] * _TILE + offset
        # By query, and within a query by bound.
        order = values.argsort()
        order = order[queries[order].argsort(stable=True)]
        queries, rows, values = queries[order], rows[order], values[order]
        quota = 2 * self.k
        while len(queries):
            place = _places(queries, len(self.queries))
            now = place < quota
            self._measure(queries[now], rows[now])
            quota *= 2
            queries, rows, values = queries[~now], rows[~now], values[~now]
            if len(queries):
                limit = space.thresholds(scaled, bounded, self._farthest())
                still = values <= limit[queries]
                queries, rows, values = queries[still], rows[still], values[still]

    def _measure(self, queries: Tensor, rows: Tensor) -> None:
        """Measure pairs, sorted by query, and keep the nearest."""
        if len(queries) == 0:
            return
        search = self.search
        measured = measure_pairs(search.measure, self.queries, search.source, (queries, rows), search.device)
        counted = measured if self.part_weights is None else measured * self.part_weights
        place, counts = _places(queries, len(self.queries)), queries.bincount(minlength=len(self.queries))
        shape = (len(self.queries), int(counts.max()))
        table = Neighbours.empty(*shape, measured.shape[1], self.search.device)
        table.rows[queries, place] = rows
        table.distances[queries, place] = counted.sum(dim=1)
        table.parts[queries, place] = measured
        merged = self.found.merge(table.rows, table.distances, table.parts)
        self.found = replace(merged, verified=self.found.verified + counts)


def _places(queries: Tensor, count: int) -> Tensor:
    """Each entry's place among those of its query, given entries sorted by query."""
    first = queries.bincount(minlength=count).cumsum(0) - queries.bincount(minlength=count)
    return torch.arange(len(queries), device=queries.device) - first[queries]


def _both(live: Tensor | None, allowed: Tensor | None) -> Tensor | None:
    if live is None or allowed is None:
        return allowed if live is None else live
    return live & allowed.to(live.device)
