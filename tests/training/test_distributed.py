"""Two real processes on the CPU against one."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avsl_core.checkpoint import load_checkpoint, read_tensors
from avsl_core.config import to_dict
from avsl_core.data import read_folder
from avsl_core.training import Trainer, start_process
from avsl_core.training.options import RamlOptions
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]

WORKER = """
import gc
gc.disable()
import json
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
torch.set_num_threads(1)
from avsl_core.config import from_dict
from avsl_core.data import read_folder
from avsl_core.training import TrainConfig, Trainer, start_process, stop_process
gc.freeze()  # what was imported is not searched through again, now and at the end
gc.enable()
process = start_process("cpu")
pictures = read_folder(sys.argv[2])
for name, values in json.loads(sys.argv[4]).items():
    config = from_dict(TrainConfig, values)
    Trainer(config, pictures, pictures, Path(sys.argv[3], name), process, progress=False).fit()
stop_process()
"""


OPTIONS = {
    "avsl": {},
    "embedding": {},
    "cgd": {
        "levels": (4,),
        "nodes": 12,
        "loss": "batch_hard_triplet",
        "samples_per_class": 2,
        "lr_trunk": 1e-5,  # AdamW turns rounding in tiny gradients into whole steps: small ones here
    },
    "raml": {
        "levels": (4,),
        "raml": RamlOptions(
            student_size=40,  # more than one cell: the exponent of a single one would learn from rounding
            student_backbone="mobilenetv3_small_050",
            student_weights="none",
            teacher_epochs=1,
            views=2,
        ),
    },
}


def configured(tiny, method, cached):
    return replace(
        tiny,
        method=method,
        epochs=2,
        warmup_epochs=1,
        cached=cached,
        stages="none" if cached else "all",
        **OPTIONS[method],
    )


@pytest.fixture(scope="module")
def by_two(tmp_path_factory, tiny, train_pictures):
    """by_two(method, cached): the checkpoint that a pair of processes left; one pair trains all of them."""
    folder = tmp_path_factory.mktemp("two")
    cases = {
        f"{method}-{cached}.safetensors": to_dict(configured(tiny, method, cached))
        for cached in (True, False)
        for method in OPTIONS
    }
    script = folder / "worker.py"
    script.write_text(WORKER)
    root = train_pictures.paths[0].parents[1]
    arguments = [sys.executable, str(script), str(ROOT), str(root), str(folder), json.dumps(cases)]
    shared = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    workers = [
        subprocess.Popen(
            arguments, env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    try:
        errors = [worker.communicate(timeout=480)[1].decode() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()

    def trained(method, cached):
        assert [worker.returncode for worker in workers] == [0, 0], errors
        return folder / f"{method}-{cached}.safetensors"

    return trained


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("cached", [True, False])
def test_two_processes_train_as_one(tmp_path, tiny, train_pictures, alone, by_two, method, cached):
    config = configured(tiny, method, cached)
    pictures = read_folder(train_pictures.paths[0].parents[1])
    Trainer(config, pictures, pictures, tmp_path / "one.safetensors", alone, progress=False).fit()
    two = by_two(method, cached)
    ours, metadata = read_tensors(two.with_suffix(".run") / "state.safetensors")
    theirs, expected = read_tensors(tmp_path / "one.run" / "state.safetensors")
    losses, alone_losses = (json.loads(m["avsl-training"])["losses"] for m in (metadata, expected))
    assert losses == pytest.approx(alone_losses, rel=1e-4)
    for name, tensor in theirs.items():
        if name.startswith("objective/"):
            torch.testing.assert_close(ours[name], tensor, rtol=2e-3, atol=2e-4, msg=name)
    assert load_checkpoint(two).record["epoch"] >= 1


def test_without_torchrun_the_process_is_alone(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    process = start_process("cpu")
    assert (process.rank, process.count, process.is_first) == (0, 1, True)
