"""What if a part were not there: the painted mask as it comes from the browser, and the answer in words."""

import base64
import binascii
from dataclasses import dataclass
from html import escape
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from avsl_core.errors import ConfigError
from avsl_core.explain.inline import picture_address
from avsl_core.images.paint import FILLS, Fill
from avsl_core.whatif import Side, WhatIf

__all__ = ["MEASURED_SCRIPT", "RIGHT_WAY", "Painting", "read_painting", "what_if_html"]

_SIDE = 128  # of the mask, as scripts/touch.js draws it
_NEAR = 0.0005  # changes below it are none in print

RIGHT_WAY = {"default": 59, "aviary": 71, "diml": 61, "cgd": 57}
"""Of 100 forecasts by each shipped model, how many had the right direction, as
``benchmarks/results/what_if.json`` has it; of other models nothing is known."""

# The panel above shows the painted picture; it is told when there is a new one.
MEASURED_SCRIPT = """
watch("value", () => {
  const answer = element.querySelector(".avsl-measured")?.dataset;
  const detail = { side: answer?.side, key: answer?.key, crop: element.querySelector("img")?.src };
  document.dispatchEvent(new CustomEvent("avsl-measured", { detail }));
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const behavior = calm ? "auto" : "smooth";
  const show = () => element.querySelector("[data-turn]")?.scrollIntoView({ behavior, block: "nearest" });
  requestAnimationFrame(show); // the panel has made it visible by then
});
"""


@dataclass(frozen=True)
class Painting:
    """A part that a visitor painted over.

    Attributes:
        side: On the first or the second picture.
        mask: Where, bool ``[128, 128]`` over the crop.
        fill: What lies there instead.
        key: Of the comparison that was on the page.
        turn: Counts the measurements of a visit, so that two of the same part are two answers.
    """

    side: Side
    mask: NDArray[np.bool_]
    fill: Fill
    key: str
    turn: int


def read_painting(data: Any) -> Painting:
    r"""Make sense of what the browser sent.

    Args:
        data: It may come from anywhere.

    Raises:
        ConfigError: If it is no painting.

    Example:
        >>> bits = base64.b64encode(b"\x80" + bytes(2047)).decode()
        >>> sent = {"side": "a", "mask": bits, "fill": "grey", "key": "1", "turn": 1}
        >>> int(read_painting(sent).mask.sum())
        1
    """
    values = data if isinstance(data, dict) else {}
    side, fill, mask, key, turn = (values.get(name) for name in ("side", "fill", "mask", "key", "turn"))
    bits = b""
    if isinstance(mask, str) and len(mask) < _SIDE * _SIDE:
        try:
            bits = base64.b64decode(mask, validate=True)
        except (binascii.Error, ValueError):
            bits = b""
    known = side in ("a", "b") and fill in FILLS and isinstance(key, str) and isinstance(turn, int)
    if not known or len(bits) != _SIDE * _SIDE // 8:
        raise ConfigError("what was painted did not arrive whole: paint over a part and measure again")
    drawn = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(_SIDE, _SIDE).astype(bool)
    return Painting(cast(Side, side), drawn, cast(Fill, fill), str(key)[:64], cast(int, turn))


def what_if_html(found: WhatIf, painting: Painting, model: str = "") -> str:
    """The answer in words, with the three distances as bars: first what was measured, then the forecast.

    Args:
        found: What was measured, and what was foretold.
        painting: What was asked.
        model: Name of the shipped model that measured; empty for any other.
    """
    which = "first" if found.side == "a" else "second"
    rows = (
        ("Measured now", found.painted, "now"),
        ("Before", found.distance, ""),
        ("Foretold", found.predicted, "foretold"),
    )
    longest = max(value for _, value, _ in rows)
    bars = "".join(
        f'<div class="row {kind}"><span class="name">{name}</span><span class="track"><span class="fill" '
        f'style="width:{100 * max(0.0, value) / longest if longest > 0 else 0:.1f}%"></span></span>'
        f'<span class="value" data-value="{value!r}">{value:.3f}</span></div>'
        for name, value, kind in rows
    )
    alt = f"The {which} picture, painted over"
    picture = f'<img class="avsl-unseen" src="{picture_address(found.crop)}" alt="{alt}">'
    return (
        f'<div class="avsl-measured" data-side="{found.side}" data-key="{escape(painting.key)}" '
        f'data-turn="{painting.turn}" role="status">'
        f'<p class="avsl-found"><strong>{_change(found.change)}</strong> Measured anew, the distance is '
        f"{found.painted:.3f}; before, it was {found.distance:.3f}. {_percent(found.covered)} of the {which} "
        f'picture is painted over.</p><div class="avsl-three">{bars}</div>'
        f'<p class="note">{_foretold(found, model)}</p>{picture}</div>'
    )


def _change(change: float) -> str:
    if abs(change) < _NEAR:
        return "Without this part the two are just as far apart."
    way = "farther apart" if change > 0 else "closer together"
    return f"Without this part the two are {way} by {abs(change):.3f}."


def _foretold(found: WhatIf, model: str) -> str:
    """What was said before the painted picture was looked at, whether it was right, and how often it is."""
    foretold, measured = found.predicted_change, found.change
    wrong = min(abs(foretold), abs(measured)) >= _NEAR and foretold * measured < 0
    words = f"Foretold from the first look alone, without looking again: {_signed(foretold)}"
    words += ", the wrong direction." if wrong else f"; measured, it is {_signed(measured)}."
    if model not in RIGHT_WAY:
        return f"{words} Such forecasts are rough: trust the measurement."
    return (
        f"{words} Such forecasts are rough: in our tests of this model, {RIGHT_WAY[model]} of 100 had the "
        "right direction. Trust the measurement."
    )


def _signed(change: float) -> str:
    if abs(change) < _NEAR:
        return "no change"
    return f"{change:+.3f}".replace("-", "\N{MINUS SIGN}")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%" if share >= 0.01 else "Less than 1\u00a0%"
