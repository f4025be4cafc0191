"""Training and encoding rates on whatever device there is, and how far they are from its ceiling.

    python benchmarks/device.py [--device cuda] [--trunk resnet50] [--batch 180] [--amp bf16]

For AVSL with the published levels: pictures per second of whole training steps and of encoding, with and
without torch.compile, peak memory, and the share of the device's own matrix-product rate (measured in the
same run, same number type) that the step's floating-point operations reach.
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
from machine import describe_machine
from torch.utils.flop_counter import FlopCounterMode

from avsl_core.encoding import trunk_precision
from avsl_core.models import build_model
from avsl_core.training import TrainConfig
from avsl_core.training.distributed import resolve_device
from avsl_core.training.objectives import OBJECTIVES

_RAW = argparse.RawDescriptionHelpFormatter
CLASSES = 100


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--trunk", default="resnet50")
    parser.add_argument("--batch", type=int, default=180)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--amp", choices=("none", "bf16"), default="bf16")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled rows out")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/device.json"))
    options = parser.parse_args()
    device = resolve_device(options.device)
    base = TrainConfig(backbone=options.trunk, weights="none", amp=options.amp, batch_size=options.batch)
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
        "trunk": options.trunk,
        "batch": options.batch,
        "size": options.size,
        "amp": options.amp,
        "matmul_tflops": round(ceiling, 3),
        "rows": rows,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def training_step(
    config: TrainConfig, device: torch.device, options: argparse.Namespace
) -> Callable[[], None]:
    """One optimiser step of the whole network on a fixed batch."""
    torch.manual_seed(0)
    model = build_model(config.method, config.model_options()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = OBJECTIVES[config.method](model, config, CLASSES).to(device).train()
    if config.compile:
        model.trunk.compile()
    optimizer = torch.optim.AdamW(objective.parameter_groups(), fused=device.type == "cuda")
    images = pictures(device, options)
    labels = torch.arange(options.batch, device=device) % CLASSES

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        objective(images, labels)["total"].backward()
        optimizer.step()

    return step


def encoding_step(
    config: TrainConfig, device: torch.device, options: argparse.Namespace
) -> Callable[[], None]:
    """Encode one batch, without keeping its maps."""
    model = build_model(config.method, config.model_options()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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
