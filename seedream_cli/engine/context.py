"""What the steps of one command share, and what a step is."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from seedream_cli.core.addresses import is_at
from seedream_cli.core.commands import is_made
from seedream_cli.core.errors import AccountError, UnreadableReply
from seedream_cli.core.events import Waiting
from seedream_cli.core.model import Charge, Problem, Purpose, Running, State, Task
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.transport import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seedream_cli.core.clock import Clock
    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Call, Image, Job, Profile, Reply
    from seedream_cli.engine.pace import Pace
    from seedream_cli.engine.rate_limit import RateLimiter
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.files.store import Files
    from seedream_cli.storage.ledger.ledger import Ledger
    from seedream_cli.transport.client import Transport


_WHOLE: Final = 0.9
"""Of a `timeout`: the rest may go by before a job is accepted."""


class StepKind(StrEnum):
    """What a step does."""

    SUBMIT = "submit"
    POLL = "poll"
    SAVE = "save"
    JOIN = "join"
    SEARCH = "search"


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """Something that is due."""

    due: float
    """Monotonic seconds."""
    job_id: str
    deed: StepKind
    tries: int = 0
    """How often the same deed has been put off."""
    is_doubted: bool = False
    """A poll has read `failed` once already."""
    is_told: bool = False
    """That it waits for room was said once."""
    is_second_look: bool = False
    """Odd pictures that were saved are due to be fetched once more."""
    troubles: int = 0
    """How many looks in a row were in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient the engine is. Seconds; counts are tries."""

    deadline: float
    """Monotonic: when waiting for accepted jobs ends (`--timeout`)."""
    timeout: float = 1200.0
    per_job: bool = False
    """Each job has `timeout` to be accepted in, from when it is first let go, then as much to be
    made in, and as much to be fetched in; `deadline` is not looked at."""
    submit_tries: int = 4
    """For a provider that cannot be reached."""
    busy_tries: int = 20
    """For one that says: not now."""
    exhausted_seconds: float = 30.0
    """For what an earlier command had tried for its whole `timeout` already."""
    late_tries: int = 2
    """Further ones of a download that is late already: an answer may take all the time there is."""
    believe_after: float = 5.0
    """Between the two readings of `failed`, and the two fetches of an odd picture."""
    missing_grace: float = 120.0
    """How long after a submit a task may be unknown to its provider."""
    look_pace: float = 1.0
    """What `Listing.looks` are multiplied by."""


@dataclass(frozen=True, slots=True)
class Substitute:
    """What we buy in place of another process's job, should nobody send that."""

    ours: Job
    """Written down nowhere yet."""
    despite: frozenset[str] = frozenset()
    ext: str | None = None
    """With `despite` what `Ledger.plan` was told."""
    is_again: bool = False
    """It is not the first that was waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The world of one command, and what its steps write down for each other.

    A step is a function of it, a job and a `Step`; it does one exchange, writes what came of it
    into the ledger, and returns the job's next step, or None when nothing is left to do.
    """

    transport: Transport
    ledger: Ledger
    files: Files
    clock: Clock
    notify: Callable[[Event], None]
    random: Callable[[], float]
    """Between 0 and 1, for jitter."""
    timing: Timing
    providers: Mapping[str, Provider]
    account: Callable[[Job], Profile]
    """The profile, with its key, that may be asked about a job; raises `AccountError`."""
    is_open_to_any: Callable[[Job], bool] = lambda _: False
    """Tells whether the profile of a job lets pictures come from private addresses too."""
    limiter: RateLimiter
    """When submits and polls may go."""
    pace: Pace
    """How long jobs take, and when they are asked about next."""
    is_waiting: bool = True
    """False with `--no-wait`: accepted jobs are left to run."""
    halt_reason: Callable[[], str] = lambda: ""
    """Why nothing more may be sent that costs money; empty while it may."""
    objection: Callable[[Job], Problem | None] = lambda _: None
    """Why a job of this command is not to be bought any more, after what became of others."""
    is_dead: Callable[[str], bool] = lambda _: False
    """Tells whether the process that a job names has ended; never true of this one."""
    calls: dict[str, Call] = field(default_factory=dict)
    """What this command planned to send, until it is sent; nobody else's jobs are submitted."""
    deadlines: dict[str, float] = field(default_factory=dict)
    """Monotonic: stands for `timing.deadline` at these jobs, until they end."""
    begun: dict[str, float] = field(default_factory=dict)
    """Monotonic: when these jobs were first asked about or fetched, until they end."""
    problems: dict[str, Problem] = field(default_factory=dict)
    """What stopped us at jobs that have not ended."""
    joined: dict[str, Substitute] = field(default_factory=dict)
    """By the id of another process's job that is waited for."""
    replaced: dict[str, Job] = field(default_factory=dict)
    """What was planned in place of a job that was waited for and that nobody sent, by its id."""
    recalled: set[str] = field(default_factory=set)
    """Failed and written-off jobs that a person wants to be tried once more."""
    heard: set[str] = field(default_factory=set)
    """Jobs of which the provider said how they go, in an answer that could be read."""
    silent: set[str] = field(default_factory=set)
    """Origins that did not answer when they were asked how a job goes."""
    strange: set[str] = field(default_factory=set)
    """Jobs of which an unknown status word was told once."""

    seen: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digests of odd pictures that were fetched, by job and index: the same bytes again are all
    that there is."""

    def provider(self, job: Job) -> Provider:
        """Return who makes a job; raise `AccountError` for one that a later version added."""
        if job.provider not in self.providers:
            raise AccountError(
                f"this version of seedream does not know the provider {job.provider}"
            )
        return self.providers[job.provider]

    def first_step(self, job: Job) -> Step | None:
        """Return what a job waits for, if anything.

        planned, and this command's to send    submit
        planned by another process             none: a command submits its own jobs only
        running                                poll
        failed, and a person wants it tried    poll, where the provider can be asked
        ready, or a picture is lacking         save
        """
        now = self.clock.monotonic()
        # An earlier command waited its whole `--timeout` for it in vain.
        if job.exhausted_at is not None:
            patience = min(self.timing.timeout, self.timing.exhausted_seconds)
            self.deadlines.setdefault(job.id, now + patience)
        match job.state:
            case _ if job.id in self.joined:
                return Step(now, job.id, StepKind.JOIN)
            case State.PLANNED if job.id in self.calls:
                return Step(now, job.id, StepKind.SUBMIT)
            case State.RUNNING:
                return Step(now, job.id, StepKind.POLL)
            case State.FAILED if job.id in self.recalled and can_be_asked(self, job):
                return Step(now, job.id, StepKind.POLL)
            case State.READY | State.UNKNOWN | State.SAVED | State.CLOSED if _has_to_save(
                job, is_recalled=job.id in self.recalled
            ):
                # Nothing lacks, so it was fetched before: this is about odd pictures alone.
                is_second_look = job.state is not State.READY and not any(
                    each.is_wanted for each in job.images
                )
                return Step(now, job.id, StepKind.SAVE, is_second_look=is_second_look)
            case _:
                return None

    def next_step(self, job: Job) -> Step | None:
        """Return what follows after a job has changed its state."""
        # A new state has a time of its own: to be accepted, to be made, to be fetched.
        self.deadlines.pop(job.id, None)
        deadline = self.deadline(job.id)
        if job.state is State.UNKNOWN and can_be_found(self, job):
            return self._first_look(job)
        step = self.first_step(job)
        if step is not None and step.deed is StepKind.POLL:
            # With `--no-wait` an accepted job is left to run: `seedream download` goes on with it.
            if not self.is_waiting:
                return None
            due = step.due + self.pace.until_next_look(job)
            return replace(step, due=max(min(due, deadline), step.due))
        return step

    def _first_look(self, job: Job) -> Step | None:
        """Return when the provider's list is asked for a submit whose answer was lost just now."""
        provider = self.provider(job)
        assert provider.listing is not None, "it can be found"  # noqa: S101 - for the type checker
        seconds = provider.listing.looks[0] * self.timing.look_pace
        due = self.clock.monotonic() + seconds
        # Then whoever comes next looks: `status`, `download`, a batch.
        if due > self.deadline(job.id):
            return None
        words = f"the answer was lost; {provider.title}'s list of requests is asked then"
        self.notify(Waiting(job_id=job.id, seconds=seconds, reason=words))
        return Step(due, job.id, StepKind.SEARCH)

    def deadline(self, job_id: str) -> float:
        """Return until when a job is waited for, monotonic; each job's own runs from here."""
        if not self.timing.per_job:
            return self.deadlines.get(job_id, self.timing.deadline)
        until = self.clock.monotonic() + self.timing.timeout
        return self.deadlines.setdefault(job_id, until)

    def retry_delay(self, tries: int) -> float:
        """Return for how many seconds a deed is put off that did not succeed."""
        return backoff.delay(tries + 1, self.random, base=0.5, cap=30.0)

    def give_up(self, job: Job, words: str, hint: str = "") -> None:
        """Remember that a job's time is over; another command may go on.

        One that tried for its whole `timeout` says so to the next ones, and they how to end it.
        """
        if job.exhausted_at is not None:
            since = f"{job.exhausted_at:%Y-%m-%d %H:%M}Z"
            words += (
                f"; in vain since {since}, to end that: seedream status {job.id} --write-off -y"
            )
        elif self.timing.timeout and self._seconds_tried(job) >= _WHOLE * self.timing.timeout:
            self.ledger.put_exhausted(job.id)
        self.problems[job.id] = Problem("timeout", words, hint or f"seedream download {job.id}")

    def _seconds_tried(self, job: Job) -> float:
        """Return for how many seconds a job has been asked about or fetched."""
        now = self.clock.monotonic()
        return now - self.begun.get(job.id, now)

    def stop(self, job_id: str, error: SeedreamError) -> None:
        """Remember what stopped us; close a job of which nothing was sent."""
        problem = Problem(error.code, error.message, error.hint)
        self.problems[job_id] = problem
        # A ledger that fails would not take this either; what stays planned is closed by recovery.
        if isinstance(error, AccountError):
            job = self.ledger.job(job_id)
            if job.state is State.PLANNED:
                self.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)


def can_be_asked(context: Context, job: Job) -> bool:
    """Tell whether the provider can be asked how a job goes, or went."""
    is_open = job.state in {State.RUNNING, State.FAILED}
    provider = context.providers.get(job.provider)
    is_polled = provider is not None and provider.dialect.poll is not None
    return is_open and job.task_id is not None and is_polled


def can_be_found(context: Context, job: Job) -> bool:
    """Tell whether the provider's own list may show what became of a submit without an answer."""
    provider = context.providers.get(job.provider)
    if provider is None or provider.listing is None or job.sent_at is None:
        return False
    if provider.dialect.find is None:
        return False
    # Also what was closed because the list lacked it: a list may be late.
    is_open = job.state in {State.UNKNOWN, State.CLOSED} and not is_made(job)
    return is_open and context.clock.now() - job.sent_at <= provider.listing.kept


def has_named_charge(context: Context, job: Job) -> bool:
    """Tell whether the provider can be asked what a submit was charged whose answer was lost."""
    is_open = job.state is State.UNKNOWN and job.charge is Charge.MAYBE
    provider = context.providers.get(job.provider)
    is_named = provider is not None and provider.dialect.cost is not None
    return is_open and bool(job.request_id) and is_named


def task_of(context: Context, job: Job, latest: Reply | None = None) -> Task:
    """Return a job's task as its dialect asks about it; `latest` is what a poll has just said.

    The addresses that the provider named count where they lie on the API's own origin: the key
    goes nowhere else. They stand in the stored answers.
    """
    task = Task(id=job.task_id or "", model=job.model)
    provider = context.provider(job)
    if provider.dialect.result is None:
        return task
    replies = [*context.ledger.answers(job.id, Purpose.SUBMIT), *([latest] if latest else [])]
    links: dict[str, str] = {}
    for reply in replies:
        with contextlib.suppress(UnreadableReply):
            outcome = provider.dialect.decode(reply)
            if isinstance(outcome, Running) and outcome.task_id == job.task_id:
                links |= outcome.links
    return replace(task, links={k: url for k, url in links.items() if is_at(url, job.origin)})


def _has_to_save(job: Job, *, is_recalled: bool) -> bool:
    # What a person wrote off is fetched only where a person asks for it again.
    if job.state is State.CLOSED and not is_recalled:
        return False
    return job.state is State.READY or any(i.is_wanted or is_odd(i) for i in job.images)


def is_odd(image: Image) -> bool:
    """Tell whether a picture that was saved may have a better copy at its host."""
    return bool(image.warning and image.saved_at and image.path and image.url)
