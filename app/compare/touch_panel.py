"""The panel in which the two pictures are touched: heatmaps, pointing at a region, painting over a part.

All but measuring anew is computed in the browser (``scripts/touch.js``), from the numbers that travel with
the panel: the signed maps, and how much each cell of one picture has in common with each of the other.
"""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from torch import Tensor

from app.compare.results import Account
from app.look.figures import legend
from avsl_core import functional as AF
from avsl_core.explain.bars import printed_parts
from avsl_core.explain.heatmap import shared_scale
from avsl_core.explain.inline import picture_address
from avsl_core.explain.levels import component_titles
from avsl_core.explain.total import balance_words, total_maps
from avsl_core.models import CellLikeness, Explanation

__all__ = [
    "BEFORE",
    "PICTURES_SCRIPT",
    "STEPS_SCRIPT",
    "TOTAL",
    "TOUCH_SCRIPT",
    "account_json",
    "layers_of",
    "touch_html",
]

TOTAL, BEFORE = "total", "before"
"""Names of the layers that are no component: everything together, and before an adaptation."""

_SCRIPTS = Path(__file__).with_name("scripts")
_FINEST = 16  # cells a side at most: their likeness travels with the page
_POINTING = (
    "Point at a part of one picture, or drag a rectangle: what answers to it lights up in the other. "
    "Click to hold it."
)
_POINTING_KEYS = (
    "With the keyboard: Tab to a picture, then move the region with the arrow keys and change its size with "
    "+ and -."
)
_PAINTING = "Paint over a part of one picture, then measure: how far apart would the two be without it?"
_PAINTING_KEYS = (
    "With the keyboard: Tab to a picture, move the brush with the arrow keys, paint with Space or by holding "
    "Shift."
)
_NO_LIKENESS = "This method does not say which cells answer to each other, so there is nothing to point at."
_FILLS = (("surroundings", "what is around it"), ("blur", "a blur"), ("grey", "grey"))


def _script(*names: str) -> str:
    return "\n".join((_SCRIPTS / name).read_text(encoding="utf-8") for name in names)


TOUCH_SCRIPT = _script("heat.js", "region.js", "view.js", "stage.js", "touch.js")
"""What the panel does in the browser."""

STEPS_SCRIPT = _script("heat.js", "steps.js")
"""What the steps from words to numbers do there: it draws with the same colours."""

PICTURES_SCRIPT = _script("pictures.js")
"""What the frames of the two pictures do there."""


def touch_html(account: Account, *, of_two: bool = False) -> str:
    """The panel for one comparison.

    Args:
        account: What to touch.
        of_two: Whether another method stands beside it, so that it must be said which one this is.
    """
    method = f" <small>as {escape(account.model.words.name)} sees them</small>" if of_two else ""
    explanation = account.comparison.explanation
    layers = layers_of(explanation)
    return (
        f'<section class="avsl-touch" aria-labelledby="avsl-touch-title" data-key="{account.key}" '
        f'data-distance="{explanation.total!r}" '
        f'data-account="{escape(account_json(explanation, likeness=True))}">'
        f'<div class="avsl-bar"><h2 id="avsl-touch-title">Touch the pictures{method}</h2>{_tools()}</div>'
        f'<div class="avsl-stage">{_picture(account, "a")}{_picture(account, "b")}</div>'
        f'<div class="avsl-under" data-for="look">{_looking(explanation, layers)}</div>'
        f'<div class="avsl-under" data-for="point" hidden>{_pointing(explanation)}</div>'
        f'<div class="avsl-under" data-for="paint" hidden>{_brushes()}</div>'
        '<p class="avsl-unseen avsl-said" role="status"></p></section>'
    )


def layers_of(explanation: Explanation) -> list[tuple[str, Explanation, list[int]]]:
    """What can be drawn on the two pictures: name, and the components of an explanation that it sums up."""
    everything = list(range(len(explanation.components)))
    layers = [(TOTAL, explanation, everything)]
    if explanation.before is not None:
        layers.append((BEFORE, explanation.before, list(range(len(explanation.before.components)))))
    return layers + [(explanation.components[index].name, explanation, [index]) for index in everything]


def account_json(explanation: Explanation, *, likeness: bool = False) -> str:
    """The numbers that the browser draws and computes with.

    Args:
        explanation: Of the pair.
        likeness: Whether what is needed to point at regions is among them.
    """
    layers = []
    for name, source, indices in layers_of(explanation):
        components = [source.components[index] for index in indices]
        maps_a, maps_b = [c.map_a for c in components], [c.map_b for c in components]
        whole = name in (TOTAL, BEFORE)
        scale = shared_scale(total_maps(source) if whole else [*maps_a, *maps_b])
        layers.append({"name": name, "scale": scale, "a": _packed(maps_a), "b": _packed(maps_b)})
    found = _likeness(explanation) if likeness and explanation.likeness is not None else None
    return json.dumps(
        {"total": explanation.total, "layers": layers, "likeness": found}, separators=(",", ":")
    )


def _likeness(explanation: Explanation) -> dict[str, Any]:
    cells = explanation.likeness
    assert cells is not None
    if max(*cells.grid_a, *cells.grid_b) > _FINEST:
        cells = cells.on(_coarser(cells.grid_a), _coarser(cells.grid_b))
    return {"matrix": _base64(cells.matrix), "common": cells.total, **_lying(explanation, cells)}


def _lying(explanation: Explanation, cells: CellLikeness) -> dict[str, Any]:
    """How much of the distance lies in each cell of either picture."""
    grids = (cells.grid_a, cells.grid_b)
    lies = [AF.regrid(values, grid) for values, grid in zip(total_maps(explanation), grids, strict=True)]
    return dict(zip("ab", _packed(lies), strict=True))


def _coarser(grid: tuple[int, int]) -> tuple[int, int]:
    return min(grid[0], _FINEST), min(grid[1], _FINEST)


def _packed(maps: Sequence[Tensor]) -> list[list[int | str]]:
    return [[*values.shape, _base64(values)] for values in maps]


def _base64(values: Tensor) -> str:
    numbers = values.detach().cpu().float().contiguous().numpy().astype("<f4")
    return base64.b64encode(numbers.tobytes()).decode()


def _tools() -> str:
    tools = (("look", "Look"), ("point", "Point"), ("paint", "What if"))
    inputs = "".join(
        f'<label><input type="radio" name="avsl-tool" value="{value}"{" checked" if value == "look" else ""}>'
        f"<span>{title}</span></label>"
        for value, title in tools
    )
    return f'<div class="avsl-switch avsl-tools" role="radiogroup" aria-label="Tool">{inputs}</div>'


def _picture(account: Account, side: str) -> str:
    encoded = account.comparison.a if side == "a" else account.comparison.b
    which = "First" if side == "a" else "Second"
    height, width = encoded.crop.shape[:2]
    return (
        f'<figure data-side="{side}"><div class="avsl-frame"><img src="{picture_address(encoded.crop)}" '
        f'alt="{which} picture as the model saw it" width="{width}" height="{height}">'
        '<canvas aria-hidden="true"></canvas>'
        '<div class="avsl-pad" role="application" tabindex="0" hidden></div></div>'
        f"<figcaption>{which} picture</figcaption></figure>"
    )


def _looking(explanation: Explanation, layers: list[tuple[str, Explanation, list[int]]]) -> str:
    titles = component_titles(explanation)
    printed, total = printed_parts(explanation)
    names = {TOTAL: "Everything", BEFORE: "Before learning"} | {n: title for n, (title, _) in titles.items()}
    inputs = "".join(
        f'<label><input type="radio" name="avsl-layer" value="{escape(name)}"'
        f"{' checked' if name == TOTAL else ''}><span>{escape(names[name])}</span></label>"
        for name, _, _ in layers
    )
    words = ""
    for name, source, parts in layers:
        if name in (TOTAL, BEFORE):
            value = total if name == TOTAL else f"{source.total:.3f}"
            text = f"Everything that adds up to the distance, {value}."
        else:
            text = f"{names[name]}, {titles[name][1]}: {printed[name]} of the distance {total}."
        balance = " ".join(
            f"The {which} picture {balance_words([getattr(source.components[i], side) for i in parts])}."
            for which, side in (("first", "map_a"), ("second", "map_b"))
        )
        hidden = "" if name == TOTAL else " hidden"
        words += f'<p class="note" data-layer="{escape(name)}"{hidden}>{escape(text)} {escape(balance)}</p>'
    return (
        f'<div class="avsl-row">{legend()}<div class="avsl-switch avsl-layers" role="radiogroup" '
        f'aria-label="What to show">{inputs}</div></div>{words}'
    )


def _pointing(explanation: Explanation) -> str:
    idle = _NO_LIKENESS if explanation.likeness is None else _POINTING
    keys = "" if explanation.likeness is None else f'<p class="note avsl-keys">{escape(_POINTING_KEYS)}</p>'
    return f'<p class="avsl-found" data-idle="{escape(idle)}">{escape(idle)}</p>{keys}'


def _brushes() -> str:
    fills = "".join(f'<option value="{value}">{title}</option>' for value, title in _FILLS)
    return (
        f'<p class="avsl-hint">{escape(_PAINTING)}</p><div class="avsl-row">'
        '<label>Brush <input type="range" data-do="size" min="2" max="14" value="6"></label>'
        f'<label>Painted with <select data-do="fill">{fills}</select></label>'
        '<span class="avsl-buttons"><button type="button" data-do="undo" data-needs disabled>Undo</button>'
        '<button type="button" data-do="clear" data-needs disabled>Clear</button>'
        '<button type="button" class="first" data-do="measure" data-needs disabled>Measure</button></span>'
        f'</div><p class="note avsl-keys">{escape(_PAINTING_KEYS)}</p>'
    )
