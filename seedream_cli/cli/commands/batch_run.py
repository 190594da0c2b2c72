"""The run of a batch: its plan made, what is there settled, the rest fetched and bought."""

from __future__ import annotations

import os
import posixpath
import secrets
import threading
from collections import defaultdict, deque
from contextlib import nullcontext, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.batch.accept import accept
from seedream_cli.batch.action import Act, pictures
from seedream_cli.batch.apply import Application, entries_of, in_order, to_begin
from seedream_cli.batch.history import History, is_ours
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
from seedream_cli.cli.output.ci import is_forgetful
from seedream_cli.cli.output.forecast import forecaster
from seedream_cli.cli.output.report import Results
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.model import State
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.engine.context import StepKind
from seedream_cli.engine.save import move_sidecar
from seedream_cli.engine.workers import Inbox, WorkerPool
from seedream_cli.storage.files.naming import aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.batch.action import Action, Key, Plan, Result
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.lock.file import LockFile
    from seedream_cli.batch.manifest.read import Manifest
    from seedream_cli.batch.plan import Planner
    from seedream_cli.cli.arguments import GenerateArguments
    from seedream_cli.cli.commands.batch_accounts import Accounts
    from seedream_cli.cli.context import CommandContext
    from seedream_cli.cli.output.cards import End
    from seedream_cli.cli.output.ci import Actions
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.core.model import Job, Profile
    from seedream_cli.engine.context import Context

MOST_PROVED = 100
"""Folders that are proved to take files; of more the first ones stand for all."""
INLINE_AT_ONCE = 32
"""Requests that hold their reference images while they are open: each may be many megabytes."""
POLLERS = 16
"""Threads that ask and fetch for the jobs of polled providers."""


@dataclass(slots=True, kw_only=True)
class BatchRun:
    """One batch, from the planner on; a plan and a run ask it the same."""

    world: CommandContext
    accounts: Accounts
    asked: GenerateArguments
    shard: tuple[int, int] | None
    sandbox: bool
    batch: str
    """What tells this manifest's jobs from those of others."""
    manifest: Manifest
    lock: LockFile | None
    planner: Planner
    show: Plain
    actions: Actions
    entries: dict[Key, Entry] = field(default_factory=dict)
    """What the lock is to hold."""
    ends: dict[Key, End] = field(default_factory=dict)
    """How actions ended, for the page of them; empty where none was asked for."""
    said: str = ""
    """What the run came to, in a sentence; empty until it ends."""
    why_left: str = ""
    """Why some actions were not begun."""
    _run: str = ""
    _engine: Context | None = None
    _room: dict[str, int] = field(default_factory=dict)
    """Jobs that may be under way, by provider."""
    _outdated: list[Entry] = field(default_factory=list)
    """Lines of the lock that others stand for now."""
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    # -- planned -------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Return what is to be done: for `--plan`, `--check` and a run the very same."""
        asked, planner = self.asked, self.planner
        self._run = _new_id()
        # `--check` asks lock and files alone, so that it says the same on every machine.
        if not (asked.check or asked.accept):
            planner.open_history = self._open_history
        plan = planner.plan()
        if planner.failed:
            from seedream_cli.engine.recall import recall

            # To ask once is free; then the ledger knows more, or whose word could not be had.
            planner.doubt(recall(self.engine, planner.failed))
            plan = planner.plan()
        return plan

    def _open_history(self) -> History | None:
        """Return what the ledger knows, what dead processes left concluded; None: nothing."""
        world = self.world
        if not world.has_ledger or not world.ledger.has_rows():
            return None
        # A plan is printed also where a broken ledger, or a newer one, can only be read.
        with suppress(StorageError) if self.asked.plan else nullcontext():
            world.conclude_leftovers(self.engine)
        return self._history()

    def _history(self) -> History:
        world = self.world
        return History(
            ledger=world.ledger,
            context=self.planner.context,
            rows={row.name: row for row in self.manifest.rows},
            batch=self.batch,
            run=self._run,
            owner=world.owner.name,
            now=world.clock.now,
            new_id=_new_id,
            profile_of=self.accounts.profile_of,
            is_dead=world.owner.is_dead,
            despite=work.ids_of(world, self.asked.despite),
            doubtful=self._look_for_lost(),
        )

    def _look_for_lost(self) -> frozenset[str]:
        """Ask providers' lists for lost answers, of whatever command: they may stand in the way.

        Returns the jobs of this batch that a list proves never to have been accepted: the next
        run may buy those, this one does not.
        """
        from seedream_cli.engine.reconcile import look
        from seedream_cli.providers import PROVIDERS

        ledger = self.world.ledger
        lost = [*ledger.jobs(states={State.UNKNOWN}), *ledger.list_absent()]
        lost = [job for job in lost if job.sandbox is self.sandbox]
        listing = {name for name, each in PROVIDERS.items() if each.listing is not None}
        lost = [job for job in lost if job.provider in listing]
        if not lost:
            return frozenset()
        # What other commands lost is found for them, but never closed in passing.
        look(self.engine, [j for j in lost if not is_ours(self.batch, j)], may_close=False)
        findings = look(self.engine, [j for j in lost if is_ours(self.batch, j)])
        return frozenset(job for job, each in findings.items() if each.look.verdict == "absent")

    @property
    def engine(self) -> Context:
        """What the steps of this run share."""
        if self._engine is None:
            world, asked = self.world, self.asked
            seconds = asked.timeout if asked.timeout is not None else DEFAULT_TIMEOUT
            self._engine = world.engine(
                replace(world.timing(seconds), per_job=True),
                self.show,
                profile=asked.profile,
                with_bodies=asked.verbose > 1,
                is_waiting=asked.wait is not False,
            )
        return self._engine

    # -- settled before anything is sent -------------------------------------------------------

    def accept(self, plan: Plan, patterns: Sequence[str]) -> int:
        """Record pictures as they lie there; all that are named, or none."""
        self.entries = dict(plan.kept)
        for entry in list(accept(self.planner, plan.actions, patterns, self.world.clock.now())):
            self._keep(entry)
            self.show.say(f"{entry.name} is recorded as it is: {entry.output}")
        self._write_lock()
        return 0

    def make(self, plan: Plan) -> int:
        """Make what is to be made, and return the exit code."""
        world = self.world
        plans.check_conflicts(self.manifest.file, plan, self.asked)
        self.entries = dict(plan.kept)
        results = Results(
            stdout=Stdout(),
            show=self.show,
            actions=self.actions,
            is_json=self.asked.json,
            is_wait=self.asked.wait is not False,
            base=self.planner.context.base,
            now=world.clock.now,
            run=self._run,
        )
        self._settle_what_is_there(plan, results)
        begun = to_begin(plan)
        if not begun:
            self.said = results.outcome.sentence("current")
            return results.close(0, self.manifest.file)
        self._tell_of_forgetting(plan)
        if self.planner.history is None:
            # The ledger is made now, or has no rows yet: other runs may fill it meanwhile.
            world.conclude_leftovers(self.engine)
            self.planner.history = self._history()
        jobs = frozenset(action.job.id for action in begun if action.job is not None)
        work.tell_of_waiting(world, self.engine, self.show, is_sandbox=self.sandbox, but=jobs)
        self._announce(plan)
        self._put_aside(plan)
        return self._apply(plan, begun, results)

    def _settle_what_is_there(self, plan: Plan, results: Results) -> None:
        """Move what has a new name, and write the lock as it stands."""
        files, base = self.world.files(), self.planner.context.base
        # Moves first: they free the names that others are to get.
        for action in in_order(plan.of(Act.MOVE)):
            entry = action.entry
            if entry is not None:
                old, new = (posixpath.join(base, at) for at in (entry.output, action.output))
                files.move(old, new)
                # What belongs to a picture comes after it: its sidecar, and what the ledger says.
                move_sidecar(files, entry.sha256, old, new)
                if self.world.has_ledger:
                    self.world.ledger.rename_image(entry.sha256, old, new)
                self._keep(replace(entry, output=action.output))
                results.move(action)
        for action in plan.of(Act.KEEP, Act.LEAVE):
            entry = action.entry
            if action.act is Act.LEAVE:
                results.leave(action)
                continue
            if entry is not None and entry.output != action.output:
                self._keep(replace(entry, output=action.output))
            results.keep(action)
        gone = "" if self.shard else plans.farewell(plan.leaving)
        if gone:
            self.show.say(gone)
        # Counted before the lock is written, which takes them in.
        parts = self.lock.parts() if self.lock is not None and not self.shard else []
        self._write_lock()
        if parts:
            number = f"{len(parts)} parts" if len(parts) > 1 else "1 part"
            self.show.say(f"{number} of the lock folded in")

    def _put_aside(self, plan: Plan) -> None:
        """Give pictures of written-off jobs another name, for what is bought now gets theirs."""
        files = self.world.files()
        for job, image in plan.in_place:
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
            self.lock.write_sorted(files, None if self.shard else self.entries.values())

    def _announce(self, plan: Plan) -> None:
        """Say what is made and what it costs; raise `AccountError` before anything is."""
        bought = plan.of(Act.MAKE)
        away = [each for each in plan.of(Act.FETCH) if each.past and not each.past.is_in_place]
        # One question an account, not one a picture: for each its key, its budget, its bounds.
        by_account: dict[tuple[str | None, str | None], list[Action]] = defaultdict(list)
        for action in (*bought, *away):
            by_account[action.row.profile, action.provider].append(action)
        for actions in by_account.values():
            target = actions[0].target or self.planner.target(actions[0].row)
            profile = self.accounts.profile_of(actions[0].row, target.provider)
            self._check_bounds(self.accounts.key(profile), actions)
        self._check_waiting(bought)
        self.show.say(plans.announcement(plan))
        bounds(self.asked, bought)
        if not self.sandbox:
            confirm(plan.count(Act.MAKE), self.asked)

    def _check_bounds(self, profile: Profile, actions: Sequence[Action]) -> None:
        """Raise `UsageError` where an account's budget, or a bound, could not be kept."""
        bought = [action for action in actions if action.act is Act.MAKE]
        check_budget(profile, [(each.name, each.price) for each in bought], self.world.ledger)
        for action in bought if bound_of(self.asked, profile) else ():
            target = action.target
            if target is not None:
                check_settings(self.asked, profile, target.resolved, target.provider, action.name)

    def _check_waiting(self, bought: Sequence[Action]) -> None:
        """Object to `--no-wait` where an API answers only when it is finished."""
        held = [
            each for each in bought if each.target and each.target.provider.dialect.poll is None
        ]
        if self.asked.wait is False and held:
            raise UsageError(
                f"--no-wait: {held[0].provider} answers only when finished, and makes"
                f" {held[0].name}",
                hint="leave it out, or use a provider that is polled (kie, replicate)",
            )

    def _tell_of_forgetting(self, plan: Plan) -> None:
        """Say where the state lives on a machine that forgets it, where a kill could cost."""
        world = self.world
        machine = is_forgetful(world.environ) if plan.of(Act.MAKE) and not self.sandbox else None
        # Who has set the folder has said that it lasts.
        if machine and not world.environ.get("SEEDREAM_STATE_DIR"):
            self.show.say(
                f"{machine} may forget {world.places.state_dir}: after a kill nobody would know"
                " what was being bought, and it could be bought twice; keep it, or set"
                " SEEDREAM_STATE_DIR to a folder that lasts"
            )

    # -- applied -------------------------------------------------------------------------------

    def _apply(self, plan: Plan, begun: Sequence[Action], results: Results) -> int:
        world, base = self.world, self.planner.context.base
        self._prove_places(begun)
        workers = self._count_workers(begun)
        engine = replace(
            self.engine,
            halt_reason=lambda: "a signal came" if signals.first else application.why_stopped,
        )
        application = Application(
            engine=engine,
            actions=deque(begun),
            bounds=bounds(self.asked, plan.of(Act.MAKE)),
            room=lambda provider: self._room.get(provider, 1),
            replan=self.planner.replan,
            call=lambda each, bought: self.accounts.call(engine, base, self.entries, each, bought),
            record=self.record,
            despite=work.ids_of(world, self.asked.despite),
            tell=partial(self._tell, results),
        )
        for action in plan.of(Act.FETCH):
            if action.job is not None:  # of one that is only fetched no event tells its row
                self.show.tally.name(action.job.id, action.name)
        self.show.expect(
            pictures(begun),
            results.outcome.counts["current"],
            at_once=sum(self._room.values()),
            forecast=forecaster(engine.pace.expect, engine.provider),
            pictures=lambda job: job.expected,
        )
        inbox: Inbox = Inbox()
        signals = work.Signals(
            inbox,
            self.show,
            lambda: len(application.under_way),
            is_paying=lambda: pool.is_doing(StepKind.SUBMIT),
        )
        pool = WorkerPool(
            application.take, world.clock, inbox, workers=workers, on_signal=signals.seconds_left
        )
        try:
            with self.show:
                self._run_pool(pool, application, engine)
        finally:
            lacking = self._try_lock()
        if lacking is not None:
            self.show.say(lacking.message, is_error=True)
            results.outcome.codes.add(lacking.exit)
        if application.why_stopped and not signals.first:
            self.show.say(application.why_stopped, is_error=True)
        if old := plans.outdated(self._lying_about()):
            self.show.say(old)
        left = self._why_left(signals.first)
        self.why_left = application.why_stopped if not signals.first else ""
        self.why_left = self.why_left or left
        self.said = results.outcome.sentence("current")
        return results.close(signals.first, self.manifest.file, left)

    def _tell(self, results: Results, end: Result) -> None:
        """Tell of an action's end, and keep it where a page will show it."""
        if self.asked.gallery is not None:
            from seedream_cli.cli.output.cards import End

            job = end.job
            is_fetched = job is not None and job.run != self._run
            self.ends[end.action.key] = End(
                result=end, row=results.ended(end), is_fetched=is_fetched
            )
        results.tell(end)

    def _run_pool(self, pool: WorkerPool, application: Application, engine: Context) -> None:
        """Run to the end, or to a signal, and write down what is under way then."""
        try:
            pool.run((), application.more, self.show.tick)
        finally:
            if pool.under_way:
                self.world.owner.keep()
            if pool.is_stopping:
                work.put_down(engine, list(application.under_way))
                application.put_down()
            # Also after a bug: each action of the plan is told once.
            application.leave_rest()

    def _try_lock(self) -> StorageError | None:
        """Write the lock; return what kept it from that, for what was made is told all the same."""
        try:
            self._write_lock()
        except StorageError as error:
            return error
        return None

    def _lying_about(self) -> list[Entry]:
        """Return lines of before whose files lie there still, and are no picture's now."""
        base, named = self.planner.context.base, {e.output for e in self.entries.values()}
        old = (entry for entry in self._outdated if entry.output not in named)
        return [entry for entry in old if Path(posixpath.join(base, entry.output)).is_file()]

    def _prove_places(self, begun: Sequence[Action]) -> None:
        """Prove before anything is paid that the folders and the lock take what will come."""
        files, base = self.world.files(), self.planner.context.base
        coming = (each for each in begun if each.act in {Act.FETCH, Act.MAKE})
        paths = (posixpath.join(base, each.output) for each in coming)
        for folder in list(dict.fromkeys(map(posixpath.dirname, paths)))[:MOST_PROVED]:
            files.check_folder(folder)
        if self.lock is not None:
            # Nothing is added: that the file takes it is what is proved.
            self.lock.add()

    def _why_left(self, signal_number: int) -> str:
        """Say why rows were left, where that is a wish, and what to type next."""
        asked = self.asked
        bound = [
            f"--{name.replace('_', '-')}"
            for name in ("max_images", "max_cost")
            if getattr(asked, name) is not None
        ]
        reason = f"what is left is beyond {' and '.join(bound)}; " if bound else ""
        again = "run the same again to go on"
        return again if signal_number else f"{reason}{again}"

    def record(self, action: Action, job: Job) -> None:
        """Write the lock's lines of what a job has saved; raise `StorageError`."""
        entries = entries_of(action, job, self.planner.context.base)
        with self._mutex:
            before = [self.entries[each.key] for each in entries if each.key in self.entries]
            # Their files may lie there still, under names that no line of the lock has any more.
            self._outdated += before
            self.entries |= {entry.key: entry for entry in entries}
        if self.lock is not None and entries:
            self.lock.add(*entries)

    def _count_workers(self, begun: Sequence[Action]) -> int:
        """Return how many threads: one a request that is held open, a few for polled ones.

        And settle how many jobs of each provider may be under way.
        """
        targets = [each.target for each in begun if each.target is not None]
        providers = {target.provider.name: target.provider for target in targets}
        held = {name for name, each in providers.items() if each.dialect.poll is None}
        for name, provider in providers.items():
            usual = provider.most_at_once
            if "inline" in provider.reference_kinds and any(e.row.references for e in begun):
                usual = min(usual, INLINE_AT_ONCE)
            self._room[name] = min(self.asked.jobs or usual, len(begun))
        most = allow_files(sum(self._room.values()))
        for name in providers:
            self._room[name] = max(1, min(self._room[name], most // len(providers)))
        # A poll is short: a few threads ask about many jobs.
        polled = sum(min(self._room[name], POLLERS) for name in providers.keys() - held)
        return max(1, sum(self._room[name] for name in held) + polled)


def _new_id() -> str:
    from seedream_cli.request.purchase import new_id

    return new_id(secrets.choice)
