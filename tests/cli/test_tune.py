"""``tune`` as scripts use it."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import load_checkpoint
from avsl_core.cli.main import main

TINY = (
    *("backbone=mobilenetv3_small_050", "levels=4", "weights=none", "method=embedding", "nodes=8"),
    *("epochs=1", "batch_size=3", "workers=0", "views=1", "preprocess.size=32", "preprocess.resize=32"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    for label in range(4):
        (root / str(label)).mkdir()
        for number in range(3):
            picture = np.clip(rng.normal(60 * label, 20, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / str(label) / f"{number}.png")
    return root


@pytest.fixture
def arguments(folder, tmp_path):
    words = ["tune", "--recipe", "cpu", "--data", str(folder), "--out", str(tmp_path / "out")]
    words += ["--split", "0.5,0.5,0", "--device", "cpu", "--quiet"]
    for option in TINY:
        words += ["--set", option]
    return words


def test_a_search_leaves_the_best_model_and_goes_on_by_the_same_command(arguments, tmp_path, capsys):
    words = [*arguments, "--search", "lr_heads=1e-4:1e-1:log", "--json"]
    assert main([*words, "--trials", "1"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert set(first) == {"checkpoint", "map@r", "trial", "options", "trials"}
    assert main([*words, "--trials", "2"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (first["trials"], second["trials"]) == (1, 2)
    out = tmp_path / "out"
    best = load_checkpoint(out / "best.safetensors")
    assert best.model.method == "embedding"
    assert best.record["parts"]["train"] == {"classes": 2, "pictures": 6}
    with (out / "trials.csv").open(newline="") as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["1", "2"]
    parts = json.loads((out / "split.json").read_text())
    assert set(parts["train"]).isdisjoint(parts["val"])


def test_people_are_told_what_to_set(arguments, capsys):
    assert main([*arguments, "--search", "positive_margin=0.2,0.4", "--trials", "1"]) == 0
    out = capsys.readouterr().out
    assert "the best of 1 trials" in out
    assert "--set positive_margin=0." in out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--search", "lr=1:2", "--trials", "1"], "unknown option 'lr'"),
        (["--search", "nodes=many,few", "--trials", "1"], "must be int"),
        (["--trials", "1"], "nothing to search"),
        (["--search", "nodes=1:2", "--trials", "0"], "trials=0"),
        (["--search", "nodes=1:2", "--trials", "1", "--seed", "-1"], "--seed -1"),
        (["--search", "nodes=1:2", "--trials", "1", "--split", "1,0,0"], "no validation part"),
        (["--search", "nodes=1:2", "--trials", "1", "--set", "speed=1"], "unknown option 'speed'"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_two(arguments, capsys, extra, message):
    assert main([*arguments, *extra]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
