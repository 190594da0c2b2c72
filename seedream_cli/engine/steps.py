"""One job's steps: submit, poll, save. The ledger is written between every two exchanges.

A step does one exchange, writes down what came of it, and returns the next step, or None when
there is nothing left to do. Who runs the steps, and how many at once, is `workers.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from seedream_cli.core.errors import (
    AccountError,
    ImageBroken,
    Interrupted,
    OutcomeUnknown,
    Overtaken,
    StorageError,
    Throttled,
    UnreadableReply,
    Unsent,
)
from seedream_cli.core.events import JobChanged, Note, Waiting
from seedream_cli.core.model import Busy, Charge, Done, Failed, Problem, Refused, Running, State
from seedream_cli.engine.answers import Verdicts
from seedream_cli.engine.fetch import fetch, is_wanted
from seedream_cli.engine.rate_limit import RateLimiter, Wait
from seedream_cli.engine.stream import Hearing
from seedream_cli.transport import backoff
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seedream_cli.core.clock import Clock
    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Call, Job, Outcome, Profile, Reply
    from seedream_cli.engine.fetch import Lack
    from seedream_cli.engine.save import Saver
    from seedream_cli.providers.spec import Provider, RateLimit
    from seedream_cli.storage.ledger.ledger import Ledger
    from seedream_cli.transport.client import StreamedAnswer, Transport


_SAVES_AT_LEAST = 2
"""Tries of a download that is late already: a synchronous answer may take all the time there is."""


_LOCKED_OUT_SECONDS = 2.0
"""So long nobody follows a job whose account was refused: whoever runs many then stops them."""


class Deed(StrEnum):
    """What a step does."""

    SUBMIT = "submit"
    POLL = "poll"
    SAVE = "save"


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """Something that is due."""

    due: float
    """Monotonic seconds."""
    job_id: str
    deed: Deed
    tries: int = 0
    """How often the same deed has been put off."""
    is_doubted: bool = False
    """A poll has read `failed` once already."""
    is_told: bool = False
    """That it waits for room was said once."""


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
    save_tries: int = 8
    believe_after: float = 5.0
    """Between the two readings of `failed`."""
    missing_grace: float = 120.0
    """How long after a submit a task may be unknown to its provider."""
    first_poll: float = 1.0


@dataclass(slots=True, kw_only=True)
class Engine:
    """What the steps of all jobs share. The world is handed in."""

    transport: Transport
    ledger: Ledger
    saver: Saver
    clock: Clock
    notify: Callable[[Event], None]
    providers: Mapping[str, Provider]
    account: Callable[[Job], Profile]
    """The profile, with its key, that may be asked about a job; raises `AccountError`."""
    random: Callable[[], float]
    timing: Timing
    calls: dict[str, Call] = field(default_factory=dict)
    """What this command planned to send, until it is sent; nobody else's jobs are submitted."""
    deadlines: dict[str, float] = field(default_factory=dict)
    """Monotonic: stands for `timing.deadline` at these jobs, until they end."""
    is_waiting: bool = True
    """False with `--no-wait`: accepted jobs are left to run."""
    problems: dict[str, Problem] = field(default_factory=dict)
    """What stopped us at jobs that have not ended."""
    strange: set[str] = field(default_factory=set)
    """Jobs of which an unknown status word was told once."""
    halted: Callable[[], str] = lambda: ""
    """Why nothing more may be sent that costs money; empty while it may."""
    limiter: RateLimiter = field(init=False)
    """When submits and polls may go."""

    def __post_init__(self) -> None:
        """Count what all processes have begun by the ledger."""
        self.limiter = RateLimiter(self.clock, self.ledger.starts)

    def take(self, step: Step) -> Step | None:
        """Do one step and return the next one of the same job, if any."""
        following = self._taken(step)
        if following is None:
            self.deadlines.pop(step.job_id, None)
            self.strange.discard(step.job_id)
        if step.deed is Deed.SUBMIT and (following is None or following.deed is not Deed.SUBMIT):
            self.calls.pop(step.job_id, None)
        return following

    def _taken(self, step: Step) -> Step | None:
        try:
            job = self.ledger.job(step.job_id)
            match step.deed:
                case Deed.SUBMIT:
                    return self._submit(job, step)
                case Deed.POLL:
                    return self._poll(job, step)
                case Deed.SAVE:
                    return self._save(job, step)
        except Overtaken:
            # Whoever was quicker wrote down what to go on from.
            return self.first_step(self.ledger.job(step.job_id))
        except (StorageError, AccountError) as error:
            self._stop(step.job_id, error)
            return None

    def first_step(self, job: Job) -> Step | None:
        """Return what a job waits for, if anything."""
        now = self.clock.monotonic()
        match job.state:
            case State.PLANNED if job.id in self.calls:
                return Step(now, job.id, Deed.SUBMIT)
            case State.RUNNING:
                return Step(now, job.id, Deed.POLL)
            case State.READY:
                return Step(now, job.id, Deed.SAVE)
            case State.UNKNOWN | State.SAVED if any(map(is_wanted, job.images)):
                return Step(now, job.id, Deed.SAVE)
            case _:
                return None

    # -- submit --------------------------------------------------------------------------------

    def _submit(self, job: Job, step: Step) -> Step | None:
        provider = self.providers[job.provider]
        wait = self.limiter.submit(job, provider)
        if wait is None:
            self._deadline(job.id)  # the time runs from here
            try:
                return self._let_go(job, step)
            except Interrupted as error:
                self._halt(job, error)
                return None
            except Throttled as error:
                # Another process took the room between our look and the first byte.
                wait = Wait(error.seconds, error.message)
            finally:
                self.limiter.release(job)
        return self._stand_back(step, wait)

    def _halt(self, job: Job, error: Interrupted) -> None:
        """Close a job that may not be sent any more: nothing of it was."""
        problem = Problem(error.code, error.message)
        self.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)

    def _stand_back(self, step: Step, wait: Wait) -> Step:
        """Put a submit off for which there is no room yet: no try of it, and never a reason to end.

        A wait of less than a second is not worth a word.
        """
        if wait.reason and wait.seconds >= 1 and not step.is_told:
            self.notify(Waiting(job_id=step.job_id, seconds=wait.seconds, reason=wait.reason))
            step = replace(step, is_told=True)
        return replace(step, due=self.clock.monotonic() + wait.seconds)

    def _let_go(self, job: Job, step: Step) -> Step | None:
        call = self.calls[job.id]
        try:
            if call.is_stream or call.is_inline:
                return self._listen(job, call, step)
            reply = self.transport.send(
                self.account(job),
                call,
                self._submit_limits(job),
                on_first_byte=lambda: self._begin(job),
                headers=self._names(job),
            )
        except Unsent as error:
            return self._later(job, step, Problem("unreachable", error.message))
        except OutcomeUnknown as error:
            return self._next(self.lose(self.ledger.job(job.id), error.message))
        return self._hear(self.ledger.job(job.id), reply, step)

    def _listen(self, job: Job, call: Call, step: Step) -> Step | None:
        """Submit where the answer is more than a few words: a stream, or pictures inline."""
        with self.transport.listen(
            self.account(job),
            call,
            self._submit_limits(job),
            on_first_byte=lambda: self._begin(job),
            headers=self._names(job),
        ) as heard:
            sent = self.ledger.job(job.id)
            if not call.is_inline:
                return self._heed(sent, heard, step)
            with self.saver.files.spill(job.id) as heard.spill:
                return self._heed(sent, heard, step)

    def _heed(self, sent: Job, heard: StreamedAnswer, step: Step) -> Step | None:
        if not heard.is_stream:
            return self._hear(sent, heard.whole(), step)
        self.limiter.note_answer(sent)
        return self._next(self.hearing.follow(sent, heard))

    def _names(self, job: Job) -> dict[str, str]:
        header = self.providers[job.provider].client_id_header
        return {header: f"seedream-{job.id}"} if header else {}

    def _begin(self, job: Job) -> None:
        """Spend. The transport calls this just before the first byte leaves; nothing else does."""
        if reason := self.halted():
            raise Interrupted(reason)
        self.ledger.begin(job.id, self._limit(job))
        self.limiter.note_start(job)
        sending = replace(job, state=State.SENDING, charge=Charge.MAYBE)
        is_polled = self.providers[job.provider].dialect.poll is not None
        self.notify(JobChanged(job=sending, word="sending" if is_polled else "generating"))

    def _limit(self, job: Job) -> RateLimit | None:
        return None if job.sandbox else self.providers[job.provider].limit

    def _submit_limits(self, job: Job) -> Limits:
        if self.providers[job.provider].dialect.poll is not None:
            return Limits(read=120.0, total=180.0)
        read = max(600.0, self.timing.timeout)
        return Limits(read=read, total=read + 60.0 * job.expected)

    @property
    def hearing(self) -> Hearing:
        """What follows the event stream of a set."""
        return Hearing(
            ledger=self.ledger,
            saver=self.saver,
            notify=self.notify,
            providers=self.providers,
            now=self.clock.now,
        )

    @property
    def verdicts(self) -> Verdicts:
        """What reads answers."""
        return Verdicts(
            ledger=self.ledger,
            notify=self.notify,
            providers=self.providers,
            now=self.clock.now,
        )

    def settle(self, job: Job, reply: Reply) -> tuple[Job, Outcome | None]:
        """Read the stored answer to a submit and take the step that it means; also at recovery."""
        return self.verdicts.settle(job, reply)

    def lose(self, job: Job, reason: str) -> Job:
        """Write down that nobody knows what became of a submit; it is never sent again."""
        return self.verdicts.lose(job, reason)

    def _hear(self, job: Job, reply: Reply, step: Step) -> Step | None:
        """Store a submit's answer raw, then read it."""
        try:
            self.ledger.store(job.id, reply)
            job, outcome = self.settle(job, reply)
        except Overtaken:
            # The main thread gave it up a moment ago; the answer is here after all.
            job, outcome = self.settle(self.ledger.job(job.id), reply)
        except StorageError as error:
            raise StorageError(
                error.message, hint=self.verdicts.rescue_words(job, reply)
            ) from error
        if outcome is not None and _is_locked_out(outcome):
            self.limiter.pause(job, _LOCKED_OUT_SECONDS)
        elif outcome is not None:
            self.limiter.note_answer(job)
        if isinstance(outcome, Busy):
            asked = outcome.retry_after or backoff.parse_retry_after(
                reply.headers.get("retry-after"), self.clock.now()
            )
            return self._later(job, step, outcome.problem, asked)
        self.notify(JobChanged(job=job))
        return self._next(job)

    def _later(
        self, job: Job, step: Step, problem: Problem, asked: float | None = None
    ) -> Step | None:
        """Put a submit off of which provably nothing was started, or give it up."""
        # Whoever is told "1 s" again and again asks less and less often.
        wait = max(asked, float(step.tries)) if asked is not None else self._backoff(step.tries)
        is_busy = problem.code != "unreachable"
        tries = self.timing.busy_tries if is_busy else self.timing.submit_tries
        is_too_long = wait > backoff.MAX_RETRY_AFTER
        if is_too_long:
            said = f"{problem.message} (it asks to wait {wait:.0f} s)"
            problem = replace(problem, message=said)
        if (
            is_too_long
            or step.tries + 1 >= tries
            or self.clock.monotonic() + wait > self._deadline(job.id)
        ):
            job = self.ledger.job(job.id)
            job = self.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)
            self.notify(JobChanged(job=job))
            return None
        if is_busy:  # to one of us is to all
            self.limiter.pause(job, wait)
        self.notify(Waiting(job_id=job.id, seconds=wait, reason=problem.message))
        return replace(step, due=self.clock.monotonic() + wait, tries=step.tries + 1)

    def _backoff(self, tries: int) -> float:
        return backoff.delay(tries + 1, self.random, base=0.5, cap=30.0)

    # -- poll ----------------------------------------------------------------------------------

    def _poll(self, job: Job, step: Step) -> Step | None:
        if job.state is not State.RUNNING:
            return self.first_step(job)
        provider = self.providers[job.provider]
        dialect = provider.dialect
        if dialect.poll is None or job.task_id is None:
            self._stop(job.id, UnreadableReply(f"{job.provider} has no way to ask about it"))
            return None
        wait = self.limiter.poll(job, provider)
        if wait is not None:
            return replace(step, due=self.clock.monotonic() + wait.seconds)
        try:
            reply = self.transport.send(self.account(job), dialect.poll(job.task_id), Limits())
            self.ledger.store(job.id, reply)
            outcome = dialect.decode(reply)
        except (Unsent, OutcomeUnknown, UnreadableReply) as error:
            return self._poll_again(job, step, error.message)
        if getattr(outcome, "task_id", None) not in {None, "", job.task_id}:
            return self._poll_again(job, step, "the answer is about another task")
        return self._polled(job, step, outcome)

    def _polled(self, job: Job, step: Step, outcome: Outcome) -> Step | None:
        match outcome:
            case Done():
                job = self.verdicts.ready(job, outcome)
                self.notify(JobChanged(job=job))
                return self._next(job)
            case Failed(problem=problem):
                return self._doubt(job, step, problem)
            case Running(is_missing=True) if self._age(job) > self.timing.missing_grace:
                return self._doubt(
                    job, step, Problem("provider_failed", f"{job.provider} does not know this task")
                )
            case Running(word=word, is_strange=is_strange):
                if is_strange and job.id not in self.strange:
                    self.strange.add(job.id)
                    self.notify(Note(message=f"{job.id}: {job.provider} says “{word}”; waiting on"))
                self.notify(JobChanged(job=job, word=word or "waiting"))
                return self._poll_again(job, replace(step, is_doubted=False), "")
            case Busy(problem=problem):
                return self._poll_again(job, step, problem.message)
            case Refused(problem=problem):
                self.problems[job.id] = problem
                return None

    def _doubt(self, job: Job, step: Step, problem: Problem) -> Step | None:
        """Believe `failed` when it is read twice."""
        if not step.is_doubted:
            due = self.clock.monotonic() + self.timing.believe_after
            return replace(step, due=due, is_doubted=True)
        self.notify(JobChanged(job=self.verdicts.fail(job, problem)))
        return None

    def _poll_again(self, job: Job, step: Step, reason: str) -> Step | None:
        now, deadline = self.clock.monotonic(), self._deadline(job.id)
        if now >= deadline:
            within = f" within {self.timing.timeout:g} s" if self.timing.timeout else " yet"
            words = f"{job.provider} has not finished{within}" + (f" ({reason})" if reason else "")
            self.problems[job.id] = Problem("timeout", words, f"seedream download {job.id}")
            return None
        if reason:
            self.notify(Waiting(job_id=job.id, seconds=0, reason=reason))
        due = now + backoff.poll_interval(self._age(job)) * (0.9 + 0.2 * self.random())
        return replace(step, due=min(due, deadline), tries=step.tries + 1)

    def _age(self, job: Job) -> float:
        return (self.clock.now() - (job.sent_at or job.created_at)).total_seconds()

    # -- save ----------------------------------------------------------------------------------

    def _save(self, job: Job, step: Step) -> Step | None:
        lack = fetch(self.saver, job, is_gone_believed=step.is_doubted)
        return self._save_again(job, step, lack) if lack is not None else None

    def _save_again(self, job: Job, step: Step, lack: Lack) -> Step | None:
        """Put a download off; the URLs are in the ledger, so giving up loses nothing."""
        if lack.is_gone and not step.is_doubted:
            # A host's "gone" is believed when it is read twice, as `failed` is.
            due = self.clock.monotonic() + self.timing.believe_after
            return replace(step, due=due, is_doubted=True)
        wait = self._backoff(step.tries)
        is_late = self.clock.monotonic() + wait > self._deadline(job.id)
        if step.tries + 1 >= self.timing.save_tries or (is_late and step.tries >= _SAVES_AT_LEAST):
            code = "provider_failed" if isinstance(lack.trouble, ImageBroken) else "timeout"
            words = f"the picture cannot be fetched: {lack.trouble.message}"
            self.problems[job.id] = Problem(code, words, f"seedream download {job.id}")
            return None
        self.notify(Waiting(job_id=job.id, seconds=wait, reason=lack.trouble.message))
        return replace(step, due=self.clock.monotonic() + wait, tries=step.tries + 1)

    # -- both ----------------------------------------------------------------------------------

    def _deadline(self, job_id: str) -> float:
        """Return until when a job is waited for, monotonic."""
        if not self.timing.per_job:
            return self.deadlines.get(job_id, self.timing.deadline)
        until = self.clock.monotonic() + self.timing.timeout
        return self.deadlines.setdefault(job_id, until)

    def _next(self, job: Job) -> Step | None:
        """Return what follows after a job has changed its state."""
        if self.timing.per_job:
            self.deadlines[job.id] = self.clock.monotonic() + self.timing.timeout
        step = self.first_step(job)
        if step is not None and step.deed is Deed.POLL:
            if not self.is_waiting:
                return None
            return replace(step, due=step.due + self.timing.first_poll)
        return step

    def _stop(self, job_id: str, error: SeedreamError) -> None:
        """Remember what stopped us; close a job of which nothing was sent."""
        problem = Problem(error.code, error.message, error.hint)
        self.problems[job_id] = problem
        if isinstance(error, AccountError):
            job = self.ledger.job(job_id)
            if job.state is State.PLANNED:
                self.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)


def _is_locked_out(outcome: Outcome) -> bool:
    """Tell whether an answer says that this account gets nothing: then more need not be sent."""
    return isinstance(outcome, Refused) and outcome.problem.code in {"auth", "credit"}
