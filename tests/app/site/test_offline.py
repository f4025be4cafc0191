"""The app as it is served opens no connection to anything but this machine, and asks for no name."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]

# Runs before anything else in the process: notes, and refuses, whatever would leave this machine.
WATCH = """
import os, socket

def note(what):
    with open(os.environ["OFFLINE_NOTES"], "a", encoding="utf-8") as notes:
        notes.write(f"{os.getpid()} {what}\\n")

def local(address):
    host = address[0] if isinstance(address, tuple) else "unix"
    return host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "unix")

def watched(name):
    inner = getattr(socket.socket, name)
    def call(self, address, *rest):
        if not local(address):
            note(f"{name} {address}")
            raise OSError(101, "network is unreachable")
        return inner(self, address, *rest)
    setattr(socket.socket, name, call)

watched("connect")
watched("connect_ex")
sendto = socket.socket.sendto
def checked(self, data, *rest):
    if not local(rest[-1]):
        note(f"sendto {rest[-1]}")
        raise OSError(101, "network is unreachable")
    return sendto(self, data, *rest)
socket.socket.sendto = checked

for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    def lookup(host, *rest, inner=getattr(socket, name), name=name, **options):
        text = host.decode() if isinstance(host, bytes) else host
        if text not in (None, "", "127.0.0.1", "::1", "localhost", "0.0.0.0", "::"):
            note(f"{name} {text}")
            raise socket.gaierror(-2, "name or service not known")
        return inner(host, *rest, **options)
    setattr(socket, name, lookup)
note("watching")
"""


@pytest.fixture(scope="module")
def watched(checkpoint_file, tmp_path_factory):
    """The app, served with a watch over its connections; its address, and the notes of what was tried."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    notes = folder / "notes.txt"
    port = free_port()
    command = [sys.executable, "-m", "app", "--checkpoint", str(checkpoint_file), "--port", str(port)]
    command += ["--galleries", str(folder / "galleries"), "--kept", str(folder / "kept")]
    # Not even what usually keeps such packages quiet is set: the app sees to that itself.
    quiet = ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_OFFLINE")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OFFLINE_NOTES": str(notes)}
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline().startswith("http://127.0.0.1")
        yield f"http://127.0.0.1:{port}", notes
    finally:
        server.terminate()
        assert server.wait(timeout=120) == 0


def test_nothing_leaves_at_the_start_and_in_use(watched, files):
    address, notes = watched
    for page in ("", "explore", "lab", "learn"):
        with urllib.request.urlopen(f"{address}/{page}", timeout=120) as answer:
            assert b"gradio_config" in answer.read()
    client = Client(address, verbose=False)
    pictures = [handle_file(str(files[name])) for name in ("one.png", "scan.tif")]
    assert client.predict(*pictures, api_name="/compare")["distance"] >= 0
    event = {"fn_index": 0, "session_hash": "s", "data": []}
    event["data"] = [{"path": "http://elsewhere.example/a.png", "meta": {"_type": "gradio.FileData"}}]
    asked = urllib.request.Request(
        f"{address}/gradio_api/queue/join", json.dumps(event).encode(), {"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked, timeout=120)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/gradio_api/file=https://elsewhere.example/a.png", timeout=120)
    lines = notes.read_text(encoding="utf-8").splitlines()
    assert lines, "the watch was not there"
    assert [line for line in lines if not line.endswith(" watching")] == []


def test_the_watch_sees_what_leaves(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    notes = tmp_path / "notes.txt"
    program = (
        "import urllib.request, socket\n"
        "for call in (lambda: urllib.request.urlopen('http://elsewhere.example/'),\n"
        "             lambda: socket.create_connection(('192.0.2.1', 80), timeout=1)):\n"
        "    try: call()\n"
        "    except OSError: pass\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OFFLINE_NOTES": str(notes)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    text = notes.read_text(encoding="utf-8")
    assert "getaddrinfo elsewhere.example" in text
    assert "192.0.2.1" in text
