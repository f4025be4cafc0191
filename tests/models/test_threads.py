"""Several threads share one model: every one gets what it would have got alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

THREADS = 8


@pytest.fixture(scope="module", params=["avsl", "embedding"])
def model(request):
    return request.getfixturevalue(request.param)


def work(model, picture, other):
    with torch.inference_mode():
        a, b = model.encode(picture), model.encode(other)
        account = model.explain(a, b)
        maps = [m for component in account.components for m in (component.map_a, component.map_b)]
        return [model.distance(a, b), model.distance_matrix(a, b), torch.tensor(account.total), *maps]


def test_threads_at_once_give_what_one_after_the_other_gives(model):
    generator = torch.Generator().manual_seed(9)
    pairs = torch.randn(THREADS, 2, 1, 3, 64, 64, generator=generator)
    alone = [work(model, *pair) for pair in pairs]
    start = Barrier(THREADS)

    def together(pair):
        start.wait(timeout=120)
        return [work(model, *pair) for _ in range(3)]

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(together, pairs))
    for expected, rounds in zip(alone, results, strict=True):
        for result in rounds:
            assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))
