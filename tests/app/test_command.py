import socket

import pytest

from app.__main__ import main
from app.explore.shelf import default_folder


@pytest.fixture
def refused(capsys):
    """Run the command and return its one line of complaint."""

    def run(*arguments):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    return run


@pytest.fixture
def served(monkeypatch, checkpoint_file):
    """Run the command up to where it would serve; returns what it would serve with."""

    def run(*arguments):
        seen = {}
        monkeypatch.setattr("app.server.serve", lambda checkpoint, **options: seen.update(options))
        assert main(["--checkpoint", str(checkpoint_file), *arguments]) == 0
        return seen

    return run


def test_a_missing_checkpoint_is_one_line_and_status_2(refused):
    error = refused("--checkpoint", "nowhere.safetensors")
    assert error.startswith("error: nowhere.safetensors: no such checkpoint")


def test_the_checkpoint_can_come_from_the_environment(refused, monkeypatch):
    monkeypatch.setenv("AVSL_CHECKPOINT", "elsewhere.safetensors")
    assert refused().startswith("error: elsewhere.safetensors: no such checkpoint")


def test_a_device_that_is_not_there_is_one_line_and_status_2(refused, checkpoint_file):
    assert refused("--checkpoint", str(checkpoint_file), "--device", "gramophone").startswith("error: device")


def test_a_taken_port_is_one_line_and_status_2(refused, checkpoint_file):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = refused("--checkpoint", str(checkpoint_file), "--port", str(port))
    assert error.startswith(f"error: port {port}")


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ((), True),
        (("--host", "0.0.0.0"), False),
        (("--share",), False),
        (("--host", "0.0.0.0", "--allow-folders"), True),
        (("--no-allow-folders",), False),
    ],
)
def test_folders_of_this_machine_are_for_those_who_sit_at_it(served, tmp_path, arguments, allowed):
    options = served("--galleries", str(tmp_path), "--max-archive-mb", "5", *arguments)["galleries"]
    assert options.limits.allow_folders is allowed
    assert options.limits.max_archive_bytes == 5 * 2**20
    assert options.folder == tmp_path


def test_the_galleries_folder_can_come_from_the_environment(served, monkeypatch, tmp_path):
    monkeypatch.setenv("AVSL_GALLERIES", str(tmp_path / "there"))
    assert served()["galleries"].folder == tmp_path / "there"


def test_an_empty_galleries_folder_is_none(served, monkeypatch):
    monkeypatch.setenv("AVSL_GALLERIES", "")
    assert served()["galleries"].folder == default_folder()


@pytest.mark.parametrize(
    ("arguments", "public"), [((), False), (("--host", "0.0.0.0"), True), (("--share",), True)]
)
def test_the_page_knows_whether_others_can_open_it(served, arguments, public):
    assert served(*arguments)["galleries"].limits.public is public


@pytest.mark.parametrize("count", ["0", "x", "1.5", "²"])
def test_a_limit_of_nothing_is_refused(capsys, count):
    with pytest.raises(SystemExit) as ended:
        main(["--max-archive-files", count])
    assert ended.value.code == 2
    assert "at least 1" in capsys.readouterr().err
