"""A lower bound on the AVSL distance that needs one weight vector per query, not one per pair.

The reliability P of a pair is monotone in each of its two certainties. Over a set of pictures whose
certainties lie between known limits, P lies between its values at the limits; and because every node
difference and every linkage is non-negative, putting the smaller P where a node's own weight is taken and
the larger where the rest is passed down can only make the recursion smaller.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core.functional.distance import gate

__all__ = ["gate_range", "lower_bound_weights"]


def gate_range(
    certainties: Tensor, low: Tensor, high: Tensor, alpha: Tensor, beta: Tensor, *, gamma: float = 10.0
) -> tuple[Tensor, Tensor]:
    """Limit the reliability P between a picture and any picture of a set.

    Args:
        certainties: s of the one side, ``[..., R]``.
        low: Least certainty of the set per node, ``[R]``.
        high: Greatest certainty of the set per node, ``[R]``.
        alpha: ``[R]``, of either sign.
        beta: ``[R]``.
        gamma: Steepness.

    Returns:
        Least and greatest P, ``[..., R]`` each.

    Example:
        >>> s, one = torch.ones(1), torch.ones(1)
        >>> gate_range(s, torch.zeros(1), one, -one, torch.zeros(1), gamma=1.0)
        (tensor([0.2689]), tensor([0.5000]))
    """
    ends = [gate(certainties, end, alpha, beta, gamma=gamma) for end in (low, high)]
    return torch.minimum(*ends), torch.maximum(*ends)


def lower_bound_weights(
    least: Sequence[Tensor], greatest: Sequence[Tensor], normalized_linkages: Sequence[Tensor]
) -> list[Tensor]:
    """Weigh every node so that the weighted squared differences stay below the distance.

    From the top: u^L = 1, w^l = Pmin^l u^l, u^(l-1) = W^l ((1 - Pmax^l) u^l), and w^1 = u^1. With equal
    limits these are the weights of :func:`avsl_core.functional.top_down_weights`, and the bound is the
    distance.

    Args:
        least: Pmin of levels 2 to L, ``[..., R_l]`` each, from low to high.
        greatest: Pmax of the same levels.
        normalized_linkages: W, ``[R_(l-1), R_l]`` for the same levels.

    Returns:
        Weights, ``[..., R_l]`` for levels 1 to L: non-negative.

    Raises:
        ValueError: If there are no gates, or not one linkage and two limits for each.

    Example:
        >>> low, high = lower_bound_weights(
        ...     [torch.tensor([0.5])], [torch.tensor([0.75])], [torch.tensor([[0.5], [0.5]])]
        ... )
        >>> low, high
        (tensor([0.1250, 0.1250]), tensor([0.5000]))
    """
    if not least or not len(least) == len(greatest) == len(normalized_linkages):
        raise ValueError("need at least one level with gates, and two limits and one linkage for each")
    reaching = torch.ones_like(least[-1])
    weights: list[Tensor] = []
    levels = zip(reversed(least), reversed(greatest), reversed(normalized_linkages), strict=True)
    for P_min, P_max, W in levels:
        weights.append(P_min * reaching)
        reaching = ((1.0 - P_max) * reaching) @ W.T
    weights.append(reaching)
    return weights[::-1]
