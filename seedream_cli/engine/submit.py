"""The step that costs money: the ledger says `sending` before the first byte leaves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from seedream_cli.core.errors import (
    Interrupted,
    OutcomeUnknown,
    Overtaken,
    StorageError,
    Throttled,
    Unsent,
    Withheld,
)
from seedream_cli.core.events import JobChanged, Waiting
from seedream_cli.core.model import Busy, Charge, Problem, Refused, Running, State
from seedream_cli.core.record import replace
from seedream_cli.engine.answers import (
    is_accepted,
    mark_unknown,
    read_answer,
    report_loss,
    request_id_of,
)
from seedream_cli.engine.rate_limit import Delay
from seedream_cli.engine.save import answers_folder
from seedream_cli.engine.stream import follow_stream
from seedream_cli.transport import backoff
from seedream_cli.transport.exchange import AnswerCut, Limits

if TYPE_CHECKING:
    from seedream_cli.core.model import Call, Job, Outcome, Profile, Reply
    from seedream_cli.engine.context import Context, Step
    from seedream_cli.transport.client import StreamedAnswer

_LOCKED_OUT_SECONDS = 2.0
"""So long nobody follows a job whose account was refused: whoever runs many then stops them."""
_LOOK_SECONDS = 0.5
"""Until a job looks again whether its budget has room for it."""


def submit(context: Context, job: Job, step: Step) -> Step | None:
    """Send what this command planned for a job, once there is room for it.

    there is room           it is sent
    there is none yet       the same step, later; that is no try
    somebody stopped it     closed, and not charged
    """
    try:
        _check_allowed(context, job)  # before it waits: who is not to be sent takes nobody's place
    except (Interrupted, Withheld) as error:
        context.limiter.release(job)
        return _withhold(context, job, step, error)
    wait = context.limiter.submit(job, context.provider(job))
    if wait is None:
        context.deadline(job.id)  # the time runs from here
        try:
            return _send(context, job, step)
        except (Interrupted, Withheld) as error:
            return _withhold(context, job, step, error)
        except Throttled as error:
            # Another process took the room between our look and the first byte.
            wait = Delay(error.seconds, error.message)
        # Sent, it counts by its row in the ledger; unsent, its place is free for another.
        finally:
            context.limiter.release(job)
    return _wait_for_room(context, step, wait)


def _withhold(context: Context, job: Job, step: Step, error: Interrupted | Withheld) -> Step | None:
    """Give up what is not to be sent any more; nothing of it was.

    What is on its way may cost less than it might: that is waited for, but where we were stopped.
    """
    # What has stopped brings no news in this command: it is not waited for.
    if isinstance(error, Withheld) and error.undecided - context.problems.keys():
        return _wait_for_room(context, step, Delay(_LOOK_SECONDS))
    problem = Problem(error.code, error.message, error.hint)
    context.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)
    return None


def _check_allowed(context: Context, job: Job) -> None:
    """Raise `Interrupted` or `Withheld` where a job is not to be sent; `_spend` asks once more."""
    _check_halt(context, job)
    profile = context.account(job)
    if profile.budget is not None:
        context.ledger.check_budget(job, profile.budget, profile.api_key)


def _check_halt(context: Context, job: Job) -> None:
    if reason := context.halt_reason():
        raise Interrupted(reason)
    if problem := context.objection(job):
        raise Withheld(problem.message, hint=problem.hint, code=problem.code)


def _wait_for_room(context: Context, step: Step, wait: Delay) -> Step:
    """Put a submit off for which there is no room yet: no try of it, and never a reason to end.

    A wait of less than a second is not worth a word.
    """
    if wait.reason and wait.seconds >= 1 and not step.is_told:
        context.notify(Waiting(job_id=step.job_id, seconds=wait.seconds, reason=wait.reason))
        step = replace(step, is_told=True)
    return replace(step, due=context.clock.monotonic() + wait.seconds)


def _send(context: Context, job: Job, step: Step) -> Step | None:
    call, header = context.calls[job.id], context.provider(job).client_id_header
    # For the provider's support; none of them knows a repeated request by it.
    headers = {header: f"seedream-{job.id}"} if header else {}
    profile = context.account(job)
    to = (profile, call, submit_limits(context, job))
    spend = partial(_spend, context, job, call, profile)
    try:
        # Whatever was asked for, a gateway may answer with a stream, or with pictures inline.
        with (
            context.transport.listen(*to, on_first_byte=spend, headers=headers) as answer,
            context.files.spill(job.id, answers_folder(job)) as answer.spill,
        ):
            return _hear(context, _read_sent(context, job), answer, step)
    except Unsent as error:
        problem = Problem("unreachable", error.message, error.hint)
        # Provably nothing had left: the row `sending` is written in the hook just before it would.
        return _put_off(context, job, step, problem, is_final=error.is_final)
    except OutcomeUnknown as error:
        return _take_cut(context, context.ledger.job(job.id), error, step)


def _take_cut(context: Context, job: Job, error: OutcomeUnknown, step: Step) -> Step | None:
    """Keep what came of an answer that was cut; go on with it only where it is whole JSON.

    Its status or half of it prove nothing: then nobody knows the outcome.

        whole JSON with a task id, then a cut     running
        half of it, or a status and no more       unknown, and never sent again
    """
    reply = error.reply if isinstance(error, AnswerCut) else None
    if reply is not None and is_accepted(context, job, reply):
        return _take(context, job, reply, step)
    # Else somebody has concluded it meanwhile, and knows no less than we do.
    if job.state is State.SENDING:
        request_id = request_id_of(context, job, reply) if reply is not None else None
        job = mark_unknown(context, job, error.message, request_id)
    if reply is not None:  # only now: nobody shall take it for the answer, should we be killed
        context.ledger.store(job.id, reply)
    return context.next_step(job)


def _read_sent(context: Context, job: Job) -> Job:
    """Return a job as its spending wrote it down, also where the ledger cannot be read any more.

    What is paid for is heard to its end all the same, and said.
    """
    try:
        return context.ledger.job(job.id)
    except StorageError:
        return replace(job, state=State.SENDING, charge=Charge.MAYBE)


def _spend(context: Context, job: Job, call: Call, profile: Profile) -> None:
    """Spend. The transport calls this just before the first byte leaves; nothing else does."""
    # Once more: name, connection and TLS took their time, and a signal may have come in it.
    _check_halt(context, job)
    provider = context.provider(job)
    # The stand-in is no account: it is sent to as fast as its jobs come (`rate_limit.submit`, too).
    limit = None if job.sandbox else provider.limit
    key, budget = profile.api_key, profile.budget
    context.ledger.begin(job.id, limit, body=call.body, key=key, budget=budget)
    context.limiter.note_start(job)
    context.pace.note_sent(job)
    sending = replace(job, state=State.SENDING, charge=Charge.MAYBE)
    is_polled = provider.dialect.poll is not None
    context.notify(JobChanged(job=sending, word="sending" if is_polled else "generating"))


def submit_limits(context: Context, job: Job) -> Limits:
    """Return how long the answer to a submit is waited for."""
    # A task id comes at once; pictures come when they are made, and giving up is unknown.
    if context.provider(job).dialect.poll is not None:
        return Limits(read=120.0, total=180.0)
    read = max(600.0, context.timing.timeout)
    return Limits(read=read, total=read + 60.0 * job.expected)


def _hear(context: Context, job: Job, answer: StreamedAnswer, step: Step) -> Step | None:
    if context.provider(job).dialect.event is None or not answer.is_stream:
        return _take(context, job, answer.whole(), step)
    context.limiter.note_answer(job)
    return context.next_step(follow_stream(context, job, answer))


def _take(context: Context, job: Job, reply: Reply, step: Step) -> Step | None:
    """Store a submit's answer raw, then read it."""
    try:
        context.ledger.store(job.id, reply)
        job, outcome = read_answer(context, job, reply)
    except Overtaken:
        # The main thread gave it up a moment ago; the answer is here after all.
        try:
            job, outcome = read_answer(context, context.ledger.job(job.id), reply)
        except StorageError as error:
            raise report_loss(context, job, reply, error) from error
    except StorageError as error:
        raise report_loss(context, job, reply, error) from error
    # How long it takes is counted from its acceptance, not from the first byte.
    if isinstance(outcome, Running):
        context.pace.note_sent(job)
    if outcome is not None and _is_locked_out(outcome):
        context.limiter.pause(job, _LOCKED_OUT_SECONDS)
    elif outcome is not None:
        context.limiter.note_answer(job)
    if isinstance(outcome, Busy):
        asked = outcome.retry_after or backoff.retry_after(reply.headers, context.clock.now())
        return _put_off(context, job, step, outcome.problem, asked)
    context.notify(JobChanged(job=job))
    return context.next_step(job)


def _put_off(
    context: Context,
    job: Job,
    step: Step,
    problem: Problem,
    asked: float | None = None,
    *,
    is_final: bool = False,
) -> Step | None:
    """Put a submit off of which provably nothing was started, or give it up.

    429 with Retry-After: 7              the same step in 7 s, and no other submit before that
    no connection, for the fourth time   closed, and not charged
    a certificate that is not trusted    closed at once: another try meets the same one
    """
    # Whoever is told "1 s" again and again asks less and less often.
    wait = max(asked, float(step.tries)) if asked is not None else context.retry_delay(step.tries)
    is_busy = problem.code != "unreachable"
    tries = context.timing.busy_tries if is_busy else context.timing.submit_tries
    # Nobody sits there for so long: the person is told, and may come back.
    is_too_long = wait > backoff.MAX_RETRY_AFTER
    if is_too_long:
        said = f"{problem.message} (it asks to wait {wait:.0f} s)"
        problem = replace(problem, message=said)
    if (
        is_final
        or is_too_long
        or step.tries + 1 >= tries
        or context.clock.monotonic() + wait > context.deadline(job.id)
    ):
        # Read anew: an answer that said "busy" has moved it from `sending` back to `planned`.
        job = context.ledger.job(job.id)
        job = context.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)
        context.notify(JobChanged(job=job))
        return None
    if is_busy:  # to one of us is to all
        context.limiter.pause(job, wait)
    context.notify(Waiting(job_id=job.id, seconds=wait, reason=problem.message))
    return replace(step, due=context.clock.monotonic() + wait, tries=step.tries + 1)


def _is_locked_out(outcome: Outcome) -> bool:
    """Tell whether an answer says that this account gets nothing: then more need not be sent."""
    return isinstance(outcome, Refused) and outcome.problem.code in {"auth", "credit"}
