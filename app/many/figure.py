"""The distances of a set as a table of colours with thumbnails, the tree beside it, and the gist in words."""

import base64
import io
from html import escape
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.many.bench import Measured, set_query
from app.many.files import distances_csv, distances_json
from avsl_core.explain.verdict import judge
from avsl_core.many import ManyComparison, Pair

__all__ = ["cell_colours", "dendrogram_svg", "matrix_html", "odd_ones", "words_html"]

_THUMB, _LARGE = 48, 160
# From close to far: dark to pale in one hue, so that lightness alone tells them apart.
_NEAR, _MIDDLE, _FAR = (9, 62, 74), (74, 151, 163), (236, 243, 244)
_PRINTED = 16  # pictures up to which the cells have room for their value
_WIDE = 150  # of the tree, in pixels
_AS_ODD = 0.95  # of the mean distance of the oddest
_FACES = 4  # pictures on a card

Picture = NDArray[np.uint8]


def words_html(measured: Measured) -> str:
    """The most alike, the most different and the odd one out, each with its pictures."""
    many = measured.many
    cards = [_pair_card("Most alike", measured, many.closest)]
    if len(many) > 2:
        cards.append(_pair_card("Most different", measured, many.farthest))
    odd = odd_ones(many)
    if odd:
        cards.append(_odd_card(measured, odd))
    return (
        f'<section class="many-said" aria-labelledby="many-words-title" '
        f'data-link="{escape(set_query(measured.link, measured.model))}">'
        f'<h2 id="many-words-title">In words</h2><div class="many-words">{"".join(cards)}</div></section>'
    )


def odd_ones(many: ManyComparison) -> list[int]:
    """The picture that is farthest from all others on average, with those that are odd for the same reason.

    They lie close to it and about as far from the rest; where they are more than a third of all, they are no
    exception, and the farthest alone is named.
    """
    first = many.odd_one_out
    if first is None:
        return []
    mean = many.means[first]
    both = (many.distances[first] + many.distances[:, first]) / 2
    alike = [
        i for i in range(len(many)) if i != first and both[i] < mean / 2 and many.means[i] > _AS_ODD * mean
    ]
    return [first, *alike] if 3 * (1 + len(alike)) <= len(many) else [first]


def matrix_html(measured: Measured) -> str:
    """The distances as a table, ordered by the tree beside it; every cell leads to its pair.

    The cells' addresses are put in by the page's script from the keys in ``data-keys``: written out they
    would be most of the page.
    """
    many, order = measured.many, measured.many.order
    members = [measured.members[index] for index in order]
    count = len(members)
    size = "large" if count <= _PRINTED else "small"
    heads = "".join(
        f'<th scope="col"><img src="{_thumbnail(member.encoded.crop, _THUMB)}" alt="{escape(member.shown)}" '
        f'title="{escape(member.shown)}"></th>'
        for member in members
    )
    near, far = _range(many)
    body = ""
    for i, member in zip(order, members, strict=True):
        cells = "".join(
            '<td class="self"><span>same</span></td>' if i == j else _cell(measured, i, j, near, far)
            for j in order
        )
        body += (
            f'<tr><th scope="row"><img src="{_thumbnail(member.encoded.crop, _THUMB)}" alt="">'
            f"<span>{escape(member.shown)}</span></th>{cells}</tr>"
        )
    keys = ",".join(member.key for member in members)
    sides = "" if many.symmetric else _SIDES
    return (
        f'<section class="many-figure {size}" aria-label="All distances" style="--count:{count}">'
        f"<h2>All distances</h2>{_legend(near, far)}"
        '<p class="note">Open a cell to see why the two are as far apart as they are<span class="avsl-keys">'
        "; point at it, or go there with the Tab and arrow keys, to read their names</span>. The tree joins "
        f"the closest first.{sides}</p>"
        '<p class="many-tip" aria-hidden="true">\u00a0</p>'
        '<p class="many-hint">The table and its tree are wider than the screen: move them sideways.</p>'
        f'<div class="many-scroll" tabindex="-1"><table class="many-table" data-keys="{keys}" '
        f'data-method="{escape(measured.model)}"><caption>Distances of {count} pictures; row: first picture, '
        f"column: second</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table>"
        f"{dendrogram_svg(many, [member.shown for member in measured.members])}</div>"
        '<h2>Take it away</h2><p class="many-files">'
        f"{_file('distances.csv', 'text/csv', distances_csv(measured), 'Table (CSV)')}"
        f"{_file('distances.json', 'application/json', distances_json(measured), 'Numbers (JSON)')}"
        '<button type="button" id="many-link">Link</button></p></section>'
    )


_SIDES = (
    " This method looks at the two sides differently: rows are the first picture, columns the second, and "
    "the two halves of the table differ. The tree goes by the mean of both."
)


def dendrogram_svg(many: ManyComparison, names: list[str]) -> str:
    """The tree of groups, its leaves at the middles of the table's rows.

    One unit of height is one row, so that the drawing can be stretched to any height of rows.

    Args:
        many: The distances and how they group.
        names: Of the pictures, for those who do not see the tree.
    """
    count = len(many)
    places = {leaf: (0.0, row + 0.5) for row, leaf in enumerate(many.order)}
    top = float(many.linkage[:, 2].max()) or 1.0
    lines = ""
    for step, (left, right, height, _) in enumerate(many.linkage):
        (x1, y1), (x2, y2) = places[int(left)], places[int(right)]
        x = (_WIDE - 4) * float(height) / top
        lines += f"M{x1:.1f} {y1:.3f}H{x:.1f}V{y2:.3f}H{x2:.1f}"
        places[count + step] = x, (y1 + y2) / 2
    first = [names[int(leaf)] for leaf in many.linkage[0, :2]]
    words = (
        f"Tree of groups: {first[0]} and {first[1]} are joined first, at {many.linkage[0, 2]:.3f}; "
        f"all at {top:.3f}"
    )
    return (
        f'<svg class="many-tree" viewBox="0 0 {_WIDE} {count}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(words)}"><path d="{lines}"/></svg>'
    )


def cell_colours(unit: float) -> tuple[str, str]:
    """Colour of a cell, and of the text on it.

    Args:
        unit: From 0, closest, to 1, farthest.

    Example:
        >>> cell_colours(0.0), cell_colours(1.0)
        (('#093e4a', '#fff'), ('#ecf3f4', '#000'))
    """
    unit = min(1.0, max(0.0, unit))
    near, far, part = (_NEAR, _MIDDLE, 2 * unit) if unit < 0.5 else (_MIDDLE, _FAR, 2 * unit - 1)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(near, far, strict=True))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _unit(red, green, blue)]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    # Where black and white stand out alike: both by 4.6 to 1.
    return f"#{red:02x}{green:02x}{blue:02x}", "#fff" if light < 0.179 else "#000"


def _unit(*values: int) -> list[float]:
    return [value / 255 for value in values]


def _cell(measured: Measured, i: int, j: int, near: float, far: float) -> str:
    value = float(measured.many.distances[i, j])
    back, ink = cell_colours((value - near) / (far - near) if far > near else 0.0)
    text = _short(value, far)
    return f'<td style="background:{back};color:{ink}"><a tabindex="-1" data-v="{value:.3f}">{text}</a></td>'


def _short(value: float, far: float) -> str:
    """A distance of a set whose farthest pair is ``far`` apart, as short as still tells its pairs apart."""
    return f"{value:.2f}" if far >= 0.1 else f"{value:.3f}"


def _range(many: ManyComparison) -> tuple[float, float]:
    apart = many.distances[~np.eye(len(many), dtype=bool)]
    return float(apart.min()), float(apart.max())


def _legend(near: float, far: float) -> str:
    """The scale goes from the closest pair of the set to the farthest: neither need be alike or different."""
    stops = ", ".join(cell_colours(step / 8)[0] for step in range(9))
    return (
        f'<p class="many-legend"><span>closest, {_short(near, far)}</span><span class="ramp" role="img" '
        f'aria-label="Colour scale: dark is close, pale is far" '
        f'style="background:linear-gradient(90deg, {stops})"></span><span>farthest, {_short(far, far)}</span>'
        "</p>"
    )


def _pair_card(title: str, measured: Measured, pair: Pair) -> str:
    a, b = measured.members[pair.a], measured.members[pair.b]
    verdict = judge(pair.distance, measured.bench.checkpoint.pairs)
    values = urlencode({"a": a.key, "b": b.key, "method": measured.model})
    return (
        f'<div class="many-card"><h3>{title}</h3><div class="pair">{_picture(measured, pair.a)}'
        f"{_picture(measured, pair.b)}</div><p>{escape(a.shown)} and {escape(b.shown)}"
        f"<small>{pair.distance:.3f}, {escape(verdict.words[:1].lower() + verdict.words[1:])}</small></p>"
        f'<a href="./?{escape(values)}">See why</a></div>'
    )


def _odd_card(measured: Measured, odd: list[int]) -> str:
    """The odd one out, or the odd ones, with their mean distances."""
    many, count = measured.many, len(odd)
    faces = "".join(_picture(measured, index) for index in odd[:_FACES])
    names = " and ".join(measured.members[index].shown for index in odd)
    means = " and ".join(f"{many.means[index]:.3f}" for index in odd)
    rest = float(np.delete(many.means, odd).mean())
    title = "Odd one out" if count == 1 else "Odd ones out"
    return (
        f'<div class="many-card"><h3>{title}</h3><div class="pair">{faces}</div><p>{escape(names)}<small>'
        f"mean distance to the others {means}; the rest have {rest:.3f}</small></p></div>"
    )


def _picture(measured: Measured, index: int) -> str:
    member = measured.members[index]
    return f'<img src="{_thumbnail(member.encoded.crop, _LARGE)}" alt="{escape(member.shown)}">'


def _file(name: str, kind: str, text: str, label: str) -> str:
    values = f'data-name="{name}" data-kind="{kind}" data-text="{escape(text)}"'
    return f'<button type="button" {values}>{label}</button>'


def _thumbnail(crop: Picture, side: int) -> str:
    """A small picture as a ``data:`` address: what the model saw, without anything that the file tells."""
    picture = Image.fromarray(crop).resize((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=70, method=2)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
