"""The Bird lab in a real browser: choosing, changing, looking and keeping score."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.app.conftest import settle

pytestmark = pytest.mark.browser

SHOTS = Path(__file__).resolve().parents[3] / "artifacts"


@pytest.fixture
def page(visit):
    page = visit("lab")
    expect(page.locator("#lab-distance")).to_be_visible()
    settle(page)
    return page


def test_the_page_opens_with_a_change_to_look_at(page):
    expect(page.locator(".lab-birds img")).to_have_count(2)
    expect(page.locator(".lab-maps img")).to_have_count(2)
    expect(page.locator("#lab-levels img")).to_have_count(4)
    assert distance(page) > 0
    expect(page.locator("[data-tries]")).to_have_attribute("data-tries", "1")
    shoot(page, "opened")


def test_the_first_thing_that_a_visitor_changes_is_scored(page):
    choose(page, "part", "tail")
    expect(page.locator("#lab-form input[value=streamer]")).to_be_attached()
    follow(page, lambda: choose(page, "palette", "royal"))
    expect(page.locator("[data-tries]")).to_have_attribute("data-tries", "2")
    expect(page.locator(".lab-birds")).not_to_contain_text("Beak")


def test_of_two_changed_parts_one_is_kept_by_a_button(page):
    change_two(page)
    expect(page.locator(".lab-several")).to_contain_text("2 parts differ now: beak and tail")
    shoot(page, "several")
    follow(page, page.get_by_role("button", name="Only the tail").click)
    expect(page.locator(".lab-several")).to_have_count(0)
    expect(page.locator("#lab-part input[value=tail]")).to_be_checked()


def test_the_pages_lead_to_each_other(visit):
    page = visit()
    page.get_by_role("link", name="Bird lab").click()
    expect(page.locator("#lab-distance")).to_be_visible()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.locator("#distance")).to_be_visible()


def test_a_change_is_drawn_measured_and_scored(page):
    reset(page)
    choose(page, "part", "tail")
    expect(page.locator("#lab-form input[value=streamer]")).to_be_attached()
    follow(page, lambda: choose(page, "palette", "royal"))
    expect(page.locator(".lab-birds")).to_contain_text("Tail: leaf became royal")
    expect(page.locator(".lab-spot")).to_contain_text("tail")
    expect(page.locator("[data-tries]")).to_have_attribute("data-tries", "2")  # the opening one was the first
    assert distance(page) > 0
    assert bars_sum(page) == pytest.approx(distance(page), rel=1e-9)
    page.get_by_label("Show the true outline").check()
    expect(page.locator(".lab-maps img").first).to_have_attribute("alt", re.compile("true place of tail"))
    shoot(page, "changed")


def test_the_same_change_counts_once(page):
    reset(page)
    page.locator("#lab-forget").click()
    expect(page.locator("#lab-score")).to_contain_text("No change scored yet")
    for _ in range(2):
        follow(page, lambda: choose(page, "palette", "gold"))
        follow(page, lambda: choose(page, "palette", "rose"))
    expect(page.locator("[data-tries]")).to_have_attribute("data-tries", "1")
    page.locator("#lab-forget").click()
    expect(page.locator("#lab-score")).to_contain_text("No change scored yet")


def test_a_reset_bird_is_identical(page):
    reset(page)
    assert distance(page) == 0
    expect(page.locator("#lab-verdict")).to_contain_text("the same to the pixel")


def test_a_surprise_changes_one_part_and_shows_its_menus(page):
    reset(page)  # what the page opens with could come as a surprise as well
    follow(page, page.locator("#lab-surprise").click)
    key = page.locator(".lab-birds").get_attribute("data-key")
    part, look = key.rsplit("|", 1)[1].split("=")
    assert look.count(",") == 2
    expect(page.locator(f"#lab-part input[value={part}]")).to_be_checked()
    for menu, value in zip(("form", "texture", "palette"), look.split(","), strict=True):
        expect(page.locator(f"#lab-{menu} input[value={value}]")).to_be_checked()


def test_another_species_and_another_scene(page):
    follow(page, page.locator("#lab-other-scene").click)
    assert "beak=" in page.locator(".lab-birds").get_attribute("data-key")  # the change stays
    page.locator("#lab-family input").click()
    follow(page, page.get_by_role("option", name="Heron", exact=True).click)
    expect(page.locator(".lab-birds strong")).to_contain_text("heron")
    assert distance(page) == 0


def test_the_result_can_be_saved_as_one_page(page, tmp_path):
    saved = save(page, tmp_path)
    assert saved.count("data:image/jpeg") == 8
    assert 'id="lab-distance"' in saved


def test_the_saved_page_has_no_buttons_which_nothing_would_answer(page, tmp_path):
    change_two(page)
    saved = save(page, tmp_path)
    assert "2 parts differ now" in saved
    assert "<button" not in saved
    expect(page.locator(".lab-several button")).to_have_count(2)


def test_the_menus_work_by_keyboard(page):
    reset(page)
    expect(page.locator("#lab-palette input[value=rose]")).to_be_checked()
    page.locator("#lab-palette input:checked").focus()
    follow(page, lambda: page.keyboard.press("ArrowRight"))
    expect(page.locator(".lab-birds")).to_contain_text("Beak: rose became")


@pytest.mark.parametrize("width", [320, 390, 820])
def test_nothing_is_cut_off_on_a_narrow_screen_and_the_birds_stay_in_view(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("#lab-actions").scroll_into_view_if_needed()
    page.evaluate("scrollBy({ top: 150, behavior: 'instant' })")
    strip = page.locator("#lab-strip")
    expect(strip.locator("img")).to_have_count(4)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert strip.evaluate("e => e.getBoundingClientRect().top") >= 0
    shoot(page, f"width-{width}")


def choose(page, menu, value):
    page.locator(f"#lab-{menu} input[value={value}]").check()


def follow(page, action):
    """Do something and wait until the page shows another pair."""
    birds = page.locator(".lab-birds")
    before = birds.get_attribute("data-key")
    action()
    expect(birds).not_to_have_attribute("data-key", before)


def change_two(page):
    for part, shape, palette in (("tail", "streamer", "royal"), ("beak", "hook", "gold")):
        choose(page, "part", part)
        expect(page.locator(f"#lab-form input[value={shape}]")).to_be_attached()
        follow(page, lambda palette=palette: choose(page, "palette", palette))


def save(page, folder):
    with page.expect_download() as download:
        page.locator("#lab-save").click()
    assert download.value.suggested_filename == "birds.html"
    download.value.save_as(folder / "birds.html")
    return (folder / "birds.html").read_text(encoding="utf-8")


def reset(page):
    follow(page, page.locator("#lab-reset").click)


def distance(page):
    return float(page.locator("#lab-distance").get_attribute("data-value"))


def bars_sum(page):
    rows = page.locator("#lab-verdict .avsl-bars tbody tr")
    return sum(float(value) for value in rows.evaluate_all("rows => rows.map(row => row.dataset.value)"))


def shoot(page, name):
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"lab-{name}.png", full_page=not name.startswith("width"))
