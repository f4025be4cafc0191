"""``compare``: how far apart two pictures are, and why."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avsl_core.checkpoint import load_checkpoint
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.compare import Comparison, compare
from avsl_core.errors import AvslError
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.total import sum_of_maps
from avsl_core.training.distributed import resolve_device

__all__ = ["add_command"]

_BAR = 32
_SIDE = 448

_DESCRIPTION = """\
Compare two pictures. Prints a verdict in words, the distance (0 is identical; smaller is more alike)
and how much each level of the network adds to it: level1 sees fine detail, the last level parts and
wholes. The parts add up to the distance."""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare", help="compare two pictures and say why", description=_DESCRIPTION
    )
    parser.add_argument("checkpoint", help="file or shipped name")
    parser.add_argument("a", type=Path, help="first picture")
    parser.add_argument("b", type=Path, help="second picture")
    add_json_option(parser)
    parser.add_argument(
        "--heatmaps",
        type=Path,
        metavar="FOLDER",
        help="write heatmaps there as PNG files: orange pushes the pictures apart, blue pulls them together",
    )
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="F.npz",
        help="write the signed maps as arrays NAME/a and NAME/b, [h, w] each",
    )
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    comparison = compare(checkpoint, options.a, options.b)
    written: list[Path] = []
    if options.maps:
        written.append(_write_maps(comparison, options.maps))
    if options.heatmaps:
        written += _write_heatmaps(comparison, options.heatmaps)
    if options.json:
        print_json(_as_json(comparison))
    else:
        print_lines(_as_text(comparison) + [f"wrote {path}" for path in written])
    return 0


def _as_json(comparison: Comparison) -> dict[str, Any]:
    explanation = comparison.explanation
    return {
        "method": explanation.method,
        "distance": explanation.total,
        "components": [{"name": c.name, "value": c.value} for c in explanation.components],
        "residual": explanation.residual,
        "verdict": _verdict(comparison),
    }


def _as_text(comparison: Comparison) -> list[str]:
    explanation = comparison.explanation
    lines = [_verdict(comparison), f"distance  {explanation.total:.4f}"]
    shares = explanation.shares()
    for component in explanation.components:
        bar = "#" * round(_BAR * shares[component.name])
        lines.append(f"  {component.name:<8}{component.value:.4f}  {shares[component.name]:4.0%}  {bar}")
    if explanation.residual:
        lines.append(f"  residual {explanation.residual:.4f}")
    return lines


def _verdict(comparison: Comparison) -> str:
    return f"{comparison.verdict.words}. {comparison.verdict.sentence}"


def _write_maps(comparison: Comparison, path: Path) -> Path:
    arrays = {}
    for component in comparison.explanation.components:
        arrays[f"{component.name}/a"] = component.map_a.cpu().numpy()
        arrays[f"{component.name}/b"] = component.map_b.cpu().numpy()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except OSError as error:
        raise AvslError(f"{path}: could not be written ({error.strerror}); choose another place") from error
    return path


def _write_heatmaps(comparison: Comparison, folder: Path) -> list[Path]:
    components = comparison.explanation.components
    parts = {c.name: [c] for c in components} | {"total": list(components)}
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, members in parts.items():
            sides = {"a": [c.map_a for c in members], "b": [c.map_b for c in members]}
            scale = shared_scale([sum_of_maps(maps) for maps in sides.values()])
            for side, crop in (("a", comparison.a.crop), ("b", comparison.b.crop)):
                path = folder / f"{name}_{side}.png"
                Image.fromarray(draw_signed(crop, sides[side], scale, side=_SIDE)).save(path)
                written.append(path)
    except OSError as error:
        raise AvslError(f"{folder}: could not be written ({error.strerror}); choose another place") from error
    return written
