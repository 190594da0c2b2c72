"""The step that asks how a job goes; it is free, and goes on until the deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.core.errors import (
    OutcomeUnknown,
    Overtaken,
    StorageError,
    UnreadableReply,
    Unsent,
)
from seedream_cli.core.events import JobChanged, Note, Waiting
from seedream_cli.core.model import Busy, Charge, Done, Failed, Problem, Refused, Running, State
from seedream_cli.core.record import replace
from seedream_cli.engine.answers import (
    doubt,
    mark_failed,
    mark_ready,
    report_loss,
    with_page,
)
from seedream_cli.engine.context import task_of
from seedream_cli.engine.lifetime import is_record_over
from seedream_cli.engine.pace import heed
from seedream_cli.engine.save import answers_folder
from seedream_cli.transport import backoff
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from seedream_cli.core.model import Call, Job, Outcome, Reply
    from seedream_cli.engine.context import Context, Step
    from seedream_cli.engine.rate_limit import Delay

_LAST_LOOK = 5.0
"""Seconds after the deadline within which a job may have its turn once more: all jobs of a command
come for it then, and one of them may be done."""


def poll(context: Context, job: Job, step: Step) -> Step | None:
    """Ask once how a job goes and take the step that the answer means."""
    if job.state not in {State.RUNNING, State.FAILED}:
        return context.first_step(job)
    provider = context.provider(job)
    dialect = provider.dialect
    if dialect.poll is None or job.task_id is None:
        context.stop(job.id, UnreadableReply(f"{job.provider} has no way to ask about it"))
        return None
    wait = context.limiter.poll(job, provider, lambda stretch: context.pace.urgency(job, stretch))
    if wait is not None:
        return _wait_for_turn(context, job, step, wait)
    context.pace.note_asked(job)
    try:
        reply = _exchange(context, job, dialect.poll(task_of(context, job)))
        if dialect.result is not None and _is_finished(context, job, reply):
            context.ledger.store(job.id, reply)
            reply = _exchange(context, job, dialect.result(task_of(context, job, reply)))
    except (Unsent, OutcomeUnknown) as error:
        context.silent.add(job.origin)
        return _ask_again(context, job, step, error.message)
    try:
        return _read(context, job, step, reply)
    except Overtaken:
        raise
    except StorageError as error:
        raise report_loss(context, job, reply, error) from error


def _wait_for_turn(context: Context, job: Job, step: Step, wait: Delay) -> Step | None:
    """Put a look off until its turn, or give up where that comes too long after the deadline.

    A job that was not asked about yet is asked once all the same, and one that was read `failed`
    once more, but not of a provider that is busy.
    """
    now, deadline = context.clock.monotonic(), context.deadline(job.id)
    due = now + wait.seconds
    is_needed = (not step.tries or step.is_doubted) and not wait.reason
    if is_needed or due <= deadline + _LAST_LOOK:
        return replace(step, due=due)
    if now < deadline:
        return replace(step, due=deadline)
    _give_up(context, job, wait.reason)
    return None


def _exchange(context: Context, job: Job, call: Call) -> Reply:
    with (
        context.transport.listen(context.account(job), call, Limits()) as answer,
        context.files.spill(job.id, answers_folder(job)) as answer.spill,
    ):
        return answer.whole()


def _is_finished(context: Context, job: Job, reply: Reply) -> bool:
    """Tell whether a poll says that a task is over, and not yet what came of it."""
    try:
        outcome = context.provider(job).dialect.decode(reply)
    except UnreadableReply:
        return False
    return isinstance(outcome, Running) and outcome.is_finished


def _read(context: Context, job: Job, step: Step, reply: Reply) -> Step | None:
    """Store an answer raw, then take the step that it means."""
    context.ledger.store(job.id, reply)
    try:
        outcome = context.provider(job).dialect.decode(reply)
    except UnreadableReply as error:
        reason = error.message + doubt(context, job, reply)
        return _ask_again(context, job, step, reason, _asked(context, reply))
    if isinstance(outcome, Running | Done | Failed):
        context.heard.add(job.id)
    if getattr(outcome, "task_id", None) not in {None, "", job.task_id}:
        return _ask_again(context, job, step, "the answer is about another task")
    if isinstance(outcome, Running):
        context.pace.note_running(job, outcome, reply)
    return _take(context, job, step, outcome, reply)


def _take(context: Context, job: Job, step: Step, outcome: Outcome, reply: Reply) -> Step | None:
    if isinstance(outcome, Done) and _is_gone_early(context, job, outcome, reply):
        # A record's word alone loses nothing: what should still be there is asked for again.
        outcome = Running(task_id=job.task_id or "", word="gone before its time")
    failure = _failure(context, job, outcome, reply)
    match outcome:
        case _ if failure is not None:
            charge = outcome.charge if isinstance(outcome, Failed) else Charge.MAYBE
            return _doubt(context, job, step, failure, charge)
        case Done():
            return _tell(context, _mark_ready(context, job, outcome, reply))
        case Running(word=word) if job.state is State.FAILED:
            return _tell(context, context.ledger.move(job, State.RUNNING), word)
        case Running(word=word, is_strange=is_strange):
            if is_strange and job.id not in context.strange:
                context.strange.add(job.id)
                context.notify(Note(message=f"{job.id}: {job.provider} says “{word}”; waiting on"))
            context.notify(JobChanged(job=job, word=word or "waiting"))
            asked = _asked(context, reply)
            return _ask_again(context, job, replace(step, is_doubted=False), "", asked)
        case Busy(problem=problem):
            asked = outcome.retry_after or _asked(context, reply)
            if problem.code == "rate_limit":
                context.limiter.note_busy_poll(job, context.provider(job), asked)
            return _ask_again(context, job, step, problem.message, asked)
        case Refused(problem=problem) | Failed(problem=problem):
            context.problems[job.id] = with_page(problem, job, context.provider(job))
    return None


def _is_gone_early(context: Context, job: Job, done: Done, reply: Reply) -> bool:
    """Tell whether a record says that its pictures are there no more, though they should be."""
    is_gone = all(i.problem is not None and i.problem.code == "expired" for i in done.images)
    return is_gone and not is_record_over(context, job, done, reply)


def _mark_ready(context: Context, job: Job, done: Done, reply: Reply) -> Job:
    """Write down where the images are, also where another process has read `failed` meanwhile."""
    try:
        return mark_ready(context, job, done, reply)
    except Overtaken:
        job = context.ledger.job(job.id)
        if job.state not in {State.RUNNING, State.FAILED}:
            raise
        return mark_ready(context, job, done, reply)


def _tell(context: Context, job: Job, word: str = "") -> Step | None:
    context.notify(JobChanged(job=job, word=word))
    return context.next_step(job)


def _failure(context: Context, job: Job, outcome: Outcome, reply: Reply) -> Problem | None:
    """Return why an answer means that nothing will come of a task; None: it does not."""
    match outcome:
        case Failed(problem=problem):
            return problem
        case Running(is_missing=True) if _age(context, job) > context.timing.missing_grace:
            return Problem("provider_failed", f"{job.provider} does not know this task")
        case Running(is_empty=True) if is_record_over(context, job, outcome, reply):
            words = f"{job.provider} says that it is done, and never brought a picture"
            return Problem("provider_failed", words)
        case _:
            return None


def _doubt(
    context: Context, job: Job, step: Step, problem: Problem, charge: Charge | None
) -> Step | None:
    """Believe `failed` when it is read twice."""
    if job.state is State.FAILED:
        return None  # it was believed, and nothing is new
    if not step.is_doubted:
        due = context.clock.monotonic() + context.timing.believe_after
        return replace(step, due=due, is_doubted=True)
    context.notify(JobChanged(job=mark_failed(context, job, problem, charge=charge)))
    return None


def _asked(context: Context, reply: Reply) -> float | None:
    """Return for how many seconds an answer asks to wait, if it does."""
    return backoff.retry_after(reply.headers, context.clock.now())


def _ask_again(
    context: Context, job: Job, step: Step, reason: str, asked: float | None = None
) -> Step | None:
    """Put the next look off: `reason` is why this one was in vain, empty where it was not."""
    now, deadline = context.clock.monotonic(), context.deadline(job.id)
    if now >= deadline:
        _give_up(context, job, reason)
        return None
    if reason:
        context.notify(Waiting(job_id=job.id, seconds=0, reason=reason))
    troubles = step.troubles + 1 if reason else 0
    if troubles:
        wait = context.pace.until_next_try(asked, troubles)
    else:
        wait = heed(asked) if asked is not None else context.pace.until_next_look(job)
    due = min(now + wait, deadline)
    return replace(step, due=due, tries=step.tries + 1, troubles=troubles)


def _give_up(context: Context, job: Job, reason: str) -> None:
    """Leave a job that has not finished in time to the next command."""
    within = f" within {context.timing.timeout:g} s" if context.timing.timeout else " yet"
    words = f"{job.provider} has not finished{within}" + (f" ({reason})" if reason else "")
    context.give_up(job, words)


def _age(context: Context, job: Job) -> float:
    return (context.clock.now() - (job.sent_at or job.created_at)).total_seconds()
