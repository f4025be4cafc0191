"""The benchmark scripts start and measure; what they measured is committed and checked by test_readme."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


PARTS = ("machine.py", "visitors.py", "device_recipes.py")  # of other scripts


@pytest.mark.parametrize(
    "script", sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in PARTS)
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


@pytest.mark.parametrize(
    ("methods", "names"),
    [
        (("avsl", "raml"), ("avsl, warm-up", "avsl", "raml, teacher", "raml, student")),
        (("proxy-anchor", "adaptation"), ("proxy-anchor, warm-up", "proxy-anchor", "adaptation")),
        (("diml", "cgd"), ("diml", "cgd")),
    ],
)
def test_published_recipes_run_their_first_epochs(methods, names, tmp_path):
    out = tmp_path / "recipes.json"
    tiny = ["--trunk", "mobilenetv3_small_050", "--size", "48", "--batch", "16", "--amp", "none"]
    short = [
        "--workers",
        "0",
        "--steps",
        "1",
        "--epochs",
        "1",
        "--pairs",
        "8",
        "--work",
        str(tmp_path / "work"),
    ]
    only = [word for method in methods for word in ("--only", method)]
    done = run("device.py", "--recipes", *only, "--device", "cpu", *tiny, *short, "--out", str(out))
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    assert document["ran_on"] == "cpu" and done.stdout.startswith("on cpu")
    rows = document["rows"]
    assert tuple(rows) == names
    assert all(row["finite"] and row["losses"] and row["images_per_second"] > 0 for row in rows.values())
    if "avsl" in methods:
        assert (rows["avsl, warm-up"]["trunk_learns"], rows["avsl"]["trunk_learns"]) == ("none", "all")
        # What the recipe publishes and the tiny batch still allows.
        student = rows["raml, student"]
        assert (student["samples_per_class"], student["accumulation"], student["views"]) == (4, 2, 8)


def test_a_recipe_that_fails_is_told_and_fails_the_run(tmp_path):
    out = tmp_path / "recipes.json"
    lacking = ["--weights", str(tmp_path / "none.pth"), "--work", str(tmp_path / "work")]
    tiny = ["--trunk", "resnet18", "--size", "48", "--batch", "4", "--steps", "1", "--device", "cpu"]
    done = run("device.py", "--recipes", "--only", "diml", *tiny, *lacking, "--out", str(out))
    assert done.returncode == 1 and "diml: CheckpointError" in done.stderr
    assert "none.pth" in json.loads(out.read_text())["rows"]["diml"]["failed"]


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
