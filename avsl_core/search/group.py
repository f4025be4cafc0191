"""A group of queries on its way through the blocks of a source: bounded in runs, then measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from avsl_core.models import Measure, Rows
from avsl_core.search.bound import BoundedBlock, BoundSpace, Outline
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.pairs import ALIKE, column_weights, measure_pairs
from avsl_core.search.source import Block, RowSource

__all__ = ["Blocks", "QueryGroup"]

_RUN = 8  # blocks bounded before the first of their rows is measured
_RUN_BYTES = 64 * 2**20  # of bounds in a run
_TILE = 64  # bounds whose least one is looked at before the others


class Blocks(Protocol):
    """What a group asks of the search that it belongs to: :class:`avsl_core.search.exact.ExactSearch`."""

    source: RowSource
    measure: Measure
    device: torch.device

    @property
    def outlines(self) -> Mapping[int, Outline]:
        """Balls around the blocks prepared so far, by number."""
        ...

    @property
    def blocks(self) -> Sequence[Block]:
        """The source's blocks, their limits on the device."""
        ...

    @property
    def space(self) -> BoundSpace:
        """The scaled columns."""
        ...

    def block(self, number: int) -> BoundedBlock:
        """A prepared block."""
        ...

    def around(self, numbers: Sequence[int]) -> Block:
        """Blocks as one, with limits that hold for all of them."""
        ...


class QueryGroup:
    """One group of queries on their way through the blocks."""

    def __init__(
        self,
        search: Blocks,
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
            filled = -self.k % ALIKE if len(self.queries) == 1 else 0
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

    def __init__(self, group: QueryGroup, numbers: list[int]) -> None:
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
