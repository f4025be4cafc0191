"""Methods that compare one vector per picture by squared Euclidean distance."""

from typing import ClassVar

import torch
from torch import Tensor

from avsl_core import functional as AF
from avsl_core.models.base import Encoding, Role, SimilarityModel, check_counts

__all__ = ["EuclideanModel"]


class EuclideanModel(SimilarityModel):
    """A method whose distance is ``scale * |u - v|^2``.

    Attributes:
        scale: 1, or 1/2 where the distance of unit vectors is one less their cosine.
    """

    scale: ClassVar[float] = 1.0

    def compared(self, encoding: Encoding, role: Role) -> Tensor:
        """What is compared of pictures on one side, ``[B, D]``; the same on both unless a method says other.

        Args:
            encoding: Of B pictures.
            role: The side that they stand on.
        """
        return self.node_vectors(encoding)

    def distance(self, a: Encoding, b: Encoding) -> Tensor:
        """Measure pairs, ``[B]`` in [0, 4 scale]; a batch of one is compared with each of the other side.

        Args:
            a: On the queries' side.
            b: On the gallery's side.

        Raises:
            EncodingError: If the batches do not go together.
        """
        check_counts(a, b)
        # For unit vectors at scale 1/2 the same as 1 - u.v, and never below zero.
        return (self.compared(a, "query") - self.compared(b, "gallery")).square().sum(dim=1) * self.scale

    def distance_matrix(self, a: Encoding, b: Encoding, *, byte_budget: int = 256 * 2**20) -> Tensor:
        """Measure all of a against all of b, ``[N, M]``.

        One matrix product, whose result is held as a whole: ``byte_budget`` does not divide it.
        """
        x, y = self.compared(a, "query"), self.compared(b, "gallery")
        return AF.weighted_squared_distance(x, y, torch.full_like(x, self.scale))
