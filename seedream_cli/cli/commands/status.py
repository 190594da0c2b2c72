"""`seedream status`: what became of jobs."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seedream_cli.cli import options as o
from seedream_cli.cli import run as work
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output import job as render
from seedream_cli.cli.output import table as listing
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.model import Charge, State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job, Problem

DEFAULT_LIMIT = 20
MOST_DETAILS = 8
"""Jobs that are shown whole when they are named; more are a table."""


def status(
    jobs: o.Jobs = None,
    profile: o.ProfileName = None,
    all: o.All = False,  # noqa: A002 - the option's name
    limit: o.Limit = DEFAULT_LIMIT,
    state: o.StateFilter = None,
    unsaved: o.Unsaved = False,
    expiring: o.Expiring = None,
    since: o.Since = None,
    offline: o.Offline = False,
    json: o.Json = False,
    exit_status: o.ExitStatus = False,
    adopt: o.Adopt = None,
    not_charged: o.NotCharged = False,
    write_off: o.WriteOff = False,
    yes: o.WriteOffYes = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = 0,
) -> int:
    """Show what became of jobs; asks the provider about those that still run."""
    with ExitStack() as exits:
        world = CommandContext.of_process(exits)
        say = Plain(quiet=quiet, verbose=verbose)
        now = world.clock.now()
        wanted = _Filter(state=state, unsaved=unsaved, expiring=expiring, since=since, now=now)
        if jobs and (state or unsaved or expiring or since):
            raise UsageError("--state, --unsaved, --expiring and --since choose jobs by themselves")
        if adopt is not None or not_charged or write_off:
            offline = True
            if not jobs:
                raise UsageError("settling takes a JOB", hint="seedream status --state unknown")
        is_damaged = bool(world.ledger.check())
        offline = offline or is_damaged
        unsettled = 0 if is_damaged else conclude_quietly(world, profile, say)
        is_settling = adopt is not None or not_charged or write_off
        found = _found(world, jobs or [], wanted, -1 if all else limit, is_for_show=not is_settling)
        if adopt is not None or not_charged or write_off:
            way = _Way(adopt=adopt, not_charged=not_charged, write_off=write_off, is_sure=yes)
            found = [_settled(world, found, way)]
        problems: Mapping[str, Problem] = {}
        if not offline:
            found, problems = refresh(world, found, say, profile, is_named=bool(jobs))
        _print(found, now, is_json=json, is_single=bool(jobs), problems=problems)
        # What was settled, or never sent, is no bad end of a purchase.
        ended = [job for job in found if job.state is not State.CLOSED]
        if code := work.say_damage(world.ledger, say) or unsettled:
            return code
        if exit_status and any(render.job_exit(job, None) for job in ended):
            return 1
        return 0


class _Filter:
    """Which jobs are meant."""

    def __init__(
        self,
        *,
        state: str | None,
        unsaved: bool,
        expiring: str | None,
        since: str | None,
        now: datetime,
    ) -> None:
        from seedream_cli.cli.arguments import parse_span

        self.states: Collection[State] | None = None
        self.since = now - parse_span(since, "--since") if since is not None else None
        self._before = now + parse_span(expiring, "--expiring") if expiring else None
        if state is not None:
            if state not in set(State):
                known = ", ".join(State)
                raise UsageError(f"--state {state}: there is no such state", hint=f"one of {known}")
            self.states = {State(state)}
        if unsaved or expiring is not None:
            live = {State.SENDING, State.RUNNING, State.READY, State.UNKNOWN}
            self.states = live.intersection(self.states) if self.states is not None else live

    def takes(self, job: Job) -> bool:
        """Tell whether a job's URLs lapse soon enough."""
        if self._before is None:
            return True
        return any(
            image.expires_at and image.expires_at <= self._before
            for image in job.images
            if not image.saved_at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How an unknown job is settled."""

    adopt: str | None
    not_charged: bool
    write_off: bool
    is_sure: bool


def _settled(world: CommandContext, found: Sequence[Job], way: _Way) -> Job:
    from seedream_cli.engine import settle as settling
    from seedream_cli.providers import PROVIDERS

    if (way.adopt is not None) + way.not_charged + way.write_off != 1:
        raise UsageError("--adopt, --not-charged and --write-off exclude each other")
    if len(found) != 1:
        raise UsageError("settling takes one JOB", hint="seedream status --state unknown")
    if way.adopt is not None:
        provider = PROVIDERS[found[0].provider]
        return settling.adopt(world.ledger, found[0], provider, way.adopt)
    charge = Charge.NONE if way.not_charged else Charge.MAYBE
    return settling.close(world.ledger, found[0], charge=charge, is_sure=way.is_sure)


def _found(
    world: CommandContext, names: Sequence[str], wanted: _Filter, limit: int, *, is_for_show: bool
) -> list[Job]:
    if names:
        from seedream_cli.storage.ledger.names import find

        found = {job.id: job for name in names for job in find(world.ledger, name).jobs}
        return list(found.values())
    jobs = world.ledger.jobs(states=wanted.states, since=wanted.since, is_for_show=is_for_show)
    taken = [job for job in jobs if wanted.takes(job)]
    return taken if limit < 0 else taken[:limit]


def conclude_quietly(world: CommandContext, profile: str | None, say: Plain) -> int:
    """Conclude what dead processes left, where anything is left; return 74 where that failed.

    A broken ledger is only read.
    """
    if world.ledger.is_read_only:
        return 0
    try:
        if world.ledger.submitting():
            engine = world.engine(world.timing(0.0), Plain(quiet=True), profile=profile)
            world.conclude_leftovers(engine)
    except StorageError as error:
        # All that can be read is shown all the same.
        say.say(error.message, is_error=True)
        return error.exit
    return 0


class _OnlyExchanges:
    """Hears of each request, for `-v`, and of nothing else."""

    def __init__(self, say: Plain) -> None:
        self._say = say

    def __call__(self, event: Event) -> None:
        from seedream_cli.core.events import Exchange

        if isinstance(event, Exchange):
            self._say(event)


def refresh(
    world: CommandContext,
    jobs: Sequence[Job],
    say: Plain,
    profile: str | None,
    *,
    is_named: bool,
) -> tuple[list[Job], Mapping[str, Problem]]:
    """Ask once about each job that runs; without key or network say so and show what is stored.

    A person may ask again about what failed: `is_named`.
    """
    asked = {State.RUNNING, State.FAILED} if is_named else {State.RUNNING}
    open_ones = [job for job in jobs if job.state in asked]
    if not open_ones:
        return list(jobs), {}
    from seedream_cli.engine.recall import ask_once

    engine = world.engine(world.timing(0.0), _OnlyExchanges(say), profile=profile)
    engine.problems.update(ask_once(engine, open_ones))
    problems = {
        job_id: problem
        for job_id, problem in engine.problems.items()
        if problem.code != "timeout" or "(" in problem.message
    }
    for problem in {problem.message: problem for problem in problems.values()}.values():
        say.say(f"not asked: {problem.message}")
    return [work.latest(world.ledger, job) for job in jobs], problems


def _print(
    jobs: Sequence[Job],
    now: datetime,
    *,
    is_json: bool,
    is_single: bool,
    problems: Mapping[str, Problem],
) -> None:
    stdout = Stdout()
    if is_json:
        for job in jobs:
            stdout.json(render.job_json(job, problems.get(job.id)))
        return
    if is_single and len(jobs) <= MOST_DETAILS:
        for number, job in enumerate(jobs):
            for line in ([""] if number else []) + listing.details(job, now):
                stdout.line(line)
        return
    if not jobs:
        Plain().say("no jobs" if not is_single else "nothing found")
        return
    for line in listing.table(jobs, now, shutil.get_terminal_size((120, 24)).columns):
        stdout.line(line)
    total = listing.sums(jobs)
    if total:
        stdout.line(f"cost together: about {total}")
