"""The page in a real browser: what a visitor sees, clicks and reads."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from avsl_core import compare
from tests.app.conftest import JOINING, settle, unanswered

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[3]
SHOTS = ROOT / "artifacts"


@pytest.fixture
def page(visit):
    return visit()


def test_the_first_pair_is_compared_when_the_page_opens(page):
    opened(page)
    drawn(page)
    expect(page.locator("#steps canvas")).to_have_count(8)
    assert bars_sum(page) == pytest.approx(distance(page), rel=1e-9)
    shoot(page, "opened")


def test_two_uploads_are_compared_without_a_further_click(page, files, checkpoint):
    opened(page)
    upload(page, "a", files["one.png"])
    upload(page, "b", files["two.jpg"])
    expect(page.locator("#picture-a img")).to_have_attribute("src", re.compile("one.png"))
    expect(page.locator("#picture-b img")).to_have_attribute("src", re.compile("two.jpg"))
    settle(page)
    expected = compare(checkpoint, files["one.png"], files["two.jpg"]).distance
    assert distance(page) == pytest.approx(expected, rel=1e-4)
    assert bars_sum(page) == pytest.approx(distance(page), rel=1e-9)
    printed = [float(text) for text in page.locator(".avsl-bars tbody td.value").evaluate_all(
        "cells => cells.map(cell => cell.firstChild.textContent)")]  # fmt: skip
    assert sum(printed) == pytest.approx(float(page.locator("#distance").inner_text()), abs=1e-9)
    shoot(page, "uploaded")


def test_a_picture_that_is_given_while_another_is_compared_is_compared_too(page, files, checkpoint):
    opened(page)
    with unanswered(page):
        with page.expect_request(JOINING):
            upload(page, "a", files["one.png"])
        upload(page, "b", files["two.jpg"])
        expect(page.locator("#picture-b img")).to_have_attribute("src", re.compile("two.jpg"))
    settle(page)
    expected = compare(checkpoint, files["one.png"], files["two.jpg"]).distance
    assert distance(page) == pytest.approx(expected, rel=1e-4)


def test_a_broken_file_is_explained_and_the_page_goes_on(page, files):
    opened(page)
    upload(page, "a", files["broken.jpg"])
    alert = page.locator("#message [role=alert]")
    expect(alert).to_contain_text("broken.jpg")
    expect(page.locator("#distance")).to_have_count(0)
    expect(page.locator("#picture-a img")).to_have_count(0)
    shoot(page, "broken")
    upload(page, "a", files["one.png"])
    expect(page.locator("#distance")).to_be_visible()
    expect(alert).to_have_count(0)


def test_a_tiff_is_compared_and_shown_and_keeps_its_name(page, files, tmp_path):
    first = opened(page)
    upload(page, "a", files["scan.tif"])
    wait_for_change(page, first)
    shown = page.locator("#picture-a img")
    expect(shown).to_have_attribute("src", re.compile(r"\.webp"))
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 160
    with page.expect_download() as download:
        page.locator("#take-record").click()
    download.value.save_as(tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["pictures"]["a"] == "scan.tif"


def test_removing_a_picture_takes_its_result_away(page):
    opened(page)
    page.locator("#picture-a").get_by_label("Remove Image").click()
    expect(page.locator("#verdict")).to_contain_text("as soon as both pictures")


def test_an_example_is_one_key_away(page):
    first = opened(page)
    page.locator("#example-6").focus()
    page.keyboard.press("Enter")
    wait_for_change(page, first)
    expect(page.locator("#message")).to_contain_text("Two round fruits")


def test_swapping_exchanges_the_pictures(page):
    opened(page)
    left = page.locator("#picture-a img").get_attribute("src")
    page.locator("#swap").click()
    expect(page.locator("#picture-b img")).to_have_attribute("src", re.compile(Path(left).name))


def test_a_bar_leads_to_its_maps_and_these_to_their_nodes(page):
    opened(page)
    page.get_by_role("button", name="Level 2", exact=True).click()
    figure = page.locator("#steps figure[data-name=level2]")
    expect(figure).to_be_focused()
    expect(figure.locator("canvas[data-drawn]")).to_have_count(2)
    expect(page.get_by_role("radio", name="Level 2").first).to_be_checked()
    figure.locator("[data-nodes]").click()
    expect(page.locator("#details")).to_contain_text("Level 2, node")


def test_experts_can_follow_a_node(page):
    opened(page)
    page.locator("#expert > button").click()
    details = page.locator("#details")
    expect(details).to_contain_text("Level 3, node")
    page.locator("#level").get_by_label("Level 2", exact=True).check()
    expect(details).to_contain_text("Level 2, node")
    expect(details.locator(".avsl-trace > li > .node")).to_contain_text("Level 2")
    shoot(page, "experts")


def test_steps_that_were_opened_stay_open_with_another_pair(page):
    first = opened(page)
    page.locator("details[data-step=maps] summary").click()
    page.locator("#expert > button").click()
    expect(page.locator("#details")).to_contain_text("Level 3, node")
    before = page.locator("#details").text_content()
    page.locator("#example-6").click()
    wait_for_change(page, first)
    expect(page.locator("details[data-step=maps]")).to_have_attribute("open", "")
    expect(page.locator("#details")).not_to_have_text(before)


def test_what_is_shown_can_be_taken_away(page, tmp_path):
    opened(page)
    with page.expect_download() as download:
        page.locator("#take-record").click()
    download.value.save_as(tmp_path / "record.json")
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert repr(distance(page)) in json.dumps(record)


def test_the_legend_stays_in_view_among_the_maps(page):
    opened(page)
    page.locator("details[data-step=maps] summary").click()
    expect(page.locator(".avsl-levels canvas:not([data-drawn])")).to_have_count(0)
    page.locator(".avsl-levels figure").last.scroll_into_view_if_needed()
    page.evaluate("scrollBy({ top: 150, behavior: 'instant' })")
    settle(page)
    assert page.locator("#steps .avsl-legend").evaluate("e => e.getBoundingClientRect().top") >= 0


def test_another_method_measures_the_same_pair_and_the_address_says_so(page):
    first = opened(page)
    choose(page, "method", "(default)")
    wait_for_change(page, first)
    expect(page).to_have_url(re.compile(r"\?method=default$"))
    expect(page.locator("#verdict .avsl-method")).to_contain_text("AVSL (default)")
    shown = distance(page)
    page.reload()
    expect(page.locator("#distance")).to_have_attribute("data-value", repr(shown))
    choose(page, "method", "(tiny)")
    expect(page.locator("#distance")).to_have_attribute("data-value", repr(first))
    expect(page).not_to_have_url(re.compile("method="))


def test_two_methods_stand_side_by_side_and_go_along_with_the_pair(page):
    first = opened(page)
    choose(page, "beside", "(aviary)")
    expect(page.locator("#distance-beside")).to_be_visible()
    expect(page.locator(".avsl-words")).to_have_count(2)
    expect(page).to_have_url(re.compile("beside=aviary"))
    settle(page)
    assert tops(page)[0] == pytest.approx(tops(page)[1], abs=30)
    expect(page.locator("#steps canvas")).to_have_count(8 + 6)  # the second one has two levels
    shoot(page, "beside")
    page.locator("#example-6").click()
    wait_for_change(page, first)
    expect(page.locator("#distance-beside")).to_be_visible()
    choose(page, "beside", "Nothing")
    expect(page.locator("#distance-beside")).to_have_count(0)


def test_two_methods_are_stacked_on_a_phone(visit):
    page = visit("?method=aviary&beside=default")
    page.set_viewport_size({"width": 390, "height": 800})
    expect(page.locator("#distance-beside")).to_be_visible()
    settle(page)
    upper, lower = tops(page)
    assert lower > upper + 200
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(page, "beside-390")


def test_an_address_of_an_unknown_method_is_answered_calmly(visit):
    page = visit("?method=nowhere")
    expect(page.locator("#message [role=alert]")).to_contain_text("no such model here")
    opened(page)


def test_every_button_of_a_picture_names_its_picture(page):
    opened(page)
    for side, which in (("a", "first"), ("b", "second")):
        buttons = page.locator(f"#picture-{side} button")
        names = buttons.evaluate_all("all => all.map(button => button.getAttribute('aria-label'))")
        assert len(names) >= 4
        assert all(name.endswith(f", {which} picture") for name in names)
    page.locator("#picture-a").get_by_label("Remove Image").click()
    expect(page.get_by_role("button", name="Upload file, first picture")).to_be_visible()


def test_the_buttons_of_pictures_are_large_enough_for_mouse_and_finger(page, guest, address):
    opened(page)
    assert smallest_button(page) >= 24
    phone = guest(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    phone.goto(address)
    opened(phone)
    assert smallest_button(phone) >= 44


def test_no_example_stands_alone_beside_two_methods(visit):
    page = visit("?method=tiny&beside=aviary")
    expect(page.locator("#distance-beside")).to_be_visible()
    for width, columns in ((1280, 8), (1024, 8), (820, 4)):
        page.set_viewport_size({"width": width, "height": 900})
        settle(page)
        tops = page.locator("#examples button").evaluate_all(
            "all => all.map(button => button.getBoundingClientRect().top)"
        )
        assert {tops.count(top) for top in tops} == {columns}


@pytest.mark.parametrize("width", [320, 390, 820])
def test_nothing_is_cut_off_on_a_narrow_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    opened(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shoot(page, f"width-{width}")


def choose(page, menu, words):
    if not page.locator(f"#{menu} input").is_visible():
        page.locator("#ways > button").click()
    page.locator(f"#{menu} input").click()
    page.get_by_role("option", name=words).click()


def smallest_button(page):
    """The least width or height of a button of the two pictures that is there to be pressed."""
    boxes = [
        button.bounding_box() for button in page.locator("#pictures button").all() if button.is_visible()
    ]
    assert len(boxes) >= 8
    return min(min(box["width"], box["height"]) for box in boxes)


def tops(page):
    """How far down the verdict of each method is."""
    return page.locator(".avsl-words").evaluate_all("all => all.map(e => e.getBoundingClientRect().top)")


def opened(page):
    expect(page.locator("#distance")).to_be_visible()
    settle(page)
    return distance(page)


def drawn(page):
    """Wait until the panel shows the comparison that is on the page."""
    page.wait_for_function(
        "() => { const panel = document.querySelector('.avsl-touch');"
        " return panel && panel.querySelector('.avsl-stage').dataset.drawn === panel.dataset.key; }"
    )


def distance(page):
    return float(page.locator("#distance").get_attribute("data-value"))


def bars_sum(page):
    rows = page.locator(".avsl-bars tbody tr")
    return sum(float(value) for value in rows.evaluate_all("rows => rows.map(row => row.dataset.value)"))


def upload(page, side, path):
    page.locator(f"#picture-{side} input[type=file]").set_input_files(path)


def wait_for_change(page, before):
    expect(page.locator("#distance")).not_to_have_attribute("data-value", repr(before))


def shoot(page, name):
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"compare-{name}.png", full_page=True)
