"""Linkage: which low-level nodes a high-level node is made of.

Source: Attributable Visual Similarity Learning, CVPR 2022, section 3.3 (correlation of activation maps).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["linkage", "normalize_linkage"]

_TIE = 1e-8


def linkage(low_maps: Tensor, high_maps: Tensor) -> Tensor:
    """Correlate the activation maps of two adjacent levels over a batch.

    Args:
        low_maps: A of the lower level, ``[B, R_low, H, W]``; pooled to the higher grid if larger.
        high_maps: A of the higher level, ``[B, R_high, h, w]``.

    Returns:
        ``[R_low, R_high]``: the batch mean of the cosine between the two nodes' maps, in [-1, 1].

    Raises:
        ValueError: If the two batches differ in size.

    Example:
        >>> low, high = torch.rand(2, 3, 8, 8), torch.rand(2, 5, 4, 4)
        >>> linkage(low, high).shape
        torch.Size([3, 5])
    """
    if low_maps.shape[0] != high_maps.shape[0]:
        raise ValueError(f"batches differ: {low_maps.shape[0]} lower and {high_maps.shape[0]} higher maps")
    if low_maps.shape[2:] != high_maps.shape[2:]:
        size = (int(high_maps.shape[2]), int(high_maps.shape[3]))
        low_maps = F.adaptive_avg_pool2d(low_maps, size)
    low = F.normalize(low_maps.flatten(2), dim=2)
    high = F.normalize(high_maps.flatten(2), dim=2)
    return torch.einsum("bmp,bnp->mn", low, high) / low.shape[0]


def normalize_linkage(linkage: Tensor, top_k: int) -> Tensor:
    """Turn raw correlations into W: the shares that lower nodes have in each higher node.

    Negative correlations are dropped, the ``top_k`` strongest of each column are kept (ties with the
    weakest one kept stay too), and each column is divided by its sum.

    Args:
        linkage: ``[R_low, R_high]``; not modified.
        top_k: How many lower nodes each higher node keeps; larger than R_low keeps all.

    Returns:
        W, ``[R_low, R_high]``, non-negative; each column sums to 1, or to 0 if nothing correlates.

    Raises:
        ValueError: If ``top_k`` is not positive.

    Example:
        >>> normalize_linkage(torch.tensor([[0.6], [0.2], [-0.5]]), top_k=2)
        tensor([[0.7500],
                [0.2500],
                [0.0000]])
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    positive = linkage.clamp_min(0.0)
    # Along rows of the transpose: several times faster than down strided columns.
    strongest = positive.T.contiguous().topk(min(top_k, positive.shape[0]), dim=1).values
    weakest_kept = strongest[:, -1][None]
    kept = torch.where(positive >= weakest_kept - _TIE, positive, torch.zeros_like(positive))
    return kept / (kept.sum(dim=0, keepdim=True) + _TIE)
