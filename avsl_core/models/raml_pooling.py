"""The poolings that RAML chooses from by name, each with its cells' shares."""

from typing import Literal

from torch import Tensor

from avsl_core import functional as AF

__all__ = ["RamlPooling", "pool", "pool_shares"]

RamlPooling = Literal["gem", "gemmp", "mac", "spoc", "rmac"]
"""Generalised mean with one exponent, with one for each channel, maximum, mean, or regional maxima."""


def pool(features: Tensor, pooling: RamlPooling, exponent: Tensor | None = None) -> Tensor:
    """Pool a map.

    Args:
        features: ``[B, C, H, W]``.
        pooling: How.
        exponent: p of the generalised mean, ``[1]`` or ``[C]``; the others have none.

    Returns:
        ``[B, C]``.
    """
    if exponent is not None:
        return AF.generalized_mean(features, exponent)
    if pooling == "rmac":
        return AF.regional_max(features)
    return AF.global_descriptor(features, "M" if pooling == "mac" else "S")


def pool_shares(features: Tensor, pooling: RamlPooling, exponent: Tensor | None = None) -> Tensor:
    """What each cell adds to :func:`pool`, ``[B, C, H, W]``; sums to it."""
    if exponent is not None:
        return AF.generalized_mean_shares(features, exponent)
    if pooling == "rmac":
        return AF.regional_max_shares(features)
    return AF.descriptor_shares(features, "M" if pooling == "mac" else "S")
