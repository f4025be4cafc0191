"""What each choice of the cpu recipe is worth: one change at a time, one seed, chosen on validation species.

    python benchmarks/birds_ablation.py PICTURES [--work runs/birds]

Uses the splits, caches and finished runs of birds.py. Both validation and test figures are written: choices
were made by the first, the second shows whether they hold.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from birds import REPORTED, run
from machine import describe_machine

from avsl_core.data import read_folder
from avsl_core.training import find_recipe

_RAW = argparse.RawDescriptionHelpFormatter
SEED = 0
CHANGES: dict[str, list[str]] = {
    "AVSL": [],
    "random heads (kaiming)": ["head_init=kaiming"],
    "gates learn at 0.05": ["lr_gates=0.05"],
    "published margins 1.8 and 2.2": ["positive_margin=1.8", "negative_margin=2.2"],
}


def main() -> None:
    """Run what is not yet there, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/birds_ablation.json"))
    parser.add_argument("--work", type=Path, default=Path("runs/birds"))
    options = parser.parse_args()
    pictures = read_folder(options.pictures)
    rows = {}
    for name, changes in CHANGES.items():
        recipe = find_recipe("cpu", [*changes, f"seed={SEED}"])
        result = run(name, recipe, recipe, pictures, SEED, options.work)
        rows[name] = {"changes": changes, **result}
        print(f"{name:<40}" + "  ".join(f"{key} {100 * result[key]:.1f}" for key in REPORTED), flush=True)
        document = {
            "what": "one change at a time, seed 0; fractions on test species, and R@1 on validation species",
            "rows": rows,
            "machine": describe_machine(),
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
