"""How often one visitor may come: a bucket of requests that fills again; pauses after wrong passwords."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

__all__ = ["Attempts", "Pace"]

_VISITORS = 20_000  # remembered; whoever came longest ago is forgotten first

Value = TypeVar("Value")


class _Memory(Generic[Value]):
    """The latest visitors; bounded, so that strangers cannot fill the memory."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Value] = OrderedDict()

    def get(self, key: str) -> Value | None:
        return self._values.get(key)

    def put(self, key: str, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > _VISITORS:
            self._values.popitem(last=False)

    def drop(self, key: str) -> None:
        self._values.pop(key, None)


@dataclass(frozen=True)
class _Bucket:
    tokens: float
    at: float


class Pace:
    """Lets each visitor make so many requests a minute, all at once or spread.

    Used by the event loop alone: there is no lock.

    Args:
        per_minute: Requests; 0 is no limit.
        clock: Tells the time, in seconds.

    Examples:
        >>> pace = Pace(2, clock=lambda: 0.0)
        >>> [pace.wait_for("a") for _ in range(3)]
        [0, 0, 30]
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._clock = per_minute, clock
        self._buckets: _Memory[_Bucket] = _Memory()

    def wait_for(self, visitor: str) -> int:
        """Count one request.

        Returns:
            0 if it may come in; else after how many seconds one may.
        """
        if not self._size:
            return 0
        now, per_second = self._clock(), self._size / 60
        bucket = self._buckets.get(visitor) or _Bucket(self._size, now)
        tokens = min(self._size, bucket.tokens + (now - bucket.at) * per_second)
        if tokens < 1:
            self._buckets.put(visitor, _Bucket(tokens, now))
            return max(1, ceil((1 - tokens) / per_second))
        self._buckets.put(visitor, _Bucket(tokens - 1, now))
        return 0


@dataclass(frozen=True)
class _Failures:
    count: int
    until: float


class Attempts:
    """Makes guessing slow: after a few wrong passwords a visitor pauses, twice as long each time.

    Args:
        free: Wrong ones without a pause.
        longest_s: Longest pause, in seconds.
        clock: Tells the time, in seconds.

    Examples:
        >>> attempts = Attempts(free=1, clock=lambda: 0.0)
        >>> [attempts.fail("a") for _ in range(4)]
        [0, 1, 2, 4]
        >>> attempts.pause("a")
        4
    """

    def __init__(
        self, free: int = 5, longest_s: float = 900.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free, self._longest, self._clock = free, longest_s, clock
        self._failures: _Memory[_Failures] = _Memory()

    def pause(self, visitor: str) -> int:
        """Seconds until the visitor may try again; 0 for now."""
        known = self._failures.get(visitor)
        return 0 if known is None else max(0, ceil(known.until - self._clock()))

    def fail(self, visitor: str) -> int:
        """Note a wrong password.

        Returns:
            The pause that follows, in seconds.
        """
        now, known = self._clock(), self._failures.get(visitor)
        old = known is not None and now - known.until > self._longest  # a new day
        count = 1 if known is None or old else known.count + 1
        pause = 0.0 if count <= self._free else min(self._longest, 2.0 ** min(count - self._free - 1, 30))
        self._failures.put(visitor, _Failures(count, now + pause))
        return ceil(pause)

    def succeed(self, visitor: str) -> None:
        """Note a right one: earlier slips are forgotten."""
        self._failures.drop(visitor)
