"""Two real processes build what one builds, by way of the command line under torchrun's environment."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from avsl_core.checkpoint import load_checkpoint, save_checkpoint
from avsl_core.errors import GalleryError
from avsl_core.gallery import BuildCancelled, BuildOptions, Gallery, build_gallery
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import os
import sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
import avsl_core.cli.index as index
import avsl_core.gallery.build as build
from avsl_core.cli.main import main
from avsl_core.gallery import BuildOptions
from avsl_core.gallery.team import Team
from dataclasses import replace
_, _, file, source, ports, *galleries = sys.argv
chosen = index._build_options
index._build_options = lambda options: replace(chosen(options), chunk=4)
join = Team.__init__
def noted(team):
    join(team)
    patience = team._group._get_backend(torch.device("cpu")).options._timeout
    print(f"patience {patience.days} days", file=sys.stderr)
Team.__init__ = noted
for port, gallery in zip(ports.split(","), galleries):
    os.environ["MASTER_PORT"] = port  # a group of its own for each: an old one may still be closing
    build._MOST_SEGMENTS = 3 if gallery.endswith("few") else 256
    options = ["--device", "cpu", "--workers", "0", "--map", "pca", "--json"]
    status = main(["index", file, source, gallery, *options])
    print(f"status {status}", file=sys.stderr)
"""


@pytest.fixture
def two_ranks(tmp_path):
    """two_ranks(checkpoint file, source, galleries): standard output and error of both."""

    def run(file, source, galleries):
        script = tmp_path / "worker.py"
        script.write_text(WORKER)
        ports = ",".join(str(free_port()) for _ in galleries)
        shared = {
            **os.environ,
            "MASTER_ADDR": "127.0.0.1",
            "WORLD_SIZE": "2",
            "OMP_NUM_THREADS": "1",
        }
        workers = [
            subprocess.Popen(
                [sys.executable, str(script), str(ROOT), str(file), str(source), ports, *map(str, galleries)],
                env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        try:
            return [worker.communicate(timeout=480) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()

    return run


def test_two_processes_build_what_one_builds(tmp_path, pictures, draw, checkpoint, two_ranks, contents):
    shutil.copy(pictures / "class0" / "0.png", pictures / "class2" / "z again.png")  # another rank's chunk
    shutil.copy(pictures / "class0" / "0.png", pictures / "class0" / "1 again.png")  # the same chunk
    (pictures / "class1" / "text.jpg").write_text("no picture")
    file = save_checkpoint(checkpoint, tmp_path / "tiny.safetensors")
    options = BuildOptions(chunk=4, map="pca")
    report = build_gallery(load_checkpoint(file), pictures, tmp_path / "one", options=options)
    one = Gallery.open(tmp_path / "one")

    # A build of one process that stopped after a chunk: the ranks go on with it.
    told = []
    with pytest.raises(BuildCancelled):
        build_gallery(
            load_checkpoint(file),
            pictures,
            tmp_path / "resumed",
            options=options,
            progress=told.append,
            cancelled=lambda: told[-1].done >= 4,
        )
    first_chunk = next((tmp_path / "resumed" / "pending").iterdir()).name
    # A folder that no gallery can be made in, and one where only the second rank cannot write.
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thing").touch()
    (tmp_path / "broken" / "thumbnails").mkdir(parents=True)
    (tmp_path / "broken" / "lock").touch()
    folders = [one.item(row).digest[:2] for row in range(12)]
    (tmp_path / "broken" / "thumbnails" / next(f for f in folders[3:7] if f not in folders[:3])).touch()
    galleries = [tmp_path / name for name in ("two", "resumed", "few", "foreign", "broken")]
    (out, err), (quiet, other_err) = two_ranks(file, pictures, galleries)

    assert re.findall("status (.)", err) == re.findall("status (.)", other_err) == list("00022"), (
        err + other_err
    )
    assert quiet == ""
    assert re.findall("patience (.*) days", err) == ["30"] * 5  # one may work for hours while others wait
    assert "pictures/s" not in other_err
    printed = [json.loads(line) for line in out.splitlines()]
    for values, name in zip(printed, ("two", "resumed", "few"), strict=True):
        assert values["gallery"] == str(tmp_path / name)
        assert values["duplicates"] == [list(pair) for pair in report.duplicates]
        assert [(s["path"], s["reason"]) for s in values["skipped"]] == list(report.skipped)
        assert (values["added"], values["pictures"]) == (report.added, report.pictures) == (12, 12)
    assert (
        err.count("is not a gallery and not empty") == other_err.count("is not a gallery and not empty") == 1
    )
    assert "error: process 1 could not go on: " in err
    assert "could not be written" in other_err
    with pytest.raises(GalleryError, match="unfinished"):
        Gallery.open(tmp_path / "broken")

    for gallery in (Gallery.open(tmp_path / "two"), Gallery.open(tmp_path / "resumed")):
        assert [(name, *value[:3]) for name, value in contents(gallery).items()] == [
            (name, *value[:3]) for name, value in contents(one).items()
        ]
        expected, found = (dict(numbers(g)) for g in (one, gallery))
        assert all(np.allclose(found[name], expected[name], rtol=1e-4, atol=1e-5) for name in expected)
        assert len(gallery.manifest.segments) == 4
        assert not (gallery.path / "pending").exists()
    # Chunks are taken over as they are: a picture that both ranks encoded is marked, not copied away.
    assert len(Gallery.open(tmp_path / "two")) == 13
    assert first_chunk in {segment.id for segment in Gallery.open(tmp_path / "resumed").manifest.segments}

    # Where that would make too many segments, the first rank merges them.
    few = Gallery.open(tmp_path / "few")
    assert (len(few.manifest.segments), len(few), contents(few).keys()) == (1, 12, contents(one).keys())

    draw(pictures / "class3" / "late.png")
    build_gallery(load_checkpoint(file), pictures, tmp_path / "two", options=options)
    assert Gallery.open(tmp_path / "two").count == 13


def numbers(gallery):
    for row in range(len(gallery)):
        if gallery.live is None or gallery.live[row]:
            rows = gallery.read(row, row + 1)
            yield gallery.item(row).name, np.concatenate([rows.vectors.numpy()[0], rows.gates.numpy()[0]])


def test_shards_that_were_moved_before_a_crash_are_found_again(build, pictures, encodings):
    told = []
    with pytest.raises(BuildCancelled):
        build(pictures, progress=told.append, cancelled=lambda: told[-1].done >= 10)
    gallery = pictures.parent / "gallery"
    (gallery / "segments").mkdir(exist_ok=True)
    for chunk in list((gallery / "pending").iterdir()):
        chunk.rename(gallery / "segments" / chunk.name)  # as a commit under torchrun does first
    before = encodings()
    assert build(pictures)[1].count == 12
    assert encodings() - before == 2
