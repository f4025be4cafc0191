"""What it is worth to keep freed memory: passes of a network with and without, each in a process of its own.

python benchmarks/allocator.py [--repeats 3]
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from machine import describe_machine

_RAW = argparse.RawDescriptionHelpFormatter
_PASSES = """
import sys, time
sys.path.insert(0, sys.argv[1])
import timm, torch
from avsl_core.memory import keep_freed_memory
if sys.argv[2] == "kept":
    assert keep_freed_memory()
model = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
model.to(memory_format=torch.channels_last)
images = torch.randn(16, 3, 256, 256).contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    model(images)
    started = time.perf_counter()
    for _ in range(4):
        model(images)
print(64 / (time.perf_counter() - started))
"""


def main() -> None:
    """Measure in turns, so that a busy machine slows both alike, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/allocator.json"))
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"returned": [], "kept": []}
    for _ in range(options.repeats):
        for mode, measured in rates.items():
            measured.append(images_per_second(mode))
    medians = {mode: round(statistics.median(measured), 1) for mode, measured in rates.items()}
    document = {
        "what": "tf_efficientnet_lite0, float32, 16 pictures of 256 px a pass; pictures per second",
        "images_per_second": medians,
        "ratio": round(medians["kept"] / medians["returned"], 2),
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def images_per_second(mode: str) -> float:
    """The rate of one fresh process."""
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", _PASSES, str(root), mode], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
