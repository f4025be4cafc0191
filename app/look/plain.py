"""The look of pages that need none of Gradio: the app's colours, light or dark as the system is."""

import re
from functools import cache
from pathlib import Path

__all__ = ["plain_css"]

_COLOURS = Path(__file__).with_name("page.css")
_SHEET = Path(__file__).with_name("plain.css")
_THEME = re.compile(r"^(?P<theme>:root|\.dark) \{(?P<colours>[^}]*)\}", re.MULTILINE)


@cache
def plain_css() -> str:
    """The style sheet: colours as the pages have them, and what every page needs."""
    found = _THEME.finditer(_COLOURS.read_text(encoding="utf-8"))
    themes = {one["theme"]: one["colours"] for one in found}
    return (
        f":root {{ color-scheme: light dark; {themes[':root']} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {themes['.dark']} }} }}\n"
        + _SHEET.read_text(encoding="utf-8")
    )
