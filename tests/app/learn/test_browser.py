"""The tour in a real browser, by mouse, by keyboard, and on a phone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.learn.steps import STEPS
from tests.app.conftest import settle, unanswered

pytestmark = pytest.mark.browser

SHOTS = Path(__file__).resolve().parents[3] / "artifacts"
LAST = len(STEPS)


@pytest.fixture
def page(visit):
    return opened(visit("learn"), 1)


def test_the_whole_tour_by_mouse(page):
    for number, step in enumerate(STEPS, 1):
        opened(page, number)
        expect(page.get_by_role("heading", level=2)).to_have_text(step.title)
        expect(page.locator(".learn-count")).to_have_text(f"Step {number} of {LAST}")
        expect(page).to_have_title(re.compile(rf"{step.title} \(step {number} of {LAST}\)"))
        shoot(page, f"step-{number}")
        if number < LAST:
            page.get_by_role("button", name=f"Next: {STEPS[number].title}").click()
    page.get_by_role("button", name="Start again").click()
    opened(page, 1)


def test_the_whole_tour_by_keyboard(page):
    for number in range(2, LAST + 1):
        page.keyboard.press("ArrowRight")
        opened(page, number)
        expect(page.get_by_role("heading", level=2)).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    opened(page, LAST - 1)
    expect(page).to_have_url(re.compile(rf"step={LAST - 1}$"))


def test_the_tab_key_goes_on_from_the_new_step(page):
    page.keyboard.press("ArrowRight")
    opened(page, 2)
    page.keyboard.press("Tab")
    expect(page.get_by_role("slider")).to_be_focused()


def test_a_reader_is_told_when_a_step_is_ready(page):
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-told]")).to_have_text(f"Step 2 of {LAST} is ready.")
    expect(page.locator("[data-told]")).to_have_attribute("role", "status")


def test_every_step_has_an_address(visit):
    page = opened(visit("learn?step=5"), 5)
    page.get_by_role("link", name="Step 7").click()
    opened(page, 7)
    expect(page).to_have_url(re.compile(r"learn\?step=7$"))
    page.go_back()
    opened(page, 5)
    page.go_forward()
    opened(page, 7)
    page.reload()
    opened(page, 7)


def test_an_address_of_no_step_shows_the_first(visit):
    opened(visit("learn?step=99"), 1)


def test_going_on_without_waiting_ends_at_the_last_step_asked_for(page):
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    opened(page, 5)


def test_a_step_shows_its_words_at_once(visit):
    page = opened(visit("learn?step=3"), 3)
    with unanswered(page):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("heading", level=2)).to_have_text(STEPS[3].title)
    opened(page, 4)


def test_the_guess_is_answered_with_the_distances(page):
    numbers = page.locator(".learn-number")
    expect(numbers.first).to_be_hidden()
    page.get_by_role("button", name="The second pair").click()
    expect(numbers.first).to_be_visible()
    measured = [float(v) for v in numbers.evaluate_all("all => all.map(e => e.dataset.value)")]
    right = "agree" if measured[1] < measured[0] else "differently"
    expect(page.locator("[data-said]")).to_contain_text(right)
    expect(page.locator("[data-said]")).to_contain_text(f"{min(measured):.3f} against")
    expect(page.get_by_role("button", name="The second pair")).to_have_attribute("aria-pressed", "true")


def test_the_slider_goes_from_level_to_level_by_its_own_keys(visit):
    page = opened(visit("learn?step=2"), 2)
    slider = page.get_by_role("slider")
    slider.focus()
    for level in (2, 3):
        page.keyboard.press("ArrowRight")
        expect(page.locator("[data-said]")).to_contain_text(f"Level {level}")
        assert f"Level {level}" in slider.get_attribute("aria-valuetext")
        expect(page.locator("[data-panel]:visible")).to_have_attribute("data-panel", str(level))
    opened(page, 2)


def test_a_picture_on_the_map_tells_its_nearest(visit):
    page = opened(visit("learn?step=3"), 3)
    picture = page.get_by_role("button", name="The red apple")
    picture.focus()
    page.keyboard.press("Enter")
    said = page.locator("[data-said]")
    expect(said).to_contain_text("The red apple: nearest is")
    near = page.locator(".learn-map button.near")
    expect(near).to_have_count(1)
    name = near.get_attribute("aria-label")
    expect(said).to_contain_text(f"nearest is {name[0].lower()}{name[1:]}, at")


def test_a_level_that_is_switched_off_leaves_the_sum(visit):
    page = opened(visit("learn?step=4"), 4)
    rows = page.locator(".learn-live .avsl-bars tbody tr")
    printed = rows.locator("td.value").evaluate_all("cells => cells.map(c => c.firstChild.textContent)")
    page.get_by_label("Level 3").uncheck()
    left = sum(round(1000 * float(value)) for value in printed[:2]) / 1000
    expect(page.locator("[data-said]")).to_contain_text(f"Level 1 and Level 2: {left:.3f} of")
    foot = page.locator(".learn-live .avsl-bars tfoot")
    expect(foot).to_contain_text(re.compile(f"Left of the distance.*{left:.3f}"))
    expect(rows.nth(2)).to_have_class(re.compile("off"))
    page.get_by_label("Level 1").uncheck()
    page.get_by_label("Level 2").uncheck()
    expect(page.locator("[data-said]")).to_contain_text("No level counts: 0.000 of")
    for level in (1, 2, 3):
        page.get_by_label(f"Level {level}").check()
    expect(page.locator("[data-said]")).to_contain_text("the whole distance")
    expect(foot).to_contain_text(re.compile(r"^Distance.*0\.\d{3}"))


@pytest.mark.parametrize(("step", "choices"), [(5, 3), (6, 3), (7, 4)])
def test_a_choice_shows_one_view_at_a_time_by_the_arrow_keys(visit, step, choices):
    page = opened(visit(f"learn?step={step}"), step)
    panels = page.locator("[data-panel]")
    expect(panels).to_have_count(choices)
    page.locator(".learn-choice input").first.focus()
    for index in range(1, choices):
        said = page.locator("[data-said]").inner_text()
        page.keyboard.press("ArrowRight")
        expect(panels.nth(index)).to_be_visible()
        expect(page.locator("[data-panel]:visible")).to_have_count(1)
        expect(page.locator("[data-said]")).not_to_have_text(said)
    opened(page, step)


def test_the_last_step_leads_to_the_pair_on_the_compare_page(visit):
    page = opened(visit("learn?step=8"), 8)
    page.locator(".learn-doors a", has_text="The pair of this tour").click()
    expect(page.locator("#distance")).to_be_visible()
    expect(page.locator("#picture-b img").first).to_have_attribute("src", re.compile(r"jay-grey"))


@pytest.mark.parametrize("width", [320, 390, 820, 1440])
def test_nothing_is_cut_off_on_any_screen(visit, width):
    page = visit("learn")
    page.set_viewport_size({"width": width, "height": 800})
    for number in range(1, LAST + 1):
        opened(page, number)
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, number
        page.keyboard.press("ArrowRight")


def opened(page, number):
    """Wait until a step is shown whole."""
    live = page.locator(f'#learn-live:not([data-stale]) [data-live="{number}"]:not([data-busy])')
    expect(live).to_be_visible()
    return page


def shoot(page, name):
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"learn-{name}.png", full_page=True)
