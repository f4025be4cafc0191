"""From words to numbers, step by step: the bars of the parts, the maps of each, and every figure of them."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape

from torch import Tensor

from app.compare.results import Account, columns_html
from app.compare.touch_panel import BEFORE, TOTAL, account_json, layers_of
from app.look.figures import image_tag, legend
from avsl_core.comparison import Comparison
from avsl_core.explain.bars import change_bars, level_bars, printed_parts
from avsl_core.explain.flow import draw_marginals, flow_svg, flow_table
from avsl_core.explain.inline import picture_address
from avsl_core.explain.levels import component_titles
from avsl_core.explain.methods import account_words
from avsl_core.explain.total import balance_words
from avsl_core.models import Explanation, Flow

__all__ = ["numbers_html", "steps_html"]

_SIDE = 336  # of drawn matches: sharp on a screen of double density at the size the page shows them
_OWN = "Each figure uses the whole colour scale: compare the two pictures of a figure, not the figures."
_ONE = "All figures of a method share one colour scale: what looks pale there matters little."
_COMMON = "What the two have in common, as the method counts it"
_ONE_SCALE = (
    '<span id="one-scale"><label><input type="checkbox"> One colour scale for all maps</label></span>'
)
_SUMS = "Over both pictures, blue and orange add up to the value printed below."


def steps_html(accounts: Sequence[Account]) -> str:
    """The bars, and the maps of every part, each a step that can be opened.

    Args:
        accounts: Of one or two methods.
    """
    bars = [_bars(account, index) for index, account in enumerate(accounts)]
    maps = [_maps(account, index) for index, account in enumerate(accounts)]
    if len(accounts) > 1:
        bars = [_headed(account, column) for account, column in zip(accounts, bars, strict=True)]
        maps = [_headed(account, column) for account, column in zip(accounts, maps, strict=True)]
    return (
        '<section class="avsl-steps" aria-labelledby="avsl-steps-title">'
        '<h2 id="avsl-steps-title">From words to numbers</h2>'
        + _step("bars", "What the distance is made of", "each part's share", columns_html(bars), True)
        + _step(
            "maps",
            "Where each part lies",
            "the heatmaps, one by one",
            f'<div class="avsl-sticky">{legend()}{_ONE_SCALE}</div>'
            f'<p class="note"><span class="avsl-scale-note" data-own="{_OWN}" data-one="{_ONE}">{_OWN}'
            f"</span> {_SUMS}</p>"
            f'<div class="avsl-maps">{columns_html(maps)}</div>',
        )
        + "</section>"
    )


def numbers_html(accounts: Sequence[Account]) -> str:
    """Every part as figures: its value, and what it pushes and pulls on either picture."""
    tables = [_table(account) for account in accounts]
    if len(accounts) > 1:
        tables = [_headed(account, table) for account, table in zip(accounts, tables, strict=True)]
    note = (
        '<p class="note">Unrounded, with every map and matrix, they are in the JSON file below, under '
        "Take it away.</p>"
    )
    body = columns_html(tables) + note
    return f'<section class="avsl-steps">{_step("numbers", "All numbers", "as a table", body)}</section>'


def _step(name: str, title: str, gloss: str, body: str, is_open: bool = False) -> str:
    return (
        f'<details class="avsl-step" data-step="{name}"{" open" if is_open else ""}><summary>'
        f"<strong>{title}</strong> <small>{gloss}</small></summary><div>{body}</div></details>"
    )


def _headed(account: Account, column: str) -> str:
    return f'<h3 class="avsl-method">{escape(account.model.title)}</h3>{column}'


def _bars(account: Account, index: int) -> str:
    explanation = account.comparison.explanation
    words = account_words(explanation).note
    note = f'<p class="avsl-note">{escape(words)}</p>' if words else ""
    return (
        f'<div class="avsl-account" data-index="{index}">'
        f"{level_bars(explanation, component_titles(explanation))}"
        f"{note}{_change(explanation)}</div>"
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


def _maps(account: Account, index: int) -> str:
    comparison, explanation = account.comparison, account.comparison.explanation
    flow = "" if explanation.flow is None else _flow(comparison, explanation.flow)
    total, figures = "", ""
    for name, source, parts in layers_of(explanation):
        maps = [[getattr(source.components[i], side) for i in parts] for side in ("map_a", "map_b")]
        # The part for experts follows the first method.
        leads = _nodes(name, explanation) if index == 0 else ""
        figure = _figure(name, *_caption(name, source), maps, leads)
        if name in (TOTAL, BEFORE):
            total += figure
        else:
            figures += figure
    crops = "".join(
        f' data-crop-{side}="{picture_address(encoded.crop)}"'
        for side, encoded in (("a", comparison.a), ("b", comparison.b))
    )
    return (
        f'<div data-index="{index}" data-key="{account.key}"{crops} '
        f'data-account="{escape(account_json(explanation))}">'
        f'{flow}<div class="avsl-total">{total}</div><div class="avsl-levels">{figures}</div></div>'
    )


def _caption(name: str, explanation: Explanation) -> tuple[str, str, str]:
    """Title, gloss and printed value of a figure; what no region accounts for is in none."""
    printed, value = printed_parts(explanation)
    if name not in (TOTAL, BEFORE):
        return *component_titles(explanation)[name], printed[name]
    levels = all(component.name.startswith("level") for component in explanation.components)
    gloss = "the sum of all levels" if levels else "the sum of all parts"
    if not explanation.exact:
        gloss, value = f"{gloss} that have a map", str(Decimal(value) - Decimal(printed["residual"]))
    title = "Everything together" if name == TOTAL else "Everything before the adaptation"
    return title, gloss, value


def _nodes(name: str, explanation: Explanation) -> str:
    """What leads to the nodes of a level."""
    levels = list(explanation.levels)
    if name not in levels:
        return ""
    index = levels.index(name)
    return f'<button type="button" class="avsl-go" data-nodes="{index}">Its nodes, P and W</button>'


def _figure(name: str, title: str, gloss: str, value: str, maps: list[list[Tensor]], leads: str) -> str:
    canvases = "".join(
        f'<canvas role="img" data-layer="{escape(name)}" data-side="{side}" width="8" height="8" '
        f'aria-label="Heatmap on the {which} picture, {escape(title)}: {balance_words(side_maps)}"></canvas>'
        for side, which, side_maps in (("a", "first", maps[0]), ("b", "second", maps[1]))
    )
    return (
        f'<figure data-name="{escape(name)}" tabindex="-1"><div class="pair">{canvases}</div><figcaption>'
        f'<strong>{escape(title)}</strong> <span class="value">{value}</span>'
        f"<small>{escape(gloss)}</small>{leads}</figcaption></figure>"
    )


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


def _table(account: Account) -> str:
    explanation = account.comparison.explanation
    titles = component_titles(explanation)
    rows = "".join(
        f'<tr><th scope="row">{escape(titles[c.name][0])}</th><td>{c.value:.6g}</td>'
        + "".join(f"<td>{_pushed(m):.4f}</td><td>{_pulled(m):.4f}</td>" for m in (c.map_a, c.map_b))
        + "</tr>"
        for c in explanation.components
    )
    if not explanation.exact:
        rows += (
            f'<tr><th scope="row">In no region</th><td>{explanation.residual:.6g}</td>{"<td></td>" * 4}</tr>'
        )
    likeness = explanation.likeness
    common = "" if likeness is None else f"{_COMMON}: {likeness.total:.6g}."
    return (
        '<div class="avsl-wide" tabindex="0" role="region" aria-label="Numbers of every part">'
        '<table class="avsl-table"><thead><tr><th scope="col">Part</th><th scope="col">Value</th>'
        '<th scope="col">First picture pushes</th><th scope="col">pulls</th>'
        '<th scope="col">Second picture pushes</th><th scope="col">pulls</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">Distance</th><td>{explanation.total:.6g}</td>'
        f'{"<td></td>" * 4}</tr></tfoot></table></div><p class="note">{common}</p>'
    )


def _pushed(values: Tensor) -> float:
    return float(values.clamp_min(0).sum())


def _pulled(values: Tensor) -> float:
    return float((-values).clamp_min(0).sum())
