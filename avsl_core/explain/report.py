"""One comparison as a web page that needs nothing else: to read, to print, to send to somebody.

No script, no request, no file beside it: pictures, drawings and style are inside. It is light or dark as the
reader's machine is, and always light on paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from avsl_core.comparison import Comparison
from avsl_core.explain.bars import BARS_CSS, change_bars, level_bars, printed_parts
from avsl_core.explain.flow import FLOW_CSS, draw_marginals, flow_svg, flow_table
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.inline import picture_address
from avsl_core.explain.levels import component_titles
from avsl_core.explain.methods import SCALES_NOTE, account_words, method_words
from avsl_core.explain.record import ModelPapers
from avsl_core.explain.report_numbers import nodes_html, numbers_html
from avsl_core.explain.report_style import REPORT_CSS
from avsl_core.explain.scales import SCALES_CSS, legend, pair_ruler
from avsl_core.explain.sentence import plain_words
from avsl_core.explain.total import balance_words, total_maps
from avsl_core.metrics import PairDistribution
from avsl_core.models import SimilarityModel
from avsl_core.models.explanation import Component, Explanation, Flow

__all__ = ["Reported", "report_page"]

_SIDE = 336
_CSS = REPORT_CSS + BARS_CSS + FLOW_CSS + SCALES_CSS
_SCALES = (
    '<p class="note">Each figure uses the whole colour scale: compare the two pictures of a figure, not the '
    "figures.</p>"
)

_READING = (
    "The verdict says where this distance lies among pairs that the model was tested on: pairs of the same "
    "kind and pairs of different kinds. It is no statement about what the pictures show.",
    "The distance is the sum of the bars, to the last digit printed. A blue bar stands for a part below 0, "
    "which makes the two pictures more alike.",
    "On the pictures, orange areas push the two apart and blue areas pull them together. Over both pictures "
    "of a figure the two colours add up to the value below it; without colour an area has no effect.",
    "The model saw the square that is shown, and nothing outside it.",
)


@dataclass(frozen=True, eq=False)
class Reported:
    """One method's comparison with what its report needs.

    Attributes:
        comparison: What was found.
        papers: Of the model that measured.
        model: The model itself, for its linkages.
        pairs: What the verdict rests on; None if the model has none to compare with.
    """

    comparison: Comparison
    papers: ModelPapers
    model: SimilarityModel
    pairs: PairDistribution | None

    @property
    def title(self) -> str:
        """What heads its part of the report."""
        name = "" if self.papers.name == self.papers.method else self.papers.name
        return method_words(self.papers.method).title(name)


def report_page(
    accounts: Sequence[Reported], names: tuple[str, str], *, when: str = "", link: str = ""
) -> str:
    """Write the report.

    Args:
        accounts: What one method found, or several; all of the same two pictures.
        names: What the two pictures are called.
        when: When they were compared, as the report is to say it.
        link: An address that leads back to the comparison, with how long it holds; empty for none.

    Returns:
        A whole HTML document.
    """
    title = f"{names[0]} and {names[1]}"
    parts = "".join(_account(account, names, headed=len(accounts) > 1) for account in accounts)
    scales = f'<p class="note">{escape(SCALES_NOTE)}</p>' if len(accounts) > 1 else ""
    reading = "".join(f"<li>{escape(text)}</li>" for text in _READING)
    notes = dict.fromkeys(account_words(account.comparison.explanation).note for account in accounts)
    reading += "".join(f"<li>{escape(note)}</li>" for note in notes if note)
    made = f"<p>{escape(when)}</p>" if when else ""
    back = f"<p>{escape(link)}</p>" if link else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>How alike: {escape(title)}</title><style>{_CSS}</style></head>"
        f"<body><header><h1>How alike are two pictures, and why?</h1><p>{escape(title)}</p></header>"
        f"<main>{_pictures(accounts[0].comparison, names)}{scales}{parts}"
        f'<section><h2>How to read this</h2><ul class="reading">{reading}</ul></section>'
        f"</main><footer>{''.join(_papers(account) for account in accounts)}{made}{back}</footer>"
        "</body></html>"
    )


def _pictures(comparison: Comparison, names: tuple[str, str]) -> str:
    figures = "".join(
        f'<figure><img src="{picture_address(side.crop)}" alt="The {which} picture as the model saw it">'
        f"<figcaption><strong>{which.capitalize()} picture</strong> {escape(name)}</figcaption></figure>"
        for side, which, name in (
            (comparison.a, "first", names[0]),
            (comparison.b, "second", names[1]),
        )
    )
    return f'<section class="pictures" aria-label="The two pictures">{figures}</section>'


def _account(account: Reported, names: tuple[str, str], *, headed: bool) -> str:
    comparison, explanation = account.comparison, account.comparison.explanation
    verdict, words = comparison.verdict, account_words(explanation)
    head = f'<h2 class="method">{escape(account.title)}</h2>' if headed else ""
    ruler = "" if account.pairs is None else pair_ruler(comparison.distance, account.pairs)
    note = f'<p class="note">{escape(words.note)}</p>' if words.note else ""
    basis = f" <small>{escape(verdict.basis)}</small>" if verdict.basis else ""
    change = ""
    if explanation.before is not None:
        bars = change_bars(
            explanation.before, explanation, component_titles(explanation), ("before", "after")
        )
        change = f"<h3>Before and after the adaptation</h3>{bars}"
    return (
        f'{head}<section class="verdict"><p class="words">{escape(verdict.words)}</p>'
        f"<p>{escape(verdict.sentence)}{basis}</p><p>{escape(plain_words(explanation).text)}</p>"
        f'<p class="distance"><strong>{comparison.distance:.3f}</strong> distance; {escape(words.zero)}</p>'
        f"{ruler}</section>"
        f"<section><h2>What the distance is made of</h2>"
        f"{level_bars(explanation, component_titles(explanation))}{note}{change}</section>"
        f'<section class="maps"><h2>Where it comes from</h2>{legend()}{_SCALES}{_maps(comparison)}</section>'
        f"{nodes_html(explanation, account.model)}{numbers_html(explanation, names)}"
    )


def _maps(comparison: Comparison) -> str:
    explanation = comparison.explanation
    titles = component_titles(explanation)
    printed, _ = printed_parts(explanation)
    flow = "" if explanation.flow is None else _flow(comparison, explanation.flow)
    whole = _whole(comparison, "Everything together", explanation)
    parts = "".join(
        _figure(comparison, *titles[c.name], printed[c.name], [c], shared_scale([c.map_a, c.map_b]))
        for c in explanation.components
    )
    if explanation.before is not None:
        parts += _whole(comparison, "Everything before the adaptation", explanation.before)
    return f'{flow}<div class="total">{whole}</div><div class="parts">{parts}</div>'


def _mapped(explanation: Explanation) -> str:
    """What the maps add up to, as printed: the total without what lies in no region."""
    printed, total = printed_parts(explanation)
    return total if explanation.exact else str(Decimal(total) - Decimal(printed["residual"]))


def _whole(comparison: Comparison, title: str, explanation: Explanation) -> str:
    scale = shared_scale(total_maps(explanation))
    return _figure(comparison, title, "", _mapped(explanation), explanation.components, scale)


def _figure(
    comparison: Comparison, title: str, gloss: str, value: str, parts: Sequence[Component], scale: float
) -> str:
    """Both pictures with the maps of some parts, each enlarged from its own cells, as pages draw them."""
    pictures = "".join(
        f'<img src="{picture_address(draw_signed(side.crop, maps, scale, side=_SIDE))}" '
        f'alt="Heatmap on the {which} picture, {escape(title)}: {balance_words(maps)}">'
        for side, maps, which in (
            (comparison.a, [part.map_a for part in parts], "first"),
            (comparison.b, [part.map_b for part in parts], "second"),
        )
    )
    small = f"<small>{escape(gloss)}</small>" if gloss else ""
    return (
        f'<figure><div class="pair">{pictures}</div><figcaption><strong>{escape(title)}</strong> '
        f"<span>{value}</span>{small}</figcaption></figure>"
    )


def _flow(comparison: Comparison, flow: Flow) -> str:
    crops = comparison.a.crop, comparison.b.crop
    lit = "".join(
        f'<img src="{picture_address(pixels)}" '
        f'alt="The cells that count in the match, lit on the {which} picture">'
        for pixels, which in zip(draw_marginals(*crops, flow, side=_SIDE), ("first", "second"), strict=True)
    )
    return (
        f'<div class="total"><figure>{flow_svg(*crops, flow)}<figcaption><strong>What was matched</strong>'
        "<small>The strongest matches: a thick line adds much to the likeness.</small></figcaption></figure>"
        f'{flow_table(flow)}<figure><div class="pair">{lit}</div><figcaption><strong>What counts in the '
        "match</strong><small>Lit cells count most; pale ones hardly take part.</small></figcaption></figure>"
        "</div>"
    )


def _papers(account: Reported) -> str:
    papers, crop = account.papers, account.comparison.a.crop
    return (
        f"<p><strong>{escape(account.title)}</strong> Model {escape(papers.name)}, method "
        f"{escape(papers.method)}, fingerprint <code>{escape(papers.fingerprint)}</code>; it looks at "
        f"{crop.shape[0]}\u00a0\u00d7\u00a0{crop.shape[1]} pixels.</p>"
    )
