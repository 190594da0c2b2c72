"""`seedream status`: what became of jobs."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from seedream_cli.cli import options as o
from seedream_cli.cli import run as work
from seedream_cli.cli.context import CommandContext
from seedream_cli.cli.output import job as render
from seedream_cli.cli.output import table as listing
from seedream_cli.cli.output.paint import paint_detail, paint_row, painter
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.model import State
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.core.text import json_text
from seedream_cli.storage.ledger.selection import Selection, cost_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Charge, Image, Job, Money, Problem
    from seedream_cli.engine.context import Context

DEFAULT_LIMIT = 20
_SENTENCES = ("job ", "state ", "provider ", "prompt ", "request ", "cost ", "problem ")
"""How a line begins that a terminal may break between words."""
MOST_DETAILS = 8
"""Jobs that are shown whole when they are named; more are a table."""


def status(
    jobs: o.Jobs = None,
    profile: o.OfAccount = None,
    state: o.StateFilter = None,
    unsaved: o.Unsaved = False,
    expiring: o.Expiring = None,
    since: o.Since = None,
    grep: o.Grep = None,
    all: o.All = False,  # noqa: A002 - the option's name
    limit: o.Limit = None,
    offline: o.Offline = False,
    json: o.Json = False,
    exit_status: o.ExitStatus = False,
    gallery: o.Gallery = None,
    open: o.Open = False,  # noqa: A002 - the option's name
    adopt: o.Adopt = None,
    not_charged: o.NotCharged = False,
    write_off: o.WriteOff = False,
    yes: o.SettleYes = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = 0,
) -> int:
    """Show what became of jobs; asks the provider about those that still run."""
    with ExitStack() as exits:
        world = CommandContext.of_process(exits)
        say = Plain(quiet=quiet, verbose=verbose)
        selection = _selection(
            world,
            state=state,
            unsaved=unsaved,
            expiring=expiring,
            since=since,
            words=grep,
            account=profile,
        )
        if jobs and replace(selection, account=None) != Selection():
            names = "--state, --unsaved, --expiring, --since and --grep"
            raise UsageError(f"{names} choose jobs by themselves; leave the names out")
        word = _Word.of(adopt=adopt, not_charged=not_charged, write_off=write_off, is_sure=yes)
        gallery = _check_gallery(world, gallery)
        if word is not None and not jobs:
            raise UsageError("settling takes a JOB", hint="seedream status --state unknown")
        is_damaged = bool(world.ledger.check())
        unsettled = 0 if is_damaged else conclude_quietly(world, profile, say)
        asking = _Inquiry(world, say, profile, is_off=offline or is_damaged or word is not None)
        asking.is_named = bool(jobs)
        if word is not None or jobs:
            found = _find_named(world, jobs or [], asking, word)
        else:
            is_short = not json and selection.is_any and not all and gallery is None
            most = limit if limit is not None else DEFAULT_LIMIT if is_short else -1
            found = _select(world, selection, most, asking, with_sums=not json)
        found = replace(
            found, unasked=asking.unasked, asked=asking.asked, is_cut_by_default=limit is None
        )
        if gallery is None or json:
            _print(world, found, is_json=json, verbose=verbose, is_off=offline)
        _show_pictures(world, found, gallery, say, is_open=open)
        if code := work.say_damage(world.ledger, say) or unsettled:
            return code
        # What was settled, or never sent, is no bad end of a purchase.
        ended = [job for job in found.jobs if job.state is not State.CLOSED]
        if exit_status and any(render.job_exit(job, None) for job in ended):
            return 1
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """What is to be told."""

    jobs: Sequence[Job]
    is_named: bool = False
    """They were named, one by one."""
    count: int = 0
    """How many match, shown or not."""
    is_cut_by_default: bool = False
    costs: Mapping[tuple[Charge, Money], int] = field(default_factory=dict)
    """Of all that match: how often which amount."""
    unasked: Mapping[str, Problem | None] = field(default_factory=dict)
    """Jobs that run of which nobody was asked now, and why."""
    asked: Collection[str] = ()
    """Jobs that ran and of which the provider was asked."""


def _selection(
    world: CommandContext,
    *,
    state: str | None,
    unsaved: bool,
    expiring: str | None,
    since: str | None,
    words: str | None,
    account: str | None,
) -> Selection:
    """Return the jobs that the options mean; raise `UsageError`."""
    if state is not None and state not in set(State):
        known = ", ".join(State)
        raise UsageError(f"--state {state}: there is no such state", hint=f"one of {known}")
    if account is not None:
        world.check_account(account)
    now = world.clock.now()
    return Selection(
        states={State(state)} if state is not None else None,
        account=account,
        since=now - _span(since, "--since") if since is not None else None,
        words=words,
        is_unsaved=unsaved,
        lapses_before=now + _span(expiring, "--expiring") if expiring is not None else None,
    )


def _span(text: str, option: str) -> timedelta:
    from seedream_cli.cli.arguments import parse_span

    return parse_span(text, option)


def _select(
    world: CommandContext, selection: Selection, most: int, asking: _Inquiry, *, with_sums: bool
) -> _Report:
    """Return the newest jobs that match, each that runs asked about, and the sums of all."""
    ledger = world.ledger
    if selection.lapses_before is not None:
        # What runs may have its pictures by now, and then it is known when they lapse.
        asking(ledger.select(selection, is_for_show=True))
    jobs = ledger.select(selection, limit=most, is_for_show=True)
    count, costs = ledger.totals(selection) if with_sums else (len(jobs), Counter())
    now = asking(jobs)
    # The answers may have changed what the shown ones cost; they match all the same.
    costs.subtract(_costs(jobs))
    costs.update(_costs(now))
    return _Report(jobs=now, count=count, costs=costs)


def _costs(jobs: Iterable[Job]) -> Counter[tuple[Charge, Money]]:
    return Counter(cost for cost in map(cost_of, jobs) if cost is not None)


def _find_named(
    world: CommandContext, names: Sequence[str], asking: _Inquiry, word: _Word | None
) -> _Report:
    """Return the jobs of these names: settled by `word`, else asked about."""
    from seedream_cli.storage.ledger.names import find_any

    # What is settled now is not asked about: the person has just said what it is.
    if word is not None:
        return _Report(jobs=_settle(world, names, word, asking), is_named=True)
    found = [find_any(world.ledger, name) for name in names]
    for note in filter(None, (each.note for each in found)):
        asking.say.say(note)
    jobs = asking(list({job.id: job for each in found for job in each.jobs}.values()))
    return _Report(jobs=jobs, is_named=True, count=len(jobs), costs=_costs(jobs))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What a person says became of jobs."""

    adopt: str | None
    word: str
    is_sure: bool

    @staticmethod
    def of(*, adopt: str | None, not_charged: bool, write_off: bool, is_sure: bool) -> _Word | None:
        """Return what was said, if anything; raise `UsageError` for two things at once."""
        words = ["adopt"] if adopt is not None else []
        words += ["not-charged"] if not_charged else []
        words += ["write-off"] if write_off else []
        if len(words) > 1:
            raise UsageError("--adopt, --not-charged and --write-off exclude each other")
        if not words and is_sure:
            raise UsageError("-y goes with --adopt or --write-off")
        return _Word(adopt=adopt, word=words[0], is_sure=is_sure) if words else None


def _settle(
    world: CommandContext, names: Sequence[str], word: _Word, asking: _Inquiry
) -> list[Job]:
    from seedream_cli.engine import settle as settling
    from seedream_cli.storage.ledger.names import find

    jobs = list({job.id: job for name in names for job in find(world.ledger, name).jobs}.values())
    if word.adopt is None:
        return settling.close(asking.engine, jobs, word.word, is_sure=word.is_sure)
    if len(jobs) != 1:
        raise UsageError("--adopt takes one JOB", hint="seedream status --state unknown")
    return [settling.adopt(asking.engine, jobs[0], word.adopt, is_unseen=word.is_sure)]


def conclude_quietly(world: CommandContext, profile: str | None, say: Plain) -> int:
    """Conclude what dead processes left, where anything is left; return 74 where that failed.

    A broken ledger is only read.
    """
    if world.ledger.is_read_only:
        return 0
    try:
        # Else there is nothing to conclude, and nothing is committed.
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


@dataclass(slots=True)
class _Inquiry:
    """Asks once about each job that runs; without key or network it says so."""

    world: CommandContext
    say: Plain
    profile: str | None
    is_off: bool
    is_named: bool = False
    unasked: dict[str, Problem | None] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    _engine: Context | None = None

    @property
    def engine(self) -> Context:
        """The engine, built on first use."""
        if self._engine is None:
            timing, hears = self.world.timing(0.0), _OnlyExchanges(self.say)
            self._engine = self.world.engine(timing, hears, profile=self.profile)
        return self._engine

    def __call__(self, jobs: Sequence[Job]) -> list[Job]:
        """Return jobs as they are now; a person may ask again about what failed, by its name."""
        jobs = jobs if self.is_off else self._find_lost(jobs)
        states = {State.RUNNING, *((State.FAILED,) if self.is_named else ())}
        meant = (job for job in jobs if job.state in states and job.task_id is not None)
        # Each once: `--expiring` asks about all before it knows which to show.
        waiting = [job for job in meant if job.id not in self.asked]
        if self.is_off or not waiting:
            running = (job.id for job in waiting if job.state is State.RUNNING)
            self.unasked.update(dict.fromkeys(running))
            return list(jobs)
        from seedream_cli.engine.recall import ask_once

        problems = ask_once(self.engine, waiting)
        self.asked.update(job.id for job in waiting)
        self.unasked.update(problems)
        for message, count in Counter(each.message for each in problems.values()).items():
            self.say.say(f"not asked{f' ({count} jobs)' if count > 1 else ''}: {message}")
        return [work.latest(self.world.ledger, job) for job in jobs]

    def _find_lost(self, jobs: Sequence[Job]) -> list[Job]:
        """Return jobs as they are now, once their providers' lists were asked for lost answers.

        Also for those of which a list had once said that they were never accepted.
        """
        ledger = self.world.ledger
        unknown = [job for job in jobs if job.state is State.UNKNOWN]
        # A list that lacked a request is asked once more: it may have been late.
        absent = {job.id: job for job in ledger.list_absent()}
        if self.is_named:
            absent = {job.id: job for job in jobs if job.id in absent}
        meant = [*unknown, *absent.values()]
        if not meant:
            return list(jobs)
        from seedream_cli.engine.context import can_be_found, has_named_charge

        engine = self.engine
        if not any(can_be_found(engine, job) or has_named_charge(engine, job) for job in meant):
            return list(jobs)
        from seedream_cli.engine.reconcile import look

        try:
            look(engine, meant)
        except StorageError as error:
            self.say.say(error.message, is_error=True)
        return [work.latest(ledger, job) for job in jobs]


def _print(
    world: CommandContext, found: _Report, *, is_json: bool, verbose: int, is_off: bool
) -> None:
    stdout, now = Stdout(), world.clock.now()
    paint = painter(sys.stdout, world.environ)
    if is_json:
        for job in found.jobs:
            stdout.json(_object(world, found, job))
        return
    if found.is_named and len(found.jobs) <= MOST_DETAILS:
        from seedream_cli.cli.again import lines_of

        line_of = lines_of(world)
        for number, job in enumerate(found.jobs):
            lines = listing.details(job, now, _sources(world, job), line_of(job))
            looks = world.ledger.looks(job.id)
            # Of one that is settled only who asks for it hears how that was.
            lines += listing.looks(job, looks if verbose else looks[-1:] if job.problem else [])
            if verbose:
                lines += listing.answers(job, world.ledger.stored_answers(job.id))
            for line in ([""] if number else []) + lines:
                for part in _hung(line):
                    stdout.line(part, partial(paint_detail, paint, job, now))
    elif found.jobs:
        rows = {n: partial(paint_row, paint, job, now) for n, job in enumerate(found.jobs, 1)}
        for number, line in enumerate(_table(found, now, () if is_off else found.unasked)):
            stdout.line(line, rows.get(number))
    else:
        Plain().say("no jobs" if not found.is_named else "nothing found")


def _hung(line: str) -> Iterable[str]:
    """Return a line of what is told of a job, a terminal's in parts; a path or command is whole."""
    if not (sys.stdout.isatty() and line.startswith(_SENTENCES)):
        return [line]
    from seedream_cli.cli.output.layout import hang, terminal_width

    return hang(line, terminal_width(), listing.LABEL)


def _check_gallery(world: CommandContext, gallery: str | None) -> str | None:
    """Return where the page is to lie; raise `UsageError` where it cannot."""
    if gallery is None:
        return None
    from seedream_cli.cli.output.gallery import check_page
    from seedream_cli.storage.config.places import expand_home

    file = expand_home(gallery, world.environ)
    check_page(file)
    return file


def _show_pictures(
    world: CommandContext, found: _Report, gallery: str | None, say: Plain, *, is_open: bool
) -> None:
    """Write the page that was asked for, and open it, or the pictures."""
    if gallery is not None:
        _write_gallery(world, found, gallery, say)
    if is_open:
        from seedream_cli.cli.output.viewer import open_files

        saved = [image.path for job in found.jobs for image in job.images if image.saved_at]
        pictures = list(filter(None, saved))
        # The page itself, not a link to it: it names its pictures from where it lies.
        open_files([os.path.realpath(gallery)] if gallery is not None else pictures, say.say)


def _write_gallery(world: CommandContext, found: _Report, file: str, say: Plain) -> None:
    from seedream_cli.cli.again import lines_of
    from seedream_cli.cli.output.cards import cards_of
    from seedream_cli.cli.output.gallery import write_page

    now, jobs = world.clock.now(), found.jobs
    pictures = sum(1 for job in jobs for image in job.images if image.saved_at)
    note = f"{pictures} picture{'s' * (pictures != 1)} of {len(jobs)} job{'s' * (len(jobs) != 1)}"
    sums = "; ".join(line.removeprefix("cost together: ") for line in listing.sums(_costs(jobs)))
    write_page(
        file,
        cards_of(jobs, now, lines_of(world), lambda job: _sources(world, job)),
        title="seedream",
        note=f"{note}, {now.astimezone():%Y-%m-%d %H:%M}"
        + (f"; cost together: {sums}" if sums else ""),
    )
    say.say(f"{file}: {note}")


def _sources(world: CommandContext, job: Job) -> list[Image]:
    """Return the pictures of earlier jobs that a job was made from."""
    # By the bytes: whatever it was called when it was given, it is that picture.
    digests = dict.fromkeys(re.findall("sha256:([0-9a-f]{64})", json_text(dict(job.recipe))))
    makers = {digest: world.ledger.with_image(digest)[:1] for digest in digests}
    return [
        next(image for image in maker.images if image.sha256 == digest)
        for digest, jobs in makers.items()
        for maker in jobs
    ]


def _table(found: _Report, now: datetime, unasked: Collection[str]) -> Iterator[str]:
    yield from listing.table(found.jobs, now, shutil.get_terminal_size((120, 24)).columns, unasked)
    if len(found.jobs) < found.count:
        rest = " (--all)" if found.is_cut_by_default else ""
        yield f"{len(found.jobs)} of {found.count}{rest}"
    yield from listing.sums(found.costs)


def _object(world: CommandContext, found: _Report, job: Job) -> dict[str, object]:
    """Return the object of a job: of one that runs also whether it was asked about."""
    problem = found.unasked.get(job.id)
    told = render.job_json(job, problem)
    if job.id in found.unasked or job.id in found.asked:
        told["asked"] = job.id not in found.unasked
    if found.is_named:
        stored = world.ledger.stored_answers(job.id)
        told["answers"] = [render.answer_json(job, at, reply) for at, reply in stored]
        if looks := world.ledger.looks(job.id):
            told["looks"] = [render.look_json(look) for look in looks]
    return told
