import re
from html import unescape

import numpy as np
import pytest
import torch

from avsl_core.explain.flow import draw_marginals, flow_svg, flow_table, place_words, strongest_matches
from avsl_core.models import DimlConfig, DimlModel, EmbeddingConfig, Flow

CROP = np.full((64, 64, 3), 128, np.uint8)


def flow_of(plan, similarity=None, grid=(2, 2)):
    plan = torch.as_tensor(plan, dtype=torch.float64)
    similarity = torch.ones_like(plan) if similarity is None else torch.as_tensor(similarity).double()
    return Flow(grid, grid, plan, similarity, plan.sum(1), plan.sum(0))


@pytest.fixture(scope="module")
def model(embedding):
    """A tiny DIML model over one level."""
    config = embedding.config.backbone
    base = EmbeddingConfig(type(config)(config.name, (4,)), nodes=12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return DimlModel(DimlConfig(base)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def flow(model, pictures):
    with torch.inference_mode():
        encodings = model.encode(pictures)
    return model.explain(encodings[0], encodings[1]).flow


def test_the_strongest_matches_come_first_with_their_share_of_the_likeness():
    plan = torch.zeros(4, 4)
    plan[0, 3], plan[2, 1] = 0.75, 0.25
    first, second = strongest_matches(flow_of(plan), enough=1.0)
    assert (first.a, first.b, first.share) == ((0, 0), (1, 1), 0.75)
    assert (second.a, second.b, second.share) == ((1, 0), (0, 1), 0.25)


def test_order_follows_likeness_not_mass_alone():
    plan, similarity = torch.full((4, 4), 1 / 16), torch.full((4, 4), 0.1)
    similarity[3, 2] = 0.9
    assert strongest_matches(flow_of(plan, similarity))[0].a == (1, 1)


def test_no_more_are_named_than_make_up_enough_or_than_can_be_read():
    plan = torch.zeros(4, 4)
    plan[0, 0], plan[1, 1], plan[2, 2] = 0.6, 0.3, 0.1
    assert len(strongest_matches(flow_of(plan), enough=0.8)) == 2
    assert len(strongest_matches(flow_of(torch.full((4, 4), 1 / 16)), most=12)) == 12


def test_matches_of_unlike_cells_add_nothing_and_are_left_out():
    plan = torch.full((4, 4), 1 / 16)
    similarity = -torch.ones(4, 4)
    similarity[1, 2] = 0.5
    (only,) = strongest_matches(flow_of(plan, similarity))
    assert (only.a, only.b, only.share) == ((0, 1), (1, 0), 1.0)
    assert strongest_matches(flow_of(plan, -torch.ones(4, 4))) == []


def test_grids_may_differ_between_the_pictures():
    plan = torch.zeros(2, 6, dtype=torch.float64)
    plan[1, 5] = 1.0
    flow = Flow((1, 2), (2, 3), plan, torch.ones_like(plan), plan.sum(1), plan.sum(0))
    (match,) = strongest_matches(flow)
    assert (match.a, match.b) == ((0, 1), (1, 2))


def test_of_a_real_model_the_shares_are_those_of_its_structure(model, pictures, flow):
    matches = strongest_matches(flow)
    assert matches == sorted(matches, key=lambda match: -match.value)
    whole = float(flow.likeness.clamp_min(0).sum())
    for match in matches:
        i, j = 4 * match.a[0] + match.a[1], 4 * match.b[0] + match.b[1]
        assert match.value == pytest.approx(float(flow.likeness[i, j]))
        assert match.share == pytest.approx(match.value / whole)


def test_every_line_can_be_reached_by_keyboard_and_says_what_it_is(flow):
    html = flow_svg(CROP, CROP, flow)
    count = len(strongest_matches(flow))
    assert html.count('class="match" tabindex="0"') == count
    words = re.findall(r"<title>([^<]+)</title>", html)
    assert len(words) == count
    assert all(
        re.search(r"of the first picture, .* of the second: [\d.]+ % of the likeness", w) for w in words
    )


def test_a_line_leads_from_the_middle_of_one_cell_to_the_middle_of_the_other():
    plan = torch.zeros(4, 4)
    plan[1, 2] = 1.0
    html = flow_svg(CROP, CROP, flow_of(plan))
    (path,) = re.findall(r'class="line" d="M([\d.]+) ([\d.]+)C.* ([\d.]+) ([\d.]+)"', html)
    assert [float(v) for v in path] == [252.0, 84.0, 368 + 84.0, 252.0]


def test_thicker_lines_add_more_and_lie_on_top():
    plan = torch.zeros(4, 4)
    plan[0, 0], plan[1, 1] = 0.7, 0.3
    widths = re.findall(r'class="line"[^>]*stroke-width="([\d.]+)"', flow_svg(CROP, CROP, flow_of(plan)))
    assert [float(width) for width in widths] == sorted(float(width) for width in widths)


def test_both_pictures_are_inside_the_drawing(flow):
    html = flow_svg(CROP, CROP, flow)
    assert html.count('<image href="data:image/jpeg;base64,') == 2
    assert "http" not in html


def test_the_table_says_what_the_drawing_shows(flow):
    html = flow_table(flow)
    matches = strongest_matches(flow)
    assert html.count('<th scope="row">') == len(matches)
    first = matches[0]
    assert f"row {first.a[0] + 1}, column {first.a[1] + 1}" in html
    total = sum(match.share for match in matches)
    assert f"{len(matches)} strongest matches of 256" in unescape(html)
    assert f"{100 * total:.0f} % of the likeness." in html


def test_without_any_likeness_both_say_so():
    flow = flow_of(torch.full((4, 4), 1 / 16), -torch.ones(4, 4))
    assert "No two cells are alike" in flow_table(flow)
    assert "No two cells are alike" in flow_svg(CROP, CROP, flow)


def test_cells_that_count_are_lit_and_others_pale():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    plan = torch.zeros(4, 4)
    plan[0, 3] = 1.0
    a, b = (drawn.astype(int) for drawn in draw_marginals(red, red, flow_of(plan)))
    for drawn, lit, pale in ((a, (8, 8), (56, 56)), (b, (56, 56), (8, 8))):
        assert drawn[lit][0] - drawn[lit][1] > 120
        assert abs(drawn[pale][0] - drawn[pale][1]) < 20


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (4, 4), (7, 5)])
def test_every_cell_has_a_place_in_words(grid):
    words = {place_words((row, column), grid) for row in range(grid[0]) for column in range(grid[1])}
    assert len(words) == min(3, grid[0]) * min(3, grid[1])
