"""Every method on unseen bird species: same pictures, same trunk, same budget, three seeds, one evaluator.

    python benchmarks/methods.py PICTURES [--out benchmarks/results/methods.json] [--work runs/methods]

PICTURES/<species>/<picture>. Each seed splits the species three ways (learn, choose, report); all figures
are on the third part. Besides retrieval: bytes that a gallery keeps of a picture (half precision),
milliseconds to encode one query and to search the reported part for it, and how truly the method's own maps
rank what matters (deletion: what is left of the distance while their strongest places are blurred away, lower
is better; insertion: while they are brought back, higher is better; beside maps drawn at random). Finished
runs are kept in --work and not repeated.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from birds import FRACTIONS, REPORTED, spread
from machine import describe_machine

from avsl_core.adaptation import (
    FitOptions,
    PairFeatures,
    adapted_model,
    extract_features,
    fit_head,
    frozen_model,
)
from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.config import to_dict
from avsl_core.data import PictureSet, Split, read_folder, split_classes
from avsl_core.encoding import encode_pictures, load_for
from avsl_core.evaluation import evaluate_encoding
from avsl_core.extraction import Listed
from avsl_core.faithfulness import EXPLAINERS, perturb
from avsl_core.faithfulness.photographs import pairs_of
from avsl_core.faithfulness.tally import summarize_curves
from avsl_core.memory import keep_freed_memory
from avsl_core.models import DimlModel, RamlModel, SimilarityModel, build_model
from avsl_core.models.raml import Sides
from avsl_core.search import ExactSearch, MemoryRows
from avsl_core.training import TrainConfig, Trainer, find_recipe, start_process

_RAW = argparse.RawDescriptionHelpFormatter
_QUERIES, _WARM = 100, 5
EPOCHS, VIEWS = 12, 4


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        recipe: Trains it; None is not trained by the trainer.
        over: Name of the row whose model it is laid over, for matching without training.
        adapt: Whether it adapts the frozen features of pairs of pictures of one training species.
        sides: Who looks at either side of the test, for RAML.
    """

    recipe: TrainConfig | None = None
    over: str | None = None
    adapt: bool = False
    sides: Sides | None = None


def methods(overrides: list[str]) -> Mapping[str, Method]:
    """The rows, in order, all on one budget; RAML's student learns after its teacher, for as long."""
    budget = [f"epochs={EPOCHS}", f"views={VIEWS}", *overrides]
    cpu = find_recipe("cpu", budget)
    top = replace(cpu, method="embedding", levels=cpu.levels[-1:], level_weights=(1.0,))
    taught = ["raml.teacher_epochs=" + str(EPOCHS), f"epochs={2 * EPOCHS}", f"views={VIEWS}", *overrides]
    alone = ["raml.teacher_epochs=0", "raml.distillation=alone", *budget]
    return {
        "frozen features": Method(),
        "Proxy-Anchor": Method(top),
        "AVSL": Method(cpu),
        "DIML": Method(find_recipe("cpu-diml", budget)),
        "DIML over AVSL, untrained": Method(over="AVSL"),
        "CGD": Method(find_recipe("cpu-cgd", budget)),
        "small student alone": Method(find_recipe("cpu-raml", alone), sides="student"),
        "RAML, small queries": Method(find_recipe("cpu-raml", taught)),
        "feature adaptation": Method(adapt=True),
    }


def main() -> None:
    """Run what is not yet there, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/methods.json"))
    parser.add_argument("--work", type=Path, default=Path("runs/methods"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="train these rows only")
    parser.add_argument("--pairs", type=int, default=20, help="pairs for deletion and insertion, first seed")
    parser.add_argument("--set", action="append", default=[], help="change an option of every recipe")
    options = parser.parse_args()
    keep_freed_memory()
    pictures = read_folder(options.pictures)
    rows = methods(options.set)
    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        split = split_classes(pictures, FRACTIONS, seed)
        for name, method in rows.items():
            if options.only and name not in options.only:
                continue
            result = run(name, method, rows, split, seed, options)
            runs.setdefault(name, []).append(result)
            shown = "  ".join(f"{key} {100 * result[key]:.1f}" for key in REPORTED)
            print(f"seed {seed}  {name:<28}{shown}", flush=True)
    if options.only:
        return
    document = {
        "what": "retrieval on species never trained on; fractions; mean and sample deviation over seeds",
        "pictures": pictures.summary(),
        "classes": {"train": 225, "validation": 50, "test": 125},
        "recipes": "cpu, cpu-diml, cpu-cgd and cpu-raml",
        "epochs": EPOCHS,
        "views": VIEWS,
        "changed": options.set,
        "summary": {
            name: {key: spread([result[key] for result in results]) for key in REPORTED}
            for name, results in runs.items()
        },
        "costs": measure_costs(rows, split_classes(pictures, FRACTIONS, 0), options),
        "faithfulness": {name: results[0]["faithfulness"] for name, results in runs.items()},
        "faithfulness_pairs": options.pairs,
        "runs": runs,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def run(
    name: str,
    method: Method,
    rows: Mapping[str, Method],
    split: Split,
    seed: int,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Make one method's model with one seed and judge it on the test species."""
    work: Path = options.work
    kept = work / f"seed{seed}" / f"{file_name(name)}.json"
    recipe = method.recipe or methods(options.set)["AVSL"].recipe
    assert recipe is not None
    made_by = to_dict(replace(recipe, seed=seed)) | {"pairs": options.pairs}
    if kept.exists():
        loaded: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if loaded.pop("recipe", None) == made_by:
            return loaded
    started = time.monotonic()
    checkpoint = make(name, method, rows, split, seed, options)
    trained = time.monotonic() - started
    test = split.test
    assert test is not None
    encoding = encode_pictures(checkpoint.model, checkpoint.preprocess, test.paths, workers=2)
    metrics = evaluate_encoding(checkpoint.model, encoding, test.labels, with_pairs=False).metrics.to_dict()
    values: dict[str, Any] = {key: metrics[key] for key in REPORTED}
    values["seconds"] = round(trained)
    values["faithfulness"] = faithfulness(checkpoint, test, options.pairs) if seed == 0 else None
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"recipe": made_by, **values}), encoding="utf-8")
    return values


def make(
    name: str,
    method: Method,
    rows: Mapping[str, Method],
    split: Split,
    seed: int,
    options: argparse.Namespace,
) -> Checkpoint:
    """The row's model, from where it was left or trained now."""
    out = options.work / f"seed{seed}" / f"{file_name(name)}.safetensors"
    base = rows["AVSL"].recipe
    assert base is not None
    assert split.train is not None
    if method.over is not None:
        below = make(method.over, rows[method.over], rows, split, seed, options)
        return replace(below, model=DimlModel.over(below.model))
    if method.adapt:
        return adapted(base, split.train, seed)
    if method.recipe is None:
        backbone = {"name": base.backbone, "levels": base.levels[-1:]}
        model = build_model("embedding", {"backbone": backbone, "nodes": 0}, weights=base.weights).eval()
        return Checkpoint(model, base.preprocess)
    config = replace(method.recipe, seed=seed)
    folder = out.with_suffix(".run")
    if not (out.exists() and (folder / "done").exists()):
        trainer = Trainer(
            config, split.train, split.val, out, start_process("cpu"), cache_root=options.work / "maps"
        )
        trainer.fit(resume=(folder / "state.safetensors").exists())
        (folder / "done").touch()
    checkpoint = load_checkpoint(out)
    if method.sides is not None and isinstance(checkpoint.model, RamlModel):
        return replace(checkpoint, model=checkpoint.model.with_sides(method.sides))
    return checkpoint


def adapted(base: TrainConfig, train: PictureSet, seed: int) -> Checkpoint:
    """Frozen features of the same levels, adapted on pairs of pictures of one training species.

    Two pairs of each species, in two sets of their own, so that no picture of its species is taken for an
    unlike one.
    """
    frozen = frozen_model(base.backbone, levels=base.levels, weights=base.weights, pooling=base.pooling)
    firsts = [train.labels.index(label) for label in range(train.num_classes)]
    chosen = [train.paths[first + place] for place in range(4) for first in firsts]
    listed = [Listed(path, path.name) for path in chosen]
    vectors = extract_features(frozen, base.preprocess, listed, workers=2).vectors
    pairs = PairFeatures(*vectors.view(4, len(firsts), -1))
    options = FitOptions(pca=256)
    head, _ = fit_head(pairs, options, seed=seed)
    return Checkpoint(adapted_model(frozen, head, options), base.preprocess)


def measure_costs(
    rows: Mapping[str, Method], split: Split, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Bytes of a gallery's picture, and milliseconds of a query, the network apart from the search.

    All rows take turns on each query, so that what else the machine does falls on all of them.
    """
    assert split.test is not None
    paths = split.test.paths
    contestants = {
        name: Contestant(make(name, method, rows, split, 0, options), paths) for name, method in rows.items()
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for number in range(_QUERIES + _WARM):
        for name, contestant in contestants.items():
            took = contestant.query(number)
            if number >= _WARM:
                times[name].append(took)
    return {
        name: {
            "bytes": contestant.bytes,
            "encode_ms": round(statistics.median(encode for encode, _ in times[name]), 2),
            "search_ms": round(statistics.median(search for _, search in times[name]), 2),
        }
        for name, contestant in contestants.items()
    }


class Contestant:
    """One row's model with a gallery of all test pictures."""

    def __init__(self, checkpoint: Checkpoint, paths: Sequence[Path]) -> None:
        self.model, preprocess = checkpoint.model, checkpoint.preprocess
        encoding = encode_pictures(self.model, preprocess, paths, workers=2, precision="bf16")
        gallery = self.model.rows(encoding, "gallery")
        self.search = ExactSearch(self.model.measure(), MemoryRows(gallery))
        self.images = [
            preprocess(load_for(preprocess, path))[None].contiguous(memory_format=torch.channels_last)
            for path in paths[: _QUERIES + _WARM]
        ]
        self.bytes = 2 * (gallery.vectors.shape[1] + gallery.gates.shape[1])

    @torch.inference_mode()
    def query(self, number: int) -> tuple[float, float]:
        """Milliseconds to encode a picture and to find its ten nearest."""
        started = time.perf_counter()
        encoding = self.model.encode(self.images[number], "query", keep_maps=False)
        encoded = time.perf_counter()
        self.search.search(self.model.rows(encoding, "query"), 10, exclude=torch.tensor([number]))
        return 1000.0 * (encoded - started), 1000.0 * (time.perf_counter() - encoded)


def faithfulness(checkpoint: Checkpoint, test: PictureSet, count: int) -> dict[str, dict[str, float]]:
    """Deletion and insertion of the method's own maps and of random ones, on pairs of different species."""
    found: dict[str, dict[str, float]] = {}
    model: SimilarityModel = checkpoint.model
    for name in ("ledger", "random"):
        explain = EXPLAINERS[name]
        curves = [
            perturb(model, a, b, explain(model, a, b))
            for a, b in pairs_of(checkpoint.preprocess, test, model.device, count, 0)
        ]
        summary = summarize_curves(curves)
        found[name] = {key: round(float(summary[key]), 4) for key in ("deletion", "insertion")}
    return found


def file_name(name: str) -> str:
    """A row's name as a file's."""
    return name.lower().replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    main()
