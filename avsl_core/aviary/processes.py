"""Work shared out among processes, of which this one is one."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from avsl_core.errors import AvslError

__all__ = ["run_in_processes"]

_CHUNK = 8
_WORTH_A_PROCESS = 200
"""A new process takes some seconds to load the library; in that time this one does about so many items."""

_T = TypeVar("_T")


def run_in_processes(
    work: Callable[[Sequence[_T]], None],
    items: Sequence[_T],
    workers: int,
    done: Callable[[int], object],
) -> None:
    """Call `work` on all items, a chunk at a time, in several processes.

    New processes are spawned, not forked, so that threads of the caller do no harm. This process works
    from the end of the list while the others start up, and until they meet it.

    Args:
        work: What to do with some of the items; like them, to be pickled.
        items: All there is to do.
        workers: How many processes, with this one; 0 and 1 both mean this one alone.
        done: Called with the number of items finished since it was last called.

    Raises:
        AvslError: A process died.
    """
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    helpers = min(workers - 1, len(items) // _WORTH_A_PROCESS)
    if helpers < 1:
        for chunk in chunks:
            work(chunk)
            done(len(chunk))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(helpers, mp_context=context, initializer=_ignore_interrupts) as pool:
        try:
            _share(work, chunks, pool, done)
        except BrokenProcessPool as error:
            raise AvslError(
                "a drawing process ended by itself, perhaps for want of memory; run again with fewer workers"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _share(
    work: Callable[[Sequence[_T]], None],
    chunks: Sequence[Sequence[_T]],
    pool: ProcessPoolExecutor,
    done: Callable[[int], object],
) -> None:
    left = deque((chunk, pool.submit(work, chunk)) for chunk in chunks)
    # A chunk that can be cancelled has not been taken by another process: do it here.
    while left and left[-1][1].cancel():
        chunk, _ = left.pop()
        work(chunk)
        done(len(chunk))
        while left and left[0][1].done():
            _finish(*left.popleft(), done)
    for chunk, future in left:
        _finish(chunk, future, done)


def _finish(chunk: Sequence[_T], future: Future[None], done: Callable[[int], object]) -> None:
    future.result()
    done(len(chunk))


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the first one decides what to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
