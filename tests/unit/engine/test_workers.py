"""The pool: steps when they are due, never two of one job, and an orderly end."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support.clock import AT_ONCE, SecondsClock

from seedream_cli.core.clock import SystemClock
from seedream_cli.engine.context import Step, StepKind
from seedream_cli.engine.workers import Inbox, SignalEvent, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.core.clock import Clock

SIGINT, SIGTERM = 2, 15


@dataclass
class Taker:
    """Takes steps as a test says, and remembers which and how many at once."""

    do: Callable[[Step], Step | None] = lambda _: None
    taken: list[Step] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, step: Step) -> Step | None:
        """Do one step."""
        with self._lock:
            self.taken.append(step)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            return self.do(step)
        finally:
            with self._lock:
                self._now -= 1


def step(job_id: str, due: float = 0.0, deed: StepKind = StepKind.SUBMIT) -> Step:
    """Make a step."""
    return Step(due, job_id, deed)


def pool_of(
    taker: Taker,
    *,
    workers: int,
    clock: Clock | None = None,
    inbox: Inbox | None = None,
    patience: float | None = None,
) -> WorkerPool:
    """Make a pool that gives the steps under way `patience` seconds after any signal."""
    return WorkerPool(
        taker.take,
        clock or SystemClock(),
        inbox or Inbox(),
        workers=workers,
        on_signal=lambda _: patience,
    )


# -- in the calling thread ---------------------------------------------------------------------


def test_polls_that_are_due_come_last() -> None:
    """A submit or a picture that is due goes before polls that were due earlier."""
    clock = SecondsClock(10.0)
    taker = Taker()
    steps = [
        step("a", 1.0, StepKind.POLL),
        step("b", 2.0, StepKind.POLL),
        step("c", 9.0),
        step("d", 8.0, StepKind.SAVE),
        step("e", 11.0),
    ]
    pool_of(taker, workers=0, clock=clock).run(steps)
    assert [taken.job_id for taken in taker.taken] == ["d", "c", "a", "b", "e"]


def test_polls_do_not_wait_for_ever() -> None:
    """One worker, and two pictures that are due whenever it is free: a poll has its turn."""
    clock, polled = SecondsClock(), []

    def do(taken: Step) -> Step | None:
        if taken.deed is StepKind.POLL:
            polled.append(clock.seconds)
            return None
        clock.seconds += 6  # its host hangs
        return replace(taken, due=clock.seconds) if clock.seconds < 600 else None

    pictures = [step("b", deed=StepKind.SAVE), step("c", deed=StepKind.SAVE)]
    pool_of(Taker(do), workers=0, clock=clock).run([step("a", deed=StepKind.POLL), *pictures])
    assert 6 <= polled[0] < 30


def test_steps_are_taken_when_they_are_due() -> None:
    """The earliest step comes first, and the clock sleeps exactly until it is due."""
    clock, at = SecondsClock(), []
    taker = Taker(lambda _: at.append(clock.seconds))
    pool_of(taker, workers=0, clock=clock).run([step("c", 7.5), step("a"), step("b", 2.0)])
    assert [taken.job_id for taken in taker.taken] == ["a", "b", "c"]
    assert at == [0.0, 2.0, 7.5]
    assert sum(clock.slept) == pytest.approx(7.5)


def test_a_tick_may_hasten_what_waits() -> None:
    """Steps of one deed are taken at once from then on, the others when they are due."""
    clock, at = SecondsClock(), {}
    taker = Taker(lambda taken: at.update({taken.job_id: clock.seconds}))
    pool = pool_of(taker, workers=0, clock=clock)

    def tick() -> None:
        if clock.seconds >= 3:
            pool.hasten(StepKind.SUBMIT)

    pool.run([step("a", 500.0), step("b", 400.0), step("c", 9.0, StepKind.POLL)], tick=tick)
    assert at["a"] == at["b"] == 3.0
    assert at["c"] == 9.0


def test_what_follows_is_taken_too() -> None:
    """A job goes on until its step says that nothing follows."""
    clock = SecondsClock()

    def poll(taken: Step) -> Step | None:
        return replace(taken, due=taken.due + 1, tries=taken.tries + 1) if taken.tries < 3 else None

    taker = Taker(poll)
    pool_of(taker, workers=0, clock=clock).run([step("a")])
    assert [taken.tries for taken in taker.taken] == [0, 1, 2, 3]
    assert clock.seconds == 3.0


def test_nothing_to_do_is_done() -> None:
    """A pool without steps returns at once."""
    taker = Taker()
    pool_of(taker, workers=0, clock=SecondsClock()).run([])
    pool_of(taker, workers=4).run([])
    assert taker.taken == []


def test_a_signal_between_steps_stops_the_rest() -> None:
    """After a signal no further step is taken, and what was left over is known."""
    inbox: Inbox = Inbox()
    taker = Taker(lambda _: inbox.put(SignalEvent(SIGTERM)))
    pool = pool_of(taker, workers=0, clock=SecondsClock(), inbox=inbox, patience=5.0)
    pool.run([step("a"), step("b", 1.0), step("c", 2.0)])
    assert [taken.job_id for taken in taker.taken] == ["a"]
    assert [left.job_id for left in pool.waiting] == ["b", "c"]
    assert pool.is_stopping


def test_a_bug_in_a_step_is_raised_here() -> None:
    """What a step could not explain ends the run, and nothing else is started."""

    def fail(_: Step) -> Step | None:
        raise ZeroDivisionError

    taker = Taker(fail)
    pool = pool_of(taker, workers=0, clock=SecondsClock())
    with pytest.raises(ZeroDivisionError):
        pool.run([step("a"), step("b", 1.0)])
    assert [taken.job_id for taken in taker.taken] == ["a"]


# -- in threads --------------------------------------------------------------------------------


def test_many_jobs_share_few_threads() -> None:
    """Never more steps at once than workers, and every step is taken once."""
    taker = Taker(lambda _: time.sleep(0.01))
    pool_of(taker, workers=3).run([step(f"job{n}") for n in range(30)])
    assert taker.most_at_once == 3
    assert sorted(taken.job_id for taken in taker.taken) == sorted(f"job{n}" for n in range(30))


def test_a_waiting_job_holds_no_thread() -> None:
    """While one job's next step is not due, the only worker does the others'."""
    now = time.monotonic()
    taker = Taker()
    pool_of(taker, workers=1).run([step("late", now + 0.15), step("a", now), step("b", now)])
    assert [taken.job_id for taken in taker.taken] == ["a", "b", "late"]
    assert time.monotonic() >= now + 0.15


def test_steps_of_one_job_come_one_after_the_other() -> None:
    """The next step of a job starts after the one before has ended."""
    spans: dict[str, list[tuple[float, float]]] = {}

    def poll(taken: Step) -> Step | None:
        started = time.monotonic()
        time.sleep(0.005)
        spans.setdefault(taken.job_id, []).append((started, time.monotonic()))
        return replace(taken, tries=taken.tries + 1) if taken.tries < 4 else None

    pool_of(Taker(poll), workers=4).run([step(f"job{n}") for n in range(8)])
    for found in spans.values():
        assert len(found) == 5
        assert all(end <= start for (_, end), (start, _) in pairwise(found))


def test_workers_are_daemons() -> None:
    """A worker that hangs in a request never keeps the process from ending."""
    found: list[threading.Thread] = []
    taker = Taker(lambda _: found.append(threading.current_thread()))
    pool_of(taker, workers=1).run([step("a")])
    assert found[0] is not threading.main_thread()
    assert found[0].daemon


def test_a_bug_is_raised_after_the_others_have_finished() -> None:
    """What others were doing, and may have paid for, is ended first."""
    ended, is_started = [], threading.Event()

    def do(taken: Step) -> Step | None:
        if taken.job_id == "bug":
            assert is_started.wait(5)
            raise ZeroDivisionError
        is_started.set()
        time.sleep(0.15)
        ended.append(taken.job_id)
        return replace(taken, due=taken.due + 100)

    pool = pool_of(Taker(do), workers=2)
    with pytest.raises(ZeroDivisionError):
        pool.run([step("paid"), step("bug"), step("next", 1.0)])
    assert ended == ["paid"]
    assert [left.job_id for left in pool.waiting] == ["next", "paid"]


# -- signals -----------------------------------------------------------------------------------


def test_a_patient_stop_waits_for_the_steps_under_way() -> None:
    """After the first Ctrl-C what is being paid for ends, and nothing new begins."""
    inbox: Inbox = Inbox()
    ended = []

    def do(taken: Step) -> Step | None:
        inbox.put(SignalEvent(SIGINT))
        time.sleep(0.2)
        ended.append(taken.job_id)
        return replace(taken, deed=StepKind.POLL)

    pool = pool_of(Taker(do), workers=1, inbox=inbox, patience=None)
    pool.run([step("a"), step("b", 1.0)])
    assert ended == ["a"]
    assert pool.under_way == {}
    assert [(left.job_id, left.deed) for left in pool.waiting] == [
        ("a", StepKind.POLL),
        ("b", StepKind.SUBMIT),
    ]


def test_a_limited_stop_leaves_the_steps_under_way() -> None:
    """After SIGTERM the pool returns when the time is over and says what it left."""
    inbox: Inbox = Inbox()
    is_over = threading.Event()
    inbox.put(SignalEvent(SIGTERM))
    pool = pool_of(Taker(lambda _: wait(is_over)), workers=2, inbox=inbox, patience=0.2)
    started = time.monotonic()
    pool.run([step("a"), step("b"), step("c")])
    assert 0.2 <= time.monotonic() - started < AT_ONCE
    assert set(pool.under_way) == {"a", "b"}
    assert [left.job_id for left in pool.waiting] == ["c"]
    is_over.set()


def wait(event: threading.Event) -> None:
    """Wait for the end of a test."""
    event.wait(60)


def test_a_limited_stop_returns_early_when_all_is_done() -> None:
    """The seconds after SIGTERM are a bound, not a pause."""
    inbox: Inbox = Inbox()
    inbox.put(SignalEvent(SIGTERM))
    started = time.monotonic()
    pool_of(Taker(lambda _: time.sleep(0.05)), workers=2, inbox=inbox, patience=60.0).run(
        [step("a"), step("b")]
    )
    assert time.monotonic() - started < AT_ONCE


def test_the_second_interrupt_ends_a_patient_stop() -> None:
    """After the second Ctrl-C nothing is waited for."""
    inbox: Inbox = Inbox()
    is_over = threading.Event()
    answers = iter([None, 0.0])
    heard = []

    def on_signal(number: int) -> float | None:
        heard.append(number)
        threading.Timer(0.1, inbox.put, [SignalEvent(SIGINT)]).start()
        return next(answers)

    inbox.put(SignalEvent(SIGINT))
    taker = Taker(lambda _: wait(is_over))
    pool = WorkerPool(taker.take, SystemClock(), inbox, workers=1, on_signal=on_signal)
    pool.run([step("a")])
    assert heard == [SIGINT, SIGINT]
    assert set(pool.under_way) == {"a"}
    is_over.set()


def test_later_signals_never_give_more_time() -> None:
    """A process that is told to end again and again ends when it was first told to."""
    inbox: Inbox = Inbox()
    is_over = threading.Event()
    inbox.put(SignalEvent(SIGTERM))

    def insist() -> None:
        while not is_over.wait(0.1):
            inbox.put(SignalEvent(SIGTERM))

    insisting = threading.Thread(target=insist)
    insisting.start()
    pool = pool_of(Taker(lambda _: wait(is_over)), workers=1, inbox=inbox, patience=0.3)
    started = time.monotonic()
    pool.run([step("a")])
    assert 0.3 <= time.monotonic() - started < AT_ONCE
    is_over.set()
    insisting.join()


def test_more_is_asked_for_until_there_is_none() -> None:
    """Steps that become possible later are taken on, each once."""
    left = [step("c"), step("b"), step("a")]
    taker = Taker()
    pool_of(taker, workers=2).run((), lambda: left.pop() if left else None)
    assert sorted(each.job_id for each in taker.taken) == ["a", "b", "c"]


@pytest.mark.parametrize("who", ["more", "tick"])
def test_a_bug_of_the_feeder_cuts_nothing_that_is_under_way(who: str) -> None:
    """What goes wrong in the main thread is raised when the paid requests have ended."""
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(_: Step) -> None:
        begun.set()
        goes_on.wait(10)
        ended.set()

    def fail() -> None:
        if begun.is_set():
            threading.Timer(0.2, goes_on.set).start()
            raise OSError("the folder is gone")

    more, tick = (fail, lambda: None) if who == "more" else (lambda: None, fail)
    with pytest.raises(OSError, match="the folder is gone"):
        pool_of(Taker(slow), workers=1).run([step("a"), step("b", 9e9)], more, tick)
    assert ended.is_set()
