"""One comparison as plain values, with every number, for JSON: what other programs can go on with.

Nothing is rounded: numbers come back as they were, the maps of a component add up to its value, and
components and residual to the distance.
"""

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from avsl_core.checkpoint import Checkpoint, fingerprint
from avsl_core.comparison import Comparison
from avsl_core.config import to_dict
from avsl_core.errors import DataError
from avsl_core.explain.levels import component_titles
from avsl_core.models.explanation import Explanation

__all__ = ["SCHEMA", "VERSION", "ModelPapers", "comparison_record", "read_record", "record_json"]

SCHEMA = "avsl-comparison"
"""What kind of record it is."""

VERSION = 1
"""Of the record's layout; it changes when a reader would have to."""

_CLOSE = 1e-6  # of what parts may miss of their sum, on the scale of the distance


@dataclass(frozen=True)
class ModelPapers:
    """What a record says of the model that measured.

    Attributes:
        name: What the model is called.
        method: How it measures.
        fingerprint: Of its weights and settings: two models with the same one measure alike.
        preprocess: What it does to a picture before it looks.
    """

    name: str
    method: str
    fingerprint: str
    preprocess: Mapping[str, Any]

    @classmethod
    def of(cls, checkpoint: Checkpoint, name: str | None = None, mark: str | None = None) -> "ModelPapers":
        """The papers of a checkpoint.

        Args:
            checkpoint: The model.
            name: What it is called; None for its file's name.
            mark: Its fingerprint, where that is known already.
        """
        method = checkpoint.model.method
        own = f"unsaved-{method}" if checkpoint.path is None else checkpoint.path.stem
        return cls(
            name or own,
            method,
            mark or fingerprint(checkpoint),
            to_dict(checkpoint.preprocess),
        )


def comparison_record(
    comparison: Comparison, *, names: tuple[str, str], papers: ModelPapers, when: str = ""
) -> dict[str, Any]:
    """Every number of a comparison.

    Args:
        comparison: What was found.
        names: What the two pictures are called.
        papers: Of the model that measured.
        when: When that was; empty to leave it out, so that equal comparisons give equal records.

    Returns:
        JSON-ready values: ``distance``, ``verdict``, ``components`` with ``value``, ``share``, ``map_a`` and
        ``map_b`` (rows of numbers; positive pushes apart), ``residual``, ``exact``, ``levels`` (P, w and
        contribution of each node), ``flow``, ``likeness`` and ``before`` where the method has them, ``model``
        and ``versions``.
    """
    verdict = comparison.verdict
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "pictures": {"a": names[0], "b": names[1], "seen": list(comparison.a.crop.shape[:2])},
        "verdict": {
            "grade": verdict.grade,
            "words": verdict.words,
            "sentence": verdict.sentence,
            "same_farther": verdict.same_farther,
            "different_closer": verdict.different_closer,
        },
        **_account(comparison.explanation),
        "model": {
            "name": papers.name,
            "method": papers.method,
            "fingerprint": papers.fingerprint,
            "preprocess": dict(papers.preprocess),
        },
        "versions": _versions(),
        **({"when": when} if when else {}),
    }


def record_json(record: Mapping[str, Any]) -> str:
    """A record as a JSON text that any parser reads: no NaN, nothing beyond ASCII.

    Raises:
        DataError: If a number is not finite.
    """
    try:
        return json.dumps(record, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise DataError(f"the comparison cannot be written as JSON ({error}); compare again") from error


def read_record(text: str) -> dict[str, Any]:
    """Read a record again, and check that its parts add up.

    Args:
        text: As :func:`record_json` writes it.

    Raises:
        DataError: If it is no such record, from a newer version, or its numbers do not add up.
    """
    try:
        record = json.loads(text)
    except ValueError as error:
        raise DataError(f"not a record of a comparison ({error}); save the comparison again") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise DataError("not a record of a comparison: give a JSON file that was saved from one")
    if record.get("version") != VERSION:
        raise DataError(
            f"the record is of version {record.get('version')}, this program reads {VERSION}; "
            "save the comparison again"
        )
    try:
        _check_sums(record)
        if "beside" in record:
            _check_sums(record["beside"])
    except KeyError as error:
        raise DataError(f"the record lacks {error}; save the comparison again") from error
    except (TypeError, AttributeError, OverflowError) as error:
        raise DataError("the record is damaged: a number or a table of it is none; save it again") from error
    return record


def _account(explanation: Explanation) -> dict[str, Any]:
    titles, shares = component_titles(explanation), explanation.shares()
    record: dict[str, Any] = {
        "method": explanation.method,
        "distance": explanation.total,
        "exact": explanation.exact,
        "residual": explanation.residual,
        "components": [
            {
                "name": component.name,
                "title": titles[component.name][0],
                "value": component.value,
                "share": shares[component.name],
                "map_a": _numbers(component.map_a),
                "map_b": _numbers(component.map_b),
            }
            for component in explanation.components
        ],
    }
    if explanation.levels:
        record["levels"] = {
            name: {
                "P": _numbers(details.gate),
                "w": _numbers(details.weight),
                "contribution": _numbers(details.contribution),
            }
            for name, details in explanation.levels.items()
        }
    if explanation.flow is not None:
        flow = explanation.flow
        record["flow"] = {
            "grid_a": list(flow.grid_a),
            "grid_b": list(flow.grid_b),
            "plan": _numbers(flow.plan),
            "similarity": _numbers(flow.similarity),
            "marginal_a": _numbers(flow.marginal_a),
            "marginal_b": _numbers(flow.marginal_b),
        }
    if explanation.likeness is not None:
        likeness = explanation.likeness
        record["likeness"] = {
            "grid_a": list(likeness.grid_a),
            "grid_b": list(likeness.grid_b),
            "matrix": _numbers(likeness.matrix),
        }
    if explanation.before is not None:
        record["before"] = _account(explanation.before)
    return record


def _numbers(values: Tensor) -> Any:
    return values.detach().cpu().tolist()


def _versions() -> dict[str, str]:
    try:
        own = metadata.version("avsl")
    except metadata.PackageNotFoundError:  # run from its folder, not installed
        own = "unknown"
    return {"avsl": own, "torch": str(torch.__version__), "python": platform.python_version()}


def _check_sums(account: Mapping[str, Any]) -> None:
    scale = max(1.0, abs(account["distance"]))
    parts = [component["value"] for component in account["components"]]
    _check("components and residual", math.fsum([*parts, account["residual"]]), account["distance"], scale)
    for component in account["components"]:
        cells = [cell for side in ("map_a", "map_b") for row in component[side] for cell in row]
        _check(f"the maps of {component['name']}", math.fsum(cells), component["value"], scale)
    for name, level in account.get("levels", {}).items():
        value = {c["name"]: c["value"] for c in account["components"]}[name]
        _check(f"the nodes of {name}", math.fsum(level["contribution"]), value, scale)
    if "before" in account:
        _check_sums(account["before"])


def _check(what: str, found: float, wanted: float, scale: float) -> None:
    if not abs(found - wanted) <= _CLOSE * scale:
        raise DataError(
            f"the record is damaged: {what} add up to {found:.6g}, not {wanted:.6g}; save it again"
        )
