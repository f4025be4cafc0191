"""What the steps of the tour are made of: pictures, choices, and panels of which one is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.look.figures import image_tag

__all__ = ["Panel", "choice_html", "figure_html", "said", "slider_html", "small"]


@dataclass(frozen=True)
class Panel:
    """One of several views, of which the visitor chooses.

    Attributes:
        key: Its name in the choice.
        title: Its words in the choice.
        html: What it shows.
        say: One sentence that is read out when it is chosen, and stands above it; HTML.
    """

    key: str
    title: str
    html: str
    say: str


def choice_html(legend: str, name: str, panels: Sequence[Panel]) -> str:
    """Radio buttons that choose a panel; the first is shown."""
    radios = "".join(
        f'<label><input type="radio" name="{name}" value="{panel.key}" data-shows'
        f"{' checked' if index == 0 else ''}><span>{escape(panel.title)}</span></label>"
        for index, panel in enumerate(panels)
    )
    return (
        f'<fieldset class="learn-choice"><legend>{escape(legend)}</legend>{radios}</fieldset>{_shown(panels)}'
    )


def slider_html(label: str, panels: Sequence[Panel]) -> str:
    """A slider over panels; the first is shown."""
    ends = f"<span>{escape(panels[0].title)}</span><span>{escape(panels[-1].title)}</span>"
    texts = escape("|".join(panel.title for panel in panels))
    keys = escape("|".join(panel.key for panel in panels))
    return (
        f'<div class="learn-slider"><label for="learn-range">{escape(label)}</label>'
        f'<input id="learn-range" type="range" min="1" max="{len(panels)}" step="1" value="1" data-shows '
        f'data-keys="{keys}" data-texts="{texts}" aria-valuetext="{escape(panels[0].title)}">'
        f'<p class="ends" aria-hidden="true">{ends}</p></div>{_shown(panels)}'
    )


def figure_html(pixels: NDArray[np.uint8], alt: str, caption: str = "") -> str:
    """A picture with what it shows.

    Args:
        pixels: uint8 RGB ``[H, W, 3]``.
        alt: For those who do not see it.
        caption: Beneath it; HTML.
    """
    text = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{image_tag(pixels, alt)}{text}</figure>"


def said(html: str) -> str:
    """The sentence that a choice changes: it is read out anew."""
    return f'<p class="learn-say" role="status" data-said>{html}</p>'


def small(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture at the size it is shown."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def _shown(panels: Sequence[Panel]) -> str:
    views = "".join(
        f'<div data-panel="{panel.key}" data-say="{escape(panel.say)}"{" hidden" if index else ""}>'
        f"{panel.html}</div>"
        for index, panel in enumerate(panels)
    )
    return f"{said(panels[0].say)}{views}"
