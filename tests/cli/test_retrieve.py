"""``retrieve`` as scripts and people use it."""

import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.data import read_folder
from avsl_core.encoding import encode_pictures
from avsl_core.explain.retrieval import OTHER, SAME
from avsl_core.images import Preprocess


@pytest.fixture(scope="module", params=["avsl", "cgd"])
def checkpoint(request, tmp_path_factory):
    model = request.getfixturevalue(f"new_{request.param}")()
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_checkpoint(Checkpoint(model, Preprocess(size=64, resize=64)), path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("cli") / "pictures", np.random.default_rng(0)
    for number in range(8):
        path = root / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 44, 3), dtype=np.uint8)).save(path)
    return root


@pytest.fixture
def retrieve(checkpoint, pictures, tmp_path, capsys):
    """retrieve("--k", "3") -> the JSON object, and the sheet that was drawn."""

    def run(*arguments, folder=pictures, out=tmp_path / "deep" / "sheet.png"):
        command = ["retrieve", str(checkpoint), str(folder), str(out), "--json", "--device", "cpu"]
        assert main([*command, *map(str, arguments)]) == 0
        printed = capsys.readouterr().out
        assert printed.count("\n") == 1
        with Image.open(out) as sheet:
            return json.loads(printed), np.array(sheet)

    return run


def test_neighbours_are_those_of_measuring_all_pairs(retrieve, checkpoint, pictures):
    values, _ = retrieve("--queries", 8, "--k", 4)
    loaded = load_checkpoint(checkpoint)
    listed = read_folder(pictures)
    encoding = encode_pictures(loaded.model, loaded.preprocess, listed.paths)
    matrix = loaded.model.distance_matrix(encoding, encoding).fill_diagonal_(float("inf"))
    names = [str(path) for path in listed.paths]
    assert sorted(query["path"] for query in values["queries"]) == sorted(names)
    for query in values["queries"]:
        distances, order = matrix[names.index(query["path"])].sort()
        assert [n["path"] for n in query["neighbours"]] == [names[i] for i in order[:4]]
        assert [n["distance"] for n in query["neighbours"]] == pytest.approx(distances[:4].tolist(), rel=1e-4)
        for neighbour in query["neighbours"]:
            assert neighbour["same_class"] == (neighbour["class"] == query["class"])


def test_a_picture_is_not_its_own_neighbour(retrieve):
    values, _ = retrieve("--queries", 8, "--k", 99)
    for query in values["queries"]:
        assert len(query["neighbours"]) == 7
        assert query["path"] not in [neighbour["path"] for neighbour in query["neighbours"]]


def test_the_sheet_frames_right_and_wrong(retrieve):
    values, sheet = retrieve("--queries", 2, "--k", 7)
    assert values["sheet"].endswith("sheet.png")
    for colour in (SAME, OTHER):
        assert (sheet == np.array(colour)).all(axis=2).any()


def test_the_lot_is_decided_by_the_seed(retrieve):
    first, again, other = (
        [query["path"] for query in retrieve("--queries", 4, "--seed", seed)[0]["queries"]]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_named_pictures_are_asked_in_their_order(retrieve, pictures):
    wanted = [pictures / "class1" / "3.png", pictures / "class0" / "4.png"]
    values, _ = retrieve("--queries", *wanted)
    assert [query["path"] for query in values["queries"]] == [str(path) for path in wanted]
    assert [query["class"] for query in values["queries"]] == ["class1", "class0"]


def test_a_copy_from_elsewhere_finds_the_original_and_has_no_class(retrieve, pictures, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes((pictures / "class0" / "2.png").read_bytes())
    values, sheet = retrieve("--queries", copy, "--k", 2)
    query = values["queries"][0]
    assert query["class"] is None
    assert query["neighbours"][0]["path"] == str(pictures / "class0" / "2.png")
    assert query["neighbours"][0]["distance"] == pytest.approx(0, abs=1e-5)
    assert query["neighbours"][0]["same_class"] is None
    assert not any((sheet == np.array(colour)).all(axis=2).any() for colour in (SAME, OTHER))


def test_a_picture_from_a_folder_of_a_known_class_has_that_class(retrieve, pictures, tmp_path):
    copy = tmp_path / "class1" / "new.png"
    copy.parent.mkdir()
    copy.write_bytes((pictures / "class0" / "2.png").read_bytes())
    values, _ = retrieve("--queries", copy, "--k", 1)
    assert values["queries"][0]["class"] == "class1"
    assert values["queries"][0]["neighbours"][0]["same_class"] is False


def test_a_part_of_a_split_file_is_a_set(retrieve, pictures, tmp_path):
    listed = [f"class0/{number}.png" for number in (0, 2, 4)]
    content = {"root": str(pictures), "train": {"b": ["class1/1.png"]}, "test": {"a": listed}}
    (tmp_path / "split.json").write_text(json.dumps(content))
    values, _ = retrieve("--queries", 3, folder=tmp_path / "split.json")
    assert all(len(query["neighbours"]) == 2 for query in values["queries"])


def test_for_people_it_says_how_many_are_alike(checkpoint, pictures, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    arguments = ["retrieve", str(checkpoint), str(pictures), str(out), "--k", "3", "--device", "cpu"]
    assert main([*arguments, "--queries", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert " of 3 alike" in lines[0]
    assert lines[-1] == f"{out}: 2 queries with their nearest of 8 pictures"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["OUT.jpg"], "a file that ends in .png"),
        (["OUT.png", "--k", "0"], "--k"),
        (["OUT.png", "--queries", "0"], "--queries 0: pictures has 8 pictures; give 1 to 8"),
        (["OUT.png", "--queries", "9"], "--queries 9"),
        (["OUT.png", "--queries", "missing.png"], "missing.png: no such file"),
        (["OUT.png", "--crop-to-box"], "no boxes to crop to"),
        (["OUT.png", "--dataset", "split"], "pictures"),
        (["OUT.png", "--part", "test"], "plain folder, which has no parts"),
    ],
)
def test_a_users_mistake_is_one_line_and_draws_nothing(
    checkpoint, pictures, tmp_path, capsys, arguments, message
):
    given = [str(tmp_path / a) if a.startswith("OUT") else a for a in arguments]
    assert main(["retrieve", str(checkpoint), str(pictures), *given, "--device", "cpu"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert not list(tmp_path.glob("OUT*"))
