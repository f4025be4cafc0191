"""From a feature map to similarity nodes: embedding, activation map and certainty.

Source: Zhang et al., *Attributable Visual Similarity Learning*, CVPR 2022, section 3.2, with the
conventions of the published implementation.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["CertaintyMode", "activation_map", "certainty", "peak_augmented", "project"]

CertaintyMode = Literal["row", "global"]

_EPS = 1e-12


def project(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Embed a feature map as R nodes: a 1x1 convolution of average plus maximum pooling.

    Args:
        features: ``[B, C, H, W]``.
        weight: ``[R, C]``, one row per node.
        bias: ``[R]``.

    Returns:
        Embeddings ``[B, R]``, not normalised.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> import torch
        >>> project(torch.ones(1, 2, 3, 3), torch.eye(2), torch.zeros(2))
        tensor([[2., 2.]])
    """
    _check(features, weight, bias)
    pooled = features.mean(dim=(2, 3)) + features.amax(dim=(2, 3))
    return F.linear(pooled, weight, bias)


def activation_map(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Tell how strongly each node answers at each position.

    The mean of the map over positions is exactly the node's embedding (:func:`project`), which is what
    makes the attribution of a distance to positions exact.

    Args:
        features: ``[B, C, H, W]``.
        weight: ``[R, C]``.
        bias: ``[R]``.

    Returns:
        Activation maps A, ``[B, R, H, W]``.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> import torch
        >>> features = torch.rand(2, 3, 4, 4)
        >>> weight, bias = torch.rand(5, 3), torch.rand(5)
        >>> maps = activation_map(features, weight, bias)
        >>> torch.allclose(maps.mean(dim=(2, 3)), project(features, weight, bias), atol=1e-5)
        True
    """
    _check(features, weight, bias)
    augmented = peak_augmented(features)
    if not features.is_cuda:
        return F.conv2d(augmented, weight[:, :, None, None], bias)
    # On GPUs torch rounds the operands of convolutions to 10 bits by default, of matrix products it does not.
    flat = augmented.flatten(2)
    maps: Tensor = torch.baddbmm(bias[None, :, None], weight.expand(len(flat), -1, -1), flat)
    return maps.view(*maps.shape[:2], *features.shape[2:])


def peak_augmented(features: Tensor) -> Tensor:
    """Add HW times each channel's maximum back at its first arg-max position.

    The mean over positions of the result is average plus maximum pooling of ``features``.

    Args:
        features: ``[B, C, H, W]``.

    Returns:
        ``[B, C, H, W]``.
    """
    flat = features.flatten(2)
    peaks, positions = flat.max(dim=2, keepdim=True)
    return flat.scatter_add(2, positions, peaks * flat.shape[2]).view_as(features)


def certainty(activation_maps: Tensor, mode: CertaintyMode = "row") -> Tensor:
    """Measure how concentrated each node's activation is: the spread of its normalised map.

    Args:
        activation_maps: A, ``[B, R, H, W]``.
        mode: ``"row"`` subtracts the minimum of each row of the map, as the published code does;
            ``"global"`` subtracts the minimum of the whole map.

    Returns:
        Certainties s, ``[B, R]``, each in [0, 1].

    Raises:
        ValueError: If the maps are not four-dimensional or the mode is unknown.

    Example:
        >>> import torch
        >>> peaked = torch.zeros(1, 1, 2, 2)
        >>> peaked[0, 0, 0, 0] = 1.0
        >>> certainty(peaked)
        tensor([[0.5000]])
    """
    if activation_maps.dim() != 4:
        raise ValueError(f"activation maps must be [B, R, H, W], not {tuple(activation_maps.shape)}")
    if mode == "row":
        lowest = activation_maps.amin(dim=3, keepdim=True)
    elif mode == "global":
        lowest = activation_maps.amin(dim=(2, 3), keepdim=True)
    else:
        raise ValueError(f'certainty mode must be "row" or "global", not {mode!r}')
    if activation_maps.shape[2] * activation_maps.shape[3] == 1:
        # The sample deviation of a single position is undefined; one cell says nothing about spread.
        return activation_maps.new_zeros(activation_maps.shape[:2])
    raised = (activation_maps - lowest).flatten(2)
    total = raised.sum(dim=2, keepdim=True)
    positions = raised.shape[2]
    # std(a / sum) = std(a) / sum, and the deviation by way of a norm: several times faster than Tensor.std
    # on the largest tensor there is.
    raised -= total / positions  # in place: fresh memory of this size costs more than the arithmetic
    deviation: Tensor = torch.linalg.vector_norm(raised, dim=2) / math.sqrt(positions - 1)
    spread: Tensor = deviation / total.squeeze(2).clamp_min(_EPS)
    return spread


def _check(features: Tensor, weight: Tensor, bias: Tensor) -> None:
    if features.dim() != 4:
        raise ValueError(f"features must be [B, C, H, W], not {tuple(features.shape)}")
    if weight.dim() != 2 or weight.shape[1] != features.shape[1]:
        raise ValueError(
            f"weight must be [R, {features.shape[1]}] for these features, not {tuple(weight.shape)}"
        )
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be [{weight.shape[0]}], not {tuple(bias.shape)}")
