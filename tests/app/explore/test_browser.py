"""The Explore page in a real browser: from neighbour to neighbour, over the map, to one's own gallery."""

import csv
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.app.conftest import noted, settle

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[3]
SHOTS = ROOT / "artifacts"
PICTURES = ROOT / "assets" / "gallery" / "pictures"


@pytest.fixture
def page(visit):
    return opened(visit("explore"))


def test_the_page_opens_with_a_query_answered(page):
    expect(page.locator(".explore-cards li")).to_have_count(12)
    expect(page.locator(".explore-status")).to_contain_text("The 12 nearest of 359 pictures")
    expect(page.locator(".explore-query img")).to_be_visible()
    expect(page.locator("#explore-marks .near circle")).to_have_count(12)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.explore-cards img')].every(image => image.naturalWidth > 60)"
    )
    assert distances(page) == sorted(distances(page))
    shoot(page, "opened")


def test_the_page_is_legible_in_the_dark(visit):
    page = opened(visit("explore?__theme=dark"))
    expect(page.locator(".explore-cards li").first).to_have_css("background-color", "rgb(24, 31, 36)")
    shoot(page, "dark")


def test_a_neighbour_becomes_the_query_and_the_trail_leads_back(page):
    first, cards = query(page), rows(page)
    follow(page, page.locator(".explore-cards .pick").nth(2).click)
    assert query(page) == cards[2]
    follow(page, page.locator(".explore-cards .pick").nth(4).click)
    expect(page.locator(".explore-trail li")).to_have_count(3)
    shoot(page, "trail")
    follow(page, page.get_by_text("← Back").click)
    assert query(page) == cards[2]
    follow(page, page.locator(".explore-trail li a").first.click)
    assert (query(page), rows(page)) == (first, cards)
    expect(page.locator(".explore-trail")).to_have_count(0)


def test_the_address_brings_the_view_back(page):
    follow(page, page.locator(".explore-cards .pick").nth(3).click)
    page.get_by_label("Only level 1", exact=True).check()
    expect(page).to_have_url(re.compile("levels=1%2C0"))
    shown = query(page), rows(page)
    page.reload()
    opened(page)
    assert (query(page), rows(page)) == shown
    expect(page.get_by_label("Only level 1", exact=True)).to_be_checked()
    expect(page.locator(".explore-trail li")).to_have_count(2)


def test_sliders_order_anew(page):
    before = rows(page)
    reorder(page, lambda: page.get_by_label("Only level 1", exact=True).check())
    alone = rows(page)
    expect(page.locator("#explore-level-2 input[type=range]")).to_have_value("0")
    expect(page.locator(".explore-cards .score")).to_have_count(12)
    slider = page.locator("#explore-level-2 input[type=range]")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".explore-results")).to_have_attribute("data-link", re.compile("levels=1%2C0.5"))
    settle(page)  # the last of ten answers
    assert rows(page) not in (before, alone)
    expect(page.locator("#explore-quick input:checked")).to_have_count(0)
    shoot(page, "weighted")
    reorder(page, lambda: page.get_by_label("All levels").check())
    assert rows(page) == before


def test_only_chosen_classes_are_shown(page):
    page.locator("#explore-classes input").fill("streak-breasted-tufted")
    reorder(page, page.get_by_role("option", name="streak-breasted-tufted-owl").click)
    expect(page.locator(".explore-cards li")).to_have_count(6)
    assert set(page.locator(".explore-cards .name").all_inner_texts()) == {"streak-breasted-tufted-owl"}
    expect(page.locator(".explore-status")).to_contain_text("The 6 nearest of 6 pictures")
    page.locator("h1").click()
    expect(page.get_by_role("option")).to_have_count(0)
    shoot(page, "classes")
    follow(page, page.locator("#explore-surprise").click)
    expect(page.locator(".explore-query strong")).to_have_text("streak-breasted-tufted-owl")


def test_leaving_the_menu_of_classes_changes_nothing(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/queue/join" in request.url else None)
    page.locator("#explore-classes input").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#explore-classes input")).not_to_be_focused()
    follow(page, page.locator(".explore-cards .pick").first.click)
    assert len(asked) == 1  # by the card alone: what is asked first is sent first


@pytest.mark.parametrize("width", [1024, 1280])
def test_the_menus_have_labels_of_one_line_and_room_for_what_they_offer(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    settle(page)
    labels = [page.locator(f"#explore-{menu} [data-testid=block-info]") for menu in ("gallery", "classes")]
    heights = [label.evaluate("e => e.getBoundingClientRect().height") for label in labels]
    assert heights[0] == pytest.approx(heights[1], abs=1)
    widths = [
        page.locator(f"#explore-{menu}").evaluate("e => e.getBoundingClientRect().width")
        for menu in ("gallery", "classes")
    ]
    assert widths[1] >= widths[0]


def test_a_click_on_the_map_goes_there(page):
    follow(page, lambda: click_dot(page, 200))
    assert query(page) == 200
    expect(page.locator(".tip")).to_have_text(re.compile(r"\w, picture 201$"))


def test_a_map_beside_the_neighbours_stays_where_it_is(page):
    page.evaluate("document.getElementById('explore-map').scrollIntoView()")
    before = page.evaluate("scrollY")
    assert page.evaluate("document.getElementById('explore-query').getBoundingClientRect().top") < 0
    follow(page, lambda: page.mouse.click(*dot(page, 200)))
    expect(page.locator(".explore-trail")).to_be_attached()
    settle(page)
    assert page.evaluate("scrollY") == before


def test_the_map_works_by_keyboard(page):
    page.locator(".explore-field").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(".tip")).to_contain_text("-")
    shoot(page, "map")
    follow(page, lambda: page.keyboard.press("Enter"))


def test_a_fingertip_finds_the_nearest_dot(guest, address):
    page = guest(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page.goto(f"{address}/explore")
    opened(page)
    page.locator("#explore-dots").scroll_into_view_if_needed()
    settle(page)
    x, y = dot(page, 100)
    follow(page, lambda: page.touchscreen.tap(x + 1, y + 1))
    expect(page.locator("#explore-marks .here")).to_be_attached()
    expect(page.locator("#explore-query")).to_be_in_viewport()  # the map stands below all neighbours


def test_the_cards_work_by_keyboard(page):
    card = page.locator(".explore-cards .pick").nth(1)
    card.focus()
    assert card.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    follow(page, lambda: page.keyboard.press("Enter"))
    expect(page.locator(".explore-results")).to_be_focused()  # so that Tab goes on from the new cards
    page.locator(".explore-trail a").first.focus()
    follow(page, lambda: page.keyboard.press("Enter"))


def test_an_upload_is_searched_for_and_compared(page, files):
    follow(page, lambda: upload(page, files["scan.tif"]))
    expect(page.locator(".explore-query")).to_contain_text("scan.tif")
    picture = page.locator(".explore-query img")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 160
    shoot(page, "uploaded")
    compare_first(page)


def test_a_broken_upload_is_explained_and_the_page_stays(page, files):
    before = rows(page)
    upload(page, files["broken.jpg"])
    expect(page.locator("#explore-message [role=alert]")).to_contain_text("broken.jpg")
    assert rows(page) == before
    follow(page, page.locator(".explore-cards .pick").first.click)
    expect(page.locator("#explore-message [role=alert]")).to_have_count(0)


def test_a_card_leads_to_the_comparison_and_the_browser_leads_back(page):
    follow(page, page.locator(".explore-cards .pick").nth(3).click)
    shown = query(page), rows(page)
    compare_first(page)
    expect(page.locator("#origin")).to_contain_text("made with the model aviary")
    expect(page.locator("#verdict .avsl-method")).to_contain_text("aviary")
    shoot(page, "compared")
    page.go_back()
    opened(page)
    assert (query(page), rows(page)) == shown


def test_more_neighbours_and_the_table_of_all(page, tmp_path):
    page.get_by_text("Show more").click()
    expect(page.locator(".explore-cards li")).to_have_count(24)
    with page.expect_download() as download:
        page.get_by_text("Save as CSV").click()
    download.value.save_as(tmp_path / "table.csv")
    assert download.value.suggested_filename == "neighbours.csv"
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["distance"]) for row in table] == pytest.approx(distances(page), abs=1e-6)


def test_an_archive_becomes_a_gallery_that_opens(page, files, tmp_path):
    open_panel(page)
    fill(page, pack(tmp_path / "owls.zip", "streak*owl", files["broken.jpg"]), "Owls & co")
    shoot(page, "build")
    can_be_stopped = noted(page, "#explore-stop:enabled")
    page.locator("#explore-start").click()
    can_be_stopped()
    report = page.locator(".explore-report")
    expect(report).to_contain_text("Owls co is ready and open: 18 pictures (18 added)")
    expect(report).to_contain_text("1 file could not be read")
    expect(report).to_contain_text("broken.jpg")
    expect(page.locator(".explore-status")).to_contain_text("of 17 pictures")
    expect(page.locator("#explore-gallery input")).to_have_value("Owls co")
    expect(page.locator("#explore-level-3")).to_be_visible()
    shoot(page, "built")
    page.reload()
    opened(page)
    expect(page.locator("#explore-gallery input")).to_have_value("Owls co")
    compare_first(page)


def test_a_build_shows_its_progress_and_can_be_cancelled(page, tmp_path):
    open_panel(page)
    fill(page, pack(tmp_path / "birds.zip", "*"), "never")
    told = "#explore-progress:has(progress)"
    progress = noted(page, told, r"\d+ of 360 pictures, (\d+ a second|one in)", press="#explore-stop")
    page.locator("#explore-start").click()
    progress()
    expect(page.locator("#explore-progress")).to_contain_text("stopped, as you asked")
    expect(page.locator("#explore-start")).to_be_enabled()
    page.locator("#explore-gallery input").click()
    expect(page.get_by_role("option").first).to_be_visible()
    expect(page.get_by_role("option", name="never")).to_have_count(0)


def test_a_mistake_in_the_panel_is_answered_calmly(page):
    open_panel(page)
    page.locator("#explore-folder textarea, #explore-folder input").first.fill("/nowhere/at/all")
    page.locator("#explore-start").click()
    expect(page.locator("#explore-progress [role=alert]")).to_contain_text("give its full path")


def test_a_look_that_is_stopped_says_so_and_the_method_stays(page):
    before = distances(page)
    stopped = noted(page, "#explore-stop-view", press="#explore-stop-view")
    choose_method(page, "default")
    stopped()
    said = page.locator("#explore-message [role=alert]")
    expect(said).to_contain_text("stopped, as you asked")
    expect(page.locator("#explore-method input")).to_have_value(re.compile("aviary"))
    settle(page)  # a choice is told twice, and answered twice
    expect(said).to_be_visible()
    assert distances(page) == before


def test_another_method_looks_at_the_gallery_and_the_picture_stays(page):
    follow(page, page.locator(".explore-cards .pick").nth(3).click)
    shown, before = page.locator(".explore-query strong").inner_text(), distances(page)
    progress, can_be_stopped = noted(page, "#explore-message progress"), noted(page, "#explore-stop-view")
    choose_method(page, "tiny")
    progress()
    can_be_stopped()
    expect(page).to_have_url(re.compile("method=tiny"))
    expect(page.locator(".explore-query strong")).to_have_text(shown)
    expect(page.locator("#explore-level-3")).to_be_visible()
    expect(page.locator("#explore-stop-view")).to_be_hidden()
    assert distances(page) != before
    shoot(page, "method")
    page.reload()
    opened(page)
    expect(page.locator("#explore-method input")).to_have_value(re.compile("tiny"))
    expect(page.locator(".explore-query strong")).to_have_text(shown)
    reorder(page, lambda: choose_method(page, "aviary"))
    assert distances(page) == before


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_nothing_is_cut_off(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    follow(page, page.locator(".explore-cards .pick").first.click)
    open_panel(page)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.scrollX") == 0
    shoot(page, f"width-{width}")


def opened(page):
    expect(page.locator(".explore-cards li").first).to_be_visible()
    settle(page)
    return page


def choose_method(page, name):
    page.locator("#explore-method input").click()
    page.get_by_role("option", name=f"({name})").click()


def query(page):
    token = page.locator(".explore-query").get_attribute("data-query")
    return int(token) if token.isdigit() else token


def rows(page):
    return [
        int(r) for r in page.locator(".explore-cards li").evaluate_all("all => all.map(e => e.dataset.row)")
    ]


def distances(page):
    values = "all => all.map(e => e.dataset.value)"
    return [float(v) for v in page.locator(".explore-cards strong").evaluate_all(values)]


def follow(page, action):
    """Do something and wait until the page shows another query with its neighbours."""
    before = page.locator(".explore-query").get_attribute("data-query")
    reorder(page, action)
    expect(page.locator(".explore-query")).not_to_have_attribute("data-query", before)


def reorder(page, action):
    """Do something and wait until the page shows another answer."""
    answer = page.locator(".explore-results")
    before = answer.get_attribute("data-link")
    action()
    expect(answer).not_to_have_attribute("data-link", before)


def upload(page, path):
    page.locator("#explore-choose > input[type=file], #explore-choose button + input[type=file]").or_(
        page.locator("#explore-choose input[type=file]")
    ).first.set_input_files(path)


def compare_first(page):
    """Open the nearest neighbour in Compare: both pages give one distance."""
    expected = distances(page)[0]
    page.locator(".explore-cards .compare").first.click()
    expect(page.locator("#distance")).to_be_visible()
    expect(page.locator("#picture-a img")).to_be_visible()
    expect(page.locator("#picture-b img")).to_be_visible()
    expect(page.locator("#origin")).to_contain_text("Back to Explore")
    assert float(page.locator("#distance").get_attribute("data-value")) == pytest.approx(expected, abs=2e-3)


def dot(page, row):
    """Where a picture's dot is on the screen."""
    data = page.locator(".explore-field").get_attribute("data-points")
    point = next(p.split(",") for p in data.split(";") if p.startswith(f"{row},"))
    box = page.locator("#explore-dots svg").bounding_box()
    return tuple(box[k] + int(v) * box["width"] / 1000 for k, v in (("x", point[1]), ("y", point[2])))


def click_dot(page, row):
    page.locator("#explore-dots").scroll_into_view_if_needed()
    settle(page)
    page.mouse.click(*dot(page, row))


def open_panel(page):
    page.locator("#explore-build > button").click()
    expect(page.locator("#explore-start")).to_be_visible()


def fill(page, archive, name):
    page.locator("#explore-archive input[type=file]").set_input_files(archive)
    # Its name is there from the start of the upload, its link from the end.
    expect(page.locator("#explore-archive [data-testid=download-link]")).to_be_visible()
    expect(page.locator("#explore-archive")).to_contain_text(archive.name[:4])
    page.locator("#explore-name textarea, #explore-name input").first.fill(name)


def pack(path, species, *others):
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted(PICTURES.glob(f"{species}/*.webp")):
            archive.write(picture, f"birds/{picture.parent.name}/{picture.name}")
        for other in others:
            archive.write(other, f"birds/others/{other.name}")
    return path


def shoot(page, name):
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"explore-{name}.png", full_page=True)
