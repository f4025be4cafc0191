"""Ports for what tests serve, so that nobody else takes one between the choice and its use."""

import itertools
import os
import socket
import zlib

# Below those that systems hand out by themselves, as to the connections of other tests (Linux: from 32,768).
_FIRST, _COUNT, _WORKERS = 20_000, 12_000, 16
_run = zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())).encode())
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
# Every run begins elsewhere, and its workers take turns: none ever tries a port of another one.
_steps = itertools.count(_run % (_COUNT // _WORKERS))


def free_port():
    """A port that nobody listens on and that this process never chose before."""
    for step in itertools.islice(_steps, _COUNT // _WORKERS):
        port = _FIRST + (step * _WORKERS + _worker % _WORKERS) % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise OSError(f"no port from {_FIRST} on is free")
