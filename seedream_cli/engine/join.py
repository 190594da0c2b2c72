"""Waits for a purchase of another process in place of making the same one again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import OutcomeUnknown
from seedream_cli.core.events import JobChanged
from seedream_cli.core.model import OPEN_STATES, Charge, Problem, State
from seedream_cli.core.record import replace
from seedream_cli.engine.context import Substitute, can_be_found
from seedream_cli.engine.recovery import conclude_dead
from seedream_cli.engine.save import write_sidecar

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from seedream_cli.core.model import Job
    from seedream_cli.engine.context import Context, Step

_LOOK_SECONDS = (0.2, 0.5)
"""Between two looks into the ledger."""
_LATE: Final = timedelta(seconds=30)
"""For a look itself."""
_FLAGS = ("overwrite", "sidecar")
"""Of an output: what is wanted of a picture beside its name."""


def plan(
    context: Context,
    jobs: Sequence[Job],
    *,
    despite: Collection[str] = (),
    ext: str | None = None,
    is_again: bool = False,
) -> list[Job]:
    """Write down what is to be bought, or who buys it already; arguments as in `Ledger.plan`."""
    planned = context.ledger.plan(jobs, despite=despite, is_dead=context.is_dead, ext=ext)
    for job, ours in zip(planned, jobs, strict=True):
        if job.id != ours.id:
            context.joined[job.id] = Substitute(ours, frozenset(despite), ext, is_again)
    return planned


def join(context: Context, job: Job, step: Step) -> Step | None:
    """Look once at a job of another process, which alone sends and saves it while it lives.

    its process lives                     look again in 0.2 to 0.5 s
    the picture is saved                  it is ours too, and nothing was bought here
    it died, and the task id is known     go on with its task
    it died before it sent anything       buy it here (`_plan_again`)
    """
    joined = context.joined[job.id]
    is_left, owner = context.is_dead(job.owner), job.owner
    if is_left:  # what it did last is not in `job` yet, nor who took it on since
        job = context.ledger.job(job.id)
        is_left = job.owner == owner or context.is_dead(job.owner)
    if is_left:
        conclude_dead(context, job)
        job = context.ledger.job(job.id)
    context.notify(JobChanged(job=job))
    # Nothing was sent, or a person wrote it off: which of both decides if we may buy.
    if job.state is State.CLOSED:
        return _plan_again(context, job, joined)
    # The process that lost an answer may still find its task: its word is waited for.
    if (_is_over(job) and not (_is_searched(context, job) and not is_left)) or (
        job.state is State.RUNNING and not context.is_waiting
    ):
        _write_sidecars(context, job, joined.ours)
        return None
    if is_left:
        return _take_on(context, job, joined.ours)
    now, until = context.clock.monotonic(), context.deadline(job.id)
    if now >= until:
        words = f"the process that buys it has not finished within {context.timing.timeout:g} s"
        context.problems[job.id] = Problem("timeout", words, f"seedream download {job.id}")
        return None
    shortest, longest = _LOOK_SECONDS
    return replace(step, due=min(until, now + shortest + (longest - shortest) * context.random()))


def _is_over(job: Job) -> bool:
    if job.state in {State.UNKNOWN, State.SAVED}:
        return not any(each.is_wanted for each in job.images)
    return job.state not in OPEN_STATES


def _is_searched(context: Context, job: Job) -> bool:
    """Tell whether the live process that lost the answer to a submit may still look for it."""
    attempt, listing = context.ledger.attempt(job), context.provider(job).listing
    if listing is None or attempt is None or attempt.ended_at is None:
        return False
    last = timedelta(seconds=listing.looks[-1] * context.timing.look_pace) + _LATE
    is_soon = context.clock.now() <= attempt.ended_at + last
    return job.state is State.UNKNOWN and is_soon and can_be_found(context, job)


def _take_on(context: Context, job: Job, ours: Job) -> Step | None:
    """Go on with what a dead process had bought, saved the way that we want it too."""
    # Either of the two commands may have asked for it, and this is the only picture they get.
    flags = {name: bool(job.output.get(name) or ours.output.get(name)) for name in _FLAGS}
    if any(flags[name] != bool(job.output.get(name)) for name in _FLAGS):
        job = context.ledger.put_output(job, {**job.output, **flags})
    del context.joined[job.id]
    return context.next_step(job)


def _plan_again(context: Context, job: Job, joined: Substitute) -> Step | None:
    """Buy what the other process did not; what it could not either is tried once more, no more."""
    # Stopped is not turned away: what was cut says nothing against another try.
    is_cut = job.problem is None or job.problem.code == "interrupted"
    if job.charge is not Charge.NONE:
        words = "it was written off while we waited for it; it may have been charged"
        context.problems[job.id] = Problem("outcome_unknown", words, f"seedream status {job.id}")
        return None
    if context.halt_reason() or (joined.is_again and not is_cut):
        return None
    try:
        (planned,) = plan(
            context, [joined.ours], despite=joined.despite, ext=joined.ext, is_again=True
        )
    # An equal job is unknown by now, and holds ours back.
    except OutcomeUnknown as error:
        context.problems[job.id] = Problem(error.code, error.message, error.hint)
        return None
    del context.joined[job.id]
    context.replaced[job.id] = planned
    return context.first_step(planned)


def _write_sidecars(context: Context, job: Job, ours: Job) -> None:
    """Write the sidecars that only we asked for."""
    if ours.output.get("sidecar") and not job.output.get("sidecar"):
        # Only we asked for one: ours says whether what lies in its place may be replaced.
        job = replace(job, output={**job.output, "overwrite": ours.output.get("overwrite")})
        for image in job.images:
            if image.saved_at and image.path:
                write_sidecar(context, job, image, image.sha256)
