"""Train the aviary checkpoint on drawn birds, and report it on unseen species beside four baselines.

    python benchmarks/aviary_model.py [--out checkpoints/aviary.safetensors] [--work runs/aviary]

Draws the pictures itself. The packaged ImageNet trunk, cut after its 1/16 stage, first learns as a whole with
Proxy-Anchor on the training species; every method then trains its heads on that one trunk, from the same
cached maps. The epoch is chosen on the validation species, and every figure is on the test species.
Interrupted, it goes on where it stopped.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import safetensors.torch
from birds import REPORTED, judge, mean_gates
from machine import describe_machine

from avsl_core.aviary import species_of, write_aviary
from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avsl_core.data import PictureSet, read_folder
from avsl_core.images import Augmentation, Preprocess
from avsl_core.memory import keep_freed_memory
from avsl_core.models import build_model
from avsl_core.models.pretrained import create_pretrained
from avsl_core.training import TrainConfig, Trainer, find_recipe, start_process
from avsl_core.training.recipes import override

PER_SPECIES = {"train": 40, "val": 8, "test": 12}
SEED = 0
LEVELS = (2, 3)

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Draw, train, judge, and write the checkpoint with its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--out", type=Path, default=Path("checkpoints/aviary.safetensors"))
    parser.add_argument("--work", type=Path, default=Path("runs/aviary"))
    parser.add_argument("--report", type=Path, default=Path("benchmarks/results/aviary.json"))
    parser.add_argument("--per-species", type=int, help="pictures of each species, instead of 40, 8 and 12")
    parser.add_argument(
        "--trunk", action="append", default=[], help="change an option of the trunk's training"
    )
    parser.add_argument("--set", action="append", default=[], help="change an option of the heads' training")
    options = parser.parse_args()
    keep_freed_memory()
    pictures = draw(options)
    trunk = tune_trunk(options, pictures)
    weights = export_trunk(trunk, options.work / "trunk.safetensors")
    recipe = override(heads_recipe(str(weights)), options.set)
    table: dict[str, dict[str, Any]] = {}
    for name, config in methods(recipe).items():
        table[name] = row(name, config, recipe, pictures, options.work)
        print(f"{name:<44}" + "  ".join(f"{k} {100 * table[name][k]:.1f}" for k in REPORTED), flush=True)
    finish(options, table, trunk, pictures)


def draw(options: argparse.Namespace) -> dict[str, PictureSet]:
    """The pictures of the three parts; what is there already is kept."""
    folders = {}
    for split, usual in PER_SPECIES.items():
        folder, count = options.work / "pictures" / split, len(species_of(split))
        each = options.per_species or usual
        write_aviary(folder, each * count, SEED, size=256, split=split, species=count, progress=True)
        folders[split] = read_folder(folder)
    return folders


def trunk_recipe(overrides: list[str]) -> TrainConfig:
    """How the trunk learns: small pictures and both levels at once, for two cores."""
    base = replace(
        find_recipe("cpu"),
        method="embedding",
        levels=LEVELS,
        level_weights=(1.0, 1.0),
        stages="all",
        cached=False,
        amp="none",
        epochs=6,
        evaluate_every=2,
        batch_size=72,
        lr_trunk=5e-4,
        lr_heads=1e-3,
        lr_proxies=1e-2,
        preprocess=Preprocess(size=192, resize=192),
        augmentation=Augmentation(scale=(0.5, 1.0), flip=0.5),
    )
    return override(base, overrides)


def heads_recipe(weights: str) -> TrainConfig:
    """How the heads learn on the resting trunk: few views, since every drawing is a view of its own."""
    return replace(
        find_recipe("cpu"),
        weights=weights,
        levels=LEVELS,
        level_weights=(1.0, 1.0),
        views=3,
        epochs=8,
        evaluate_every=2,
    )


def tune_trunk(options: argparse.Namespace, pictures: Mapping[str, PictureSet]) -> Checkpoint:
    """The trunk after learning as a whole."""
    out = options.work / "tuned.safetensors"
    config = trunk_recipe(options.trunk)
    trainer = Trainer(config, pictures["train"], pictures["val"], out, start_process("cpu"))
    trainer.fit(resume=out.with_suffix(".run").exists())
    return load_checkpoint(out)


def export_trunk(tuned: Checkpoint, path: Path) -> Path:
    """The tuned trunk as a weights file in timm's naming; what lies above the cut stays ImageNet's."""
    network = create_pretrained(tuned.model.trunk.config.name, "packaged").state_dict()
    own = {key.removeprefix("features."): value for key, value in tuned.model.trunk.state_dict().items()}
    unknown = [key for key in own if key not in network]
    assert not unknown, unknown
    safetensors.torch.save_file({key: value.contiguous() for key, value in {**network, **own}.items()}, path)
    return path


def methods(recipe: TrainConfig) -> Mapping[str, TrainConfig | None]:
    """The rows of the table; None is not trained further."""
    return {
        "ImageNet trunk, pooled final convolution": None,
        "tuned trunk, pooled features": None,
        "Proxy-Anchor, last level": replace(
            recipe, method="embedding", levels=recipe.levels[-1:], level_weights=(1.0,)
        ),
        "Proxy-Anchor, levels concatenated": replace(recipe, method="embedding"),
        "AVSL": recipe,
    }


def row(
    name: str,
    config: TrainConfig | None,
    recipe: TrainConfig,
    pictures: Mapping[str, PictureSet],
    work: Path,
) -> dict[str, Any]:
    """Train one method's heads, unless that is done, and judge it on the test species."""
    extra: dict[str, Any] = {}
    if config is None:
        imagenet = name.startswith("ImageNet")
        backbone = {"name": recipe.backbone, "levels": ("head",) if imagenet else recipe.levels[-1:]}
        weights = "packaged" if imagenet else recipe.weights
        model = build_model("embedding", {"backbone": backbone, "nodes": 0}, weights=weights).eval()
    else:
        out = heads_path(name, work)
        trainer = Trainer(
            config,
            pictures["train"],
            pictures["val"],
            out,
            start_process("cpu"),
            cache_root=work / "maps",
            record={"data": {"aviary": f"drawn by this project; {pictures['train'].summary()}"}},
        )
        result = trainer.fit(resume=out.with_suffix(".run").exists())
        model = load_checkpoint(out).model
        extra = {"best_epoch": result.best_epoch, "validation_recall@1": result.validation["recall@1"]}
        if config.method == "avsl":
            extra["mean_gate"] = mean_gates(model, recipe, pictures["test"])
    metrics = judge(model, recipe, pictures["test"])
    return {key: round(metrics[key], 4) for key in REPORTED} | extra


def heads_path(name: str, work: Path) -> Path:
    """Where the trained heads of a method lie."""
    # A run goes on only with the trunk that it began with.
    trunk = zlib.crc32((work / "trunk.safetensors").read_bytes())
    return work / f"heads-{trunk:08x}" / f"{name.replace(',', '').replace(' ', '-')}.safetensors"


def finish(
    options: argparse.Namespace,
    table: Mapping[str, Mapping[str, Any]],
    trunk: Checkpoint,
    pictures: Mapping[str, PictureSet],
) -> None:
    """Write the checkpoint with its figures, and the report."""
    checkpoint = load_checkpoint(heads_path("AVSL", options.work))
    metrics = {**checkpoint.metrics, "test": dict(table["AVSL"])}
    save_checkpoint(replace(checkpoint, metrics=metrics), options.out)
    document = {
        "what": "retrieval among drawn birds of species never trained on; fractions",
        "pictures": {name: part.summary() for name, part in pictures.items()},
        "trunk": {"options": options.trunk or "unchanged", "validation": trunk.metrics},
        "recipe": options.set or "unchanged",
        "table": table,
        "machine": describe_machine(),
    }
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
