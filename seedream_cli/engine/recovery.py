"""What a dead process left: its answers are read, its lost submits named, its temp files swept."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from seedream_cli.core.errors import Overtaken
from seedream_cli.core.model import Charge, Ended, Failed, Problem, Purpose, State
from seedream_cli.engine.answers import mark_unknown, read_answer
from seedream_cli.engine.save import answers_folder
from seedream_cli.engine.stream import close_stream, read_event
from seedream_cli.engine.submit import submit_limits

if TYPE_CHECKING:
    from datetime import datetime

    from seedream_cli.core.model import Job
    from seedream_cli.engine.context import Context
    from seedream_cli.storage.ledger.owner import Owner


_OVER = {State.SAVED, State.REFUSED, State.EXPIRED}
"""What brings no picture any more; one that failed or was written off may, also by hand."""


def conclude_leftovers(context: Context, owner: Owner) -> None:
    """Conclude the jobs and sweep the temp files of processes that died; nothing is sent.

    A dead process's `planned` jobs are closed (nothing was sent), its `sending` ones become what
    the stored answer says, and `unknown` where there is none.
    """
    names = {job.owner for job in context.ledger.submitting()} | set(owner.list_dead())
    for name in sorted(names - {owner.name}):
        with owner.leftovers(name) as is_ours:
            # It lives: what it has begun is its own to end.
            if not is_ours:
                continue
            for job in context.ledger.list_left_by(name):
                conclude_dead(context, job)
            context.files.sweep(owner.folders_of(name), is_dead=name.__eq__)
            owner.release(name)
    _sweep_answers(context)


def _sweep_answers(context: Context) -> None:
    """Let the inline pictures go of jobs that are over; of others they are kept."""
    for name in context.files.list_spilled():
        with suppress(KeyError):
            job = context.ledger.job(name)
            # One that failed or was written off may be adopted: it keeps what is no file yet.
            is_whole = bool(job.images) and all(image.saved_at for image in job.images)
            is_over = job.state in _OVER and not any(each.is_wanted for each in job.images)
            if is_over or (is_whole and job.state in {State.FAILED, State.CLOSED}):
                context.files.drop_spills(job.id, answers_folder(job))


def list_waiting(context: Context, owner: Owner) -> list[Job]:
    """Return the jobs of dead processes whose pictures wait at their provider."""
    jobs = context.ledger.list_accepted_but_of(owner.name)
    dead = {name for name in {job.owner for job in jobs} if owner.is_dead(name)}
    return [job for job in jobs if job.owner in dead]


def conclude_dead(context: Context, job: Job) -> None:
    """End a job whose process has died, when its request would have been over at the latest."""
    longest = timedelta(seconds=submit_limits(context, job).total)
    now = context.clock.now()
    conclude(
        context,
        job,
        "the process was killed while it was sending",
        "its process died before anything was sent",
        # Not now: its process may have died days ago, and lists of requests are asked by time.
        ended_at=min(now, (job.sent_at or now) + longest),
    )


def conclude(
    context: Context, job: Job, reason: str, unsent: str, *, ended_at: datetime | None = None
) -> None:
    """End a job that nobody submits any more: closed if nothing was sent, else what came of it.

    `reason` is why no answer was stored, `unsent` why nothing was sent.

        planned                       closed: nothing was sent
        sending, with an answer       what the answer says
        sending, without one          unknown
        unknown, with an answer       what the answer says, where that is good news
    """
    try:
        if job.state in {State.SENDING, State.UNKNOWN}:
            answer = context.ledger.last_answer(job.id)
            if answer is None:
                if job.state is State.SENDING:
                    _read_events(context, job, reason, ended_at)
                return
            job, _ = read_answer(context, job, answer)
        if job.state is State.PLANNED:
            problem = Problem("interrupted", unsent)
            context.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)
    except Overtaken:
        return  # someone else was quicker: the guard of the ledger held


def _read_events(context: Context, job: Job, reason: str, ended_at: datetime | None) -> None:
    """Read the stored events of a set, the last of which nobody may have read, if there are any."""
    failure: Problem | None = None
    is_over = False
    for event in context.ledger.answers(job.id, Purpose.EVENT):
        match read_event(context, context.ledger.job(job.id), event):
            case Ended():
                is_over = True
            case Failed(problem=problem):
                failure = problem
            case _:
                continue
    job = context.ledger.job(job.id)
    if is_over or failure:
        close_stream(context, job, failure)
    else:
        mark_unknown(context, job, reason, ended_at=ended_at)
