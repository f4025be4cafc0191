"""Pointing at a region: shares that add up, whichever way a picture is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.errors import ConfigError
from avsl_core.explain.region import counterpart, coverage_of
from avsl_core.models import CellLikeness, Component, Explanation


@pytest.fixture(scope="module")
def account(new_avsl):
    model = new_avsl()
    with torch.inference_mode():
        pair = model.encode(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(4)))
    return model.explain(pair[0], pair[1])


@pytest.mark.parametrize("side", ["a", "b"])
def test_the_parts_of_a_picture_add_up_to_the_whole(account, side):
    grid = account.likeness.grid_a
    parts = [
        counterpart(account, coverage_of(grid, x, y, 0.5, 0.5), side) for x in (0.0, 0.5) for y in (0.0, 0.5)
    ]
    assert sum(part.share for part in parts) == pytest.approx(1.0)
    whole = counterpart(account, np.ones(grid), side)
    assert sum(part.distance for part in parts) == pytest.approx(whole.distance)
    assert torch.allclose(sum(part.map for part in parts), whole.map)


def test_a_map_sums_to_what_the_region_has_in_common(account):
    part = counterpart(account, coverage_of(account.likeness.grid_a, 0.1, 0.2, 0.33, 0.4))
    assert float(part.map.sum()) == pytest.approx(part.value)
    assert part.value == pytest.approx(part.share * account.likeness.total)


def test_both_pictures_together_hold_the_distance(account):
    ones = np.ones(account.likeness.grid_a)
    both = counterpart(account, ones, "a").distance + counterpart(account, ones, "b").distance
    assert both == pytest.approx(account.total)


def test_the_counterpart_lies_where_the_likeness_is():
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    matrix[0, 3], matrix[1, 2] = 0.75, 0.25
    zeros = torch.zeros(2, 2, dtype=torch.float64)
    pair = Explanation(
        "made", 0.0, (Component("level1", 0.0, zeros, zeros),), likeness=CellLikeness((2, 2), (2, 2), matrix)
    )
    found = counterpart(pair, coverage_of((2, 2), 0.0, 0.0, 0.5, 0.5))
    assert found.map.tolist() == [[0.0, 0.0], [0.0, 0.75]]
    assert found.share == 0.75
    back = counterpart(pair, coverage_of((2, 2), 0.0, 0.5, 0.5, 0.5), "b")
    assert back.map.tolist() == [[0.0, 0.25], [0.0, 0.0]]


def test_of_pictures_that_have_nothing_in_common_no_share_is_told():
    matrix = torch.tensor([[-0.5, 0.1], [0.0, 0.0]], dtype=torch.float64)
    zeros = torch.zeros(1, 2, dtype=torch.float64)
    pair = Explanation(
        "made", 0.0, (Component("level1", 0.0, zeros, zeros),), likeness=CellLikeness((1, 2), (1, 2), matrix)
    )
    found = counterpart(pair, coverage_of((1, 2), 0.0, 0.0, 0.5, 1.0))
    assert (found.value, found.share) == (-0.4, 0.0)


@given(st.integers(1, 16), st.integers(1, 16), *[st.floats(0.01, 0.5)] * 4)
def test_a_rectangle_covers_its_area(rows, columns, x, y, width, height):
    covered = coverage_of((rows, columns), x, y, width, height)
    assert covered.min() >= 0
    assert covered.max() <= 1
    assert covered.sum() / (rows * columns) == pytest.approx(width * height)


@pytest.mark.parametrize(
    "rectangle", [(0, 0, 0, 1), (2, 0, 1, 1), (0, 0, -1, 1), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)]
)
def test_a_region_outside_or_without_area_is_refused(rectangle):
    with pytest.raises(ConfigError, match="region"):
        coverage_of((4, 4), *rectangle)


def test_another_grid_or_side_is_refused(account):
    with pytest.raises(ConfigError, match="grid"):
        counterpart(account, np.ones((3, 3)))
    with pytest.raises(ConfigError, match="side"):
        counterpart(account, np.ones(account.likeness.grid_a), "c")
    with pytest.raises(ConfigError, match="0 to 1"):
        counterpart(account, 2 * np.ones(account.likeness.grid_a))


def test_an_account_without_likeness_says_so():
    with pytest.raises(ConfigError, match="which cells"):
        counterpart(Explanation("made", 0.0, ()), np.ones((2, 2)))
