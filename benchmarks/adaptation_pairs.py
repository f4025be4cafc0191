"""A learned adaptation on drawn birds and their likeness on paper: aR@k before and after, for every kind.

    python benchmarks/adaptation_pairs.py [--count 1000] [--out benchmarks/results/adaptation_pairs.json]

Draws two pair sets, pencil sketches and silhouettes, each in another pose than the bird. Features are all
five stages of EfficientNet-Lite0 with its ImageNet weights, frozen, as they are and on their principal
components. Each run divides the pairs anew, learns on three quarters of them and is judged on the rest, which
are the same for all rows. Pictures and features are kept in --work and not made twice.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from machine import describe_machine

from avsl_core.adaptation import (
    FitOptions,
    PairFeatures,
    RunOptions,
    adapt_pairs,
    frozen_model,
    pair_features,
    preprocess_of,
)
from avsl_core.aviary import SKETCHES, write_pairs
from avsl_core.config import to_dict
from avsl_core.data import PairSet, read_pairs
from avsl_core.images import Preprocess
from avsl_core.models import AdaptationModel

_RAW = argparse.RawDescriptionHelpFormatter
BACKBONE = "tf_efficientnet_lite0"


def rows(pca: int) -> dict[str, FitOptions]:
    """The rows of the table: each kind on the features as they are, and on their principal components."""
    return {
        "features as they are": FitOptions(kind="dummy"),
        f"PCA {pca} alone": FitOptions(kind="dummy", pca=pca),
        "x ReLU(w)": FitOptions(kind="peterson"),
        f"x ReLU(w), PCA {pca}": FitOptions(kind="peterson", pca=pca),
        "ReLU(Wx)": FitOptions(),
        f"ReLU(Wx), PCA {pca}": FitOptions(pca=pca),
    }


def main() -> None:
    """Draw what is not yet there, learn, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/adaptation_pairs.json"))
    parser.add_argument("--work", type=Path, default=Path("runs/adaptation_pairs"))
    parser.add_argument("--count", type=int, default=1000, help="pairs of each set")
    parser.add_argument("--seed", type=int, default=1, help="of the birds")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pca", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2, help="processes that decode pictures")
    options = parser.parse_args()
    frozen = frozen_model(BACKBONE)
    preprocess = preprocess_of(frozen)
    sets: dict[str, Any] = {}
    for kind in SKETCHES:
        folder = options.work / f"{kind}-{options.count}-{options.seed}"
        write_pairs(folder, options.count, options.seed, kind, progress=True)
        cache = options.work / f"{folder.name}.features.npz"
        pairs, features = pair_features(
            frozen, preprocess, read_pairs(folder), cache, workers=options.workers, progress=True
        )
        sets[kind] = table(frozen, preprocess, pairs, features, options)
        document = {
            "what": "aR@k on held-out pairs, fractions; mean and sample deviation over runs",
            "backbone": BACKBONE,
            "levels": list(frozen.trunk.config.levels),
            "features": sum(frozen.trunk.channels),
            "preprocess": to_dict(preprocess),
            "sets": sets,
            "machine": describe_machine(),
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def table(
    frozen: AdaptationModel,
    preprocess: Preprocess,
    pairs: PairSet,
    features: PairFeatures,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """All rows on one pair set."""
    runs = RunOptions(runs=options.runs)
    results: dict[str, Any] = {}
    for name, fit in rows(options.pca).items():
        started = time.monotonic()
        result = adapt_pairs(frozen, preprocess, pairs, features, fit, runs)
        summary = result.summary()
        results[name] = {
            "fit": to_dict(fit) | {"lr": fit.rate},
            **summary,
            "loss": [run.loss for run in result.runs],
            "seconds_per_run": round((time.monotonic() - started) / options.runs, 1),
        }
        cells = (f"{key} {100 * cell['mean']:.1f}" for key, cell in summary["after"].items())
        print(f"{pairs.name:<24}{name:<24}" + "  ".join(cells), flush=True)
    return {"pairs": len(pairs), "test": result.runs[0].test, "rows": results}


if __name__ == "__main__":
    main()
