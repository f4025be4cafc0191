"""Do the maps add up? The shipped model on pairs of real pictures.

    python benchmarks/completeness.py PICTURES [--pairs 200] [--checkpoint default]

For each pair: relative difference between the distance and the sum of all cells of all maps, and between the
explained total and the distance that search uses (float32).
"""

import argparse
import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from machine import describe_machine

from avsl_core import encode_picture, load
from avsl_core.data import read_folder

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/completeness.json"))
    options = parser.parse_args()
    checkpoint = load(options.checkpoint)
    chance = random.Random(0)
    files = chance.sample(read_folder(options.pictures).paths, 2 * options.pairs)
    worst_sum = worst_total = 0.0
    for first, second in zip(files[::2], files[1::2], strict=True):
        a, b = (encode_picture(checkpoint, file) for file in (first, second))
        explanation = checkpoint.model.explain(a.encoding, b.encoding)
        cells = sum(float(c.map_a.sum() + c.map_b.sum()) for c in explanation.components)
        worst_sum = max(worst_sum, abs(cells - explanation.total) / explanation.total)
        measured = float(checkpoint.model.distance(a.encoding, b.encoding))
        worst_total = max(worst_total, abs(measured - explanation.total) / explanation.total)
    document = {
        "checkpoint": options.checkpoint,
        "pairs": options.pairs,
        "worst_relative_error_of_the_sum_of_maps": worst_sum,
        "worst_relative_difference_from_the_float32_distance": worst_total,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
