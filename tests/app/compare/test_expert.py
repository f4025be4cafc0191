"""The trace of a node: what carries nearly nothing is counted, not drawn."""

import re
from dataclasses import replace

import pytest

from app.compare.expert import expert_html
from avsl_core import compare


@pytest.fixture(scope="module")
def comparison(checkpoint, files):
    return compare(checkpoint, files["one.png"], files["two.jpg"])


def with_shares(comparison, *shares):
    """The same comparison, its parts made up."""
    parts = zip(comparison.explanation.components, shares, strict=True)
    components = tuple(replace(part, value=share * comparison.distance) for part, share in parts)
    return replace(comparison, explanation=replace(comparison.explanation, components=components))


def test_nodes_below_that_carry_nearly_nothing_are_one_line(comparison, checkpoint, monkeypatch):
    monkeypatch.setattr("app.compare.expert._LEAST", 200.0)  # per cent: then none carries enough
    html = expert_html(comparison, checkpoint.model, 1, 0)
    (rest,) = re.findall(r'<li class="rest">(.*?)</li>', html)
    assert re.search(r"Level 1, nodes \d+, \d+, \d+<small>less than 200.0\u00a0% of the distance", rest)
    assert html.count('<div class="node">') == 1


def test_nodes_that_carry_something_are_drawn(comparison, checkpoint, monkeypatch):
    monkeypatch.setattr("app.compare.expert._LEAST", 0.0)
    html = expert_html(comparison, checkpoint.model, 1, 0)
    assert 'class="rest"' not in html
    assert html.count('<div class="node">') == 4


def test_it_is_said_where_one_level_decides_almost_everything(comparison, checkpoint):
    html = expert_html(with_shares(comparison, 0.01, 0.95, 0.04), checkpoint.model, 1, 0)
    assert "By far the most is decided at level 2, 95\u00a0% of the distance" in html


def test_nothing_is_said_where_two_levels_decide(comparison, checkpoint):
    assert "decided at" not in expert_html(with_shares(comparison, 0.1, 0.3, 0.6), checkpoint.model, 1, 0)
