"""Sinkhorn steps compiled for the CPU: the plans of :func:`avsl_core.functional.sinkhorn`, but faster.

A pair is a lane: sixty-four pairs go through their steps side by side, so that every sum over cells runs
along vectors of pairs that stay in the cache. A lane whose pair has stopped takes the next pair at once, and
what happens in a lane depends on nothing in another. Numba compiles the steps at the first call, which takes
some seconds, and keeps them on disk where a folder can be written.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

__all__ = ["plans_in_place"]

Array = np.ndarray[Any, Any]

_LANES = 64
_WORTH_A_THREAD = 512  # pairs


def plans_in_place(
    kernel: Tensor, u: Tensor, v: Tensor, *, steps: int, tolerance: float, tiny: float
) -> None:
    """Turn kernels into transport plans.

    Args:
        kernel: exp(-(1 - S) / temperature), ``[B, Na, Nb]`` on the CPU, contiguous, 32 bits; becomes T.
        u: Marginals of the rows, ``[B, Na]``, in 32 bits too.
        v: Marginals of the columns, ``[B, Nb]``.
        steps: Most of them.
        tolerance: Sum of the rows' errors that counts as none.
        tiny: Scalings stay between this and one over it.
    """
    plans, rows, columns = (side.contiguous().numpy() for side in (kernel, u, v))
    limits = [plans.dtype.type(limit) for limit in (tolerance, tiny, 1.0 / tiny)]
    parts = max(1, min(torch.get_num_threads(), len(plans) // _WORTH_A_THREAD))
    ends = [len(plans) * part // parts for part in range(parts + 1)]

    def work(first: int, end: int) -> None:
        some = slice(first, end)
        _run(plans[some], rows[some], columns[some], _Lanes.like(plans), steps, *limits)

    if parts == 1:
        work(*ends)
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(lambda one: work(*one), pairwise(ends)))


class _Lanes(NamedTuple):
    """What a run works in; lanes are the last axis. Made outside, or NumPy's makers would be compiled too.

    Attributes:
        K: Kernels, ``[Na * Nb, lanes]`` in one row.
        u, v: Marginals.
        rows, columns: Scalings.
        row_sums, column_sums: Of the kernel times the other side's scaling.
        missed, before: Sum of the rows' errors, now and one step before.
        worse: Whether the error has ever risen: such a pair goes on without over-relaxation.
        plain: Whether the next step is without.
        stopped: Whether the pair is done.
        number: Steps done.
        pair: Whose lane it is; -1 for nobody's.
    """

    K: Array
    u: Array
    rows: Array
    row_sums: Array
    v: Array
    columns: Array
    column_sums: Array
    missed: Array
    before: Array
    worse: Array
    plain: Array
    stopped: Array
    number: Array
    pair: Array

    @classmethod
    def like(cls, kernels: Array) -> "_Lanes":
        """Empty lanes for such kernels, ``[B, Na, Nb]``."""
        height, width = kernels.shape[1:]
        u, rows, row_sums = np.ones((3, height, _LANES), kernels.dtype)
        v, columns, column_sums = np.ones((3, width, _LANES), kernels.dtype)
        missed, before = np.zeros((2, _LANES), kernels.dtype)
        worse, plain = np.zeros((2, _LANES), np.bool_)
        return cls(
            np.ones(height * width * _LANES, kernels.dtype),
            u,
            rows,
            row_sums,
            v,
            columns,
            column_sums,
            missed,
            before,
            worse,
            plain,
            stopped=np.ones(_LANES, np.bool_),
            number=np.zeros(_LANES, np.int64),
            pair=np.full(_LANES, -1, np.int64),
        )


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call; Python's global lock is not held while it runs."""
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(function, cache=True, **settings)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder for what is compiled can be written
        return numba.njit(function, **settings)  # type: ignore[no-any-return]


@_compiled
def _run(
    plans: Array, u: Array, v: Array, w: _Lanes, steps: int, tolerance: float, tiny: float, huge: float
) -> None:
    """Fill lanes, step, and exchange what has stopped for what waits, until no pair is left."""
    pairs, lanes = len(plans), len(w.pair)
    down = plans.shape[2] * lanes  # from a row of a kernel to the next
    following = left = 0
    while True:
        for lane in range(lanes):
            if w.stopped[lane]:
                if w.pair[lane] >= 0:
                    _store(plans, lane, w, tiny)
                    w.pair[lane] = -1
                    left -= 1
                if following < pairs:
                    _load(plans, u, v, following, lane, w)
                    following += 1
                    left += 1
        if left == 0:
            return
        for lane in range(lanes):
            w.plain[lane] = w.worse[lane] or w.number[lane] < 2
        _scale(w.u, w.row_sums, w.rows, w.plain, tiny, huge)
        _sums(w.K, lanes, down, w.rows, w.column_sums)
        _scale(w.v, w.column_sums, w.columns, w.plain, tiny, huge)
        _sums(w.K, down, lanes, w.columns, w.row_sums)
        _judge(w, steps, tolerance)


@_compiled
def _load(kernels: Array, u: Array, v: Array, pair: int, lane: int, w: _Lanes) -> None:
    """Put a pair into a lane, at the start of its steps, with the sums of its rows."""
    height, width = kernels.shape[1:]
    lanes = len(w.pair)
    for i in range(height):
        w.u[i, lane] = u[pair, i]
        w.rows[i, lane] = 1
        total = kernels.dtype.type(0)
        for j in range(width):
            w.K[(i * width + j) * lanes + lane] = kernels[pair, i, j]
            total += kernels[pair, i, j]
        w.row_sums[i, lane] = total
    for j in range(width):
        w.v[j, lane] = v[pair, j]
        w.columns[j, lane] = 1
    w.pair[lane], w.number[lane], w.before[lane], w.worse[lane] = pair, 0, np.inf, False


@_compiled
def _store(plans: Array, lane: int, w: _Lanes, tiny: float) -> None:
    """Write a lane's plan in its kernel's place, after a last plain step: no column gets too much."""
    height, width = plans.shape[1:]
    lanes, pair = len(w.pair), w.pair[lane]
    for j in range(width):
        total = plans.dtype.type(0)
        for i in range(height):
            part = w.K[(i * width + j) * lanes + lane] * w.rows[i, lane]
            plans[pair, i, j] = part
            total += part
        share = w.v[j, lane] / max(total, tiny)
        for i in range(height):
            plans[pair, i, j] *= share


@_compiled
def _sums(K: Array, down: int, across: int, scaling: Array, sums: Array) -> None:  # noqa: N803
    """``sums[i] = sum_j K[i, j] * scaling[j]`` in every lane; the strides say which way K is read."""
    count, lanes = scaling.shape
    whole = count - count % 4
    for i in range(sums.shape[0]):
        for lane in range(lanes):
            sums[i, lane] = 0
        for j in range(0, whole, 4):  # four at a time: the sum is read and written a quarter as often
            a = i * down + j * across
            b, c, d = a + across, a + 2 * across, a + 3 * across
            for lane in range(lanes):
                sums[i, lane] += (
                    K[a + lane] * scaling[j, lane]
                    + K[b + lane] * scaling[j + 1, lane]
                    + K[c + lane] * scaling[j + 2, lane]
                    + K[d + lane] * scaling[j + 3, lane]
                )
        for j in range(whole, count):
            a = i * down + j * across
            for lane in range(lanes):
                sums[i, lane] += K[a + lane] * scaling[j, lane]


@_compiled
def _scale(wanted: Array, sums: Array, scaling: Array, plain: Array, tiny: float, huge: float) -> None:
    """One side's scaling from the sums, over-relaxed by a half where the lane is not plain."""
    for i in range(wanted.shape[0]):
        for lane in range(wanted.shape[1]):
            new = wanted[i, lane] / max(sums[i, lane], tiny)
            further = new * np.sqrt(new / scaling[i, lane])
            new = new if plain[lane] else further
            scaling[i, lane] = min(max(new, tiny), huge)


@_compiled
def _judge(w: _Lanes, steps: int, tolerance: float) -> None:
    """After a step: a lane stops whose rows miss little enough, or that has done all its steps."""
    height, lanes = w.u.shape
    for lane in range(lanes):
        w.missed[lane] = 0
        w.number[lane] += 1
    for i in range(height):
        for lane in range(lanes):
            w.missed[lane] += abs(w.rows[i, lane] * w.row_sums[i, lane] - w.u[i, lane])
    for lane in range(lanes):
        w.stopped[lane] = w.number[lane] >= steps
        if w.number[lane] > 1:
            w.worse[lane] = w.worse[lane] or w.missed[lane] > w.before[lane]
            w.before[lane] = w.missed[lane]
            w.stopped[lane] = w.stopped[lane] or w.missed[lane] < tolerance
