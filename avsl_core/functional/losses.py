"""Losses on distances: Proxy-Anchor, margin and batch-hard triplet.

Sources: Kim et al., *Proxy Anchor Loss for Deep Metric Learning*, CVPR 2020, in the distance form of AVSL
(CVPR 2022, section 3.5); Wu et al., *Sampling Matters in Deep Embedding Learning*, ICCV 2017;
Hermans et al., *In Defense of the Triplet Loss*, 2017.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["batch_hard_triplet", "margin_loss", "proxy_anchor_loss"]


def proxy_anchor_loss(
    distances: Tensor,
    is_positive: Tensor,
    *,
    alpha: float = 16.0,
    positive_margin: float = 1.8,
    negative_margin: float = 2.2,
) -> Tensor:
    """Pull pictures to their class's proxy and push them from the others, hardest first.

    Mean over proxies with a positive of log(1 + sum_pos exp(a (d - m+))), plus mean over all proxies of
    log(1 + sum_neg exp(-a (d - m-))). Written with logsumexp: finite at any distance.

    Args:
        distances: ``[B, proxies]``.
        is_positive: Boolean ``[B, proxies]``: does the proxy stand for the picture's class?
        alpha: Sharpness of the log-sum-exp.
        positive_margin: Distance to a positive proxy below which little is left to gain.
        negative_margin: Distance to a negative proxy above which little is left to gain.

    Returns:
        Scalar, non-negative.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> distances = torch.tensor([[0.0, 40.0]])
        >>> proxy_anchor_loss(distances, torch.tensor([[True, False]])).item() < 1e-9
        True
    """
    if distances.shape != is_positive.shape or distances.dim() != 2:
        raise ValueError(
            f"distances and is_positive must both be [B, proxies], not {tuple(distances.shape)} "
            f"and {tuple(is_positive.shape)}"
        )
    lowest = torch.finfo(distances.dtype).min
    pull = (alpha * (distances - positive_margin)).masked_fill(~is_positive, lowest)
    push = (-alpha * (distances - negative_margin)).masked_fill(is_positive, lowest)
    per_proxy_pull = _log_one_plus_sum_exp(pull)
    per_proxy_push = _log_one_plus_sum_exp(push)
    # Proxies without a positive contribute log(1 + 0) = 0, so the sum needs no selection.
    proxies_in_use = is_positive.any(dim=0).sum().clamp_min(1)
    return per_proxy_pull.sum() / proxies_in_use + per_proxy_push.mean()


def margin_loss(
    distances: Tensor, is_positive: Tensor, *, beta: Tensor | float = 1.2, margin: float = 0.2
) -> Tensor:
    """Hold positives below beta - margin and negatives above beta + margin.

    Args:
        distances: ``[B, M]``, to pictures or to proxies.
        is_positive: Boolean ``[B, M]``.
        beta: The boundary, a number or ``[M]`` (one per class, may be learnable).
        margin: Half the width of the gap.

    Returns:
        Scalar: the mean over the pairs that violate their margin, zero if none does.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> margin_loss(torch.tensor([[1.2, 1.2]]), torch.tensor([[True, False]]), beta=1.2, margin=0.2)
        tensor(0.2000)
    """
    if distances.shape != is_positive.shape or distances.dim() != 2:
        raise ValueError(
            f"distances and is_positive must both be [B, M], not {tuple(distances.shape)} "
            f"and {tuple(is_positive.shape)}"
        )
    sign = is_positive.to(distances.dtype) * 2.0 - 1.0
    violation = F.relu(margin + sign * (distances - beta))
    active = (violation > 0).sum().clamp_min(1)
    return violation.sum() / active


def batch_hard_triplet(embeddings: Tensor, labels: Tensor, margin: float = 0.1) -> Tensor:
    """Hold each picture's farthest like nearer than its nearest unlike, by a margin.

    Args:
        embeddings: ``[B, D]``.
        labels: ``[B]``.
        margin: On Euclidean distances, not squared.

    Returns:
        Scalar: the mean over all pictures of max(0, farthest like - nearest unlike + margin). A picture
        without a like has itself as the farthest; one without an unlike adds nothing.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> batch_hard_triplet(torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([0, 0, 1]), margin=3.0)
        tensor(0.3333)
    """
    if embeddings.dim() != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"embeddings must be [B, D] and labels [B], not {tuple(embeddings.shape)} "
            f"and {tuple(labels.shape)}"
        )
    # From differences: a product would lose the digits of near pairs. It has no slope at zero distance.
    distances = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
    alike = labels[:, None] == labels[None]
    farthest = distances.masked_fill(~alike, 0.0).amax(dim=1)
    nearest = distances.masked_fill(alike, torch.inf).amin(dim=1)
    return F.relu(farthest - nearest + margin).mean()


def _log_one_plus_sum_exp(values: Tensor) -> Tensor:
    zero = values.new_zeros((1, values.shape[1]))
    return torch.logsumexp(torch.cat([zero, values], dim=0), dim=0)
