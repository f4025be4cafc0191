"""Level truth: do the level bars mean what they say?

Three pairs from one bird in one scene: another texture of a part, another palette, another form. If low
levels stand for detail and high levels for shape, texture must move the bars down and form must move them
up. Nothing makes a network keep to that; so it is measured, and said in words.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avsl_core.errors import DataError
from avsl_core.models import SimilarityModel

__all__ = ["KINDS", "LevelCase", "level_shares", "level_truth"]

KINDS: tuple[str, ...] = ("texture", "palette", "form")
"""What of one part is changed, one at a time."""


@dataclass(frozen=True, eq=False)
class LevelCase:
    """One bird in one scene, and the same with one part changed in three ways.

    Attributes:
        part: Which part.
        original: Normalised picture, ``[1, 3, S, S]``.
        changed: By kind, as ``original``.
    """

    part: str
    original: Tensor
    changed: Mapping[str, Tensor]


def level_truth(model: SimilarityModel, cases: Iterable[LevelCase]) -> dict[str, Any]:
    """Measure where the bars stand for each kind of change.

    Args:
        model: In evaluation mode; explains by levels.
        cases: Any number, at least two.

    Returns:
        ``levels``: names from low to high; ``shares``: mean share of each level by kind; ``height``: mean
        position of the bars by kind, from 0 (all in the lowest level) to 1 (all in the highest);
        ``texture_minus_form``: paired differences, as ``lowest`` (of the lowest level's share) and
        ``height``, each with ``mean``, ``standard_error`` and ``right_way`` (fraction of cases in which
        texture stands lower than form); ``cases``; and ``says``, the conclusion in words.

    Raises:
        DataError: If there are fewer than two cases.
    """
    rows: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    names: tuple[str, ...] = ()
    for case in cases:
        for kind in KINDS:
            shares = level_shares(model, case.original, case.changed[kind])
            names = tuple(shares)
            rows[kind].append(list(shares.values()))
    if len(rows["form"]) < 2:
        raise DataError(
            f"level truth needs at least two cases to compare, not {len(rows['form'])}; measure more"
        )
    table = {kind: np.asarray(values) for kind, values in rows.items()}
    heights = {kind: _heights(values) for kind, values in table.items()}
    lowest = table["texture"][:, 0] - table["form"][:, 0]
    height = heights["texture"] - heights["form"]
    differences = {"lowest": _paired(lowest, above=True), "height": _paired(height, above=False)}
    return {
        "levels": list(names),
        "shares": {
            kind: dict(zip(names, values.mean(axis=0).tolist(), strict=True))
            for kind, values in table.items()
        },
        "height": {kind: float(values.mean()) for kind, values in heights.items()},
        "texture_minus_form": differences,
        "cases": len(height),
        "says": conclude(differences["height"]),
    }


def level_shares(model: SimilarityModel, a: Tensor, b: Tensor) -> dict[str, float]:
    """Share of each level in the distance of a pair, 0 to 1, by name from low to high.

    Args:
        model: In evaluation mode; explains by levels.
        a: Normalised picture, ``[1, 3, S, S]``.
        b: The other one.
    """
    with torch.inference_mode():
        laid_out = [images.contiguous(memory_format=torch.channels_last) for images in (a, b)]
        account = model.explain(model.encode(laid_out[0], "query"), model.encode(laid_out[1], "gallery"))
        return account.shares()


def conclude(height: Mapping[str, float]) -> str:
    """Put the paired difference of the bars' height, texture minus form, into words."""
    mean, error = height["mean"], height["standard_error"]
    size = f"{abs(mean):.3f} of the way from the lowest level to the highest"
    sure = f"standard error {error:.3f}; {height['right_way']:.0%} of cases with texture lower"
    if abs(mean) <= 2 * error:
        return (
            "The level bars do not tell texture from form: changing only the texture of a part or only its "
            f"form leaves them at the same height (difference {size}, {sure})."
        )
    if mean < 0:
        strength = "clearly" if height["right_way"] >= 0.75 else "on average, though not in every case"
        return (
            f"The level bars mean what they say, {strength}: changing only the texture of a part moves "
            f"them lower than changing only its form, by {size} ({sure})."
        )
    return (
        "The level bars do not mean what one expects: changing only the texture of a part moves them "
        f"higher than changing only its form, by {size} ({sure})."
    )


def _heights(shares: np.ndarray) -> np.ndarray:
    """Position of the bars' centre, 0 (lowest level) to 1, ``[cases]``, from ``[cases, levels]``."""
    places = np.linspace(0.0, 1.0, shares.shape[1]) if shares.shape[1] > 1 else np.zeros(1)
    weights = shares.sum(axis=1).clip(min=1e-12)
    return np.asarray(shares @ places / weights)


def _paired(differences: np.ndarray, *, above: bool) -> dict[str, float]:
    right: Sequence[bool] = (differences > 0 if above else differences < 0).tolist()
    return {
        "mean": float(differences.mean()),
        "standard_error": float(differences.std(ddof=1) / math.sqrt(len(differences))),
        "right_way": float(np.mean(right)),
    }
