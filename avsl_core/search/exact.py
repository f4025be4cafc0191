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
from avsl_core.search.bound import BoundedBlock, BoundSpace, Outline
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.source import Block, MemoryRows, RowSource

__all__ = ["ExactSearch", "both_masks", "check_search", "column_weights", "measure_pairs"]

_QUERIES = 512  # at once; more make the products no faster
_RUN = 8  # blocks bounded before the first of their rows is measured
_RUN_BYTES = 64 * 2**20  # of bounds in a run
_LARGEST_WEIGHT = 1e6
_LARGEST_NUMBER = 1e15
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
        memory: Bytes of prepared blocks to keep; the others are prepared anew in every search. Up to 300 MB
            more are needed to work.
        dtype: Number type of the bounds, float32 or bfloat16; None takes the device's faster one. The result
            does not depend on it.

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
        if not self._blocks:
            return Neighbours.empty(len(queries), k, len(self.measure.parts))
        wanted = both_masks(self.source.live, allowed)
        if wanted is not None and int(wanted.sum()) <= min(_FEW, len(self.source) // 2):
            return self._search_few(queries, k, part_weights, wanted, exclude)
        found = [Neighbours.empty(0, k, len(self.measure.parts))]
        for start in range(0, len(queries), _QUERIES):
            some = queries[start : start + _QUERIES].to(self.device).to(torch.float32)
            excluded = None if exclude is None else exclude[start : start + _QUERIES]
            search = _Search(self, some, k, part_weights, wanted, excluded)
            found.append(search.run().to("cpu"))
        return Neighbours.concatenate(found)

    def block(self, number: int) -> BoundedBlock:
        """A prepared block, from memory or made anew."""
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        block = self._blocks[number]
        rows = self.source.read(block.start, block.stop).to(self.device)
        try:
            prepared = self.space.prepare(rows)
        except EncodingError as error:
            raise EncodingError(f"rows {block.start} to {block.stop - 1}: {error}") from error
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
        with self._lock:
            if self._space is None:
                first = self.source.read(0, self._blocks[0].stop).to(self.device)
                around, centre = self.around(range(len(self._blocks))), first.vectors.mean(dim=0)
                self._space = BoundSpace(self.measure, around.low, around.high, centre, self._dtype)
            return self._space

    def around(self, numbers: Sequence[int]) -> Block:
        """Blocks as one, with limits that hold for all of them; its rows need not be consecutive."""
        chosen = [self._blocks[number] for number in numbers]
        return Block(
            start=min(block.start for block in chosen),
            stop=max(block.stop for block in chosen),
            low=torch.stack([block.low for block in chosen]).amin(dim=0),
            high=torch.stack([block.high for block in chosen]).amax(dim=0),
        )

    def _search_few(
        self, queries: Rows, k: int, weights: Sequence[float] | None, wanted: Tensor, exclude: Tensor | None
    ) -> Neighbours:
        """Among few rows, as in a source of their own."""
        numbers = wanted.nonzero()[:, 0].cpu()
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


def column_weights(measure: Measure, part_weights: Sequence[float]) -> Tensor:
    """What each column counts, ``[D]``, given what each part counts."""
    return torch.tensor(part_weights, dtype=torch.float32).repeat_interleave(torch.tensor(measure.widths))


def both_masks(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Rows that both masks let through; None lets all through."""
    if one is None or other is None:
        return other if one is None else one
    return one & other.to(one.device)


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
    for numbers in (queries.vectors, queries.gates):
        if not bool((numbers.abs() <= _LARGEST_NUMBER).all()):  # false for NaN as well
            raise EncodingError(
                "a query holds numbers that are not finite, or far too large; check picture and model"
            )
    if part_weights is not None:
        values = [float(weight) for weight in part_weights]
        names = ", ".join(measure.parts)
        if len(values) != len(measure.parts):
            raise ConfigError(
                f"{len(values)} weights for {len(measure.parts)} parts ({names}): give one each"
            )
        if not all(0.0 <= value <= _LARGEST_WEIGHT for value in values) or not any(values):
            raise ConfigError(f"weights {values} of {names}: each from 0 to 1,000,000, and not all 0")
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
        part_weights: Sequence[float] | None,
        wanted: Tensor | None,
        exclude: Tensor | None,
    ) -> None:
        self.search, self.space, self.queries, self.k = search, search.space, queries, k
        measure = search.measure
        self.part_weights = self.column_weights = None
        self.unit = 1.0
        if part_weights is not None:
            # Bounds are computed with the largest weight as the unit, lest they overflow or vanish.
            self.unit = max(part_weights)
            self.part_weights = torch.tensor(part_weights, dtype=torch.float32, device=search.device)
            self.column_weights = column_weights(measure, [w / self.unit for w in part_weights]).to(
                search.device
            )
        self.unwanted = None if wanted is None else ~wanted.to(search.device)
        self.exclude = None if exclude is None else exclude.to(search.device)
        # What float32 does to a distance: sums as long as a part is wide, one part after the other.
        self.rounding = 4 * 2.0**-24 * max(measure.widths) * len(measure.parts)
        self.found = Neighbours.empty(len(queries), k, len(measure.parts), search.device)

    def run(self) -> Neighbours:
        """Go through all blocks, the nearest first, in runs."""
        waiting = list(self._order())
        while waiting:
            run: list[int] = []
            rows = 0
            while waiting and len(run) < _RUN:
                number, least = waiting[0]
                rows += len(self.search.blocks[number])
                if run and 4 * rows * len(self.queries) > _RUN_BYTES:
                    break
                waiting.pop(0)
                if least is None or not bool((least > self._farthest()).all()):
                    run.append(number)
            if run:
                self._visit(run)
        return self.found

    def _order(self) -> Iterator[tuple[int, Tensor | None]]:
        """Block numbers, and where it is known already, below what distance no row of the block lies."""
        outlines = dict(self.search.outlines)
        numbers = range(len(self.search.blocks))
        if len(numbers) > 1 and outlines:
            scaled = self.space.scale_queries(self.queries, self.search.around(numbers), self.column_weights)
            least = {number: self.space.least_squared(scaled, line) for number, line in outlines.items()}
            order = torch.stack(list(least.values())).mean(dim=1).argsort().tolist()
            known = list(least)
            yield from ((known[place], least[known[place]]) for place in order)
        else:
            outlines = {}
        yield from ((number, None) for number in numbers if number not in outlines)

    def _farthest(self) -> Tensor:
        """The distance that a further neighbour must not exceed, in the unit, with room for rounding."""
        return self.found.distances[:, -1] / self.unit * (1.0 + self.rounding) + 1e-6

    def _visit(self, run: list[int]) -> None:
        run_of = _Run(self, run)
        self.found = replace(self.found, bounded=self.found.bounded + run_of.rows)
        open_ended = self.found.distances[:, -1].isinf().nonzero()[:, 0]
        if len(open_ended):
            # One query's products are filled up anyway: with its next best rows, which are likely needed.
            filled = -self.k % _ALIKE if len(self.queries) == 1 else 0
            self.measure(*run_of.take_best(open_ended, self.k + filled))
        queries, rows, bounds, blocks = run_of.take_within(self._farthest())
        quota = 2 * self.k
        while len(queries):
            place = _places(queries, len(self.queries))
            now = place < quota
            self.measure(queries[now], rows[now])
            quota *= 2
            queries, rows, bounds, blocks = queries[~now], rows[~now], bounds[~now], blocks[~now]
            if len(queries):
                still = bounds <= run_of.limits(self._farthest())[queries, blocks]
                queries, rows, bounds, blocks = queries[still], rows[still], bounds[still], blocks[still]

    def measure(self, queries: Tensor, rows: Tensor) -> None:
        """Measure pairs, sorted by query, and keep the nearest."""
        if len(queries) == 0:
            return
        search = self.search
        measured = measure_pairs(search.measure, self.queries, search.source, (queries, rows), search.device)
        counted = measured if self.part_weights is None else measured * self.part_weights
        place, counts = _places(queries, len(self.queries)), queries.bincount(minlength=len(self.queries))
        shape = (len(self.queries), int(counts.max()))
        table = Neighbours.empty(*shape, measured.shape[1], search.device)
        table.rows[queries, place] = rows
        table.distances[queries, place] = counted.sum(dim=1)
        table.parts[queries, place] = measured
        merged = self.found.merge(table.rows, table.distances, table.parts)
        self.found = replace(merged, verified=self.found.verified + counts)


class _Run:
    """The bounds of some blocks for one group of queries, in tiles of :data:`_TILE` columns.

    Attributes:
        rows: How many rows there are.
    """

    def __init__(self, group: _Search, numbers: list[int]) -> None:
        search, device = group.search, group.search.device
        self._space = group.space
        blocks = [search.blocks[number] for number in numbers]
        self._scaled = group.space.scale_queries(group.queries, search.around(numbers), group.column_weights)
        self._bounded = [search.block(number) for number in numbers]
        self.rows = sum(len(block) for block in blocks)
        tiles = [-(-len(block) // _TILE) for block in blocks]
        self._first_row = torch.cat(
            [block.start + _TILE * torch.arange(t) for block, t in zip(blocks, tiles, strict=True)]
        ).to(device)
        self._block_of = torch.arange(len(blocks)).repeat_interleave(torch.tensor(tiles)).to(device)
        bounds = torch.empty(len(group.queries), sum(tiles) * _TILE, device=device)
        column = 0
        for block, bounded, count in zip(blocks, self._bounded, tiles, strict=True):
            inside = bounds[:, column : column + len(block)]
            group.space.squared(self._scaled, bounded, out=inside)
            if group.unwanted is not None:
                inside.masked_fill_(group.unwanted[block.start : block.stop], torch.inf)
            if group.exclude is not None:
                here = (group.exclude >= block.start) & (group.exclude < block.stop)
                queries = here.nonzero()[:, 0]
                inside[queries, group.exclude[queries] - block.start] = torch.inf
            bounds[:, column + len(block) : column + count * _TILE] = torch.inf
            column += count * _TILE
        self._bounds = bounds.view(len(bounds), -1, _TILE)

    def limits(self, nearest: Tensor) -> Tensor:
        """Up to which bound each block leaves room for a row within a distance, ``[Q, blocks]``."""
        limits = [self._space.thresholds(self._scaled, bounded, nearest) for bounded in self._bounded]
        return torch.stack(limits, dim=1)

    def take_best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The rows with the k least bounds of some queries: query and row numbers, sorted by query.

        They are taken out.
        """
        bounds = self._bounds[queries] if len(queries) < len(self._bounds) else self._bounds
        # The k least bounds lie in the k tiles with the least minima.
        tiles = bounds.amin(dim=2).topk(min(k, bounds.shape[1]), dim=1, largest=False).indices
        inside = bounds.gather(1, tiles[:, :, None].expand(-1, -1, _TILE)).flatten(1)
        least, offset = inside.topk(min(k, inside.shape[1]), dim=1, largest=False)
        line, place = least.isfinite().nonzero(as_tuple=True)
        offset = offset[line, place]
        tile = tiles[line, offset // _TILE]
        self._bounds[queries[line], tile, offset % _TILE] = torch.inf
        return queries[line], self._first_row[tile] + offset % _TILE

    def take_within(self, nearest: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All rows whose bound leaves room within a distance, by query and within a query by bound.

        Returns:
            Query, row, bound, and place of the row's block in the run, one entry per pair each.
        """
        limits = self.limits(nearest)[:, self._block_of]
        best = self._bounds.amin(dim=2)
        query, tile = ((best <= limits) & best.isfinite()).nonzero(as_tuple=True)
        inside = self._bounds[query, tile]
        chosen, offset = ((inside <= limits[query, tile][:, None]) & inside.isfinite()).nonzero(as_tuple=True)
        query, tile, bounds = query[chosen], tile[chosen], inside[chosen, offset]
        order = bounds.argsort()
        order = order[query[order].argsort(stable=True)]
        rows = self._first_row[tile] + offset
        return query[order], rows[order], bounds[order], self._block_of[tile[order]]


def _places(queries: Tensor, count: int) -> Tensor:
    """Each entry's place among those of its query, given entries sorted by query."""
    first = queries.bincount(minlength=count).cumsum(0) - queries.bincount(minlength=count)
    return torch.arange(len(queries), device=queries.device) - first[queries]
