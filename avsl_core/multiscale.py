"""Look at each picture in several sizes, and average what is seen: slower, and mostly a little better."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from avsl_core.batches import is_out_of_memory
from avsl_core.data.dataset import Box
from avsl_core.encoding import encode_pictures
from avsl_core.errors import ConfigError
from avsl_core.images import Preprocess
from avsl_core.models import Measure, Role, Rows, SimilarityModel
from avsl_core.models.measure import EuclideanMeasure
from avsl_core.precision import Precision

__all__ = ["multiscale_rows", "parse_scales", "scaled"]


def multiscale_rows(
    model: SimilarityModel,
    preprocess: Preprocess,
    paths: Sequence[Path],
    scales: Sequence[float],
    *,
    roles: Sequence[Role] = ("query", "gallery"),
    boxes: Sequence[Box] | None = None,
    batch_size: int = 32,
    workers: int = 0,
    precision: Precision = "none",
    progress: bool = False,
) -> list[Rows]:
    """Encode files at several scales and average their unit vectors, each part of the distance by itself.

    Args:
        model: In evaluation mode; its rows must be plain vectors.
        preprocess: The model's own, scale 1.
        paths: At least one.
        scales: Factors on the side of what the network sees.
        roles: Sides of the comparison to make rows for.
        boxes: What to look at of each picture; None for all of it.
        batch_size: Pictures per pass.
        workers: Processes that decode.
        precision: Of the trunk.
        progress: Whether to show a bar for each scale.

    Returns:
        Rows for each of ``roles``, as long as the model's own.

    Raises:
        ConfigError: If the method's rows are not plain vectors, or the network cannot look at another size.
        ImageError: If a picture cannot be read.
        DataError: If there are no pictures.
    """
    measure = model.measure()
    if not isinstance(measure, EuclideanMeasure):
        raise ConfigError(f"several scales need a method with one plain vector, which {model.method} has not")
    role = roles[0] if len(roles) == 1 else None
    seen: list[list[Rows]] = []
    for scale in scales:
        sized = model.at_scale(scale)
        try:
            encoding = encode_pictures(
                sized,
                scaled(preprocess, scale),
                paths,
                boxes=boxes,
                role=role,
                batch_size=batch_size,
                workers=workers,
                precision=precision,
                progress=progress,
            )
        except (RuntimeError, AssertionError) as error:  # what fixed-size networks raise
            if scale == 1.0 or (isinstance(error, RuntimeError) and is_out_of_memory(error)):
                raise
            raise ConfigError(
                f"scale {scale}: the network cannot look at pictures of {scaled(preprocess, scale).size} "
                f"pixels ({type(error).__name__}); leave that scale out"
            ) from error
        seen.append([sized.rows(encoding, side) for side in roles])
    return [_average([rows[place] for rows in seen], measure) for place in range(len(roles))]


def scaled(preprocess: Preprocess, scale: float) -> Preprocess:
    """The same region of a picture, in another size.

    Example:
        >>> scaled(Preprocess(size=224, resize=256), 0.5).size
        112
    """
    size = max(1, round(preprocess.size * scale))
    return replace(preprocess, size=size, resize=max(size, round(preprocess.resize * scale)))


def parse_scales(text: str) -> tuple[float, ...]:
    """Read scales from a command line.

    Raises:
        ConfigError: If they are not positive numbers.

    Example:
        >>> parse_scales("0.7,1,1.4")
        (0.7, 1.0, 1.4)
    """
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"scales {text}: write numbers, such as 0.7,1,1.4") from error
    if not all(0.0 < scale < math.inf for scale in scales):
        raise ConfigError(f"scales {text}: must be above 0, and finite")
    return scales


def _average(seen: Sequence[Rows], measure: Measure) -> Rows:
    """Mean of each part's vectors, brought back to the length that such vectors have."""
    parts: list[Tensor] = []
    for columns in zip(
        *(torch.split(rows.vectors, list(measure.widths), dim=1) for rows in seen), strict=True
    ):
        stacked = torch.stack(columns)
        parts.append(F.normalize(stacked.mean(dim=0), dim=1) * stacked.norm(dim=2).mean(dim=0)[:, None])
    return Rows(torch.cat(parts, dim=1), seen[0].gates)
