"""Batches from worker processes, with their errors as they were raised."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from avsl_core.errors import AvslError, DataError

__all__ = ["in_order"]

T = TypeVar("T")

_WRAPPED = "Caught "


def in_order(loader: Iterable[T]) -> Iterator[T]:
    """Yield a loader's batches; an error of a worker comes out in one line, without torch's traceback.

    Args:
        loader: A ``DataLoader``, or anything that yields batches.

    Raises:
        AvslError: Of the kind and with the message that the worker raised.
        DataError: If a worker was killed, most often for want of shared memory.
    """
    try:
        yield from loader
    except AvslError as error:
        text = str(error)
        if not text.startswith(_WRAPPED):
            raise
        # torch puts the worker's whole traceback into the message; its last line is the error itself.
        raise type(error)(text.strip().splitlines()[-1].partition(": ")[2]) from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            "a process that reads pictures was ended by the system; give the machine more shared memory "
            "(in Docker: --shm-size=1g), or read without such processes (workers=0)"
        ) from error
