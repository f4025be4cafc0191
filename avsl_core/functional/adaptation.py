"""Learning from pairs which of a frozen network's features matter, and how well partners find each other.

Source: Risser-Maroulis, Kurtz and Lomenie, *Learning an Adaptation Function to Assess Image Visual
Similarities*, ICIP 2021; the pairs are those of Rosenfeld et al., *Totally Looks Like*, ACCV 2018.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["adaptation_loss", "asymmetric_recall"]


def adaptation_loss(left: Tensor, right: Tensor, temperature: float = 15.0) -> Tensor:
    """Let every left picture pick its partner among all right ones, and the other way round.

    Args:
        left: ``[N, D]``; row i belongs to row i of ``right``.
        right: ``[N, D]``.
        temperature: t, which *multiplies* the cosines (an inverse temperature).

    Returns:
        Scalar: (CE(t S) + CE(t S^T)) / 2 with S the cosines.

    Raises:
        ValueError: If the shapes differ.
    """
    logits = temperature * _cosines(left, right)
    partner = torch.arange(len(left), device=left.device)
    return (F.cross_entropy(logits, partner) + F.cross_entropy(logits.T, partner)) / 2


def asymmetric_recall(left: Tensor, right: Tensor, ks: Sequence[int] = (1, 3, 5)) -> list[float]:
    """aR@k: how often a left picture has its partner among its k nearest, or the partner has it.

    Args:
        left: ``[N, D]``; row i belongs to row i of ``right``.
        right: ``[N, D]``.
        ks: The k, each at least 1.

    Returns:
        One fraction per k. Of pictures equally near, the true partner comes last.

    Raises:
        ValueError: If the shapes differ or a k is below 1.

    Example:
        >>> asymmetric_recall(torch.eye(3), torch.eye(3), (1, 2))
        [1.0, 1.0]
    """
    if any(k < 1 for k in ks):
        raise ValueError(f"every k must be at least 1, not {list(ks)}")
    S = _cosines(left, right)
    own = S.diagonal()
    others = ~torch.eye(len(S), dtype=torch.bool, device=S.device)
    # What is not surely farther than the partner counts against it: ties, and numbers that are none.
    ahead_of_right = (~(own[:, None] > S) & others).sum(dim=1)
    ahead_of_left = (~(own[None, :] > S) & others).sum(dim=0)
    ahead = torch.minimum(ahead_of_right, ahead_of_left)
    return [float((ahead < k).double().mean()) for k in ks]


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    if left.dim() != 2 or left.shape != right.shape or len(left) == 0:
        raise ValueError(
            f"left and right must both be [N, D] with N at least 1, not {tuple(left.shape)} "
            f"and {tuple(right.shape)}"
        )
    return F.normalize(left, dim=1) @ F.normalize(right, dim=1).T
