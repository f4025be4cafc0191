"""The benchmark scripts start and measure; what they measured is committed and checked by test_readme."""

import argparse
import contextlib
import functools
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avsl_core.precision import effective_precision

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


PARTS = ("machine.py", "visitors.py", "device_recipes.py")  # of other scripts
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name not in PARTS)
# Each script in a process of its own, forked from one that has the slow libraries already.
START = """
import os, runpy, sys, traceback
import gradio, matplotlib, sklearn, timm, torch, torchvision

folder, out, *scripts = sys.argv[1:]
for script in scripts:
    child = os.fork()
    if not child:
        os.dup2(os.open(f"{out}/{script}", os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        sys.argv = [f"{folder}/{script}"] + ([] if script == "tables.py" else ["--help"])
        sys.path[0] = folder
        code = 1
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """By its name: how every script ended that was asked what it can do, and all that it printed."""
    out = tmp_path_factory.mktemp("started")
    command = [sys.executable, "-c", START, str(BENCHMARKS), str(out), *SCRIPTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    codes = map(int, done.stdout.split())
    return {name: (code, (out / name).read_text()) for name, code in zip(SCRIPTS, codes, strict=True)}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_started(started, script):
    code, printed = started[script]
    assert code == 0, printed
    assert printed


@pytest.fixture
def measured(monkeypatch, capsys):
    """Measure a device with these options, in this process; what was printed comes back."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    device = importlib.import_module("device")

    def measure(*options):
        monkeypatch.setattr(sys, "argv", ["device.py", *options])
        device.main()
        return capsys.readouterr().out

    return measure


@pytest.mark.parametrize("recipe", ["cub", "diml", "cgd", "raml"])
def test_the_rates_of_a_device_are_measured(measured, recipe, tmp_path):
    out = tmp_path / "device.json"
    options = ["--device", "cpu", "--trunk", "resnet18", "--size", "64", "--amp", "none", "--recipe", recipe]
    options += ["--batch", "16" if recipe == "raml" else "4"]
    measured(*options, "--steps", "1", "--no-compile", "--out", str(out))
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
def test_published_recipes_run_their_first_epochs(measured, methods, names, tmp_path):
    out = tmp_path / "recipes.json"
    tiny = ["--trunk", "mobilenetv3_small_050", "--size", "48", "--batch", "16"]
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
    printed = measured("--recipes", *only, "--device", "cpu", *tiny, *short, "--out", str(out))
    document = json.loads(out.read_text())
    assert document["ran_on"] == "cpu" and printed.startswith("on cpu")
    rows = document["rows"]
    assert tuple(rows) == names
    assert all(row["finite"] and row["losses"] and row["images_per_second"] > 0 for row in rows.values())
    used = effective_precision("bf16", torch.device("cpu"))  # what recipes ask for, as this CPU takes it
    assert {row["amp"] for row in rows.values()} == {used}
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


def test_a_folder_whose_drawing_was_interrupted_is_finished(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    drawn = importlib.import_module("device_recipes").drawn

    def draw(folder, count):
        folder.mkdir(exist_ok=True)
        for number in range(count):
            (folder / f"{number}.txt").write_text("drawn")
        if count < 3:
            raise KeyboardInterrupt

    for count in (1, 3, 2):  # the last finds all of it, and draws nothing
        with contextlib.suppress(KeyboardInterrupt):
            drawn(tmp_path / "birds", functools.partial(draw, count=count))
        assert (tmp_path / "birds").exists() == (count != 1)
    assert len(list((tmp_path / "birds").iterdir())) == 3


@pytest.mark.parametrize("answers", [1, 100, 2500])
def test_no_pair_of_a_load_was_seen_before(answers, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    load = importlib.import_module("load")
    options = argparse.Namespace(users=[1, 2, 16, 700], answers=answers)
    numbers = [*range(8), *(n for users in options.users for n in load.new_pairs(options, users))]
    shown = [seed for way in ("page", "api") for number in numbers for seed in load.pictures(way, number)]
    assert len(set(shown)) == len(shown) == 4 * len(numbers)


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
