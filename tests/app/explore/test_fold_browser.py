"""The controls of the Explore page in a real browser, folded away where it is narrow."""

import re

import pytest
from playwright.sync_api import expect

from tests.app.conftest import settle

pytestmark = pytest.mark.browser


@pytest.fixture
def narrow(guest, address):
    """The page, 390 pixels wide."""

    def open_page():
        page = guest(viewport={"width": 390, "height": 844})
        page.goto(f"{address}/explore")
        expect(page.locator(".explore-cards li").first).to_be_visible()
        settle(page)
        return page

    return open_page


def test_on_a_phone_the_neighbours_come_early(narrow):
    expect(narrow().locator(".explore-cards li").first).to_be_in_viewport()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Method and classes", ["#explore-method", "#explore-classes"]),
        ("What counts", ["#explore-quick", "#explore-level-1", "#explore-level-2"]),
    ],
)
def test_a_fold_is_opened_and_closed_by_its_button_with_the_keyboard_too(narrow, name, parts):
    page = narrow()
    fold = page.get_by_role("button", name=name, exact=True)
    expect(fold).to_have_attribute("aria-expanded", "false")
    for part in parts:
        expect(page.locator(part)).to_be_hidden()
    fold.focus()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    for part in parts:
        expect(page.locator(part)).to_be_visible()
    fold.click()
    for part in parts:
        expect(page.locator(part)).to_be_hidden()


def test_what_a_fold_holds_works_and_stays_open(narrow):
    page = narrow()
    page.get_by_role("button", name="What counts", exact=True).click()
    page.get_by_label("Only level 1", exact=True).check()
    expect(page.locator(".explore-cards .score")).to_have_count(12)
    expect(page.locator("#explore-level-2 input[type=range]")).to_have_value("0")
    expect(page.locator("#explore-level-2")).to_be_visible()


def test_a_choice_of_classes_is_not_folded_away_nor_when_it_is_taken_back(narrow):
    page = narrow()
    page.get_by_role("button", name="Method and classes", exact=True).click()
    page.locator("#explore-classes input").click()
    page.get_by_role("option").first.click()
    expect(page).to_have_url(re.compile("classes="))
    page.reload()
    expect(page.locator("#explore-classes .token")).to_be_visible()
    expect(page.locator("#explore-menus-fold")).to_be_hidden()
    page.locator("#explore-classes .token-remove").first.click()
    expect(page.locator("#explore-classes .token")).to_have_count(0)
    expect(page.get_by_role("button", name="Method and classes")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#explore-classes")).to_be_visible()


def test_where_there_is_room_nothing_is_folded(visit):
    page = visit("explore")
    expect(page.locator(".explore-cards li").first).to_be_visible()
    settle(page)
    for part in ("method", "classes", "quick", "level-1"):
        expect(page.locator(f"#explore-{part}")).to_be_visible()
    expect(page.locator(".explore-fold")).to_have_count(2)
    assert not any(fold.is_visible() for fold in page.locator(".explore-fold").all())
    expect(page.get_by_role("heading", name="What counts", exact=True)).to_be_visible()
