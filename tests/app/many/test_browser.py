"""Comparing many, and taking away, in a real browser."""

import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from avsl_core.explain.record import read_record
from tests.app.conftest import settle

pytestmark = pytest.mark.browser


@pytest.fixture
def many(visit):
    page = visit("many")
    expect(page.locator(".many-table tbody tr")).to_have_count(8)
    settle(page)
    return page


def uploaded(page, paths):
    page.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
    expect(page.locator(".many-table tbody tr")).to_have_count(len(paths))
    settle(page)


def test_the_tree_lies_beside_the_rows_that_it_joins(many):
    rows = many.locator(".many-table tbody tr")
    first, last, tree = (
        locator.bounding_box() for locator in (rows.first, rows.last, many.locator(".many-tree"))
    )
    assert tree["y"] == pytest.approx(first["y"], abs=1.5)
    assert tree["y"] + tree["height"] == pytest.approx(last["y"] + last["height"], abs=1.5)


def test_a_cell_tells_its_pair_and_the_arrow_keys_go_on(many):
    cells = many.locator(".many-table td a")
    cells.first.focus()
    told = many.locator(".many-tip")
    names = many.locator(".many-table tbody th span").all_inner_texts()
    expect(told).to_contain_text(f"{names[0]} and {names[1]}: ")
    many.keyboard.press("ArrowRight")
    expect(told).to_contain_text(f"{names[0]} and {names[2]}: ")
    many.keyboard.press("ArrowDown")
    expect(told).to_contain_text(f"{names[1]} and {names[2]}: ")
    many.keyboard.press("ArrowLeft")  # over the picture and itself
    expect(told).to_contain_text(f"{names[1]} and {names[0]}: ")
    assert many.locator('.many-table td a[tabindex="0"]').count() == 1


def test_a_cell_opens_its_pair_on_the_compare_page(many):
    cell = many.locator(".many-table td a").first
    distance = float(cell.get_attribute("data-v"))
    cell.focus()
    many.keyboard.press("Enter")
    expect(many).to_have_url(re.compile(r"/\?a=[0-9a-f]{32}&b=[0-9a-f]{32}&method="))
    shown = many.locator("#distance")
    expect(shown).to_be_visible()
    assert float(shown.get_attribute("data-value")) == pytest.approx(distance, abs=1e-3)


def test_own_pictures_are_compared_and_the_address_restores_them(many, collection, files):
    uploaded(many, sorted(collection.glob("*/*.png"))[:6])
    names = many.locator(".many-table tbody th span").all_inner_texts()
    expect(many).to_have_url(re.compile(r"\?set=([0-9a-f]{32},){5}[0-9a-f]{32}&method="))
    many.reload()
    expect(many.locator(".many-table tbody tr")).to_have_count(6)
    assert many.locator(".many-table tbody th span").all_inner_texts() == names


def test_a_broken_picture_is_named_while_the_rest_is_compared(many, collection, files):
    paths = [*sorted(collection.glob("*/*.png"))[:3], files["broken.jpg"]]
    many.locator("input[type=file]").first.set_input_files([str(path) for path in paths])
    expect(many.locator("#many-problems [role=alert]")).to_contain_text("broken.jpg")
    expect(many.locator(".many-table tbody tr")).to_have_count(3)


def test_after_too_few_pictures_the_set_before_stays_and_is_said_to(many, files):
    many.locator("input[type=file]").first.set_input_files([str(files["one.png"])])
    expect(many.locator("#many-problems")).to_contain_text("the set before")
    expect(many.locator(".many-table tbody tr")).to_have_count(8)


def test_the_distances_are_saved_as_a_table(many):
    with many.expect_download() as download:
        many.get_by_role("button", name="Table (CSV)").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert download.value.suggested_filename == "distances.csv"
    assert len(text.strip().splitlines()) == 9


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_table_scrolls_and_the_page_does_not(many, width):
    many.set_viewport_size({"width": width, "height": 800})
    settle(many)
    assert many.evaluate("document.documentElement.scrollWidth") <= width
    if width == 390:
        box = many.locator(".many-scroll")
        assert box.evaluate("box => box.scrollWidth > box.clientWidth")
        # Beside the thumbnails, which stay, nothing shows of what is scrolled away.
        box.evaluate("box => { box.scrollLeft = 60; }")
        for head in ("thead td", "tbody th"):
            left = many.locator(f".many-table {head}").first.evaluate("e => e.getBoundingClientRect().left")
            assert left <= box.evaluate("box => box.getBoundingClientRect().left")


@pytest.fixture
def compared(visit):
    page = visit()
    expect(page.locator("#distance")).to_be_visible()
    settle(page)
    return page


@pytest.mark.parametrize(("button", "ending"), [("report", "html"), ("sheet", "png"), ("record", "json")])
def test_every_file_is_one_click_away(compared, button, ending):
    with compared.expect_download() as download:
        compared.locator(f"#take-{button}").click()
    assert download.value.suggested_filename.endswith(f".{ending}")
    data = download.value.path().read_bytes()
    if ending == "json":
        read = read_record(data.decode())
        shown = float(compared.locator("#distance").get_attribute("data-value"))
        assert read["distance"] == pytest.approx(shown, rel=1e-9)
        assert json.loads(data)["pictures"]["a"]
    if ending == "png":
        assert Image.open(io.BytesIO(data)).size == (1920, 1080)


def test_the_report_opens_by_itself_and_asks_for_nothing(compared, guest):
    with compared.expect_download() as download:
        compared.locator("#take-report").click()
    page = guest(java_script_enabled=False, offline=True)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(download.value.path().read_text(encoding="utf-8"))
    expect(page.get_by_text("What the distance is made of")).to_be_visible()
    broken = page.evaluate("[...document.images].filter(image => !image.naturalWidth).length")
    assert broken == 0
    assert [url for url in asked if not url.startswith("data:")] == []


def test_a_link_opens_the_same_comparison_for_somebody_else(compared, files, guest):
    for side, name in (("a", "one.png"), ("b", "two.jpg")):
        before = compared.locator("#distance").get_attribute("data-value")
        compared.locator(f"#picture-{side}").get_by_label("Remove Image").click()
        expect(compared.locator("#verdict")).to_contain_text("as soon as both pictures")
        settle(compared)
        compared.locator(f"#picture-{side} input[type=file]").first.set_input_files(str(files[name]))
        expect(compared.locator("#distance")).not_to_have_attribute("data-value", before)
        settle(compared)
    distance = compared.locator("#distance").get_attribute("data-value")
    compared.locator("#take-link").click()
    field = compared.locator("#take-delivery input")
    expect(field).to_have_value(re.compile(r"^http://127\.0\.0\.1:\d+/\?a=[0-9a-f]{32}&b="))
    other = guest()
    other.goto(field.input_value())
    expect(other.locator("#distance")).to_have_attribute("data-value", distance)
