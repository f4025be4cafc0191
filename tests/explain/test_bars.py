import dataclasses
import re
from decimal import Decimal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsl_core.explain.bars import change_bars, level_bars, printed_parts, round_parts
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


def test_nothing_is_printed_without_a_sign():
    assert round_parts([-0.0, -1e-12], -1e-12, 3) == (["0.000", "0.000"], "0.000")


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


def test_a_residual_is_titled_by_its_method():
    explanation = explain(0.3, residual=0.1)
    assert "Not attributed" in level_bars(explanation, {})
    assert "Resolution gap" in level_bars(dataclasses.replace(explanation, method="raml"), {})


def test_a_negative_residual_is_drawn_as_such():
    html = level_bars(explain(0.3, residual=-0.1), {})
    assert 'class="fill minus"' in html
    assert printed_parts(explain(0.3, residual=-0.1))[0]["residual"] == "-0.100"


class TestChange:
    def test_both_states_are_drawn_on_one_scale(self):
        html = change_bars(explain(0.4, 0.2), explain(0.1, 0.2), {}, ("before", "after"))
        assert re.findall(r"width:([\d.]+)%", html) == ["100.00", "25.00", "50.00", "50.00"]
        assert re.findall(r'data-before="([\d.]+)" data-after="([\d.]+)"', html) == [
            ("0.4", "0.1"),
            ("0.2", "0.2"),
        ]

    def test_both_columns_add_up_to_their_printed_totals(self):
        before, after = explain(0.3335, 0.3333, 0.3332), explain(0.1004, 0.1004, 0.1004)
        html = change_bars(before, after, {}, ("before", "after"))
        for word in ("before", "after"):
            *parts, total = [Decimal(v) for v in re.findall(rf"<small>{word}</small> ([\d.]+)", html)]
            assert sum(parts) == total

    def test_a_part_that_only_one_state_has_counts_nothing_in_the_other(self):
        html = change_bars(explain(0.4, 0.2), explain(0.1), {}, ("before", "after"))
        assert 'data-name="level2" data-before="0.2" data-after="0.0"' in html

    def test_figures_are_spoken_and_names_escaped(self):
        html = change_bars(explain(0.4), explain(0.1), {"level1": ("<b>", "")}, ("before", "after"))
        assert 'aria-label="before 0.400"' in html
        assert "<b>" not in html
