"""The run of a batch: moved, adopted, asked about once, bought, saved, its lock written."""

from __future__ import annotations

import os
import posixpath
import secrets
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.batch.accept import accepted
from seedream_cli.batch.action import Verdict
from seedream_cli.batch.apply import Batch, Bounds
from seedream_cli.batch.conflicts import hold_conflicts, in_order, in_the_way
from seedream_cli.batch.history import Past, is_ours
from seedream_cli.batch.orders import Orders, entries_of
from seedream_cli.batch.sort import Sorted, Sorting
from seedream_cli.batch.targets import tasks_of
from seedream_cli.cli import run as work
from seedream_cli.cli.arguments import DEFAULT_TIMEOUT
from seedream_cli.cli.commands.bounds import (
    allow_files,
    bound_of,
    bounds,
    check_budget,
    check_settings,
    confirm,
)
from seedream_cli.cli.output import plan as plans
from seedream_cli.cli.output.ci import Actions, is_forgetful
from seedream_cli.cli.output.report import Results
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.model import State
from seedream_cli.engine.references import ReferenceLoader
from seedream_cli.engine.save import move_sidecar
from seedream_cli.engine.workers import Inbox, WorkerPool
from seedream_cli.storage.files.naming import aside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.lock.file import LockFile
    from seedream_cli.batch.manifest.read import Manifest, Row
    from seedream_cli.batch.orders import Order
    from seedream_cli.batch.plan import Judge
    from seedream_cli.batch.targets import Task
    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.cli.commands.batch_calls import Calls
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.batch_progress import LiveBatch, PlainBatch
    from seedream_cli.core.model import Job, Profile
    from seedream_cli.engine.context import Context
    from seedream_cli.engine.references import LoadedReference
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.ledger.ledger import Ledger

MOST_PROVED = 100
"""Folders that are proved to take files; of more the first ones stand for all."""
INLINE_AT_ONCE = 32
"""Requests that hold their reference images while they are open: each may be many megabytes."""
POLLERS = 16
"""Threads that ask and fetch for the jobs of polled providers."""


@dataclass(slots=True, kw_only=True)
class Buying:
    """One batch that is made, from a judged manifest on."""

    world: CommandContext
    calls: Calls
    asked: GenerateArguments
    shard: tuple[int, int] | None
    sandbox: bool
    batch: str
    """What tells this manifest's jobs from those of others."""
    profile_of: Callable[[Row, Provider], Profile]
    """The account that pays for a row, without its key; raises `AccountError`."""
    manifest: Manifest
    lock: LockFile | None
    judge: Judge
    pictures: list[Picture]
    show: PlainBatch | LiveBatch
    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    """What the lock is to hold."""
    _bounds: Bounds = field(default_factory=Bounds)
    _room: dict[str, int] = field(default_factory=dict)
    """Jobs that may be under way, by provider."""
    _origins: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digests of pictures that were adopted, as they were made."""
    _outdated: list[Entry] = field(default_factory=list)
    """Lines of the lock that others stand for now."""
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def make(self) -> int:
        """Make what is to be made, and return the exit code."""
        world, asked = self.world, self.asked
        hold_conflicts(self.manifest.file, self.pictures)
        self.entries = dict(self.judge.kept)
        run = _new_id()
        results = Results(
            stdout=Stdout(),
            show=self.show,
            actions=Actions(world.environ),
            is_json=asked.json,
            is_wait=asked.wait is not False,
            base=self.judge.terms.base,
            now=world.clock.now,
            run=run,
        )
        self._settle_what_is_there(results)
        if not any(picture.verdict is Verdict.MAKE for picture in self.pictures):
            return results.close(0, self.manifest.file)
        self._tell_of_forgetting()
        seconds = asked.timeout if asked.timeout is not None else DEFAULT_TIMEOUT
        timing = replace(world.timing(seconds), per_job=True)
        engine = world.engine(
            timing,
            self.show,
            profile=asked.profile,
            with_bodies=asked.verbose > 1,
            is_waiting=results.is_wait,
        )
        world.conclude_leftovers(engine)
        orders = self._recalled(self._orders(engine.ledger, run), engine)
        found = self._sorted(orders, results)
        work.tell_of_waiting(world, engine, self.show, is_sandbox=self.sandbox, but=found.jobs)
        self._announce(found)
        self._put_aside(found)
        return self._buy(engine, orders, found.tasks, results)

    def look(self) -> list[Picture]:
        """Return the pictures with what the ledger knows of those to be made; nothing is bought."""
        orders = self._orders(self.world.ledger, _new_id())
        orders = self._recalled(orders)
        told: dict[tuple[str, int], Past] = {}
        for task, order in self._sorting(orders, is_plan=True).each():
            if order is not None:
                told |= {(task.row.name, n): order.past for n in task.numbers}
        return [self._told(p, told.get((p.row.name, p.n), Past.NEW)) for p in self.pictures]

    def _told(self, picture: Picture, past: Past) -> Picture:
        """Return a picture with what is left to do about it."""
        match past:
            case _ if picture.verdict is not Verdict.MAKE:
                return picture
            case Past.NEW:
                return in_the_way(picture)
            case Past.UNKNOWN | Past.ELSEWHERE:
                reason = "a job of it was sent, and nobody knows what became of it: seedream status"
                return replace(picture, verdict=Verdict.STUCK, reason=reason, price=None)
            case Past.MADE if self.lock is None:
                return replace(picture, verdict=Verdict.CURRENT, reason="", price=None)
        reason = "it is there, and not in the lock" if past is Past.MADE else "it is paid for"
        return replace(picture, verdict=Verdict.FETCH, reason=reason, price=None)

    def accept(self, patterns: Sequence[str]) -> int:
        """Record pictures as they lie there; all that are named, or none."""
        self.entries = dict(self.judge.kept)
        found = list(accepted(self.judge, self.pictures, patterns, self.world.clock.now()))
        for entry in found:
            self._keep(entry)
            self.show.say(f"{entry.name} is recorded as it is: {entry.output}")
        self._write_lock()
        return 0

    # -- before anything is sent ---------------------------------------------------------------

    def _settle_what_is_there(self, results: Results) -> None:
        """Move what has a new name, and write the lock as it stands."""
        pending = [p for p in self.pictures if p.verdict is Verdict.MOVE]
        files = self.world.files()
        for picture in in_order(pending):
            entry = picture.entry
            if entry is not None:
                base = self.judge.terms.base
                old, new = (posixpath.join(base, at) for at in (entry.output, picture.output))
                files.move(old, new)
                self._follow(entry, old, new)
                self._keep(replace(entry, output=picture.output))
                results.moved(picture)
        for picture in self.pictures:
            entry = picture.entry
            if picture.verdict is Verdict.CURRENT and entry is not None:
                if entry.output != picture.output and not self.judge.terms.is_lock_only:
                    self._keep(replace(entry, output=picture.output))
                results.keep(picture)
            elif picture.verdict is Verdict.LEAVE:
                results.hold(picture)
        gone = "" if self.shard else plans.farewell(self.judge.leaving)
        if gone:
            self.show.say(gone)
        parts = self.lock.parts() if self.lock is not None and not self.shard else []
        self._write_lock()
        if parts:
            count = f"{len(parts)} parts" if len(parts) > 1 else "1 part"
            self.show.say(f"{count} of the lock folded in")

    def _follow(self, entry: Entry, old: str, new: str) -> None:
        """Let what belongs to a picture come after it: its sidecar, and what the ledger says."""
        move_sidecar(self.world.files(), entry.sha256, old, new)
        if self.world.has_ledger:
            self.world.ledger.rename_image(entry.sha256, old, new)

    def _put_aside(self, found: Sorted) -> None:
        """Give pictures of written-off jobs another name, for what is bought now gets theirs."""
        files = self.world.files()
        for job, image in found.in_place:
            old = image.path or ""
            names = (aside(old, job.id, k) for k in count(1))
            new = next(name for name in names if not os.path.lexists(name))
            files.move(old, new)
            move_sidecar(files, image.sha256 or "", old, new)
            self.world.ledger.rename_image(image.sha256 or "", old, new)
            self.show.say(f"what was kept of the written-off job {job.id} is now {new}")

    def _keep(self, entry: Entry) -> None:
        self.entries[entry.key] = entry
        if self.lock is not None:
            self.lock.add(entry)

    def _write_lock(self) -> None:
        if self.lock is not None:
            files = self.world.files()
            self.lock.settle(files, None if self.shard else self.entries.values())

    def _orders(self, ledger: Ledger, run: str) -> Orders:
        world = self.world

        def gather(profile: Profile, names: Sequence[str]) -> list[LoadedReference]:
            return ReferenceLoader(lambda: ledger, profile, bytes, world.clock.now()).load(names)

        return Orders(
            judge=self.judge,
            terms=self.judge.terms,
            ledger=ledger,
            profile_of=self.profile_of,
            gather=gather,
            run=run,
            owner=world.owner.name,
            batch=self.batch,
            now=world.clock.now,
            new_id=_new_id,
            is_dead=world.owner.is_dead,
            entries=self.entries,
            rows={row.name: row for row in self.manifest.rows},
            despite=work.named(world, self.asked.despite),
        )

    def _recalled(self, orders: Orders, engine: Context | None = None) -> Orders:
        """Ask once about jobs of these pictures that failed, and may bring them after all."""
        if not orders.ledger.has_rows():
            return orders
        from seedream_cli.engine.recall import recall

        # A purchase is recognised under any name: also the row that a new one stands for.
        others = {row.name for row in self.manifest.rows}
        others -= {p.row.name for p in self.pictures if p.verdict is Verdict.MAKE}
        mine = [
            job
            for job in orders.ledger.jobs(states={State.FAILED})
            if job.row not in others and job.sandbox is self.sandbox and is_ours(self.batch, job)
        ]
        if not mine:
            return orders
        world = self.world
        engine = engine or world.engine(world.timing(0.0), self.show, profile=self.asked.profile)
        return replace(orders, doubtful=recall(engine, mine))

    def _sorting(self, orders: Orders, *, is_plan: bool = False) -> Sorting:
        return Sorting(
            orders=orders,
            judge=self.judge,
            pictures=self.pictures,
            origins=self._origins,
            name=self.show.tally.name,
            is_plan=is_plan,
        )

    def _sorted(self, orders: Orders, results: Results) -> Sorted:
        """Return what is left to buy or to fetch; what was made before a kill is adopted."""
        if not orders.ledger.has_rows():
            return Sorted(bought=list(tasks_of(self.judge, self.pictures)))
        return self._sorting(orders).sort(lambda order: self._adopt(orders, order, results))

    def _adopt(self, orders: Orders, order: Order, results: Results) -> None:
        """Write down pictures that are where they are to be, and that only the lock lacked."""
        job = orders.ledger.adopt(order.job, order.purchase.job, order.images)
        self.record(order, job)
        results.adopt(job, len(order.images))
        keys = {(order.task.row.name, n) for n in order.task.numbers}
        self._origins |= {key: self.entries[key].origin for key in keys & self.entries.keys()}

    def _announce(self, found: Sorted) -> None:
        """Say what is made and what it costs; raise `AccountError` before anything is."""
        paid = [*found.bought, *found.fetched]
        for account, row in {(t.row.profile, t.picture.provider): t.row for t in paid}.items():
            profile = self.calls.key(self.profile_of(row, self.judge.wish(row).provider))
            tasks = [t for t in found.bought if (t.row.profile, t.picture.provider) == account]
            check_budget(profile, [(t.name, t.price) for t in tasks], self.world.ledger)
            for task in tasks if bound_of(self.asked, profile) else ():
                wish = self.judge.wish(task.row, n=task.first_n)
                check_settings(self.asked, profile, wish.resolved, wish.provider, task.name)
        self._hold_waiting(found.bought)
        cost = plans.cost_of(found.bought)
        line = plans.sentence(
            self.pictures,
            fetched=_total(found.fetched),
            stuck=_total(found.stuck),
            behind=_total(found.behind),
            adopted=found.adopted,
        )
        self.show.say(f"{line}, {cost}" if cost else line)
        self._bounds = bounds(self.asked, found.bought)
        if not self.sandbox:
            confirm(_total(found.bought), self.asked)

    def _hold_waiting(self, tasks: Sequence[Task]) -> None:
        """Object to `--no-wait` where an API answers only when it is finished."""
        from seedream_cli.providers import PROVIDERS

        names = {task.picture.provider: task.name for task in tasks if task.picture.provider}
        held = [name for name in names if PROVIDERS[name].dialect.poll is None]
        if self.asked.wait is False and held:
            raise UsageError(
                f"--no-wait: {held[0]} answers only when finished, and makes {names[held[0]]}",
                hint="leave it out, or use a provider that is polled (kie, replicate)",
            )

    def _tell_of_forgetting(self) -> None:
        world = self.world
        machine = is_forgetful(world.environ)
        if machine and not world.environ.get("SEEDREAM_STATE_DIR") and not self.sandbox:
            self.show.say(
                f"{machine} may forget {world.places.state_dir}: after a kill nobody would know"
                " what was being bought, and it could be bought twice; keep it, or set"
                " SEEDREAM_STATE_DIR to a folder that lasts"
            )

    # -- bought --------------------------------------------------------------------------------

    def _buy(self, engine: Context, orders: Orders, tasks: Sequence[Task], results: Results) -> int:
        world = self.world
        self._prove_places(tasks)
        workers = self._count_workers(tasks)
        engine = replace(
            engine, halt_reason=lambda: "a signal came" if signals.first else batch.why_stopped
        )
        batch = Batch(
            engine=engine,
            tasks=deque(tasks),
            bounds=self._bounds,
            room=lambda provider: self._room.get(provider, 1),
            order=orders.order,
            call=lambda order: self.calls.call(engine, orders, order),
            record=self.record,
            despite=orders.despite,
            origins=self._origins,
            tell=results.tell,
        )
        batch.expect((task.row.name, n) for task in tasks for n in task.numbers)
        self.show.expect(_total(tasks), results.current)
        inbox: Inbox = Inbox()
        signals = work.Signals(inbox, self.show, lambda: len(batch.under_way))
        pool = WorkerPool(
            batch.take, world.clock, inbox, workers=workers, on_signal=signals.seconds_left
        )
        try:
            with self.show:
                self._run(pool, batch, engine)
        finally:
            lacking = self._written()
        if lacking is not None:
            self.show.say(lacking.message, is_error=True)
            results.codes.add(lacking.exit)
        if batch.why_stopped and not signals.first:
            self.show.say(batch.why_stopped, is_error=True)
        if old := plans.outdated(self._lying_about()):
            self.show.say(old)
        return results.close(signals.exit, self.manifest.file, self._why_left(signals.exit))

    def _written(self) -> StorageError | None:
        """Write the lock; return what kept it from that, for what was made is told all the same."""
        try:
            self._write_lock()
        except StorageError as error:
            return error
        return None

    def _lying_about(self) -> list[Entry]:
        """Return lines of before whose files lie there still, and are no picture's now."""
        base, named = self.judge.terms.base, {entry.output for entry in self.entries.values()}
        old = (entry for entry in self._outdated if entry.output not in named)
        return [entry for entry in old if Path(posixpath.join(base, entry.output)).is_file()]

    def _prove_places(self, tasks: Sequence[Task]) -> None:
        """Prove before anything is paid that the folders and the lock take what will come."""
        files, base = self.world.files(), self.judge.terms.base
        paths = (posixpath.join(base, task.picture.output) for task in tasks)
        folders = dict.fromkeys(map(posixpath.dirname, paths))
        for folder in list(folders)[:MOST_PROVED]:
            files.check_folder(folder)
        if self.lock is not None:
            self.lock.add()

    def _why_left(self, signal_exit: int) -> str:
        """Say why rows were left, where that is a wish, and what to type next."""
        asked = self.asked
        bound = [
            f"--{name.replace('_', '-')}"
            for name in ("max_images", "max_cost")
            if getattr(asked, name) is not None
        ]
        reason = f"what is left is beyond {' and '.join(bound)}; " if bound else ""
        again = "run the same again to go on"
        return again if signal_exit else f"{reason}{again}"

    def _run(self, pool: WorkerPool, batch: Batch, engine: Context) -> None:
        """Run to the end, or to a signal, and write down what is under way then."""
        try:
            pool.run((), batch.more, self.show.tick)
        finally:
            if pool.under_way:
                self.world.owner.keep()
            if pool.is_stopping:
                work.put_down(engine, list(batch.under_way))
                batch.put_down()
            batch.leave_rest()

    def record(self, order: Order, job: Job) -> None:
        """Write the lock's lines of what a job has saved; raise `StorageError`."""
        entries = entries_of(order, job, self.judge.terms.base)
        with self._mutex:
            before = [self.entries[each.key] for each in entries if each.key in self.entries]
            self._outdated += before
            self.entries |= {entry.key: entry for entry in entries}
        if self.lock is not None and entries:
            self.lock.add(*entries)

    def _count_workers(self, tasks: Sequence[Task]) -> int:
        """Return how many threads: one a request that is held open, a few for polled ones.

        And settle how many jobs of each provider may be under way.
        """
        from seedream_cli.providers import PROVIDERS

        names = {task.picture.provider for task in tasks if task.picture.provider}
        held = {name for name in names if PROVIDERS[name].dialect.poll is None}
        for name in names:
            usual = PROVIDERS[name].most_at_once
            if "inline" in PROVIDERS[name].reference_kinds and any(t.row.references for t in tasks):
                usual = min(usual, INLINE_AT_ONCE)
            self._room[name] = min(self.asked.jobs or usual, len(tasks))
        most = allow_files(sum(self._room.values()))
        for name in names:
            self._room[name] = max(1, min(self._room[name], most // len(names)))
        polled = sum(min(self._room[name], POLLERS) for name in names - held)
        return max(1, sum(self._room[name] for name in held) + polled)


def _total(tasks: Sequence[Task]) -> int:
    return sum(task.count for task in tasks)


def _new_id() -> str:
    from seedream_cli.request.purchase import new_id

    return new_id(secrets.choice)
