"""Completeness: do an explanation's maps add up to what it claims to explain?

Sundararajan et al., ICML 2017, axiom of completeness. The ledger must hand out the whole account of the
distance (its total, in double precision), integrated gradients what the distance gains over the baselines.
"""

from avsl_core.faithfulness.maps import PairMaps

__all__ = ["completeness_error"]

_SMALLEST = 1e-12


def completeness_error(maps: PairMaps) -> float | None:
    """Relative error of the sum of both maps.

    Returns:
        ``|sum - target| / |target|``, 0 or more; None for a method that promises no sum.

    Example:
        >>> import torch
        >>> completeness_error(PairMaps(torch.ones(2, 2), torch.zeros(1, 1), target=5.0))
        0.2
    """
    if maps.target is None:
        return None
    return abs(maps.sum() - maps.target) / max(abs(maps.target), _SMALLEST)
