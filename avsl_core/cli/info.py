"""``info``: what a checkpoint is and how it was made."""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from avsl_core.checkpoint import Checkpoint, load_checkpoint, shipped_checkpoints
from avsl_core.cli.output import add_json_option, print_json, print_lines
from avsl_core.config import to_dict
from avsl_core.models import model_config

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "info",
        help="describe a checkpoint",
        description="Describe a checkpoint: method, trunk, training record, metrics; and of each part the "
        "parameters, and the multiply-adds (of convolutions and matrix products) that encoding one picture "
        "takes. Without one, list those shipped.",
    )
    parser.add_argument("checkpoint", nargs="?", help="file or shipped name")
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.checkpoint is None:
        shipped = shipped_checkpoints()
        if options.json:
            print_json({"shipped": {name: str(path) for name, path in shipped.items()}})
        else:
            print_lines(
                [f"{name:<12}{path}" for name, path in shipped.items()] or ["no checkpoint is shipped"]
            )
        return 0
    checkpoint = load_checkpoint(options.checkpoint)
    values = _describe(checkpoint)
    if options.json:
        print_json(values)
    else:
        print_lines(_as_text(values))
    return 0


def _describe(checkpoint: Checkpoint) -> dict[str, Any]:
    pairs = checkpoint.pairs
    path = checkpoint.path or Path()
    return {
        "path": str(path),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "method": checkpoint.model.method,
        "parameters": sum(p.numel() for p in checkpoint.model.parameters()),
        "parts": _parts(checkpoint),
        "model": model_config(checkpoint.model),
        "preprocess": to_dict(checkpoint.preprocess),
        "training_classes": len(checkpoint.class_names),
        "record": dict(checkpoint.record),
        "metrics": dict(checkpoint.metrics),
        "typical_distance": None
        if pairs is None
        else {
            "same_kind": pairs.same[len(pairs.same) // 2],
            "different_kind": pairs.different[len(pairs.different) // 2],
            "threshold": pairs.threshold().distance,
        },
    }


def _parts(checkpoint: Checkpoint) -> dict[str, dict[str, int]]:
    """Parameters, and multiply-adds of encoding one picture, of the trunk and of what comes after it."""
    model = checkpoint.model
    side = checkpoint.preprocess.size
    picture = torch.zeros(1, 3, side, side, device=model.device)
    with torch.no_grad():
        with FlopCounterMode(display=False) as below:
            maps = model.trunk_maps(picture)
        with FlopCounterMode(display=False) as above:
            model.encode_maps(maps)
    whole = sum(p.numel() for p in model.parameters())
    # A trunk that serves two sides is listed twice and counted once.
    in_trunk = sum(p.numel() for p in {p for trunk in model.trunks for p in trunk.parameters()})
    # A multiplication and an addition count as two operations.
    return {
        "trunk": {"parameters": in_trunk, "multiply_adds": below.get_total_flops() // 2},
        "heads": {"parameters": whole - in_trunk, "multiply_adds": above.get_total_flops() // 2},
    }


def _as_text(values: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:")
            lines += _as_text(value, indent + "  ")
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines
