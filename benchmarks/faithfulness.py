"""Are the explanations true? The ledger, each of its splits, and its rivals, on pairs with a known answer.

    python benchmarks/faithfulness.py [--checkpoint aviary] [--photos PICTURES/birds] [--pairs 45]

Everything is measured on the same made pairs, which differ in one part of a bird, and on the same model; with
--photos, deletion and insertion also on pairs of photographs. The figures go under the checkpoint's name into
one file, so that a second run adds another model.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from machine import describe_machine

from avsl_core.checkpoint import Checkpoint, load_checkpoint
from avsl_core.faithfulness import EXPLAINERS, PairMaps, measure_faithfulness, perturb
from avsl_core.faithfulness.aviary_cases import changed_parts
from avsl_core.faithfulness.explainers import ledger_with
from avsl_core.faithfulness.tally import summarize_curves
from avsl_core.functional import Split
from avsl_core.memory import keep_freed_memory

_RAW = argparse.RawDescriptionHelpFormatter
QUICK = ("ledger", "grad_cam", "gradient_x_input", "random", "centre")
_FIGURES = ("pointing", "pointing_15px", "mass", "area", "deletion", "insertion", "ms")


def main() -> None:
    """Measure one model and add it to the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="aviary")
    parser.add_argument("--photos", type=Path, help="class folders of photographs")
    parser.add_argument("--pairs", type=int, default=45, help="made pairs, a ninth as many per part")
    parser.add_argument("--more-pairs", type=int, default=270, help="for the methods that are quick")
    parser.add_argument("--quick", action="store_true", help="leave out the methods that take seconds a pair")
    parser.add_argument("--perturbation-pairs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/faithfulness.json"))
    options = parser.parse_args()
    keep_freed_memory()
    splits = {f"ledger, {split}": ledger_with(split) for split in get_args(Split)[1:]}
    checkpoint = load_checkpoint(options.checkpoint)
    # The split that is shipped is chosen where nothing is reported: other species, other pairs.
    choice = measure_faithfulness(
        checkpoint,
        pairs=options.pairs,
        seed=options.seed + 1,
        methods=["ledger", *splits],
        explainers=splits,
        perturbation_pairs=min(options.pairs, options.perturbation_pairs),
        photos=options.photos,
        split="val",
        progress=True,
    )
    report = measure_faithfulness(
        checkpoint,
        pairs=options.pairs,
        seed=options.seed,
        methods=QUICK if options.quick else list(EXPLAINERS),
        perturbation_pairs=min(options.pairs, options.perturbation_pairs),
        photos=options.photos,
        sanity=True,
        levels=True,
        progress=True,
    )
    more = measure_faithfulness(
        checkpoint,
        pairs=options.more_pairs,
        seed=options.seed,
        methods=QUICK,
        perturbation_pairs=1,
        progress=True,
    )
    for name, figures in (choice | report).items():
        print(f"{name:<24}" + "  ".join(f"{key} {figures[key]:.3f}" for key in _FIGURES), flush=True)
    document: dict[str, Any] = {"what": __doc__.split("\n")[0], "models": {}}
    if options.out.exists():
        document = json.loads(options.out.read_text(encoding="utf-8"))
    document["models"][options.checkpoint] = {
        "pairs": options.pairs,
        "seed": options.seed,
        "methods": rounded(report),
        "the_changed_region_itself": rounded(truth(checkpoint, options)),
        "pointing_on_more_pairs": {name: pointing(figures) for name, figures in rounded(more).items()},
        "splits_on_validation_species": rounded(choice),
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def truth(checkpoint: Checkpoint, options: argparse.Namespace) -> dict[str, Any]:
    """Deletion and insertion of the changed region itself, on the same pairs: what a perfect map scores."""
    curves = []
    cases = changed_parts(
        checkpoint.preprocess,
        checkpoint.model.device,
        count=min(options.pairs, options.perturbation_pairs),
        seed=options.seed,
    )
    for case in cases:
        region = torch.from_numpy(case.mask).double()
        curves.append(perturb(checkpoint.model, case.a, case.b, PairMaps(region, region), aligned=True))
    return summarize_curves(curves)


def pointing(figures: dict[str, Any]) -> dict[str, Any]:
    """What was measured on all pairs."""
    kept = ("pointing", "pointing_15px", "mass", "area", "pairs", "by_part", "by_level", "completeness", "ms")
    return {key: figures[key] for key in kept if key in figures}


def rounded(value: Any) -> Any:
    """Every number to four significant digits: more is noise."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
