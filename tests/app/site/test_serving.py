"""A site that is told to end does so, whatever its visitors have open."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.conftest import ROOT, wait_for
from tests.ports import free_port

SITE = Path(__file__).with_name("ending_site.py")
# Far more than it takes, and far less than the answer that is under way.
PATIENCE_S = 120


@pytest.fixture
def site():
    """The site's process and its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(SITE), str(port)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}", process)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def test_an_open_page_does_not_hold_it_up(site):
    process, port = site
    with ask(port, "/gradio_api/heartbeat/page") as stream:
        assert b"ALIVE" in read(stream, b"ALIVE")
        assert end(process) == (0, b"ended\n", b"")


def test_an_answer_under_way_is_finished(site):
    process, port = site
    with ask(port, "/short") as answer:
        is_under_way(port)
        ended = end(process)  # only then does the answer come to its end
        assert b"whole" in read(answer, b"whole")
    status, out, err = ended
    assert (status, out) == (0, b"ended\n")
    assert b"Traceback" not in err


def test_an_answer_without_end_is_given_up(site):
    process, port = site
    with ask(port, "/long"):
        is_under_way(port)
        status, out, _ = end(process)
    assert (status, out) == (0, b"ended\n")


def ask(port, path):
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    return connection


def is_under_way(port):
    """What was asked for first is being worked on once a later request has been answered."""
    with ask(port, "/healthz") as later:
        assert b"200" in read(later, b"alive")


def read(connection, until):
    received = b""
    while until not in received and (part := connection.recv(4096)):
        received += part
    return received


def end(process):
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, err
