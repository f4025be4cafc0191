import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avsl_core.checkpoint import load_checkpoint, read_tensors, write_tensors
from avsl_core.errors import CheckpointError, ConfigError, DataError, TrainingError
from avsl_core.precision import is_bf16_fast
from avsl_core.training import Trainer, trainer
from avsl_core.training.config import TrainConfig
from avsl_core.training.sources import PictureSource

ROOT = Path(__file__).resolve().parents[2]


def run(config: TrainConfig, pictures, validation, out, process, *, resume=False):
    built = Trainer(config, pictures, validation, out, process, progress=False)
    return built, built.fit(resume=resume)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("method", ["avsl", "embedding"])
def test_training_lowers_the_loss(tmp_path, tiny, train_pictures, validation_pictures, alone, method, cached):
    config = replace(tiny, method=method, cached=cached, epochs=6, head_init="pca")
    _, result = run(config, train_pictures, validation_pictures, tmp_path / "m.safetensors", alone)
    assert len(result.losses) == 6
    assert result.losses[-1] < 0.9 * result.losses[0]


def test_the_checkpoint_carries_everything(tmp_path, tiny, train_pictures, validation_pictures, alone):
    _, result = run(tiny, train_pictures, validation_pictures, tmp_path / "m.safetensors", alone)
    loaded = load_checkpoint(result.checkpoint)
    assert loaded.class_names == train_pictures.class_names
    assert loaded.preprocess == tiny.preprocess
    assert loaded.record["recipe"]["seed"] == tiny.seed
    assert loaded.record["epoch"] == result.best_epoch
    assert loaded.metrics["validation"]["recall@1"] == result.validation["recall@1"]
    assert loaded.pairs is not None
    assert bool(loaded.model.linkage_initialized)


def test_the_best_epoch_by_validation_is_kept(tmp_path, tiny, train_pictures, validation_pictures, alone):
    out = tmp_path / "m.safetensors"
    _, result = run(replace(tiny, epochs=4), train_pictures, validation_pictures, out, alone)
    with (tmp_path / "m.run" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [(float(row["recall@1"]), float(row["map@r"])) for row in rows]
    assert len(rows) == 4
    assert scores.index(max(scores)) + 1 == result.best_epoch


def test_without_validation_the_last_epoch_is_kept(tmp_path, tiny, train_pictures, alone):
    _, result = run(tiny, train_pictures, None, tmp_path / "m.safetensors", alone)
    assert result.best_epoch == tiny.epochs
    assert load_checkpoint(result.checkpoint).pairs is None


@pytest.mark.parametrize("cached", [True, False])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(
    tmp_path, tiny, train_pictures, validation_pictures, alone, monkeypatch, cached
):
    config = replace(
        tiny, cached=cached, stages="none" if cached else "all", epochs=3, finetune_epochs=1, head_init="pca"
    )
    whole, expected = run(config, train_pictures, validation_pictures, tmp_path / "whole.safetensors", alone)
    cut = Trainer(
        config, train_pictures, validation_pictures, tmp_path / "cut.safetensors", alone, progress=False
    )
    steps = []
    original = Trainer._step

    def interrupted(self, *arguments):
        steps.append(1)
        if len(steps) == 8:  # in the middle of the third epoch of three steps
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cut.fit()
    monkeypatch.setattr(Trainer, "_step", original)
    resumed, result = run(
        config, train_pictures, validation_pictures, tmp_path / "cut.safetensors", alone, resume=True
    )
    assert result.losses == expected.losses
    ours, theirs = resumed.objective.state_dict(), whole.objective.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_ctrl_c_loses_at_most_the_running_epoch(tmp_path, tiny, train_pictures):
    """A real process, a real signal."""
    code = (
        "import signal, sys; sys.path.insert(0, sys.argv[1])\n"
        # Where the tests run as a background job, SIGINT is ignored, and children inherit that.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from avsl_core.cli.main import main\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    out = tmp_path / "m.safetensors"
    arguments = [
        *("train", "--recipe", "cpu", "--data", str(train_pictures.paths[0].parents[1])),
        *("--out", str(out), "--split", "0.5,0.5,0", "--device", "cpu"),
    ]
    options = {
        "backbone": "mobilenetv3_small_050",
        "levels": "1,2,4",
        "weights": "none",
        "nodes": 8,
        "epochs": 4000,
        "batch_size": 4,
        "workers": 0,
        "preprocess.size": 32,
        "preprocess.resize": 32,
    }
    for key, value in options.items():
        arguments += ["--set", f"{key}={value}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(ROOT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    log = tmp_path / "m.run" / "log.csv"
    deadline = time.monotonic() + 300
    while not (log.exists() and len(log.read_text().splitlines()) > 3):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline, "no epoch was finished"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors.decode()
    assert "Traceback" not in errors.decode()
    finished = len(log.read_text().splitlines()) - 1
    from avsl_core.checkpoint import read_tensors

    _, metadata = read_tensors(tmp_path / "m.run" / "state.safetensors")
    import json

    done = json.loads(metadata["avsl-training"])["done"]
    assert done - finished in (0, 1)
    assert load_checkpoint(out).record["epoch"] <= done


def test_a_single_validation_class_is_refused_at_the_start(tmp_path, tiny, train_pictures, alone):
    with pytest.raises(DataError, match="validation part has 1 class"):
        Trainer(
            tiny, train_pictures, train_pictures.subset_of_classes([0]), tmp_path / "m.safetensors", alone
        )


def test_batches_that_cannot_be_formed_are_refused_at_the_start(tmp_path, tiny, train_pictures, alone):
    with pytest.raises(TrainingError, match="do not fill one batch of 64"):
        Trainer(replace(tiny, batch_size=64), train_pictures, None, tmp_path / "m.safetensors", alone)


def test_validation_pictures_without_their_like_are_refused_at_the_start(
    tmp_path, tiny, train_pictures, validation_pictures, alone
):
    singles = validation_pictures.subset([0, 4, 8])
    with pytest.raises(DataError, match="no validation class has two pictures"):
        Trainer(tiny, train_pictures, singles, tmp_path / "m.safetensors", alone)


def test_an_existing_run_is_not_overwritten(tmp_path, tiny, train_pictures, alone):
    out = tmp_path / "m.safetensors"
    run(tiny, train_pictures, None, out, alone)
    with pytest.raises(TrainingError, match="--resume"):
        run(tiny, train_pictures, None, out, alone)


def test_resuming_with_another_recipe_names_the_difference(tmp_path, tiny, train_pictures, alone):
    out = tmp_path / "m.safetensors"
    run(tiny, train_pictures, None, out, alone)
    with pytest.raises(TrainingError, match=r"another recipe \(lr_heads was 0.01\)"):
        run(replace(tiny, lr_heads=0.5), train_pictures, None, out, alone, resume=True)


def test_a_damaged_state_is_an_error(tmp_path, tiny, train_pictures, alone):
    out = tmp_path / "m.safetensors"
    run(tiny, train_pictures, None, out, alone)
    state = tmp_path / "m.run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        run(tiny, train_pictures, None, out, alone, resume=True)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, tiny, train_pictures, alone):
    built = Trainer(tiny, train_pictures, None, tmp_path / "m.safetensors", alone, progress=False)
    with torch.no_grad():
        built.objective.proxies[0].fill_(float("nan"))
    with pytest.raises(TrainingError, match="no longer finite"):
        built.fit()


def test_half_precision_needs_a_gpu(tmp_path, tiny, train_pictures, alone):
    with pytest.raises(ConfigError, match="amp=fp16 needs a GPU"):
        Trainer(replace(tiny, amp="fp16"), train_pictures, None, tmp_path / "m.safetensors", alone)


def test_accumulation_gives_the_gradient_of_the_parts_mean(tmp_path, uncached, train_pictures, alone):
    config = replace(uncached, method="embedding", accumulation=2, clip=0.0)
    built = Trainer(config, train_pictures, None, tmp_path / "m.safetensors", alone, progress=False)
    halves = list(itertools.islice(PictureSource(train_pictures, config, alone).batches(0), 2))
    built.model.trunk.set_trainable("all")
    built.objective.train()
    parameters = list(built.objective.parameters())
    loss = sum(built.objective(half.inputs, half.labels)["total"] for half in halves) / 2
    expected = torch.autograd.grad(loss, parameters)
    values = built._step(built.objective, halves, 0.0)
    assert values["total"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert {len(half.labels) for half in halves} == {config.batch_size // 2}
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stages", "moved"), [("none", 0), ("last", 1), ("all", 2)])
def test_only_the_chosen_stages_learn(tmp_path, uncached, train_pictures, alone, stages, moved):
    config = replace(uncached, stages=stages, epochs=1, weight_decay=0.0)
    built = Trainer(config, train_pictures, None, tmp_path / "m.safetensors", alone, progress=False)
    before = {name: p.detach().clone() for name, p in built.model.trunk.named_parameters()}
    built.fit()
    changed = {
        name for name, p in built.model.trunk.named_parameters() if not torch.equal(p.detach(), before[name])
    }
    last = {id(p) for p in built.model.trunk.last_stage()}
    in_last = {name for name, p in built.model.trunk.named_parameters() if id(p) in last}
    if moved == 0:
        assert not changed
    elif moved == 1:
        assert changed
        assert changed <= in_last
    else:
        assert changed - in_last


def test_gates_learn(tmp_path, tiny, train_pictures, alone):
    built, _ = run(tiny, train_pictures, None, tmp_path / "m.safetensors", alone)
    assert all((beta != 0).any() for beta in built.model.betas)
    assert all((alpha != 1).any() for alpha in built.model.alphas)


def test_the_state_is_replaced_whole(tmp_path, tiny, train_pictures, alone, monkeypatch):
    built = Trainer(tiny, train_pictures, None, tmp_path / "m.safetensors", alone, progress=False)
    saved = []
    original = trainer.save_state

    def fail_on_the_second(*arguments):
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt
        original(*arguments)

    monkeypatch.setattr(trainer, "save_state", fail_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        built.fit()
    monkeypatch.setattr(trainer, "save_state", original)
    _, result = run(tiny, train_pictures, None, tmp_path / "m.safetensors", alone, resume=True)
    assert len(result.losses) == tiny.epochs


class TestPrecision:
    """bf16 where this CPU is fast in it, else float32: both are right, as long as it is known which."""

    @pytest.fixture
    def reduced(self, tiny):
        return replace(tiny, amp="bf16", epochs=2)

    def test_the_record_holds_the_precision_that_was_used(self, tmp_path, reduced, train_pictures, alone):
        built, result = run(reduced, train_pictures, None, tmp_path / "m.safetensors", alone)
        used = "bf16" if is_bf16_fast() else "none"
        assert built.config.amp == used
        assert load_checkpoint(result.checkpoint).record["recipe"]["amp"] == used

    def test_maps_are_cached_under_the_precision_they_were_made_in(
        self, tmp_path, reduced, train_pictures, alone
    ):
        cache = tmp_path / "maps"
        plain = replace(reduced, amp="none")
        for name, config in (("reduced", reduced), ("plain", plain)):
            out = tmp_path / f"{name}.safetensors"
            Trainer(config, train_pictures, None, out, alone, cache_root=cache, progress=False).fit()
        assert len(list(cache.iterdir())) == (2 if is_bf16_fast() else 1)

    @pytest.mark.parametrize("began", ["none", "bf16"])
    def test_a_resumed_run_keeps_to_the_precision_it_began_in(
        self, tmp_path, reduced, train_pictures, alone, caplog, began
    ):
        out = tmp_path / "m.safetensors"
        first = Trainer(reduced, train_pictures, None, out, alone, progress=False)
        first._work_in(began)  # as a machine of the other kind would

        def stop(epoch, evaluation):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            first.fit(after_epoch=stop)
        # What that machine left behind:
        _, metadata = read_tensors(out.with_suffix(".run") / "state.safetensors")
        assert json.loads(metadata["avsl-training"])["precision"] == began
        caplog.clear()
        resumed, result = run(reduced, train_pictures, None, out, alone, resume=True)
        assert resumed.config.amp == resumed.objective.config.amp == resumed.maps.config.amp == began
        assert load_checkpoint(result.checkpoint).record["recipe"]["amp"] == began
        here = "bf16" if is_bf16_fast() else "none"
        assert any("goes on in it" in told.message for told in caplog.records) is (began != here)

    def test_a_run_of_before_its_precision_was_kept_goes_on_in_that_of_its_recipe(
        self, tmp_path, reduced, train_pictures, alone
    ):
        out = tmp_path / "m.safetensors"
        run(reduced, train_pictures, None, out, alone)
        state = out.with_suffix(".run") / "state.safetensors"
        tensors, metadata = read_tensors(state)
        progress = json.loads(metadata["avsl-training"])
        del progress["precision"]
        write_tensors(tensors, {"avsl-training": json.dumps(progress)}, state)
        resumed, _ = run(reduced, train_pictures, None, out, alone, resume=True)
        assert resumed.config.amp == "bf16"


def test_a_run_of_before_an_option_was_there_goes_on_with_its_default(tmp_path, tiny, train_pictures, alone):
    out = tmp_path / "m.safetensors"
    run(tiny, train_pictures, None, out, alone)
    state = out.with_suffix(".run") / "state.safetensors"
    tensors, metadata = read_tensors(state)
    progress = json.loads(metadata["avsl-training"])
    del progress["config"]["loss_options"]
    write_tensors(tensors, {"avsl-training": json.dumps(progress)}, state)
    _, result = run(tiny, train_pictures, None, out, alone, resume=True)
    assert len(result.losses) == tiny.epochs
