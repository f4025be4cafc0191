"""What the pages say of themselves where a link to them is shown."""

import re
import urllib.request
from io import BytesIO

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import expect

from app.look.access import FAVICON, rewritten_head
from app.server import build_pages, build_parts
from app.work.keep import Keep

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["", "learn", "many"])
def head(request, address):
    with urllib.request.urlopen(f"{address}/{request.param}", timeout=120) as answer:
        return answer.read().decode().partition("</head>")[0]


def test_a_link_to_a_page_is_shown_with_our_words(head):
    assert "<title>How alike are two pictures, and why?</title>" in head
    assert re.findall(r'<meta property="og:title" content="([^"]+)"', head) == [
        "How alike are two pictures, and why?"
    ]
    assert len(re.findall(r'<meta property="og:description"', head)) == 1


def test_no_preview_is_gradios_or_comes_from_another_host(head):
    metas = re.findall(r"<meta[^>]*>|<link[^>]*>", head)
    assert metas
    assert not [meta for meta in metas if "gradio" in meta.lower() or "://" in meta]


def test_the_sign_on_the_tab_is_ours(address):
    with urllib.request.urlopen(f"{address}/favicon.ico", timeout=120) as answer:
        data = answer.read()
    assert data == FAVICON.read_bytes()
    assert Image.open(BytesIO(data)).format == "ICO"


def test_a_source_without_a_head_stays_as_it_is():
    assert rewritten_head("<p>og:title</p>") == "<p>og:title</p>"


@pytest.mark.parametrize("path", ["", "learn", "learn/", "explore", "many", "lab"])
def test_every_page_says_which_page_it_is_and_leads_to_the_one_for_programs(visit, path):
    page = visit(path)
    current = page.locator(".nav-holder a[aria-current=page]")
    expect(current).to_have_count(1)
    assert current.evaluate("link => new URL(link.href).pathname") == f"/{path}".rstrip("/") or "/"
    link = page.get_by_role("link", name="For programs")
    assert link.evaluate("link => new URL(link.href).pathname") == "/api/v1/docs"


def test_every_page_leads_to_the_one_for_programs_below_the_path_of_the_site(checkpoint, tmp_path):
    blocks = build_pages(build_parts(checkpoint, keep=Keep(tmp_path)), root_path="/birds")
    values = [str(block.value) for block in blocks.blocks.values() if isinstance(block, gr.HTML)]
    links = [link for value in values for link in re.findall(r'<a href="([^"]+)">For programs', value)]
    assert links == ["/birds/api/v1/docs"] * len(blocks.pages)


def test_the_page_for_programs_leads_back_to_every_page(visit):
    page = visit("api/v1/docs")
    links = page.locator("nav.site a").evaluate_all("all => all.map(link => new URL(link.href).pathname)")
    assert links == ["/", "/learn", "/explore", "/many", "/lab", "/api/v1/docs"]
    expect(page.locator("nav.site a[aria-current=page]")).to_have_text("For programs")
    page.get_by_role("link", name="Learn").click()
    expect(page).to_have_url(re.compile("/learn$"))
