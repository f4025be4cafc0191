"""``search`` as scripts and people use it."""

import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.images import Preprocess

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def quiet(capsys):
    yield
    capsys.readouterr()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, new_avsl):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_checkpoint(Checkpoint(new_avsl(), Preprocess(size=64, resize=64)), path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("cli") / "pictures", np.random.default_rng(0)
    for number in range(8):
        path = root / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return root


@pytest.fixture(scope="module")
def gallery(checkpoint, pictures):
    path = pictures.parent / "gallery"
    arguments = [
        "index",
        str(checkpoint),
        str(pictures),
        str(path),
        "--workers",
        "0",
        "--map",
        "none",
        "--fast",
    ]
    assert main([*arguments, "--device", "cpu"]) == 0
    return path


def search(gallery, *arguments):
    return main(["search", str(gallery), *map(str, arguments), "--device", "cpu"])


def asked(capsys):
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_json_is_one_object_with_the_neighbours(gallery, pictures, capsys, mode):
    assert search(gallery, pictures / "class1" / "3.png", "--k", 4, "--mode", mode, "--json") == 0
    values = asked(capsys)
    first = values["neighbours"][0]
    assert len(values["neighbours"]) == 4
    assert first["path"] == str(pictures / "class1" / "3.png")
    assert first["distance"] == pytest.approx(0.0, abs=1e-6)
    assert first["class"] == "class1"
    assert 0 < values["verified"] <= 8
    assert (values["recall"] is None) == (mode == "exact")
    for neighbour in values["neighbours"]:
        parts = sum(component["value"] for component in neighbour["components"])
        assert parts == pytest.approx(neighbour["distance"], abs=1e-6)


def test_the_first_fast_search_builds_the_index_and_the_next_uses_it(checkpoint, pictures, tmp_path, capsys):
    arguments = ["index", str(checkpoint), str(pictures), str(tmp_path / "plain"), "--workers", "0"]
    assert main([*arguments, "--device", "cpu"]) == 0
    capsys.readouterr()
    answers = []
    for built in (True, False):
        assert search(tmp_path / "plain", pictures / "class0" / "2.png", "--mode", "fast", "--json") == 0
        captured = capsys.readouterr()
        assert ("fast index" in captured.err) == built
        answers.append(json.loads(captured.out))
    assert answers[0]["recall"] == answers[1]["recall"] == 1.0
    assert answers[0]["neighbours"] == answers[1]["neighbours"]


def test_distances_are_those_of_compare(gallery, checkpoint, pictures, capsys):
    assert search(gallery, pictures / "class0" / "0.png", "--k", 2, "--json") == 0
    neighbour = asked(capsys)["neighbours"][1]
    compare = ["compare", str(checkpoint), str(pictures / "class0" / "0.png"), neighbour["path"], "--json"]
    assert main([*compare, "--device", "cpu"]) == 0
    assert neighbour["distance"] == pytest.approx(asked(capsys)["distance"], rel=1e-4)


def test_people_read_ranks_and_how_much_was_compared(gallery, pictures, capsys):
    assert search(gallery, pictures / "class0" / "2.png", "--k", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "1" and lines[0].endswith("class0/2.png")
    assert "of 8 pictures compared in full" in lines[-1]


def test_classes_and_weights_can_be_given(gallery, pictures, capsys):
    options = ["--class", "class0", "--weight", "level1=1", "--weight", "level2=0.5", "--json"]
    assert search(gallery, pictures / "class1" / "1.png", "--k", 8, *options) == 0
    values = asked(capsys)
    assert [n["class"] for n in values["neighbours"]] == ["class0"] * 4
    scores = [n["score"] for n in values["neighbours"]]
    assert scores == sorted(scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k", "0"], "at least 1"),
        (["--weight", "level1"], "a part and a number"),
        (["--weight", "texture=1"], "no part 'texture'"),
        (["--class", "classX"], "no class 'classX'"),
    ],
)
def test_mistakes_are_one_line(gallery, pictures, capsys, options, message):
    assert search(gallery, pictures / "class0" / "0.png", *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert message in captured.err


def test_a_missing_picture_or_gallery_is_one_line(gallery, pictures, tmp_path, capsys):
    assert search(gallery, tmp_path / "none.jpg") == 2
    assert "no such file" in capsys.readouterr().err
    assert search(tmp_path / "nothing", pictures / "class0" / "0.png") == 2
    assert "no such gallery" in capsys.readouterr().err


def test_a_checkpoint_that_has_moved_is_asked_for(gallery, checkpoint, pictures, tmp_path, capsys):
    moved = tmp_path / "elsewhere.safetensors"
    checkpoint.rename(moved)
    try:
        assert search(gallery, pictures / "class0" / "0.png") == 2
        assert "say where it is with --checkpoint" in capsys.readouterr().err
        assert search(gallery, pictures / "class0" / "0.png", "--checkpoint", moved, "--json") == 0
    finally:
        moved.rename(checkpoint)
