"""Gives memory that work has freed back to the system, now and then."""

import threading

from app.work.turnstile import Turnstile
from avsl_core.memory import return_freed_memory

__all__ = ["SpringClean"]


class SpringClean:
    """Once a minute, if there was work since: between two turns at the model if there is such a moment.

    Args:
        turnstile: Knows of the work.
        every_s: Seconds between two times.
        patience_s: Seconds to wait for a moment without work, before it is done beside the work.
    """

    def __init__(self, turnstile: Turnstile, every_s: float = 60.0, patience_s: float = 2.0) -> None:
        self._turnstile, self._every_s, self._patience_s = turnstile, every_s, patience_s
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="avsl-memory", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def _run(self) -> None:
        cleaned = self._turnstile.turns
        while not self._stopped.wait(self._every_s):
            turns = self._turnstile.turns
            if turns != cleaned:
                if self._turnstile.wait_until_idle(self._patience_s):
                    cleaned = turns  # else there is more to give back when the work is over
                return_freed_memory()
