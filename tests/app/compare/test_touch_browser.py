"""Touching the pictures in a real browser: with mouse, finger and keyboard, and what is said of it."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.work.examples import load_pairs
from avsl_core import compare
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.region import counterpart, coverage_of
from avsl_core.explain.total import total_maps
from tests.app.conftest import new_page, real, settle, watch

pytestmark = pytest.mark.browser

SCRIPTS = Path(__file__).resolve().parents[3] / "app" / "compare" / "scripts"
LISTEN = """() => {
    window.pointed = null;
    document.addEventListener("avsl-pointed", event => { window.pointed = event.detail; }, true);
}"""


@pytest.fixture(scope="session")
def comparison(checkpoint):
    """What Python makes of the pair that the page opens with."""
    pair = load_pairs()[0]
    return compare(checkpoint, pair.a.path, pair.b.path)


@pytest.fixture(scope="module")
def shared(browser, address):
    """One visit for all: nothing may go wrong in it unseen, or still be rolling when it is touched."""
    page = new_page(browser, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    troubles = watch(page)
    page.goto(address)
    ready(page)
    page.evaluate(LISTEN)
    yield page
    page.close()
    assert real(troubles) == []


@pytest.fixture
def page(shared):
    """The visit as it began: looking at everything together, nothing pointed at, nothing painted."""
    tool(shared, "What if")
    if shared.locator("[data-do=clear]").is_enabled():
        shared.locator("[data-do=clear]").click()
    tool(shared, "Point")
    shared.locator("figure[data-side=a] .avsl-pad").press("Escape")
    shared.mouse.move(0, 0)
    tool(shared, "Look")
    shared.locator(".avsl-layers").get_by_label("Everything").check()
    one_scale(shared, False)
    settle(shared)
    shared.evaluate("window.pointed = null")
    return shared


def one_scale(page, on):
    maps = page.locator("details[data-step=maps]")
    if maps.get_attribute("open") is None:
        maps.locator("summary").first.click()
    page.locator("#one-scale input").set_checked(on)


@pytest.fixture
def pointing(page):
    tool(page, "Point")
    return page


@pytest.fixture
def painting(page):
    tool(page, "What if")
    return page


class TestLook:
    def test_the_browser_draws_what_python_draws(self, page, comparison, tmp_path):
        side = page.locator("figure[data-side=b] canvas").evaluate("canvas => canvas.width")
        address = page.locator("figure[data-side=b] canvas").evaluate("canvas => canvas.toDataURL()")
        (tmp_path / "drawn.png").write_bytes(base64.b64decode(address.partition(",")[2]))
        drawn = np.asarray(Image.open(tmp_path / "drawn.png").convert("RGB")).astype(int)
        explanation = comparison.explanation
        maps = [component.map_b for component in explanation.components]
        scale = shared_scale(total_maps(explanation))
        expected = draw_signed(comparison.b.crop, maps, scale, side=side).astype(int)
        # Enlarged by other filters, and the crop went through JPEG: alike everywhere, not the same.
        assert np.abs(drawn - expected).mean() < 4

    def test_a_level_has_maps_of_its_own_and_its_words(self, page):
        before = page.locator("figure[data-side=a] canvas").evaluate("canvas => canvas.toDataURL()")
        page.locator(".avsl-layers").get_by_label("Level 1").check()
        expect(page.locator(".avsl-touch .note:visible")).to_contain_text("Level 1, early in the network")
        page.wait_for_function(
            "before => document.querySelector('figure[data-side=a] canvas').toDataURL() !== before",
            arg=before,
        )

    def test_one_scale_for_all_pales_a_level_that_matters_little(self, page):
        page.locator(".avsl-layers").get_by_label("Level 1").check()
        drawn(page)
        before = page.locator("figure[data-side=a] canvas").evaluate("canvas => canvas.toDataURL()")
        one_scale(page, True)
        page.wait_for_function(
            "before => document.querySelector('figure[data-side=a] canvas').toDataURL() !== before",
            arg=before,
        )


class TestPoint:
    @pytest.mark.parametrize("side", ["a", "b"])
    def test_the_browsers_figures_are_those_of_python(self, pointing, comparison, side):
        drag(pointing, side, (0.2, 0.15), (0.75, 0.6))
        found = pointed(pointing)
        explanation = comparison.explanation
        grid = explanation.likeness.grid_a if side == "a" else explanation.likeness.grid_b
        expected = counterpart(explanation, coverage_of(grid, *found["box"]), side)
        assert found["side"] == side
        assert found["box"] == pytest.approx([0.2, 0.15, 0.55, 0.45], abs=0.01)
        assert found["share"] == pytest.approx(expected.share, rel=1e-4)
        assert found["value"] == pytest.approx(expected.value, rel=1e-4)
        assert found["distance"] == pytest.approx(expected.distance, rel=1e-4, abs=1e-6)
        assert found["map"] == pytest.approx(expected.map.flatten().tolist(), rel=1e-3, abs=1e-7)

    def test_the_words_say_what_the_figures_say(self, pointing):
        drag(pointing, "a", (0.1, 0.1), (0.9, 0.9))
        found = pointed(pointing)
        words = pointing.locator(".avsl-under .avsl-found").inner_text()
        assert f"holds {100 * found['share']:.0f}\u00a0% of what the two have in common" in words
        total = pointing.locator("#distance").inner_text()
        assert f"{found['distance']:.3f} of the distance {total} lies here" in words

    def test_all_of_a_picture_holds_all(self, pointing):
        pointing.locator("figure[data-side=a] .avsl-pad").focus()
        for _ in range(12):
            pointing.keyboard.press("+")
        assert pointed(pointing)["box"] == [0, 0, 1, 1]
        assert pointed(pointing)["share"] == pytest.approx(1, abs=1e-4)
        assert "100\u00a0% of what the two" in pointing.locator(".avsl-under .avsl-found").inner_text()

    def test_a_mouse_points_by_being_there_and_a_click_holds(self, pointing):
        move(pointing, "a", (0.5, 0.5))
        assert pointed(pointing)["box"][0] == pytest.approx(0.5 - 1 / 16, abs=0.05)
        pointing.mouse.down()
        pointing.mouse.up()
        held = pointed(pointing)["box"]
        move(pointing, "a", (0.1, 0.1))
        drawn(pointing)
        assert pointed(pointing)["box"] == held

    def test_keys_move_the_region_and_the_result_is_said(self, pointing):
        pointing.locator("figure[data-side=a] .avsl-pad").focus()
        pointing.keyboard.press("ArrowRight")
        first = pointed(pointing)["box"]
        pointing.keyboard.press("ArrowDown")
        pointing.keyboard.press("+")
        box = pointed(pointing)["box"]
        assert box[1] > first[1] - 0.02
        assert box[2] > first[2]
        said = pointing.locator(".avsl-said")
        expect(said).to_contain_text("of the distance")
        pointing.keyboard.press("Escape")
        expect(pointing.locator(".avsl-under .avsl-found")).to_contain_text("Point at a part")

    def test_both_pictures_are_named_for_those_who_do_not_see_them(self, pointing):
        for which in ("First", "Second"):
            expect(
                pointing.get_by_role("application", name=re.compile(f"^{which} picture: arrow keys"))
            ).to_be_visible()


class TestWords:
    """What is said of regions that the pictures at hand do not have."""

    @pytest.fixture(scope="class")
    def said(self, browser):
        page = browser.new_page()
        script = (SCRIPTS / "region.js").read_text(encoding="utf-8")

        def say(matrix, lies=0.25, box=(0, 0, 0.5, 1)):
            """Two pictures of 1 x 2 cells each; the region is the left cell of the first one."""
            return page.evaluate(
                f"""([matrix, here, box]) => {{ {script}
                const grid = {{ rows: 1, columns: 2, values: [here, 0] }};
                const likeness = {{ matrix, common: matrix.reduce((x, y) => x + y), a: grid, b: grid }};
                return foundWords({{ total: 0.5, likeness }}, counterpart(likeness, "a", box)).join("");
                }}""",
                [matrix, lies, list(box)],
            )

        yield say
        page.close()

    def test_a_share_is_said_with_where_its_answer_is(self, said):
        assert said([0.0, 0.3, 0.5, 0.2]) == (
            "This region holds 30\u00a0% of what the two have in common; 0.250 of the distance 0.500 lies "
            "here. What answers to it most is in the middle right of the second picture."
        )

    def test_a_region_that_contradicts_tells_the_two_apart(self, said):
        words = said([-0.1, 0.05, 0.5, 0.2])
        assert words.startswith("This region tells the two apart")
        assert "What answers to it most is in the middle right" in words

    def test_where_nothing_answers_that_is_said(self, said):
        assert "Nothing in the second picture answers to it" in said([-0.1, -0.2, 0.9, 0.2])

    def test_next_to_nothing_is_less_than_one_percent(self, said):
        assert "holds less than 1\u00a0% of" in said([0.001, 0.001, 0.5, 0.5])

    def test_nearly_all_is_not_all(self, said):
        assert "holds more than 99\u00a0% of" in said([0.5, 0.498, 0.001, 0.001])

    def test_more_than_all_is_said_to_be_so(self, said):
        assert "all that the two have in common, and more" in said([0.5, 0.6, -0.1, 0.0])

    def test_pictures_with_nothing_in_common_have_no_shares(self, said):
        words = said([-0.5, 0.1, 0.1, 0.1])
        assert words.startswith("By this account the two pictures have nothing in common")
        assert "%" not in words

    @pytest.mark.parametrize(
        ("lies", "words"),
        [
            (-0.02, "it takes 0.020 off the distance, which is 0.500"),
            (0.0001, "hardly any of the distance 0.500"),
        ],
    )
    def test_what_lies_here_is_said_by_its_sign(self, said, lies, words):
        assert words in said([0.0, 0.3, 0.5, 0.2], lies)


class TestWhatIf:
    def test_painting_over_a_part_is_measured(self, painting):
        before = float(painting.locator("#distance").get_attribute("data-value"))
        expect(painting.get_by_role("button", name="Measure", exact=True)).to_be_disabled()
        drag(painting, "b", (0.3, 0.3), (0.7, 0.5))
        painting.get_by_role("button", name="Measure", exact=True).click()
        answer = painting.locator("#what-if .avsl-measured")
        expect(answer).to_be_visible()
        values = [
            float(v) for v in answer.locator(".value").evaluate_all("all => all.map(e => e.dataset.value)")
        ]
        assert values[1] == pytest.approx(before, rel=1e-6)
        assert values[0] != pytest.approx(before, rel=1e-9)
        expect(answer).to_contain_text("of the second picture is painted over")

    def test_one_space_paints_what_is_measured(self, painting):
        painting.locator("figure[data-side=a] .avsl-pad").press("Space")
        painting.get_by_role("button", name="Measure", exact=True).click()
        answer = painting.locator("#what-if .avsl-measured")
        expect(answer).to_be_visible()
        expect(answer).to_contain_text("of the first picture is painted over")

    def test_one_click_paints_what_is_measured(self, painting):
        move(painting, "b", (0.5, 0.5))
        painting.mouse.down()
        painting.mouse.up()
        painting.get_by_role("button", name="Measure", exact=True).click()
        answer = painting.locator("#what-if .avsl-measured")
        expect(answer).to_be_visible()
        expect(answer).to_contain_text("of the second picture is painted over")

    def test_the_answer_comes_into_view(self, painting):
        painting.set_viewport_size({"width": 1024, "height": 900})
        try:
            painting.evaluate("scrollTo(0, 0)")
            painting.locator("figure[data-side=a] .avsl-pad").press("Space")
            painting.get_by_role("button", name="Measure", exact=True).click()
            answer = painting.locator("#what-if .avsl-measured")
            expect(answer).to_be_in_viewport(ratio=1)
        finally:
            painting.set_viewport_size({"width": 1280, "height": 900})

    def test_the_same_part_can_be_measured_twice(self, painting):
        drag(painting, "a", (0.3, 0.3), (0.5, 0.5))
        measure, answer = painting.get_by_role("button", name="Measure", exact=True), "#what-if [data-turn]"
        measure.click()
        expect(painting.locator("#what-if .avsl-measured")).to_be_visible()
        first = painting.locator(answer).get_attribute("data-turn")
        measure.click()
        expect(painting.locator(answer)).not_to_have_attribute("data-turn", first)
        expect(painting.locator("#what-if .avsl-measured")).to_be_visible()
        expect(measure).to_be_enabled()

    def test_keys_paint_and_undo(self, painting):
        painting.locator("figure[data-side=a] .avsl-pad").focus()
        painting.keyboard.press("Space")
        painting.keyboard.press("Shift+ArrowRight")
        expect(painting.get_by_role("button", name="Measure", exact=True)).to_be_enabled()
        painting.keyboard.press("Backspace")
        painting.keyboard.press("Backspace")
        expect(painting.get_by_role("button", name="Measure", exact=True)).to_be_disabled()

    def test_clearing_takes_the_answer_away(self, painting):
        drag(painting, "a", (0.3, 0.3), (0.5, 0.5))
        painting.get_by_role("button", name="Measure", exact=True).click()
        expect(painting.locator("#what-if .avsl-measured")).to_be_visible()
        painting.get_by_role("button", name="Clear").click()
        expect(painting.locator("#what-if .avsl-measured")).to_be_hidden()


def test_another_pair_lets_go_and_keeps_the_tool(visit):
    page = visit()
    ready(page)
    tool(page, "Point")
    drag(page, "a", (0.2, 0.2), (0.6, 0.6))
    page.locator("#example-6").click()
    expect(page.locator("#message")).to_contain_text("Two round fruits")
    expect(page.locator(".avsl-under .avsl-found")).to_contain_text("Point at a part")
    expect(page.get_by_label("Point", exact=True)).to_be_checked()


def test_a_finger_points_and_paints(guest, address):
    page = guest(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page.goto(address)
    ready(page)
    tool(page, "Point")
    box = place(page, "b")
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".avsl-under .avsl-found strong")).to_be_visible()
    tool(page, "What if")
    box = place(page, "b")
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(page.locator("#what-if .avsl-measured")).to_be_visible()
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def ready(page):
    page.wait_for_function("() => document.querySelector('.avsl-stage')?.dataset.drawn")
    settle(page)


def tool(page, name):
    page.locator(".avsl-tools").get_by_label(name, exact=True).check()


def place(page, side):
    pad = page.locator(f"figure[data-side={side}] .avsl-pad")
    pad.scroll_into_view_if_needed()
    drawn(page)
    return pad.bounding_box()


def move(page, side, spot, steps=1):
    box = place(page, side)
    page.mouse.move(box["x"] + spot[0] * box["width"], box["y"] + spot[1] * box["height"], steps=steps)


def drag(page, side, start, end):
    move(page, side, start)
    page.mouse.down()
    move(page, side, end, steps=4)
    page.mouse.up()
    drawn(page)


def drawn(page):
    """Wait until what was done last is drawn and told, which happens with the next picture of the screen."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def pointed(page):
    page.wait_for_function("() => window.pointed")
    drawn(page)
    return json.loads(page.evaluate("JSON.stringify(window.pointed)"))
