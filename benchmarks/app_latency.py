"""From choosing a file to the answer and its heatmaps drawn, in a real browser on this machine.

    python benchmarks/app_latency.py PICTURES [--checkpoint default]

Opens the app in Chromium, then gives it pictures it has not seen, one at a time, and waits until the distance
has changed and the heatmaps on both pictures of the new comparison are drawn.
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from machine import describe_machine
from playwright.sync_api import Page, sync_playwright

from avsl_core.data import list_pictures

_EXAMPLES = 8  # pairs with a button
_THINKING_MS = 400  # nobody goes on faster from what has just been drawn

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]

DRAWN = """before => {
    const distance = document.querySelector("#distance");
    const panel = document.querySelector(".avsl-touch"), stage = document.querySelector(".avsl-stage");
    return distance && distance.dataset.value !== before && panel?.dataset.distance === distance.dataset.value
        && stage.dataset.drawn === panel.dataset.key;
}"""

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/app_latency.json"))
    options = parser.parse_args()
    files = list_pictures(options.pictures, recursive=True)
    files = files[:: max(1, len(files) // options.count)][: options.count]
    started = time.perf_counter()
    with running_app(options.checkpoint) as url:
        document = {"start_to_answering_s": round(time.perf_counter() - started, 2)} | measure(url, files)
    document["machine"] = describe_machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


@contextmanager
def running_app(checkpoint: str) -> Iterator[str]:
    """The app in a process of its own, answering at the address given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app", "--checkpoint", checkpoint, "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def measure(url: str, files: list[Path]) -> dict[str, Any]:
    """Open the page, upload each file, alternating sides."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        begun = time.perf_counter()
        page.goto(url)
        page.wait_for_function(DRAWN, arg="", timeout=60_000)
        opened = time.perf_counter() - begun
        seconds = [upload(page, file, "ab"[index % 2]) for index, file in enumerate(files)][2:]
        known = [again(page, index % _EXAMPLES) for index in range(len(files) + _EXAMPLES)][_EXAMPLES:]
        browser.close()
    return {
        "open_to_first_pair_drawn_s": round(opened, 2),
        "uploads": len(seconds),
        "upload_to_drawn": quantiles(seconds),
        "known_pairs": len(known),
        "click_to_known_pair_drawn": quantiles(known),
    }


def upload(page: Page, file: Path, side: str) -> float:
    """Seconds from choosing one file until its comparison is drawn."""
    before = page.locator("#distance").get_attribute("data-value")
    page.wait_for_timeout(_THINKING_MS)
    started = time.perf_counter()
    page.locator(f"#picture-{side} input[type=file]").set_input_files(file)
    page.wait_for_function(DRAWN, arg=before, timeout=30_000)
    return time.perf_counter() - started


def again(page: Page, example: int) -> float:
    """Seconds from a click on an example pair until it is drawn; all but the first time it is known."""
    before = page.locator("#distance").get_attribute("data-value")
    button = page.locator(f"#example-{example}")
    button.scroll_into_view_if_needed()
    page.wait_for_timeout(_THINKING_MS)
    started = time.perf_counter()
    button.click()
    page.wait_for_function(DRAWN, arg=before, timeout=30_000)
    return time.perf_counter() - started


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Half of all took no longer than `median_s`, 95 of 100 no longer than `p95_s`."""
    ordered = sorted(seconds)
    return {
        "median_s": round(statistics.median(ordered), 3),
        "p95_s": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
    }


def wait_for(url: str) -> None:
    """Wait until the app answers."""
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"error: {url} did not answer within a minute")


if __name__ == "__main__":
    main()
