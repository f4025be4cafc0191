"""A process that decodes pictures, as the app sees it: started, asked, timed, ended and replaced."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

import app
import avsl_core.images
from app.decoding import child
from app.decoding.child import ANSWER, PICTURE, READY, REFUSAL, REQUEST, Answer, Wanted, wish_of
from avsl_core.errors import ImageError
from avsl_core.images import ImageLimits

__all__ = ["Child", "command_of"]

log = logging.getLogger(__name__)

_START_SECONDS = 60.0
_PICTURES = 500  # after which a process is replaced: codecs may leak
_LONGEST_MESSAGE = 20_000
_PIPE = 1 << 20
# What its system needs to start a program; passwords and the like are none of its business.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class Child:
    """One process after another, and how to speak with it: for one thread at a time.

    Args:
        command: What starts one.
        limits: Of a picture, and so of what it may answer.
        seconds: The longest that a picture may take.
    """

    def __init__(self, command: list[str], limits: ImageLimits, seconds: float) -> None:
        self._command, self._limits, self._seconds = command, limits, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = self._is_over = False
        self._left = 0

    @property
    def pid(self) -> int:
        """The process that is there now; 0 if there is none."""
        process = self._process
        return 0 if process is None else process.pid

    def ask(self, data: bytes, label: str, wanted: Wanted) -> Answer:
        """Send a picture, wait for what is made of it; whatever happens, the next one is served.

        Args:
            data: The encoded picture.
            label: What messages call it.
            wanted: What to make of it.

        Raises:
            ImageError: If it cannot be read, takes too long, or breaks the process.
        """
        self._prepare(label)
        wish = wish_of(label, wanted)
        try:
            with self._killing_after(self._seconds) as late:
                try:
                    self._send(REQUEST.pack(len(wish), len(data)) + wish, data)
                    kind, head = self._head()
                    answer = self._answer(kind, head)
                except (OSError, EOFError, ValueError) as error:
                    raise self._lost(label, late=late.is_set()) from error
        except _Refusal as refusal:
            raise ImageError(str(refusal)) from None
        except BaseException:
            # What is still under way would be taken for the answer to the next picture.
            self.start_quietly()
            raise
        self._left -= 1
        if self._left <= 0:
            self.start_quietly()
        return answer

    def start_quietly(self) -> None:
        """Begin anew; a system that cannot right now is asked again with the next picture."""
        try:
            self._start()
        except OSError:
            log.exception("a process that decodes pictures could not be started")

    def end(self, *, for_good: bool = False) -> None:
        """Kill the process that is there."""
        self._is_over |= for_good
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        if not for_good:  # else another thread may be listening: it will hear that nobody is there
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    cast("IO[bytes]", stream).close()

    def _start(self) -> None:
        self.end()
        self._process, self._is_ready, self._left = None, False, _PICTURES
        if self._is_over:
            return
        known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**known, **_ONE_THREAD},
            cwd=Path(sys.executable).anchor,
            pipesize=_PIPE,
        )

    def _prepare(self, label: str) -> None:
        """See that a process is there and has started."""
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()  # it was ended from outside while it had nothing to do
            if not self._is_ready:
                with self._killing_after(_START_SECONDS):
                    kind, _ = self._head()
                self._is_ready = kind == READY
        except (OSError, EOFError, ValueError) as error:
            log.exception("a process that decodes pictures did not start")
            self.start_quietly()
            raise ImageError(f"{label}: could not be read on our side; try again in a moment") from error

    def _send(self, *parts: bytes) -> None:
        stream = self._stream("stdin")
        for part in parts:
            left = memoryview(part)
            while left:
                left = left[stream.write(left) :]

    def _head(self) -> tuple[int, tuple[int, int, int, int]]:
        kind, *numbers = ANSWER.unpack(self._receive(np.empty(ANSWER.size, np.uint8)).tobytes())
        rows, columns, width, height = numbers
        return kind, (rows, columns, width, height)

    def _answer(self, kind: int, head: tuple[int, int, int, int]) -> Answer:
        """What follows a head; it is not trusted to say how much that is."""
        rows, columns, width, height = head
        if kind == REFUSAL and rows <= _LONGEST_MESSAGE:
            raise _Refusal(json.loads(self._receive(np.empty(rows, np.uint8)).tobytes()))
        if kind == PICTURE and 0 < rows * columns <= self._limits.max_pixels:
            pixels = np.empty((rows, columns, 3), np.uint8)
            self._receive(pixels)
            return Answer(pixels, (width, height))
        raise ValueError("an answer that makes no sense")

    def _receive(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fill an array."""
        stream, left = self._stream("stdout"), array.data.cast("B")
        while left:
            count = stream.readinto(left)
            if not count:
                raise EOFError("the process has ended")
            left = left[count:]
        return array

    def _stream(self, name: str) -> Any:
        if self._process is None:
            raise EOFError("there is no process")
        return getattr(self._process, name)

    @contextmanager
    def _killing_after(self, seconds: float) -> Iterator[threading.Event]:
        late, process = threading.Event(), self._process

        def kill() -> None:
            late.set()
            if process is not None:
                process.kill()

        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()

    def _lost(self, label: str, *, late: bool) -> ImageError:
        if late:
            return ImageError(
                f"{label}: took too long to decode, more than {self._seconds:g} seconds; scale it down, or "
                "open it in a viewer and save it as JPEG or PNG"
            )
        log.warning("a picture ended the process that decoded it: %s", label)
        return ImageError(
            f"{label}: broke the program that decodes pictures: it is damaged, or needs too much memory; "
            "open it in a viewer and save it as JPEG or PNG"
        )


class _Refusal(Exception):  # noqa: N818 - it is an answer
    """The process is well, and says what is wrong with the picture."""


def command_of(limits: ImageLimits, seconds: float, memory: int) -> list[str]:
    """What starts such a process.

    Args:
        limits: Of a picture.
        seconds: The longest that one may take.
        memory: Bytes of address space.
    """
    packages = {"avsl_core": avsl_core, "avsl_core.images": avsl_core.images, "app": app}
    settings = {
        "path": [str(Path(entry).absolute()) for entry in sys.path],
        "packages": {name: str(Path(str(package.__file__)).parent) for name, package in packages.items()},
        "limits": asdict(limits),
        "seconds": seconds,
        "memory": memory,
    }
    # Without the site's start-up and the user's settings: they take time, and may run anything.
    return [sys.executable, "-I", "-S", str(Path(child.__file__).absolute()), json.dumps(settings)]
