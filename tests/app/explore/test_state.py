from urllib.parse import parse_qsl

import pytest

from app.explore.state import ExploreState, Step

KEY = "0123456789abcdef" * 2


def test_a_query_that_is_shown_already_is_no_further_step():
    state = ExploreState("g").with_query(Step(row=3)).with_query(Step(row=3))
    assert state.trail == (Step(row=3),)


def test_going_back_drops_the_later_steps():
    state = ExploreState("g").with_query(Step(row=1)).with_query(Step(row=2)).with_query(Step(row=3))
    assert state.back_to(1).trail == (Step(row=1), Step(row=2))
    assert state.back_to(7) == state.back_to(-1) == state


def test_a_long_trail_forgets_its_beginning():
    state = ExploreState("g")
    for row in range(40):
        state = state.with_query(Step(row=row))
    assert len(state.trail) == 24
    assert state.query == Step(row=39)


def test_levels_that_all_count_alike_are_the_distance_itself():
    assert ExploreState("g").with_weights([1, 1, 1]).weights == ()
    assert ExploreState("g").with_weights([1, 0, 5]).weights == (1, 0, 2)


def test_more_neighbours_end_somewhere_and_a_new_query_starts_over():
    state = ExploreState("g")
    for _ in range(20):
        state = state.with_more()
    assert state.k == 96
    assert state.with_query(Step(row=1)).k == 12


@pytest.mark.parametrize(
    "state",
    [
        ExploreState("demo"),
        ExploreState("my birds & more", (Step(row=4), Step(upload=KEY)), k=24, mode="fast"),
        ExploreState("g", (Step(row=0),), weights=(0.5, 1.25), classes=("a & b", "ü,.|")),
    ],
)
def test_an_address_brings_the_view_back(state):
    assert ExploreState.from_link(dict(parse_qsl(state.link()))) == state


def test_an_address_keeps_the_state_of_the_gallery_that_its_numbers_are_of():
    link = ExploreState("g", (Step(row=4),), generation="000007-abcd").with_query(Step(row=5)).link()
    assert ExploreState.from_link(dict(parse_qsl(link))).generation == "000007-abcd"
    assert ExploreState.from_link({"gallery": "g", "g": "<i>"}).generation == ""


@pytest.mark.parametrize(
    "trail", ["../etc/passwd", "1e3", "-1", "u12", f"u{KEY}0", "%00", "99999999999", "१"]
)
def test_what_is_no_step_is_passed_over(trail):
    assert ExploreState.from_link({"gallery": "g", "trail": trail}) == ExploreState("g")


@pytest.mark.parametrize(
    "values", [{"k": "x"}, {"levels": "1,nan"}, {"levels": "-1,inf"}, {"mode": "slow"}, {"k": "0" * 99}]
)
def test_nonsense_in_an_address_is_passed_over(values):
    assert ExploreState.from_link({"gallery": "g"} | values) == ExploreState("g")


def test_an_address_without_a_gallery_is_no_view():
    assert ExploreState.from_link({"trail": "1"}) is None
