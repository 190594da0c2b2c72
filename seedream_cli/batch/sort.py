"""What of a batch is bought, fetched, held back or there already, by what the ledger knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from seedream_cli.batch.conflicts import hold_stranger
from seedream_cli.batch.history import Past
from seedream_cli.batch.plan import made_first
from seedream_cli.batch.targets import tasks_of
from seedream_cli.core.errors import AccountError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.orders import Order, Orders
    from seedream_cli.batch.plan import Judge
    from seedream_cli.batch.targets import Task
    from seedream_cli.core.model import Image, Job


@dataclass(slots=True, kw_only=True)
class Sorted:
    """The tasks of a run, each in one of these."""

    bought: list[Task] = field(default_factory=list)
    fetched: list[Task] = field(default_factory=list)
    """What lapses soonest first."""
    stuck: list[Task] = field(default_factory=list)
    """A job of theirs may have been charged, or another process sends it now."""
    behind: list[Task] = field(default_factory=list)
    """Made from one of those."""
    in_place: list[tuple[Job, Image]] = field(default_factory=list)
    """Pictures kept of written-off jobs, which lie where bought ones are to lie."""
    adopted: int = 0
    """Pictures that only the lock lacked."""
    jobs: set[str] = field(default_factory=set)
    """Those that the run goes on with, or tells of."""

    @property
    def tasks(self) -> list[Task]:
        """All of them; what is paid for comes first."""
        return [*self.fetched, *self.stuck, *self.behind, *self.bought]


@dataclass(slots=True, kw_only=True)
class Sorting:
    """Holds pictures that are to be made against the ledger, which is only read."""

    orders: Orders
    judge: Judge
    pictures: Sequence[Picture]
    origins: dict[tuple[str, int], str]
    """Digests of pictures that were adopted; whoever adopts puts them in."""
    name: Callable[[str, str], None]
    """Calls a job by its task from here on: of one that is only fetched no event tells it."""
    is_plan: bool = False
    """Nobody pays: an account that cannot be asked is no hindrance."""

    def sort(self, adopt: Callable[[Order], None]) -> Sorted:
        """Sort all tasks; what is there is adopted on the way. Raises `UsageError`."""
        found = Sorted()
        lapses: dict[tuple[str, int], datetime] = {}
        stuck: set[tuple[str, int]] = set()
        for task, order in self.each():
            keys = {(task.row.name, n) for n in task.numbers}
            is_new = order is None or order.past is Past.NEW
            # One job of a row whose name was changed may be what two others could be.
            if order is not None and order.job.row != task.row.name:
                is_new = is_new or order.job.id in found.jobs
            if not is_new and order is not None:
                found.jobs.add(order.job.id)
            if stuck.intersection(task.needs) and is_new:
                found.behind.append(task)
                stuck |= keys
            elif is_new or order is None:
                hold_stranger(self.judge.manifest.file, task.picture)
                found.bought.append(task)
                found.in_place += self.orders.kept_in_place(order) if order is not None else []
            elif order.past is Past.MADE:
                adopt(order)
                found.adopted += task.count
            elif order.past in {Past.WAITS, Past.HERE}:
                lapses[task.key] = _lapse(order.job)
                self.name(order.job.id, task.name)
                found.fetched.append(task)
            else:
                found.stuck.append(task)
                stuck |= keys
        rank = {row.name: k for k, row in enumerate(self.judge.manifest.rows)}
        found.bought.sort(key=lambda task: (rank[task.row.name], task.first_n))
        found.fetched.sort(key=lambda task: lapses[task.key])
        return found

    def each(self) -> Iterator[tuple[Task, Order | None]]:
        """Yield tasks behind those that they need, and their orders.

        None: there is none yet, for a picture that it is made from is not made.
        """
        tasks = list(tasks_of(self.judge, self.pictures))
        place = {row.name: k for k, row in enumerate(made_first(self.judge.manifest.rows))}
        for task in sorted(tasks, key=lambda task: place[task.row.name]):
            yield from self._split(task)

    def _split(self, task: Task) -> Iterator[tuple[Task, Order | None]]:
        """Yield a task, or its parts where the ledger knows some of its pictures."""
        order = self._order(task)
        is_open = order is not None and order.past in {Past.NEW, Past.UNKNOWN}
        if order is not None and is_open and task.count > 1 and not order.wish.is_set:
            mine = [p for p in self.pictures if p.row is task.row and p.n in task.numbers]
            for numbers in self.orders.overlaps(order):
                part = self._task_of([p for p in mine if p.n in numbers])
                known = self._order(part) if part is not None else None
                if part is not None and known is not None and known.past is not Past.NEW:
                    yield part, known
                    for rest in tasks_of(self.judge, [p for p in mine if p.n not in numbers]):
                        yield from self._split(rest)
                    return
        yield task, order

    def _task_of(self, pictures: Sequence[Picture]) -> Task | None:
        """Return the one task that brings these pictures; None where there is no such one."""
        tasks = list(tasks_of(self.judge, pictures))
        return tasks[0] if len(tasks) == 1 else None

    def _order(self, task: Task) -> Order | None:
        try:
            return self.orders.order(task, self.origins)
        except UsageError:
            return None
        except AccountError:
            if self.is_plan:
                return None
            raise


def _lapse(job: Job) -> datetime:
    """Return when the first URL of a job lapses; far away where nobody knows."""
    lapses = [image.expires_at for image in job.images if image.expires_at]
    return min(lapses, default=datetime.max.replace(tzinfo=UTC))
