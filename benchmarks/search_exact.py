"""Exact search against brute force as published and against plain faiss, on real encodings.

    python benchmarks/search_rows.py PICTURES
    python benchmarks/search_exact.py [--rows runs/search/rows.npz]

At each size, the same queries (rows of the gallery, which leave themselves out) are answered three ways:

- brute force: the recursion of the AVSL paper for every pair, in chunks, on as many queries as fit a few
  seconds; their neighbours and distances are compared with those of exact search;
- exact search by bound and verification, in a batch and one by one;
- faiss IndexFlatL2 over vectors of the same length (the nodes weighted as for a typical pair), in a batch and
  one by one: what nearest neighbours cost without gates and linkages.

Times are the best of some rounds in turn, in one process.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from machine import describe_machine
from search_rows import read_rows

from avsl_core import load
from avsl_core.memory import keep_freed_memory
from avsl_core.models import AvslEncoding, AvslModel, Rows
from avsl_core.search import ExactSearch, MemoryRows

BATCH, SINGLES, K = 512, 64, 10
_BRUTE_PAIRS = 120_000
_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--rows", type=Path, default=Path("runs/search/rows.npz"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 6000, 20_000, 60_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/search_exact.json"))
    options = parser.parse_args()
    keep_freed_memory()
    model = load(options.checkpoint).model
    assert isinstance(model, AvslModel)
    rows, _, _ = read_rows(options.rows)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    table = {}
    for size in options.sizes:
        table[str(size)] = compare(model, rows[order[:size]], options.rounds)
        print(size, json.dumps(table[str(size)]), flush=True)
    document = {
        "what": "k = 10 nearest, queries from the gallery; milliseconds per query, best of the rounds",
        "rows": "real encodings: photographs, then random crops of them",
        "batch": BATCH,
        "sizes": table,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


@torch.inference_mode()
def compare(model: AvslModel, rows: Rows, rounds: int) -> dict[str, Any]:
    """All three ways at one size."""
    import faiss

    count = len(rows)
    batch = min(BATCH, count)
    numbers = torch.arange(batch)
    exact = ExactSearch(model.measure(), MemoryRows(rows))
    found = exact.search(rows[:batch], K, exclude=numbers)

    weighted = rows.vectors * exact.space.scale
    index = faiss.IndexFlatL2(weighted.shape[1])
    index.add(weighted.numpy())
    queries = weighted[:batch].numpy()

    brute_queries = max(2, _BRUTE_PAIRS // count)
    encoding = as_encoding(model, rows)
    best: dict[str, float] = {}

    def clock(name: str, answered: int, run: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = run()
        took = 1000 * (time.perf_counter() - started) / answered
        best[name] = min(best.get(name, took), took)
        return result

    def one_by_one(search: Callable[[int], Any]) -> None:
        for query in range(min(SINGLES, batch)):
            search(query)

    for _ in range(rounds):
        clock("exact_batch", batch, lambda: exact.search(rows[:batch], K, exclude=numbers))
        clock("faiss_batch", batch, lambda: index.search(queries, K + 1))
        clock(
            "exact_single",
            min(SINGLES, batch),
            lambda: one_by_one(lambda q: exact.search(rows[q : q + 1], K, exclude=numbers[q : q + 1])),
        )
        clock(
            "faiss_single",
            min(SINGLES, batch),
            lambda: one_by_one(lambda q: index.search(queries[q : q + 1], K + 1)),
        )
    for _ in range(2):
        matrix = clock(
            "brute", brute_queries, lambda: model.distance_matrix(encoding[:brute_queries], encoding)
        )
    matrix[torch.arange(brute_queries), torch.arange(brute_queries)] = torch.inf
    nearest, places = matrix.topk(K, dim=1, largest=False)
    same_rows = float((places == found.rows[:brute_queries]).float().mean())
    worst = float(((nearest - found.distances[:brute_queries]).abs() / nearest.clamp_min(1e-3)).max())
    return {
        "ms": {name: round(value, 4) for name, value in best.items()},
        "brute_over_exact_batch": round(best["brute"] / best["exact_batch"], 1),
        "brute_over_exact_single": round(best["brute"] / best["exact_single"], 1),
        "exact_over_faiss_batch": round(best["exact_batch"] / best["faiss_batch"], 2),
        "exact_over_faiss_single": round(best["exact_single"] / best["faiss_single"], 2),
        "brute_pairs_per_second": round(1000 * count / best["brute"]),
        "verified_per_query": {
            "mean": round(float(found.verified.float().mean()), 1),
            "most": int(found.verified.max()),
        },
        "compared_with_brute_force": {
            "queries": brute_queries,
            "same_neighbours": same_rows,
            "worst_relative_difference_of_a_distance": worst,
        },
    }


def as_encoding(model: AvslModel, rows: Rows) -> AvslEncoding:
    """Rows as the model's own encoding."""
    levels, width = model.levels, model.config.nodes
    certainties = torch.split(rows.gates, width, dim=1)
    return AvslEncoding(
        nodes=torch.split(rows.vectors, width, dim=1),
        norms=tuple(torch.ones(len(rows)) for _ in range(levels)),
        certainties=(torch.zeros_like(certainties[0]), *certainties),
    )


if __name__ == "__main__":
    main()
