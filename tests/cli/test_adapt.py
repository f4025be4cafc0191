"""``adapt`` and what follows from it on the command line: learn, compare, index, search, extract."""

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import load_checkpoint
from avsl_core.cli.main import main
from avsl_core.data import split_pairs

ROOT = Path(__file__).resolve().parents[2]
TRUNK = ["--backbone", "mobilenetv3_small_050", "--weights", "none", "--device", "cpu"]
QUICK = ["--levels", "2,4", "--width", "16", "--steps", "20", "--runs", "2", "--pca", "0"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for number in range(12):
        figure = np.kron(rng.integers(0, 2, (4, 4)), np.ones((16, 16)))[:, :, None]
        for side, colour in (("left", (200, 80, 60)), ("right", (60, 160, 200))):
            (root / side).mkdir(exist_ok=True)
            pixels = (figure * np.array(colour) + 30).astype(np.uint8)
            Image.fromarray(pixels).save(root / side / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def checkpoint(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "learned.safetensors"
    assert main(["adapt", str(pairs), "--out", str(out), *TRUNK, *QUICK]) == 0
    return out


def test_it_prints_exactly_one_json_object_and_progress_elsewhere(pairs, tmp_path, capsys):
    out = tmp_path / "a.safetensors"
    options = ["--split", "0.5", "--top-k", "1,2", "--seed", "5", "--pca", "4", "--no-mirrored", "--json"]
    assert main(["adapt", str(pairs), "--out", str(out), *TRUNK, *QUICK, *options]) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert set(values) == {"out", "pairs", "left_out", "runs", "summary", "seconds"}
    assert (values["pairs"], values["left_out"]) == (12, 0)
    assert [(run["seed"], run["train"], run["test"]) for run in values["runs"]] == [(5, 6, 6), (6, 6, 6)]
    for when in ("before", "after"):
        assert set(values["summary"][when]) == {"asymmetric_recall@1", "asymmetric_recall@2"}
        assert set(values["summary"][when]["asymmetric_recall@1"]) == {"mean", "deviation"}
    assert "adapting" in captured.err
    opened = load_checkpoint(out)
    assert (opened.model.config.pca, opened.model.config.backbone.levels) == (4, (2, 4))
    assert opened.record["mirrored"] is False


def test_for_people_it_says_before_and_after(pairs, checkpoint, capsys):
    assert main(["adapt", str(pairs), "--out", str(checkpoint), *TRUNK, *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("12 pairs")
    assert lines[1].split() == ["before", "after"]
    assert [line.split()[0] for line in lines[2:5]] == ["aR@1", "aR@3", "aR@5"]
    assert "2 runs, 3 held-out pairs each" in lines[5]
    assert lines[6].startswith(f"{checkpoint}: the model of the first run")


def test_features_are_kept_beside_the_checkpoint_and_not_extracted_twice(pairs, tmp_path, capsys):
    options = ["--backbone", "tf_efficientnet_lite0", "--levels", "1", "--device", "cpu", *QUICK[2:]]
    out = tmp_path / "lite.safetensors"
    assert main(["adapt", str(pairs), "--out", str(out), *options]) == 0
    assert "features" in capsys.readouterr().err
    assert (tmp_path / "lite.features.npz").is_file()
    first = out.read_bytes()
    assert main(["adapt", str(pairs), "--out", str(out), *options]) == 0
    assert "features" not in capsys.readouterr().err
    assert out.read_bytes() == first


def test_the_checkpoint_compares_with_a_bar_for_each_layer(pairs, checkpoint, capsys):
    a, b = pairs / "left" / "00.png", pairs / "right" / "00.png"
    assert main(["compare", str(checkpoint), str(a), str(b), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["method"] == "adaptation"
    assert [c["name"] for c in values["components"]] == ["layer1", "layer2"]
    assert sum(c["value"] for c in values["components"]) == pytest.approx(values["distance"])


def test_the_checkpoint_indexes_and_searches(pairs, checkpoint, tmp_path, capsys):
    gallery = tmp_path / "gallery"
    assert main(["index", str(checkpoint), str(pairs / "right"), str(gallery), "--device", "cpu"]) == 0
    capsys.readouterr()
    picture = pairs / "right" / "03.png"
    assert main(["search", str(gallery), str(picture), "--k", "3", "--json", "--device", "cpu"]) == 0
    neighbours = json.loads(capsys.readouterr().out)["neighbours"]
    assert Path(neighbours[0]["path"]).name == "03.png"
    assert neighbours[0]["distance"] == pytest.approx(0, abs=1e-6)


def test_tensorboard_gets_every_runs_loss(pairs, tmp_path):
    out = tmp_path / "a.safetensors"
    assert main(["adapt", str(pairs), "--out", str(out), *TRUNK, *QUICK, "--tensorboard"]) == 0
    folders = sorted(path.name for path in out.with_suffix(".tensorboard").iterdir())
    assert folders == ["run0", "run1"]
    assert all(any(out.with_suffix(".tensorboard").joinpath(name).iterdir()) for name in folders)


def test_an_interruption_ends_with_130_and_leaves_no_checkpoint(pairs, tmp_path):
    out = tmp_path / "a.safetensors"
    # Where the tests run as a background job, SIGINT is ignored, and children inherit that.
    listening = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.path.insert(0, {str(ROOT)!r}); from avsl_core.cli.main import main; raise SystemExit(main())"
    )
    command = [
        sys.executable,
        "-c",
        listening,
        "adapt",
        str(pairs),
        "--out",
        str(out),
        *TRUNK,
        "--pca",
        "0",
    ]
    with subprocess.Popen([*command, "--steps", "10000000"], stderr=subprocess.PIPE, text=True) as process:
        written = ""
        while "adapting" not in written:
            part = process.stderr.read(1)
            assert part, written  # else it has ended
            written += part
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=300)
    assert process.returncode == 130
    assert rest.endswith("interrupted\n")
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runs", "0"], "runs must be at least 1"),
        (["--split", "1"], "between 0 and 1"),
        (["--top-k", "1,x"], "--top-k 1,x"),
        (["--top-k", "0"], "at least 1"),
        (["--levels", "1,two"], "--levels 1,two"),
        (["--levels", "9"], "no feature levels"),
        (["--lr", "-1"], "lr must be positive"),
        (["--pca", "500"], "set a smaller pca"),
        (["--kind", "linear"], "invalid choice"),
        (["--backbone", "resnet5"], "unknown backbone"),
        (["--backbone", "resnet50", "--weights", "packaged"], "packaged weights exist for"),
        (["--batch-size", "0"], "--batch-size"),
        (["--kind", "peterson"], "--width means nothing to --kind peterson"),
        (["--kind", "dummy"], "--width means nothing to --kind dummy"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_two(pairs, tmp_path, capsys, options, message):
    out = tmp_path / "a.safetensors"
    try:
        status = main(["adapt", str(pairs), "--out", str(out), *TRUNK, *QUICK, *options])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("error: ")
    assert message in captured.err.splitlines()[-1]
    assert not out.exists()


@pytest.mark.parametrize("option", [("--steps", "9"), ("--lr", "0.1"), ("--tensorboard",)])
def test_what_learns_nothing_takes_no_options_for_learning(pairs, tmp_path, capsys, option):
    out = tmp_path / "a.safetensors"
    assert main(["adapt", str(pairs), "--out", str(out), *TRUNK, "--kind", "dummy", *option]) == 2
    assert f"{option[0]} means nothing to --kind dummy" in capsys.readouterr().err


def test_what_learns_nothing_shows_no_bar_of_steps(pairs, tmp_path, capsys):
    out = tmp_path / "a.safetensors"
    options = ["--levels", "2", "--kind", "dummy", "--pca", "3", "--runs", "1"]
    assert main(["adapt", str(pairs), "--out", str(out), *TRUNK, *options]) == 0
    assert "adapting" not in capsys.readouterr().err
    assert load_checkpoint(out).model.config.kind == "dummy"


def test_a_folder_without_pairs_is_refused(tmp_path, capsys):
    (tmp_path / "left").mkdir()
    assert main(["adapt", str(tmp_path), "--out", str(tmp_path / "a.safetensors")]) == 2
    assert "no folder right in it" in capsys.readouterr().err


class TestExtract:
    """``extract`` with a frozen network by name, and with what was learned."""

    @pytest.fixture
    def extracted(self, tmp_path, capsys):
        def run(*arguments):
            out = tmp_path / "features.npz"
            capsys.readouterr()
            assert main(["extract", *map(str, arguments), str(out), "--json", "--device", "cpu"]) == 0
            with np.load(out, allow_pickle=False) as file:
                return json.loads(capsys.readouterr().out), {name: file[name] for name in file.files}

        return run

    def test_a_backbones_stages_side_by_side(self, extracted, pairs):
        printed, arrays = extracted("--backbone", "mobilenetv3_small_050", "--weights", "none", pairs)
        assert printed["pictures"] == 24
        assert list(arrays["widths"]) == [16, 8, 16, 24, 288]
        assert arrays["vectors"].shape == (24, sum(arrays["widths"]))
        for part in np.split(arrays["vectors"], np.cumsum(arrays["widths"])[:-1], axis=1):
            np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, atol=1e-5)
        assert list(arrays["classes"]) == ["left", "right"]

    def test_mirrored_doubles_the_rows(self, extracted, pairs):
        _, arrays = extracted(
            "--backbone", "mobilenetv3_small_050", "--weights", "none", "--mirrored", "--levels", "3", pairs
        )
        assert arrays["vectors"].shape == (48, 24)
        assert arrays["mirrored"].sum() == 24

    def test_pca_of_the_training_pairs(self, extracted, pairs):
        _, arrays = extracted(
            *("--backbone", "mobilenetv3_small_050", "--weights", "none", "--processor", "pca"),
            *("--pca", 3, "--split", 0.5, pairs),
        )
        assert arrays["vectors"].shape == (24, 3)
        assert arrays["train"].sum() == 12
        np.testing.assert_allclose(arrays["vectors"][arrays["train"]].mean(axis=0), 0, atol=1e-5)

    def test_adapt_gives_the_vectors_that_the_checkpoint_form_gives(self, extracted, pairs, checkpoint):
        _, adapted = extracted("--adaptation", checkpoint, "--processor", "adapt", pairs / "left")
        _, plain = extracted(checkpoint, pairs / "left")
        np.testing.assert_allclose(adapted["vectors"], plain["vectors"], atol=1e-6)
        assert list(adapted["parts"]) == ["adapt"]

    @pytest.mark.parametrize("spoiled", [None, "05"])
    def test_the_training_part_is_the_adaptations_own(self, extracted, pairs, tmp_path, spoiled):
        """Also where a picture cannot be read or has no partner: only whole pairs are divided."""
        folder = shutil.copytree(pairs, tmp_path / "pairs")
        shutil.copy(pairs / "left" / "00.png", folder / "left" / "000 alone.png")
        if spoiled:
            (folder / "right" / f"{spoiled}.png").write_bytes(b"bad")
        out = tmp_path / "a.safetensors"
        options = ["--split", "0.5", "--seed", "3"]
        assert main(["adapt", str(folder), "--out", str(out), *TRUNK, *QUICK, *options]) == 0
        _, arrays = extracted("--adaptation", out, "--processor", "adapt", folder)
        names = [f"{number:02d}" for number in range(12) if f"{number:02d}" != spoiled]
        learned = {names[index] for index in split_pairs(names, 0.5, 3)[0]}
        assert load_checkpoint(out).record["runs"][0]["train"] == len(learned)
        assert {Path(path).stem for path in arrays["paths"][arrays["train"]]} == learned
        assert arrays["train"].sum() == 2 * len(learned)

    def test_options_may_stand_between_the_arguments_of_the_old_form(
        self, pairs, checkpoint, tmp_path, capsys
    ):
        out = tmp_path / "a.npz"
        arguments = ["extract", str(checkpoint), "--device", "cpu", str(pairs / "left"), "--json", str(out)]
        assert main(arguments) == 0
        assert json.loads(capsys.readouterr().out)["pictures"] == 12

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["CKPT", "FOLDER"], "give CHECKPOINT FOLDER OUT.npz"),
            (["CKPT", "FOLDER", "OUT", "--mirrored"], "--mirrored goes with --backbone"),
            (["CKPT", "FOLDER", "OUT", "--pca", "3"], "--pca goes with --backbone"),
            (["CKPT", "FOLDER", "OUT", "--split", "0.75"], "--split goes with --backbone"),
            (["CKPT", "FOLDER", "OUT", "--seed", "0"], "--seed goes with --backbone"),
            (["--backbone", "resnet18", "CKPT", "FOLDER", "OUT"], "no CHECKPOINT before them"),
            (["--backbone", "resnet18", "--pca", "3", "FOLDER", "OUT"], "--pca goes with --processor pca"),
            (["--backbone", "resnet18", "--processor", "adapt", "FOLDER", "OUT"], "needs --adaptation"),
            (["--adaptation", "CKPT", "FOLDER", "OUT"], "goes with --processor adapt"),
            (
                ["--adaptation", "CKPT", "--processor", "adapt", "--weights", "none", "FOLDER", "OUT"],
                "leave out --weights",
            ),
            (
                ["--adaptation", "CKPT", "--processor", "adapt", "--backbone", "resnet18", "FOLDER", "OUT"],
                "was learned on backbone mobilenetv3_small_050",
            ),
            (
                ["--adaptation", "CKPT", "--processor", "adapt-pca", "FOLDER", "OUT"],
                "use the processor adapt",
            ),
            (["--adaptation", "default", "--processor", "adapt", "FOLDER", "OUT"], "not an adaptation"),
            (
                ["--adaptation", "CKPT", "--processor", "adapt", "--split", "0.75", "FOLDER", "OUT"],
                "leave out --split",
            ),
            (
                ["--adaptation", "CKPT", "--processor", "adapt", "--seed", "0", "FOLDER", "OUT"],
                "leave out --seed",
            ),
            (["--backbone", "resnet18", "--split", "2", "FOLDER", "OUT"], "between 0 and 1"),
        ],
    )
    def test_a_users_mistake_is_one_line(self, pairs, checkpoint, tmp_path, capsys, arguments, message):
        names = {"CKPT": str(checkpoint), "FOLDER": str(pairs / "left"), "OUT": str(tmp_path / "a.npz")}
        assert main(["extract", *(names.get(one, one) for one in arguments), "--device", "cpu"]) == 2
        captured = capsys.readouterr()
        assert message in captured.err.splitlines()[-1]
        assert captured.err.splitlines()[-1].startswith("error: ")
        assert not (tmp_path / "a.npz").exists()

    def test_clip_without_open_clip_says_what_to_install(self, pairs, tmp_path, capsys):
        if importlib.util.find_spec("open_clip") is not None:
            name, message = "clip:RN7", "open_clip has no ResNet"
        else:
            name, message = "clip:RN50x4", "pip install open_clip_torch"
        out = str(tmp_path / "a.npz")
        assert main(["extract", "--backbone", name, str(pairs / "left"), out]) == 2
        assert message in capsys.readouterr().err
