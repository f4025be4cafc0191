"""The learned function of a learned adaptation: from frozen features to the vectors that are compared."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsl_core.errors import DataError, EncodingError

__all__ = ["AdaptationHead", "AdaptationKind", "principal_components"]

AdaptationKind = Literal["original", "peterson", "dummy"]
"""ReLU(W x) as published; x * ReLU(w), one weight per feature (Peterson et al., 2018); or x itself."""


class AdaptationHead(nn.Module):
    """f, from features ``[B, D]`` to vectors ``[B, F]``: a PCA if asked for, then the adaptation.

    Everything but the ReLU is linear: f(x) = gain(x) * A (x - mean), with a gain of 0 or 1 for each output of
    the original kind. That is what lets a distance be divided among the parts of x.

    Args:
        features: D.
        kind: Which adaptation.
        width: Outputs of the original kind; the others have as many as they are given.
        pca: Components to keep before it; 0 for all features as they are.
        generator: Randomness of W; torch's own when None.
    """

    pca_mean: Tensor
    pca_components: Tensor
    pca_fitted: Tensor

    def __init__(
        self,
        features: int,
        *,
        kind: AdaptationKind = "original",
        width: int = 1024,
        pca: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.features, self.kind, self.pca = features, kind, pca
        seen = pca or features
        self.outputs = width if kind == "original" else seen
        if pca:
            self.register_buffer("pca_mean", torch.zeros(features))
            self.register_buffer("pca_components", torch.zeros(pca, features))
            self.register_buffer("pca_fitted", torch.zeros((), dtype=torch.bool))
        if kind == "original":
            bound = 1 / math.sqrt(seen)  # as torch begins a linear layer
            start = torch.empty(width, seen).uniform_(-bound, bound, generator=generator)
            self.weight = nn.Parameter(start)
        elif kind == "peterson":
            self.weight = nn.Parameter(torch.ones(seen))

    def forward(self, features: Tensor) -> Tensor:
        """f(x), ``[B, F]``, not normalised.

        Raises:
            EncodingError: If there is a PCA that was never fitted.
        """
        linear = self.linear(features)
        if self.kind == "original":
            return linear.relu()
        return linear * self.weight.relu().to(linear) if self.kind == "peterson" else linear

    def linear(self, features: Tensor) -> Tensor:
        """A (x - mean), ``[B, F]``: what the ReLU or the weights of the features are applied to."""
        reduced = self.reduce(features)
        return F.linear(reduced, self.weight.to(reduced)) if self.kind == "original" else reduced

    def gains(self, features: Tensor) -> Tensor:
        """What each output of the linear part counts for these features, ``[B, F]`` or ``[1, F]``."""
        if self.kind == "original":
            return (self.linear(features) > 0).to(features)
        if self.kind == "peterson":
            return self.weight.relu().to(features)[None]
        return features.new_ones(1, self.outputs)

    def pull_back(self, coefficients: Tensor) -> Tensor:
        """From coefficients of the linear part's outputs, ``[B, F]``, to the features', ``[B, D]``."""
        if self.kind == "original":
            coefficients = coefficients @ self.weight.to(coefficients)
        if self.pca:
            coefficients = coefficients @ self.pca_components.to(coefficients)
        return coefficients

    def mean(self, features: Tensor) -> Tensor:
        """What is taken off the features first, ``[D]``: the PCA's mean, or zero."""
        return self.pca_mean.to(features) if self.pca else features.new_zeros(self.features)

    @torch.no_grad()
    def fit_pca(self, features: Tensor) -> None:
        """Learn the PCA from features ``[N, D]`` of the training part.

        Raises:
            DataError: If there are too few.
        """
        mean, components = principal_components(features, self.pca)
        self.pca_mean.copy_(mean)
        self.pca_components.copy_(components)
        self.pca_fitted.fill_(True)

    def reduce(self, features: Tensor) -> Tensor:
        """The features on their principal components, ``[B, pca]``; as they are where there is no PCA.

        Raises:
            EncodingError: If there is a PCA that was never fitted.
        """
        if not self.pca:
            return features
        if not bool(self.pca_fitted):
            raise EncodingError(
                "the model's PCA was never fitted: train it with `adapt`, or load a trained checkpoint"
            )
        return F.linear(features - self.pca_mean.to(features), self.pca_components.to(features))


def principal_components(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The directions along which features vary most.

    Args:
        features: ``[N, D]``, more than ``count`` of them.
        count: How many, at most D.

    Returns:
        The mean ``[D]`` and orthonormal directions ``[count, D]``, each with its largest entry positive.

    Raises:
        DataError: If there are too few pictures or features for so many.

    Example:
        >>> mean, components = principal_components(torch.tensor([[0.0, 1.0], [4.0, 1.0], [8.0, 1.0]]), 1)
        >>> mean.tolist(), components.tolist()
        ([4.0, 1.0], [[1.0, 0.0]])
    """
    pictures, width = features.shape
    if not 1 <= count <= min(pictures - 1, width):
        raise DataError(
            f"a PCA to {count} numbers needs more than {count} training pictures and at least {count} "
            f"features; there are {pictures} and {width}: set a smaller pca"
        )
    values = features.double()
    mean = values.mean(dim=0)
    centred = values - mean
    if pictures <= width:
        # The smaller of the two products has the same directions, by way of the pictures.
        among = torch.linalg.eigh(centred @ centred.T).eigenvectors.flip(1)[:, :count]
        components = torch.linalg.qr((among.T @ centred).T).Q.T
    else:
        components = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1).T[:count]
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return mean.to(features), (components * largest.sign()).to(features)
