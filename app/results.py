"""The account of one comparison as HTML, by one method or by two side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from app.figures import image_tag, legend, pair_ruler
from app.models import ModelEntry
from app.printable import printable
from avsl_core.compare import Comparison
from avsl_core.explain.bars import change_bars, level_bars, printed_parts
from avsl_core.explain.flow import draw_marginals, flow_svg, flow_table
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.levels import component_titles
from avsl_core.explain.methods import SCALES_NOTE, account_words
from avsl_core.explain.total import total_maps
from avsl_core.metrics import PairDistribution
from avsl_core.models import Explanation, Flow

__all__ = ["Account", "lesson_html", "maps_html", "message_html", "verdict_html", "waiting_html"]

_SIDE = 336  # sharp on a screen of double density at the size the page shows them


@dataclass(frozen=True, eq=False)
class Account:
    """One method's comparison of the two pictures.

    Attributes:
        comparison: What it found.
        pairs: What its verdict rests on.
        model: Which model it is.
    """

    comparison: Comparison
    pairs: PairDistribution | None
    model: ModelEntry


def verdict_html(accounts: Sequence[Account]) -> str:
    """Verdict in words, distance, and the bars that add up to it; of two methods side by side.

    Args:
        accounts: One or two.
    """
    columns = [_verdict(account, index) for index, account in enumerate(accounts)]
    if len(columns) == 1:
        return columns[0]
    return f'<p class="note avsl-scales">{escape(SCALES_NOTE)}</p>{_columns(columns)}'


def maps_html(accounts: Sequence[Account], *, one_scale: bool) -> str:
    """The heatmaps on both pictures, in total and per component, under a legend that stays in view.

    Args:
        accounts: What to draw, of one or two methods.
        one_scale: Whether all figures share one colour scale; else each figure uses the full range.
    """
    note = (
        "All figures share one colour scale: what looks pale matters little."
        if one_scale
        else "Each figure uses the whole colour scale: compare the two pictures of a figure, not the figures."
    )
    if one_scale and len(accounts) > 1:
        note = "All figures of a method share one colour scale: what looks pale there matters little."
    columns = [_maps(account, one_scale=one_scale) for account in accounts]
    if len(columns) > 1:
        columns = [_headed(account, column) for account, column in zip(accounts, columns, strict=True)]
    return (
        '<section class="avsl-maps" aria-label="Heatmaps"><h3>Where it comes from</h3>'
        f'<div class="avsl-sticky">{legend()}</div>'
        f'<p class="note">{note} Over both pictures, blue and orange add up to the value printed below.</p>'
        f"{_columns(columns) if len(columns) > 1 else columns[0]}</section>"
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


def _verdict(account: Account, index: int) -> str:
    comparison, explanation = account.comparison, account.comparison.explanation
    verdict, words = comparison.verdict, account_words(explanation)
    ruler = pair_ruler(comparison.distance, account.pairs) if account.pairs is not None else ""
    own = "distance" if index == 0 else "distance-beside"
    title = escape(account.model.title)
    bars = level_bars(explanation, component_titles(explanation))
    note = f'<p class="avsl-note">{escape(words.note)}</p>' if words.note else ""
    return (
        f'<section class="avsl-card" aria-label="Verdict of {title}"><p class="avsl-method">{title}</p>'
        f'<h2 class="avsl-words" data-grade="{verdict.grade}">{escape(verdict.words)}</h2>'
        f'<p class="avsl-sentence">{escape(verdict.sentence)}</p>'
        f'<p class="avsl-distance"><span id="{own}" data-value="{comparison.distance!r}">'
        f"{comparison.distance:.3f}</span> <small>distance; {escape(words.zero)}</small></p>{ruler}</section>"
        f'<section class="avsl-card" aria-label="Parts of the distance, {title}">'
        f"<h3>What the distance is made of</h3>{bars}{note}{_change(explanation)}</section>"
    )


def _change(explanation: Explanation) -> str:
    """What learning changed, for methods that adapt features."""
    before = explanation.before
    if before is None:
        return ""
    bars = change_bars(before, explanation, component_titles(explanation), ("before", "after"))
    return (
        "<h3>Before and after the adaptation</h3>"
        '<p class="note">The same pair by the frozen features as they were, and as they were learned to '
        f"count.</p>{bars}"
    )


def _maps(account: Account, *, one_scale: bool) -> str:
    comparison, explanation = account.comparison, account.comparison.explanation
    titles = component_titles(explanation)
    printed, _ = printed_parts(explanation)
    whole = shared_scale(total_maps(explanation))
    total = _total(comparison, explanation, "Everything together", whole)
    figures = ""
    for component in explanation.components:
        scale = whole if one_scale else shared_scale([component.map_a, component.map_b])
        maps = [[component.map_a], [component.map_b]]
        figures += _figure(comparison, *titles[component.name], printed[component.name], maps, scale)
    if explanation.before is not None:
        scale = whole if one_scale else shared_scale(total_maps(explanation.before))
        total += _total(comparison, explanation.before, "Everything before the adaptation", scale)
    flow = "" if explanation.flow is None else _flow(comparison, explanation.flow)
    return f'{flow}<div class="avsl-total">{total}</div><div class="avsl-levels">{figures}</div>'


def _total(comparison: Comparison, explanation: Explanation, title: str, scale: float) -> str:
    """All components as one figure; what no region accounts for is not in it."""
    printed, value = printed_parts(explanation)
    levels = all(component.name.startswith("level") for component in explanation.components)
    gloss = "the sum of all levels" if levels else "the sum of all parts"
    if not explanation.exact:
        gloss, value = f"{gloss} that have a map", str(Decimal(value) - Decimal(printed["residual"]))
    components = explanation.components
    maps = [[c.map_a for c in components], [c.map_b for c in components]]
    return _figure(comparison, title, gloss, value, maps, scale)


def _flow(comparison: Comparison, flow: Flow) -> str:
    """The match of cells: lines, what each cell counts, and the same as a table."""
    crops = comparison.a.crop, comparison.b.crop
    counts = "".join(
        image_tag(pixels, f"The cells that count in the match are lit on the {which} picture")
        for pixels, which in zip(draw_marginals(*crops, flow, side=_SIDE), ("first", "second"), strict=True)
    )
    return (
        f'<div class="avsl-total"><figure>{flow_svg(*crops, flow)}<figcaption>'
        "<strong>What was matched</strong><small>The strongest matches: a thick line adds much to the "
        "likeness. Point at a line, or go from one to the next with the Tab key.</small></figcaption>"
        "<details><summary>The same as a table</summary>"
        f"{flow_table(flow)}</details></figure>"
        f'<figure><div class="pair">{counts}</div><figcaption><strong>What counts in the match</strong>'
        "<small>Lit cells count most; pale ones hardly take part.</small></figcaption></figure></div>"
    )


def _columns(columns: Sequence[str]) -> str:
    return f'<div class="avsl-beside">{"".join(f"<div>{column}</div>" for column in columns)}</div>'


def _headed(account: Account, column: str) -> str:
    return f'<h4 class="avsl-method">{escape(account.model.title)}</h4>{column}'


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
