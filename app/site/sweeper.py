"""Deletes what visitors left: after some hours, or sooner where it is too much.

Gradio's own schedule forgets what a former process of the server left, and what an interrupted upload left.
"""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Sweeper", "SweeperOptions"]

log = logging.getLogger(__name__)

_PARTIAL = "tmp"  # uploads on their way
_UNFINISHED_S = 600.0  # an upload that has not grown for so long never will


@dataclass(frozen=True)
class SweeperOptions:
    """What goes, and when.

    Attributes:
        age_s: Files that were not written for so long go.
        most_bytes: Of all files together; beyond it the oldest go.
        every_s: How often it is looked.
    """

    age_s: float
    most_bytes: int
    every_s: float = 60.0


class Sweeper:
    """Keeps folders of short-lived files small.

    Args:
        folders: Gives what to keep small; folders may come and go.
        options: What goes, and when.
        spared: Gives files that stay whatever their age.
    """

    def __init__(
        self,
        folders: Callable[[], list[Path]],
        options: SweeperOptions,
        spared: Callable[[], set[str]] = set,
    ) -> None:
        self._folders, self._options, self._spared = folders, options, spared
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look every now and then until stopped."""
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def sweep(self) -> int:
        """Look once.

        Returns:
            Files deleted.
        """
        spared, now, folders = self._spared(), time.time(), self._folders()
        found: list[tuple[float, int, Path]] = []
        for folder in folders:
            for file, status in _files(folder):
                if str(file) not in spared:
                    partial = file.parent == folder and file.name.startswith(_PARTIAL)
                    unfinished = partial and now - status.st_mtime > _UNFINISHED_S
                    found.append((0.0 if unfinished else status.st_mtime, status.st_size, file))
        total, gone = sum(size for _, size, _ in found), 0
        for written, size, file in sorted(found):
            if now - written <= self._options.age_s and total <= self._options.most_bytes:
                break
            total -= size
            gone += _delete(file, keep=folders)
        return gone

    def _run(self) -> None:
        while not self._stop.wait(self._options.every_s):
            try:
                self.sweep()
            except Exception:  # the next look may fare better
                log.exception("old uploads could not be deleted")


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            with suppress(OSError):
                status = file.lstat()
                if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                    yield file, status


def _delete(file: Path, keep: list[Path]) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    if file.parent not in keep:
        with suppress(OSError):  # other files are in there
            file.parent.rmdir()
    return True
