"""Shoots every page at three widths in both themes: python benchmarks/screens.py OUT [--address URL].

Without an address the app is started with the shipped checkpoints. One file per page, width and theme, for
instance ``compare-390-dark.png``, the whole page long; what waits for the model is waited for. Needs Chromium
and requirements-dev.txt.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (390, 820, 1440)
THEMES = ("light", "dark")
PATIENCE = 90_000  # milliseconds: the demo gallery may have to be made anew
_QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# Resolves when nothing has changed for a while.
_STILL = """() => new Promise(done => {
  let timer = setTimeout(done, 500);
  new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 500); })
    .observe(document.body, { subtree: true, childList: true, attributes: true });
})"""


@dataclass(frozen=True)
class View:
    """A page in some state.

    Attributes:
        name: Of its files.
        path: Its address.
        ready: What is there once its results are.
        then: What is done before it is shot.
    """

    name: str
    path: str
    ready: str
    then: Callable[[Any], None] = lambda page: None


def _open_experts(page: Any) -> None:
    page.locator("#expert > button").click()
    page.locator("#details h3").first.wait_for(timeout=PATIENCE)


def _learnt(step: int, then: Callable[[Any], None] = lambda page: None) -> View:
    ready = f'#learn-live:not([data-stale]) [data-live="{step}"]:not([data-busy])'
    return View(f"learn-{step}", f"learn?step={step}", ready, then)


VIEWS = (
    View("compare", "", "#distance"),
    View("compare-experts", "", "#distance", _open_experts),
    View("compare-beside", "?method=diml&beside=default", "#distance-beside"),
    View("compare-message", "?method=nowhere", "#message [role=alert]"),
    View("many", "many", "#many-matrix a"),
    View("explore", "explore", "#explore-results img"),
    View("explore-message", "explore?gallery=nowhere", "#explore-message [role=alert]"),
    View("lab", "lab", "#lab-distance"),
    _learnt(1, lambda page: page.locator("[data-guess]").first.click()),
    _learnt(2),
    _learnt(3, lambda page: page.locator(".learn-map button").first.click()),
    *(_learnt(step) for step in range(4, 9)),
)


def main(arguments: list[str] | None = None) -> None:
    """Shoot into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--address", help="of an app that runs already")
    parser.add_argument("--only", nargs="*", default=[], help="views whose names begin so")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    views = [view for view in VIEWS if not options.only or view.name.startswith(tuple(options.only))]
    with _served(options.address) as address, sync_playwright() as playwright:
        program = (
            shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        )
        browser = playwright.chromium.launch(executable_path=program, args=_QUIET)
        for view in views:
            for width in WIDTHS:
                for theme in THEMES:
                    file = options.out / f"{view.name}-{width}-{theme}.png"
                    _shoot(browser, f"{address}/{view.path}", view, width, theme, file)
                    print(file, flush=True)
        browser.close()


def _shoot(browser: Any, url: str, view: View, width: int, theme: str, file: Path) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page.on("pageerror", lambda error: print(f"{file.name}: {error}", file=sys.stderr))
    page.goto(f"{url}{'&' if '?' in url else '?'}__theme={theme}")
    page.locator(view.ready).first.wait_for(timeout=PATIENCE)
    page.evaluate(_STILL)
    view.then(page)
    page.evaluate(_STILL)
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        print(f"{file.name}: has to be scrolled sideways, {wide} > {width}", file=sys.stderr)
    page.screenshot(path=file, full_page=True)
    page.close()


@contextmanager
def _served(address: str | None) -> Iterator[str]:
    """The address of an app: one that runs, or one that is started and ended here."""
    if address:
        yield address.rstrip("/")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="avsl-screens-") as folder:
        command = [sys.executable, "-m", "app", "--port", str(port), "--galleries", folder]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _wait_for(f"http://127.0.0.1:{port}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(480):
        if server.poll() is not None:
            sys.exit("the app ended; what it printed says why")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    sys.exit(f"{url} did not answer within two minutes")


if __name__ == "__main__":
    main()
