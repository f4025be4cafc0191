"""The match of cells, drawn: lines between two pictures, what each cell counts, and the same in words."""

from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from avsl_core.explain.heatmap import draw_lit
from avsl_core.explain.inline import picture_address
from avsl_core.models.explanation import Flow

__all__ = [
    "FLOW_CSS",
    "Match",
    "draw_marginals",
    "flow_svg",
    "flow_table",
    "place_words",
    "strongest_matches",
]

Picture = NDArray[np.uint8]

_SIDE, _GAP = 336, 32  # of each picture, and between the two, in the drawing's own units
_ENOUGH, _MOST = 0.8, 12
_THIN, _THICK = 1.6, 7.0
_BEND = 0.09

FLOW_CSS = """
.avsl-flow { display: block; width: 100%; height: auto; overflow: visible; }
.avsl-flow .halo { fill: none; stroke: #fff; stroke-linecap: round; opacity: .85; }
.avsl-flow .line { fill: none; stroke: #8a1c5b; stroke-linecap: round; }
.avsl-flow .end { fill: #8a1c5b; stroke: #fff; stroke-width: 1.5; }
.avsl-flow .cell { fill: #fff; fill-opacity: .12; stroke: #8a1c5b; stroke-width: 3; opacity: 0; }
.avsl-flow .match { cursor: help; }
.avsl-flow .match:focus, .avsl-flow .match:focus-visible { outline: none !important; }
.avsl-flow:has(.match:hover) .match:not(:hover) { opacity: .22; }
.avsl-flow:has(:focus-visible) .match:not(:focus-visible) { opacity: .22; }
.avsl-flow .match:hover, .avsl-flow .match:focus-visible { opacity: 1 !important; }
.avsl-flow .match:hover .cell, .avsl-flow .match:focus-visible .cell { opacity: 1; }
@media print { .avsl-flow .match { opacity: 1 !important; } }
"""
"""Style of the drawing. The colour is the same in light and dark: it lies on pictures, over a white halo."""


@dataclass(frozen=True)
class Match:
    """Two cells that were matched.

    Attributes:
        a: Row and column in the first picture, from 0.
        b: Row and column in the second.
        value: T * S: what the match adds to the likeness of the two pictures.
        share: Its part of all that adds to it, in (0, 1].
        similarity: S, how alike the two cells are, in [-1, 1].
    """

    a: tuple[int, int]
    b: tuple[int, int]
    value: float
    share: float
    similarity: float


def strongest_matches(flow: Flow, *, enough: float = _ENOUGH, most: int = _MOST) -> list[Match]:
    """The matches that add most to the likeness, strongest first.

    Args:
        flow: The match of all cells.
        enough: Stop when these make up so much of everything that adds to the likeness.
        most: Matches at most.

    Returns:
        None with T * S of 0 or less: those add nothing.
    """
    values = flow.likeness.detach().double().cpu().flatten()
    whole = float(values.clamp_min(0).sum())
    order = torch.argsort(values, descending=True, stable=True)[:most].tolist()
    columns_a, columns_b, count_b = flow.grid_a[1], flow.grid_b[1], flow.plan.shape[1]
    similarity = flow.similarity.detach().double().cpu().flatten()
    matches: list[Match] = []
    reached = 0.0
    for index in order:
        value = float(values[index])
        if not value > 0 or reached >= enough * whole:
            break
        i, j = divmod(index, count_b)
        cells = divmod(i, columns_a), divmod(j, columns_b)
        matches.append(Match(*cells, value, value / whole, float(similarity[index])))
        reached += value
    return matches


def flow_svg(crop_a: Picture, crop_b: Picture, flow: Flow) -> str:
    """Draw the two pictures side by side with lines between matched cells.

    A line's width stands for its part of the likeness. Every line can be pointed at or reached with the Tab
    key: it then shows its cells and pales the others, and says its share.

    Args:
        crop_a: First picture as the network saw it, uint8 RGB ``[S, S, 3]``.
        crop_b: The second.
        flow: The match of their cells.

    Returns:
        An inline SVG with the pictures inside, to be shown with :data:`FLOW_CSS`.
    """
    matches = strongest_matches(flow)
    # The strongest on top, as those drawn later cover those drawn before.
    drawn = "".join(_match(match, flow, matches[0].share) for match in reversed(matches))
    pictures = "".join(
        f'<image href="{picture_address(_resized(crop))}" x="{x}" y="0" width="{_SIDE}" height="{_SIDE}"/>'
        for crop, x in ((crop_a, 0), (crop_b, _SIDE + _GAP))
    )
    return (
        f'<svg class="avsl-flow" viewBox="0 0 {2 * _SIDE + _GAP} {_SIDE}" role="group" '
        f'aria-label="{escape(_summary(matches, flow))}">{pictures}{drawn}</svg>'
    )


def flow_table(flow: Flow) -> str:
    """The strongest matches in words and figures: what the drawing shows, for those who cannot see it."""
    matches = strongest_matches(flow)
    if not matches:
        return f"<p>{escape(_summary(matches, flow))}</p>"
    rows = "".join(
        f'<tr><th scope="row">{_cell(match.a, flow.grid_a)}</th><td>{_cell(match.b, flow.grid_b)}</td>'
        f"<td>{_percent(match.share)}</td><td>{match.similarity:.2f}</td></tr>"
        for match in matches
    )
    return (
        f'<table class="avsl-table"><caption>{escape(_summary(matches, flow))}</caption><thead><tr>'
        '<th scope="col">First picture</th><th scope="col">Second picture</th>'
        '<th scope="col">Of the likeness</th><th scope="col">Alike (cosine)</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def draw_marginals(
    crop_a: Picture, crop_b: Picture, flow: Flow, *, side: int | None = None
) -> tuple[Picture, Picture]:
    """Light up the cells that count in the match, each picture by its own greatest cell.

    Args:
        crop_a: First picture as the network saw it, uint8 RGB ``[S, S, 3]``.
        crop_b: The second.
        flow: The match of their cells.
        side: Side of the results in pixels; that of the crop when None.
    """
    return (
        draw_lit(crop_a, flow.marginal_a.reshape(flow.grid_a), side=side),
        draw_lit(crop_b, flow.marginal_b.reshape(flow.grid_b), side=side),
    )


def place_words(cell: tuple[int, int], grid: tuple[int, int]) -> str:
    """Where a cell is, in words.

    Args:
        cell: Row and column, from 0.
        grid: Rows and columns.

    Example:
        >>> [place_words(cell, (4, 4)) for cell in ((0, 0), (1, 2), (3, 1))]
        ['upper left', 'middle', 'lower middle']
    """
    (row, column), (rows, columns) = cell, grid
    words = [_third(row, rows, "upper", "lower"), _third(column, columns, "left", "right")]
    if words == ["middle", "middle"]:
        return "middle"
    return f"{words[0]} {words[1]}"


def _match(match: Match, flow: Flow, strongest: float) -> str:
    (xa, ya), (xb, yb) = _centre(match.a, flow.grid_a, 0), _centre(match.b, flow.grid_b, _SIDE + _GAP)
    width = _THIN + (_THICK - _THIN) * match.share / strongest
    # Bent away from the middle, long lines more than short ones: those of one row do not hide each other.
    third, bend = (xb - xa) / 3, _BEND * (xb - xa) * (-1 if ya + yb <= _SIDE else 1)
    bent = f"{xa + third:.1f} {ya + bend:.1f} {xb - third:.1f} {yb + bend:.1f}"
    path = f"M{xa:.1f} {ya:.1f}C{bent} {xb:.1f} {yb:.1f}"
    words = (
        f"{place_words(match.a, flow.grid_a).capitalize()} of the first picture, "
        f"{place_words(match.b, flow.grid_b)} of the second: {_percent(match.share)} of the likeness, "
        f"cosine {match.similarity:.2f}"
    )
    ends = "".join(
        f'<circle class="end" cx="{x:.1f}" cy="{y:.1f}" r="{2.5 + width / 2:.1f}"/>'
        for x, y in ((xa, ya), (xb, yb))
    )
    opacity = 0.55 + 0.45 * match.share / strongest
    return (
        f'<g class="match" tabindex="0" role="img" aria-label="{escape(words)}">'
        f"<title>{escape(words)}</title>"
        f"{_outline(match.a, flow.grid_a, 0)}{_outline(match.b, flow.grid_b, _SIDE + _GAP)}"
        f'<path class="halo" d="{path}" stroke-width="{width + 3:.1f}"/>'
        f'<path class="line" d="{path}" stroke-width="{width:.1f}" stroke-opacity="{opacity:.2f}"/>{ends}</g>'
    )


def _outline(cell: tuple[int, int], grid: tuple[int, int], left: int) -> str:
    height, width = _SIDE / grid[0], _SIDE / grid[1]
    return (
        f'<rect class="cell" x="{left + cell[1] * width:.1f}" y="{cell[0] * height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}" rx="4"/>'
    )


def _centre(cell: tuple[int, int], grid: tuple[int, int], left: int) -> tuple[float, float]:
    return left + _SIDE * (cell[1] + 0.5) / grid[1], _SIDE * (cell[0] + 0.5) / grid[0]


def _summary(matches: list[Match], flow: Flow) -> str:
    count = flow.plan.numel()
    if not matches:
        return "No two cells are alike: nothing was matched that adds to the likeness."
    share = _percent(min(1.0, sum(match.share for match in matches)))
    which = "The strongest match" if len(matches) == 1 else f"The {len(matches)} strongest matches"
    return f"{which} of {count:,}: {share} of the likeness."


def _cell(cell: tuple[int, int], grid: tuple[int, int]) -> str:
    return f"{place_words(cell, grid)} <small>row {cell[0] + 1}, column {cell[1] + 1}</small>"


def _third(index: int, count: int, low: str, high: str) -> str:
    place = (index + 0.5) / count
    return low if place < 1 / 3 else high if place > 2 / 3 else "middle"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def _resized(crop: Picture) -> Picture:
    if crop.shape[:2] == (_SIDE, _SIDE):
        return crop
    return np.asarray(Image.fromarray(crop).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
