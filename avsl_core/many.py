"""Compare many pictures with one another: all their distances, and how they group.

Every picture is encoded once; the distances of N pictures are one N x N matrix.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avsl_core.checkpoint import Checkpoint
from avsl_core.comparison import EncodedPicture
from avsl_core.errors import ConfigError
from avsl_core.models import Encoding

__all__ = ["FEWEST", "MOST", "ManyComparison", "Pair", "compare_many"]

FEWEST, MOST = 2, 50
"""How many pictures can be compared at once."""

_NOISE = 1e-4  # what the two directions of one pair may differ by in float32, of the greatest distance


@dataclass(frozen=True)
class Pair:
    """Two of the pictures.

    Attributes:
        a: Index of the first.
        b: Of the second.
        distance: From the first to the second.
    """

    a: int
    b: int
    distance: float


@dataclass(frozen=True, eq=False)
class ManyComparison:
    """All distances of a set of pictures.

    Attributes:
        distances: ``[N, N]`` float64: row i, column j from picture i, as the first, to picture j, as the
            second. A picture's distance to itself is 0 only where the method finds none.
        symmetric: Whether both directions of every pair are equal; a method that looks at the two sides
            differently makes the two halves of the matrix differ.
        linkage: How the pictures group, ``[N - 1, 4]`` as SciPy has it: average linkage of the mean of both
            directions.
        order: The pictures' indices, such that those that group together are neighbours.
    """

    distances: NDArray[np.float64]
    symmetric: bool
    linkage: NDArray[np.float64]
    order: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.order)

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Mean distance of each picture to all others, in both directions, ``[N]``."""
        both = (self.distances + self.distances.T) / 2
        np.fill_diagonal(both, 0.0)
        result: NDArray[np.float64] = both.sum(axis=1) / (len(self) - 1)
        return result

    @property
    def closest(self) -> Pair:
        """The two that are most alike."""
        return self._pair(np.inf, np.argmin)

    @property
    def farthest(self) -> Pair:
        """The two that are most different."""
        return self._pair(-np.inf, np.argmax)

    @property
    def odd_one_out(self) -> int | None:
        """The picture that is farthest from all others on average; None of two, or where all are equal."""
        if len(self) < 3 or np.ptp(self.means) <= _NOISE * self.means.max():
            return None
        return int(self.means.argmax())

    def _pair(self, beyond: float, choose: Any) -> Pair:
        apart = self.distances.copy()
        np.fill_diagonal(apart, beyond)
        a, b = divmod(int(choose(apart)), len(self))
        return Pair(a, b, float(self.distances[a, b]))


def compare_many(
    checkpoint: Checkpoint, pictures: Sequence[EncodedPicture] | Sequence[Encoding] | Encoding
) -> ManyComparison:
    """Measure every picture against every other.

    Args:
        checkpoint: The model that encoded them.
        pictures: From 2 to 50: encoded pictures, encodings of one picture each, or one encoding of them all.

    Returns:
        The distances as the method has them in both directions, and how the pictures group.

    Raises:
        ConfigError: If there are too few or too many, or a distance is not a number.
        EncodingError: If they do not fit together or the model.
    """
    encoding = pictures if isinstance(pictures, Encoding) else _joined(pictures)
    if not FEWEST <= len(encoding) <= MOST:
        raise ConfigError(f"{len(encoding)} pictures to compare with one another; give {FEWEST} to {MOST}")
    with torch.inference_mode():
        measured = checkpoint.model.distance_matrix(encoding, encoding)
    distances: NDArray[np.float64] = measured.double().clamp_min(0.0).cpu().numpy()
    if not np.isfinite(distances).all():
        raise ConfigError("a distance is not a number: the checkpoint cannot measure these pictures")
    both = (distances + distances.T) / 2
    symmetric = bool(np.abs(distances - both).max() <= _NOISE * distances.max())
    if symmetric:
        distances = both
    # They take long to import, and only this needs them.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    links = linkage(squareform(both, checks=False), "average", optimal_ordering=True)
    return ManyComparison(distances, symmetric, links, tuple(int(leaf) for leaf in leaves_list(links)))


def _joined(pictures: Sequence[Any]) -> Encoding:
    if not FEWEST <= len(pictures) <= MOST:  # before anything large is put together
        raise ConfigError(f"{len(pictures)} pictures to compare with one another; give {FEWEST} to {MOST}")
    encodings = [_without_maps(p.encoding if isinstance(p, EncodedPicture) else p) for p in pictures]
    return type(encodings[0]).concatenate(encodings)


def _without_maps(encoding: Encoding) -> Encoding:
    """Leave behind what only an account of one pair needs: it is by far the most."""
    changes: dict[str, Any] = {}
    for spec in dataclasses.fields(encoding):
        value = getattr(encoding, spec.name)
        if spec.name == "maps":
            changes[spec.name] = None
        elif isinstance(value, Encoding):
            changes[spec.name] = _without_maps(value)
    return dataclasses.replace(encoding, **changes)
