"""Triplets with mined negatives, on squared distances.

Source: the symmetric training of Suma and Tolias, *Large-to-small Image Resolution Asymmetry in Deep Metric
Learning*, WACV 2023. Their negatives are drawn from a pool, those near the anchor far more likely; here they
are the nearest ones of the batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["mined_triplet_loss"]


def mined_triplet_loss(vectors: Tensor, labels: Tensor, *, margin: float = 0.7, negatives: int = 4) -> Tensor:
    """Hold every like picture nearer than the nearest unlike ones, by a margin on squared distances.

    Args:
        vectors: ``[B, D]``.
        labels: ``[B]``.
        margin: On squared distances.
        negatives: How many of the unlike pictures nearest to each anchor are used.

    Returns:
        Scalar: sum over anchors of the mean over their triplets of max(0, |a - p|^2 - |a - n|^2 + margin). An
        anchor without a like or without an unlike adds nothing.

    Raises:
        ValueError: If the shapes do not fit, or there is no negative to use.

    Example:
        >>> vectors = torch.tensor([[0.0], [0.5], [1.0]])
        >>> mined_triplet_loss(vectors, torch.tensor([0, 0, 1]), margin=1.0)
        tensor(1.2500)
    """
    if vectors.dim() != 2 or labels.shape != vectors.shape[:1]:
        raise ValueError(
            f"vectors must be [B, D] and labels [B], not {tuple(vectors.shape)} and {tuple(labels.shape)}"
        )
    if negatives < 1:
        raise ValueError(f"negatives must be at least 1, not {negatives}")
    squared = (vectors[:, None] - vectors[None]).square().sum(dim=2)
    alike = labels[:, None] == labels[None]
    positive = alike & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    count = min(negatives, len(labels))
    nearest = squared.masked_fill(alike, torch.inf).topk(count, dim=1, largest=False).values
    unlike = nearest.isfinite()
    violation = F.relu(squared[:, :, None] - nearest.masked_fill(~unlike, 0.0)[:, None, :] + margin)
    used = (positive[:, :, None] & unlike[:, None, :]).to(violation.dtype)
    return ((violation * used).sum(dim=(1, 2)) / used.sum(dim=(1, 2)).clamp_min(1.0)).sum()
