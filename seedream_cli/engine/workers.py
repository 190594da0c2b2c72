"""Steps are done here: one by its deed, many when they are due, in daemon threads.

The main thread only waits, so that a signal's flag is seen at once while paid requests go on.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from seedream_cli.core.errors import AccountError, Overtaken, StorageError
from seedream_cli.core.record import dataclass, replace
from seedream_cli.engine.context import Step, StepKind
from seedream_cli.engine.join import join
from seedream_cli.engine.poll import poll
from seedream_cli.engine.reconcile import search
from seedream_cli.engine.save import save
from seedream_cli.engine.submit import submit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seedream_cli.core.clock import Clock
    from seedream_cli.engine.context import Context


TICK_SECONDS = 1.0
_POLLS_YIELD: Final = 10.0
"""Seconds: what is due so much later than a poll goes before it."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _StepResult:
    step: Step
    following: Step | None
    bug: BaseException | None = None


@dataclass(frozen=True, slots=True)
class SignalEvent:
    """A signal came: put into the inbox by its handler."""

    number: int


Inbox = queue.SimpleQueue[_StepResult | SignalEvent]
"""Safe to put into from a signal handler, which a lock or a condition is not."""


Take = Callable[[Step], "Step | None"]
"""Does a step and says what follows."""
_DEEDS: Final = {
    StepKind.SUBMIT: submit,
    StepKind.POLL: poll,
    StepKind.SAVE: save,
    StepKind.JOIN: join,
    StepKind.SEARCH: search,
}


def take_step(context: Context, step: Step) -> Step | None:
    """Do one step and return the next one of the same job, if any."""
    if step.deed in {StepKind.POLL, StepKind.SAVE}:
        context.begun.setdefault(step.job_id, context.clock.monotonic())
    following = _do(context, step)
    if following is None:
        context.deadlines.pop(step.job_id, None)
        context.begun.pop(step.job_id, None)
        context.strange.discard(step.job_id)
        context.pace.forget(step.job_id)
    if step.deed is StepKind.SUBMIT and (
        following is None or following.deed is not StepKind.SUBMIT
    ):
        # Sent, or given up: without its call nothing submits it again (`first_step`).
        context.calls.pop(step.job_id, None)
    return following


def _do(context: Context, step: Step) -> Step | None:
    try:
        try:
            job = context.ledger.job(step.job_id)
            return _DEEDS[step.deed](context, job, step)
        except Overtaken:
            # Whoever was quicker wrote down what to go on from.
            return context.first_step(context.ledger.job(step.job_id))
    except (StorageError, AccountError) as error:
        context.stop(step.job_id, error)
        return None


class WorkerPool:
    """A bounded pool of worker threads for the steps of one command."""

    def __init__(
        self,
        take: Take,
        clock: Clock,
        inbox: Inbox,
        *,
        workers: int,
        on_signal: Callable[[int], float | None],
    ) -> None:
        """Ask `on_signal` how many seconds the steps under way still have (None: all they need).

        With `workers` 0 the steps run one by one in the calling thread, on the clock's `sleep`.
        """
        self._take = take
        self._clock = clock
        self._inbox = inbox
        self._workers = workers
        self._on_signal = on_signal
        self._due: list[Step] = []
        self._ready: list[tuple[float, Step]] = []
        """Those that are due; polls let others go first, for nothing is lost or begun later by
        them, but not for ever: a host that hangs may keep pictures due all the time."""
        self._tasks: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self._threads = 0
        self.under_way: dict[str, Step] = {}
        """Steps that a thread is doing now, by job."""
        self.is_stopping = False
        self._give_up_at: float | None = None
        self._longest: float | None = None
        self._bug: Exception | None = None

    def run(
        self,
        steps: Iterable[Step],
        more: Callable[[], Step | None] = lambda: None,
        tick: Callable[[], None] | None = None,
    ) -> None:
        """Do these steps and all that follow from them; raise what a worker could not explain.

        `more` is asked, in this thread, for further steps whenever one may have become possible;
        `tick` is called about once a second.
        """
        for step in steps:
            heapq.heappush(self._due, step)
        bug: BaseException | None = None
        self._longest = TICK_SECONDS if tick is not None else None
        # Stopped, it begins nothing and still waits for what is under way, which may be paid for.
        while self._take_on(more) or self.under_way or (self._is_waiting and not self.is_stopping):
            self._start_due()
            message = self._wait()
            if tick is not None:
                self._ask(tick)
            match message:
                case _StepResult():
                    bug = self._note(message) or bug
                case SignalEvent(number=number):
                    self._stop(number)
                case None:
                    # Daemon threads end with the process; `put_down` says where their jobs stand.
                    if self._is_time_up():
                        break
        bug = bug or self._bug
        if bug is not None:
            raise bug

    def _note(self, done: _StepResult) -> BaseException | None:
        """Put what follows a step in the queue; return the bug that ended it, if one did."""
        self.under_way.pop(done.step.job_id, None)
        if done.bug is not None:
            # A bug may meet the next job, too: nothing new is begun.
            self.is_stopping = True
        if done.following is not None:
            heapq.heappush(self._due, done.following)
        return done.bug

    def _take_on(self, more: Callable[[], Step | None]) -> bool:
        """Take on what there is more to do; tell whether there was any."""
        is_fed = False
        while not self.is_stopping and (step := self._ask(more)) is not None:
            heapq.heappush(self._due, step)
            is_fed = True
        return is_fed

    def _ask(self, ask: Callable[[], T]) -> T | None:
        """Ask; what goes wrong ends new work, and never what is being paid for."""
        try:
            return ask()
        except Exception as bug:  # noqa: BLE001 - raised when all that is under way has ended
            self._bug, self.is_stopping = self._bug or bug, True
            return None

    @property
    def waiting(self) -> list[Step]:
        """Steps that were never taken because the pool was stopped."""
        return sorted([*self._due, *(step for _, step in self._ready)])

    @property
    def _is_waiting(self) -> bool:
        return bool(self._due or self._ready)

    def is_doing(self, deed: StepKind) -> bool:
        """Tell whether such a step is under way."""
        return any(step.deed is deed for step in self.under_way.values())

    def hasten(self, deed: StepKind) -> None:
        """Let all that waits to do a deed look now; for `tick` to call."""
        now = self._clock.monotonic()
        waiting = [step for step in self._due if step.deed is deed and step.due > now]
        if waiting:
            others = [step for step in self._due if step.deed is not deed or step.due <= now]
            self._due = [*others, *(replace(step, due=now) for step in waiting)]
            heapq.heapify(self._due)

    def _stop(self, number: int) -> None:
        self.is_stopping = True
        seconds = self._on_signal(number)
        if seconds is not None:
            # A later signal never gives more time than an earlier one did.
            up = self._clock.monotonic() + seconds
            self._give_up_at = up if self._give_up_at is None else min(up, self._give_up_at)

    def _is_time_up(self) -> bool:
        return self._give_up_at is not None and self._clock.monotonic() >= self._give_up_at

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        while self._due and self._due[0].due <= now:
            step = heapq.heappop(self._due)
            grace = _POLLS_YIELD if step.deed is StepKind.POLL else 0.0
            heapq.heappush(self._ready, (step.due + grace, step))
        while self._ready and not self.is_stopping and len(self.under_way) < max(self._workers, 1):
            _, step = heapq.heappop(self._ready)
            self.under_way[step.job_id] = step
            # Tests: one step at a time, in this thread and on their own clock.
            if self._workers == 0:
                self._inbox.put(self._do(step))
                return
            if len(self.under_way) > self._threads:
                self._threads += 1
                threading.Thread(
                    target=self._work, daemon=True, name=f"step-{self._threads}"
                ).start()
            self._tasks.put(step)

    def _wait(self) -> _StepResult | SignalEvent | None:
        until = [self._give_up_at] if self._give_up_at is not None else []
        if self._due and not self.is_stopping and len(self.under_way) < max(self._workers, 1):
            until.append(self._due[0].due)
        seconds = max(0.0, min(until) - self._clock.monotonic()) if until else self._longest
        if seconds is not None and self._longest is not None:
            seconds = min(seconds, self._longest)
        # Nobody else would let time go by.
        if self._workers == 0 and not self.under_way:
            self._clock.sleep(seconds or 0.0)
            seconds = 0.0
        try:
            return self._inbox.get(timeout=seconds) if seconds != 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def _work(self) -> None:
        while True:
            self._inbox.put(self._do(self._tasks.get()))

    def _do(self, step: Step) -> _StepResult:
        try:
            return _StepResult(step, self._take(step))
        except BaseException as bug:  # noqa: BLE001 - carried to the main thread, raised there
            return _StepResult(step, None, bug)
