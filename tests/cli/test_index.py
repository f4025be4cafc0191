"""``index`` as scripts and people use it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.gallery import Gallery
from avsl_core.images import Preprocess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, new_avsl):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return save_checkpoint(Checkpoint(new_avsl(), Preprocess(size=64, resize=64)), path)


@pytest.fixture
def folder(tmp_path):
    """Two classes of three pictures, one of them twice, and a file that is no picture."""
    rng = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / "pictures" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    shutil.copy(tmp_path / "pictures" / "class0" / "0.png", tmp_path / "pictures" / "class1" / "9.png")
    (tmp_path / "pictures" / "class1" / "text.jpg").write_text("no picture")
    return tmp_path / "pictures"


def run(*arguments):
    return main(["index", *map(str, arguments), "--device", "cpu", "--workers", "0"])


def test_json_is_one_object_and_the_rest_goes_to_standard_error(checkpoint, folder, tmp_path, capsys):
    assert run(checkpoint, folder, tmp_path / "gallery", "--json") == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert values.pop("seconds") > 0
    reason = values["skipped"][0].pop("reason")
    assert "not a picture" in reason
    assert values == {
        "pictures": 6,
        "added": 6,
        "unchanged": 0,
        "duplicates": [["class1/9.png", "class0/0.png"]],
        "skipped": [{"path": "class1/text.jpg"}],
        "removed": 0,
        "fast_recall": None,
        "gallery": str(tmp_path / "gallery"),
    }
    assert "same content: class1/9.png = class0/0.png" in captured.err
    assert f"skipped: class1/text.jpg: {reason}" in captured.err
    assert "pictures/s" in captured.err


def test_people_read_what_was_done(checkpoint, folder, tmp_path, capsys):
    run(checkpoint, folder, tmp_path / "gallery")
    capsys.readouterr()
    assert run(checkpoint, folder, tmp_path / "gallery") == 0
    out = capsys.readouterr().out
    assert f"{tmp_path / 'gallery'}: 6 pictures" in out
    assert "0 added, 7 unchanged, 0 removed" in out


def test_options_reach_the_build(checkpoint, folder, tmp_path):
    gallery = tmp_path / "gallery"
    options = ["--dtype", "fp16", "--map", "none", "--batch-size", "2", "--precision", "bf16"]
    assert run(checkpoint, folder, gallery, *options) == 0
    opened = Gallery.open(gallery)
    assert (opened.dtype, opened.coordinates) == ("fp16", None)
    (folder / "class0" / "2.png").unlink()
    assert run(checkpoint, folder, gallery, "--prune", "--map", "pca") == 0
    opened = Gallery.open(gallery)
    assert (opened.count, opened.coordinates.shape) == (5, (len(opened), 2))


def test_pictures_are_removed_by_name(checkpoint, folder, tmp_path, capsys):
    gallery = tmp_path / "gallery"
    run(checkpoint, folder, gallery)
    capsys.readouterr()
    assert run(checkpoint, folder, gallery, "--json", "--remove", "class0/2.png", "class1/3.png") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["removed"], values["pictures"], values["added"]) == (2, 4, 0)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--remove", "nobody.png"], "has no picture 'nobody.png'"),
        (["--dtype", "fp16"], "holds fp32 numbers, not fp16"),
        (["--batch-size", "0"], "--batch-size must be at least 1"),
        (["--max-archive-files", "0"], "max_archive_files is 0"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(checkpoint, folder, tmp_path, capsys, extra, message):
    run(checkpoint, folder, tmp_path / "gallery")
    capsys.readouterr()
    assert run(checkpoint, folder, tmp_path / "gallery", *extra) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]


def test_another_checkpoint_is_refused(checkpoint, folder, tmp_path, capsys, new_avsl):
    run(checkpoint, folder, tmp_path / "gallery")
    other = Checkpoint(new_avsl(seed=8), Preprocess(size=64, resize=64))
    other_file = save_checkpoint(other, tmp_path / "other.safetensors")
    assert run(other_file, folder, tmp_path / "gallery") == 2
    assert "was made by checkpoint 'tiny'" in capsys.readouterr().err


def test_an_interrupted_run_ends_with_130_and_the_same_command_continues(checkpoint, folder, tmp_path):
    rng = np.random.default_rng(1)
    for number in range(200):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"many{number}.bmp")
    # Where the tests run as a background job, SIGINT is ignored, and children inherit that.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from avsl_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "index",
        checkpoint,
        folder,
        tmp_path / "gallery",
        "--map",
        "none",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*map(str, command), "--device", "cpu", "--batch-size", "4"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        pending = tmp_path / "gallery" / "pending"
        while process.poll() is None and not (tmp_path / "gallery" / "thumbnails").exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err.decode()
    assert b"the same command goes on where it stopped" in err
    assert b"Traceback" not in err
    assert out == b""
    assert pending.is_dir()
    assert run(checkpoint, folder, tmp_path / "gallery", "--map", "none") == 0
    assert Gallery.open(tmp_path / "gallery").count == 206
