"""Deletion and insertion on the distance of a pair: does removing what pushes two pictures apart unite them?

In the spirit of RISE (Petsiuk et al., BMVC 2018, section 4.2), which follows a class score while a
picture loses, or regains, what a map calls important. Here both pictures do, each by its own map, and what
is followed is their distance: by deletion it should fall at once, by insertion rise at once. What is taken
away is replaced by a heavy blur, so that no new edge or colour comes in from outside.

Two pictures that agree everywhere but in one part are a special case: to hide a place in only one of them
is to make a difference that was not there, and the distance rises to several times its value whatever a map
says. Such pairs are perturbed at the same places in both (``aligned``), by the sum of both maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from avsl_core.errors import ConfigError
from avsl_core.faithfulness.maps import PairMaps, densities
from avsl_core.models import SimilarityModel

__all__ = ["FRACTIONS", "Curves", "area_under", "blurred", "perturb"]

FRACTIONS: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
"""Shares of both pictures that are taken away, or given back."""

_BLUR = 0.1  # standard deviation over the side: shape and texture go, the mean colour of a region stays


@dataclass(frozen=True)
class Curves:
    """Distances of one pair on the way.

    Attributes:
        fractions: Share of both pictures perturbed so far, from 0 to 1.
        deletion: Distance after the top share is blurred; starts at the pair's own distance.
        insertion: Distance after the top share of the blurred pictures is restored; ends at the pair's own.
    """

    fractions: tuple[float, ...]
    deletion: tuple[float, ...]
    insertion: tuple[float, ...]

    @property
    def original(self) -> float:
        """Distance of the pair as it is."""
        return self.deletion[0]

    @property
    def blurred(self) -> float:
        """Distance when nothing but the blur is left of both."""
        return self.deletion[-1]

    @property
    def deletion_area(self) -> float:
        """Mean distance along the deletion, in the distance's units; lower is better."""
        return area_under(self.fractions, self.deletion)

    @property
    def insertion_area(self) -> float:
        """Mean distance along the insertion, in the distance's units; higher is better."""
        return area_under(self.fractions, self.insertion)


@torch.inference_mode()
def perturb(
    model: SimilarityModel,
    images_a: Tensor,
    images_b: Tensor,
    maps: PairMaps,
    *,
    aligned: bool = False,
    fractions: Sequence[float] = FRACTIONS,
) -> Curves:
    """Follow the distance of a pair while both pictures lose, or regain, what the maps rank highest.

    Args:
        model: In evaluation mode.
        images_a: ``[1, 3, S, S]``, normalised.
        images_b: ``[1, 3, S, S]``.
        maps: Ranks the positions of each picture; only the order matters.
        aligned: The pictures show the same scene, place for place: both are perturbed at the same places,
            ranked by the sum of the two maps.
        fractions: Rising from 0 to 1.

    Raises:
        ConfigError: If the fractions do not rise from 0 to 1.
    """
    steps = tuple(float(fraction) for fraction in fractions)
    if len(steps) < 2 or (steps[0], steps[-1]) != (0.0, 1.0) or list(steps) != sorted(set(steps)):
        raise ConfigError(f"fractions must rise from 0 to 1, not {list(fractions)}")
    side = images_a.shape[-1]
    ranks = _ranks(maps, side, aligned=aligned).to(images_a.device)
    early = ranks[:, None] < torch.tensor(steps, device=ranks.device)[:, None, None] * side**2
    # For each picture first all steps of the deletion, then all steps of the insertion.
    kept = torch.cat([~early, early], dim=1)[:, :, None]
    encodings = [
        model.encode(
            torch.where(keep, images, blurred(images)).contiguous(memory_format=torch.channels_last),
            "query" if first else "gallery",
            keep_maps=False,
        )
        for keep, images, first in ((kept[0], images_a, True), (kept[1], images_b, False))
    ]
    distances = model.distance(encodings[0], encodings[1]).double().tolist()
    return Curves(steps, tuple(distances[: len(steps)]), tuple(distances[len(steps) :]))


def blurred(images: Tensor) -> Tensor:
    """Blur heavily: a Gaussian with a standard deviation of a tenth of the side, renormalised at the edge.

    Args:
        images: ``[B, 3, S, S]``.

    Returns:
        As ``images``.
    """
    side = images.shape[-1]
    positions = torch.arange(side, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * ((positions[:, None] - positions) / (_BLUR * side)).square())
    weights = weights / weights.sum(dim=1, keepdim=True)
    return weights @ images @ weights.T


def area_under(fractions: Sequence[float], values: Sequence[float]) -> float:
    """Area under a curve over [0, 1] by the trapezoidal rule: its mean height.

    Args:
        fractions: Places, rising from 0 to 1.
        values: Height at each.

    Example:
        >>> area_under((0.0, 0.5, 1.0), (1.0, 0.0, 0.0))
        0.25
    """
    return float(np.trapezoid(values, fractions))


def _ranks(maps: PairMaps, side: int, *, aligned: bool) -> Tensor:
    """Place of every position in its picture's order, ``[2, S, S]``: 0 pushes apart most."""
    flat = densities(maps, side).reshape(2, -1)
    if aligned:
        flat = np.broadcast_to(flat.sum(axis=0), flat.shape)
    order = np.argsort(-flat, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(side * side)[None], axis=1)
    return torch.from_numpy(ranks.reshape(2, side, side))
