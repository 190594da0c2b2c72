"""Runs the steps of one command to their end, through signals, and reports on each job."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output import job as render
from seedream_cli.core import money as price
from seedream_cli.core.errors import StorageError, gravest
from seedream_cli.core.model import OPEN_STATES, Charge, Problem, State
from seedream_cli.engine.context import is_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Device, Stdout
    from seedream_cli.core.model import Job
    from seedream_cli.engine.context import Context, Step
    from seedream_cli.engine.halt import Halt
    from seedream_cli.engine.workers import Inbox
    from seedream_cli.storage.ledger.ledger import Ledger

LAST_SECONDS = 5.5
"""After SIGTERM, of 7: CI runners kill after 10, and writing down takes its own time."""
WRITING_SECONDS = 0.01
"""For each job that is left under way."""
WORKERS = 16
_UNSENT = frozenset({State.PLANNED, State.SENDING})
_NOT_AS_ASKED = 3
"""The exit code where what was made is not what was asked for."""
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
        problem = self._problem(job)
        if problem is None or problem.hint or render.next_step(job, problem) != "retry":
            return problem
        # Of a run that bought something nobody says that nothing was; download buys nothing ever.
        if self.runs and not self.has_bought:
            return problem
        way = self.again or "the same again asks for it once more"
        return replace(problem, hint=way)

    @property
    def has_bought(self) -> bool:
        """Tell whether any job of it cost something, or may have."""
        return any(job.charge is not Charge.NONE for job in self.jobs)

    def _problem(self, job: Job) -> Problem | None:
        # Of one that was never sent we may know more: it was another process's to send.
        stopped = self.problems.get(job.id)
        if job.state is State.CLOSED or is_fetched_anew(job):
            return (
                stopped or job.problem or next((i.problem for i in job.images if i.problem), None)
            )
        return job.problem or (stopped if job.state in OPEN_STATES else None)

    @property
    def exit(self) -> int:
        """The exit code of the whole command."""
        codes = [render.job_exit(job, self.problem(job)) for job in self.jobs]
        if self.signal:
            codes.append(130 if self.signal == signal.SIGINT else 143)
        # 69 promises that nothing was bought.
        if self.has_bought:
            codes = [3 if code == 69 else code for code in codes]  # noqa: PLR2004 - see README.md
        return gravest(codes)


class Signals:
    """Turns signals into messages for the pool; the handlers only set that flag."""

    def __init__(
        self,
        inbox: Inbox,
        observer: Plain,
        under_way: Callable[[], int] = lambda: 0,
        *,
        is_buying: bool = True,
    ) -> None:
        """Listen from now on to SIGINT, SIGTERM and SIGHUP.

        `under_way` counts the jobs that would have to be written down at the end. Where nothing
        is bought, nothing is waited for.
        """
        from seedream_cli.engine.workers import SignalEvent

        self._under_way = under_way
        self._is_buying = is_buying
        self.first = 0
        self._count = 0
        self._observer = observer
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: inbox.put(SignalEvent(number)))

    @property
    def exit(self) -> int:
        """The exit code of the first signal; 0 while there was none."""
        return {0: 0, signal.SIGINT: 130}.get(self.first, 143)

    def seconds_left(self, number: int) -> float | None:
        """Say how long the requests under way may still take; None: as long as they need."""
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
            )
            return None
        return max(1.0, LAST_SECONDS - WRITING_SECONDS * self._under_way())


def run(world: CommandContext, engine: Context, jobs: Sequence[Job], observer: Plain) -> Report:
    """Take the jobs as far as they go and return what became of them."""
    from seedream_cli.engine.context import StepKind
    from seedream_cli.engine.halt import Halt
    from seedream_cli.engine.workers import Inbox, WorkerPool

    inbox: Inbox = Inbox()
    signals = Signals(inbox, observer, is_buying=bool(engine.calls))
    halt = Halt()
    engine = replace(
        engine,
        halt_reason=lambda: "a signal stopped it" if signals.first else "",
        objection=halt.objection,
    )
    pool = WorkerPool(
        partial(_take, engine, halt),
        world.clock,
        inbox,
        workers=min(WORKERS, max(1, len(jobs))),
        on_signal=signals.seconds_left,
    )
    steps = [step for job in jobs if (step := _first_step(engine, job)) is not None]

    def tick() -> None:
        if halt.is_news:  # else who waits for room in a rate limit hears of it much later
            halt.is_news = False
            pool.hasten(StepKind.SUBMIT)

    try:
        with observer:
            pool.run(steps, tick=tick)
            # What another command's look found for one of ours waits for nobody else.
            while not pool.is_stopping and (steps := _steps_of_found(engine, jobs)):
                pool.run(steps, tick=tick)
    finally:
        if pool.under_way:
            world.owner.keep()
        if pool.is_stopping:
            put_down(engine, [_find_current(engine, job).id for job in jobs])
    return Report(
        jobs=tuple(latest(engine.ledger, _find_current(engine, job)) for job in jobs),
        problems=dict(engine.problems),
        signal=signals.first,
    )


def _take(engine: Context, halt: Halt, step: Step) -> Step | None:
    """Do one step, and take note of what may end further submits."""
    from seedream_cli.engine.context import StepKind
    from seedream_cli.engine.workers import take_step

    following = take_step(engine, step)
    is_sent = step.deed is StepKind.SUBMIT and (
        following is None or following.deed is not StepKind.SUBMIT
    )
    problem = engine.problems.get(step.job_id)
    if is_sent or problem is not None:
        with suppress(StorageError):  # whoever goes on finds it in the same state
            job = engine.ledger.job(step.job_id)
            halt.note(job, problem or job.problem)
    return following


def latest(ledger: Ledger, job: Job) -> Job:
    """Return a job as it is now, or as it was last read where damage keeps it from us."""
    try:
        return ledger.job(job.id)
    except StorageError:
        return job


def _find_current(engine: Context, job: Job) -> Job:
    """Return the job that stands for one that was planned: itself, or what was bought instead."""
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
    now = [_find_current(engine, job) for job in jobs]
    fresh = [engine.ledger.job(job.id) for job in now if engine.provider(job).listing is not None]
    is_open = {State.RUNNING, State.READY}.__contains__
    left = [job for job in fresh if job.found_at and is_open(job.state)]
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
    return job.state is State.SAVED and any(map(is_wanted, job.images))


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


def named(world: CommandContext, names: Sequence[str] | None) -> frozenset[str]:
    """Return the ids of the unknown jobs that `--despite` covers, as they are now."""
    from seedream_cli.storage.ledger.names import find

    jobs = [job for name in names or () for job in find(world.ledger, name).jobs]
    return frozenset(each.id for job in jobs for each in world.ledger.unknown_up_to(job))


def show(report: Report, stdout: Stdout, observer: Plain, *, is_json: bool, is_wait: bool) -> int:
    """Print results on stdout and what went wrong on stderr; return the exit code.

    A stdout that takes no more keeps nothing from being said on stderr.
    """
    codes = [report.exit]
    try:
        _print_results(report, stdout, is_json=is_json, is_wait=is_wait)
    except StorageError as error:
        observer.say(f"{error.message}\n  {error.hint}", is_error=True)
        codes.append(error.exit)
    _say_problems(report, observer)
    _say_haste(report, observer)
    _say_cost(report, observer)
    return gravest(codes)


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
    codes = [report.exit]
    saved = [image for job in report.jobs for image in job.images if image.saved_at and image.path]
    try:
        for image in saved[:1]:
            held = Path(image.path or "")
            stdout.picture(held)
            ledger.let_go(image)
            held.unlink(missing_ok=True)
    except StorageError as error:
        observer.say(f"{error.message}\n  {error.hint}", is_error=True)
        codes.append(error.exit)
    for image in saved[1:]:
        observer.say(f"one picture was asked for; this one came too: {image.path}", is_error=True)
        codes.append(_NOT_AS_ASKED)
    _say_problems(report, observer)
    _say_cost(report, observer)
    return gravest(codes)


def _print_results(report: Report, stdout: Stdout, *, is_json: bool, is_wait: bool) -> None:
    for job in report.jobs:
        problem = report.problem(job)
        if is_json:
            stdout.json(render.job_json(job, problem))
        elif not is_wait and job.state is State.RUNNING and problem is None:
            stdout.line(job.id)
        else:
            for image in job.images:
                if image.saved_at and image.path:
                    stdout.line(shown_path(job, image.path))


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


def shown_path(job: Job, path: str) -> str:
    """Return a path as it was given: relative where the command line was, absolute else."""
    base = str(job.output.get("base", "")).rstrip("/") + "/"
    is_given_whole = str(job.output.get("template", "")).startswith("/")
    if not is_given_whole and path.startswith(base) and Path.cwd() == Path(base):
        return path.removeprefix(base)
    return path


def _say_cost(report: Report, observer: Plain) -> None:
    """Say what the run cost: what is certain, and apart from it what may have been charged."""
    paid = [job for job in report.jobs if job.charge is not Charge.NONE and job.run in report.runs]
    if not paid:
        return
    count = sum(bool(image.saved_at) for job in paid for image in job.images)
    words = [f"{count} picture{'' if count == 1 else 's'}"]
    rehearsed = [job for job in paid if job.sandbox]
    certain = [job for job in paid if job.charge is Charge.CHARGED and not job.sandbox]
    perhaps = [job for job in paid if job.charge is Charge.MAYBE and not job.sandbox]
    if rehearsed:
        sums = _sums(rehearsed)
        would = f"would cost about {sums}" if sums else "price not known"
        words.append(f"{would} (sandbox: nothing was charged)")
    if certain:
        is_estimate = not all(map(_is_known, certain))
        about = "about " if is_estimate and _sums(certain) else ""
        words.append(f"cost {about}{_sums(certain) or 'not known'}")
    if perhaps:
        words.append(f"{_sums(perhaps) or 'what is not known'} may have been charged")
    observer.say("; ".join(words))


def _is_known(job: Job) -> bool:
    return render.is_named_charge(job) or (job.cost is not None and job.cost != job.price)


def _say_haste(report: Report, observer: Plain) -> None:
    """Say how soon the pictures of jobs that are left to run will be gone, where that is soon."""
    running = [job for job in report.jobs if job.state is State.RUNNING]
    words = render.haste(running)
    if words:
        observer.say(words)


def _sums(jobs: Sequence[Job]) -> str:
    costs = [cost for cost in (job.cost or job.price for job in jobs) if cost]
    return " and ".join(price.show(money) for money in price.total(costs))
