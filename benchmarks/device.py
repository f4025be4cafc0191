"""Training and encoding rates on whatever device there is, and how far they are from its ceiling.

    python benchmarks/device.py [--recipe cub] [--device cuda] [--trunk resnet50] [--batch 180] [--amp bf16]
    python benchmarks/device.py --recipes [--only raml] [--weights hub] [--steps 20] [--epochs 2]

For a recipe's method at its batch and resolution (cub is AVSL's; diml, cgd, raml): pictures per second of
whole training steps and of encoding, with and without torch.compile, peak memory, and the share of the
device's own matrix-product rate (measured in the same run, same number type) that the step's floating-point
operations reach. A loss that is not finite ends it. The batch is one of noise, in a single pass.

With --recipes, each method's published recipe instead, through the trainer: its first epochs, of --steps
steps each, on drawn birds (kept in --work), with its own batch, resolution, pictures per class, accumulation
and views; an adaptation's features are extracted and it is learned. Pictures per second with decoding and
augmentation, peak memory, and whether all losses are finite. The exit code is 1 if a row failed.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from device_recipes import METHODS, failures, measure_recipes
from machine import describe_machine
from torch.utils.flop_counter import FlopCounterMode

from avsl_core.models import build_model
from avsl_core.precision import trunk_precision
from avsl_core.training import RECIPES, TrainConfig
from avsl_core.training.distributed import resolve_device
from avsl_core.training.methods import OBJECTIVES

_RAW = argparse.RawDescriptionHelpFormatter
CLASSES = 100


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--recipe", choices=tuple(RECIPES), default="cub")
    parser.add_argument("--trunk", default="resnet50")
    parser.add_argument("--batch", type=int, help="pictures of a pass; the recipe's if not given")
    parser.add_argument("--size", type=int, help="their side; the recipe's if not given")
    parser.add_argument("--amp", choices=("none", "bf16"), help="the recipe's if not given")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled rows out")
    parser.add_argument("--recipes", action="store_true", help="the first epochs of all published recipes")
    parser.add_argument("--only", action="append", choices=METHODS, help="of --recipes, these alone")
    parser.add_argument("--weights", default="none", help="of --recipes: hub, none or a file (%(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="of --recipes; the last is timed (%(default)s)")
    parser.add_argument("--pairs", type=int, default=400, help="that --recipes adapts to (%(default)s)")
    parser.add_argument("--workers", type=int, help="that decode for --recipes; the recipe's if not given")
    parser.add_argument("--work", type=Path, default=Path("runs/device"), help="where --recipes keeps birds")
    parser.add_argument("--out", type=Path, help="benchmarks/results/device.json or device_recipes.json")
    options = parser.parse_args()
    device = resolve_device(options.device)
    print(f"on {device_words(device)}", flush=True)
    if options.recipes:
        rows = measure_recipes(options, device)
        settings = {key: getattr(options, key) for key in ("trunk", "weights", "amp", "steps", "epochs")}
        what = "the published recipes' first epochs on drawn birds; rates are of the last epoch"
        write(
            options.out or Path("benchmarks/results/device_recipes.json"),
            {
                "what": what,
                "ran_on": device_words(device),
                **settings,
                "rows": rows,
                "machine": describe_machine(),
            },
        )
        if failed := failures(rows):
            raise SystemExit("\n".join(failed))
        return
    base = recipe(options)
    ceiling = matmul_rate(device, options.amp)
    rows = {}
    for compiled in (False,) if options.no_compile else (False, True):
        config = replace(base, compile=compiled)
        for name, build in (("training", training_step), ("encoding", encoding_step)):
            row = measure(build(config, device, options), device, options)
            row["share_of_matmul_rate"] = round(row["tflops"] / ceiling, 4)
            rows[f"{name}{', compiled' if compiled else ''}"] = row
            print(name, compiled, json.dumps(row), flush=True)
    document = {
        "ran_on": device_words(device),
        "recipe": options.recipe,
        "trunk": options.trunk,
        "batch": options.batch,
        "size": options.size,
        "amp": options.amp,
        "matmul_tflops": round(ceiling, 3),
        "rows": rows,
        "machine": describe_machine(),
    }
    write(options.out or Path("benchmarks/results/device.json"), document)


def device_words(device: torch.device) -> str:
    """What the figures were measured on."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else "cpu"


def write(path: Path, document: dict[str, Any]) -> None:
    """Write figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def recipe(options: argparse.Namespace) -> TrainConfig:
    """The recipe with random weights, in passes of the size asked for; what was not given is filled in."""
    config = RECIPES[options.recipe]
    views = config.views_at(config.total_epochs - 1)
    if options.batch is None:
        options.batch = config.batch_size // config.accumulation * views
    if options.size is None:
        options.size = config.preprocess.size
    if options.amp is None:
        options.amp = config.amp
    side = round(options.size * config.raml.student_size / config.preprocess.size)
    trunks = {"student_backbone": options.trunk} if config.raml.student_backbone != "shared" else {}
    return replace(
        config,
        backbone=options.trunk,
        weights="none",
        amp=options.amp,
        cached=False,
        accumulation=1,
        samples_per_class=0,
        batch_size=max(2, options.batch // views),
        preprocess=replace(config.preprocess, size=options.size, resize=options.size),
        raml=replace(config.raml, student_size=max(1, side), student_weights="none", **trunks),
    )


def training_step(
    config: TrainConfig, device: torch.device, options: argparse.Namespace
) -> Callable[[], None]:
    """One optimiser step of the whole network on a fixed batch."""
    torch.manual_seed(0)
    kind = OBJECTIVES[config.method]
    model = build_model(config.method, kind.model_options(config)).to(
        device, memory_format=torch.channels_last
    )  # type: ignore[call-overload]
    objective = kind(model, config, CLASSES).to(device)
    last = config.total_epochs - 1
    objective.begin_epoch(last)  # RAML's student learns in the last epochs
    objective.set_trainable(config.stages_at(last))
    objective.train()
    if config.compile:
        model.trunk.compile()
    optimizer = torch.optim.AdamW(objective.parameter_groups(), fused=device.type == "cuda")
    images = pictures(device, options)
    # Two pictures of each class, all views of a picture together.
    alike = 2 * config.views_at(last)
    labels = torch.arange(options.batch, device=device) // alike % CLASSES

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = objective(images, labels)["total"]
        loss.backward()
        optimizer.step()
        if not bool(loss.isfinite()):
            raise SystemExit(f"{options.recipe}: the loss is {loss.item()}")

    return step


def encoding_step(
    config: TrainConfig, device: torch.device, options: argparse.Namespace
) -> Callable[[], None]:
    """Encode one batch, without keeping its maps."""
    shape = OBJECTIVES[config.method].model_options(config)
    model = build_model(config.method, shape).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.eval()
    if config.compile:
        model.trunk.compile()
    images = pictures(device, options)

    @torch.inference_mode()
    def step() -> None:
        with trunk_precision(config.amp, device):
            maps = model.trunk_maps(images)
        model.encode_maps(maps, keep_maps=False)

    return step


def measure(step: Callable[[], None], device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Median rate, operations and peak memory of a step."""
    with FlopCounterMode(display=False) as counter:
        step()
    for _ in range(3):
        step()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = statistics.median(timed(step, device) for _ in range(options.steps))
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return {
        "images_per_second": round(options.batch / seconds, 1),
        "tflops": round(counter.get_total_flops() / seconds / 1e12, 4),
        "peak_memory_gib": None if peak is None else round(peak, 2),
    }


def matmul_rate(device: torch.device, amp: str) -> float:
    """TFLOP/s of one large matrix product: the practical ceiling."""
    side = 8192 if device.type == "cuda" else 1024
    kind = torch.bfloat16 if amp == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))

    def product() -> None:
        torch.mm(a, b)

    for _ in range(3):
        product()
    return 2 * side**3 / statistics.median(timed(product, device) for _ in range(10)) / 1e12


def pictures(device: torch.device, options: argparse.Namespace) -> torch.Tensor:
    """A fixed batch in the layout of training."""
    images = torch.rand(options.batch, 3, options.size, options.size, device=device)
    return images.contiguous(memory_format=torch.channels_last)


def timed(function: Callable[[], None], device: torch.device) -> float:
    """Seconds of one call, the device's queue drained before and after."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
