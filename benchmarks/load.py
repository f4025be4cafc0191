"""Many visitors at once: how long each waits, how many are turned away, and whether answers are right.

    python benchmarks/load.py [--checkpoint default] [--users 1 4 16 50 150] [--workers 1 2] [--quick]

Starts the app and gives it photographs that it has not seen ("cold"), and a few that it knows ("known"),
through the protocol of the page (upload, event, stream) and through /api/v1/compare. Every answer is compared
with the one that a single visitor got for the same pair from a freshly started app. A refusal in words counts
as one, and says which; silence and broken connections would be listed as such. 150 at once are more than the
queue holds: there refusals are expected.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from machine import describe_machine
from visitors import Answer, PageVisitor, Program, Served, draw_picture, running_app

_RAW = argparse.RawDescriptionHelpFormatter
_WAYS = {"page": PageVisitor, "api": Program}
_KNOWN = 8  # fewer than the app remembers
_SILENT = ("silent", "broken connection")

Pair = tuple[bytes, bytes]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 4, 16, 50, 150])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--ways", choices=tuple(_WAYS), nargs="+", default=list(_WAYS), help="who asks (both)"
    )
    parser.add_argument("--answers", type=int, default=100, help="pairs that all compare together, at least")
    parser.add_argument("--quick", action="store_true", help="1 and 2 users, 1 worker, one small pair each")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/load.json"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.users, options.workers, options.answers = [1, 2], options.workers[:1], 1
    document = {"workers": [measure(options, count) for count in options.workers]}
    document["machine"] = describe_machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def measure(options: argparse.Namespace, workers: int) -> dict[str, Any]:
    """All numbers of users, by both ways, with so many workers."""
    right: dict[str, dict[int, str]] = {}
    with started(options, workers) as served:
        ways = {name: way for name, way in _WAYS.items() if name in options.ways}
        for way, visitor in ways.items():
            with visitor(served.url) as alone:
                numbers = [*range(_KNOWN), *(n for users in options.users for n in new_pairs(options, users))]
                right[way] = {n: alone.compare(*pair(options, way, n)).digest for n in numbers}
    measured = []
    with started(options, workers) as served:
        for way, visitor in ways.items():
            for _ in range(2 * workers):  # newcomers are shared out: every worker gets to know them
                crowd(served, visitor, [pair(options, way, n) for n in range(_KNOWN)], 1)
            for users in options.users:
                about: dict[str, Any] = {"way": way, "users": users}
                known = [n % _KNOWN for n in range(len(new_pairs(options, users)))]
                for name, numbers in (("cold", new_pairs(options, users)), ("known", known)):
                    answers, seconds = crowd(served, visitor, [pair(options, way, n) for n in numbers], users)
                    about[name] = figures(answers, [right[way][n] for n in numbers], seconds)
                measured.append(about)
                print(f"{workers} workers, {json.dumps(about)}", file=sys.stderr, flush=True)
    return {"workers": workers, "measured": measured}


def started(options: argparse.Namespace, workers: int) -> AbstractContextManager[Served]:
    """A fresh app that sends nobody away for coming too often."""
    return running_app(options.checkpoint, workers, "--requests-per-minute", "0")


def new_pairs(options: argparse.Namespace, users: int) -> list[int]:
    """Numbers of pairs that only this many users compare."""
    # As many numbers for each number of users as the largest needs at most: rows never share pairs.
    first = _KNOWN + users * (options.answers + max(options.users))
    return list(range(first, first + users * -(-options.answers // users)))


def pictures(way: str, number: int) -> tuple[int, int]:
    """Seeds of a pair's pictures; other ones for each way, because the page and /api/v1 remember together."""
    first = 2 * (len(_WAYS) * number + list(_WAYS).index(way))
    return first, first + 1


def pair(options: argparse.Namespace, way: str, number: int) -> Pair:
    """Two pictures, drawn."""
    first, second = pictures(way, number)
    size = (320, 240) if options.quick else (1200, 900)
    return draw_picture(first, *size), draw_picture(second, *size)


def crowd(
    served: Served, visitor: type[PageVisitor] | type[Program], pairs: list[Pair], users: int
) -> tuple[list[Answer], float]:
    """So many users at once, each with its share of the pairs; and how long all took."""
    together = threading.Barrier(users + 1)

    def use(number: int) -> list[tuple[int, Answer]]:
        with visitor(served.url) as one:
            together.wait()
            return [(i, one.compare(*pairs[i])) for i in range(number, len(pairs), users)]

    with ThreadPoolExecutor(users) as pool:
        running = [pool.submit(use, number) for number in range(users)]
        together.wait()
        began = time.perf_counter()
        answers = dict(answer for one in running for answer in one.result())
        seconds = time.perf_counter() - began
    return [answers[i] for i in range(len(pairs))], seconds


def figures(answers: list[Answer], right: list[str], seconds: float) -> dict[str, Any]:
    """What goes into the table."""
    good = sorted(answer.seconds for answer in answers if answer.kind == "ok")
    kinds = Counter(answer.kind for answer in answers)
    wrong = sum(a.kind == "ok" and a.digest != b for a, b in zip(answers, right, strict=True))
    return {
        "requests": len(answers),
        "answered": len(good),
        "p50_s": percentile(good, 50),
        "p95_s": percentile(good, 95),
        "p99_s": percentile(good, 99),
        "answers_per_s": round(len(good) / seconds, 2),
        "refused": {kind: count for kind, count in kinds.items() if kind != "ok"},
        "silent": sum(count for kind, count in kinds.items() if kind.startswith(_SILENT)),
        "different_from_serial": wrong,
    }


def percentile(ordered: list[float], percent: int) -> float | None:
    """The smallest value that so many per cent do not exceed."""
    if not ordered:
        return None
    rank = -(-len(ordered) * percent // 100)
    return round(ordered[max(0, rank - 1)], 3)


if __name__ == "__main__":
    main()
