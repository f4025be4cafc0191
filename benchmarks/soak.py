"""A thousand comparisons of ever new pictures: does memory stay level, and does a killed worker come back?

    python benchmarks/soak.py [--checkpoint default] [--comparisons 1000] [--workers 2] [--users 2] [--quick]

Memory is that of the server and of all its processes (what they share counted once), taken after every tenth
comparison. Growth is from the end of the warm-up to the end; that of own memory leaves out what was read from
files, whose share changes with what else uses the same libraries on this machine. Half-way a worker is killed
without a warning; growth is told for both halves, because the new worker begins anew.
"""

import argparse
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import describe_machine
from visitors import Answer, PageVisitor, Served, draw_picture, running_app, wait_until_well

_RAW = argparse.RawDescriptionHelpFormatter
_EVERY = 10


@dataclass
class Record:
    """What was seen on the way.

    Attributes:
        answers: Of the comparisons, in the order of their end.
        memory: Comparisons done, and megabytes held then.
        own: The same without files: megabytes of the decoders, and of all else.
    """

    answers: list[Answer] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)
    own: list[tuple[int, float, float]] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--comparisons", type=int, default=1000)
    parser.add_argument(
        "--warm-up", type=int, default=100, help="comparisons before memory counts (default: 100)"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--users", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="24 comparisons of small pictures")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/soak.json"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.comparisons, options.warm_up = 24, 4
    document = soak(options) | {"machine": describe_machine()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in document.items() if "memory_mb" not in key}, indent=1))


def soak(options: argparse.Namespace) -> dict[str, Any]:
    """Compare, kill, compare on."""
    half = options.comparisons // 2
    record = Record()
    with running_app(options.checkpoint, options.workers, "--requests-per-minute", "0") as served:
        at_start = served.memory_mb()
        compare_many(served, options, range(half), record)
        killed = {}
        if options.workers > 1:
            killed = kill_and_wait(served, options)
        compare_many(served, options, range(half, options.comparisons), record)
        uploads = [file.stat().st_size for file in served.uploads.rglob("*") if file.is_file()]
    memory = record.memory
    return {
        "comparisons": len(record.answers),
        "workers": options.workers,
        "users": options.users,
        "outcomes": dict(Counter(answer.kind for answer in record.answers)),
        "median_s": round(statistics.median(answer.seconds for answer in record.answers), 3),
        "memory_at_start_mb": round(at_start),
        "growth_before_the_kill_percent": growth([m for m in memory if options.warm_up <= m[0] <= half]),
        "growth_after_the_kill_percent": growth([m for m in memory if m[0] >= half + options.warm_up]),
        "growth_in_all_percent": growth([m for m in memory if m[0] >= options.warm_up]),
        "growth_of_own_memory_percent": growth(
            [(count, decoders + rest) for count, decoders, rest in record.own if count >= options.warm_up]
        ),
        "uploads_files": len(uploads),
        "uploads_mb": round(sum(uploads) / 2**20, 1),
        "killed_worker": killed,
        "memory_mb": [[count, round(megabytes, 1)] for count, megabytes in memory],
        "own_memory_mb": [
            {"comparisons": count, "decoders": round(decoders, 1), "rest": round(rest, 1)}
            for count, decoders, rest in record.own
        ],
    }


def compare_many(served: Served, options: argparse.Namespace, numbers: range, record: Record) -> None:
    """The users share the comparisons; each is of two pictures that nobody has sent before."""
    size = (320, 240) if options.quick else (1200, 900)
    lock = threading.Lock()

    def use(user: int) -> None:
        with PageVisitor(served.url) as visitor:
            for number in numbers[user :: options.users]:
                pair = draw_picture(2 * number, *size), draw_picture(2 * number + 1, *size)
                answer = visitor.compare(*pair)
                with lock:
                    record.answers.append(answer)
                    if len(record.answers) % _EVERY == 0 or options.quick:
                        count = len(record.answers)
                        record.memory.append((count, served.memory_mb()))
                        record.own.append((count, *served.own_memory_mb()))

    with ThreadPoolExecutor(options.users) as pool:
        list(pool.map(use, range(options.users)))


def kill_and_wait(served: Served, options: argparse.Namespace) -> dict[str, Any]:
    """Kill a worker; how long until its visitor is served again, and until all workers are there."""
    before = served.workers()
    size = (320, 240)
    visitors = [PageVisitor(served.url) for _ in range(options.workers)]  # one at each worker
    served.kill_worker()
    began = time.perf_counter()
    gaps, failed = [], 0
    for number, visitor in enumerate(visitors):
        while True:
            first = 10_000_000 + 100 * number + failed
            answer = visitor.compare(draw_picture(first, *size), draw_picture(first + 50, *size))
            if answer.kind == "ok":
                break
            failed += 1
        gaps.append(time.perf_counter() - began)
    time.sleep(max(0.0, 2.0 - (time.perf_counter() - began)))  # until the loss has been noticed for certain
    wait_until_well(served)
    back = time.perf_counter() - began
    return {
        "visitors_served_again_after_s": round(max(gaps), 2),
        "refusals_meanwhile": failed,
        "all_workers_back_after_s": round(back, 2),
        "new_processes": len(set(served.workers()) - set(before)),
    }


def growth(memory: list[tuple[int, float]]) -> float | None:
    """From the first tenth of the measurements to the last, in per cent."""
    if len(memory) < 2:
        return None
    share = max(1, len(memory) // 10)
    first = statistics.mean(megabytes for _, megabytes in memory[:share])
    last = statistics.mean(megabytes for _, megabytes in memory[-share:])
    return round(100 * (last / first - 1), 2)


if __name__ == "__main__":
    main()
