"""From starting the process to the first page answered, and to the first comparison shown in a browser.

    python benchmarks/start.py [--checkpoint default] [--runs 5]

Each run is a new process. The first page counts when all of it has been received; the comparison when the
browser, which was open before, shows its verdict.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app_latency import ARGUMENTS
from machine import describe_machine
from playwright.sync_api import Browser, sync_playwright

SHOWN = """() => document.querySelector("#distance")?.dataset.value"""
_PATIENCE_S = 120.0
_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/start.json"))
    options = parser.parse_args()
    load = round(os.getloadavg()[0], 2)
    rows = [measure(options.checkpoint) for _ in range(options.runs)]
    middle = {key: round(statistics.median(row[key] for row in rows), 2) for key in rows[0]}
    document: dict[str, Any] = {
        **{f"start_to_{key}": value for key, value in middle.items()},
        "runs": rows,
        # Other programs on the machine make every one of these longer.
        "load_before": load,
        "machine": describe_machine(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def measure(checkpoint: str) -> dict[str, float]:
    """Seconds from one start to what a visitor sees, and the processor's seconds until then."""
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "app", "--checkpoint", checkpoint, "--port", str(port)]
        began = time.perf_counter()
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            wait_for_page(port, server)
            answered = time.perf_counter() - began
            worked = processor_seconds(server.pid)
            page.goto(f"http://127.0.0.1:{port}")
            page.wait_for_function(SHOWN, timeout=_PATIENCE_S * 1000)
            shown = time.perf_counter() - began
        finally:
            server.terminate()
            server.wait(timeout=30)
    return {
        "page_answered_s": round(answered, 2),
        "comparison_shown_s": round(shown, 2),
        "page_answered_processor_s": round(worked, 2),
    }


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser that has started already: its own start is not the app's."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


def wait_for_page(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the first page has been received, all of it."""
    deadline = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < deadline and server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
            connection.request("GET", "/", headers={"Accept": "text/html"})
            answer = connection.getresponse()
            if answer.status == 200 and b"</html>" in answer.read():
                return
        except OSError:
            time.sleep(0.02)
        finally:
            connection.close()
    raise SystemExit(f"error: no page was answered (the app's status: {server.poll()})")


def processor_seconds(pid: int) -> float:
    """What a process has worked until now, on all cores; without what it started."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
