"""The processes of one build: alone, or ranks that ``torchrun`` started."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist

from avsl_core.errors import GalleryError

__all__ = ["Team"]

T = TypeVar("T")

_PATIENCE = timedelta(days=30)


class Team:
    """Ranks that do one build together; errors reach all of them, so that none waits for ever.

    Attributes:
        rank: This one's number.
        count: How many there are.
    """

    def __init__(self) -> None:
        self._group: Any = None
        self.rank, self.count = 0, 1
        if dist.is_available() and dist.is_initialized():
            self.rank, self.count = dist.get_rank(), dist.get_world_size()
        if self.count > 1:
            # Plans are Python objects: they travel between CPUs, whatever the network computes on. Ranks
            # wait for the slowest, and for the first while it writes: hours, in a large gallery.
            self._group = dist.new_group(backend="gloo", timeout=_PATIENCE)

    def first(self, function: Callable[[], T]) -> T:
        """Run something on the first rank and give its result to all.

        Raises:
            Exception: What it raised, on every rank.
        """
        if self._group is None:
            return function()
        shared: list[Any] = [None]
        if self.rank == 0:
            try:
                shared[0] = (True, function())
            except Exception as error:
                shared[0] = (False, error)
                dist.broadcast_object_list(shared, src=0, group=self._group)
                raise
        dist.broadcast_object_list(shared, src=0, group=self._group)
        fine, result = shared[0]
        if not fine:
            raise result
        return result  # type: ignore[no-any-return]

    def each(self, function: Callable[[], None]) -> None:
        """Run something on every rank, and go on when all have done it.

        Raises:
            Exception: What it raised here.
            GalleryError: If it failed on another rank.
        """
        if self._group is None:
            function()
            return
        failure: Exception | None = None
        try:
            function()
        except Exception as error:
            failure = error
        failures: list[Any] = [None] * self.count
        dist.all_gather_object(failures, None if failure is None else str(failure), group=self._group)
        if failure is not None:
            raise failure
        for rank, message in enumerate(failures):
            if message is not None:
                raise GalleryError(f"process {rank} could not go on: {message}")
