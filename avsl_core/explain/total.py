"""All components of an explanation as one map per picture, nothing lost."""

from collections.abc import Sequence

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.explanation import Explanation

__all__ = ["resize_conserving", "sum_of_maps", "total_maps"]


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
    height, width = max(m.shape[0] for m in maps), max(m.shape[1] for m in maps)
    return torch.stack([resize_conserving(m, height, width) for m in maps]).sum(dim=0)


def resize_conserving(values: Tensor, height: int, width: int) -> Tensor:
    """Bring a map to another grid by area: every cell's value is spread evenly over the area it covers.

    Args:
        values: ``[H, W]``.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        ``[height, width]`` with the same sum, also where the grids do not divide.

    Example:
        >>> resize_conserving(torch.tensor([[4.0, 8.0]]), 2, 2)
        tensor([[2., 4.],
                [2., 4.]])
    """
    return AF.regrid(values, (height, width))
