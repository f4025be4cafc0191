"""A bounded memory of computed values, shared by all visitors."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["LruCache"]

Value = TypeVar("Value")


class LruCache(Generic[Value]):
    """Keeps the values used last; safe to use from several threads.

    Args:
        capacity: Values kept; the one unused for longest goes first.

    Example:
        >>> cache: LruCache[int] = LruCache(2)
        >>> [cache.get_or_make(key, lambda: len(key)) for key in ("a", "bb", "ccc")]
        [1, 2, 3]
        >>> "a" in cache, "ccc" in cache
        (False, True)
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a cache of {capacity} values keeps nothing; give at least 1")
        self._capacity = capacity
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._lock = Lock()

    def get_or_make(self, key: str, make: Callable[[], Value]) -> Value:
        """Look a value up, or make and keep it.

        Two threads that miss the same key may both make it: the work runs outside the lock, so that a slow
        picture never holds up a visitor whose own is cached.
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        self.put(key, value)
        return value

    def get(self, key: str) -> Value | None:
        """A value that is kept; None if there is none."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: str, value: Value) -> None:
        """Keep a value under a key."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._values

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)
