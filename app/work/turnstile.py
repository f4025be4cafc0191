"""One bounded queue in front of the model, for everybody: pages, programs and tools alike.

Who comes when too many wait already, or has waited too long, is told so instead of waiting for nothing. A
thread cannot be ended from outside, so the time that a turn may take is kept in two ways: long work of
several steps asks between them (:func:`check_turn`) and gives up, and a turn that does not ask is reported as
stuck, so that whoever watches over the process can replace it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from avsl_core.errors import AvslError, ConfigError

__all__ = ["BusyError", "SlowError", "Turn", "Turnstile", "TurnstileState", "check_turn"]

_STUCK_AFTER = 2.0  # times the seconds that a turn may take

_turn: ContextVar["Turn | None"] = ContextVar("turn", default=None)


class BusyError(AvslError):
    """The model has too much to do for one more request.

    Attributes:
        retry_after: Seconds after which trying again makes sense.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SlowError(AvslError):
    """A piece of work took longer than it may."""


@dataclass(frozen=True)
class TurnstileState:
    """What the turnstile looks like at one moment.

    Attributes:
        working: Turns under way.
        waiting: Requests in front of it.
        stuck: Turns that take far longer than they may.
    """

    working: int
    waiting: int
    stuck: int


class Turn:
    """One request's turn at the model, or the time limit of several.

    Args:
        ends: When it has taken as long as it may, on `clock`.
        seconds: How long that is.
        clock: Tells the time, in seconds.
    """

    def __init__(self, ends: float, seconds: float, clock: Callable[[], float]) -> None:
        self.ends, self.seconds, self._clock = ends, seconds, clock

    @property
    def left(self) -> float:
        """Seconds left; below 0 when it is over."""
        return self.ends - self._clock()

    def check(self) -> None:
        """Between two steps of long work: go on only if there is time.

        Raises:
            SlowError: If the turn is over.
        """
        if self.left < 0:
            raise SlowError(
                f"The work took longer than {_words(self.seconds)} and was given up: try again with fewer or "
                "smaller pictures, or at a quieter time"
            )


class Turnstile:
    """Lets some requests to the model at once, in the order in which they came.

    Args:
        slots: Turns at once.
        waiting: Requests that may wait; a further one is refused.
        patience_s: How long one may wait.
        work_s: How long one turn may take.
        clock: Tells the time, in seconds.

    Raises:
        ConfigError: If a number makes no sense.

    Examples:
        >>> turnstile = Turnstile(slots=1)
        >>> with turnstile.turn() as turn:
        ...     turn.check()
        ...     turnstile.state.working
        1
    """

    def __init__(
        self,
        slots: int = 2,
        waiting: int = 64,
        patience_s: float = 30.0,
        work_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if slots < 1 or waiting < 0 or patience_s < 0 or work_s <= 0:
            raise ConfigError(
                f"turnstile of {slots} slots, {waiting} waiting, {patience_s} s of patience and {work_s} s "
                "of work: nobody would get through; give at least 1 slot and more than 0 seconds"
            )
        self.slots, self.waiting, self.patience_s, self.work_s = slots, waiting, patience_s, work_s
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._turns: set[Turn] = set()
        self._had = 0

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for a turn and have it; within a turn, have the same one on.

        Raises:
            BusyError: If too many wait already, or it took too long to come to it.
        """
        own = _turn.get()
        if own is not None and own in self._turns:  # a second one could wait for itself
            yield own
            return
        turn = self._enter()
        token = _turn.set(turn)
        try:
            yield turn
        finally:
            _turn.reset(token)
            with self._changed:
                self._turns.discard(turn)
                self._changed.notify_all()

    def deadline(self) -> Turn:
        """The time limit of work of many steps, each of which waits for a turn of its own.

        Examples:
            >>> limit = Turnstile(work_s=60).deadline()
            >>> for picture in range(50):
            ...     limit.check()
        """
        return Turn(self._clock() + self.work_s, self.work_s, self._clock)

    @property
    def state(self) -> TurnstileState:
        """How much is going on."""
        with self._changed:
            late = self._clock() - (_STUCK_AFTER - 1) * self.work_s
            stuck = sum(turn.ends < late for turn in self._turns)
            return TurnstileState(len(self._turns), len(self._queue), stuck)

    @property
    def turns(self) -> int:
        """How many turns have begun so far."""
        return self._had

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for a moment in which nobody has a turn.

        Args:
            seconds: The longest to wait.

        Returns:
            Whether it came.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._turns, timeout=seconds)

    def _enter(self) -> Turn:
        place = object()
        with self._changed:
            if self._queue_is_full():
                raise BusyError(
                    f"Too many people are comparing pictures right now ({len(self._queue)} wait already): "
                    "try again in a moment",
                    retry_after=self._retry_after(),
                )
            self._queue.append(place)
            try:
                came = self._changed.wait_for(lambda: self._is_next(place), timeout=self.patience_s)
            finally:
                self._queue.remove(place)
                self._changed.notify_all()
            if not came:
                raise BusyError(
                    f"Waited {_words(self.patience_s)} and it was still not your turn: try again in a moment",
                    retry_after=self._retry_after(),
                )
            turn = self.deadline()
            self._turns.add(turn)
            self._had += 1
            return turn

    def _queue_is_full(self) -> bool:
        free = self.slots - len(self._turns)
        return len(self._queue) >= self.waiting + max(0, free)

    def _is_next(self, place: object) -> bool:
        return len(self._turns) < self.slots and self._queue[0] is place

    def _retry_after(self) -> int:
        """Seconds: longer for a longer queue, at most a minute."""
        return max(1, min(60, len(self._queue) // self.slots))


def check_turn() -> None:
    """Between two steps of long work, wherever it is done: go on only if there is time.

    Outside any turn there is always time.

    Raises:
        SlowError: If the turn that this work is part of is over.
    """
    turn = _turn.get()
    if turn is not None:
        turn.check()


def _words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} seconds" if seconds != 1 else "1 second"
    return f"{seconds / 60:g} minutes"
