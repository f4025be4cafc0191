"""The bars: each component's part of the distance, in figures that visibly add up."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from html import escape

from avsl_core.explain.levels import residual_title
from avsl_core.models.explanation import Explanation

__all__ = ["BARS_CSS", "change_bars", "level_bars", "printed_parts", "round_parts"]

_DIGITS = 3
_ZERO = "0.000"

BARS_CSS = """
.avsl-bars { width: 100%; border-collapse: collapse; border: 0; margin: 0;
  font-variant-numeric: tabular-nums; }
.avsl-bars th, .avsl-bars td { padding: .45rem 0; border: 0; text-align: left; vertical-align: middle; }
.avsl-bars th { font-weight: 500; width: 38%; padding-right: 1rem; line-height: 1.3; }
.avsl-bars th small { display: block; font-weight: 400; color: var(--avsl-muted, #5c6670); }
.avsl-bars .track { display: block; height: .85rem; border-radius: .45rem; overflow: hidden;
  background: var(--avsl-track, #e6eaee); }
.avsl-bars .fill { display: block; height: 100%; border-radius: .45rem;
  background: var(--avsl-accent, #14697a); }
.avsl-bars .fill.minus { background: var(--avsl-together, #1b5eaa); }
.avsl-bars td.value { width: 8.5rem; text-align: right; white-space: nowrap; padding-left: 1rem; }
.avsl-bars td.value small { display: inline-block; width: 3.2rem; color: var(--avsl-muted, #5c6670); }
.avsl-bars .fill.before { background: var(--avsl-muted, #5c6670); opacity: .6; }
.avsl-bars .track + .track { margin-top: .2rem; }
.avsl-bars td.value .before { display: block; color: var(--avsl-muted, #5c6670); }
.avsl-bars tr.total th, .avsl-bars tr.total td { font-weight: 650; padding-top: .6rem;
  border-top: 1px solid var(--avsl-line, #d5dbe1); }
.avsl-bars caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (max-width: 560px) {
  .avsl-bars tr { display: grid; grid-template-columns: 1fr auto; }
  .avsl-bars th { width: auto; padding-bottom: 0; }
  .avsl-bars td.bar { grid-column: 1 / -1; grid-row: 2; padding-top: .3rem; }
  .avsl-bars tr.total td.bar { display: none; }
}
"""
"""Style of the bars; its ``--avsl-*`` variables set light and dark from outside."""


def level_bars(explanation: Explanation, titles: Mapping[str, tuple[str, str]]) -> str:
    """Draw the components as a table with a bar in each row and the total beneath.

    The printed parts add up to the printed total digit by digit. The attribute ``data-value`` of each row
    holds the exact part, that of the table the exact total.

    Args:
        explanation: What to draw; a residual gets a row of its own unless the method is exact.
        titles: Title and gloss by component name.

    Returns:
        HTML, to be shown with :data:`BARS_CSS`.
    """
    rows = [(c.name, *titles.get(c.name, (c.name, "")), c.value) for c in explanation.components]
    if not explanation.exact:
        rows.append(("residual", *residual_title(explanation.method), explanation.residual))
    values = [value for *_, value in rows]
    printed, total = printed_parts(explanation)
    shares, _ = round_parts(_shares(values, explanation.total), 100.0 if explanation.total > 0 else 0.0, 0)
    longest = max((abs(value) for value in values), default=0.0)
    body = "".join(
        _row(name, title, gloss, value, text, share, longest)
        for (name, title, gloss, value), text, share in zip(rows, printed.values(), shares, strict=True)
    )
    return (
        f'<table class="avsl-bars" data-value="{explanation.total!r}">'
        "<caption>Parts of the distance, which add up to it</caption>"
        f"<tbody>{body}</tbody><tfoot>"
        '<tr class="total"><th scope="row">Distance</th><td class="bar"></td>'
        f'<td class="value">{total}<small></small></td></tr></tfoot></table>'
    )


def change_bars(
    before: Explanation, after: Explanation, titles: Mapping[str, tuple[str, str]], words: tuple[str, str]
) -> str:
    """Draw the components of one pair twice, as two methods or states of a method measure it.

    Both columns add up to their printed totals. A row's ``data-before`` and ``data-after`` hold the exact
    parts.

    Args:
        before: Drawn first, in grey.
        after: Drawn below it, in colour.
        titles: Title and gloss by component name.
        words: What the two are called, for instance ``("before", "after")``.

    Returns:
        HTML, to be shown with :data:`BARS_CSS`.
    """
    values = [_values(before), _values(after)]
    (printed_before, total_before), (printed_after, total_after) = printed_parts(before), printed_parts(after)
    longest = max((abs(value) for side in values for value in side.values()), default=0.0)
    known = dict(titles) | {"residual": residual_title(after.method)}
    rows = ""
    for name in dict.fromkeys([*values[1], *values[0]]):
        title, gloss = known.get(name, (name, ""))
        pair = [side.get(name, 0.0) for side in values]
        texts = [printed.get(name, _ZERO) for printed in (printed_before, printed_after)]
        tracks = "".join(
            f'<span class="track" role="img" aria-label="{escape(word)} {text}"><span class="fill{kind}'
            f'{" minus" if value < 0 else ""}" style="width:{_width(value, longest):.2f}%"></span></span>'
            for word, text, value, kind in zip(words, texts, pair, (" before", ""), strict=True)
        )
        rows += (
            f'<tr data-name="{escape(name)}" data-before="{pair[0]!r}" data-after="{pair[1]!r}">'
            f'<th scope="row">{escape(title)}<small>{escape(gloss)}</small></th><td class="bar">{tracks}</td>'
            f"{_two_values(words, texts)}</tr>"
        )
    return (
        '<table class="avsl-bars avsl-change">'
        f"<caption>Parts of the distance, {escape(words[0])} and {escape(words[1])}</caption>"
        f'<tbody>{rows}</tbody><tfoot><tr class="total"><th scope="row">Distance</th><td class="bar"></td>'
        f"{_two_values(words, [total_before, total_after])}</tr></tfoot></table>"
    )


def printed_parts(explanation: Explanation) -> tuple[dict[str, str], str]:
    """The figures as every view prints them, so that they add up and agree.

    Returns:
        Each component's value by name (with ``"residual"`` unless exact), and the total.
    """
    parts = _values(explanation)
    printed, total = round_parts(list(parts.values()), explanation.total, _DIGITS)
    return dict(zip(parts, printed, strict=True)), total


def round_parts(values: Sequence[float], total: float, digits: int) -> tuple[list[str], str]:
    """Round parts so that they add up to the rounded total exactly: the largest remainders go up.

    Args:
        values: The parts.
        total: Their sum.
        digits: Digits after the point.

    Returns:
        The parts and the total, printed.

    Example:
        >>> round_parts([0.3335, 0.3333, 0.3332], 1.0, 2)
        (['0.34', '0.33', '0.33'], '1.00')
    """
    unit = Decimal(1).scaleb(-digits)
    exact = [Decimal(value) for value in values]
    # Adding 0 takes the sign off a zero: nobody means "-0.000".
    rounded_total = Decimal(total).quantize(unit, ROUND_HALF_EVEN) + 0
    floors = [value.quantize(unit, ROUND_FLOOR) + 0 for value in exact]
    missing = int((rounded_total - sum(floors, Decimal(0))) / unit)
    by_remainder = sorted(range(len(exact)), key=lambda i: floors[i] - exact[i])
    # Parts whose sum is the total up to float rounding miss between 0 and len units.
    for index in by_remainder[: max(0, missing)]:
        floors[index] += unit
    return [str(value) for value in floors], str(rounded_total)


def _values(explanation: Explanation) -> dict[str, float]:
    parts = {component.name: component.value for component in explanation.components}
    return parts if explanation.exact else parts | {"residual": explanation.residual}


def _two_values(words: tuple[str, str], texts: Sequence[str]) -> str:
    before, after = (f"<small>{escape(word)}</small> {text}" for word, text in zip(words, texts, strict=True))
    return f'<td class="value"><span class="before">{before}</span>{after}</td>'


def _width(value: float, longest: float) -> float:
    return 100 * abs(value) / longest if longest > 0 else 0.0


def _shares(values: Sequence[float], total: float) -> list[float]:
    return [100 * value / total if total > 0 else 0.0 for value in values]


def _row(name: str, title: str, gloss: str, value: float, text: str, share: str, longest: float) -> str:
    sign = " minus" if value < 0 else ""
    return (
        f'<tr data-name="{escape(name)}" data-value="{value!r}">'
        f'<th scope="row">{escape(title)}<small>{escape(gloss)}</small></th>'
        f'<td class="bar"><span class="track" role="img" aria-label="{share} percent of the distance">'
        f'<span class="fill{sign}" style="width:{_width(value, longest):.2f}%"></span></span></td>'
        f'<td class="value">{text}<small>{share} %</small></td></tr>'
    )
