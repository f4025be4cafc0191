"""Every hostile and unlucky file of the tests through the upload path of the running app.

    python benchmarks/hostile.py [--checkpoint default]

Counts what came of each: a comparison (or gallery), or a message in plain words. Anything else, or an answer
that shows what no visitor should see, would be listed.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from machine import describe_machine

from avsl_core.checkpoint import shipped_checkpoints
from tests.app import hostile
from tests.app.hostile_archives import archives
from tests.app.test_hostile import Running, sendable, troubles

_BATCH = 20


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--limit", type=int, default=10**6, help="of either kind, for a trial")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/hostile.json"))
    options = parser.parse_args()
    checkpoint = shipped_checkpoints().get(options.checkpoint, options.checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        app = Running(checkpoint, Path(folder))
        try:
            app.open()
            before = app.megabytes()
            document: dict[str, Any] = {
                "pictures": summary(compared(app, options.limit)),
                "archives": summary(built(app, options.limit)),
                "grown_mb": round(app.megabytes() - before),
                "same_process_at_the_end": app.process.poll() is None,
            }
            values, said = app.compare(app.good[0], "good.png")
            document["compares_at_the_end"] = said is None and "avsl-card" in values["verdict"]
        finally:
            app.process.terminate()
            app.process.wait(timeout=20)
    document["machine"] = describe_machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


Outcome = tuple[str, str, float]
"""Label, what came of it, and seconds."""


def compared(app: Any, limit: int) -> Iterator[Outcome]:
    """Each picture beside a good one."""
    samples = hostile.pictures()[:limit]
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        places = app.site.upload([(sendable(sample.name), sample.data) for sample in batch])
        for sample, place in zip(batch, places, strict=True):
            began = time.perf_counter()
            values, said = app.compare(place, sample.name)
            seconds = time.perf_counter() - began
            message = "avsl-message" in str(values.get("message"))
            shown = "avsl-card" in str(values.get("verdict"))
            kind = "message" if message else "compared" if shown else "nothing"
            yield sample.label, "; ".join(troubles(app, values, said)) or kind, seconds


def built(app: Any, limit: int) -> Iterator[Outcome]:
    """Each archive as a gallery."""
    for number, sample in enumerate(archives()[:limit]):
        (place,) = app.site.upload([(sendable(sample.name), sample.data)])
        began = time.perf_counter()
        values, said = app.build(place, sample.name, f"gallery {number}")
        seconds = time.perf_counter() - began
        text = str(values.get("explore-progress"))
        kind = "built" if "explore-report" in text else "message" if "avsl-message" in text else "nothing"
        yield sample.label, "; ".join(troubles(app, values, said)) or kind, seconds


def summary(outcomes: Iterator[Outcome]) -> dict[str, Any]:
    """How many of each, the slowest, and by name all that went wrong."""
    found = list(outcomes)
    kinds = Counter(kind if kind in ("message", "compared", "built") else "wrong" for _, kind, _ in found)
    seconds = sorted(seconds for _, _, seconds in found)
    return {
        "files": len(found),
        **{kind: kinds[kind] for kind in ("compared", "built", "message", "wrong") if kinds[kind]},
        "median_s": round(statistics.median(seconds), 3),
        "slowest_s": round(seconds[-1], 2),
        "slowest": max(found, key=lambda outcome: outcome[2])[0],
        "faults": [[label, kind] for label, kind, _ in found if kind not in ("message", "compared", "built")],
    }


if __name__ == "__main__":
    main()
