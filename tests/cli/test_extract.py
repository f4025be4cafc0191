"""``extract``: arrays that any program can read."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from avsl_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.encoding import encode_pictures
from avsl_core.images import Preprocess
from avsl_core.models import Rows


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, new_avsl):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_checkpoint(Checkpoint(new_avsl(), Preprocess(size=64, resize=64)), path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for name in ("wren/1.png", "wren/2.png", "robin/10.png", "robin/9.png", "loose.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        small = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((80, 70), Image.Resampling.BICUBIC).save(root / name)
    return root


@pytest.fixture
def run(checkpoint, tmp_path, capsys):
    """run(folder, *options) -> what was printed, and the arrays."""

    def run(folder, *options):
        out = tmp_path / "deep" / "arrays.npz"
        arguments = ["extract", str(checkpoint), str(folder), str(out), "--json", "--device", "cpu", *options]
        assert main(arguments) == 0
        with np.load(out, allow_pickle=False) as file:
            return json.loads(capsys.readouterr().out), {name: file[name] for name in file.files}

    return run


def test_the_arrays_hold_what_the_model_says_of_each_picture(run, folder, checkpoint):
    printed, arrays = run(folder)
    assert list(arrays["paths"]) == ["loose.png", "robin/9.png", "robin/10.png", "wren/1.png", "wren/2.png"]
    opened = load_checkpoint(checkpoint)
    paths = [folder / name for name in arrays["paths"]]
    rows = opened.model.rows(encode_pictures(opened.model, opened.preprocess, paths, role="gallery"))
    np.testing.assert_allclose(arrays["vectors"], rows.vectors.numpy(), atol=1e-6)
    np.testing.assert_allclose(arrays["gates"], rows.gates.numpy(), atol=1e-6)
    assert {key: printed[key] for key in ("pictures", "dimensions", "skipped")} == {
        "pictures": 5,
        "dimensions": 36,
        "skipped": 0,
    }
    assert set(printed) == {"pictures", "dimensions", "skipped", "seconds", "out"}


def test_folders_are_classes_and_loose_pictures_have_none(run, folder):
    _, arrays = run(folder)
    assert list(arrays["classes"]) == ["robin", "wren"]
    assert list(arrays["labels"]) == [-1, 0, 0, 1, 1]


def test_the_levels_own_the_columns_that_the_widths_say(run, folder, checkpoint):
    _, arrays = run(folder)
    measure = load_checkpoint(checkpoint).model.measure()
    assert tuple(arrays["parts"]) == measure.parts
    assert tuple(arrays["widths"]) == measure.widths


def test_node_vectors_are_as_far_apart_as_pictures_of_mean_gates(run, folder, checkpoint):
    _, arrays = run(folder)
    measure = load_checkpoint(checkpoint).model.measure()
    mean = torch.from_numpy(arrays["gates"]).mean(dim=0)
    a, b = (Rows(torch.from_numpy(arrays["vectors"][i : i + 1]), mean[None]) for i in (0, 3))
    expected = measure.distances(a, b)
    given = np.square(arrays["node_vectors"][0] - arrays["node_vectors"][3]).sum()
    assert given == pytest.approx(float(expected), rel=1e-5)


def test_a_bad_picture_is_named_and_left_out(run, folder, caplog):
    (folder / "wren" / "1.png").write_bytes(b"not a picture")
    printed, arrays = run(folder, "--batch-size", "2")
    assert (printed["pictures"], printed["skipped"]) == (4, 1)
    assert "wren/1.png" not in arrays["paths"]
    assert len(arrays["vectors"]) == 4
    assert str(folder / "wren" / "1.png") in caplog.text


def test_worker_processes_give_the_same_arrays(run, folder):
    (folder / "robin" / "9.png").write_bytes(b"")
    _, alone = run(folder)
    _, together = run(folder, "--workers", "1", "--batch-size", "3")
    assert list(alone["paths"]) == list(together["paths"])
    np.testing.assert_allclose(alone["vectors"], together["vectors"], atol=1e-6)


def test_a_list_file_names_pictures_from_its_own_folder(run, folder):
    listed = folder / "list.txt"
    listed.write_text("wren/2.png\n\nloose.png\nmissing.png\n", encoding="utf-8")
    printed, arrays = run(listed)
    assert list(arrays["paths"]) == ["wren/2.png", "loose.png"]
    assert printed["skipped"] == 1
    assert list(arrays["labels"]) == [-1, -1]
    assert arrays["classes"].shape == (0,)


def test_nothing_is_left_behind_but_the_file(run, folder, tmp_path):
    run(folder)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["arrays.npz"]


def test_for_people_one_line_says_how_many(checkpoint, folder, tmp_path, capsys):
    out = tmp_path / "a.npz"
    assert main(["extract", str(checkpoint), str(folder), str(out), "--device", "cpu"]) == 0
    assert f"{out}: 5 pictures in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.update(folder="nowhere"), "no such folder"),
        (lambda a: a.update(out="arrays.npy"), "end its name in .npz"),
        (lambda a: a.update(size="0"), "--batch-size"),
        (lambda a: a.update(folder=a["picture"]), "neither a folder nor a text file"),
        (lambda a: a.update(folder=a["bad"]), "could be read"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_two(checkpoint, folder, tmp_path, capsys, change, message):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.jpg").write_bytes(b"\xff\xd8 cut short")
    given = {
        "folder": str(folder),
        "out": str(tmp_path / "a.npz"),
        "size": "2",
        "picture": str(folder / "loose.png"),
        "bad": str(tmp_path / "bad"),
    }
    change(given)
    arguments = ["extract", str(checkpoint), given["folder"], given["out"], "--batch-size", given["size"]]
    assert main([*arguments, "--device", "cpu"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]
    assert captured.err.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "a.npz").exists()
