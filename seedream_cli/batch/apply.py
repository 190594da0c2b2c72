"""Many rows at once: what is begun when, what it may cost, and when to begin no more."""

from __future__ import annotations

import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.batch.history import Past
from seedream_cli.batch.orders import saved_of
from seedream_cli.core.errors import Overtaken, SeedreamError, StorageError
from seedream_cli.core.model import OPEN_STATES, Charge, Problem, State
from seedream_cli.engine.context import Deed, Step
from seedream_cli.engine.save import copy_image, known_extension
from seedream_cli.engine.workers import take_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from seedream_cli.batch.orders import Order
    from seedream_cli.batch.targets import Task
    from seedream_cli.core.model import Call, Image, Job, Money
    from seedream_cli.engine.context import Context

MOST_UNKNOWN: Final = 3
"""Unknown outcomes after which nothing more is bought (`cli.md`, "Batches")."""
MOST_TURNED_AWAY: Final = 3
"""Rows in a row that found the provider out of reach or too busy, after which none is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a person allows a batch."""

    max_images: int | None = None
    max_cost: Money | None = None
    fail_fast: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a task of this run ended."""

    task: Task
    job: Job | None
    """None: nothing was begun for it."""
    problem: Problem | None = None
    is_old: bool = False
    """This run did nothing about the job."""
    there: frozenset[int] = frozenset()
    """Indexes of pictures that were there already."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """The tasks of one run; its methods may be called from any thread."""

    engine: Context
    tasks: deque[Task]
    """What is to be bought, in order; those that need others wait by themselves."""
    bounds: Bounds
    room: Callable[[str], int]
    """How many jobs of a provider may be under way."""
    order: Callable[[Task, Mapping[tuple[str, int], str]], Order]
    call: Callable[[Order], Call]
    """What is sent, references uploaded; may take its time."""
    record: Callable[[Order, Job], None]
    """Writes the lock's lines of a saved job; raises `StorageError`."""
    despite: frozenset[str] = frozenset()
    """Unknown jobs that a person buys in spite of."""
    tell: Callable[[End], None]
    """Hears of each task once."""
    why_stopped: str = ""
    """Why nothing more is bought; empty while it is."""
    origins: dict[tuple[str, int], str] = field(default_factory=dict)
    """Digests of pictures that the judge did not know of, and of those made meanwhile."""
    under_way: dict[str, Order] = field(default_factory=dict)
    _stuck: dict[tuple[str, int], list[Task]] = field(default_factory=dict)
    _missing: dict[tuple[str, int], int] = field(default_factory=dict)
    """How many pictures a task still waits for, by its key."""
    _behind: dict[str, list[Task]] = field(default_factory=dict)
    """Tasks whose job is under way for another one, by its id."""
    _closed: set[tuple[str, str]] = field(default_factory=set)
    """Origins and models that are not open to the account."""
    _kinds: Counter[str] = field(default_factory=Counter)
    _images: int = 0
    """Bought, or maybe."""
    _spent: Decimal = Decimal(0)
    """In the currency of the bound."""
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    # -- begun ---------------------------------------------------------------------------------

    def expect(self, keys: Iterable[tuple[str, int]]) -> None:
        """Let tasks that need these pictures, which this run is to make, wait for them."""
        wanted = set(keys)
        waiting: list[Task] = []
        for task in self.tasks:
            needed = wanted.intersection(task.needs)
            for key in needed:
                self._stuck.setdefault(key, []).append(task)
            if needed:
                self._missing[task.key] = len(needed)
                waiting.append(task)
        stuck = {id(task) for task in waiting}
        self.tasks = deque(task for task in self.tasks if id(task) not in stuck)

    def more(self) -> Step | None:
        """Begin the next task there is room for and return its first step; None: not now."""
        with self._mutex:
            while self.tasks and not self.why_stopped:
                if not self._has_room(self.tasks[0]):
                    return None
                verdict = self._allowed(self.tasks[0])
                if verdict is None:
                    return None
                step = self._start(self.tasks.popleft(), is_allowed=verdict)
                if step is not None:
                    return step
            return None

    def _has_room(self, task: Task) -> bool:
        busy = Counter(order.wish.provider.name for order in self.under_way.values())
        name = task.picture.provider
        names = busy if name is None else (name,)
        return all(busy[each] < self.room(each) for each in names)

    def _allowed(self, task: Task) -> bool | None:
        """Tell whether the bounds allow a task; None: it depends on jobs under way."""
        images, cost = self.bounds.max_images, self.bounds.max_cost
        amount = task.price.amount if task.price else Decimal(0)
        if images is not None and self._images + task.count > images:
            return False
        # A price that nobody knows is within no bound.
        if cost is not None and (task.price is None or self._spent + amount > cost.amount):
            return False
        held = [order.task for order in self.under_way.values() if order.past is Past.NEW]
        if images is not None and self._images + sum(t.count for t in held) + task.count > images:
            return None
        on_the_way = sum((t.price.amount for t in held if t.price), Decimal(0))
        if cost is not None and self._spent + on_the_way + amount > cost.amount:
            return None
        return True

    def _start(self, task: Task, *, is_allowed: bool) -> Step | None:
        """Write a task down as a job, or take on the one that bought it before."""
        try:
            order = self.order(task, self.origins)
            is_closed = (order.job.origin, order.job.model) in self._closed
            if order.past is Past.NEW and (is_closed or not is_allowed):
                self._leave(task)
                return None
            if order.job.id in self.under_way:
                # Of one job of before, other pictures are being fetched.
                self._behind.setdefault(order.job.id, []).append(task)
                return None
            order = self._taken_on(self._planned(order))
        except SeedreamError as error:
            self._end(task, None, Problem(error.code, error.message, error.hint))
            return None
        job = order.job
        match order.past:
            case Past.NEW:
                self.under_way[job.id] = order
                return Step(self.engine.clock.monotonic(), job.id, Deed.SUBMIT)
            case Past.WAITS:
                step = self.engine.first_step(job)
                if step is not None and (self.engine.is_waiting or step.deed is not Deed.POLL):
                    self.under_way[job.id] = order
                    return step
                self._settle(order, job)
            case Past.MADE | Past.HERE:
                self._settle(order, job)
            case Past.UNKNOWN:
                self._end(task, job, job.problem, is_old=True)
            case Past.ELSEWHERE:
                words = Problem("timeout", "another run is sending it", "run the same again later")
                self._end(task, job, words, is_old=True)
        return None

    def _planned(self, order: Order) -> Order:
        """Write down a job that is new, unless another run was quicker to."""
        if order.past is not Past.NEW:
            return order
        resolved = order.wish.resolved
        (job,) = self.engine.ledger.plan(
            [order.job],
            despite=self.despite | order.spared,
            is_dead=self.engine.is_dead,
            ext=known_extension(resolved.capabilities, resolved.request),
        )
        if job.id == order.job.id:
            return order
        is_bought = job.state in {State.RUNNING, State.READY}
        past = Past.WAITS if is_bought and self.engine.is_dead(job.owner) else Past.ELSEWHERE
        return replace(order, past=past, job=job)

    def _taken_on(self, order: Order) -> Order:
        """Make the job of the past this run's; until here it was only looked at."""
        ledger, ours = self.engine.ledger, order.purchase.job
        try:
            match order.past:
                case Past.WAITS:
                    job = ledger.take_on(order.job, ours, order.again)
                case Past.MADE:
                    job = ledger.adopt(order.job, ours, order.images)
                case Past.HERE:
                    job = ledger.adopt(order.job, ours, self._copied(order))
                case _:
                    return order
        except Overtaken:
            return replace(order, past=Past.ELSEWHERE)
        return replace(order, job=job)

    def _copied(self, order: Order) -> list[Image]:
        """Copy pictures that lie elsewhere to where they go now; those that are there stay."""
        job = replace(order.job, output=order.purchase.job.output)
        return [copy_image(self.engine, job, image) for image in order.images]

    # -- under way -----------------------------------------------------------------------------

    def take(self, step: Step) -> Step | None:
        """Do one step of a job and return the next one, if any; write down where it ended."""
        order = self.under_way[step.job_id]
        following: Step | None = None
        if step.deed is not Deed.SUBMIT or self._is_ready(order):
            following = take_step(self.engine, step)
        if following is None and step.job_id in self.under_way:
            self._settle(order, self.engine.ledger.job(step.job_id), is_under_way=True)
        return following

    def _is_ready(self, order: Order) -> bool:
        """Prepare what is sent; False where nothing is to be sent any more."""
        job = order.job
        if self.why_stopped:
            self._close(job, Problem("interrupted", self.why_stopped))
            with self._mutex:
                if self.under_way.pop(job.id, None) is not None:
                    self._leave(order.task)
            return False
        if job.id in self.engine.calls:
            return True
        try:
            self.engine.calls[job.id] = self.call(order)
        except SeedreamError as error:
            problem = Problem(error.code, error.message, error.hint)
            self.engine.problems[job.id] = problem
            self._close(job, problem)
            return False
        return True

    def _close(self, job: Job, problem: Problem) -> None:
        # What stays planned is closed when it is next seen: nothing of it was sent.
        with suppress(StorageError):
            self.engine.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)

    # -- ended ---------------------------------------------------------------------------------

    def put_down(self) -> None:
        """Take note of the jobs that a signal left under way."""
        for job_id, order in list(self.under_way.items()):
            self._settle(order, self.engine.ledger.job(job_id), is_under_way=True)

    def _settle(self, order: Order, job: Job, *, is_under_way: bool = False) -> None:
        """Take note of how a job ended, or where it was left."""
        stopped = self.engine.problems.pop(job.id, None)
        problem = job.problem or stopped or _shortfall(order, job)
        saved = saved_of(order, job)
        try:
            if saved:
                self.record(order, job)
        except SeedreamError as error:
            problem = Problem(error.code, error.message, error.hint)
            saved = []
        with self._mutex:
            if self.under_way.pop(job.id, None) is None and is_under_way:
                return  # the main thread, or a thread it had given up, was first
            self.tasks.extendleft(self._behind.pop(job.id, []))
            for image in saved:
                self.origins[order.task.row.name, image.n] = image.sha256 or ""
            if order.past is Past.NEW and job.charge is not Charge.NONE:
                is_whole = job.state is State.SAVED
                self._images += len(job.images) if is_whole else order.task.count
                paid = job.cost or job.price
                self._spent += paid.amount if paid else Decimal(0)
            there = order.job.images if order.past is Past.WAITS else ()
            indexes = frozenset(image.index for image in there if image.saved_at)
            self._end(order.task, job, problem, there=indexes)

    def _end(
        self,
        task: Task,
        job: Job | None,
        problem: Problem | None,
        *,
        is_old: bool = False,
        there: frozenset[int] = frozenset(),
    ) -> None:
        with self._mutex:
            if not is_old:
                self._count(job, problem)
            # Not by recursion: who is made from whom may go on for thousands of rows.
            end = End(task=task, job=job, problem=problem, is_old=is_old, there=there)
            ends = deque([end])
            while ends:
                end = ends.popleft()
                self.tell(end)
                ends += self._released(end)

    def _count(self, job: Job | None, problem: Problem | None) -> None:
        """Stop buying where going on would waste money, or only time."""
        code = problem.code if problem else ""
        is_away = code in {"unreachable", "busy", "rate_limit"}
        self._kinds["away"] = self._kinds["away"] + 1 if is_away else 0
        self._kinds["unknown"] += job is not None and job.state is State.UNKNOWN
        if code == "access" and job is not None:
            self._closed.add((job.origin, job.model))
        if code in {"auth", "credit"}:
            self._stop("the account was refused")
        elif self._kinds["unknown"] >= MOST_UNKNOWN:
            self._stop(f"{MOST_UNKNOWN} outcomes are unknown")
        elif self._kinds["away"] >= MOST_TURNED_AWAY:
            self._stop("the provider turns requests away")
        elif self.bounds.fail_fast and problem is not None:
            self._stop("a row failed (--fail-fast)")
        elif code == "storage":
            self._stop("the disk does not take what is made")

    def _stop(self, reason: str) -> None:
        self.why_stopped = self.why_stopped or f"nothing more is bought: {reason}"

    def _released(self, end: End) -> Iterator[End]:
        """Let those go on that waited for a task's pictures; yield those that cannot."""
        task, job = end.task, end.job
        # Of an unknown one a person has to say what became of it; then they go on.
        is_open = job is not None and job.state in OPEN_STATES | {State.UNKNOWN}
        is_left = end.problem is None if job is None else is_open
        words = f"it is made from {task.name}, which was not made"
        problem = None if is_left else Problem("provider_failed", words)
        for n in task.numbers:
            key = (task.row.name, n)
            for stuck in self._stuck.pop(key, []):
                if stuck.key not in self._missing:
                    continue
                if key not in self.origins:
                    del self._missing[stuck.key]
                    yield End(task=stuck, job=None, problem=problem)
                    continue
                self._missing[stuck.key] -= 1
                if not self._missing[stuck.key]:
                    del self._missing[stuck.key]
                    self.tasks.append(stuck)

    def _leave(self, task: Task) -> None:
        self._end(task, None, None, is_old=True)

    def leave_rest(self) -> None:
        """Tell of all that was not begun."""
        with self._mutex:
            for behind in self._behind.values():
                self.tasks.extend(behind)
            self._behind.clear()
            while self.tasks:
                self._leave(self.tasks.popleft())
            rest = {task.key: task for tasks in self._stuck.values() for task in tasks}
            for key in self._missing.keys() & rest.keys():
                del self._missing[key]
                self.tell(End(task=rest[key], job=None))


def _shortfall(order: Order, job: Job) -> Problem | None:
    """Say where a job that was taken on had been begun for fewer pictures than are wanted now."""
    count = len({*order.task.numbers} & {image.n for image in job.images})
    if order.past is not Past.WAITS or order.wish.is_set or job.state is not State.SAVED:
        return None
    if count == order.task.count:
        return None
    words = f"an earlier run had asked for {count} of these {order.task.count} pictures"
    return Problem("provider_failed", words, "run the same again: it makes the others")
