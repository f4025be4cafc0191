"""Pictures and small drawings as HTML that needs no further request."""

from html import escape

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.explain.inline import picture_address
from avsl_core.explain.scales import legend, pair_ruler

__all__ = ["gate_histogram", "image_tag", "legend", "pair_ruler"]


def image_tag(pixels: NDArray[np.uint8], alt: str) -> str:
    """An inline picture with its text alternative.

    Args:
        pixels: uint8 RGB ``[H, W, 3]``.
        alt: What it shows, for those who do not see it.
    """
    height, width = pixels.shape[:2]
    return f'<img src="{picture_address(pixels)}" alt="{escape(alt)}" width="{width}" height="{height}">'


def gate_histogram(gate: Tensor, title: str, marked: float | None = None) -> str:
    """How the gate values P of one level are spread, 0 to 1, as an inline drawing.

    Args:
        gate: P, ``[R]``.
        title: The level's name.
        marked: A value of P to mark, that of the chosen node.
    """
    bins = 24
    counts = np.histogram(gate.detach().cpu().numpy(), bins=bins, range=(0.0, 1.0))[0]
    tallest = max(1, int(counts.max()))
    width, height = 240, 72
    step = width / bins
    bars = "".join(
        f'<rect x="{i * step + 0.75:.2f}" y="{height - height * count / tallest:.2f}" '
        f'width="{step - 1.5:.2f}" height="{height * count / tallest:.2f}" rx="1.5"/>'
        for i, count in enumerate(counts)
    )
    mark = (
        ""
        if marked is None
        else f'<line x1="{width * marked:.1f}" x2="{width * marked:.1f}" y1="-4" y2="{height}"/>'
    )
    mean, low, high = float(gate.mean()), float(gate.min()), float(gate.max())
    words = f"{title}: gate values P of {len(gate)} nodes, from {low:.2f} to {high:.2f}, mean {mean:.2f}"
    return (
        f'<figure class="gate"><svg viewBox="0 -6 {width} {height + 24}" role="img" '
        f'aria-label="{escape(words)}">'
        f'<g class="bars">{bars}</g><path d="M0 {height + 0.5}H{width}"/>{mark}'
        f'<text x="0" y="{height + 15}">0</text>'
        f'<text x="{width / 2}" y="{height + 15}" text-anchor="middle">P</text>'
        f'<text x="{width}" y="{height + 15}" text-anchor="end">1</text></svg>'
        f"<figcaption><strong>{escape(title)}</strong> mean {mean:.2f}, from {low:.2f} to {high:.2f}"
        "</figcaption></figure>"
    )
