"""What ``info`` says of a model's size and cost."""

import json

import pytest

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.images import Preprocess


@pytest.fixture
def parts_of(tmp_path, capsys):
    """parts_of(model, size): what ``info --json`` says of its parts."""

    def run(model, size=64):
        path = save_checkpoint(
            Checkpoint(model, Preprocess(size=size, resize=size)), tmp_path / "tiny.safetensors"
        )
        assert main(["info", str(path), "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        parts = values["parts"]
        assert sum(part["parameters"] for part in parts.values()) == values["parameters"]
        return parts

    return run


def test_heads_of_a_plain_embedding_are_counted_by_hand(parts_of, new_embedding):
    model = new_embedding(nodes=12)
    heads = parts_of(model)["heads"]
    assert heads["multiply_adds"] == sum(12 * channels for channels in model.trunk.channels)
    assert heads["parameters"] == sum(12 * channels + 12 for channels in model.trunk.channels)


def test_the_trunk_costs_four_times_as_much_at_twice_the_side(parts_of, new_embedding):
    small, large = (parts_of(new_embedding(), size)["trunk"] for size in (64, 128))
    assert large["parameters"] == small["parameters"]
    # All but the squeeze-and-excite layers, which see one cell whatever the side.
    assert large["multiply_adds"] == pytest.approx(4 * small["multiply_adds"], rel=0.05)


def test_the_published_cost_of_resnet50_comes_out(parts_of, new_embedding):
    model = new_embedding(trunk="resnet50", levels=(4,), nodes=0)
    assert parts_of(model, 224)["trunk"]["multiply_adds"] == pytest.approx(4.09e9, rel=0.01)


def test_without_down_sampling_the_last_stage_costs_more(parts_of, new_cgd):
    plain, fine = (parts_of(new_cgd(undownsampled=flag))["trunk"] for flag in (False, True))
    assert fine["parameters"] == plain["parameters"]
    assert fine["multiply_adds"] > plain["multiply_adds"]


def test_people_see_the_parts_too(tmp_path, new_cgd, capsys):
    path = save_checkpoint(Checkpoint(new_cgd(), Preprocess(size=64, resize=64)), tmp_path / "t.safetensors")
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "trunk:" in out
    assert "multiply_adds:" in out
