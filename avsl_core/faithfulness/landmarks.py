"""The pointing game on photographs with marked parts: do the maps look at the bird, and at which part of it?

After Zhang et al., *Top-down Neural Attention by Excitation Backprop*, IJCV 2018: a map hits if its maximum
lies on the object, here within 15 pixels of a marked part, or inside the bird's box. A map that says nothing
would hit as often as the area allows, so every rate comes with the share of the area that counts as a hit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avsl_core.checkpoint import Checkpoint
from avsl_core.data.cub_parts import CubParts, Point, PointBox
from avsl_core.errors import ConfigError, DataError
from avsl_core.explain.heatmap import density
from avsl_core.faithfulness.explainers import Explainer, ledger
from avsl_core.faithfulness.maps import densities
from avsl_core.images import Preprocess, load_image

__all__ = [
    "LandmarkReport",
    "LandmarkScore",
    "crop_box",
    "crop_points",
    "score_landmarks",
    "score_map",
]

_RADIUS_AT_224 = 15.0


@dataclass(frozen=True)
class LandmarkScore:
    """What one map of one picture points at.

    Attributes:
        in_box: Whether the maximum lies in the bird's box.
        near_part: Whether it lies within the radius of a visible part; None if no part is in the crop.
        part: The nearest such part, or None.
        mass_in_box: Share of the map's values of the chosen sign inside the box, 0 to 1.
        box_share: Share of the crop that the box covers, 0 to 1: what chance would reach.
        parts_share: Share of the crop within the radius of a visible part, 0 to 1; None without parts.
    """

    in_box: bool
    near_part: bool | None
    part: str | None
    mass_in_box: float
    box_share: float
    parts_share: float | None


@dataclass(frozen=True)
class LandmarkReport:
    """The pointing game over many maps; all rates are means over maps, 0 to 1.

    Attributes:
        pairs: Pairs of pictures that were compared.
        maps: Maps that were scored; two a pair, less those whose bird is outside the crop.
        maps_with_parts: Those with a visible part in the crop.
        in_box: How often the maximum lies in the box.
        near_part: How often it lies within the radius of a visible part, among `maps_with_parts`; 0 if
            there are none, as `parts_share`.
        mass_in_box: Mean share of the map's values of the chosen sign inside the box.
        box_share: Mean share of the crop that the box covers.
        parts_share: Mean share of the crop within the radius of a visible part.
        parts: Share of the `maps_with_parts` that point at each part, by name, most frequent first.
    """

    pairs: int
    maps: int
    maps_with_parts: int
    in_box: float
    near_part: float
    mass_in_box: float
    box_share: float
    parts_share: float
    parts: Mapping[str, float]


def score_landmarks(
    checkpoint: Checkpoint,
    parts: CubParts,
    *,
    pairs: int,
    seed: int = 0,
    sign: Literal[1, -1] = 1,
    explainer: Explainer = ledger,
) -> LandmarkReport:
    """Play the pointing game on seeded pairs of photographs.

    Args:
        checkpoint: Model and preprocessing.
        parts: The photographs and their marks; at least two.
        pairs: How many pairs of two different pictures, drawn with replacement.
        seed: Of the draw; the same seed gives the same pairs.
        sign: 1 asks what pushes the pictures apart most, -1 what pulls them together most.
        explainer: How the maps are made; by default the model's own account of the distance.

    Raises:
        ConfigError: `pairs` is below 1 or `sign` is neither 1 nor -1.
        DataError: There are fewer than two pictures, or no bird lies inside its crop.
        ImageError: A picture cannot be read.
    """
    if pairs < 1:
        raise ConfigError(f"landmarks: {pairs} pairs measure nothing; give at least 1")
    if len(parts) < 2:
        raise DataError(f"landmarks: {len(parts)} picture is no pair; give at least two")
    preprocess = checkpoint.preprocess
    scores: list[LandmarkScore] = []
    for drawn in _draw_pairs(len(parts), pairs, seed):
        marked = [parts.pictures[index] for index in drawn]
        loaded = [load_image(picture.path) for picture in marked]
        images = [preprocess(image)[None].to(checkpoint.model.device) for image in loaded]
        maps = explainer(checkpoint.model, *images)
        drawn_maps = torch.from_numpy(densities(maps, preprocess.size))
        for picture, image, values in zip(marked, loaded, drawn_maps, strict=True):
            height, width = image.shape[:2]
            box = crop_box(picture.box, height, width, preprocess)
            if box is not None:
                points = crop_points(picture.points, height, width, preprocess)
                scores.append(score_map(values, box, points, preprocess.size, sign=sign))
    if not scores:
        raise DataError("landmarks: no bird lies inside what the model sees of its picture; check the boxes")
    return _report(pairs, scores)


def score_map(
    values: Tensor, box: PointBox, points: Mapping[str, Point], size: int, *, sign: Literal[1, -1] = 1
) -> LandmarkScore:
    """Score one map of one picture.

    Args:
        values: Signed map ``[H, W]`` of any resolution; its maximum is that of the map as it is drawn,
            enlarged to the crop. A map without any value of the chosen sign misses.
        box: Left, top, right, bottom of the bird in pixels of the crop, from :func:`crop_box`.
        points: Visible parts in pixels of the crop, from :func:`crop_points`.
        size: Side of the crop.
        sign: 1 for what pushes apart, -1 for what pulls together.

    Raises:
        ConfigError: `sign` is neither 1 nor -1.

    Example:
        >>> values = torch.zeros(8, 8)
        >>> values[1, 6] = 1.0
        >>> score_map(values, (112, 0, 224, 112), {"beak": (180, 45), "tail": (20, 90)}, 224).part
        'beak'
    """
    if sign not in (1, -1):
        raise ConfigError(f"landmarks: sign is {sign!r}; give 1 or -1")
    drawn = density(values * sign, size)
    positive = drawn.clip(min=0.0).astype(np.float64)
    mass = float(positive.sum())
    row, column = divmod(int(drawn.argmax()), size)
    inside = _box_mask(box, size)
    part = _nearest(points, row, column, size) if mass > 0 else None
    return LandmarkScore(
        in_box=mass > 0 and bool(inside[row, column]),
        near_part=part is not None if points else None,
        part=part,
        mass_in_box=float(positive[inside].sum()) / mass if mass > 0 else 0.0,
        box_share=float(inside.mean()),
        parts_share=float(_near_mask(points, size).mean()) if points else None,
    )


def crop_points(
    points: Mapping[str, Point], height: int, width: int, preprocess: Preprocess
) -> dict[str, Point]:
    """Where marked points lie in what the network sees; points outside are left out.

    Args:
        points: x and y by name, in pixels of the original picture.
        height: Rows of the original picture.
        width: Its pixels per row.
        preprocess: The model's.

    Returns:
        x and y by name in pixels of the crop, each in [0, size).

    Example:
        >>> crop_points({"eye": (100, 60), "tail": (190, 60)}, 100, 200, Preprocess(size=50, resize=50))
        {'eye': (25.0, 30.0)}
    """
    left, top, right, _ = preprocess.box(height, width)
    scale = preprocess.size / (right - left)
    mapped = {name: ((x - left) * scale, (y - top) * scale) for name, (x, y) in points.items()}
    return {name: p for name, p in mapped.items() if all(0 <= value < preprocess.size for value in p)}


def crop_box(box: PointBox, height: int, width: int, preprocess: Preprocess) -> PointBox | None:
    """Where a box lies in what the network sees, cut at its edges.

    Args:
        box: Left, top, right, bottom in pixels of the original picture.
        height: Rows of the original picture.
        width: Its pixels per row.
        preprocess: The model's.

    Returns:
        Left, top, right, bottom in pixels of the crop, or None if the network sees nothing of it.
    """
    left, top, right, _ = preprocess.box(height, width)
    scale, size = preprocess.size / (right - left), float(preprocess.size)
    x0, x1 = (min(size, max(0.0, (x - left) * scale)) for x in (box[0], box[2]))
    y0, y1 = (min(size, max(0.0, (y - top) * scale)) for y in (box[1], box[3]))
    cut = (x0, y0, x1, y1)
    return cut if _box_mask(cut, preprocess.size).any() else None


def _draw_pairs(count: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(count, (pairs,), generator=generator)
    # An offset of 1 to count - 1 never leads back to the same picture.
    second = (first + torch.randint(1, count, (pairs,), generator=generator)) % count
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _box_mask(box: PointBox, size: int) -> NDArray[np.bool_]:
    """Pixels whose centre lies in the box, ``[size, size]``."""
    centres = np.arange(size) + 0.5
    columns = (centres >= box[0]) & (centres < box[2])
    rows = (centres >= box[1]) & (centres < box[3])
    return rows[:, None] & columns[None, :]


def _near_mask(points: Mapping[str, Point], size: int) -> NDArray[np.bool_]:
    """Pixels whose centre lies within the radius of any point, ``[size, size]``."""
    centres = np.arange(size) + 0.5
    near = np.zeros((size, size), dtype=np.bool_)
    for x, y in points.values():
        near |= np.hypot(centres[None, :] - x, centres[:, None] - y) <= _RADIUS_AT_224 * size / 224
    return near


def _nearest(points: Mapping[str, Point], row: int, column: int, size: int) -> str | None:
    """The part nearest to a pixel, if it lies within the radius."""
    x, y = column + 0.5, row + 0.5
    distances = {name: float(np.hypot(px - x, py - y)) for name, (px, py) in points.items()}
    nearest = min(distances, key=distances.__getitem__, default=None)
    return nearest if nearest is not None and distances[nearest] <= _RADIUS_AT_224 * size / 224 else None


def _report(pairs: int, scores: Sequence[LandmarkScore]) -> LandmarkReport:
    with_parts = [score for score in scores if score.near_part is not None]
    counts = Counter(score.part for score in with_parts if score.part is not None)
    return LandmarkReport(
        pairs=pairs,
        maps=len(scores),
        maps_with_parts=len(with_parts),
        in_box=_mean([score.in_box for score in scores]),
        near_part=_mean([bool(score.near_part) for score in with_parts]),
        mass_in_box=_mean([score.mass_in_box for score in scores]),
        box_share=_mean([score.box_share for score in scores]),
        parts_share=_mean([score.parts_share or 0.0 for score in with_parts]),
        parts=MappingProxyType({name: count / len(with_parts) for name, count in counts.most_common()}),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
