"""The command line as scripts use it: status, standard output, standard error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.data import DATASETS, LoadOptions
from avsl_core.encoding import encode_pictures
from avsl_core.evaluation import evaluate_queries
from avsl_core.images import Preprocess
from avsl_core.metrics import PairDistribution

ROOT = Path(__file__).resolve().parents[2]
PAIRS = PairDistribution((0.0, 0.5, 1.0), (0.4, 1.2, 2.0), same_count=30, different_count=300)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, new_avsl):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    model = new_avsl()
    return save_checkpoint(
        Checkpoint(model, Preprocess(size=64, resize=64), ("a", "b"), {"seed": 1}, {}, PAIRS), path
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("red", "green", "blue"):
        (root / name).mkdir()
        colour = {"red": (200, 30, 30), "green": (20, 180, 40), "blue": (30, 40, 210)}[name]
        for number in range(3):
            noise = rng.integers(-30, 30, (70, 80, 3))
            picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / name / f"{number}.jpg")
    return root


def test_evaluate_prints_exactly_one_json_object(checkpoint, folder, capsys):
    assert main(["evaluate", str(checkpoint), str(folder), "--json", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    values = json.loads(out)
    assert out.count("\n") == 1
    wanted = {"recall@1", "recall@2", "recall@4", "recall@8", "map@r", "r_precision", "queries", "seconds"}
    assert wanted <= set(values)
    assert values["queries"] == 9
    assert all(0 <= values[key] <= 1 for key in wanted - {"queries", "seconds"})


def test_evaluate_for_people_shows_percentages(checkpoint, folder, capsys):
    assert main(["evaluate", str(checkpoint), str(folder), "--device", "cpu", "--nmi"]) == 0
    captured = capsys.readouterr()
    assert "recall@1" in captured.out
    assert "nmi" in captured.out
    assert "%" in captured.out
    assert "encoding" in captured.err


def test_compare_json_adds_up_and_maps_add_up_to_each_component(checkpoint, folder, capsys, tmp_path):
    maps = tmp_path / "deep" / "maps.npz"
    a, b = folder / "red" / "0.jpg", folder / "blue" / "1.jpg"
    arguments = ["compare", str(checkpoint), str(a), str(b), "--json", "--maps", str(maps), "--device", "cpu"]
    assert main(arguments) == 0
    values = json.loads(capsys.readouterr().out)
    assert set(values) == {"method", "distance", "components", "residual", "verdict", "words"}
    parts = sum(component["value"] for component in values["components"])
    assert parts + values["residual"] == pytest.approx(values["distance"], rel=1e-9)
    with np.load(maps, allow_pickle=False) as arrays:
        for component in values["components"]:
            total = arrays[f"{component['name']}/a"].sum() + arrays[f"{component['name']}/b"].sum()
            assert total == pytest.approx(component["value"], rel=1e-5, abs=1e-9)


def test_compare_for_people_shows_verdict_distance_and_levels(checkpoint, folder, capsys, tmp_path):
    a, b = folder / "red" / "0.jpg", folder / "red" / "0.jpg"
    assert (
        main(["compare", str(checkpoint), str(a), str(b), "--heatmaps", str(tmp_path), "--device", "cpu"])
        == 0
    )
    out = capsys.readouterr().out
    assert "distance  0.0000" in out
    assert "Identical" in out.splitlines()[0]
    drawn = sorted(path.name for path in tmp_path.glob("*.png"))
    assert "total_a.png" in drawn
    assert "level1_b.png" in drawn
    with Image.open(tmp_path / "total_a.png") as picture:
        assert picture.size == (448, 448)


def test_compare_says_in_words_what_the_figures_say(checkpoint, folder, capsys):
    arguments = ["compare", str(checkpoint), str(folder / "red" / "0.jpg"), str(folder / "blue" / "1.jpg")]
    assert main([*arguments, "--json", "--device", "cpu"]) == 0
    words = json.loads(capsys.readouterr().out)["words"]
    assert 2 <= len(words) <= 4
    assert main([*arguments, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.splitlines()[-len(words) :] == words


@pytest.mark.parametrize("side", ["a", "b"])
def test_compare_measures_a_pair_without_a_part(checkpoint, folder, capsys, side):
    arguments = ["compare", str(checkpoint), str(folder / "red" / "0.jpg"), str(folder / "blue" / "1.jpg")]
    arguments += [f"--without-{side}", "0.25,0.5,0.5,0.25", "--fill", "grey", "--device", "cpu"]
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    without = values["without"]
    assert without["side"] == side
    assert without["covered"] == pytest.approx(0.125)
    assert without["distance"] == pytest.approx(values["distance"], abs=1e-5)
    assert without["painted"] != without["distance"]
    assert without["predicted"] != without["distance"]
    assert main(arguments) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(
        f"With 12% of picture {side} painted over the distance is {without['painted']:.4f}"
    )


def test_info_describes_a_checkpoint(checkpoint, capsys):
    assert main(["info", str(checkpoint), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["method"] == "avsl"
    assert values["record"] == {"seed": 1}
    assert values["typical_distance"]["same_kind"] == 0.5
    assert main(["info", str(checkpoint)]) == 0
    assert "method: avsl" in capsys.readouterr().out


def test_info_without_checkpoint_lists_the_shipped(capsys):
    assert main(["info", "--json"]) == 0
    assert "shipped" in json.loads(capsys.readouterr().out)


def test_train_then_evaluate_from_the_command_line(tmp_path, folder, capsys):
    out = tmp_path / "mine.safetensors"
    options = {
        "backbone": "mobilenetv3_small_050",
        "levels": "1,2,4",
        "weights": "none",
        "nodes": "8",
        "epochs": "2",
        "batch_size": "3",
        "workers": "0",
        "preprocess.size": "32",
        "preprocess.resize": "32",
    }
    arguments = ["train", "--recipe", "cpu", "--data", str(folder), "--out", str(out), "--split", "1,0,0"]
    for key, value in options.items():
        arguments += ["--set", f"{key}={value}"]
    assert main([*arguments, "--quiet", "--device", "cpu"]) == 0
    assert f"{out}: the model of epoch 2" in capsys.readouterr().out
    assert main(["evaluate", str(out), str(folder), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"] == 9


def test_training_leaves_a_split_file_whose_test_part_can_be_evaluated(tmp_path, capsys):
    root = draw_folders(tmp_path / "data", 6)
    out = tmp_path / "mine.safetensors"
    arguments = [
        "train",
        "--recipe",
        "cpu",
        "--data",
        str(root),
        "--out",
        str(out),
        "--split",
        "0.34,0.33,0.33",
    ]
    for option in ("backbone=mobilenetv3_small_050", "levels=1,2,4", "weights=none", "nodes=8", "epochs=1"):
        arguments += ["--set", option]
    for option in ("batch_size=2", "workers=0", "preprocess.size=32", "preprocess.resize=32"):
        arguments += ["--set", option]
    assert main([*arguments, "--quiet", "--device", "cpu"]) == 0
    capsys.readouterr()
    split = tmp_path / "mine.run" / "split.json"
    for extra, queries in (([], 6), (["--part", "train"], 6)):
        assert main(["evaluate", str(out), str(split), "--json", "--device", "cpu", *extra]) == 0
        assert json.loads(capsys.readouterr().out)["queries"] == queries
    held_out = json.loads(split.read_text())["test"]
    assert set(held_out).isdisjoint(load_checkpoint(out).class_names)
    assert main(["evaluate", str(out), str(split), "--part", "gallery", "--device", "cpu"]) == 2
    assert "no part 'gallery'; it has train, val, test" in capsys.readouterr().err
    # Learning again from the split file keeps the division.
    arguments[arguments.index("--data") + 1] = str(split)
    arguments[arguments.index("--out") + 1] = str(tmp_path / "again.safetensors")
    assert main([*arguments, "--quiet", "--device", "cpu"]) == 0
    again = load_checkpoint(tmp_path / "again.safetensors")
    assert again.class_names == load_checkpoint(out).class_names
    assert again.record["dataset"] == "split"


def test_a_run_that_is_refused_leaves_the_split_file_as_it_was(tmp_path, capsys):
    root = draw_folders(tmp_path / "data", 6)
    arguments = ["train", "--recipe", "cpu", "--data", str(root), "--out", str(tmp_path / "mine.safetensors")]
    for option in ("backbone=mobilenetv3_small_050", "levels=1,2,4", "weights=none", "nodes=8", "epochs=1"):
        arguments += ["--set", option]
    for option in ("batch_size=2", "workers=0", "views=1", "preprocess.size=32", "preprocess.resize=32"):
        arguments += ["--set", option]
    arguments += ["--split", "0.34,0.33,0.33", "--quiet", "--device", "cpu"]
    assert main(arguments) == 0
    split = tmp_path / "mine.run" / "split.json"
    kept = split.read_bytes()
    for extra, message in (([], "holds a run already"), (["--resume"], "had another data set")):
        assert main([*arguments, "--split-seed", "5", *extra]) == 2
        assert message in capsys.readouterr().err
        assert split.read_bytes() == kept


def test_in_shop_queries_are_ranked_against_its_gallery(tmp_path, checkpoint, capsys):
    pictures = sorted(draw_folders(tmp_path / "img", 3).rglob("*.jpg"))
    parts = ["train", "query", "gallery"]
    items = {"train": "id_100", "query": "id_200", "gallery": "id_200"}
    lines = [
        f"{p.relative_to(tmp_path)} {items[parts[i % 3]]} {parts[i % 3]}" for i, p in enumerate(pictures)
    ]
    (tmp_path / "list_eval_partition.txt").write_text(
        f"{len(lines)}\nimage_name item_id evaluation_status\n" + "\n".join(lines) + "\n"
    )
    split = DATASETS["inshop"](tmp_path, LoadOptions(check_counts=False, val_fraction=0.0))
    assert (len(split.query), len(split.gallery)) == (3, 3)
    model = load_checkpoint(checkpoint).model
    encodings = [
        encode_pictures(model, Preprocess(size=64, resize=64), p.paths) for p in (split.query, split.gallery)
    ]
    metrics = evaluate_queries(model, encodings[0], split.query.labels, encodings[1], split.gallery.labels)
    assert metrics.recall[1] == 1.0
    # The command itself insists on the published numbers.
    assert main(["evaluate", str(checkpoint), str(tmp_path), "--dataset", "inshop", "--device", "cpu"]) == 2
    assert "25,882" in capsys.readouterr().err


def draw_folders(root, classes):
    rng = np.random.default_rng(1)
    for label in range(classes):
        folder = root / str(label)
        folder.mkdir(parents=True)
        for number in range(3):
            picture = np.clip(rng.normal(40 * label, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{number}.jpg")
    return root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nowhere", "a.jpg", "b.jpg"], "nowhere: no such checkpoint"),
        (["compare", "CHECKPOINT", "missing.jpg", "missing.jpg"], "missing.jpg"),
        (["evaluate", "CHECKPOINT", "no-such-folder"], "no-such-folder"),
        (["info", "FOLDER"], "no such checkpoint"),
        (["train", "--recipe", "none", "--data", "x", "--out", "y"], "unknown recipe"),
        (["train", "--recipe", "cpu", "--data", "x", "--out", "y", "--set", "lr=1"], "unknown option 'lr'"),
        (["train", "--recipe", "cpu", "--data", "x", "--out", "y", "--dataset", "birds"], "birds"),
        (["train", "--recipe", "cpu", "--data", "FOLDER", "--out", "y", "--split", "a,b"], "three shares"),
        (["compare", "CHECKPOINT", "PICTURE", "PICTURE", "--device", "tpu9"], "tpu9"),
        (["compare", "CHECKPOINT", "PICTURE", "PICTURE", "--without-a", "0,0,1"], "give four numbers"),
        (["compare", "CHECKPOINT", "PICTURE", "PICTURE", "--without-b", "0,0,2,nan"], "as fractions of 1"),
        (["compare", "CHECKPOINT", "PICTURE", "PICTURE", "--without-b", "0,0,1,1"], "the whole picture"),
        (["info", "x" * 300], "no such checkpoint"),
        (["evaluate", "CHECKPOINT", "FOLDER", "--batch-size", "0"], "--batch-size"),
        (["train", "--recipe", "cpu", "--data", "FOLDER", "--out", "."], "is a folder"),
        (["train", "--recipe", "cpu", "--data", "FOLDER", "--out", "FOLDER"], "is a folder"),
        (["train", "--recipe", "cpu", "--data", "FOLDER", "--out", "my.run"], "end it in .safetensors"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_two(checkpoint, folder, capsys, arguments, message):
    stands_for = {"CHECKPOINT": checkpoint, "FOLDER": folder, "PICTURE": folder / "red" / "0.jpg"}
    assert main([str(stands_for.get(a, a)) for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_unknown_commands_and_options_are_one_line_and_status_two(capsys):
    for arguments in ([], ["frobnicate"], ["compare", "--frobnicate"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["compare"], ["info"]])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 300


def test_heatmaps_into_a_file_are_a_users_mistake(checkpoint, folder, capsys, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    picture = str(folder / "red" / "0.jpg")
    assert (
        main(["compare", str(checkpoint), picture, picture, "--heatmaps", str(taken), "--device", "cpu"]) == 2
    )
    assert str(Path(taken)) in capsys.readouterr().err


def test_names_that_the_terminal_cannot_show_are_escaped(checkpoint, folder, tmp_path):
    picture = str(folder / "red" / "0.jpg")
    arguments = ["compare", str(checkpoint), picture, picture, "--device", "cpu", "--heatmaps"]
    done = subprocess.run(
        [sys.executable, ROOT / "train_cli.py", *arguments, tmp_path / "h\u00e9"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert r"h\xe9" in done.stdout
