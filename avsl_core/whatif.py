"""What if a part were not there? Paint it over, measure anew, and compare with what could be foretold.

The prediction comes from what the encoding keeps, without a pass of the network: under the paint, where
nothing is left to answer to, the cells of the kept maps are emptied, and the method's own heads and measure
do the rest. Cells nearby are emptied in part, since they look into the part as well. How well that foretells
the measurement, and how well other formulas do, is measured by ``benchmarks/what_if.py``. The plain sum of
the account's maps over the part, ``attributed``, says where the distance lies; a forecast it is not.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import EncodedPicture
from avsl_core.errors import ConfigError, EncodingError
from avsl_core.explain.total import total_maps
from avsl_core.images.paint import Fill, cover, paint_over
from avsl_core.models import Encoding, Explanation, SimilarityModel

__all__ = ["Side", "WhatIf", "emptied", "kept_maps", "what_if"]

Side = Literal["a", "b"]

_REACH = 0.08  # of the crop's side: how far around the part cells are emptied in part


@dataclass(frozen=True, eq=False)
class WhatIf:
    """One pair, and the same pair with a part of one picture painted over.

    Attributes:
        distance: Of the pair as it is.
        painted: Measured: of the pair with the part painted over.
        predicted: Foretold for ``painted``, without a pass of the network.
        attributed: What the account of the pair as it is puts there: the sum of its maps over the part.
        side: Whose part it is.
        mask: What was painted over, bool ``[S, S]`` on the crop.
        covered: Its share of the crop, in (0, 1).
        picture: The painted picture, encoded: for comparing on.
    """

    distance: float
    painted: float
    predicted: float
    attributed: float
    side: Side
    mask: NDArray[np.bool_]
    covered: float
    picture: EncodedPicture

    @property
    def crop(self) -> NDArray[np.uint8]:
        """The painted picture as the network saw it, uint8 RGB ``[S, S, 3]``."""
        return self.picture.crop

    @property
    def change(self) -> float:
        """Measured: positive where the pair is farther apart without the part."""
        return self.painted - self.distance

    @property
    def predicted_change(self) -> float:
        """Foretold for :attr:`change`."""
        return self.predicted - self.distance


def what_if(
    checkpoint: Checkpoint,
    a: EncodedPicture,
    b: EncodedPicture,
    side: Side,
    mask: NDArray[np.bool_],
    *,
    fill: Fill = "surroundings",
    explanation: Explanation | None = None,
) -> WhatIf:
    """Paint over a part of one picture and measure the pair again.

    One pass of the network, for the painted picture.

    Args:
        checkpoint: The model that encoded both, with its preprocessing.
        a: First picture, encoded with its maps.
        b: Second picture.
        side: Whose part: ``"a"`` or ``"b"``.
        mask: The part, ``[h, w]`` over the crop, of any size: it is brought to the crop's.
        fill: What lies there afterwards, see :data:`avsl_core.images.paint.Fill`.
        explanation: Of the pair, if it is at hand; otherwise it is made.

    Raises:
        ConfigError: If the side or the fill is unknown, or the mask is not one of a part: empty, or over
            everything.
        EncodingError: If an encoding is not this model's, or was made without its maps.
    """
    if side not in ("a", "b"):
        raise ConfigError(f'side {side!r}: give "a" for the first picture or "b" for the second')
    model, preprocess = checkpoint.model, checkpoint.preprocess
    chosen = a if side == "a" else b
    part = _on_crop(mask, *chosen.crop.shape[:2])
    crop = paint_over(chosen.crop, part, fill, grey=preprocess.mean)
    explanation = explanation or model.explain(a.encoding, b.encoding)
    foretold = emptied(model, chosen.encoding, part)
    with torch.inference_mode():
        images = preprocess.normalize(crop)[None].to(model.device)
        encoding = model.encode(images.contiguous(memory_format=torch.channels_last))
        pairs = [(one, b.encoding) if side == "a" else (a.encoding, one) for one in (encoding, foretold)]
        distance, painted, predicted = (
            float(model.distance(*pair)) for pair in [(a.encoding, b.encoding), *pairs]
        )
    return WhatIf(
        distance=distance,
        painted=painted,
        predicted=predicted,
        attributed=_attributed(explanation, side, part),
        side=side,
        mask=part,
        covered=float(part.mean()),
        picture=EncodedPicture(crop, encoding),
    )


@torch.inference_mode()
def emptied(
    model: SimilarityModel, encoding: Encoding, mask: NDArray[np.bool_], *, reach: float = _REACH
) -> Encoding:
    """Encode a picture without a part from the maps that its encoding keeps: no pass of the network.

    Args:
        model: The model that encoded.
        encoding: Of one picture.
        mask: The part, ``[S, S]`` over the crop.
        reach: How far around the part cells are emptied in part, of the crop's side.

    Raises:
        EncodingError: If the encoding was made without its maps.
    """
    left = 1.0 - cover(mask, reach).to(model.device)
    maps = [m * AF.mean_in_cells(left, (m.shape[2], m.shape[3])) for m in kept_maps(encoding)]
    return model.encode_maps(maps)


def _on_crop(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels of the crop that lie half under the mask or more; where none does, all that it touches."""
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ConfigError(f"the mask must be true or false, [h, w], not {mask.dtype} {list(mask.shape)}")
    if not mask.any():
        raise ConfigError("Nothing is painted yet: mark the part that is to be painted over")
    under = AF.mean_in_cells(torch.from_numpy(mask).double(), (height, width)).numpy()
    # What the sums of areas leave of rounding must not decide about a half.
    part: NDArray[np.bool_] = under > 0.5 - 1e-9
    if not part.any():
        part = under > 0
    if part.all():
        raise ConfigError("the mask covers the whole picture: leave something to compare")
    return part


def kept_maps(encoding: Encoding) -> list[Tensor]:
    """The trunk's maps that an encoding keeps, as its method's ``encode_maps`` takes them.

    Raises:
        EncodingError: If it was made without them.
    """
    holder: Any = getattr(encoding, "base", encoding)  # a matching over another method keeps that one's
    maps: Tensor | tuple[Tensor, ...] | None = getattr(holder, "maps", None)
    if maps is None:
        raise EncodingError("painting over needs the maps: encode with keep_maps=True")
    return [maps] if isinstance(maps, Tensor) else list(maps)


def _attributed(explanation: Explanation, side: Side, part: NDArray[np.bool_]) -> float:
    """Sum the account's maps of one side over a part of the crop; a cell counts as far as it is covered."""
    values = total_maps(explanation)[0 if side == "a" else 1].cpu()
    share = AF.mean_in_cells(torch.from_numpy(part).double(), (values.shape[0], values.shape[1]))
    return float((values * share).sum())
