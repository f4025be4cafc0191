"""What ``compare`` writes to be taken away."""

import json

import numpy as np
import pytest
from PIL import Image

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.explain.record import read_record
from avsl_core.images import Preprocess


@pytest.fixture(scope="module")
def arguments(avsl, tmp_path_factory):
    """compare, a tiny checkpoint and two pictures."""
    folder = tmp_path_factory.mktemp("compare")
    save_checkpoint(Checkpoint(avsl, Preprocess(size=64, resize=64)), folder / "tiny.safetensors")
    rng = np.random.default_rng(2)
    for name in ("one.png", "two.png"):
        Image.fromarray(rng.integers(0, 256, (80, 90, 3), dtype=np.uint8)).save(folder / name)
    return ["compare", *(str(folder / name) for name in ("tiny.safetensors", "one.png", "two.png"))]


def test_report_picture_and_record_tell_of_one_distance(arguments, tmp_path, capsys):
    places = {kind: tmp_path / "new" / f"F.{kind}" for kind in ("html", "png", "json")}
    options = ["--report", places["html"], "--sheet", places["png"], "--record", places["json"]]
    assert main([*arguments, "--json", "--device", "cpu", *map(str, options)]) == 0
    printed = json.loads(capsys.readouterr().out)
    record = read_record(places["json"].read_text())
    assert record["distance"] == printed["distance"]
    assert record["pictures"] == {"a": "one.png", "b": "two.png", "seen": [64, 64]}
    assert f"<strong>{printed['distance']:.3f}</strong>" in places["html"].read_text(encoding="utf-8")
    assert Image.open(places["png"]).size == (1920, 1080)


def test_what_was_written_is_said(arguments, tmp_path, capsys):
    assert main([*arguments, "--device", "cpu", "--record", str(tmp_path / "F.json")]) == 0
    assert f"wrote {tmp_path / 'F.json'}" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--report", "--sheet", "--record"])
def test_a_place_that_cannot_be_written_is_named(arguments, tmp_path, capsys, option):
    (tmp_path / "file").write_text("no folder")
    assert main([*arguments, "--device", "cpu", option, str(tmp_path / "file" / "F")]) == 2
    said = capsys.readouterr().err
    assert "could not be written" in said and "choose another place" in said
