import threading
import time

import pytest

from app.work.models import Models
from app.work.turnstile import BusyError, SlowError, Turnstile, TurnstileState, check_turn
from app.work.workbench import PictureFile, Workbench
from avsl_core.errors import ConfigError

PATIENCE_S = 120


class Visitors:
    """Threads that take a turn and keep it until they are let go; in the order in which they got in."""

    def __init__(self, turnstile):
        self.turnstile, self.inside, self.refused = turnstile, [], []
        self._go, self._threads = {}, []

    def come(self, name):
        before, refused = self.turnstile.state, len(self.refused)
        self._go[name] = threading.Event()
        thread = threading.Thread(target=self._visit, args=(name,))
        thread.start()
        self._threads.append(thread)
        wait_until(lambda: self.turnstile.state != before or len(self.refused) > refused)

    def go(self, name):
        self._go[name].set()

    def end(self):
        for event in self._go.values():
            event.set()
        for thread in self._threads:
            thread.join(timeout=PATIENCE_S)

    def _visit(self, name):
        try:
            with self.turnstile.turn():
                self.inside.append(name)
                assert self._go[name].wait(PATIENCE_S)
        except BusyError:
            self.refused.append(name)


@pytest.fixture
def visitors():
    made = []

    def make(**options):
        made.append(Visitors(Turnstile(**options)))
        return made[-1]

    yield make
    for each in made:
        each.end()


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def test_as_many_turns_at_once_as_there_are_slots(visitors):
    crowd = visitors(slots=2)
    for name in ("a", "b", "c"):
        crowd.come(name)
    assert crowd.inside == ["a", "b"]
    assert crowd.turnstile.state == TurnstileState(working=2, waiting=1, stuck=0)


def test_turns_come_in_the_order_of_asking(visitors):
    crowd = visitors(slots=1)
    for name in ("a", "b", "c", "d"):
        crowd.come(name)
    for count, name in enumerate(("a", "b", "c"), start=2):
        crowd.go(name)
        wait_until(lambda count=count: len(crowd.inside) == count)
    assert crowd.inside == ["a", "b", "c", "d"]


def test_one_too_many_is_refused_at_once_with_words_and_a_time(visitors):
    crowd = visitors(slots=1, waiting=2)
    for name in ("a", "b", "c"):
        crowd.come(name)
    with pytest.raises(BusyError, match=r"\(2 wait already\): try again") as refused, crowd.turnstile.turn():
        pass
    assert refused.value.retry_after >= 1
    assert crowd.turnstile.state.waiting == 2


def test_waiting_ends_when_patience_does(visitors):
    crowd = visitors(slots=1, patience_s=0.1)
    crowd.come("a")
    with pytest.raises(BusyError, match=r"0\.1 seconds"), crowd.turnstile.turn():
        pass
    assert crowd.turnstile.state.waiting == 0


def test_who_gave_up_does_not_hold_up_those_behind(visitors):
    crowd = visitors(slots=1, patience_s=1.0)
    crowd.come("a")
    crowd.come("b")
    crowd.turnstile.patience_s = PATIENCE_S  # of whoever comes later
    crowd.come("c")
    wait_until(lambda: crowd.refused == ["b"])
    crowd.go("a")
    wait_until(lambda: crowd.inside == ["a", "c"])


def test_no_queue_at_all_still_lets_in_who_finds_a_free_slot(visitors):
    crowd = visitors(slots=1, waiting=0)
    crowd.come("a")
    crowd.come("b")
    assert (crowd.inside, crowd.refused) == (["a"], ["b"])


def test_a_turn_within_a_turn_is_the_same_one():
    turnstile = Turnstile(slots=1, waiting=0)
    with turnstile.turn() as outer, turnstile.turn() as inner:
        assert inner is outer
        assert turnstile.state.working == 1
    assert turnstile.state.working == 0


def test_a_failure_gives_the_slot_back():
    turnstile = Turnstile(slots=1)
    with pytest.raises(ZeroDivisionError), turnstile.turn():
        raise ZeroDivisionError
    with turnstile.turn():
        assert turnstile.state.working == 1


def test_turns_are_counted_when_they_begin_and_once():
    turnstile = Turnstile()
    with turnstile.turn(), turnstile.turn():
        assert turnstile.turns == 1
    with turnstile.turn():
        assert turnstile.turns == 2


def test_a_moment_without_work_is_waited_for(visitors):
    here = visitors(slots=1)
    assert here.turnstile.wait_until_idle(0)
    here.come("a")
    assert not here.turnstile.wait_until_idle(0.05)
    threading.Timer(0.05, here.go, ["a"]).start()
    assert here.turnstile.wait_until_idle(PATIENCE_S)


def test_long_work_gives_up_between_its_steps():
    now = [0.0]
    turnstile = Turnstile(work_s=180, clock=lambda: now[0])
    done = []
    with pytest.raises(SlowError, match="took longer than 3 minutes"), turnstile.turn():
        for step in range(50):
            check_turn()
            done.append(step)
            now[0] += 50
    assert done == [0, 1, 2, 3]


def test_work_of_many_turns_has_a_time_limit_as_a_whole():
    now = [0.0]
    turnstile = Turnstile(work_s=10, clock=lambda: now[0])
    limit = turnstile.deadline()
    with pytest.raises(SlowError, match="took longer than 10 seconds"):
        for _ in range(50):
            limit.check()
            with turnstile.turn() as turn:
                turn.check()
            now[0] += 3
    assert now[0] == 12


def test_outside_any_turn_there_is_always_time():
    check_turn()


def test_a_turn_far_over_its_time_is_reported_as_stuck():
    now = [0.0]
    turnstile = Turnstile(work_s=10, clock=lambda: now[0])
    with turnstile.turn():
        now[0] = 19.0
        assert turnstile.state.stuck == 0
        now[0] = 21.0
        assert turnstile.state.stuck == 1
    assert turnstile.state.stuck == 0


@pytest.mark.parametrize("options", [{"slots": 0}, {"waiting": -1}, {"patience_s": -1.0}, {"work_s": 0.0}])
def test_a_turnstile_that_nobody_passes_is_refused(options):
    with pytest.raises(ConfigError, match="nobody would get through"):
        Turnstile(**options)


def test_a_cached_answer_never_waits_and_a_new_one_is_refused_in_words(checkpoint, files):
    turnstile = Turnstile(slots=1, waiting=0)
    bench = Workbench(checkpoint, turnstile=turnstile)
    one, two = (PictureFile(files[name], name) for name in ("one.png", "two.jpg"))
    known = bench.compare(one, two)
    occupied, done = threading.Event(), threading.Event()

    def occupy():
        with turnstile.turn():
            occupied.set()
            done.wait(PATIENCE_S)

    thread = threading.Thread(target=occupy)
    thread.start()
    try:
        assert occupied.wait(PATIENCE_S)
        assert bench.compare(one, two) is known
        with pytest.raises(BusyError, match="try again in a moment"):
            bench.encode(PictureFile(files["scan.tif"], "scan.tif"))
    finally:
        done.set()
        thread.join()


def test_all_models_share_one_turnstile(checkpoint, plain_checkpoint):
    turnstile = Turnstile()
    models = Models(checkpoint, plain_checkpoint, turnstile=turnstile)
    assert {id(models.named(name).turnstile) for name in ("unsaved-avsl", "unsaved-embedding")} == {
        id(turnstile)
    }
