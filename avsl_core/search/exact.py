"""Exact nearest neighbours without looking at every pair.

Every row is bounded from below at the speed of a matrix product (:mod:`avsl_core.search.bound`). The rows
with the least bounds are measured in full; the k-th best of them is a distance that any further neighbour
must beat, so only rows whose bound does not exceed it are measured as well. What comes out is what measuring
every pair would give, in the same numbers.
"""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import torch
from torch import Tensor

from avsl_core.errors import EncodingError
from avsl_core.models import Measure, Rows
from avsl_core.search.bound import BoundedBlock, BoundSpace, Outline
from avsl_core.search.group import QueryGroup
from avsl_core.search.neighbours import Neighbours
from avsl_core.search.pairs import both_masks, check_search
from avsl_core.search.source import Block, MemoryRows, RowSource

__all__ = ["ExactSearch"]

_QUERIES = 512  # at once; more make the products no faster
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
            group = QueryGroup(self, some, k, part_weights, wanted, excluded)
            found.append(group.run().to("cpu"))
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
