"""What earlier jobs still offer: asked for, free of charge, before anything is bought anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Charge, Problem, State
from seedream_cli.core.record import replace
from seedream_cli.engine.context import Step, StepKind, can_be_asked
from seedream_cli.engine.lifetime import is_disputable, may_live, record_lifetime
from seedream_cli.engine.workers import Inbox, SignalEvent, WorkerPool, take_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seedream_cli.core.model import Job
    from seedream_cli.engine.context import Context

ASKING_SECONDS: Final = 30.0
"""For all questions of one look together."""
_AT_ONCE: Final = 8


def ask_once(context: Context, jobs: Iterable[Job]) -> dict[str, Problem]:
    """Ask once about each of these jobs, which run or failed; return what kept us from it, by job.

    In the order in which they are given, but for those whose URLs live shortest; within
    `ASKING_SECONDS` in all, and no origin again that did not answer. What the answers mean is in
    the ledger then.
    """
    now = context.clock.monotonic()
    until = now + ASKING_SECONDS
    # No time at all to wait in: one look each, which is no `--timeout` that was tried in vain.
    timing = replace(context.timing, deadline=now, timeout=0.0, per_job=False)
    fresh: dict[str, Problem] = {}
    context = replace(
        context, timing=timing, problems=fresh, deadlines={}, heard=set(), silent=set()
    )
    asked = {job.id: job for job in _by_urgency(context, jobs) if can_be_asked(context, job)}

    def take(step: Step) -> Step | None:
        """Ask once; a poll keeps its turn until it goes, a failure is read twice."""
        origin = asked[step.job_id].origin
        if origin in context.silent:
            fresh.setdefault(step.job_id, Problem("unreachable", f"{origin} did not answer"))
            return None
        if context.clock.monotonic() >= until:
            return None
        following = take_step(context, step)
        if following is None or following.deed is not StepKind.POLL:
            return None
        return following if following.tries == step.tries else None

    def stop_in_time() -> None:
        if context.clock.monotonic() >= until:
            inbox.put(SignalEvent(0))

    inbox: Inbox = Inbox()
    pool = WorkerPool(take, context.clock, inbox, workers=_AT_ONCE, on_signal=lambda _: 0.0)
    # Of steps that are due at once the heap takes the first in the order of their times.
    steps = [Step(now + k * 1e-6, job_id, StepKind.POLL) for k, job_id in enumerate(asked)]
    pool.run(steps, tick=stop_in_time)
    late = Problem("timeout", f"there was no time to ask within {ASKING_SECONDS:g} s")
    for job_id in asked.keys() - context.heard:
        fresh.setdefault(job_id, late)
    return {job_id: fresh[job_id] for job_id in asked if job_id not in context.heard}


def _by_urgency(context: Context, jobs: Iterable[Job]) -> list[Job]:
    fleeting = {name for name, each in context.providers.items() if each.is_fleeting}
    return sorted(jobs, key=lambda job: job.provider not in fleeting)


def recall(context: Context, jobs: Iterable[Job]) -> frozenset[str]:
    """Ask once about those jobs that failed, maybe charged; return whose word could not be had."""
    doubtful = [job for job in jobs if is_doubtful(context, job)]
    if not doubtful:
        return frozenset()
    return frozenset(ask_once(context, doubtful)).intersection(job.id for job in doubtful)


def is_doubtful(context: Context, job: Job) -> bool:
    """Tell whether a failed job may bring its picture after all, as far as its record goes back."""
    if job.state is not State.FAILED or job.charge is not Charge.MAYBE:
        return False
    age = context.clock.now() - (job.sent_at or job.created_at)
    return can_be_asked(context, job) and age <= record_lifetime(context, job)


def still_offers(context: Context, job: Job, *, is_anew: bool) -> tuple[int, ...] | None:
    """Return which saved pictures of a job are to be fetched once more; None: it offers nothing.

    `is_anew`: also those count whose file was deleted, while their URLs live.
    """
    match job.state:
        case State.RUNNING | State.READY:
            return ()
        case State.EXPIRED if any(map(is_disputable, job.images)):
            return ()
        # The bytes may be had once more for nothing, which is always better than to buy them.
        case State.SAVED if is_anew and job.images and job.problem is None:
            lost = [i for i in job.images if not (i.path and Path(i.path).exists())]
            now = context.clock.now()
            is_there = all(may_live(job, image, now) for image in lost)
            return tuple(image.index for image in lost) if lost and is_there else None
        case _:
            return None
