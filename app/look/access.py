"""What makes Gradio's pages accessible beyond what it does itself, and what they say of themselves ours."""

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from jinja2 import BaseLoader

__all__ = ["FAVICON", "access_css", "own_head", "page_foot", "page_title", "rewritten_head"]

FAVICON = Path(__file__).with_name("favicon.ico")
"""The site's sign on the browser's tabs."""

_SHEET = Path(__file__).with_name("access.css")
# Its manifest would put its sign on the home screen.
_GRADIO = re.compile(r'<(?:meta\s+(?:property="og:|name="twitter:)|link rel="manifest")[^>]*>\s*')
_TITLE = "{{ config['title'] or 'AVSL' }}"
_WORDS = "Two pictures in; how alike they are in words, and where on the pictures that comes from."
_OURS = f"""<title>{_TITLE}</title>
\t\t<meta name="description" content="{_WORDS}" />
\t\t<meta property="og:type" content="website" />
\t\t<meta property="og:title" content="{_TITLE}" />
\t\t<meta property="og:description" content="{_WORDS}" />
\t\t<meta name="twitter:card" content="summary" />
\t"""
# Gradio marks the link of the present page for the eye only.
_CURRENT = """
const mark = () => document.querySelectorAll(".nav-holder nav a").forEach(link => {
  if (link.classList.contains("active")) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
});
mark();
const menu = document.querySelector(".nav-holder");
const changes = { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] };
if (menu) new MutationObserver(mark).observe(menu, changes);
"""


def page_title(name: str, title: str) -> None:
    """Give the page that is being built a title of its own; Gradio calls all pages of a site the same.

    Args:
        name: The page's, as the menu has it.
        title: The site's.
    """
    words = json.dumps(f"{name} · {title}")
    gr.HTML("", elem_classes="access-title", js_on_load=f"document.title = {words};")


def page_foot(root_path: str = "") -> None:
    """End the page that is being built as all pages end; and have the menu say which page this is.

    Args:
        root_path: Path under which the site is served: a page answers with and without a slash at its end,
            so that no relative address would hold.
    """
    link = f'<a href="{escape(root_path)}/api/v1/docs">For programs</a>'
    gr.HTML(f'<p class="access-foot">{link}</p>', js_on_load=_CURRENT)


def access_css() -> str:
    """The style sheet of the repairs."""
    return _SHEET.read_text(encoding="utf-8")


def own_head() -> None:
    """Have Gradio's pages introduce this site instead of Gradio where a link to them is shown."""
    from gradio.routes import templates

    loader = templates.env.loader
    if not isinstance(loader, _Rewriting):
        templates.env.loader = _Rewriting(loader)
        templates.env.cache.clear()


def rewritten_head(source: str) -> str:
    """A page's source with our words for link previews in the place of Gradio's; without a head as it is.

    Example:
        >>> rewritten_head('<head><meta property="og:title" content="Gradio" /></head>').count("Gradio")
        0
    """
    return _GRADIO.sub("", source).replace("</head>", f"{_OURS}</head>", 1)


class _Rewriting(BaseLoader):
    """Reads Gradio's templates, and rewrites their heads."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def get_source(
        self, environment: Any, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        source, file, is_fresh = self.inner.get_source(environment, template)
        return rewritten_head(source), file, is_fresh
