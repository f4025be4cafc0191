from concurrent.futures import ThreadPoolExecutor

import pytest

from app.work.cache import LruCache


def test_a_value_is_made_once():
    cache, made = LruCache(2), []
    for _ in range(3):
        cache.get_or_make("key", lambda: made.append(1) or "value")
    assert made == [1]


def test_the_value_unused_for_longest_goes_first():
    cache = LruCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get_or_make("a", lambda: 0)
    cache.put("c", 3)
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)


def test_many_threads_never_exceed_the_capacity():
    cache = LruCache(8)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: cache.get_or_make(str(i % 20), lambda: i % 20), range(2000)))
    assert results == [i % 20 for i in range(2000)]
    assert len(cache) == 8


def test_a_failure_is_not_kept():
    cache = LruCache(1)
    with pytest.raises(KeyError):
        cache.get_or_make("key", lambda: {}["missing"])
    assert cache.get_or_make("key", lambda: 5) == 5


def test_a_cache_without_room_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        LruCache(0)
