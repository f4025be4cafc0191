"""From what was measured on single pairs to the figures of a report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from avsl_core.faithfulness.completeness import completeness_error
from avsl_core.faithfulness.maps import PairMaps
from avsl_core.faithfulness.perturbation import Curves
from avsl_core.faithfulness.pointing import Mask, Pointing, point

__all__ = ["Tally", "summarize_curves", "summarize_pointing"]


@dataclass
class Tally:
    """Everything measured of one method on pairs that differ in one part."""

    pointings: list[Pointing] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    levels: dict[str, list[Pointing]] = field(default_factory=dict)
    errors: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    curves: list[Curves] = field(default_factory=list)

    def add(self, maps: PairMaps, part: str, mask: Mask, milliseconds: float) -> None:
        """Enter one explanation of one pair."""
        self.pointings.append(point(maps, mask, mask))
        self.parts.append(part)
        for name in maps.levels:
            self.levels.setdefault(name, []).append(point(maps.level(name), mask, mask))
        error = completeness_error(maps)
        if error is not None:
            self.errors.append(error)
        self.milliseconds.append(milliseconds)

    def summary(self) -> dict[str, Any]:
        """The figures of a report; see :func:`avsl_core.faithfulness.measure_faithfulness`."""
        by_part = {
            part: [one for one, of in zip(self.pointings, self.parts, strict=True) if of == part]
            for part in dict.fromkeys(self.parts)
        }
        values: dict[str, Any] = summarize_pointing(self.pointings)
        if self.curves:
            values |= summarize_curves(self.curves)
        values["ms"] = float(np.median(self.milliseconds))
        if self.errors:
            values["completeness"] = {"mean": float(np.mean(self.errors)), "worst": max(self.errors)}
        values["by_part"] = {part: summarize_pointing(members) for part, members in by_part.items()}
        if self.levels:
            values["by_level"] = {name: summarize_pointing(members) for name, members in self.levels.items()}
        return values


def summarize_pointing(pointings: Sequence[Pointing]) -> dict[str, Any]:
    """Hit rates and mean shares, all from 0 to 1, and the number of pairs."""
    return {
        "pointing": float(np.mean([one.hit for one in pointings])),
        "pointing_15px": float(np.mean([one.near for one in pointings])),
        "mass": float(np.mean([one.mass for one in pointings])),
        "area": float(np.mean([one.area for one in pointings])),
        "pairs": len(pointings),
    }


def summarize_curves(curves: Sequence[Curves]) -> dict[str, Any]:
    """Deletion and insertion relative to the distance of the pairs as they are.

    Areas and distances are averaged over pairs *before* one is divided by the other: divided pair by pair,
    the few pairs that are almost at distance zero would decide the mean.

    Returns:
        ``deletion`` (lower is better), ``insertion`` (higher is better; above 1 where a difference weighs
        more against a blurred surrounding than in the whole picture), ``blurred`` (what is left of the
        distance when all is blurred: the floor of both curves), ``perturbation_pairs`` and ``curves``.
    """
    original = float(np.mean([one.original for one in curves]))
    scale = original if original > 0 else 1.0
    return {
        "deletion": float(np.mean([one.deletion_area for one in curves])) / scale,
        "insertion": float(np.mean([one.insertion_area for one in curves])) / scale,
        "blurred": float(np.mean([one.blurred for one in curves])) / scale,
        "perturbation_pairs": len(curves),
        "curves": {
            "fractions": list(curves[0].fractions),
            "deletion": (np.mean([one.deletion for one in curves], axis=0) / scale).tolist(),
            "insertion": (np.mean([one.insertion for one in curves], axis=0) / scale).tolist(),
        },
    }
