"""The ledger: the AVSL distance as a sum over levels, nodes and positions.

Unrolling the recursion of the distance from the top gives every node of every level one weight, the
share of its squared difference that reaches the total. Because a node's embedding is the mean of its
activation map, that difference divides further among the positions of the two pictures. Both steps are
identities, so the parts always add up to the distance.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core.functional.nodes import peak_augmented

__all__ = ["node_contributions", "node_shares", "signed_maps", "spread_nodes", "top_down_weights"]


def top_down_weights(gates: Sequence[Tensor], normalized_linkages: Sequence[Tensor]) -> list[Tensor]:
    """Weigh every node by the share of its distance that reaches the total.

    From the top: u^L = 1, w^l = P^l u^l, u^(l-1) = W^l ((1 - P^l) u^l), and w^1 = u^1.

    Args:
        gates: P of levels 2 to L, ``[..., R_l]`` each, from low to high.
        normalized_linkages: W, ``[R_(l-1), R_l]`` for the same levels.

    Returns:
        Weights w, ``[..., R_l]`` for levels 1 to L: non-negative.

    Raises:
        ValueError: If there are no gates, or not one linkage for each.

    Example:
        >>> low, high = top_down_weights([torch.tensor([0.75])], [torch.tensor([[0.5], [0.5]])])
        >>> low, high
        (tensor([0.1250, 0.1250]), tensor([0.7500]))
    """
    if not gates or len(gates) != len(normalized_linkages):
        raise ValueError("need at least one gate, and one linkage for each")
    reaching = torch.ones_like(gates[-1])
    weights: list[Tensor] = []
    for P, W in zip(reversed(gates), reversed(normalized_linkages), strict=True):
        weights.append(P * reaching)
        reaching = ((1.0 - P) * reaching) @ W.T
    weights.append(reaching)
    return weights[::-1]


def node_contributions(weights: Sequence[Tensor], a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """Give each node's part of the distance.

    Args:
        weights: Top-down weights, ``[..., R_l]`` per level.
        a: Normalised embeddings of the first picture, ``[..., R_l]`` per level.
        b: Normalised embeddings of the second picture.

    Returns:
        ``[..., R_l]`` per level: non-negative; the sum over nodes and levels is the distance.
    """
    return [w * (x - y).square() for w, x, y in zip(weights, a, b, strict=True)]


def signed_maps(features: Tensor, weight: Tensor, bias: Tensor, coefficients: Tensor, norm: Tensor) -> Tensor:
    """Spread a combination of nodes over the positions of one picture.

    Computes sum_r c_r A_r[p] / (HW |e|) without ever forming the R activation maps: the coefficients are
    carried through the 1x1 convolution first. With c_r = w_r (n_r(x) - n_r(y)) this is the map of picture x,
    and with the opposite sign on picture y's features the map of y; the two sum to the level's part of
    the distance. Positive cells push the pictures apart, negative ones pull them together.

    Args:
        features: One picture's feature map per row, ``[B, C, H, W]``.
        weight: Projection, ``[R, C]``.
        bias: ``[R]``.
        coefficients: c, ``[B, R]``.
        norm: |e| of the picture, ``[B]``; positive.

    Returns:
        ``[B, H, W]``.
    """
    return spread_nodes(peak_augmented(features), weight, bias, coefficients, norm)


def node_shares(augmented: Tensor, weight: Tensor, bias: Tensor, norm: Tensor) -> Tensor:
    """What each position adds to each node: A_r[p] / (HW |e|), which sums over positions to n_r.

    Args:
        augmented: Feature maps that :func:`peak_augmented` has been applied to, ``[B, C, H, W]``.
        weight: Projection, ``[R, C]``.
        bias: ``[R]``.
        norm: |e| of each picture, ``[B]``; positive.

    Returns:
        ``[B, R, H, W]``.
    """
    cells = augmented.shape[2] * augmented.shape[3]
    shares: Tensor = torch.einsum("rc,bchw->brhw", weight, augmented) + bias[:, None, None]
    return shares / (cells * norm[:, None, None, None])


def spread_nodes(
    augmented: Tensor, weight: Tensor, bias: Tensor, coefficients: Tensor, norm: Tensor
) -> Tensor:
    """As :func:`signed_maps`, from features that :func:`peak_augmented` has already been applied to."""
    batch, channels, height, width = augmented.shape
    carried = (coefficients @ weight)[:, None, :]
    spread = torch.bmm(carried, augmented.reshape(batch, channels, -1)).view(batch, height, width)
    offset = (coefficients @ bias)[:, None, None]
    return (spread + offset) / (height * width * norm[:, None, None])
