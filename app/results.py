"""The account of one comparison as HTML: verdict, distance, bars, heatmaps."""

from html import escape

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from app.figures import image_tag, legend, pair_ruler
from app.printable import printable
from avsl_core.compare import Comparison
from avsl_core.explain.bars import level_bars, printed_parts
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.levels import LEVELS_NOTE, component_titles
from avsl_core.explain.total import total_maps
from avsl_core.metrics import PairDistribution

__all__ = ["lesson_html", "maps_html", "message_html", "verdict_html", "waiting_html"]

_SIDE = 336  # sharp on a screen of double density at the size the page shows them


def verdict_html(comparison: Comparison, pairs: PairDistribution | None) -> str:
    """Verdict in words, distance, and the bars that add up to it."""
    verdict = comparison.verdict
    titles = component_titles(comparison.explanation)
    ruler = pair_ruler(comparison.distance, pairs) if pairs is not None else ""
    return (
        '<section class="avsl-card" aria-label="Verdict">'
        f'<h2 class="avsl-words" data-grade="{verdict.grade}">{escape(verdict.words)}</h2>'
        f'<p class="avsl-sentence">{escape(verdict.sentence)}</p>'
        f'<p class="avsl-distance"><span id="distance" data-value="{comparison.distance!r}">'
        f"{comparison.distance:.3f}</span> <small>distance; 0 is no difference</small></p>{ruler}</section>"
        '<section class="avsl-card" aria-label="Parts of the distance">'
        "<h3>What the distance is made of</h3>"
        f"{level_bars(comparison.explanation, titles)}"
        f'<p class="avsl-note">{escape(LEVELS_NOTE)}</p></section>'
    )


def maps_html(comparison: Comparison, *, one_scale: bool) -> str:
    """The heatmaps on both pictures, in total and per component, under a legend that stays in view.

    Args:
        comparison: What to draw.
        one_scale: Whether all figures share one colour scale; else each figure uses the full range.
    """
    explanation = comparison.explanation
    titles = component_titles(explanation)
    printed, printed_total = printed_parts(explanation)
    whole = shared_scale(total_maps(explanation))
    parts = [[c.map_a for c in explanation.components], [c.map_b for c in explanation.components]]
    total = _figure(comparison, "Everything together", "the sum of all levels", printed_total, parts, whole)
    figures = ""
    for component in explanation.components:
        scale = whole if one_scale else shared_scale([component.map_a, component.map_b])
        maps = [[component.map_a], [component.map_b]]
        figures += _figure(comparison, *titles[component.name], printed[component.name], maps, scale)
    note = (
        "All figures share one colour scale: what looks pale matters little."
        if one_scale
        else "Each figure uses the whole colour scale: compare the two pictures of a figure, not the figures."
    )
    return (
        '<section class="avsl-maps" aria-label="Heatmaps"><h3>Where it comes from</h3>'
        f'<div class="avsl-sticky">{legend()}</div>'
        f'<p class="note">{note} Over both pictures, blue and orange add up to the value printed below.</p>'
        f'<div class="avsl-total">{total}</div><div class="avsl-levels">{figures}</div></section>'
    )


def message_html(text: str) -> str:
    """A calm inline message: what is wrong and what to do."""
    picture, _, rest = printable(text).partition(": ")
    if not rest:
        picture, rest = "", text
    heading = f"<strong>{escape(picture)}</strong> " if picture else ""
    return f'<div class="avsl-message" role="alert">{heading}{escape(rest)}</div>'


def lesson_html(text: str) -> str:
    """What an example pair teaches."""
    return f'<p class="note avsl-lesson">{escape(text)}</p>'


def waiting_html(text: str) -> str:
    """What stands where the results will be."""
    return f'<section class="avsl-card avsl-waiting"><p>{escape(text)}</p></section>'


def _figure(
    comparison: Comparison, title: str, gloss: str, value: str, maps: list[list[Tensor]], scale: float
) -> str:
    pictures = "".join(
        image_tag(
            _draw(crop, side_maps, scale), f"Heatmap on the {which} picture, {title}: {_balance(side_maps)}"
        )
        for crop, side_maps, which in (
            (comparison.a.crop, maps[0], "first"),
            (comparison.b.crop, maps[1], "second"),
        )
    )
    return (
        f'<figure><div class="pair">{pictures}</div><figcaption><strong>{escape(title)}</strong> '
        f'<span class="value">{value}</span><small>{escape(gloss)}</small></figcaption></figure>'
    )


def _draw(crop: NDArray[np.uint8], maps: list[Tensor], scale: float) -> NDArray[np.uint8]:
    return draw_signed(crop, maps, scale, side=_SIDE)


def _balance(maps: list[Tensor]) -> str:
    apart = sum(float(values.clamp_min(0).sum()) for values in maps)
    together = sum(float(values.clamp_max(0).sum()) for values in maps)
    return f"pushes apart {apart:.3f}, pulls together {-together:.3f}"
