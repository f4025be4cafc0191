"""All components of an explanation as one map per picture, nothing lost."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.explanation import Explanation

__all__ = ["balance_words", "sum_of_maps", "total_maps"]


def total_maps(explanation: Explanation) -> tuple[Tensor, Tensor]:
    """Add up the components' maps.

    Returns:
        One signed map for each picture, on the finest grid among its components; the two sum to the total
        less the residual.
    """
    return (
        sum_of_maps([component.map_a for component in explanation.components]),
        sum_of_maps([component.map_b for component in explanation.components]),
    )


def sum_of_maps(maps: Sequence[Tensor]) -> Tensor:
    """Add maps of different resolution on the finest grid among them.

    Args:
        maps: At least one, ``[H, W]`` each.

    Returns:
        ``[max H, max W]``; its sum is the sum of all the maps.
    """
    grid = max(m.shape[0] for m in maps), max(m.shape[1] for m in maps)
    return torch.stack([AF.regrid(m, grid) for m in maps]).sum(dim=0)


def balance_words(maps: Sequence[Tensor]) -> str:
    """What maps of one picture do, in figures.

    Args:
        maps: ``[H, W]`` each; what pushes and what pulls is added up over all of them.

    Example:
        >>> balance_words([torch.tensor([[0.5, 0.0]])])
        'pushes apart 0.500, pulls together 0.000'
    """
    apart = sum(float(values.clamp_min(0).sum()) for values in maps)
    together = sum(float((-values).clamp_min(0).sum()) for values in maps)
    return f"pushes apart {apart:.3f}, pulls together {together:.3f}"
