"""The tour in a real browser as narrow as a phone."""

import pytest
from playwright.sync_api import expect

from tests.app.conftest import settle

pytestmark = pytest.mark.browser

PLACES = """() => [...document.querySelectorAll(".learn-pair, .learn-say, .learn-foot")]
    .map(part => part.getBoundingClientRect().top + scrollY)"""


@pytest.fixture
def step(visit):
    """A step of the tour, 390 pixels wide."""

    def open_step(number):
        page = visit(f"learn?step={number}")
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.locator(f'[data-live="{number}"]:not([data-busy])')).to_be_visible()
        settle(page)
        return page

    return open_step


def test_nothing_moves_when_a_guess_is_made(step):
    page = step(1)
    before = page.evaluate(PLACES)
    page.locator("[data-guess]").first.click()
    expect(page.locator(".learn-number").first).to_be_visible()
    settle(page)
    assert page.evaluate(PLACES) == pytest.approx(before, abs=1)


def test_the_answer_to_the_guess_comes_into_view(step):
    page = step(1)
    page.locator("[data-guess]").first.click()
    expect(page.locator(".learn-say")).to_be_in_viewport(ratio=1)


def test_the_pictures_of_the_map_are_large_enough_to_tap_and_its_dots_to_be_seen(step):
    page = step(3)
    for part, least in (("button", 44), ("circle", 9)):
        sizes = page.locator(f".learn-map {part}").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().width)"
        )
        assert len(sizes) == 13
        assert min(sizes) >= least
