"""AVSL against three baselines on unseen bird species: same pictures, same trunk, same budget, three seeds.

    python benchmarks/birds.py PICTURES [--out benchmarks/results/birds.json] [--work runs/birds]

PICTURES/<species>/<picture>. Each seed splits the species three ways (learn, choose, report), so that the
spread holds both the luck of the split and of the training. Every number is on the species of the third
part. Finished runs are kept in --work and not repeated.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from machine import describe_machine

from avsl_core.checkpoint import load_checkpoint
from avsl_core.config import to_dict
from avsl_core.data import PictureSet, read_folder, split_classes
from avsl_core.encoding import encode_pictures
from avsl_core.evaluation import evaluate_encoding
from avsl_core.models import SimilarityModel, build_model
from avsl_core.training import TrainConfig, Trainer, find_recipe, start_process

FRACTIONS = (225 / 400, 50 / 400, 125 / 400)
_RAW = argparse.RawDescriptionHelpFormatter
REPORTED = ("recall@1", "recall@2", "recall@4", "recall@8", "map@r", "r_precision")


def methods(recipe: TrainConfig) -> Mapping[str, TrainConfig | None]:
    """The four rows of the table; None is not trained."""
    top = recipe.levels[-1:]
    return {
        "frozen pooled features": None,
        "Proxy-Anchor, last level": replace(recipe, method="embedding", levels=top, level_weights=(1.0,)),
        "Proxy-Anchor, levels concatenated": replace(recipe, method="embedding"),
        "AVSL": recipe,
    }


def main() -> None:
    """Run what is not yet there, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/birds.json"))
    parser.add_argument("--work", type=Path, default=Path("runs/birds"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="change an option of the cpu recipe")
    options = parser.parse_args()
    recipe = find_recipe("cpu", options.set)
    pictures = read_folder(options.pictures)
    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for name, config in methods(replace(recipe, seed=seed)).items():
            result = run(name, config, replace(recipe, seed=seed), pictures, seed, options.work)
            runs.setdefault(name, []).append(result)
            print(
                f"seed {seed}  {name:<36}" + "  ".join(f"{k} {100 * result[k]:.1f}" for k in REPORTED),
                flush=True,
            )
    summary = {
        name: {key: spread([result[key] for result in results]) for key in REPORTED}
        for name, results in runs.items()
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "what": "retrieval on species never trained on; fractions; mean and sample deviation over seeds",
        "pictures": pictures.summary(),
        "classes": {"train": 225, "validation": 50, "test": 125},
        "recipe": options.set or "cpu, unchanged",
        "summary": summary,
        "runs": runs,
        "machine": describe_machine(),
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def run(
    name: str, config: TrainConfig | None, recipe: TrainConfig, pictures: PictureSet, seed: int, work: Path
) -> dict[str, Any]:
    """Train one method with one seed and judge it on the test species."""
    folder = work / f"seed{seed}"
    kept = folder / f"{name.replace(',', '').replace(' ', '-')}.json"
    made_by = to_dict(config or recipe)
    if kept.exists():
        loaded: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if loaded.pop("recipe", None) == made_by:
            return loaded
    split = split_classes(pictures, FRACTIONS, seed)
    assert split.train is not None and split.val is not None and split.test is not None
    started = time.monotonic()
    extra: dict[str, Any] = {}
    if config is None:
        backbone = {"name": recipe.backbone, "levels": recipe.levels[-1:]}
        model = build_model("embedding", {"backbone": backbone, "nodes": 0}, weights=recipe.weights).eval()
    else:
        out = kept.with_suffix(".safetensors")
        trainer = Trainer(config, split.train, split.val, out, start_process("cpu"), cache_root=work / "maps")
        result = trainer.fit(resume=out.with_suffix(".run").exists())
        model = load_checkpoint(out).model
        extra = {"best_epoch": result.best_epoch}
        extra |= {f"validation_{key}": result.validation[key] for key in ("recall@1", "map@r")}
        if config.method == "avsl":
            extra["mean_gate"] = mean_gates(model, recipe, split.test)
    metrics = judge(model, recipe, split.test)
    values = {key: metrics[key] for key in REPORTED} | extra | {"seconds": round(time.monotonic() - started)}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"recipe": made_by, **values}), encoding="utf-8")
    return values


def judge(model: SimilarityModel, recipe: TrainConfig, test: PictureSet) -> dict[str, Any]:
    """Retrieval metrics on the test species, in full precision."""
    encoding = encode_pictures(model, recipe.preprocess, test.paths, workers=2, progress=True)
    return evaluate_encoding(model, encoding, test.labels).metrics.to_dict()


@torch.inference_mode()
def mean_gates(model: Any, recipe: TrainConfig, test: PictureSet) -> list[float]:
    """Mean reliability P of each gated level over neighbouring pairs of test pictures."""
    encoding = encode_pictures(model, recipe.preprocess, test.paths[:100], keep_maps=True)
    gates: dict[str, list[float]] = {}
    for index in range(0, 98, 2):
        for name, level in model.explain(encoding[index], encoding[index + 1]).levels.items():
            gates.setdefault(name, []).append(float(level.gate.mean()))
    return [round(statistics.fmean(values), 3) for values in list(gates.values())[1:]]


def spread(values: list[float]) -> dict[str, float]:
    """Mean and sample standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.fmean(values), 4), "deviation": round(deviation, 4)}


if __name__ == "__main__":
    main()
