"""Pooling a feature map into one vector, and what each cell adds to that vector.

Sources: GeM, Radenovic et al., *Fine-tuning CNN Image Retrieval with No Human Annotation*, TPAMI 2018; R-MAC,
Tolias et al., ICLR 2016; the descriptors S (SPoC), M (MAC) and G (GeM) of CGD, Jun et al., *Combination of
Multiple Global Descriptors for Image Retrieval*, 2019.

Every pooling here has a twin that spreads its result over the cells: their sum is the pooled vector. That is
what makes the explanations of pooled methods exact.
"""

import math
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "Descriptor",
    "descriptor_shares",
    "generalized_mean",
    "generalized_mean_shares",
    "global_descriptor",
    "max_pool_shares",
    "regional_max",
    "regional_max_shares",
]

Descriptor = Literal["S", "M", "G"]
"""Mean (SPoC), maximum (MAC) or cubic generalised mean (GeM) of a map."""

_EPS = 1e-6
_CUBE = 3.0
_REGION_LEVELS = 3
_OVERLAP = 0.4


def generalized_mean(features: Tensor, p: Tensor | float = 3.0) -> Tensor:
    """GeM: the p-mean over positions, with negative values cut off at 1e-6.

    Args:
        features: ``[B, C, H, W]``.
        p: Exponent: a number, or ``[C]`` with one per channel (GeMmp). 1 is the mean; the larger, the nearer
            to the maximum. Below 0.01 it counts as 0.01.

    Returns:
        ``[B, C]``, positive.

    Example:
        >>> generalized_mean(torch.tensor([[[[1.0, 7.0]]]]), p=1.0)
        tensor([[4.]])
    """
    exponent = _per_channel(p, features)
    highest, powers = _powers(features, exponent)
    return highest * powers.mean(dim=(2, 3)).pow(1.0 / exponent[..., 0, 0])


def generalized_mean_shares(features: Tensor, p: Tensor | float = 3.0) -> Tensor:
    """What each position adds to :func:`generalized_mean`, by its share of the sum of powers.

    Returns:
        ``[B, C, H, W]``; sums over positions to the pooled ``[B, C]``.
    """
    _, powers = _powers(features, _per_channel(p, features))
    return generalized_mean(features, p)[..., None, None] * powers / powers.sum(dim=(2, 3), keepdim=True)


def global_descriptor(features: Tensor, kind: Descriptor) -> Tensor:
    """One of CGD's three descriptors.

    Args:
        features: ``[B, C, H, W]``.
        kind: ``"S"`` mean, ``"M"`` maximum, ``"G"`` signed cube root of the mean cube.

    Returns:
        ``[B, C]``.

    Raises:
        ValueError: If there is no such descriptor.

    Example:
        >>> features = torch.tensor([[[[-1.0, 3.0]]]])
        >>> [round(global_descriptor(features, kind).item(), 4) for kind in "SMG"]
        [1.0, 3.0, 2.3513]
    """
    if kind == "S":
        return features.mean(dim=(2, 3))
    if kind == "M":
        return features.amax(dim=(2, 3))
    if kind == "G":
        mean = features.pow(3).mean(dim=(2, 3))
        # The root's slope is infinite at zero: kept from there, so that a dead channel gives no NaN.
        return mean.sign() * mean.abs().clamp_min(_EPS**_CUBE).pow(1.0 / _CUBE)
    raise ValueError(f'kind must be "S", "M" or "G", not {kind!r}')


def descriptor_shares(features: Tensor, kind: Descriptor) -> Tensor:
    """What each position adds to :func:`global_descriptor`.

    S is shared by value, M belongs to the first position of the maximum, G is shared by the cubes.

    Args:
        features: ``[B, C, H, W]``.
        kind: As of :func:`global_descriptor`.

    Returns:
        ``[B, C, H, W]``; sums over positions to the descriptor.

    Raises:
        ValueError: If there is no such descriptor.
    """
    cells = features.shape[2] * features.shape[3]
    if kind == "S":
        return features / cells
    if kind == "M":
        return max_pool_shares(features)
    pooled = global_descriptor(features, kind)[..., None, None]
    cubes = features.pow(3)
    total = cubes.sum(dim=(2, 3), keepdim=True)
    # Cubes that cancel have no shares to speak of: what little they come to is spread evenly.
    gross = cubes.abs().sum(dim=(2, 3), keepdim=True)
    fair = total.abs() > 1e-6 * gross + cells * _EPS**_CUBE
    return pooled * torch.where(fair, cubes / torch.where(fair, total, 1.0), 1.0 / cells)


def max_pool_shares(features: Tensor) -> Tensor:
    """The maximum of each channel at its first position, zero elsewhere, ``[B, C, H, W]``."""
    flat = features.flatten(2)
    at = flat.argmax(dim=2, keepdim=True)
    return torch.zeros_like(flat).scatter_(2, at, flat.gather(2, at)).view_as(features)


def regional_max(features: Tensor) -> Tensor:
    """R-MAC: maxima of square regions at three scales, each normalised, added up.

    Args:
        features: ``[B, C, H, W]``.

    Returns:
        ``[B, C]``, not normalised.
    """
    return torch.stack([_unit(region.amax(dim=(2, 3))) for region, _ in _regions(features)]).sum(dim=0)


def regional_max_shares(features: Tensor) -> Tensor:
    """What each position adds to :func:`regional_max`, ``[B, C, H, W]``; sums to it."""
    shares = torch.zeros_like(features)
    for region, (rows, columns) in _regions(features):
        length = region.amax(dim=(2, 3)).norm(dim=1).clamp_min(1e-12)
        shares[:, :, rows, columns] += max_pool_shares(region) / length[:, None, None, None]
    return shares


def _regions(features: Tensor) -> Iterator[tuple[Tensor, tuple[slice, slice]]]:
    """Square regions of R-MAC with 40 % overlap, from the largest to the smallest."""
    height, width = features.shape[2:]
    short, long = min(height, width), max(height, width)
    # As many regions along the longer side as make the overlap closest to 40 %.
    counts = range(1, 8)
    extra = 0
    if long > short:
        steps = [(long - short) / count for count in counts]
        extra = min(counts, key=lambda n: abs((short - steps[n - 1]) / short - _OVERLAP))
    for level in range(1, _REGION_LEVELS + 1):
        side = max(1, math.floor(2 * short / (level + 1)))
        down = level + (extra if height > width else 0)
        across = level + (extra if width > height else 0)
        for top in _starts(height, side, down):
            for left in _starts(width, side, across):
                place = slice(top, top + side), slice(left, left + side)
                yield features[:, :, place[0], place[1]], place


def _starts(length: int, side: int, count: int) -> list[int]:
    if count == 1:
        return [(length - side) // 2]
    return [math.floor(index * (length - side) / (count - 1)) for index in range(count)]


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors, dim=1)


def _powers(features: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Each channel's highest value, ``[B, C]``, and the powers of the values divided by it.

    So that the largest power is 1: neither a dead channel nor a large exponent leaves the number range.
    """
    positive = features.clamp_min(_EPS)
    highest = positive.amax(dim=(2, 3), keepdim=True).detach()
    return highest[..., 0, 0], (positive / highest).pow(exponent)


def _per_channel(p: Tensor | float, features: Tensor) -> Tensor:
    return (
        torch.as_tensor(p, dtype=features.dtype, device=features.device).reshape(1, -1, 1, 1).clamp_min(0.01)
    )
