"""``compare``: how far apart two pictures are, and why."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.cli.output import add_device_option, add_json_option, print_json, print_lines
from avsl_core.comparison import Comparison, compare
from avsl_core.errors import AvslError, ConfigError
from avsl_core.explain.heatmap import draw_signed, shared_scale
from avsl_core.explain.record import ModelPapers, comparison_record, record_json
from avsl_core.explain.report import Reported, report_page
from avsl_core.explain.sentence import plain_words
from avsl_core.explain.sheet import sheet_png
from avsl_core.explain.total import sum_of_maps
from avsl_core.images.paint import FILLS
from avsl_core.training.distributed import resolve_device
from avsl_core.whatif import Side, WhatIf, what_if

__all__ = ["add_command"]

_BAR = 32
_SIDE = 448
_FINEST = 1000  # cells along the side of a mask that is given in fractions

_DESCRIPTION = """\
Compare two pictures. Prints a verdict in words, the distance (0 is identical; smaller is more alike)
and how much each level of the network adds to it: level1 sees fine detail, the last level parts and
wholes. The parts add up to the distance. Then the same in plain words."""


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
    part = parser.add_mutually_exclusive_group()
    for side, which in (("a", "first"), ("b", "second")):
        part.add_argument(
            f"--without-{side}",
            metavar="X,Y,W,H",
            help=f"also measure with this part of the {which} picture painted over: its left, top, width and "
            "height as fractions of the square that the network sees",
        )
    parser.add_argument(
        "--fill", choices=FILLS, default=FILLS[0], help="what is painted over such a part (%(default)s)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="F.html", help="write everything as a web page that needs nothing else"
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="F.png", help="write pictures, verdict and maps as one picture"
    )
    parser.add_argument("--record", type=Path, metavar="F.json", help="write every number as JSON")
    add_device_option(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(options.checkpoint, resolve_device(options.device))
    comparison = compare(checkpoint, options.a, options.b)
    without = _without(checkpoint, comparison, options)
    written: list[Path] = []
    if options.maps:
        written.append(_write_maps(comparison, options.maps))
    if options.heatmaps:
        written += _write_heatmaps(comparison, options.heatmaps)
    written += _write_whole(checkpoint, comparison, options)
    if options.json:
        print_json(_as_json(comparison) | ({} if without is None else {"without": _figures(without)}))
    else:
        lines = _as_text(comparison) + ([] if without is None else [_without_sentence(without)])
        print_lines(lines + [f"wrote {path}" for path in written])
    return 0


def _as_json(comparison: Comparison) -> dict[str, Any]:
    explanation = comparison.explanation
    return {
        "method": explanation.method,
        "distance": explanation.total,
        "components": [{"name": c.name, "value": c.value} for c in explanation.components],
        "residual": explanation.residual,
        "verdict": _verdict(comparison),
        "words": list(plain_words(explanation).sentences),
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
    return lines + list(plain_words(explanation).sentences)


def _verdict(comparison: Comparison) -> str:
    return f"{comparison.verdict.words}. {comparison.verdict.sentence}"


def _without(checkpoint: Checkpoint, comparison: Comparison, options: argparse.Namespace) -> WhatIf | None:
    side: Side = "a" if options.without_a is not None else "b"
    given = options.without_a if side == "a" else options.without_b
    if given is None:
        return None
    mask = _rectangle(f"--without-{side}", given)
    explanation = comparison.explanation
    return what_if(
        checkpoint, comparison.a, comparison.b, side, mask, fill=options.fill, explanation=explanation
    )


def _rectangle(option: str, text: str) -> NDArray[np.bool_]:
    """A mask from ``X,Y,W,H`` in fractions."""
    try:
        x, y, width, height = (float(number) for number in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} {text}: give four numbers, as in 0.25,0.25,0.5,0.5") from None
    if not (0 <= x < 1 and 0 <= y < 1 and 0 < width <= 1 and 0 < height <= 1):
        raise ConfigError(f"{option} {text}: give left, top, width and height as fractions of 1")
    mask = np.zeros((_FINEST, _FINEST), bool)
    left, top = round(x * _FINEST), round(y * _FINEST)
    mask[top : top + round(height * _FINEST), left : left + round(width * _FINEST)] = True
    return mask


def _figures(without: WhatIf) -> dict[str, Any]:
    names = ("side", "covered", "distance", "painted", "predicted", "attributed")
    return {name: getattr(without, name) for name in names}


def _without_sentence(without: WhatIf) -> str:
    return (
        f"With {without.covered:.0%} of picture {without.side} painted over the distance is "
        f"{without.painted:.4f}; foretold was {without.predicted:.4f}."
    )


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


def _write_whole(checkpoint: Checkpoint, comparison: Comparison, options: argparse.Namespace) -> list[Path]:
    """The whole comparison as a page, a picture and a record, as far as they are wanted."""
    wanted = {"report": options.report, "sheet": options.sheet, "record": options.record}
    if not any(wanted.values()):
        return []
    names = options.a.name, options.b.name
    papers = ModelPapers.of(checkpoint)
    account = Reported(comparison, papers, checkpoint.model, checkpoint.pairs)
    make: dict[str, Callable[[], bytes]] = {
        "report": lambda: report_page([account], names).encode(),
        "sheet": lambda: sheet_png(comparison, names=names, papers=papers),
        "record": lambda: record_json(comparison_record(comparison, names=names, papers=papers)).encode(),
    }
    written = []
    for kind, path in wanted.items():
        if path is None:
            continue
        data = make[kind]()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise AvslError(
                f"{path}: could not be written ({error.strerror}); choose another place"
            ) from error
        written.append(path)
    return written


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
