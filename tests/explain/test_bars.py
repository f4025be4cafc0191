import re
from decimal import Decimal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.explain.bars import level_bars, printed_parts, round_parts
from avsl_core.explain.levels import component_titles, level_words
from avsl_core.models import Component, Explanation


def explain(*values, residual=0.0):
    cells = torch.zeros(2, 2)
    components = tuple(Component(f"level{i + 1}", value, cells, cells) for i, value in enumerate(values))
    return Explanation("avsl", sum(values) + residual, components, residual, exact=residual == 0)


@given(st.lists(st.floats(0, 4), min_size=1, max_size=9), st.integers(0, 4))
def test_printed_parts_add_up_to_the_printed_total(values, digits):
    parts, total = round_parts(values, sum(values), digits)
    assert sum(Decimal(part) for part in parts) == Decimal(total)


@given(st.lists(st.floats(0, 4), min_size=1, max_size=9))
def test_no_printed_part_is_a_whole_unit_off(values):
    parts, _ = round_parts(values, sum(values), 3)
    assert all(abs(float(part) - value) <= 0.001 + 1e-9 for part, value in zip(parts, values, strict=True))


def test_attributes_carry_the_exact_values(explanation):
    html = level_bars(explanation, component_titles(explanation))
    total, *parts = [float(value) for value in re.findall(r'data-value="([^"]+)"', html)]
    assert total == explanation.total
    assert parts == [component.value for component in explanation.components]


def test_longest_bar_fills_its_track():
    html = level_bars(explain(0.1, 0.4), {})
    assert re.findall(r"width:([\d.]+)%", html) == ["25.00", "100.00"]


def test_shares_are_spoken_for_those_who_do_not_see_the_bar():
    assert 'aria-label="80 percent of the distance"' in level_bars(explain(0.1, 0.4), {})


def test_identical_pictures_have_empty_bars():
    html = level_bars(explain(0.0, 0.0), {})
    assert re.findall(r"width:([\d.]+)%", html) == ["0.00", "0.00"]
    assert "0.000" in html


def test_residual_gets_a_row_unless_the_method_is_exact():
    assert 'data-name="residual"' in level_bars(explain(0.3, residual=0.1), {})
    assert 'data-name="residual"' not in level_bars(explain(0.3), {})
    assert printed_parts(explain(0.3, residual=0.1)) == ({"level1": "0.300", "residual": "0.100"}, "0.400")


def test_names_are_escaped():
    assert "<b>" not in level_bars(explain(1.0), {"level1": ("<b>", "<b>")})


@pytest.mark.parametrize("count", range(1, 7))
def test_every_level_of_any_network_has_words(count):
    words = [level_words(index, count) for index in range(count)]
    assert all(words)
    assert count < 2 or (words[0] == "early in the network" and words[-1] == "late in the network")
