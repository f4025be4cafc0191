"""From a click in a menu of the Bird lab to everything drawn anew, in a real browser on this machine.

    python benchmarks/lab_latency.py [--checkpoint default]

Opens the page in Chromium, then changes one thing at a time about the right bird, each time to a bird that
has not been seen before, and waits until both birds and all heatmaps of the new pair have been decoded.
"""

import argparse
import json
import random
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from app_latency import ARGUMENTS, running_app
from machine import describe_machine
from playwright.sync_api import Page, sync_playwright

PARTS = ("beak", "eye", "throat", "breast", "wing", "coat", "tail", "legs")
MENUS = ("form", "texture", "palette")

DRAWN = """before => {
    const birds = document.querySelector(".lab-birds");
    const pictures = [...document.querySelectorAll("#lab-view img, #lab-levels img")];
    return birds && birds.dataset.key !== before
        && pictures.every(picture => picture.complete && picture.naturalWidth > 0);
}"""
MENUS_OF = """([part, before]) => document.querySelector(`#lab-part input[value="${part}"]`).checked
    && [...document.querySelectorAll("#lab-form input")].map(input => input.value).join() !== before"""

_RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--checkpoint", default="default")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/lab_latency.json"))
    options = parser.parse_args()
    with running_app(options.checkpoint) as url:
        document = measure(f"{url}/lab", options.count, options.seed)
    document["machine"] = describe_machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def measure(url: str, count: int, seed: int) -> dict[str, Any]:
    """Open the page and make so many changes."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    generator = random.Random(seed)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        begun = time.perf_counter()
        page.goto(url)
        page.wait_for_function(DRAWN, arg="", timeout=60_000)
        opened = time.perf_counter() - begun
        seconds = [change(page, generator, PARTS[index % len(PARTS)]) for index in range(count)][2:]
        browser.close()
    ordered = sorted(seconds)
    return {
        "open_to_first_pair_drawn_s": round(opened, 2),
        "changes": len(seconds),
        "click_to_drawn_median_s": round(statistics.median(seconds), 3),
        "click_to_drawn_p95_s": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
    }


def change(page: Page, generator: random.Random, part: str) -> float:
    """Seconds from choosing another look of a part until the new pair is drawn."""
    if not page.locator(f"#lab-part input[value='{part}']").is_checked():
        before = ",".join(values(page, "form"))
        page.locator(f"#lab-part input[value='{part}']").check()
        page.wait_for_function(MENUS_OF, arg=[part, before], timeout=30_000)
    menu = generator.choice(MENUS)
    chosen = page.locator(f"#lab-{menu} input:checked").get_attribute("value")
    look = generator.choice([value for value in values(page, menu) if value != chosen])
    before = page.locator(".lab-birds").get_attribute("data-key")
    started = time.perf_counter()
    page.locator(f"#lab-{menu} input[value='{look}']").check()
    page.wait_for_function(DRAWN, arg=before, timeout=30_000)
    return time.perf_counter() - started


def values(page: Page, menu: str) -> list[str]:
    """What a menu offers."""
    offered: list[str] = page.locator(f"#lab-{menu} input").evaluate_all(
        "inputs => inputs.map(input => input.value)"
    )
    return offered


if __name__ == "__main__":
    main()
