"""A student that looks at small pictures, taught in several ways: same pictures, same trunk, three seeds.

    python benchmarks/raml_student.py PICTURES [--out benchmarks/results/raml_student.json] [--work runs/raml]

PICTURES/<species>/<picture>. Teacher and student look through the same frozen trunk, the teacher at the
recipe's size and the student at half of it, so that heads are all that is learned. Each seed splits the
species three ways (learn, choose, report); all figures are on the third part. A student that was taught by
the teacher is tested asymmetrically (its queries in the teacher's gallery) and symmetrically. Finished runs
are kept in --work and not repeated.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from birds import FRACTIONS, spread
from machine import describe_machine
from torch.utils.flop_counter import FlopCounterMode

from avsl_core.checkpoint import load_checkpoint
from avsl_core.config import to_dict
from avsl_core.data import PictureSet, read_folder, split_classes
from avsl_core.encoding import encode_pictures
from avsl_core.evaluation import evaluate_encoding
from avsl_core.models import RamlModel
from avsl_core.models.raml import Sides
from avsl_core.training import TrainConfig, Trainer, find_recipe, start_process

Distillation = Literal["ts_aug", "ts_reg", "sym", "alone"]
REPORTED = ("recall@1", "map@r")
_RAW = argparse.RawDescriptionHelpFormatter
_REPEATS = 100

ROWS: Mapping[str, tuple[str, Sides]] = {
    "teacher alone": ("teacher", "teacher"),
    "student alone": ("alone", "student"),
    "student by triplets of its own (sym)": ("sym", "student"),
    "student taught on plain pictures (ts_reg), asymmetric": ("ts_reg", "asymmetric"),
    "student taught on plain pictures (ts_reg), symmetric": ("ts_reg", "student"),
    "student taught on views (ts_aug), asymmetric": ("ts_aug", "asymmetric"),
    "student taught on views (ts_aug), symmetric": ("ts_aug", "student"),
}
"""The table's rows: what is trained, and who looks at which side of the test."""


def plans(recipe: TrainConfig, teacher: Path) -> Mapping[str, TrainConfig]:
    """What is trained: the teacher first, then students beside it, each for its share of the recipe."""
    taught = recipe.raml.teacher_epochs
    raml = replace(recipe.raml, teacher_epochs=0)

    def from_teacher(how: Distillation) -> TrainConfig:
        own = replace(raml, distillation=how, teacher=str(teacher))
        return replace(recipe, epochs=recipe.epochs - taught, raml=own)

    def on_its_own(how: Distillation, **options: Any) -> TrainConfig:
        # As many epochs as the teacher has: it learns the same task as the teacher does.
        return replace(recipe, epochs=taught, raml=replace(raml, distillation=how), **options)

    return {
        "teacher": replace(recipe, epochs=taught),
        "alone": on_its_own("alone"),
        "sym": on_its_own("sym", samples_per_class=5),
        "ts_reg": from_teacher("ts_reg"),
        "ts_aug": from_teacher("ts_aug"),
    }


def main() -> None:
    """Run what is not yet there, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/raml_student.json"))
    parser.add_argument("--work", type=Path, default=Path("runs/raml"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="change an option of the cpu-raml recipe")
    options = parser.parse_args()
    recipe = find_recipe("cpu-raml", options.set)
    pictures = read_folder(options.pictures)
    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for name, result in run_seed(replace(recipe, seed=seed), pictures, options.work / f"seed{seed}"):
            runs.setdefault(name, []).append(result)
            shown = "  ".join(f"{key} {100 * result[key]:.1f}" for key in REPORTED)
            print(f"seed {seed}  {name:<56}{shown}", flush=True)
    model, size = load_checkpoint(options.work / "seed0" / "ts_aug.safetensors").model, recipe.preprocess.size
    assert isinstance(model, RamlModel)
    document = {
        "what": "retrieval on species never trained on; fractions; mean and sample deviation over seeds",
        "pictures": pictures.summary(),
        "recipe": options.set or "cpu-raml, unchanged",
        "sizes": {"teacher": size, "student": recipe.raml.student_size},
        "summary": {
            name: {key: spread([result[key] for result in results]) for key in REPORTED}
            | query_costs(model.with_sides(ROWS[name][1]), size)
            for name, results in runs.items()
        },
        "runs": runs,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def run_seed(recipe: TrainConfig, pictures: PictureSet, folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """All rows of one seed."""
    split = split_classes(pictures, FRACTIONS, recipe.seed)
    assert split.train is not None and split.val is not None and split.test is not None
    results: list[tuple[str, dict[str, Any]]] = []
    trained: dict[str, dict[str, Any]] = {}
    for name, config in plans(recipe, folder / "teacher.safetensors").items():
        trained[name] = train(name, config, (split.train, split.val, split.test), folder)
    shutil.rmtree(folder / "maps", ignore_errors=True)  # gigabytes, and of no use to another seed
    for row, (name, sides) in ROWS.items():
        facts = {key: value for key, value in trained[name].items() if key not in ("recipe", "test")}
        results.append((row, trained[name]["test"][sides] | facts))
    return results


def train(
    name: str, config: TrainConfig, parts: tuple[PictureSet, PictureSet, PictureSet], folder: Path
) -> dict[str, Any]:
    """Train once and judge on the test species, or read what an earlier call found."""
    kept = folder / f"{name}.json"
    if kept.exists():
        loaded: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if loaded["recipe"] == to_dict(config):
            return loaded
    started = time.monotonic()
    out = folder / f"{name}.safetensors"
    trainer = Trainer(config, *parts[:2], out, start_process("cpu"), cache_root=folder / "maps")
    result = trainer.fit(resume=(out.with_suffix(".run") / "state.safetensors").exists())
    model = load_checkpoint(out).model
    assert isinstance(model, RamlModel)
    values = {
        "recipe": to_dict(config),
        "best_epoch": result.best_epoch,
        "validation_map@r": result.validation["map@r"],
        "test": judge(model, config, parts[2]),
        "seconds": round(time.monotonic() - started),
    }
    kept.write_text(json.dumps(values), encoding="utf-8")
    return values


def judge(model: RamlModel, config: TrainConfig, test: PictureSet) -> dict[str, dict[str, float]]:
    """Retrieval metrics on the test species for all sides that this model was trained for."""
    taught = model.config.sides == "asymmetric"
    found: dict[str, dict[str, float]] = {}
    encoding = encode_pictures(
        model.with_sides("asymmetric"), config.preprocess, test.paths, workers=2, progress=True
    )
    sides: tuple[Sides, ...] = ("asymmetric", "student") if taught else (model.config.sides,)
    for side in sides:
        judged = evaluate_encoding(model.with_sides(side), encoding, test.labels, with_pairs=False)
        metrics = judged.metrics.to_dict()
        found[side] = {key: metrics[key] for key in REPORTED}
    return found


@torch.inference_mode()
def query_costs(model: RamlModel, size: int) -> dict[str, float]:
    """Multiply-adds and time of encoding a query, and what a gallery keeps of a picture."""
    picture = torch.randn(1, 3, size, size).contiguous(memory_format=torch.channels_last)

    def encode() -> None:
        model.encode(picture, "query", keep_maps=False)

    with FlopCounterMode(display=False) as counter:
        encode()
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        encode()
        times.append(1000.0 * (time.perf_counter() - started))
    row = model.rows(model.encode(picture, "gallery", keep_maps=False))
    return {
        "multiply_adds_per_query": counter.get_total_flops() // 2,
        "ms_per_query": round(statistics.median(times), 2),
        "bytes_per_picture": 2 * row.vectors.numel(),  # half precision
    }


if __name__ == "__main__":
    main()
