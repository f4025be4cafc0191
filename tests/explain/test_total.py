import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.explain.total import resize_conserving, sum_of_maps, total_maps

sides = st.integers(1, 31)


@given(sides, sides, sides, sides)
def test_resizing_conserves_the_sum_on_any_grids(height, width, new_height, new_width):
    values = torch.randn(height, width, dtype=torch.float64)
    resized = resize_conserving(values, new_height, new_width)
    assert resized.shape == (new_height, new_width)
    assert resized.sum().item() == pytest.approx(values.sum().item(), abs=1e-12 * height * width)


def test_value_stays_where_it_was():
    values = torch.zeros(2, 2, dtype=torch.float64)
    values[0, 1] = 8.0
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[:2, 2:] = 2.0
    assert torch.equal(resize_conserving(values, 4, 4), expected)


def test_cells_that_straddle_are_split_by_area():
    resized = resize_conserving(torch.tensor([[3.0, 6.0]], dtype=torch.float64), 1, 3)
    torch.testing.assert_close(resized, torch.tensor([[2.0, 3.0, 4.0]], dtype=torch.float64))


def test_sum_lies_on_the_finest_grid():
    total = sum_of_maps([torch.ones(2, 3), torch.ones(4, 2)])
    assert total.shape == (4, 3)
    assert total.sum().item() == pytest.approx(14.0)


def test_both_total_maps_sum_to_the_distance(explanation):
    a, b = total_maps(explanation)
    assert float(a.sum() + b.sum()) == pytest.approx(explanation.total, rel=1e-6)
