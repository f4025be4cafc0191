"""``faithfulness`` as scripts use it."""

import json

import pytest

from avsl_core.checkpoint import Checkpoint, save_checkpoint
from avsl_core.cli.main import main
from avsl_core.faithfulness import EXPLAINERS
from avsl_core.images import Preprocess


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, new_avsl):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return str(save_checkpoint(Checkpoint(new_avsl(), Preprocess(size=64, resize=64)), path))


def run(checkpoint, *options):
    return main(["faithfulness", checkpoint, "--device", "cpu", *options])


def test_json_is_one_object_with_the_methods_as_keys(checkpoint, capsys):
    assert run(checkpoint, "--pairs", "1", "--seed", "3", "--perturbation-pairs", "1", "--json") == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert set(report) == set(EXPLAINERS)
    for values in report.values():
        assert {"pointing", "mass", "deletion", "insertion", "ms"} <= set(values)
    assert "pairs" in captured.err


def test_the_same_seed_gives_the_same_figures(checkpoint, capsys):
    figures = []
    for _ in range(2):
        assert run(checkpoint, "--pairs", "2", "--seed", "3", "--methods", "ledger,random", "--json") == 0
        report = json.loads(capsys.readouterr().out)
        figures.append({name: {k: v for k, v in one.items() if k != "ms"} for name, one in report.items()})
    assert figures[0] == figures[1]


def test_people_get_a_table_and_sentences(checkpoint, capsys):
    assert run(checkpoint, "--pairs", "2", "--methods", "ledger,centre", "--sanity", "--levels") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["method", "pointing", "pointing_15px"]
    assert [line.split()[0] for line in lines[1:3]] == ["ledger", "centre"]
    assert any("adds up to within" in line for line in lines)
    assert any("destroyed models: none 1.00" in line for line in lines)
    assert any(line.startswith("The level bars") for line in lines)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--methods", "ledger,leger"], "no such method: 'leger'"),
        (["--methods", ","], "no method to measure"),
        (["--pairs", "0"], "pairs must be at least 1"),
        (["--seed", "-1"], "seed must be 0 or more"),
        (["--perturbation-pairs", "99"], "perturbation_pairs"),
        (["--photos", "/nowhere/at/all"], "no such folder"),
    ],
)
def test_mistakes_end_with_two_and_one_line(checkpoint, capsys, options, says):
    assert run(checkpoint, "--pairs", "1", *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert says in captured.err


def test_a_missing_checkpoint_is_a_mistake(capsys):
    assert main(["faithfulness", "no-such-model", "--pairs", "1"]) == 2
    assert "no such checkpoint" in capsys.readouterr().err
