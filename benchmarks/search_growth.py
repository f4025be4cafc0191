"""How search grows from a thousand pictures to a million: latency, memory, disk, recall of the fast index.

    python benchmarks/search_rows.py PICTURES
    python benchmarks/search_growth.py [--rows runs/search/rows.npz] [--work runs/search]

Galleries of synthetic rows (see search_rows.synthetic_rows: real encodings, each moved by half the difference
of two pictures of one class) are written to --work as a gallery is, in fp16, and searched from there. Queries
are further synthetic rows that are not in the gallery. Each size is written by one process and searched by
another, so that the memory is that of searching.

For a gallery larger than memory, --memory-mib says how much is kept; the rest is read and prepared anew in
every search. The result names the limit of the control group that the process runs in, if it has one.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from machine import describe_machine
from search_rows import read_rows, synthetic_rows

from avsl_core import load
from avsl_core.gallery import Gallery
from avsl_core.gallery.manifest import Manifest, next_generation, write_manifest
from avsl_core.gallery.segment import Record, SegmentWriter, describe_segment, write_items
from avsl_core.gallery.stamp import stamp_of
from avsl_core.models import Rows
from avsl_core.search import ExactSearch
from avsl_core.search.fast import FastIndex
from avsl_core.search.neighbours import Neighbours

SEGMENT, K = 65_536, 10
_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure each size and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--rows", type=Path, default=Path("runs/search/rows.npz"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--work", type=Path, default=Path("runs/search"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/search_growth.json"))
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)  # one size, in a process of its own
    parser.add_argument("--search", type=int, help=argparse.SUPPRESS)  # likewise
    parser.add_argument("--memory-mib", type=int, default=6144, help="of prepared rows to keep (%(default)s)")
    parser.add_argument("--singles", type=int, default=60, help="queries one by one at the largest sizes")
    parser.add_argument("--no-fast", action="store_true", help="exact search only")
    options = parser.parse_args()
    if options.write:
        write(options, options.write)
        return
    if options.search:
        print(json.dumps(measure(options, options.search)))
        return
    table = {}
    for size in options.sizes:
        command = [sys.executable, __file__, *sys.argv[1:]]
        subprocess.run([*command, "--write", str(size)], check=True)
        done = subprocess.run(
            [*command, "--search", str(size)], check=True, stdout=subprocess.PIPE, text=True
        )
        table[str(size)] = json.loads(done.stdout.splitlines()[-1])
        print(size, json.dumps(table[str(size)]), flush=True)
    document = {
        "what": "k = 10 nearest of queries that are not in the gallery; synthetic rows shaped like real ones",
        "storage": "fp16, read from disk through memory maps; the bounds' points are kept in memory",
        "kept_mib": options.memory_mib,
        "control_group_limit_gib": group_limit(),
        "sizes": table,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write(options: argparse.Namespace, size: int) -> None:
    """Write a gallery of one size, and queries."""
    checkpoint = load(options.checkpoint)
    rows, classes, _ = read_rows(options.rows)
    widths = checkpoint.model.measure().widths
    folder = options.work / f"synthetic-{size}"
    if not (folder / "manifest.json").exists():
        write_gallery(folder, checkpoint, synthetic_rows(rows, classes, widths, size), size)
    queries = Rows.concatenate(list(synthetic_rows(rows, classes, widths, 1024, seed=1)))
    np.savez(folder / "queries.npz", vectors=queries.vectors.numpy(), gates=queries.gates.numpy())


@torch.inference_mode()
def measure(options: argparse.Namespace, size: int) -> dict[str, Any]:
    """Search a gallery of one size."""
    checkpoint = load(options.checkpoint)
    folder = options.work / f"synthetic-{size}"
    with np.load(folder / "queries.npz") as file:
        queries = Rows(torch.from_numpy(file["vectors"]), torch.from_numpy(file["gates"]))
    gallery = Gallery.open(folder, checkpoint=checkpoint)
    exact = ExactSearch(checkpoint.model.measure(), gallery, memory=options.memory_mib * 2**20)
    started = time.perf_counter()
    exact.search(queries[-1:], K)
    first = time.perf_counter() - started
    singles, found = latencies(exact, queries, 200 if size <= 100_000 else options.singles)
    started = time.perf_counter()
    batch = exact.search(queries[:512], K)
    together = 1000 * (time.perf_counter() - started) / 512
    result: dict[str, Any] = {
        "exact": {
            "first_query_s": round(first, 3),
            **percentiles(singles),
            "batch_of_512_ms_per_query": round(together, 3),
            "verified_per_query": round(float(batch.verified.float().mean()), 1),
            "share_of_rows_passed_over": round(1 - float(found.bounded.float().mean()) / size, 4),
            "peak_memory_gib": peak(),
        },
        "disk_bytes_per_picture": round(sum(f.stat().st_size for f in folder.rglob("*.npy")) / size),
    }
    if not options.no_fast:
        result["fast"] = fast(exact, gallery, queries, batch)
    return result


def fast(exact: ExactSearch, gallery: Gallery, queries: Rows, true: Neighbours) -> dict[str, Any]:
    """Build the fast index; its recall on queries that are not in the gallery, and its latency."""
    started = time.perf_counter()
    index = FastIndex.build(exact.measure, gallery, exact=exact)
    built = time.perf_counter() - started
    singles, _ = latencies(index, queries, 200)
    batch = index.search(queries[:512], K)
    index.save(gallery.path / "fast")
    assert index.recall is not None
    return {
        "kind": index.info.kind,
        "build_s": round(built, 1),
        **percentiles(singles),
        "recall_at_10_measured_when_built": round(index.recall.value, 4),
        "recall_at_10_on_new_queries": round(float((batch.distances <= true.distances).float().mean()), 4),
        "verified_per_query": round(float(batch.verified.float().mean()), 1),
        "bytes_per_picture": round(
            sum(f.stat().st_size for f in (gallery.path / "fast").iterdir()) / len(gallery)
        ),
    }


def latencies(search: ExactSearch | FastIndex, queries: Rows, count: int) -> tuple[list[float], Neighbours]:
    """Milliseconds of queries one by one."""
    took, found = [], []
    for query in range(count):
        started = time.perf_counter()
        found.append(search.search(queries[query : query + 1], K))
        took.append(1000 * (time.perf_counter() - started))
    return took, Neighbours.concatenate(found)


def percentiles(values: list[float]) -> dict[str, float]:
    """Median and 95 %."""
    return {
        "p50_ms": round(float(np.percentile(values, 50)), 2),
        "p95_ms": round(float(np.percentile(values, 95)), 2),
    }


def peak() -> float:
    """Most memory that this process held, mapped files included, in GiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def group_limit() -> float | None:
    """Memory that the process's control group (version 1) may use, in GiB; None without a limit."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
        place = next(line.split(":", 2)[2] for line in lines if ":memory:" in line)
        limit = int(Path(f"/sys/fs/cgroup/memory{place}/memory.limit_in_bytes").read_text(encoding="ascii"))
    except (OSError, StopIteration, ValueError):
        return None
    return None if limit >= 2**50 else round(limit / 2**30, 2)


def write_gallery(folder: Path, checkpoint: Any, groups: Any, size: int) -> None:
    """A gallery of rows that have no pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    stamp, mark = stamp_of(checkpoint), next_generation("")
    entries, writer, written = [], None, 0
    for rows in groups:
        for start in range(0, len(rows), SEGMENT):
            part = rows[start : start + SEGMENT]
            if writer is None:
                count = min(SEGMENT, size - written)
                place = folder / "segments" / f"{len(entries):016x}"
                writer = SegmentWriter(place, count, stamp.dimensions, stamp.gates, np.dtype(np.float16))
                filled = 0
            writer.append(
                part.vectors.numpy().astype(np.float16),
                part.gates.numpy().astype(np.float16),
                np.zeros((len(part), 16), np.uint8),
            )
            filled += len(part)
            written += len(part)
            if filled == count:
                writer.close()
                write_items(place, mark, (Record((), 0, 0, -1) for _ in range(count)), count)
                entries.append(describe_segment(place, count, mark))
                writer = None
    manifest = Manifest(
        generation=mark,
        dtype="fp16",
        checkpoint=stamp,
        roots=(),
        classes=(),
        segments=tuple(entries),
        count=size,
        removed=None,
        map=None,
    )
    write_manifest(folder, manifest)


if __name__ == "__main__":
    main()
