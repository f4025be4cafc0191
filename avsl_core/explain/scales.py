"""What figures are read by: the colour scale of the maps, and where a distance lies among tested pairs."""

import numpy as np

from avsl_core.explain.heatmap import color_of
from avsl_core.metrics import PairDistribution

__all__ = ["SCALES_CSS", "legend", "pair_ruler"]

SCALES_CSS = """
.avsl-legend { display: flex; align-items: center; gap: .75rem; font-size: .92rem; font-weight: 550; }
.avsl-legend .ramp { flex: 1 1 auto; max-width: 20rem; height: .8rem; border-radius: .4rem; }
.avsl-legend .together { color: var(--avsl-together, #1b5eaa); }
.avsl-legend .apart { color: var(--avsl-apart, #b84a00); }
.avsl-ruler { margin-top: 1.1rem; max-width: 42rem; }
.avsl-ruler .row { display: grid; grid-template-columns: 7.5rem 1fr; align-items: center; height: 1.5rem; }
.avsl-ruler .name { font-size: .9rem; color: var(--avsl-muted, #5c6670); }
.avsl-ruler .lane { position: relative; height: 100%; }
.avsl-ruler .span { position: absolute; top: .4rem; height: .7rem; border-radius: .35rem; opacity: .5;
  background: var(--avsl-accent, #14697a); }
.avsl-ruler .span.different { background: var(--avsl-muted, #5c6670); opacity: .4; }
.avsl-ruler .median { position: absolute; top: .4rem; height: .7rem; width: 2px; margin-left: -1px;
  background: var(--avsl-card, #fff); }
.avsl-ruler .here { position: absolute; top: 0; bottom: 0; width: 3px; margin-left: -1.5px;
  background: var(--avsl-ink, #1b2329); }
.avsl-ruler .note { margin: .4rem 0 0; font-size: .85rem; }
/* Printers leave backgrounds out, and these drawings are nothing else. */
.avsl-legend *, .avsl-ruler * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
@media (max-width: 560px) {
  .avsl-legend { font-size: .85rem; gap: .5rem; }
  .avsl-ruler .row { grid-template-columns: 6.6rem 1fr; }
}
"""
"""Style of both; its ``--avsl-*`` variables set light and dark from outside."""


def legend() -> str:
    """The colour scale of the heatmaps with what each end means.

    Returns:
        HTML, to be shown with :data:`SCALES_CSS`.
    """
    stops = ", ".join(color_of(step / 8) for step in range(-8, 9))
    return (
        '<div class="avsl-legend" role="img" aria-label="Colour scale: blue areas pull the two pictures '
        'together, orange areas push them apart, without colour no effect">'
        '<span class="together">pulls together</span>'
        f'<span class="ramp" style="background:linear-gradient(90deg, {stops})"></span>'
        '<span class="apart">pushes apart</span></div>'
    )


def pair_ruler(distance: float, pairs: PairDistribution) -> str:
    """Where a distance lies among those of tested pairs: a bar for the middle 90 % of each kind.

    Args:
        distance: Of this pair.
        pairs: Those that the model was tested with.

    Returns:
        HTML, to be shown with :data:`SCALES_CSS`.
    """
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


def _middle(quantiles: tuple[float, ...]) -> tuple[float, float, float]:
    """The ends of the middle 90 % and the median."""
    return _quantile(quantiles, 0.05), _quantile(quantiles, 0.5), _quantile(quantiles, 0.95)


def _quantile(quantiles: tuple[float, ...], share: float) -> float:
    return float(np.interp(share, np.linspace(0.0, 1.0, len(quantiles)), quantiles))
