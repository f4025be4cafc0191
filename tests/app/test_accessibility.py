"""Every page for everybody: without mouse or sight, with large print, on any screen, in both themes."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from app.learn.steps import STEPS
from tests.app.conftest import new_page, real, settle, watch

pytestmark = pytest.mark.browser

TITLED = re.compile(r".{3,} · .{10,}")
GRAVE = ("serious", "critical")
LEARNT = "#learn-live:not([data-stale]) [data-live]:not([data-busy])"


@dataclass(frozen=True)
class Place:
    """A page in some state.

    Attributes:
        path: Its address.
        ready: What is there once its results are.
        then: What is done then.
    """

    path: str
    ready: str
    then: Callable = lambda page, files: None


def open_experts(page, files):
    page.locator("#expert > button").click()
    expect(page.locator("#details")).to_contain_text("Level 3, node")
    page.locator("#ways > button").click()
    expect(page.locator("#method")).to_be_visible()


def give_broken(page, files):
    page.locator("#picture-a input[type=file]").set_input_files(files["broken.jpg"])
    expect(page.locator("#message [role=alert]")).to_be_visible()


def give_broken_to_many(page, files):
    page.locator("input[type=file]").set_input_files([files["broken.jpg"], files["one.png"]])
    expect(page.locator("#many-problems [role=alert]").first).to_be_visible()


def change_bird(page, files):
    page.get_by_label("Show the true outline").check()
    expect(page.locator(".lab-maps img").first).to_have_attribute("alt", re.compile("true place of"))
    settle(page)


PAGES = {
    "compare": Place("", "#distance"),
    "many": Place("many", "#many-matrix table, #many-matrix [role=grid], #many-matrix a"),
    "explore": Place("explore", "#explore-results img"),
    "lab": Place("lab", "#lab-distance"),
    "learn": Place("learn", LEARNT),
}
# Each shows all that its page shows by itself, and more; the steps of the tour have a test of their own.
STATES = {
    "many": PAGES["many"],
    "explore": PAGES["explore"],
    "compare with the expert part open": Place("", "#distance", open_experts),
    "compare with a message": Place("", "#distance", give_broken),
    "many with a message": Place("many", PAGES["many"].ready, give_broken_to_many),
    "explore with a message": Place("explore?gallery=nowhere", "#explore-message [role=alert]"),
    "lab with an outline": Place("lab", "#lab-distance", change_bird),
}
# Not Gradio's: they follow the system.
PLAIN = {"for programs": "api/v1/docs", "refusal": "nowhere"}
every_page = pytest.mark.parametrize("name", PAGES)


@pytest.fixture(scope="module")
def shown(browser, address):
    """Every page with its results, opened once for the tests that only look at it.

    Each by a visitor of its own: one has no more than six connections, and every page holds one of them.
    """
    pages = {}

    def show(name):
        if name not in pages:
            page = new_page(browser, viewport={"width": 1280, "height": 900})
            pages[name] = page, watch(page)
            page.goto(f"{address}/{PAGES[name].path}")
            settled(page, PAGES[name])
        page, _ = pages[name]
        page.bring_to_front()
        return page

    yield show
    for page, troubles in pages.values():
        page.close()
        assert real(troubles) == []


@pytest.fixture
def shown_page(shown, name):
    """One of them, which is afterwards as it was."""
    page = shown(name)
    size = page.viewport_size
    yield page
    page.set_viewport_size(size)
    page.evaluate("document.documentElement.style.fontSize = ''")


@pytest.mark.parametrize("state", STATES)
def test_no_page_has_a_grave_barrier_in_light_or_dark(visit, files, state):
    page = go(visit, STATES[state])
    STATES[state].then(page, files)
    assert barriers(page) == []


def test_no_step_of_the_tour_has_a_grave_barrier_in_light_or_dark(visit):
    page = go(visit, PAGES["learn"])
    for number in range(1, len(STEPS) + 1):
        expect(page.locator(f'{LEARNT}[data-live="{number}"]')).to_be_visible()
        assert barriers(page) == [], number
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("width", [390, 1024, 1280])
@pytest.mark.parametrize("name", PLAIN)
def test_no_plain_page_has_a_grave_barrier_at_any_width_in_light_or_dark(guest, address, name, width):
    page = guest(viewport={"width": width, "height": 800})
    page.goto(f"{address}/{PLAIN[name]}")
    shades = set()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        settle(page)
        assert grave(page) == [], theme
        shades.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(shades) == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("main h1").count() == 1


@every_page
def test_everything_can_be_reached_by_the_tab_key_and_shows_that_it_is(visit, name):
    page = go(visit, PAGES[name])
    wanted = page.evaluate(TABBABLE)
    reached, unseen = [], []
    for _ in range(len(wanted) + 15):
        page.keyboard.press("Tab")
        words, is_shown = page.evaluate(FOCUSED)
        if reached and words == reached[0]:
            break
        reached.append(words)
        if not is_shown:
            unseen.append(words)
    assert [words for words in wanted if words not in reached] == []
    assert unseen == []


@every_page
@pytest.mark.parametrize("width", [390, 820, 1440])
def test_nothing_has_to_be_scrolled_sideways(shown_page, width):
    shown_page.set_viewport_size({"width": width, "height": 900})
    settle(shown_page)
    assert shown_page.evaluate("document.documentElement.scrollWidth") <= width


@every_page
def test_text_may_be_twice_as_large(shown_page):
    shown_page.evaluate("document.documentElement.style.fontSize = '200%'")
    settle(shown_page)
    assert shown_page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert shown_page.evaluate(CUT) == []


@every_page
def test_nothing_moves_for_those_who_asked_for_rest(visit, name):
    page = visit(PAGES[name].path)
    page.emulate_media(reduced_motion="reduce")
    expect(page.locator(PAGES[name].ready).first).to_be_visible()
    settle(page)
    assert page.evaluate(MOVING) == []


@every_page
def test_pages_tell_their_language_and_title_and_have_one_main_heading(shown_page):
    assert shown_page.locator("html").get_attribute("lang") == "en"
    expect(shown_page.get_by_role("heading", level=1)).to_have_count(1)
    expect(shown_page).to_have_title(TITLED)


def test_no_two_pages_have_the_same_title(shown):
    assert len({shown(name).title() for name in PAGES}) == len(PAGES)


@every_page
def test_every_picture_has_an_alternative(shown_page):
    # An empty one only where the words stand beside it, in the same button or link, or in its label.
    silent = shown_page.evaluate("""() => [...document.querySelectorAll("img, [role=img]")]
      .filter(e => e.checkVisibility())
      .filter(e => !(e.alt || e.getAttribute("aria-label") || e.closest("[aria-hidden=true]")))
      .filter(e => !(e.getAttribute("alt") === "" && e.closest("a, button, [aria-label]")
        && (e.closest("[aria-label]") || e.closest("a, button").textContent.trim())))
      .map(e => e.outerHTML.slice(0, 120))""")
    assert silent == []


def go(visit, place):
    """A page with its results."""
    return settled(visit(place.path), place)


def settled(page, place):
    """The page once its results are there."""
    expect(page.locator(place.ready).first).to_be_visible()
    settle(page)
    return page


def barriers(page):
    """What axe finds that keeps people out, in both themes."""
    found = []
    page.emulate_media(reduced_motion="reduce")  # colours half-way from one theme to the other are no finding
    for theme in ("light", "dark"):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        settle(page)
        found += [f"{theme}: {barrier}" for barrier in grave(page)]
    page.evaluate("document.body.classList.remove('dark')")
    return found


def grave(page):
    """What axe finds that keeps people out, as the page is now."""
    return [
        f"{rule['id']} {node['target']} {node['html'][:120]}"
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


# By its words: components that are drawn anew have new ids.
NAMED = """const named = e => {
  const words = e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label")?.textContent;
  return [e.tagName, e.type, words || e.value].join(" ").replace(/\\s+/g, " ").trim().slice(0, 110);
};"""

# Everything that takes the focus; of radio buttons of one name, the one that is chosen.
TABBABLE = f"""() => {{ {NAMED}
  return [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter(e => !e.disabled && e.tabIndex >= 0 && e.checkVisibility({{ visibilityProperty: true }}))
    .filter(e => e.getBoundingClientRect().width > 0 && e.type !== "file")
    .filter(e => e.type !== "radio" || e.checked || !e.name
      || !document.querySelector(`input[name="${{CSS.escape(e.name)}}"]:checked`))
    .map(named);
}}"""

# What has the focus, and whether it, its words or its frame shows that.
FOCUSED = f"""() => {{ {NAMED}
  const e = document.activeElement;
  if (!e || e === document.body) return ["", true];
  const shows = x => {{
    if (!x) return false;
    const style = getComputedStyle(x);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  }};
  const up = [e.parentElement, e.parentElement?.parentElement, e.parentElement?.parentElement?.parentElement];
  const near = [e, e.nextElementSibling, ...up, e.closest("label"), e.closest(".avsl-frame")];
  // A line between pictures stands out by paling all others.
  return [named(e), near.some(shows) || e.matches(".match")];
}}"""

# Words that do not fit into what holds them.
CUT = """() => [...document.querySelectorAll("button, a, label, legend, h1, h2, h3, p, li, td, th, summary")]
  .filter(e => e.checkVisibility() && e.textContent.trim() && e.clientWidth > 4)
  .filter(e => ["hidden", "clip"].includes(getComputedStyle(e).overflowX))
  .filter(e => e.scrollWidth > e.clientWidth + 2)
  .filter(e => !["absolute", "fixed"].includes(getComputedStyle(e).position))
  .map(e => `${e.tagName} ${e.id} ${e.className} ${e.textContent.trim().slice(0, 60)}`)"""

MOVING = """() => document.getAnimations().filter(a => a.playState === "running")
  .map(a => `${a.effect?.target?.tagName} ${a.effect?.target?.className} ${a.animationName ?? ""}`)"""
