"""The look: one accent colour, system fonts, light and dark. Nothing is fetched from elsewhere."""

from pathlib import Path

import gradio as gr

from app.work.examples import ExamplePair, thumbnail
from avsl_core.explain.bars import BARS_CSS
from avsl_core.explain.flow import FLOW_CSS
from avsl_core.explain.scales import SCALES_CSS

__all__ = ["explore_css", "learn_css", "many_css", "page_css", "page_theme"]

_SHEET = Path(__file__).with_name("page.css")
_APP = Path(__file__).resolve().parent.parent
_LEARN_SHEET = _APP / "learn" / "learn.css"
_EXPLORE_SHEET = _APP / "explore" / "explore.css"
_MANY_SHEET = _APP / "many" / "many.css"
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

_ACCENT = gr.themes.Color(
    name="lagoon",
    c50="#eef7f8",
    c100="#d7ecef",
    c200="#b2dae0",
    c300="#82c1cb",
    c400="#4fa2b0",
    c500="#2b8595",
    c600="#14697a",
    c700="#125666",
    c800="#124754",
    c900="#113b46",
    c950="#08262e",
)

# Everywhere the same: buttons are a thin line around the colour of cards.
_CONTROLS = {
    "input_background_fill": "#f1f4f6",
    "input_background_fill_dark": "#222c33",
    "checkbox_border_color": "#58646e",
    "checkbox_border_color_dark": "#9dabb5",
    "button_border_width": "1px",
    "button_large_radius": "0.75rem",
    "button_medium_radius": "0.75rem",
    "button_small_radius": "0.75rem",
    "button_secondary_background_fill": "#ffffff",
    "button_secondary_background_fill_dark": "#181f24",
    "button_secondary_background_fill_hover": "#ffffff",
    "button_secondary_background_fill_hover_dark": "#181f24",
    "button_secondary_border_color": "#dfe5e9",
    "button_secondary_border_color_dark": "#2a343b",
    "button_secondary_border_color_hover": "#14697a",
    "button_secondary_border_color_hover_dark": "#5fb4c3",
    "button_secondary_text_color": "#1b2329",
    "button_secondary_text_color_dark": "#e8edf0",
    "button_primary_border_color": "transparent",
    "button_primary_border_color_dark": "transparent",
}


def page_theme() -> gr.themes.Base:
    """Gradio's plainest theme in the accent colour, with the visitor's own fonts."""
    theme = gr.themes.Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        text_size=gr.themes.sizes.text_md,
        font=_FONTS,
        font_mono=_MONO,
    )
    return theme.set(
        body_background_fill="#fafbfb",
        body_background_fill_dark="#11161a",
        block_background_fill="#ffffff",
        block_background_fill_dark="#181f24",
        block_border_color="#e1e6ea",
        block_border_color_dark="#2a343b",
        block_label_background_fill="#ffffff",
        block_label_background_fill_dark="#181f24",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        **_CONTROLS,
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#08262e",
    )


def page_css(pairs: list[ExamplePair]) -> str:
    """The style sheet: the page's own, the drawings', and the pictures on the example buttons."""
    buttons = "".join(
        f'#example-{index}::before {{ background-image: url("{thumbnail(pair)}"); }}\n'
        for index, pair in enumerate(pairs)
    )
    return _SHEET.read_text(encoding="utf-8") + BARS_CSS + FLOW_CSS + SCALES_CSS + buttons


def explore_css() -> str:
    """The style sheet of the Explore page."""
    return _EXPLORE_SHEET.read_text(encoding="utf-8")


def learn_css() -> str:
    """The style sheet of the Learn page."""
    return _LEARN_SHEET.read_text(encoding="utf-8")


def many_css() -> str:
    """The style sheet of the page "Compare many", and of all rows of files to take away."""
    return _MANY_SHEET.read_text(encoding="utf-8")
