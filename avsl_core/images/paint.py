"""Paint over a part of a picture, with as little as possible that was not there before."""

from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.errors import ConfigError

__all__ = ["FILLS", "Fill", "cover", "fill_in", "paint_over"]

Fill = Literal["surroundings", "blur", "grey"]
"""What lies there afterwards: a smooth membrane over what is around it; the picture itself out of focus; or
one colour, which is itself a thing that was not there before."""

FILLS: tuple[str, ...] = get_args(Fill)

_FEATHER = 0.02  # of the picture's side: how far the edge of what is painted fades into the picture
_BLUR = 0.06  # standard deviation, of the picture's side
_RELAXATIONS = 32


def paint_over(
    picture: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    fill: Fill = "surroundings",
    *,
    grey: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> NDArray[np.uint8]:
    """Cover a part of a picture; its edge fades into the picture.

    Args:
        picture: RGB ``[H, W, 3]``.
        mask: ``[H, W]``: what is covered entirely. Around it the picture fades in over 2 % of its side;
            beyond, no pixel changes.
        fill: What lies there afterwards.
        grey: The colour of ``"grey"``, R, G, B in [0, 1].

    Raises:
        ConfigError: If there is no such fill.

    Example:
        >>> picture = np.full((8, 8, 3), 90, np.uint8)
        >>> picture[2:4, 2:4] = 255
        >>> bool((paint_over(picture, picture[..., 0] == 255) == 90).all())
        True
    """
    if fill not in FILLS:
        raise ConfigError(f"fill {fill!r}: give one of {', '.join(FILLS)}")
    covered = cover(mask, _FEATHER)
    pixels = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)
    if fill == "surroundings":
        painted = fill_in(pixels, 1.0 - covered)
    else:
        painted = torch.lerp(pixels, _cover_with(picture, fill, grey), covered)
    return painted.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def cover(mask: NDArray[np.bool_], reach: float) -> Tensor:
    """How far each pixel is covered: 1 in the mask, less and less around it, ``[H, W]`` float32 in [0, 1].

    Below 1 outside the mask, so that something is always left.

    Args:
        mask: ``[H, W]``, with something in it.
        reach: Where it has come down to 0, as a part of the longer side.

    Example:
        >>> cover(np.array([[True, False, False, False, False]]), 0.6)
        tensor([[1.0000, 0.7500, 0.5000, 0.2500, 0.0000]])
    """
    from scipy import ndimage  # takes long to import, and only painting needs it

    away = ndimage.distance_transform_edt(~mask)
    width = max(1.0, reach * max(mask.shape)) + 1.0
    return torch.from_numpy(np.clip(1.0 - away / width, 0.0, 1.0).astype(np.float32))


def fill_in(values: Tensor, known: Tensor) -> Tensor:
    """Fill what is not known smoothly from what is known around it.

    First coarse to fine, each pixel from the next coarser picture of what is known, then a few steps towards
    a membrane, in which each unknown value is the mean of its neighbours.

    Args:
        values: ``[C, H, W]``.
        known: How far each value holds, ``[H, W]`` in [0, 1], somewhere above 0; where it is 1 the value
            stays as it is.

    Returns:
        ``[C, H, W]``; within the range of the known values.

    Example:
        >>> fill_in(torch.tensor([[[1.0, 9.0, 3.0]]]), torch.tensor([[1.0, 0.0, 1.0]]))[0, 0, 1]
        tensor(2.)
    """
    weight = known.to(values)[None, None]
    given = values[None]
    filled = _coarse_to_fine(given, weight)
    for _ in range(_RELAXATIONS):
        filled = torch.lerp(_neighbours(filled), given, weight)
    return filled[0]


def _coarse_to_fine(values: Tensor, weight: Tensor) -> Tensor:
    """Values where they are known; elsewhere those of the same at half the size, as far down as it takes."""
    if weight.shape[2:] == (1, 1) or bool((weight >= 1).all()):
        return values
    held = _halved(weight)
    smaller = _halved(values * weight) / held.clamp_min(1e-12)
    # Four times the mean is the sum: a pixel of half the size is known once it holds one known pixel.
    coarse = _coarse_to_fine(smaller, (4.0 * held).clamp_max(1.0))
    larger = F.interpolate(coarse, size=values.shape[2:], mode="bilinear", align_corners=False)
    return torch.lerp(larger, values, weight)


def _halved(values: Tensor) -> Tensor:
    return F.avg_pool2d(values, 2, ceil_mode=True, count_include_pad=False)


def _neighbours(values: Tensor) -> Tensor:
    """The mean of the four neighbours; at an edge the value itself stands in for what lies beyond."""
    padded = F.pad(values, (1, 1, 1, 1), mode="replicate")
    up, down = padded[:, :, :-2, 1:-1], padded[:, :, 2:, 1:-1]
    left, right = padded[:, :, 1:-1, :-2], padded[:, :, 1:-1, 2:]
    return (up + down + left + right) / 4


def _cover_with(picture: NDArray[np.uint8], fill: Fill, grey: tuple[float, float, float]) -> Tensor:
    if fill == "grey":
        return 255.0 * torch.tensor(grey)[:, None, None].expand(-1, *picture.shape[:2])
    spread = _BLUR * max(picture.shape[:2])
    from scipy import ndimage  # takes long to import, and only painting needs it

    blurred = ndimage.gaussian_filter(picture.astype(np.float32), (spread, spread, 0), mode="nearest")
    return torch.from_numpy(blurred).permute(2, 0, 1)
