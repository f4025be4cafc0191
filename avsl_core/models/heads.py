"""How projections begin, shared by the methods that have them."""

import torch
from torch import Tensor, nn

__all__ = ["kaiming_fan_out"]


def kaiming_fan_out(shape: tuple[int, int], generator: torch.Generator | None) -> Tensor:
    """Draw a projection ``[R, C]`` as the published code draws its 1x1 convolution.

    Args:
        shape: R nodes and C channels.
        generator: Source of randomness; torch's own when None.
    """
    # As a 1x1 convolution [R, C, 1, 1]: fan_out is R.
    weight = torch.empty(shape[0], shape[1], 1, 1)
    nn.init.kaiming_normal_(weight, mode="fan_out", generator=generator)
    return weight[:, :, 0, 0]
