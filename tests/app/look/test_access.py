"""What the pages say of themselves where a link to them is shown."""

import re
import urllib.request
from io import BytesIO

import pytest
from PIL import Image

from app.look.access import FAVICON, rewritten_head

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["", "learn", "many"])
def head(request, address):
    with urllib.request.urlopen(f"{address}/{request.param}", timeout=60) as answer:
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
    with urllib.request.urlopen(f"{address}/favicon.ico", timeout=60) as answer:
        data = answer.read()
    assert data == FAVICON.read_bytes()
    assert Image.open(BytesIO(data)).format == "ICO"


def test_a_source_without_a_head_stays_as_it_is():
    assert rewritten_head("<p>og:title</p>") == "<p>og:title</p>"
