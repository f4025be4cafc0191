"""What attribution costs: ratios measured in one run, the two sides taking turns.

    python benchmarks/speed.py [--checkpoint default] [--out benchmarks/results/speed.json]

Training: images/s of AVSL (whole network learning) over those of Proxy-Anchor on the last level alone, the
same trunk, pictures and batch. Pair: time to encode, measure and explain two pictures over one bare
forward pass of the trunk for the same two.
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

from avsl_core import load
from avsl_core.models import build_model
from avsl_core.training import TrainConfig
from avsl_core.training.methods import OBJECTIVES

TRUNKS: dict[str, tuple[int | str, ...]] = {"tf_efficientnet_lite0": (3, 4, "head"), "resnet18": (2, 3, 4)}
_RAW = argparse.RawDescriptionHelpFormatter
CLASSES, BATCH = 200, 32


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/speed.json"))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=60)
    options = parser.parse_args()
    document = {
        "training": {name: training_ratio(name, levels, options.steps) for name, levels in TRUNKS.items()},
        "pair": pair_ratio(options.checkpoint, options.pairs),
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def training_ratio(trunk: str, levels: tuple[int | str, ...], steps: int) -> dict[str, float]:
    """Images per second of both methods, medians over alternating steps."""
    base = TrainConfig(backbone=trunk, levels=levels, weights="none", stages="all")
    alone = replace(base, method="embedding", levels=levels[-1:], level_weights=(1.0,))
    avsl_step, alone_step = (training_step(config) for config in (base, alone))
    avsl_step(), alone_step()
    times: dict[str, list[float]] = {"avsl": [], "proxy_anchor": []}
    for _ in range(steps):
        times["avsl"].append(timed(avsl_step))
        times["proxy_anchor"].append(timed(alone_step))
    rates = {name: BATCH / statistics.median(values) for name, values in times.items()}
    ratios = [a / b for a, b in zip(times["proxy_anchor"], times["avsl"], strict=True)]
    return {
        "avsl_images_per_second": round(rates["avsl"], 2),
        "proxy_anchor_images_per_second": round(rates["proxy_anchor"], 2),
        "ratio": round(statistics.median(ratios), 3),
    }


def training_step(config: TrainConfig) -> Callable[[], None]:
    """One whole optimiser step on a fixed batch."""
    torch.manual_seed(0)
    kind = OBJECTIVES[config.method]
    model = build_model(config.method, kind.model_options(config)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = kind(model, config, CLASSES).train()
    model.trunk.set_trainable("all")
    optimizer = torch.optim.AdamW(objective.parameter_groups())
    images = torch.rand(BATCH, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) // 4

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        objective(images, labels)["total"].backward()
        optimizer.step()

    return step


def pair_ratio(checkpoint: str, repeats: int) -> dict[str, Any]:
    """Everything for one pair over the trunk's pass alone."""
    loaded = load(checkpoint)
    model, size = loaded.model, loaded.preprocess.size
    images = torch.rand(2, 3, size, size).mul(2).sub(1).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward() -> None:
        model.trunk_maps(images)

    @torch.inference_mode()
    def everything() -> None:
        encoding = model.encode(images)
        a, b = encoding[0], encoding[1]
        model.distance(a, b)
        model.explain(a, b)

    for _ in range(5):
        forward(), everything()
    times = [(timed(forward), timed(everything)) for _ in range(repeats)]
    return {
        "checkpoint": checkpoint,
        "input": size,
        "forward_ms": round(1000 * statistics.median(t for t, _ in times), 2),
        "encode_distance_explain_ms": round(1000 * statistics.median(t for _, t in times), 2),
        "ratio": round(statistics.median(b / a for a, b in times), 3),
    }


def timed(function: Callable[[], None]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
