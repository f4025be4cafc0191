"""What building a gallery costs: pictures per second, bytes per picture, and bringing it up to date.

    python benchmarks/gallery_build.py PICTURES [--count 4000] [--work runs/search]

PICTURES/<class>/<picture>, or folders of such folders.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from machine import describe_machine
from search_rows import read_pictures

from avsl_core import load
from avsl_core.gallery import BuildOptions, add_pictures, build_gallery, remove_pictures
from avsl_core.memory import keep_freed_memory
from avsl_core.precision import Precision, is_bf16_fast

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--work", type=Path, default=Path("runs/search"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gallery_build.json"))
    options = parser.parse_args()
    keep_freed_memory()
    checkpoint = load(options.checkpoint)
    paths = list(read_pictures(options.pictures).paths)
    step = max(1, len(paths) // (options.count + 100))
    paths = paths[::step]
    first, more = paths[: options.count], paths[options.count : options.count + 100]
    folder = options.work / "built"
    shutil.rmtree(folder, ignore_errors=True)
    document: dict[str, Any] = {"pictures": len(first)}
    precisions: list[Precision] = ["none", "bf16"] if is_bf16_fast() else ["none"]
    for precision in precisions:
        shutil.rmtree(folder, ignore_errors=True)
        chosen = BuildOptions(dtype="fp16", workers=1, precision=precision, map="pca")
        report = build_gallery(checkpoint, first, folder, options=chosen)
        document[f"build_pictures_per_second_trunk_{'fp32' if precision == 'none' else precision}"] = round(
            report.added / report.seconds, 1
        )
    document["skipped"] = len(report.skipped)
    document["bytes_per_picture"] = {
        "numbers": per_picture(folder, ["*.npy"], report.pictures),
        "items": per_picture(folder, ["*.json", "*.jsonl"], report.pictures),
        "thumbnail": per_picture(folder, ["*.webp"], report.pictures),
    }
    document["nothing_new_s"] = clock(lambda: build_gallery(checkpoint, first, folder, options=chosen))
    document["add_100_s"] = clock(lambda: add_pictures(checkpoint, folder, more, options=chosen))
    document["remove_100_s"] = clock(lambda: remove_pictures(folder, [str(path) for path in more]))
    document["machine"] = describe_machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def per_picture(folder: Path, patterns: list[str], count: int) -> int:
    """Bytes of some files per picture."""
    return round(sum(f.stat().st_size for pattern in patterns for f in folder.rglob(pattern)) / count)


def clock(run: Any) -> float:
    """Seconds that something takes."""
    started = time.perf_counter()
    run()
    return round(time.perf_counter() - started, 2)


if __name__ == "__main__":
    main()
