"""The command that draws birds, as scripts use it."""

import importlib
import json
import sys

import pytest

from avsl_core.cli.main import main
from avsl_core.data import read_folder, read_pairs


@pytest.fixture(scope="module")
def arguments():
    return ["--count", "4", "--seed", "1", "--size", "32", "--workers", "0"]


def test_it_prints_exactly_one_json_object_and_progress_elsewhere(tmp_path, arguments, capsys):
    out = tmp_path / "birds"
    assert main(["aviary", str(out), *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert set(values) == {"pictures", "species", "seconds", "per_second", "out"}
    assert (values["pictures"], values["species"], values["out"]) == (4, 2, str(out))
    assert values["per_second"] == pytest.approx(4 / values["seconds"])
    assert "drawing" in captured.err
    assert len(read_folder(out)) == 4


def test_for_people_it_says_what_it_drew_and_takes_a_run_up(tmp_path, arguments, capsys):
    options = ["--split", "test", "--species", "2", "--masks", str(tmp_path / "parts"), "--format", "png"]
    assert main(["aviary", str(tmp_path / "birds"), *arguments, *options]) == 0
    assert "4 pictures of 2 species" in capsys.readouterr().out
    assert len(list((tmp_path / "parts").rglob("*.png"))) == 4
    assert main(["aviary", str(tmp_path / "birds"), *arguments, *options]) == 0
    assert "0 drawn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--count", "-3"], "count of pictures"),
        (["--count", "three"], "invalid int value"),
        (["--size", "9"], "size must lie in"),
        (["--split", "dev"], "invalid choice"),
        (["--species", "99"], "species: 99"),
    ],
)
def test_a_mistake_ends_with_status_2_and_one_line(tmp_path, arguments, wrong, message, capsys):
    try:
        status = main(["aviary", str(tmp_path / "birds"), *arguments, *wrong])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_folder_of_other_files_is_refused(tmp_path, arguments, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["aviary", str(tmp_path), *arguments]) == 2
    assert "holds other files" in capsys.readouterr().err


@pytest.fixture
def no_skia(monkeypatch):
    """As on a machine where the drawing library cannot be loaded, nothing of ours imported yet."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "avsl_core"}
    for name in before:
        del sys.modules[name]
    monkeypatch.setitem(sys.modules, "skia", None)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "avsl_core"]:
        del sys.modules[name]
    sys.modules.update(before)


def test_without_the_drawing_library_only_this_command_fails(tmp_path, arguments, capsys, no_skia):
    command = importlib.import_module("avsl_core.cli.main").main
    assert command(["info", "--json"]) == 0
    capsys.readouterr()
    assert command(["aviary", str(tmp_path / "birds"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the aviary draws with skia")
    assert error.count("\n") == 1
    assert "libegl1" in error
    assert "libgl1" in error


class TestPairs:
    def test_it_draws_pairs_that_adapt_can_read(self, tmp_path, arguments, capsys):
        out = tmp_path / "pairs"
        assert main(["aviary", str(out), *arguments, "--pairs", "silhouette", "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert set(values) == {"pairs", "kind", "seconds", "per_second", "out"}
        assert (values["pairs"], values["kind"]) == (4, "silhouette")
        assert len(read_pairs(out)) == 4

    def test_for_people_it_says_what_it_drew(self, tmp_path, arguments, capsys):
        assert main(["aviary", str(tmp_path / "pairs"), *arguments, "--pairs", "sketch"]) == 0
        assert "4 pairs of a bird and its sketch" in capsys.readouterr().out

    @pytest.mark.parametrize("option", [["--species", "2"], ["--masks", "masks"]])
    def test_what_pairs_do_not_have_is_refused(self, tmp_path, arguments, option, capsys):
        assert main(["aviary", str(tmp_path / "p"), *arguments, "--pairs", "sketch", *option]) == 2
        assert f"{option[0]} does not go with --pairs" in capsys.readouterr().err
