"""Make the shipped checkpoints of DIML, CGD, RAML and feature adaptation, each with its card.

    python benchmarks/shipped_methods.py PICTURES [--work runs/methods] [--pairs runs/adaptation_pairs]

The first three are those that `methods.py PICTURES --work WORK` trained with its first seed, their matrices
rounded to half precision and judged anew on the species kept back. The adaptation is learned here from the
sketches that `adaptation_pairs.py --work PAIRS` drew.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adaptation_pairs import BACKBONE
from birds import FRACTIONS

from avsl_core.adaptation import (
    FitOptions,
    RunOptions,
    adapt_pairs,
    frozen_model,
    pair_features,
    preprocess_of,
)
from avsl_core.checkpoint import Checkpoint, load_checkpoint, round_weights, save_checkpoint
from avsl_core.data import read_folder, read_pairs, split_classes
from avsl_core.encoding import encode_pictures
from avsl_core.evaluation import evaluate_encoding
from avsl_core.memory import keep_freed_memory

_RAW = argparse.RawDescriptionHelpFormatter
BIRDS = "Birds 525 species (2,000 pictures of 400 species), CC0"
TITLES = {
    "diml": (
        "DIML: matching of cells",
        "Which cell of one picture answers to which of the other, and how well.",
    ),
    "cgd": (
        "CGD: several ways to pool one map",
        "Mean, maximum and cubic mean of each channel, side by side.",
    ),
    "raml": (
        "RAML: small queries, large gallery",
        "The first picture is seen at 128 pixels by a student, the second at 256 by its teacher.",
    ),
    "adaptation": (
        "Adaptation: frozen features, taught by sketches",
        "Pooled stages of a frozen network, and a learned choice of what in them counts.",
    ),
}


def main() -> None:
    """Write four files and four cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/methods"))
    parser.add_argument("--pairs", type=Path, default=Path("runs/adaptation_pairs"))
    parser.add_argument("--count", type=int, default=1000, help="sketches that were drawn")
    parser.add_argument("--out", type=Path, default=Path("checkpoints"))
    options = parser.parse_args()
    keep_freed_memory()
    for name, run in (("diml", "diml"), ("cgd", "cgd"), ("raml", "raml-small-queries")):
        ship(
            name, judged(load_checkpoint(options.work / "seed0" / f"{run}.safetensors"), options), options.out
        )
    ship("adaptation", adapted(options), options.out)


def judged(checkpoint: Checkpoint, options: argparse.Namespace) -> Checkpoint:
    """The checkpoint rounded, with its metrics and distances on species that it never saw."""
    round_weights(checkpoint.model)
    split = split_classes(read_folder(options.pictures), FRACTIONS, 0)
    assert split.val is not None and split.test is not None
    found = {}
    for part, pictures in (("validation", split.val), ("test", split.test)):
        encoding = encode_pictures(checkpoint.model, checkpoint.preprocess, pictures.paths, workers=2)
        found[part] = evaluate_encoding(checkpoint.model, encoding, pictures.labels)
    return replace(
        checkpoint,
        record=dict(checkpoint.record) | {"data": {"birds": BIRDS}},
        metrics={part: evaluation.metrics.to_dict() for part, evaluation in found.items()},
        pairs=found["validation"].pairs,
    )


def adapted(options: argparse.Namespace) -> Checkpoint:
    """An adaptation to sketches, as `train_cli.py adapt` learns it."""
    frozen = frozen_model(BACKBONE)
    preprocess = preprocess_of(frozen)
    (folder,) = options.pairs.glob(f"sketch-{options.count}-*/")
    cache = options.pairs / f"{folder.name}.features.npz"
    pairs, features = pair_features(frozen, preprocess, read_pairs(folder), cache, workers=2)
    fit = FitOptions(pca=256)
    made = {
        "data": {"sketches": "drawn by this project: birds, and each bird's pencil sketch in another pose"}
    }
    result = adapt_pairs(frozen, preprocess, pairs, features, fit, RunOptions(runs=1), record=made)
    round_weights(result.checkpoint.model)
    return result.checkpoint


def ship(name: str, checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint and its card."""
    path = save_checkpoint(checkpoint, folder / f"{name}.safetensors", compact=True)
    kept = load_checkpoint(path)
    (folder / f"{name}.md").write_text(card(name, kept, path.stat().st_size), encoding="utf-8")
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {dict(kept.metrics.get('test', {}))}", flush=True)


def card(name: str, checkpoint: Checkpoint, size: int) -> str:
    """A card with what the checkpoint itself says."""
    title, what = TITLES[name]
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    preprocess, record = checkpoint.preprocess, checkpoint.record
    lines = [
        f"# {name}: {title.partition(': ')[2]}",
        "",
        f"{what} {size / 1e6:.1f} MB, {parameters / 1e6:.1f} million parameters; matrices in half precision.",
        "",
        f"- **Method:** {title.partition(':')[0]}, see [docs/methods.md](../docs/methods.md).",
        "- **Trunk:** EfficientNet-Lite0 with ImageNet weights (Apache-2.0), at rest during training.",
        f"- **Input:** {preprocess.size} x {preprocess.size}, the short side scaled to {preprocess.resize} "
        "and the centre cut out.",
        f"- **Training:** {training(name, record)} `train_cli.py info {name}` prints every option. Made by",
        "  `python benchmarks/shipped_methods.py PICTURES`.",
        "",
        "## Data",
        "",
        *(f"- {text}" for text in record["data"].values()),
        "",
        "## What it reaches",
        "",
        *figures(name, checkpoint),
        "",
        "## Not good for",
        "",
        "People and faces, text, medical or satellite pictures, deciding whether two pictures show the *same",
        "individual*, and anything where an error harms someone. It was made to compare methods: the default",
        "model has seen more kinds of things.",
        "",
    ]
    return "\n".join(lines)


def training(name: str, record: Any) -> str:
    """In a sentence or two."""
    if name == "adaptation":
        return (
            f"{record['fit']['steps']} steps on {round(record['pairs'] * record['split'])} pairs and their "
            f"mirror images, {record['fit']['pca']} principal components fitted on the same."
        )
    return (
        f"{record['training_pictures']:,} photographs of {record['training_classes']} species, the epoch "
        f"({record['epoch']}) chosen on 50 others."
    )


def figures(name: str, checkpoint: Checkpoint) -> list[str]:
    """The table of the card."""
    test = checkpoint.metrics["test"]
    if name == "adaptation":
        before = checkpoint.metrics["test_before"]
        return [
            "A bird finds its sketch, or the sketch its bird, among the pairs kept back; percent.",
            "",
            "| | aR@1 | aR@3 | aR@5 |",
            "|---|---|---|---|",
            *(
                f"| {when} | "
                + " | ".join(f"{100 * v[f'asymmetric_recall@{k}']:.1f}" for k in (1, 3, 5))
                + " |"
                for when, v in (("frozen features", before), ("adapted", test))
            ),
        ]
    keys = ("recall@1", "recall@2", "recall@4", "recall@8", "map@r")
    return [
        "Percent; every picture searches among all others of 125 species that it never saw.",
        "",
        "| R@1 | R@2 | R@4 | R@8 | MAP@R |",
        "|---|---|---|---|---|",
        "| " + " | ".join(f"{100 * test[key]:.1f}" for key in keys) + " |",
    ]


if __name__ == "__main__":
    main()
