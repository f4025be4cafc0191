"""Which example set of "Compare many" is shown, in a real browser."""

import pytest
from playwright.sync_api import expect

from app.many.bench import SETS
from tests.app.conftest import settle

pytestmark = pytest.mark.browser


def shows(page, name):
    """Wait until the buttons say that this set is shown, or none."""
    for one in SETS:
        pressed = str(one.name == name).lower()
        expect(page.locator(f"#many-{one.name}")).to_have_attribute("aria-pressed", pressed)


def test_the_button_of_the_set_that_is_shown_says_so(visit, files):
    page = visit("many")
    shows(page, "birds")
    settle(page)
    accent = page.locator("#many-birds").evaluate("e => getComputedStyle(e).borderColor")
    assert accent != page.locator("#many-things").evaluate("e => getComputedStyle(e).borderColor")
    page.locator("#many-things").click()
    shows(page, "things")
    pictures = [str(files["one.png"]), str(files["two.jpg"])]
    page.locator("input[type=file]").first.set_input_files(pictures)
    shows(page, None)


def test_an_address_presses_the_button_of_its_set(visit):
    shows(visit("many?examples=all"), "all")
