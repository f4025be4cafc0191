"""Compare two pictures: the one call behind the command line and the app."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from avsl_core.checkpoint import Checkpoint
from avsl_core.encoding import load_for
from avsl_core.explain.verdict import Verdict, judge
from avsl_core.images import ImageSource
from avsl_core.models import Encoding, Explanation, Role

__all__ = ["Comparison", "EncodedPicture", "compare", "compare_encoded", "encode_crop", "encode_picture"]


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """A picture as the model saw it, ready for any number of comparisons.

    Attributes:
        crop: The square the network saw, uint8 RGB ``[S, S, 3]``: heatmaps are drawn on this.
        encoding: Of this one picture.
    """

    crop: NDArray[np.uint8]
    encoding: Encoding


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two pictures, their distance, what it means and why.

    Attributes:
        a: First picture.
        b: Second picture.
        explanation: The account of the distance.
        verdict: The distance in words.
    """

    a: EncodedPicture
    b: EncodedPicture
    explanation: Explanation
    verdict: Verdict

    @property
    def distance(self) -> float:
        """The total distance; smaller is closer."""
        return self.explanation.total


def encode_picture(
    checkpoint: Checkpoint, picture: ImageSource, *, role: Role | None = None, name: str | None = None
) -> EncodedPicture:
    """Decode and encode one picture.

    Args:
        checkpoint: Model and preprocessing.
        picture: A path, bytes, an open file, a PIL picture or an array.
        role: Side of the comparison; None for either.
        name: What messages call the picture.

    Raises:
        ImageError: If the picture cannot be read.
    """
    preprocess = checkpoint.preprocess
    return encode_crop(checkpoint, preprocess.crop(load_for(preprocess, picture, name=name)), role=role)


def encode_crop(
    checkpoint: Checkpoint, crop: NDArray[np.uint8], *, role: Role | None = None
) -> EncodedPicture:
    """Encode a picture that ``checkpoint.preprocess.crop`` has already cut and scaled for the network.

    Args:
        checkpoint: Model and preprocessing.
        crop: uint8 RGB ``[S, S, 3]``.
        role: Side of the comparison; None for either.
    """
    images = checkpoint.preprocess.normalize(crop)[None].to(checkpoint.model.device)
    with torch.inference_mode():
        encoding = checkpoint.model.encode(images.contiguous(memory_format=torch.channels_last), role)
    return EncodedPicture(crop, encoding)


def compare_encoded(checkpoint: Checkpoint, a: EncodedPicture, b: EncodedPicture) -> Comparison:
    """Compare two encoded pictures: no pass of the network."""
    explanation = checkpoint.model.explain(a.encoding, b.encoding)
    return Comparison(a, b, explanation, judge(explanation.total, checkpoint.pairs))


def compare(checkpoint: Checkpoint, a: ImageSource, b: ImageSource) -> Comparison:
    """Decode, encode and compare two pictures.

    Raises:
        ImageError: If a picture cannot be read.
    """
    return compare_encoded(checkpoint, encode_picture(checkpoint, a), encode_picture(checkpoint, b))
