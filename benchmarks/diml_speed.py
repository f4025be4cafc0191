"""How fast cells are matched: all pairs at once against a loop over queries and a loop over pairs.

    python benchmarks/diml_speed.py PICTURES [--checkpoint default] [--queries 256] [--top-k 5 10 50 100]

PICTURES/<class>/<picture>. Each query is matched with its nearest pictures by the model's own distance. The
loop over queries is the published procedure: one query against its candidates, plain Sinkhorn steps on all of
them, and after each step a look whether the mean change of the row scaling is below 0.1, at most 100 times.
The loop over pairs does the same one pair at a time. Rounds are interleaved; ratios are of medians.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
from machine import describe_machine
from torch import Tensor

from avsl_core.checkpoint import load_checkpoint
from avsl_core.data import read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.memory import keep_freed_memory
from avsl_core.models import DimlEncoding, DimlModel
from avsl_core.reranking import structural_distances
from avsl_core.search import ExactSearch, MemoryRows

_RAW = argparse.RawDescriptionHelpFormatter
_FEW = 200  # pairs of the slow loop


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--top-k", type=int, nargs="+", default=[5, 10, 50, 100])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/diml_speed.json"))
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_grad_enabled(False)
    checkpoint = load_checkpoint(options.checkpoint)
    model = checkpoint.model if isinstance(checkpoint.model, DimlModel) else DimlModel.over(checkpoint.model)
    paths = read_folder(options.pictures).paths
    count = min(len(paths), 2 * options.queries)
    encoding = encode_pictures(model, checkpoint.preprocess, paths[:: len(paths) // count][:count], workers=2)
    assert isinstance(encoding, DimlEncoding)
    base = model.base.rows(encoding.base)
    queries = torch.arange(min(options.queries, len(encoding)))
    search = ExactSearch(model.base.measure(), MemoryRows(base))
    nearest = search.search(base[queries], max(options.top_k), exclude=queries).rows
    document = {
        "what": "structural similarities of 4 x 4 cells, pairs a second; medians of interleaved rounds",
        "cells": model.config.cells,
        "channels": encoding.cells.shape[2],
        "queries": len(queries),
        "by_top_k": [measure(model, encoding, nearest[:, :k], options.rounds) for k in options.top_k],
        "machine": describe_machine(),
    }
    print(json.dumps(document, indent=1))
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def measure(model: DimlModel, encoding: DimlEncoding, candidates: Tensor, rounds: int) -> dict[str, Any]:
    """Pairs a second, each query with so many candidates."""
    queries = torch.arange(len(candidates))
    slow = candidates[: max(2, _FEW // candidates.shape[1]), : _FEW // 2]
    found: dict[str, Tensor] = {}

    def batched() -> None:
        found["batched"] = structural_distances(model, encoding, queries, candidates)

    def query_loop() -> None:
        rows = [published(encoding, int(q), candidates[q]) for q in queries]
        found["query_loop"] = 1.0 - torch.stack(rows)

    def pair_loop() -> None:
        for query, others in enumerate(slow):
            for other in others:
                published(encoding, query, other[None])

    work: dict[str, tuple[Callable[[], None], int]] = {
        "batched": (batched, candidates.numel()),
        "query_loop": (query_loop, candidates.numel()),
        "pair_loop": (pair_loop, slow.numel()),
    }
    rates: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, (call, amount) in work.items():
            started = time.perf_counter()
            call()
            if number:  # the first round warms up
                rates[name].append(amount / (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "top_k": candidates.shape[1],
        "pairs_per_second": {name: round(value) for name, value in medians.items()},
        "over_query_loop": round(medians["batched"] / medians["query_loop"], 2),
        "over_pair_loop": round(medians["batched"] / medians["pair_loop"], 1),
        "largest_difference": float((found["batched"] - found["query_loop"]).nan_to_num().abs().max()),
        "published_undefined": int(found["query_loop"].isnan().sum()),
    }


def published(encoding: DimlEncoding, query: int, others: Tensor) -> Tensor:
    """One query against some pictures, step by step as published, with cross-correlation."""
    a, g = encoding.cells[query], encoding.whole[query]
    b, h = encoding.cells[others], encoding.whole[others]
    S = torch.einsum("ic,njc->nij", a, b)
    u, v = F.relu(torch.einsum("ic,nc->ni", a, h)), F.relu(torch.einsum("njc,c->nj", b, g))
    u, v = u / (u.sum(dim=1, keepdim=True) + 1e-5), v / (v.sum(dim=1, keepdim=True) + 1e-5)
    K = torch.exp(-(1.0 - S) / 0.05)
    rows, columns = torch.ones_like(u), torch.ones_like(v)
    for _ in range(100):
        before = rows
        rows = u / torch.matmul(K, columns[:, :, None])[:, :, 0]
        columns = v / torch.matmul(K.transpose(1, 2), rows[:, :, None])[:, :, 0]
        if (rows - before).abs().mean().item() < 0.1:
            break
    return (rows[:, :, None] * K * columns[:, None] * S).sum(dim=(1, 2))


if __name__ == "__main__":
    main()
