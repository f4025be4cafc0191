"""The benchmark scripts start and measure; what they measured is committed and checked by test_readme."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    "script",
    sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in ("machine.py", "visitors.py")),
)
def test_every_script_can_be_started(script):
    arguments = [] if script == "tables.py" else ["--help"]
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("recipe", ["cub", "diml", "cgd", "raml"])
def test_the_rates_of_a_device_are_measured(recipe, tmp_path):
    out = tmp_path / "device.json"
    options = ["--device", "cpu", "--trunk", "resnet18", "--size", "64", "--amp", "none", "--recipe", recipe]
    options += ["--batch", "16" if recipe == "raml" else "4"]
    done = run("device.py", *options, "--steps", "1", "--no-compile", "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert set(rows) == {"training", "encoding"}
    assert all(row["images_per_second"] > 0 and row["tflops"] > 0 for row in rows.values())


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
