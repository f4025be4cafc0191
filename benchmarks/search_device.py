"""Exact search on any device: a set against itself, and the rate of queries against a large gallery.

    python benchmarks/search_rows.py PICTURES
    python benchmarks/search_device.py --device cuda [--rows runs/search/rows.npz]

Everything is held on the device. The large gallery is synthetic, see search_rows.synthetic_rows.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from machine import describe_machine
from search_rows import read_rows, synthetic_rows

from avsl_core import load
from avsl_core.memory import keep_freed_memory
from avsl_core.models import Rows
from avsl_core.search import ExactSearch, MemoryRows

K = 10
_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=Path, default=Path("runs/search/rows.npz"))
    parser.add_argument("--set", type=int, default=60_502, help="pictures against themselves")
    parser.add_argument("--gallery", type=int, default=1_000_000, help="synthetic pictures")
    parser.add_argument("--queries", type=int, default=20_480, help="against the gallery")
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/search_device.json"))
    options = parser.parse_args()
    keep_freed_memory()
    model = load(options.checkpoint, options.device).model
    rows, classes, _ = read_rows(options.rows)
    widths = model.measure().widths
    some = rows[: options.set].to(options.device)
    numbers = torch.arange(len(some))
    document = {
        "device": options.device,
        "against_itself": {"pictures": len(some)} | run(model, some, some, numbers),
    }
    large = Rows.concatenate(
        [group.to(options.device) for group in synthetic_rows(rows, classes, widths, options.gallery)]
    )
    asked = Rows.concatenate(list(synthetic_rows(rows, classes, widths, options.queries, seed=1)))
    document["against_a_large_gallery"] = {"pictures": len(large)} | run(
        model, large, asked.to(options.device), None
    )
    document["machine"] = describe_machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def run(model: Any, rows: Rows, queries: Rows, exclude: torch.Tensor | None) -> dict[str, Any]:
    """Prepare once, then search for all queries."""
    search = ExactSearch(model.measure(), MemoryRows(rows), device=rows.vectors.device, memory=32 * 2**30)
    first = None if exclude is None else exclude[:64]
    started = time.perf_counter()
    search.search(queries[:64], K, exclude=first)
    prepared = time.perf_counter() - started
    started = time.perf_counter()
    found = search.search(queries, K, exclude=exclude)
    seconds = time.perf_counter() - started
    return {
        "first_64_queries_s": round(prepared, 2),
        "queries": len(queries),
        "seconds": round(seconds, 2),
        "queries_per_second": round(len(queries) / seconds),
        "verified_per_query": round(float(found.verified.float().mean()), 1),
    }


if __name__ == "__main__":
    main()
