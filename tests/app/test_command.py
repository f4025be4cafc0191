import socket

import pytest

from app.__main__ import main


@pytest.fixture
def refused(capsys):
    """Run the command and return its one line of complaint."""

    def run(*arguments):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

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
