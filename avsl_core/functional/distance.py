"""The AVSL distance: node differences mixed from low to high level by reliability and linkage.

Source: Attributable Visual Similarity Learning, CVPR 2022, section 3.4. ``P`` (reliability), ``W``
(linkage) and ``d`` (node distance) keep their names from the paper.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core.functional.linkage import normalize_linkage

__all__ = ["avsl_distance", "gate", "pairwise_avsl_distance", "weighted_squared_distance"]


def avsl_distance(
    embeddings_a: Sequence[Tensor],
    certainties_a: Sequence[Tensor],
    embeddings_b: Sequence[Tensor],
    certainties_b: Sequence[Tensor],
    linkages: Sequence[Tensor],
    alphas: Sequence[Tensor],
    betas: Sequence[Tensor],
    *,
    top_k: int,
    gamma: float = 10.0,
) -> Tensor:
    """Measure every picture of a against every picture of b.

    All sequences hold one entry per level, from low to high. Holds ``[N, M, R]`` intermediates: give it
    blocks (as :meth:`avsl_core.models.AvslModel.distance_matrix` does) when N times M is large.

    Args:
        embeddings_a: ``[N, R_l]`` per level, normalised or not (they are normalised here).
        certainties_a: ``[N, R_l]`` per level.
        embeddings_b: ``[M, R_l]`` per level.
        certainties_b: ``[M, R_l]`` per level.
        linkages: ``[R_l, R_(l+1)]`` per pair of adjacent levels, unnormalised.
        alphas: ``[R_l]`` per level; the lowest level's is not used.
        betas: ``[R_l]`` per level; the lowest level's is not used.
        top_k: Lower nodes kept for each higher node.
        gamma: Steepness of the gate.

    Returns:
        ``[N, M]``, not negative. A single level stays within 4. The mixture may exceed it, up to 4 R: several
        higher nodes may be told the same lower difference.

    Raises:
        ValueError: If the numbers of levels disagree.

    Example:
        >>> n, s = torch.eye(2), torch.zeros(2, 2)
        >>> avsl_distance([n], [s], [n], [s], [], [s[0]], [s[0]], top_k=1)
        tensor([[0., 2.],
                [2., 0.]])
    """
    expanded_a = [e[:, None] for e in embeddings_a]
    expanded_b = [e[None] for e in embeddings_b]
    return pairwise_avsl_distance(
        expanded_a,
        [s[:, None] for s in certainties_a],
        expanded_b,
        [s[None] for s in certainties_b],
        [normalize_linkage(link, top_k) for link in linkages],
        alphas,
        betas,
        gamma=gamma,
    )


def pairwise_avsl_distance(
    embeddings_a: Sequence[Tensor],
    certainties_a: Sequence[Tensor],
    embeddings_b: Sequence[Tensor],
    certainties_b: Sequence[Tensor],
    normalized_linkages: Sequence[Tensor],
    alphas: Sequence[Tensor],
    betas: Sequence[Tensor],
    *,
    gamma: float = 10.0,
) -> Tensor:
    """Measure pairs that broadcast against each other, with W already normalised.

    Args:
        embeddings_a: ``[..., R_l]`` per level; any leading shape that broadcasts with b's.
        certainties_a: As the embeddings.
        embeddings_b: ``[..., R_l]`` per level.
        certainties_b: As the embeddings.
        normalized_linkages: W, ``[R_l, R_(l+1)]`` per pair of adjacent levels.
        alphas: ``[R_l]`` per level; the lowest level's is not used.
        betas: ``[R_l]`` per level; the lowest level's is not used.
        gamma: Steepness of the gate.

    Returns:
        Distances with the broadcast leading shape, not negative; see :func:`avsl_distance` for the bound.

    Raises:
        ValueError: If the numbers of levels disagree.
    """
    levels = len(embeddings_a)
    lengths = {levels, len(certainties_a), len(embeddings_b), len(certainties_b), len(alphas), len(betas)}
    if levels == 0 or lengths != {levels} or len(normalized_linkages) != levels - 1:
        raise ValueError(
            "embeddings, certainties, alphas and betas need one entry per level, and linkages one less"
        )
    mixed = _node_distance(embeddings_a[0], embeddings_b[0])
    for level in range(1, levels):
        own = _node_distance(embeddings_a[level], embeddings_b[level])
        P = gate(certainties_a[level], certainties_b[level], alphas[level], betas[level], gamma=gamma)
        mixed = P * own + (1.0 - P) * (mixed @ normalized_linkages[level - 1])
    return mixed.sum(dim=-1)


def gate(
    certainties_a: Tensor, certainties_b: Tensor, alpha: Tensor, beta: Tensor, *, gamma: float = 10.0
) -> Tensor:
    """Reliability P: how far a node's own difference is trusted against its lower nodes.

    Args:
        certainties_a: ``[..., R]``.
        certainties_b: ``[..., R]``, broadcast against the first.
        alpha: ``[R]``.
        beta: ``[R]``.
        gamma: Steepness.

    Returns:
        ``[..., R]`` in (0, 1).

    Example:
        >>> gate(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(2), torch.zeros(2))
        tensor([[0.5000, 0.5000]])
    """
    # The product of the certainties first: so the gate, and with it the distance, is symmetric to the bit.
    return torch.sigmoid(gamma * (alpha * (certainties_a * certainties_b) + beta))


def weighted_squared_distance(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """Squared Euclidean distance with one weight vector per row of a, by matrix products.

    Args:
        a: ``[N, R]``.
        b: ``[M, R]``.
        weights: ``[N, R]``, non-negative.

    Returns:
        ``[N, M]``: sum_r w_nr (a_nr - b_mr)^2, clamped at zero against rounding.

    Example:
        >>> weighted_squared_distance(torch.eye(2), torch.eye(2), torch.full((2, 2), 0.5))
        tensor([[0., 1.],
                [1., 0.]])
    """
    own = (weights * a * a).sum(dim=1, keepdim=True)
    return (own - 2.0 * (weights * a) @ b.T + weights @ (b * b).T).clamp_min(0.0)


def _node_distance(a: Tensor, b: Tensor) -> Tensor:
    return (F.normalize(a, dim=-1) - F.normalize(b, dim=-1)).square()
