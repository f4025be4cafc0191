"""Pictures and small drawings as HTML that needs no further request."""

from html import escape

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.explain.heatmap import color_of
from avsl_core.explain.inline import picture_address
from avsl_core.metrics import PairDistribution

__all__ = ["gate_histogram", "image_tag", "legend", "pair_ruler"]


def image_tag(pixels: NDArray[np.uint8], alt: str) -> str:
    """An inline picture with its text alternative.

    Args:
        pixels: uint8 RGB ``[H, W, 3]``.
        alt: What it shows, for those who do not see it.
    """
    height, width = pixels.shape[:2]
    return f'<img src="{picture_address(pixels)}" alt="{escape(alt)}" width="{width}" height="{height}">'


def legend() -> str:
    """The colour scale of the heatmaps with what each end means."""
    stops = ", ".join(color_of(step / 8) for step in range(-8, 9))
    return (
        '<div class="avsl-legend" role="img" aria-label="Colour scale: blue areas pull the two pictures '
        'together, orange areas push them apart, without colour no effect">'
        '<span class="together">pulls together</span>'
        f'<span class="ramp" style="background:linear-gradient(90deg, {stops})"></span>'
        '<span class="apart">pushes apart</span></div>'
    )


def pair_ruler(distance: float, pairs: PairDistribution) -> str:
    """Where a distance lies among those of the validation pairs: a bar for the middle 90 % of each kind."""
    top = 1.05 * max(distance, _quantile(pairs.different, 0.99))
    here = 100 * distance / top
    rows = "".join(
        f'<div class="row"><span class="name">{name}</span><span class="lane">'
        f'<span class="span {kind}" style="left:{100 * low / top:.2f}%;'
        f'width:{100 * (high - low) / top:.2f}%"></span>'
        f'<span class="median" style="left:{100 * middle / top:.2f}%"></span>'
        f'<span class="here" style="left:{here:.2f}%"></span></span></div>'
        for name, kind, low, middle, high in (
            ("same kind", "same", *_middle(pairs.same)),
            ("different kinds", "different", *_middle(pairs.different)),
        )
    )
    same_low, _, same_high = _middle(pairs.same)
    different_low, _, different_high = _middle(pairs.different)
    words = (
        f"This pair at {distance:.3f}; of the pairs that this model was tested with, the middle 90 percent "
        "of the same kind lies between "
        f"{same_low:.2f} and {same_high:.2f}, of different-kind pairs between {different_low:.2f} and "
        f"{different_high:.2f}"
    )
    return (
        f'<div class="avsl-ruler" role="img" aria-label="{words}">{rows}'
        '<p class="note">The upright line is this pair; left is closer. The bars hold the middle '
        "90\u00a0% of the pairs that this model was tested with, the gap in each is their median.</p></div>"
    )


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


def _middle(quantiles: tuple[float, ...]) -> tuple[float, float, float]:
    """The ends of the middle 90 % and the median."""
    return _quantile(quantiles, 0.05), _quantile(quantiles, 0.5), _quantile(quantiles, 0.95)


def _quantile(quantiles: tuple[float, ...], share: float) -> float:
    return float(np.interp(share, np.linspace(0.0, 1.0, len(quantiles)), quantiles))
