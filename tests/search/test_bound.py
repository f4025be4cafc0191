"""No row within reach is ever ruled out, whatever the gates and the number type."""

import pytest
import torch

from avsl_core.search.bound import BoundSpace, fast_type
from avsl_core.search.source import Block, gate_limits
from tests.search.conftest import random_measure, random_rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("alpha", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_a_row_at_its_own_distance_is_within_the_threshold(dtype, alpha, scale):
    measure = random_measure(1, alpha=alpha)
    rows, queries = random_rows(2, 300, certainty=0.4), random_rows(3, 40, certainty=0.6)
    rows.vectors.mul_(scale)
    queries.vectors.mul_(scale)
    low, high = gate_limits(rows.gates)
    space = BoundSpace(measure, low, high, rows.vectors.mean(dim=0), dtype)
    bounded = space.prepare(rows)
    scaled = space.scale_queries(queries, Block(0, 300, low, high))
    squared = space.squared(scaled, bounded)
    for column in range(300):
        exact = measure.distances(queries, rows[torch.full((40,), column)])
        assert (squared[:, column] <= space.thresholds(scaled, bounded, exact)).all()
        assert (space.least_squared(scaled, bounded.outline) <= exact * (1 + 1e-4) + 1e-6).all()


def test_the_threshold_rules_out_what_is_clearly_farther():
    measure, rows = random_measure(4, alpha=0.5), random_rows(4, 500, certainty=0.05)
    low, high = gate_limits(rows.gates)
    space = BoundSpace(measure, low, high, rows.vectors.mean(dim=0), torch.bfloat16)
    bounded, scaled = space.prepare(rows), space.scale_queries(rows[:20], Block(0, 500, low, high))
    exact = torch.stack([measure.distances(rows[:20], rows[torch.full((20,), i)]) for i in range(500)], dim=1)
    near = exact.kthvalue(10, dim=1).values
    kept = space.squared(scaled, bounded) <= space.thresholds(scaled, bounded, near)[:, None]
    assert float(kept.sum(dim=1).float().mean()) < 20


def test_the_fast_type_is_one_that_a_processor_multiplies():
    dtype = fast_type(torch.device("cpu"))
    assert (torch.ones(2, 2, dtype=dtype) @ torch.ones(2, 2, dtype=dtype)).float().sum() == 8
