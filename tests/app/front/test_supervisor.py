import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 300  # where nothing else runs, a start takes ten
# As `python -m app --workers 2` does, but quicker to find a worker stuck.
RUN = """
import logging, sys
from app.front.backends import HealthOptions
from app.settings import Settings
from app.front.supervisor import SupervisorOptions, run
logging.basicConfig()
options = SupervisorOptions(HealthOptions(interval_s=0.5, timeout_s=4.0), steady_s=0.5)
sys.exit(run(Settings.read(), options))
"""


class Site:
    """An app of two workers with a tiny model."""

    def __init__(self, checkpoint, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        flags = ["--checkpoint", str(checkpoint), "--port", str(self.port), "--workers", "2"]
        flags += ["--galleries", str(folder / "galleries"), "--kept", str(folder / "kept")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *flags], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr))
        self.reader.start()

    @property
    def workers(self):
        return [pid for pid in children(self.process.pid) if b"app.front.supervisor" in command(pid)]

    def health(self):
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", trust_env=False).json()
        return {"status": "not there"}

    def all_well(self):
        return self.health()["status"] == "ok"

    def client(self):
        return Client(self.url, verbose=False, httpx_kwargs={"timeout": PATIENCE_S, "trust_env": False})

    def worker_of(self, client):
        """The process that serves a client, found by the address that it listens on."""
        name = client.cookies["avsl_server"][:8]
        until(lambda: self.ports_of(name))  # what was logged is read a moment later
        return next(pid for pid in self.workers if listens(pid, self.ports_of(name)[-1]))

    def ports_of(self, name):
        """Where a worker has listened, one process after another."""
        told = re.findall(rf"backend {name} \(http://127.0.0.1:(\d+)\) is well", "".join(self.log))
        return [int(port) for port in told]

    def end(self):
        self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        self.reader.join(timeout=PATIENCE_S)
        self.process.stderr.close()


@contextmanager
def site_of(checkpoint, folder):
    site = Site(checkpoint, folder)
    try:
        yield site
    finally:
        site.end()


@pytest.fixture(scope="module")
def site(checkpoint_file, tmp_path_factory):
    with site_of(checkpoint_file, tmp_path_factory.mktemp("site")) as site:
        until(site.all_well)
        yield site


@pytest.fixture
def healed_site(site):
    """The site with all of its workers, whatever the test before did to them."""
    until(site.all_well)
    return site


@pytest.fixture
def pictures(tmp_path):
    """Makes pairs of pictures that nobody has sent before."""
    rng = np.random.default_rng()

    def make():
        pair = []
        for name in ("a", "b"):
            file = tmp_path / f"{name}-{rng.integers(10**9)}.png"
            Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(file)
            pair.append(file)
        return pair

    return make


def test_visitors_are_shared_out_and_each_keeps_a_worker(healed_site, pictures):
    clients = [healed_site.client() for _ in range(2)]
    assert {healed_site.worker_of(client) for client in clients} == set(healed_site.workers)
    pair = pictures()
    distances = [compare(client, pair) for client in clients for _ in range(2)]
    assert len(set(distances)) == 1


def test_after_a_worker_is_killed_its_visitor_goes_on_and_another_worker_comes(healed_site, pictures):
    client = healed_site.client()
    pair = pictures()
    before, workers = compare(client, pair), set(healed_site.workers)
    victim = healed_site.worker_of(client)
    os.kill(victim, signal.SIGKILL)
    until(lambda: any("was ended by SIGKILL" in line for line in healed_site.log))
    assert compare(client, pair) == before
    until(lambda: len(healed_site.workers) == 2 and victim not in healed_site.workers)
    until(healed_site.all_well)
    assert len(set(healed_site.workers) & workers) == 1
    assert compare(client, pictures()) > 0


def test_a_stuck_worker_is_replaced(healed_site, pictures):
    client = healed_site.client()
    victim = healed_site.worker_of(client)
    os.kill(victim, signal.SIGSTOP)
    until(lambda: victim not in healed_site.workers)
    assert compare(client, pictures()) > 0
    until(healed_site.all_well)
    assert any("did not answer 2 times in a row" in line for line in healed_site.log)


def test_a_program_is_answered_by_both_workers_alike(healed_site, pictures):
    one, two = (file.read_bytes() for file in pictures())
    answers = [
        httpx.post(
            f"{healed_site.url}/api/v1/compare",
            files={"a": ("a.png", io.BytesIO(one)), "b": ("b.png", io.BytesIO(two))},
            timeout=PATIENCE_S,
            trust_env=False,
        )
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_the_supervisor_ends_no_worker_stays(checkpoint_file, tmp_path, number):
    with site_of(checkpoint_file, tmp_path) as site:
        until(lambda: len(site.workers) == 2)
        workers = site.workers
        site.process.send_signal(number)
        status = site.process.wait(timeout=PATIENCE_S)
        assert status == (-signal.SIGKILL if number is signal.SIGKILL else 0)
        until(lambda: not any(b"app.front.supervisor" in command(pid) for pid in workers))


def test_a_mistake_of_the_caller_ends_all(tmp_path):
    with site_of(tmp_path / "missing.safetensors", tmp_path) as site:
        assert site.process.wait(timeout=PATIENCE_S) == 2
        site.reader.join(timeout=PATIENCE_S)
        assert any(line.startswith("error: ") and "missing.safetensors" in line for line in site.log)


def test_a_port_that_is_taken_is_told_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flags = ["--port", str(taken.getsockname()[1]), "--workers", "2"]
        ended = subprocess.run(
            [sys.executable, "-m", "app", *flags],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
    assert ended.returncode == 2
    assert "give another one with --port" in ended.stderr


def compare(client, pair):
    """The distance that a client is told."""
    a, b = (handle_file(str(file)) for file in pair)
    return client.predict(a, b, api_name="/compare")["distance"]


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def listens(pid, port):
    """Whether a process listens on a port of IPv4."""
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    sockets = {
        f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port
    }
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if str(link.readlink()) in sockets:
                return True
    return False


def until(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
