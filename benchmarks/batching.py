"""Would it pay to encode the pictures of several visitors in one go?

    python benchmarks/batching.py [--checkpoint default] [--pictures 64] [--quick]

Encodes the same pictures one by one, by two threads with half of the cores each (what two visitors at once
are), and in batches; tells pictures per second and whether the numbers are the very same, bit by bit.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch
from machine import describe_machine
from visitors import draw_picture

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.images import load_image
from avsl_core.models import Encoding

_RAW = argparse.RawDescriptionHelpFormatter
_BATCHES = (2, 4, 8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="8 pictures, once")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/batching.json"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.pictures, options.repeats = 8, 1
    document = measure(load_checkpoint(options.checkpoint), options) | {"machine": describe_machine()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


@torch.inference_mode()
def measure(checkpoint: Checkpoint, options: argparse.Namespace) -> dict[str, Any]:
    """All ways, in turns, so that a change of the machine's speed meets all of them."""
    pictures = [load_image(draw_picture(seed, 400, 300)) for seed in range(options.pictures)]
    inputs = torch.stack([checkpoint.preprocess(picture) for picture in pictures])
    encode = checkpoint.model.encode
    ways: dict[str, Callable[[], list[Encoding]]] = {
        "one by one": lambda: [encode(one[None]) for one in inputs]
    }
    ways["two threads, one by one each"] = lambda: in_threads(encode, inputs)
    for size in _BATCHES:
        ways[f"batches of {size}"] = lambda size=size: [encode(part) for part in inputs.split(size)]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    busy: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[Encoding]] = {}
    ways["one by one"]()  # warm-up
    for _ in range(options.repeats):
        for name, way in ways.items():
            began, began_busy = time.perf_counter(), time.process_time()
            found[name] = way()
            seconds[name].append(time.perf_counter() - began)
            busy[name].append(time.process_time() - began_busy)
    plain = flat(found["one by one"])
    return {
        "checkpoint": options.checkpoint,
        "pictures": len(pictures),
        "ways": [
            {
                "way": name,
                "pictures_per_s": round(len(pictures) / min(times), 2),
                # Of all cores together: tells the work apart from what else the machine does.
                "core_ms_per_picture": round(1000 * min(busy[name]) / len(pictures), 1),
                "bit_identical": bool(torch.equal(flat(found[name]), plain)),
                "largest_difference": float((flat(found[name]) - plain).abs().max()),
            }
            for name, times in seconds.items()
        ],
    }


def in_threads(encode: Callable[[torch.Tensor], Encoding], inputs: torch.Tensor) -> list[Encoding]:
    """Two at once, each with half of the threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // 2))

    def one(picture: torch.Tensor) -> Encoding:
        with torch.inference_mode():  # of each thread
            return encode(picture[None])

    try:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(one, inputs))
    finally:
        torch.set_num_threads(threads)


def flat(encodings: list[Encoding]) -> torch.Tensor:
    """All numbers of all encodings, picture by picture."""
    rows = []
    for encoding in encodings:
        tensors = list(tensors_of(encoding))
        rows += [
            torch.cat([tensor[i].flatten().double() for tensor in tensors]) for i in range(len(tensors[0]))
        ]
    return torch.stack(rows)


def tensors_of(value: Any) -> list[torch.Tensor]:
    """The tensors of an encoding, however it nests them."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for part in value.values() for tensor in tensors_of(part)]
    if isinstance(value, (list, tuple)):
        return [tensor for part in value for tensor in tensors_of(part)]
    return (
        [tensor for part in vars(value).values() for tensor in tensors_of(part)]
        if hasattr(value, "__dict__")
        else []
    )


if __name__ == "__main__":
    main()
