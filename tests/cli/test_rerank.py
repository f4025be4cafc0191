"""``rerank``: the sweep on the command line."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.images import Preprocess, load_image


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, new_avsl):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_checkpoint(Checkpoint(new_avsl(), Preprocess(size=64, resize=64)), path)


@pytest.fixture(scope="module")
def raml_checkpoint(tmp_path_factory, raml):
    path = tmp_path_factory.mktemp("model") / "raml.safetensors"
    return save_checkpoint(Checkpoint(raml, Preprocess(size=64, resize=64)), path)


@pytest.fixture
def cub(folder, tmp_path, monkeypatch):
    """The pictures as a CUB of two kinds to learn from and three to test on, each with a box."""
    monkeypatch.setattr("avsl_core.data.cub._PUBLISHED", {"train": (6, 2), "test": (9, 3)})
    base = tmp_path / "CUB_200_2011"
    paths = sorted(folder.rglob("*.png"))
    kinds = [1, 1, 1, 2, 2, 2, *(3 + number // 3 for number in range(9))]
    (base / "images").mkdir(parents=True)
    for number in range(15):
        (base / "images" / f"{number}.png").write_bytes(paths[number % 9].read_bytes())
    tables = {
        "classes.txt": [f"{kind} bird{kind}" for kind in range(1, 6)],
        "images.txt": [f"{number} {number}.png" for number in range(15)],
        "image_class_labels.txt": [f"{number} {kind}" for number, kind in enumerate(kinds)],
        "bounding_boxes.txt": [f"{number} 7.0 3.0 40.0 37.0" for number in range(15)],
    }
    for name, lines in tables.items():
        (base / name).write_text("\n".join(lines) + "\n")
    return base


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, colour in (("red", (200, 30, 30)), ("green", (20, 180, 40)), ("blue", (30, 40, 210))):
        (root / name).mkdir()
        for number in range(3):
            noise = rng.integers(-30, 30, (70, 80, 3))
            Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(
                root / name / f"{number}.png"
            )
    return root


def run(*arguments):
    return main(["rerank", *map(str, arguments), "--device", "cpu"])


def test_it_prints_one_json_object_and_writes_the_table(checkpoint, folder, tmp_path, capsys):
    table = tmp_path / "sweep.csv"
    assert run(checkpoint, folder, "--top-k", "0,3,8", "--grid", 2, "--csv", table, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert [row["top_k"] for row in values["rows"]] == [0, 3, 8]
    assert all(0 <= row["recall@1"] <= 1 for row in values["rows"])
    assert len(list(csv.reader(table.open()))) == 4


def test_it_prints_a_table_for_people(checkpoint, folder, capsys):
    assert run(checkpoint, folder, "--top-k", "0,5", "--marginals", "uniform") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:1] == ["5"] for line in lines)


@pytest.mark.parametrize("sides", ["student", "teacher"])
def test_either_network_of_raml_may_be_matched(raml_checkpoint, folder, sides, capsys):
    assert run(raml_checkpoint, folder, "--top-k", "0,8", "--sides", sides, "--json") == 0
    assert [row["top_k"] for row in json.loads(capsys.readouterr().out)["rows"]] == [0, 8]


def test_two_networks_of_raml_are_refused_with_what_to_do(raml_checkpoint, folder, capsys):
    assert run(raml_checkpoint, folder, "--top-k", "0,8") == 2
    assert "sides=student or teacher (--sides)" in capsys.readouterr().err


def test_boxes_are_all_that_is_looked_at(checkpoint, cub, tmp_path, capsys):
    for number in range(6, 15):
        target = tmp_path / "cut" / str(number // 3) / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        cut = load_image(cub / "images" / f"{number}.png")[3:40, 7:47]
        Image.fromarray(cut).save(target)
    found = []
    for arguments in ((cub, "--dataset", "cub", "--crop-to-box"), (tmp_path / "cut",)):
        assert run(checkpoint, *arguments, "--top-k", "0,3", "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["rows"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--top-k", "a,b"), "whole numbers"),
        (("--top-k=-3",), "--top-k -3: give whole numbers, 0 or more"),
        (("--top-k", "3,"), "whole numbers"),
        (("--grid", "9"), "grid"),
        (("--grid", "0"), "grid"),
        (("--sides", "student"), "only RAML has two sides"),
        (("--crop-to-box",), "no boxes to crop to"),
        (("--part", "train"), "plain folder, which has no parts"),
        (("--csv", "."), "is a folder"),
        (("--csv", "nowhere/sweep.csv"), "no folder nowhere"),
        (("--batch-size", "0"), "--batch-size"),
    ],
)
def test_mistakes_are_told_in_one_line(checkpoint, folder, arguments, words, capsys):
    assert run(checkpoint, folder, *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and words in error


def test_where_the_table_cannot_be_nothing_is_encoded(checkpoint, folder, tmp_path, capsys):
    """The checkpoint is not even looked for."""
    assert run("no-such-checkpoint", folder, "--csv", tmp_path) == 2
    assert f"--csv {tmp_path}: is a folder" in capsys.readouterr().err
