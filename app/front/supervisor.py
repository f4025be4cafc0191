"""Several processes of the app behind one address: started, watched, and started again when one is lost.

Each worker is the whole app on a port of its own that this machine alone can reach; `app.front.proxy`
stands before them. The workers share, on disk, the uploads, the galleries and the kept pictures.
"""

import asyncio
import ctypes
import dataclasses
import hashlib
import ipaddress
import logging
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.front.__main__ import listen, serve_front, until_stopped
from app.front.backends import Backend, Backends, HealthOptions
from app.front.proxy import FrontOptions
from app.front.relay import RelayOptions
from app.quick_start import quick_imports
from app.site.leaving import leave

if TYPE_CHECKING:  # what it brings along takes long to import, and the one that watches needs none of it
    from app.settings import Settings

__all__ = ["SupervisorOptions", "next_wait", "run", "work"]

log = logging.getLogger(__name__)

_MISTAKE = 2  # the status with which the app ends after a mistake of the caller
_LOOK_S = 0.2
_FAREWELL_S = 5.0


@dataclass(frozen=True)
class SupervisorOptions:
    """When a worker is given up.

    Attributes:
        health: How the workers are asked whether they are well.
        start_s: Longest that a worker may take until it answers for the first time.
        unwell_s: Longest that a worker may say of itself that it is unwell.
        first_wait_s: Before a worker is started again that was not well for `steady_s`; doubled each time.
        longest_wait_s: To which that grows.
        steady_s: Whoever was well for so long is started again at once.
    """

    health: HealthOptions = dataclasses.field(default_factory=HealthOptions)
    start_s: float = 180.0
    unwell_s: float = 10.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    steady_s: float = 10.0


def run(settings: "Settings", options: SupervisorOptions | None = None) -> int:
    """Serve with `settings.workers` processes until SIGINT or SIGTERM.

    Args:
        settings: Of the whole: its host and port are the front's.
        options: When a worker is given up.

    Returns:
        Exit status: 0 after an interruption; 2 if a worker cannot start by a mistake of the caller, which it
        has told itself; 1 if no worker starts for another reason.

    Raises:
        OSError: If the port is taken.
    """
    logging.getLogger("app").setLevel(logging.INFO)
    door = listen(settings.host, settings.port)  # a port that is taken shows before anything is started
    with door, tempfile.TemporaryDirectory(prefix="avsl-workers-") as folder:
        uploads = settings.uploads or Path(folder) / "uploads"  # shared: a visitor may have to move
        shared = dataclasses.replace(settings, uploads=uploads)
        return asyncio.run(_run(shared, options or SupervisorOptions(), door, Path(folder)))


async def _run(settings: "Settings", options: SupervisorOptions, door: socket.socket, folder: Path) -> int:
    workers = [
        _Worker(number, settings, options, folder / f"worker-{number}") for number in range(settings.workers)
    ]
    backends = Backends([worker.backend for worker in workers], options.health)
    trusted = tuple(str(network) for network in settings.trusted_proxies)
    most = max(settings.max_upload_bytes, settings.max_archive_bytes) + 2**20  # and what is wrapped around it
    relay = RelayOptions(upload_bytes=most)
    front = FrontOptions(root_path=settings.root_path, trusted_proxies=trusted, relay=relay)
    with until_stopped() as stop:
        async with _kept(workers), backends.watched():
            status = await _until_ready(workers, options.start_s, stop)
            if status == 0 and not stop.is_set():
                await serve_front(backends, door, front, stop)
    return status


@asynccontextmanager
async def _kept(workers: "Sequence[_Worker]") -> AsyncIterator[None]:
    """Keep the workers running until the block ends, however it ends."""
    keepers = [asyncio.create_task(worker.keep()) for worker in workers]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in workers))


async def _until_ready(workers: "Sequence[_Worker]", patience_s: float, stop: asyncio.Event) -> int:
    """Wait for all workers; for one of them, if the others take too long.

    Returns:
        The status to end with; 0 if they are ready, or were told to stop before.
    """
    deadline = time.monotonic() + patience_s
    while not stop.is_set():
        if any(worker.mistaken for worker in workers):
            return _MISTAKE
        ready = sum(worker.was_well for worker in workers)
        if ready == len(workers) or (ready and time.monotonic() > deadline):
            return 0
        if time.monotonic() > deadline:
            log.error("no worker was ready within %g seconds of the start", patience_s)
            return 1
        await asyncio.sleep(_LOOK_S)
    return 0


class _Worker:
    """One process of the app, started again whenever it is lost.

    Args:
        number: Which one.
        settings: Of the whole.
        options: When it is given up.
        folder: For its temporary files, so that those of a killed one can be found and deleted.

    Attributes:
        backend: How the front knows it.
        was_well: Whether the present process has ever answered.
        mistaken: Whether the first process ended over a mistake of the caller.
    """

    def __init__(self, number: int, settings: "Settings", options: SupervisorOptions, folder: Path) -> None:
        # Its name outlasts its port, so that visitors come back to it after a restart of the whole.
        name = hashlib.sha256(f"worker {number}".encode()).hexdigest()[:8]
        self.backend = Backend("http://127.0.0.1:0", name)
        self.was_well = self.mistaken = False
        self._number, self._settings, self._options, self._folder = number, settings, options, folder
        self._process: subprocess.Popen[bytes] | None = None

    async def keep(self) -> None:
        """Run it for ever."""
        # At once after an accident; ever later if it cannot start, for instance with a broken model.
        wait_s, first = 0.0, True
        while True:
            process = self._start()
            reason, steady = await self._until_lost(process)
            self.backend.take_out(reason)
            self.mistaken = first and process.returncode == _MISTAKE
            first = False
            await _kill(process)
            wait_s = 0.0 if steady else next_wait(wait_s, self._options)
            log.warning("worker %d %s; starting it again in %g s", self._number, reason, wait_s)
            await asyncio.sleep(wait_s)

    async def stop(self) -> None:
        """Let it end by itself, for a moment; then end it."""
        process = self._process
        if process is None:
            return
        process.terminate()
        deadline = time.monotonic() + _FAREWELL_S
        while process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_S / 4)
        await _kill(process)

    def _start(self) -> "subprocess.Popen[bytes]":
        port = _free_port()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, mode=0o700)
        self.was_well = False
        self.backend.move(f"http://127.0.0.1:{port}")
        # A group of its own: Ctrl+C reaches the supervisor alone, and what the worker started ends with it.
        process = subprocess.Popen(
            [sys.executable, "-m", "app.front.supervisor"],
            stdin=subprocess.PIPE,
            env=_environment(self._settings.workers, self._folder),
            start_new_session=True,
        )
        assert process.stdin is not None
        # The pipe stays open as long as this process lives: its end tells the worker to go.
        with suppress(BrokenPipeError):  # it has ended already, as will show
            process.stdin.write(pickle.dumps((_of_worker(self._settings, port), os.getpid())))
            process.stdin.flush()
        self._process = process
        return process

    async def _until_lost(self, process: "subprocess.Popen[bytes]") -> tuple[str, bool]:
        """Wait until it is lost.

        Returns:
            Why, in words; and whether it had been well for a while.
        """
        began = time.monotonic()
        well_since = unwell_since = None
        backend, options = self.backend, self._options
        while True:
            await asyncio.sleep(_LOOK_S)
            now = time.monotonic()
            steady = well_since is not None and now - well_since >= options.steady_s
            if process.poll() is not None:
                return _how_it_ended(process.returncode), steady
            if backend.well:
                self.was_well, unwell_since = True, None
                well_since = well_since or now
            elif well_since is None:
                if now - began > options.start_s:
                    return f"did not answer within {options.start_s:g} seconds of its start", False
            elif not backend.answering:
                return backend.trouble, steady
            else:
                unwell_since = unwell_since or now
                if now - unwell_since > options.unwell_s:
                    return f"was unwell for {options.unwell_s:g} seconds ({backend.trouble})", steady


def next_wait(wait_s: float, options: SupervisorOptions) -> float:
    """Seconds until a worker that could not start is started again, after so many the last time.

    Examples:
        >>> next_wait(0.0, SupervisorOptions()), next_wait(4.0, SupervisorOptions())
        (1.0, 8.0)
    """
    return min(max(2 * wait_s, options.first_wait_s), options.longest_wait_s)


def work() -> int:
    """Be a worker: what to serve comes through the standard input, whose end is the end of this process too.

    Returns:
        Exit status, as `python -m app` has it.
    """
    with quick_imports():
        settings, supervisor = pickle.load(sys.stdin.buffer)
        _end_with(supervisor)
        from app.__main__ import serve_settings
        from avsl_core.memory import keep_freed_memory

    keep_freed_memory()
    status: int = serve_settings(settings)
    return status


def _end_with(supervisor: int) -> None:
    """Leave no orphan, even of a supervisor that was killed."""
    if sys.platform == "linux":
        # Also ends a process that is stopped, which no thread of its own can.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.name == "posix" and os.getppid() != supervisor:  # it was killed before the line above
        os._exit(1)

    def wait() -> None:
        os.read(0, 1)  # not through sys.stdin, whose lock would be held when this process ends by itself
        os._exit(1)

    threading.Thread(target=wait, name="supervisor", daemon=True).start()


def _of_worker(settings: "Settings", port: int) -> "Settings":
    """What the visitor meets stays as the front's address decides; the worker trusts the front alone."""
    return dataclasses.replace(
        settings,
        host="127.0.0.1",
        port=port,
        workers=1,
        trusted_proxies=(ipaddress.ip_network("127.0.0.1"),),
        requests_per_minute=settings.per_minute,
        allow_folders=settings.folders_allowed,
        allowed_hosts=settings.hosts or ("*",),
    )


def _environment(workers: int, folder: Path) -> dict[str, str]:
    """That of this process; the cores are shared out, because threads that outnumber them slow all down."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = str(max(1, _cores() // workers))
    return {"OMP_NUM_THREADS": threads} | os.environ | {"PYTHONPATH": path, "TMPDIR": str(folder)}


def _cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"


async def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it started, and wait until it has gone."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    while process.poll() is None:
        await asyncio.sleep(_LOOK_S / 4)
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


if __name__ == "__main__":
    leave(work())
