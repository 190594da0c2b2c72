"""Runs the steps of one command to their end, through signals, and reports on each job."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output import job as render
from seedream_cli.cli.output.outcome import (
    NOT_AS_ASKED,
    Outcome,
    is_exact,
    is_left,
    money_of,
    word_of,
)
from seedream_cli.core.errors import StorageError
from seedream_cli.core.events import RowEnded
from seedream_cli.core.model import OPEN_STATES, Charge, Problem, State
from seedream_cli.core.record import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Device, Stdout
    from seedream_cli.core.model import Job
    from seedream_cli.engine.context import Context, Step
    from seedream_cli.engine.halt import Halt
    from seedream_cli.engine.workers import Inbox, WorkerPool
    from seedream_cli.storage.ledger.ledger import Ledger

LAST_SECONDS = 5.5
"""After SIGTERM, of 7: CI runners kill after 10, and writing down takes its own time."""
WRITING_SECONDS = 0.01
"""For each job that is left under way."""
WORKERS = 16
_UNSENT = frozenset({State.PLANNED, State.SENDING})
MOST_ALIKE = 3
"""Jobs that ended alike and are still told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the jobs of one command."""

    jobs: tuple[Job, ...]
    problems: Mapping[str, Problem]
    """What stopped us, by job."""
    signal: int = 0
    runs: frozenset[str] = frozenset()
    """Runs that this command bought: what it cost is said of these."""
    again: str = ""
    """The command that asks for what was not bought, where other pictures of the run were."""

    def problem(self, job: Job) -> Problem | None:
        """Return what is wrong with a job, if anything; one that ended tells that itself."""
        problem = problem_of(job, self.problems.get(job.id))
        if problem is None or problem.hint or render.next_step(job, problem) != "retry":
            return problem
        # Of a run that bought something nobody says that nothing was; download buys nothing ever.
        if self.runs and not self.has_bought:
            return problem
        way = self.again or "the same again asks for it once more"
        return replace(problem, hint=way)

    @property
    def has_bought(self) -> bool:
        """Tell whether any job that it bought cost something, or may have."""
        ours = (job for job in self.jobs if job.run in self.runs)
        return any(job.charge is not Charge.NONE for job in ours)

    @property
    def outcome(self) -> Outcome:
        """What all of it came to."""
        outcome = Outcome(runs=self.runs)
        for job in self.jobs:
            outcome.add(job)
            problem = self.problem(job)
            outcome.codes.add(render.job_exit(job, problem))
            saved = sum(bool(image.saved_at) for image in job.images)
            is_ours = not self.runs or job.run in self.runs
            outcome.counts["made" if is_ours else "fetched"] += saved
            if problem is not None or job.state in OPEN_STATES:
                missing = max(0 if saved else 1, job.expected - saved)
                word = "left" if is_left(job, problem) else word_of(job)
                outcome.counts[word] += missing
        return outcome


def problem_of(job: Job, stopped: Problem | None) -> Problem | None:
    """Return what is wrong with a job; `stopped`: what kept us from going on with it."""
    # Of one that was never sent we may know more: it was another process's to send.
    if job.state is State.CLOSED or is_fetched_anew(job):
        return stopped or job.problem or next((i.problem for i in job.images if i.problem), None)
    return job.problem or (stopped if job.state in OPEN_STATES else None)


class Signals:
    """Turns signals into messages for the pool; the handlers only set that flag."""

    def __init__(
        self,
        inbox: Inbox,
        observer: Plain,
        under_way: Callable[[], int] = lambda: 0,
        *,
        is_buying: bool = True,
        is_paying: Callable[[], bool] = lambda: True,
    ) -> None:
        """Listen from now on to SIGINT, SIGTERM and SIGHUP.

        `under_way` counts the jobs that would have to be written down at the end. Where nothing
        is bought, nothing is waited for; `is_paying` tells whether a submit is under way just now.
        """
        from seedream_cli.engine.workers import SignalEvent

        self._under_way = under_way
        self._is_buying = is_buying
        self._is_paying = is_paying
        self.first = 0
        self._count = 0
        self._observer = observer
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # `nohup` ignores SIGHUP on purpose, a shell SIGINT of what it runs in the background.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: inbox.put(SignalEvent(number)))

    def seconds_left(self, number: int) -> float | None:
        """Say how long the requests under way may still take; None: as long as they need.

        Ctrl-C at a terminal                  None: what is being paid for is waited for
        Ctrl-C once more                      0 s
        SIGTERM, two jobs under way           5.48 s
        Ctrl-C, and nothing is being bought   0 s: what waits can be fetched by the next command
        """
        self.first = self.first or number
        self._count += 1
        if number == signal.SIGINT and sys.stderr.isatty():
            if not self._is_buying:
                return 0.0
            if self._count > 1:
                return 0.0
            self._observer.say(
                "stopping; requests that are being paid for are waited for (Ctrl-C again: leave"
                " them, their outcome stays unknown)"
                if self._is_paying()
                else "stopping; what was accepted runs on at its provider"
            )
            return None
        return max(1.0, LAST_SECONDS - WRITING_SECONDS * self._under_way())


def run(
    world: CommandContext,
    engine: Context,
    jobs: Sequence[Job],
    observer: Plain,
    look: Callable[..., None] = lambda *_: None,
) -> Report:
    """Take the jobs as far as they go and return what became of them.

    `look` hears, from any thread, which jobs have ended: `Landings.look`.
    """
    from seedream_cli.engine.context import StepKind
    from seedream_cli.engine.halt import Halt
    from seedream_cli.engine.workers import Inbox, WorkerPool

    inbox: Inbox = Inbox()
    signals = Signals(
        inbox,
        observer,
        lambda: len(pool.under_way) + len(pool.waiting),
        is_buying=bool(engine.calls),
        is_paying=lambda: pool.is_doing(StepKind.SUBMIT),
    )
    halt = Halt()
    engine = replace(
        engine,
        # By the flag, not by the pool: `_spend` asks just before the first byte leaves.
        halt_reason=lambda: "a signal stopped it" if signals.first else "",
        objection=halt.objection,
    )

    def take(step: Step) -> Step | None:
        following = _take(engine, halt, step)
        if following is None:
            _count(engine, observer, step.job_id)
            look(engine, jobs, step.job_id)
        return following

    workers = min(WORKERS, max(1, len(jobs)))
    pool = WorkerPool(take, world.clock, inbox, workers=workers, on_signal=signals.seconds_left)
    first = {job.id: _first_step(engine, job) for job in jobs}
    _expect(engine, observer, sum(step is not None for step in first.values()), workers)

    def tick() -> None:
        observer.tick()
        if halt.is_news:  # else who waits for room in a rate limit hears of it much later
            halt.is_news = False
            pool.hasten(StepKind.SUBMIT)

    try:
        with observer:
            look(engine, jobs, *(each for each in first if first[each] is None))
            pool.run(filter(None, first.values()), tick=tick)
            # What another command's look found for one of ours waits for nobody else.
            while not pool.is_stopping and (steps := _steps_of_found(engine, jobs)):
                pool.run(steps, tick=tick)
    finally:
        _leave(world, engine, pool, jobs)
    return Report(
        jobs=tuple(latest(engine.ledger, find_current(engine, job)) for job in jobs),
        problems=dict(engine.problems),
        signal=signals.first,
    )


def _leave(world: CommandContext, engine: Context, pool: WorkerPool, jobs: Sequence[Job]) -> None:
    """Write down where a signal left the jobs; threads may still be at work."""
    # Its threads may still be writing: whoever comes next sweeps behind them.
    if pool.under_way:
        world.owner.keep()
    if pool.is_stopping:
        put_down(engine, [find_current(engine, job).id for job in jobs])


def _expect(engine: Context, observer: Plain, count: int, at_once: int) -> None:
    """Tell the screen how many jobs to expect, and how long each usually takes."""
    from seedream_cli.cli.output.forecast import forecaster

    forecast = forecaster(engine.pace.expect, engine.provider)
    observer.expect(count, at_once=at_once, forecast=forecast)


def _take(engine: Context, halt: Halt, step: Step) -> Step | None:
    """Do one step, and take note of what may end further submits."""
    from seedream_cli.engine.context import StepKind
    from seedream_cli.engine.workers import take_step

    following = take_step(engine, step)
    # Put off is not sent: it says nothing of the account or the outcome yet.
    is_sent = step.deed is StepKind.SUBMIT and (
        following is None or following.deed is not StepKind.SUBMIT
    )
    problem = engine.problems.get(step.job_id)
    if is_sent or problem is not None:
        with suppress(StorageError):  # whoever goes on finds it in the same state
            job = engine.ledger.job(step.job_id)
            halt.note(job, problem or job.problem)
    return following


def _count(engine: Context, observer: Plain, job_id: str) -> None:
    """Let the screen count a job that has ended, or that is left where it is."""
    with suppress(StorageError):
        job = engine.ledger.job(job_id)
        problem = problem_of(job, engine.problems.get(job_id))
        observer.tally.take(
            RowEnded(
                row=job_id,
                state=State.PLANNED if is_left(job, problem) else job.state,
                money=money_of(job),
                is_estimate=not is_exact(job),
                problem=problem,
                job=job_id,
            )
        )


def latest(ledger: Ledger, job: Job) -> Job:
    """Return a job as it is now, or as it was last read where damage keeps it from us."""
    try:
        return ledger.job(job.id)
    except StorageError:
        return job


def find_current(engine: Context, job: Job) -> Job:
    """Return the job that stands for one that was planned: itself, or what was bought instead."""
    # What was bought in its place may have been replaced itself.
    while job.id in engine.replaced:
        job = engine.replaced[job.id]
    return job


def _first_step(engine: Context, job: Job) -> Step | None:
    """Return what a job waits for; with `--no-wait` what already runs is left to run."""
    step = engine.first_step(job)
    is_poll = step is not None and step.deed == "poll"
    return None if is_poll and not engine.is_waiting else step


def _steps_of_found(engine: Context, jobs: Sequence[Job]) -> list[Step]:
    """Return how jobs go on that ended here unknown, and that a provider's list has found since."""
    now = [find_current(engine, job) for job in jobs]
    fresh = [engine.ledger.job(job.id) for job in now if engine.provider(job).listing is not None]
    is_open = {State.RUNNING, State.READY}.__contains__
    left = [job for job in fresh if job.found_at and is_open(job.state)]
    # What stopped us there stops us now.
    left = [job for job in left if job.id not in engine.problems]
    return [step for job in left if (step := _first_step(engine, job)) is not None]


def put_down(engine: Context, job_ids: Sequence[str]) -> None:
    """Write down where a signal left the jobs of this command."""
    from seedream_cli.engine.recovery import conclude

    stopped = Problem("interrupted", "a signal stopped it")
    for job_id in job_ids:
        try:
            job = engine.ledger.job(job_id)
            is_anothers = job.owner != engine.files.owner
            if job_id in engine.joined or (is_anothers and job.state in _UNSENT):
                # Another process buys it, whatever becomes of us.
                words = "a signal ended the wait for it; the process that buys it goes on"
                engine.problems.setdefault(job_id, Problem("interrupted", words))
                continue
            conclude(engine, job, "a signal came before the provider's answer", stopped.message)
            job = engine.ledger.job(job_id)
            if job.state in {State.RUNNING, State.READY} or is_fetched_anew(job):
                engine.problems.setdefault(job_id, stopped)
        except StorageError as error:  # whoever comes next concludes it
            engine.stop(job_id, error)


def is_fetched_anew(job: Job) -> bool:
    """Tell whether a picture of a saved job was wanted once more and has not come."""
    return job.state is State.SAVED and any(each.is_wanted for each in job.images)


def tell_of_waiting(
    world: CommandContext,
    engine: Context,
    show: Plain,
    *,
    is_sandbox: bool,
    but: Collection[str] = (),
) -> None:
    """Say in one line that pictures of earlier runs wait, and how long their URLs live.

    The jobs `but` are left out: this very command goes on with them.
    """
    from seedream_cli.core.text import human_span
    from seedream_cli.engine.recovery import list_waiting

    left_behind = [job for job in list_waiting(engine, world.owner) if job.sandbox == is_sandbox]
    jobs = [job for job in left_behind if job.id not in but]
    if not jobs:
        return
    lapses = [i.expires_at for job in jobs for i in job.images if i.expires_at and not i.saved_at]
    left = ""
    if lapses:
        left = f" (the first URL lapses in {human_span(min(lapses) - world.clock.now())})"
    count = f"{len(jobs)} jobs of earlier runs wait" if len(jobs) > 1 else "1 earlier job waits"
    show.say(f"{count} to be saved{left}: seedream download")


def ids_of(world: CommandContext, names: Sequence[str] | None) -> frozenset[str]:
    """Return the ids of the unknown jobs that `--despite` covers, as they are now."""
    from seedream_cli.storage.ledger.names import find

    jobs = [job for name in names or () for job in find(world.ledger, name).jobs]
    return frozenset(each.id for job in jobs for each in world.ledger.unknown_up_to(job))


def show(report: Report, stuck: StorageError | None, observer: Plain) -> int:
    """Say on stderr what became of the jobs; return the exit code.

    `stuck`: why stdout takes no more, which keeps nothing from being said.
    """
    outcome = report.outcome
    if stuck is not None:
        observer.say(stuck.message + render.hint_lines(stuck.hint), is_error=True)
        outcome.codes.add(stuck.exit)
    _say_problems(report, observer)
    _say_haste(report, observer)
    _say_sum(report, outcome, observer)
    return outcome.exit(report.signal)


def say_damage(ledger: Ledger, observer: Plain) -> int:
    """Say what of a ledger is damaged; return 74, or 0 where it is sound."""
    words = ledger.check()
    for what, why in islice(ledger.damage.items(), MOST_ALIKE):
        observer.say(f"{what} cannot be read: {why}", is_error=True)
    if len(ledger.damage) > MOST_ALIKE:
        observer.say(f"and {len(ledger.damage) - MOST_ALIKE} more", is_error=True)
    if not words and not ledger.damage:
        return 0
    observer.say(
        f"the ledger {ledger.path} is damaged{f' ({words})' if words else ''}: what can be read of"
        " it is shown, and nothing is bought with it; fetch what waits\n  seedream download\n  then"
        " move it aside (never delete it: it names what was paid for)",
        is_error=True,
    )
    return StorageError("").exit


def pour(report: Report, stdout: Stdout | Device, ledger: Ledger, observer: Plain) -> int:
    """Write the one picture that was asked for to stdout or a device; return the exit code.

    It is kept until stdout took all of it. What a provider sent beyond it stays a file.
    """
    outcome = report.outcome
    saved = [image for job in report.jobs for image in job.images if image.saved_at and image.path]
    try:
        for image in saved[:1]:
            held = Path(image.path or "")
            stdout.picture(held)
            # Only once stdout took all of it: until then the file is all there is.
            ledger.let_go(image)
            held.unlink(missing_ok=True)
    except StorageError as error:
        observer.say(error.message + render.hint_lines(error.hint), is_error=True)
        outcome.codes.add(error.exit)
    for image in saved[1:]:
        observer.say(f"one picture was asked for; this one came too: {image.path}", is_error=True)
        outcome.codes.add(NOT_AS_ASKED)
    _say_problems(report, observer)
    _say_sum(report, outcome, observer)
    return outcome.exit(report.signal)


def _say_problems(report: Report, observer: Plain) -> None:
    """Say what went wrong, many alike in one line; last how all that is unknown is settled."""
    is_buying = bool(report.runs)
    alike: dict[tuple[str, str], list[tuple[Job, Problem]]] = {}
    for job in report.jobs:
        problem = report.problem(job)
        if problem is not None:
            alike.setdefault((job.state.value, problem.message), []).append((job, problem))
    unknown = [job for job in report.jobs if job.state is State.UNKNOWN]
    is_together = len(unknown) > 1
    for found in alike.values():
        if len(found) > MOST_ALIKE:
            observer.say(render.sentence_for_many(found, is_buying=is_buying), is_error=True)
            continue
        for job, problem in found:
            with_hint = not (is_together and job.state is State.UNKNOWN)
            words = render.sentence(job, problem, with_hint=with_hint, is_buying=is_buying)
            observer.say(words, is_error=True)
    if is_together:
        observer.say(render.settle_lines(unknown), is_error=True)


def _say_sum(report: Report, outcome: Outcome, observer: Plain) -> None:
    """Say what a run made and what that cost; of one picture that was not made all is told."""
    if report.runs and (outcome.has_bought or len(report.jobs) > 1):
        observer.say(outcome.sentence())


def _say_haste(report: Report, observer: Plain) -> None:
    """Say how soon the pictures of jobs that are left to run will be gone, where that is soon."""
    running = [job for job in report.jobs if job.state is State.RUNNING]
    words = render.haste(running)
    if words:
        observer.say(words)
