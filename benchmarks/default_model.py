"""Train the default checkpoint on birds, groceries and clothing together, and report it per set.

    python benchmarks/default_model.py PICTURES [--out checkpoints/default.safetensors]

PICTURES/{birds,grocery,clothing}/<class>/<picture>. Each set's classes are split three ways; the model
learns on the first parts together, the epoch is chosen on the second, and every figure is on the third.
Interrupted, it goes on where it stopped.
"""

import argparse
import json
import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from birds import REPORTED, judge
from machine import describe_machine

from avsl_core.checkpoint import load_checkpoint, save_checkpoint
from avsl_core.data import PictureSet, Split, merge, read_folder, split_classes
from avsl_core.models import build_model
from avsl_core.training import TrainConfig, Trainer, find_recipe, start_process

FRACTIONS = {
    "birds": (225 / 400, 50 / 400, 125 / 400),
    "grocery": (27 / 45, 6 / 45, 12 / 45),
    "clothing": (0.5, 0.2, 0.3),
}
SOURCES = {
    "birds": "Birds 525 species (2,000 pictures of 400 species), CC0",
    "grocery": "GroceryStoreDataset, Klasson et al. 2019 (2,943 pictures of 45 kinds), MIT",
    "clothing": "clothing-dataset-small (3,781 pictures of 10 kinds), CC0",
}
SEED = 0

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Train, judge, and write the checkpoint with its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("checkpoints/default.safetensors"))
    parser.add_argument("--work", type=Path, default=Path("runs/default"))
    parser.add_argument("--report", type=Path, default=Path("benchmarks/results/default.json"))
    parser.add_argument("--per-class", type=int, default=40, help="most training pictures of one class")
    parser.add_argument("--set", action="append", default=[], help="change an option of the cpu recipe")
    options = parser.parse_args()
    recipe = find_recipe("cpu", options.set)
    splits = {
        name: split_classes(read_folder(options.pictures / name), shares, SEED)
        for name, shares in FRACTIONS.items()
    }
    trained = train(recipe, splits, options)
    checkpoint = load_checkpoint(trained)
    frozen = build_model(
        "embedding",
        {"backbone": {"name": recipe.backbone, "levels": recipe.levels[-1:]}, "nodes": 0},
        weights=recipe.weights,
    ).eval()
    table: dict[str, dict[str, Any]] = {}
    for name, split in splits.items():
        assert split.test is not None
        table[name] = {
            "test_classes": split.test.num_classes,
            "avsl": rounded(judge(checkpoint.model, recipe, split.test)),
            "frozen pooled features": rounded(judge(frozen, recipe, split.test)),
        }
        print(name, json.dumps(table[name]), flush=True)
    metrics = {**checkpoint.metrics, "test": {name: row["avsl"] for name, row in table.items()}}
    save_checkpoint(replace(checkpoint, metrics=metrics), options.out)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "what": "the default checkpoint on classes it never saw, beside its trunk untrained; fractions",
        "sources": SOURCES,
        "sets": table,
        "machine": describe_machine(),
    }
    options.report.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def train(recipe: TrainConfig, splits: Mapping[str, Split], options: argparse.Namespace) -> Path:
    """Train on all sets together; no class may crowd out the others by its number of pictures."""
    parts = {
        part: merge([capped(getattr(split, part), options.per_class) for split in splits.values()])
        for part in ("train", "val")
    }
    out: Path = options.work / "default.safetensors"
    record = {"data": SOURCES, "split": {n: list(f) for n, f in FRACTIONS.items()}, "split_seed": SEED}
    trainer = Trainer(recipe, parts["train"], parts["val"], out, start_process("cpu"), record=record)
    trainer.fit(resume=out.with_suffix(".run").exists())
    return out


def capped(pictures: PictureSet, most: int) -> PictureSet:
    """At most so many pictures of each class, drawn with the seed."""
    chance = random.Random(SEED)
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(pictures.labels):
        by_class.setdefault(label, []).append(index)
    kept = [
        index for members in by_class.values() for index in chance.sample(members, min(most, len(members)))
    ]
    return pictures.subset(sorted(kept))


def rounded(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The reported metrics to four digits."""
    return {key: round(metrics[key] or 0.0, 4) for key in (*REPORTED, "queries")}


if __name__ == "__main__":
    main()
