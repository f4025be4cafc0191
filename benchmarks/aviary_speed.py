"""How fast the aviary draws: pictures written per second, and the cost of one picture and of its masks.

python benchmarks/aviary_speed.py [--count 2000]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from machine import describe_machine

from avsl_core.aviary import all_species, part_masks, render, sample_scene, write_aviary

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/aviary_speed.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        written = write_aviary(Path(folder) / "birds", options.count, 0, progress=True)
    document = {
        "what": "pictures of 224 px; written as WebP with all processors, drawn on one",
        "count": options.count,
        "pictures_per_second": round(written.per_second, 1),
        "render_ms": milliseconds(render),
        "part_masks_ms": milliseconds(part_masks),
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def milliseconds(draw: Callable[..., Any], count: int = 100) -> float:
    """Median time of one call over species and scenes."""
    generator = np.random.default_rng(0)
    species = all_species()
    times = []
    for index in range(count):
        bird, scene = species[index % len(species)].bird, sample_scene(generator)
        started = time.perf_counter()
        draw(bird, scene, 224)
        times.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(times), 1)


if __name__ == "__main__":
    main()
