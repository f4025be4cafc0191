"""The README's tables, from the committed results: python benchmarks/tables.py prints them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["tables"]

RESULTS = Path(__file__).resolve().parent / "results"
COLUMNS = {"recall@1": "R@1", "recall@2": "R@2", "recall@4": "R@4", "recall@8": "R@8", "map@r": "MAP@R"}


def tables() -> list[str]:
    """Each table as markdown lines joined."""
    return [
        withstands(),
        crowds(),
        methods(),
        matching(),
        sketches(),
        birds(),
        default_model(),
        speed(),
        aviary(),
        faithfulness("aviary"),
        splits("aviary"),
        drawing(),
        exact_search(),
        growth(),
        galleries(),
    ]


def withstands() -> str:
    """What the app withstands: hostile files, a long day, and how long visitors wait."""
    files, soak, alone = (read(name) for name in ("hostile", "soak", "soak_one_worker"))
    start, waits = read("start"), read("app_latency")
    found, packed, killed = files["pictures"], files["archives"], soak["killed_worker"]
    lines = [
        "| measured | |",
        "|---|---|",
        "| hostile and unlucky pictures: compared / refused in words / anything else "
        f"| {_outcomes(found, 'compared')}; the slowest took {found['slowest_s']:.1f} s |",
        f"| hostile archives: built / refused in words / anything else | {_outcomes(packed, 'built')} |",
    ]
    return "\n".join(
        [
            *lines,
            "| own memory of one worker and its decoders after 100 / 400 / 700 / 1,000 comparisons of new "
            f"pictures; growth | {_memory(alone, 100, 400, 700, 1000)} MB; "
            f"{alone['growth_of_own_memory_percent']:.1f} % |",
            "| a killed worker: its visitor is served again / all workers are back "
            f"| {killed['visitors_served_again_after_s']:.1f} s / "
            f"{killed['all_workers_back_after_s']:.1f} s |",
            "| known pair: click to everything drawn in Chromium, median / 95 % "
            f"| {_spread(waits['click_to_known_pair_drawn'])} |",
            "| a new picture chosen to everything drawn, median / 95 % "
            f"| {_spread(waits['upload_to_drawn'])} |",
            "| start to the first page answered / the first comparison shown "
            f"| {start['start_to_page_answered_s']:.1f} s / {start['start_to_comparison_shown_s']:.1f} s |",
        ]
    )


def _memory(soak: Mapping[str, Any], *comparisons: int) -> str:
    held = {row["comparisons"]: row["decoders"] + row["rest"] for row in soak["own_memory_mb"]}
    return " / ".join(f"{held[count]:,.0f}" for count in comparisons)


def _outcomes(found: Mapping[str, Any], good: str) -> str:
    return " / ".join(str(found.get(kind, 0)) for kind in (good, "message", "wrong"))


def crowds() -> str:
    """How long visitors wait who come to the page at once, and what became of all that they asked."""
    measured = [
        (setting["workers"], row)
        for setting in read("load")["workers"]
        for row in setting["measured"]
        if row["way"] == "page"
    ]
    lines = [
        "| visitors at once / workers | new pair, s: 50 / 95 / 99 % | a second | known pair, s | a second |",
        "|---|---|---|---|---|",
    ]
    for workers, row in measured:
        parts = [
            f"{' / '.join(f'{row[kind][key]:.2f}' for key in ('p50_s', 'p95_s', 'p99_s'))} "
            f"| {row[kind]['answers_per_s']:.1f}"
            for kind in ("cold", "known")
        ]
        lines.append(f"| {row['users']} / {workers} | {' | '.join(parts)} |")
    asked = [row[kind] for _, row in measured for kind in ("cold", "known")]
    silent = sum(part["silent"] for part in asked)
    turned = sum(count for part in asked for count in part["refused"].values()) - silent
    unlike = sum(part["different_from_serial"] for part in asked)
    lines.append(
        f"\nOf all {sum(part['requests'] for part in asked):,} pairs {turned} were refused in words, "
        f"{silent} got no answer, and {unlike} got one unlike the serial answer."
    )
    return "\n".join(lines)


def _spread(waits: Mapping[str, float]) -> str:
    return f"{waits['median_s']:.2f} s / {waits['p95_s']:.2f} s"


def methods() -> str:
    """Every method on the same unseen species and the same budget."""
    found = read("methods")
    lines = [
        "| method | R@1 | MAP@R | bytes a picture | ms: encode a query / search | deletion | insertion |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, values in found["summary"].items():
        cost, true = found["costs"][name], found["faithfulness"][name]
        retrieval = " | ".join(
            f"{100 * values[key]['mean']:.1f} ± {100 * values[key]['deviation']:.1f}"
            for key in ("recall@1", "map@r")
        )
        maps = " | ".join(
            f"{true['ledger'][key]:.2f} ({true['random'][key]:.2f})" for key in ("deletion", "insertion")
        )
        times = f"{cost['encode_ms']:.0f} / {cost['search_ms']:.1f}"
        lines.append(f"| {name} | {retrieval} | {cost['bytes']:,} | {times} | {maps} |")
    return "\n".join(lines)


def matching() -> str:
    """How fast cells are matched."""
    lines = [
        "| candidates of each query | all at once, pairs a second | loop over queries | loop over pairs |",
        "|---|---|---|---|",
    ]
    for row in read("diml_speed")["by_top_k"]:
        rates = row["pairs_per_second"]
        lines.append(
            f"| {row['top_k']} | {rates['batched']:,} | {rates['query_loop']:,} "
            f"({row['over_query_loop']:.1f} x) | {rates['pair_loop']:,} ({row['over_pair_loop']:.0f} x) |"
        )
    return "\n".join(lines)


def sketches() -> str:
    """Adaptation to drawn birds' likeness on paper."""
    found = read("adaptation_pairs")
    keys = ("asymmetric_recall@1", "asymmetric_recall@3", "asymmetric_recall@5")
    lines = [
        "| pairs | features | aR@1 | aR@3 | aR@5 |",
        "|---|---|---|---|---|",
    ]
    for kind, table in found["sets"].items():
        for name, row in table["rows"].items():
            cells = " | ".join(
                f"{100 * row['after'][key]['mean']:.1f} ± {100 * row['after'][key]['deviation']:.1f}"
                for key in keys
            )
            lines.append(f"| {kind} | {name} | {cells} |")
    return "\n".join(lines)


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


def aviary() -> str:
    """The aviary checkpoint and its baselines on unseen made species."""
    header = f"| method | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}"
    rows = [
        f"| {name} | " + " | ".join(f"{100 * row[key]:.1f}" for key in COLUMNS) + " |"
        for name, row in read("aviary")["table"].items()
    ]
    return "\n".join([header, *rows])


def faithfulness(model: str) -> str:
    """How true the ledger and its rivals are about one model."""
    measured = read("faithfulness")["models"][model]
    table = truth_table(measured["methods"])
    perfect = measured["the_changed_region_itself"]
    blank = "| " * table.split("\n")[0].count("photos")
    return (
        f"{table}\n| *the changed region itself* | | | "
        f"| {perfect['deletion']:.2f} | {perfect['insertion']:.2f} {blank}| |"
    )


def splits(model: str) -> str:
    """The ledger's ways of spreading a difference over cells, where the choice was made."""
    rows = read("faithfulness")["models"][model]["splits_on_validation_species"]
    names = {"ledger": "matched (shipped)"}
    return truth_table({names.get(n, n.removeprefix("ledger, ")): row for n, row in rows.items()})


def truth_table(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """One row per method."""
    photos = all("photos" in row for row in methods.values())
    titles = ["method", "pointing", "within 15 px", "mass", "deletion", "insertion"]
    titles += ["deletion, photos", "insertion, photos"] if photos else []
    lines = ["| " + " | ".join([*titles, "ms"]) + " |", "|---|" + "---|" * len(titles)]
    for name, row in methods.items():
        cells = [f"{100 * row[key]:.0f} %" for key in ("pointing", "pointing_15px", "mass")]
        cells += [f"{row[key]:.2f}" for key in ("deletion", "insertion")]
        if photos:
            cells += [f"{row['photos'][key]:.2f}" for key in ("deletion", "insertion")]
        lines.append("| " + " | ".join([name.replace("_", " "), *cells, milliseconds(row["ms"])]) + " |")
    return "\n".join(lines)


def milliseconds(value: float) -> str:
    """A duration, in whole numbers."""
    return f"{value:,.0f}" if value >= 1 else "< 1"


def drawing() -> str:
    """What the aviary, the lab and the allocator cost or save."""
    draws, lab, memory = read("aviary_speed"), read("lab_latency"), read("allocator")
    return "\n".join(
        [
            "| measured | |",
            "|---|---|",
            f"| pictures of 224 px drawn and written per second | {draws['pictures_per_second']:.0f} |",
            f"| one picture / the masks of its parts, on one core | {draws['render_ms']:.0f} ms "
            f"/ {draws['part_masks_ms']:.0f} ms |",
            "| changing a part in the lab to everything drawn, median / 95 % "
            f"| {lab['click_to_drawn_median_s']:.2f} s / {lab['click_to_drawn_p95_s']:.2f} s |",
            f"| passes of the trunk per second, freed memory kept over returned | {memory['ratio']:.2f} x |",
        ]
    )


def exact_search() -> str:
    """Exact search beside brute force and plain faiss."""
    lines = [
        "| pictures | brute force | exact, one by one | exact, in a batch | faster than brute force "
        "| cost over faiss flat, one / batch | compared in full |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, row in read("search_exact")["sizes"].items():
        ms = row["ms"]
        lines.append(
            f"| {int(size):,} | {ms['brute']:,.0f} ms "
            f"| {ms['exact_single']:.2f} ms | {ms['exact_batch']:.2f} ms "
            f"| {row['brute_over_exact_single']:,.0f} x / {row['brute_over_exact_batch']:,.0f} x "
            f"| {row['exact_over_faiss_single']:.1f} x / {row['exact_over_faiss_batch']:.1f} x "
            f"| {row['verified_per_query']['mean']:.0f} |"
        )
    return "\n".join(lines)


def growth() -> str:
    """Exact and fast search from a thousand pictures to a million."""
    lines = [
        "| pictures | exact, median / 95 % | batch of 512 | first query | memory | fast, median / 95 % "
        "| recall@10 | index built in |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size, row in read("search_growth")["sizes"].items():
        exact, fast = row["exact"], row["fast"]
        lines.append(
            f"| {int(size):,} | {exact['p50_ms']:.1f} / {exact['p95_ms']:.1f} ms "
            f"| {exact['batch_of_512_ms_per_query']:.2f} ms | {exact['first_query_s']:.2f} s "
            f"| {exact['peak_memory_gib']:.1f} GiB | {fast['p50_ms']:.1f} / {fast['p95_ms']:.1f} ms "
            f"| {fast['recall_at_10_on_new_queries']:.3f} | {fast['build_s']:.0f} s ({fast['kind']}) |"
        )
    return "\n".join(lines)


def galleries() -> str:
    """What a gallery and a large evaluation cost."""
    built, judged = read("gallery_build"), read("evaluate_scale")
    rate = built.get("build_pictures_per_second_trunk_bf16")
    reduced = "not measured: this CPU has no fast bfloat16" if rate is None else f"{rate:.0f}"
    size = built["bytes_per_picture"]
    return "\n".join(
        [
            "| measured | |",
            "|---|---|",
            "| pictures indexed per second, trunk in float32 / bfloat16 "
            f"| {built['build_pictures_per_second_trunk_fp32']:.0f} "
            f"/ {reduced} |",
            "| bytes per picture: numbers (fp16) / names / thumbnail "
            f"| {size['numbers']:,} / {size['items']:,} / {size['thumbnail']:,} |",
            f"| adding 100 pictures to {built['pictures']:,} / removing them "
            f"| {built['add_100_s']:.1f} s / {built['remove_100_s']:.2f} s |",
            f"| R@k, MAP@R of {judged['pictures']:,} pictures of {judged['classes']:,} classes "
            f"| {judged['seconds']['retrieval']:.0f} s |",
            f"| NMI of the same, k-means into {judged['classes']:,} clusters "
            f"| {judged['seconds']['nmi']:.0f} s |",
            f"| most memory of both | {judged['peak_memory_gib']:.1f} GiB |",
        ]
    )


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
            f"| {waits['upload_to_drawn']['median_s']:.2f} s / {waits['upload_to_drawn']['p95_s']:.2f} s |",
            f"| worst relative error of the sum of all maps, {sums['pairs']} pairs | {worst:.0e} |",
        ]
    )


def read(name: str) -> dict[str, Any]:
    """One committed result."""
    loaded: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


if __name__ == "__main__":
    print("\n\n".join(tables()))
