"""Links in a real browser: what one visitor has before them is what another finds."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.app.conftest import JOINING, settle

pytestmark = pytest.mark.browser

PAD = "figure[data-side={}] .avsl-pad"
# What a mouse would take half a minute for.
HITHER_AND_THITHER = """pad => {
    const { x, y, width, height } = pad.getBoundingClientRect();
    for (let turn = 0; turn < 700; turn++) {
        const clientX = x + width * (0.1 + 0.8 * (turn % 2)), clientY = y + height * (0.1 + 0.8 * turn / 700);
        const move = { clientX, clientY, bubbles: true, pointerType: "mouse" };
        pad.dispatchEvent(new PointerEvent("pointermove", move));
    }
}"""


@pytest.fixture
def page(visit):
    page = visit()
    ready(page)
    return page


def test_the_pictures_of_a_visitor_come_back(page, files):
    distance = page.locator("#distance")
    shown = distance.get_attribute("data-value")
    for side, name in (("a", "one.png"), ("b", "two.jpg")):
        page.locator(f"#picture-{side} input[type=file]").set_input_files(files[name])
        expect(page.locator(f"#picture-{side} img")).to_have_attribute("src", re.compile(name))
        expect(distance).not_to_have_attribute("data-value", shown)
        settle(page)
        shown = distance.get_attribute("data-value")
    follow(page)
    expect(page.locator("#distance")).to_have_attribute("data-value", shown)
    expect(page.locator("#message [role=alert]")).to_have_count(0)
    for side in "ab":
        picture = page.locator(f"#picture-{side} img")
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 160


def test_another_example_and_a_layer_come_back(page):
    page.locator("#example-6").click()
    expect(page.locator("#message")).to_contain_text("Two round fruits")
    page.locator(".avsl-layers").get_by_label("Level 2").check()
    follow(page)
    expect(page.locator("#message")).to_contain_text("Two round fruits")
    expect(page.locator(".avsl-layers").get_by_label("Level 2")).to_be_checked()


def test_a_region_that_is_held_comes_back_with_what_is_said_of_it(page):
    tool(page, "Point")
    drag(page, "b", (0.2, 0.15), (0.75, 0.6))
    found = page.locator(".avsl-under .avsl-found")
    expect(found).to_contain_text("of the distance")
    said = found.inner_text()
    follow(page)
    expect(page.get_by_label("Point", exact=True)).to_be_checked()
    percent = re.search(r"holds (\d+)", said).group(1)
    expect(page.locator(".avsl-under .avsl-found")).to_contain_text(f"holds {percent}")


def test_a_painting_comes_back_and_is_measured_as_before(page):
    tool(page, "What if")
    page.locator("[data-do=fill]").select_option("grey")
    drag(page, "a", (0.3, 0.3), (0.6, 0.5))
    page.locator(PAD.format("a")).press("Space")
    before = measured(page)
    follow(page)
    expect(page.get_by_label("What if", exact=True)).to_be_checked()
    expect(page.locator("[data-do=fill]")).to_have_value("grey")
    assert measured(page) == pytest.approx(before, abs=0.01)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Measure", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Measure", exact=True)).to_be_disabled()


def test_a_painting_that_is_too_much_for_a_link_is_left_out_and_that_is_said(page):
    tool(page, "What if")
    page.locator(PAD.format("a")).scroll_into_view_if_needed()
    settle(page)
    move(page, "a", (0.1, 0.1))
    page.mouse.down()
    page.locator(PAD.format("a")).evaluate(HITHER_AND_THITHER)
    move(page, "a", (0.9, 0.9))
    page.mouse.up()
    assert "paint" not in parse_qs(urlsplit(link(page)).query)
    expect(page.locator("#take-delivery")).to_contain_text("too much for a link")


@pytest.mark.parametrize(
    "query",
    [
        "tool=lava&layer=x",
        "region=c-1-2-3-4",
        "region=a-1-2",
        "paint=a.grey.!",
        "paint=a.grey.AAAA",
        "paint=a.x.Zg",
    ],
)
def test_what_makes_no_sense_in_a_link_is_left_out(visit, query):
    page = visit(f"?example=1&{query}")
    ready(page)
    expect(page.get_by_label("Look", exact=True)).to_be_checked()
    tool(page, "What if")
    expect(page.get_by_role("button", name="Measure", exact=True)).to_be_disabled()
    tool(page, "Point")
    expect(page.locator(".avsl-under .avsl-found")).to_contain_text("Point at a part")


def test_another_pair_takes_nothing_from_the_link(visit):
    page = visit("?example=1&tool=point&region=a-100-100-300-300")
    ready(page)
    expect(page.locator(".avsl-under .avsl-found strong")).to_be_visible()
    page.locator("#example-6").click()
    expect(page.locator("#message")).to_contain_text("Two round fruits")
    expect(page.locator(".avsl-under .avsl-found")).to_contain_text("Point at a part")


def test_a_link_that_was_not_answered_marks_nothing_on_another_pair(guest, address):
    page = guest(viewport={"width": 1280, "height": 900})
    full = {"status": 503, "json": {"detail": "Queue is full."}}
    page.route(JOINING, lambda route: route.fulfill(**full))
    with page.expect_response(JOINING):
        page.goto(f"{address}/?example=1&tool=point&region=a-100-100-300-300")
    settle(page)
    page.unroute(JOINING)
    page.locator("#example-6").click()
    ready(page)
    expect(page.locator("#message")).to_contain_text("Two round fruits")
    expect(page.get_by_label("Look", exact=True)).to_be_checked()


def test_what_fills_a_painting_stays_when_the_same_pair_is_compared_again(visit):
    page = visit("?example=6")
    ready(page)
    tool(page, "What if")
    fill = page.locator("[data-do=fill]")
    fill.select_option("grey")
    before = fill.element_handle()
    page.locator("#example-6").click()
    page.wait_for_function("menu => !menu.isConnected", arg=before)
    settle(page)
    expect(fill).to_have_value("grey")


def test_a_link_that_leads_nowhere_points_at_nothing(visit):
    page = visit(f"?a={'0' * 32}&b={'0' * 32}&tool=point&region=a-100-100-300-300")
    ready(page)
    expect(page.locator("#message [role=alert]")).to_be_visible()
    expect(page.get_by_label("Look", exact=True)).to_be_checked()


def link(page):
    page.locator("#take-link").click()
    field = page.locator("#take-delivery [data-query]")
    expect(field).to_have_value(re.compile("^http"))
    return field.input_value()


def follow(page):
    """Open the link of what is shown, as somebody else would."""
    address = link(page)
    page.goto("about:blank")
    page.goto(address)
    ready(page)


def ready(page):
    page.wait_for_function("() => document.querySelector('.avsl-stage')?.dataset.drawn")
    settle(page)


def measured(page):
    """How far apart the two are without the painted part."""
    page.get_by_role("button", name="Measure", exact=True).click()
    value = page.locator("#what-if .avsl-measured .now .value")
    expect(value).to_be_visible()
    return float(value.get_attribute("data-value"))


def tool(page, name):
    page.locator(".avsl-tools").get_by_label(name, exact=True).check()


def move(page, side, spot):
    box = page.locator(PAD.format(side)).bounding_box()
    page.mouse.move(box["x"] + spot[0] * box["width"], box["y"] + spot[1] * box["height"])


def drag(page, side, start, end):
    page.locator(PAD.format(side)).scroll_into_view_if_needed()
    settle(page)
    move(page, side, start)
    page.mouse.down()
    move(page, side, end)
    page.mouse.up()
    settle(page)
