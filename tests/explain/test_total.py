import pytest
import torch

from avsl_core.explain.total import sum_of_maps, total_maps


def test_sum_lies_on_the_finest_grid():
    total = sum_of_maps([torch.ones(2, 3), torch.ones(4, 2)])
    assert total.shape == (4, 3)
    assert total.sum().item() == pytest.approx(14.0)


def test_both_total_maps_sum_to_the_distance(explanation):
    a, b = total_maps(explanation)
    assert float(a.sum() + b.sum()) == pytest.approx(explanation.total, rel=1e-6)
