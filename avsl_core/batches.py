"""Passes of a network that halve their batch where the device's memory is full, and go on."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from avsl_core.errors import ConfigError

__all__ = ["MemoryBatches", "is_out_of_memory"]

_log = logging.getLogger(__name__)

T = TypeVar("T")


class MemoryBatches:
    """Runs a function on batches, in pieces as large as the memory allows.

    What once was too much is not tried again: the size stays halved for all further batches.

    Args:
        size: Pictures per pass to begin with, at least 1.

    Raises:
        ConfigError: If the size is below 1.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ConfigError(f"a pass needs at least one picture, not {size}")
        self.size = size

    def run(self, function: Callable[[Tensor], T], images: Tensor) -> list[T]:
        """Compute ``function`` of a batch.

        Args:
            function: Of pictures ``[B, ...]``, each looked at by itself.
            images: ``[N, ...]``.

        Returns:
            What it gave for each piece, in order; together they are the whole batch.

        Raises:
            torch.OutOfMemoryError: If not even one picture fits.
        """
        parts: list[T] = []
        start = 0
        while start < len(images):
            try:
                parts.append(function(images[start : start + self.size]))
            except RuntimeError as error:  # of which torch.OutOfMemoryError is one
                tried = min(self.size, len(images) - start)
                if not is_out_of_memory(error) or tried == 1:
                    raise
                self.size = tried // 2
                _log.warning("the memory is full: going on with %d pictures a pass", self.size)
            else:
                start += self.size
        return parts


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the device's memory is full; some of CUDA's libraries only say so."""
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return True
    return "out of memory" in str(error) or "ALLOC_FAILED" in str(error)
