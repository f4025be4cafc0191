"""The distance of a pair as a function that can be differentiated all the way to the pixels.

AVSL's encoding treats certainties as constants, as its training does. Gradient explanations are owed the
whole function: here the reliability gates take part, or integrated gradients could not be complete.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.errors import EncodingError
from avsl_core.models import AvslModel, Encoding, Role, SimilarityModel
from avsl_core.models.avsl import AvslEncoding

__all__ = ["check_single", "distance_of", "encode_differentiably"]


def encode_differentiably(model: SimilarityModel, maps: Sequence[Tensor], role: Role) -> Encoding:
    """Encode from the trunk's maps without the explanation's maps, every number with its gradient.

    Args:
        model: In evaluation mode.
        maps: The trunk's maps, ``[B, C, H, W]`` per level.
        role: Side of the comparison.

    Returns:
        The same numbers as ``model.encode_maps``.
    """
    if not isinstance(model, AvslModel):
        return model.encode_maps(maps, role, keep_maps=False)
    heads = list(zip(maps, model.projections, model.biases, strict=True))
    embeddings = [AF.project(*head) for head in heads]
    return AvslEncoding(
        nodes=tuple(F.normalize(e, dim=1) for e in embeddings),
        norms=tuple(e.norm(dim=1).clamp_min(1e-12) for e in embeddings),
        certainties=tuple(AF.certainty(AF.activation_map(*head), model.config.certainty) for head in heads),
    )


def distance_of(model: SimilarityModel, images: Tensor, other: Encoding, role: Role) -> Tensor:
    """Distance of each of several pictures from one other picture.

    Args:
        model: In evaluation mode.
        images: ``[B, 3, S, S]``, normalised; may require a gradient.
        other: Encoding of the one picture on the other side.
        role: Side of ``images``.

    Returns:
        ``[B]``.
    """
    laid_out = images.contiguous(memory_format=torch.channels_last)
    own = encode_differentiably(model, model.trunk_maps(laid_out), role)
    return model.distance(own, other) if role == "query" else model.distance(other, own)


def check_single(*images: Tensor) -> None:
    """Refuse anything but one picture a side: gradients of several would be mixed without a word.

    Raises:
        EncodingError: Saying the shape that was given.
    """
    for side in images:
        if side.dim() != 4 or side.shape[:2] != (1, 3):
            raise EncodingError(f"explaining takes one picture a side, [1, 3, S, S], not {tuple(side.shape)}")
