"""Evaluate a set as large as Stanford Online Products: time and memory.

    python benchmarks/search_rows.py PICTURES
    python benchmarks/evaluate_scale.py [--rows runs/search/rows.npz]

The set holds photographs and random crops of them; the crops of one photograph are a class (about seven each,
as SOP has five). Retrieval metrics come from exact search, NMI from k-means into as many clusters as classes.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from machine import describe_machine
from search_exact import as_encoding
from search_rows import read_rows

from avsl_core import evaluate_encoding, load
from avsl_core.metrics import nmi

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--rows", type=Path, default=Path("runs/search/rows.npz"))
    parser.add_argument("--count", type=int, default=60_502)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--no-nmi", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/evaluate_scale.json"))
    options = parser.parse_args()
    model = load(options.checkpoint).model
    rows, _, pictures = read_rows(options.rows)
    encoding, labels = as_encoding(model, rows[: options.count]), pictures[: options.count]
    started = time.perf_counter()
    metrics = evaluate_encoding(model, encoding, labels.tolist(), with_pairs=False).metrics
    searched = time.perf_counter() - started
    clustering = None
    if not options.no_nmi:
        started = time.perf_counter()
        metrics = metrics.with_nmi(nmi(model.node_vectors(encoding), labels, 0))
        clustering = time.perf_counter() - started
    document = {
        "pictures": len(labels),
        "classes": len(torch.unique(labels)),
        "metrics": {key: value for key, value in metrics.to_dict().items() if value is not None},
        "seconds": {
            "retrieval": round(searched, 1),
            "nmi": None if clustering is None else round(clustering, 1),
        },
        "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
