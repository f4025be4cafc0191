"""The README's tables, from the committed results: python benchmarks/tables.py prints them."""

import json
from pathlib import Path
from typing import Any

__all__ = ["tables"]

RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = {"recall@1": "R@1", "recall@2": "R@2", "recall@4": "R@4", "recall@8": "R@8", "map@r": "MAP@R"}


def tables() -> list[str]:
    """Each table as markdown lines joined."""
    return [birds(), default_model(), speed()]


def birds() -> str:
    """AVSL and its baselines on unseen species."""
    summary = read("birds")["summary"]
    header = f"| method | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}"
    rows = [
        f"| {name} | "
        + " | ".join(f"{100 * v[key]['mean']:.1f} ± {100 * v[key]['deviation']:.1f}" for key in COLUMNS)
        + " |"
        for name, v in summary.items()
    ]
    return "\n".join([header, *rows])


def default_model() -> str:
    """The default checkpoint per set."""
    lines = [
        "| pictures | unseen classes | R@1 | MAP@R | frozen R@1 | frozen MAP@R |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in read("default")["sets"].items():
        ours, frozen = row["avsl"], row["frozen pooled features"]
        figures = [ours["recall@1"], ours["map@r"], frozen["recall@1"], frozen["map@r"]]
        lines.append(
            f"| {name} | {row['test_classes']} | " + " | ".join(f"{100 * f:.1f}" for f in figures) + " |"
        )
    return "\n".join(lines)


def speed() -> str:
    """What attribution costs, and how long a visitor waits."""
    costs, waits, sums = read("speed"), read("app_latency"), read("completeness")
    lines = ["| measured | |", "|---|---|"]
    for trunk, row in costs["training"].items():
        lines.append(f"| training speed over Proxy-Anchor alone, {trunk} | {row['ratio']:.2f} x |")
    pair = costs["pair"]
    worst = sums["worst_relative_error_of_the_sum_of_maps"]
    return "\n".join(
        [
            *lines,
            f"| encode + distance + explain of a pair over one bare forward pass | {pair['ratio']:.2f} x |",
            f"| the same in time | {pair['encode_distance_explain_ms']:.0f} ms |",
            "| choosing a file to all heatmaps drawn, median / 95 % "
            f"| {waits['upload_to_drawn_median_s']:.2f} s / {waits['upload_to_drawn_p95_s']:.2f} s |",
            f"| worst relative error of the sum of all maps, {sums['pairs']} pairs | {worst:.0e} |",
        ]
    )


def read(name: str) -> dict[str, Any]:
    """One committed result."""
    loaded: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


if __name__ == "__main__":
    print("\n\n".join(tables()))
