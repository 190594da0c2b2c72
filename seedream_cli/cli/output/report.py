"""What became of a batch, row by row: on stdout, for people, for CI, and as an exit code."""

from __future__ import annotations

import os
import posixpath
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output import job as render
from seedream_cli.core import money as price
from seedream_cli.core.errors import gravest
from seedream_cli.core.events import RowEnded
from seedream_cli.core.model import OPEN_STATES, Charge, Image, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.apply import End
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.targets import Task
    from seedream_cli.cli.output.batch_progress import LiveBatch, PlainBatch
    from seedream_cli.cli.output.ci import Actions
    from seedream_cli.cli.output.stdout import Stdout
    from seedream_cli.core.model import Job, Money

_NOT_MADE = 3
_BOUGHT_NOTHING = frozenset({2, 69})


@dataclass(slots=True, kw_only=True)
class Results:
    """Hears of each task once, from any thread, and holds no more of it than sums."""

    stdout: Stdout
    show: PlainBatch | LiveBatch
    actions: Actions
    is_json: bool
    is_wait: bool
    base: str
    now: Callable[[], datetime]
    run: str
    made: int = 0
    fetched: int = 0
    current: int = 0
    by_hand: int = 0
    misplaced: int = 0
    """As described, and not moved to their new names, which are taken."""
    moves: int = 0
    failed: int = 0
    """Of these some are of unknown outcome, and some not finished."""
    unknown: int = 0
    undecided: list[Job] = field(default_factory=list)
    """Jobs that people have to settle: how is said once, at the end."""
    unfinished: int = 0
    running: dict[str, Job] = field(default_factory=dict)
    """One job a provider that is left to run."""
    left: int = 0
    codes: set[int] = field(default_factory=set)
    is_paid: bool = False
    costs: list[Money] = field(default_factory=list)
    doubts: list[Money] = field(default_factory=list)
    """What may have been charged, and nobody knows."""
    is_rehearsal: bool = True
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, picture: Picture) -> None:
        """Count a picture that is there already."""
        self.current += 1
        if self.is_json and picture.entry is not None:
            self.stdout.json(_kept(picture, picture.entry, self.base))

    def adopt(self, job: Job, count: int) -> None:
        """Count pictures of a job that only the ledger knew of."""
        self.current += count
        if self.is_json:
            self.stdout.json(render.job_json(job) | {"skipped": True})

    def hold(self, picture: Picture) -> None:
        """Tell of a picture that is left as it is: changed by hand, or its new name is taken."""
        if picture.is_misplaced:
            self.misplaced += 1
            self.codes.add(_NOT_MADE)
        else:
            self.by_hand += 1
        way = "; free that name, or use a third one on the way" if picture.is_misplaced else ""
        self.show.say(f"{picture.name} is left as it is: {picture.reason}{way}", is_error=True)
        if self.is_json and picture.entry is not None:
            self.stdout.json(_kept(picture, picture.entry, self.base))

    def moved(self, picture: Picture) -> None:
        """Tell of a picture that has its new name."""
        self.moves += 1
        self.show.say(f"{picture.name} moved from {picture.entry.output if picture.entry else ''}")
        if not self.is_json:
            self.stdout.line(shown(posixpath.join(self.base, picture.output)))
        elif picture.entry is not None:
            self.stdout.json(_kept(picture, picture.entry, self.base) | {"skipped": False})

    def tell(self, end: End) -> None:
        """Take note of how a task ended, and print it."""
        job = end.job
        asked = _asked(end)
        lying = [image for image in asked if image.saved_at and image.path and not end.is_old]
        saved = [image for image in lying if image.index not in end.there]
        is_left = _is_left(end)
        is_bad = bool(_exit_of(end)) and not is_left
        is_open = job is not None and job.state in OPEN_STATES
        # Of what is not finished, or not where it belongs, nothing counts as made.
        count = 0 if is_open or (is_bad and len(lying) >= end.task.count) else len(saved)
        there = len(lying) - len(saved)
        missing = max(0, end.task.count - count - there)
        with self.mutex, self.show.aside():
            self.codes.add(_exit_of(end))
            if job is not None:
                self.undecided += [job] if job.state is State.UNKNOWN else []
                self.running |= {job.provider: job} if job.state is State.RUNNING else {}
                self._count_money(job)
                self._print_job(end, job, saved)
            else:
                self._print_left(end)
            if job is not None and job.run != self.run:
                self.fetched += count
            else:
                self.made += count
            self.current += there
            self.left += missing if is_left else 0
            if is_bad:
                self._count_bad(job, max(1, missing))
        for ended in self._ends(end, saved):
            with self.mutex:
                self.actions.note(ended)
            self.show(ended)

    def _count_bad(self, job: Job | None, count: int) -> None:
        state = job.state if job is not None else State.PLANNED
        self.failed += count
        self.unknown += count if state is State.UNKNOWN else 0
        self.unfinished += count if state in OPEN_STATES and job is not None else 0

    def _ends(self, end: End, saved: Sequence[Image]) -> Iterator[RowEnded]:
        """Yield how each picture of a task ended."""
        whole = self._ended(end)
        money = whole.money
        share = price.share(money, len(saved) or end.task.count) if money else None
        many = end.task.count > 1
        for image in saved:
            name = f"{end.task.row.name}-{image.n}" if many else whole.row
            problem = None if many else whole.problem
            state = State.SAVED if many else whole.state
            path = shown(image.path or "")
            yield replace(whole, row=name, path=path, money=share, problem=problem, state=state)
        lying = [*saved, *(image for image in _asked(end) if image.index in end.there)]
        numbers = sorted({*end.task.numbers} - {image.n for image in lying})
        count = end.task.count - len(lying)
        if _exit_of(end) and count > 0:
            name = _span(end.task, numbers[:count]) if many else whole.row
            money = replace(share, amount=share.amount * count) if share else None
            yield replace(whole, row=name, money=money, count=count)

    def _count_money(self, job: Job) -> None:
        if job.charge is Charge.NONE or job.run != self.run:
            return
        self.is_paid = True
        self.is_rehearsal = self.is_rehearsal and job.sandbox
        paid = job.cost or job.price
        if paid is not None and job.charge is Charge.CHARGED:
            self.costs = price.total([*self.costs, paid])
        elif paid is not None:
            self.doubts = price.total([*self.doubts, paid])

    def _print_job(self, end: End, job: Job, saved: list[Image]) -> None:
        if self.is_json:
            is_fetched = job.run != self.run and not end.is_old
            told = {"fetched": True} if is_fetched else {}
            asked = replace(job, images=tuple(_asked(end)))
            self.stdout.json(render.job_json(asked, end.problem) | told)
        elif not self.is_wait and job.state is State.RUNNING and end.problem is None:
            self.stdout.line(job.id)
        for image in [] if self.is_json else saved:
            self.stdout.line(shown(image.path or ""))

    def _print_left(self, end: End) -> None:
        if not self.is_json:
            return
        row = end.task.row
        if end.problem is not None:
            error = render.problem_json(end.problem, end.problem.hint)
            self.stdout.json(
                render.bare_json(
                    row=row.name, prompt=row.prompt, state="planned", next="fix", error=error
                )
            )
            return
        self.stdout.json(
            render.bare_json(row=row.name, prompt=row.prompt, state="planned", next="retry")
        )

    def _ended(self, end: End) -> RowEnded:
        job = end.job
        seconds = None
        if job is not None and job.sent_at is not None:
            seconds = ((job.finished_at or self.now()) - job.sent_at).total_seconds()
        is_known = job is not None and (
            render.is_named_charge(job) or (job.cost is not None and job.cost != job.price)
        )
        problem = None if _is_left(end) else end.problem
        if problem is not None and job is not None and job.state is State.UNKNOWN:
            problem = replace(problem, hint="")
        return RowEnded(
            row=end.task.name,
            line=end.task.row.line,
            state=State.PLANNED if job is None or _is_left(end) else job.state,
            path=None,
            prompt=end.task.row.prompt,
            money=_money(job) if job is not None and job.run == self.run else None,
            is_estimate=not is_known,
            seconds=seconds,
            problem=problem,
            job=job.id if job else None,
            charge=job.charge if job else Charge.NONE,
        )

    @property
    def cost(self) -> str:
        """What this run cost, a sum a currency; what may have been charged is in it."""
        return self._spent or ("not known" if self.is_paid else "0")

    @property
    def _spent(self) -> str:
        return _sum(price.total([*self.costs, *self.doubts]))

    def close(self, signal_exit: int, file: str, why_left: str = "") -> int:
        """Say the sum, and why rows were left; tell CI, and return the exit code."""
        words = [f"{self.made} made"]
        words += [f"{self.fetched} fetched"] if self.fetched else []
        words += [f"{self.moves} moved"] if self.moves else []
        words += [f"{self.current} current"]
        words += [f"{self.by_hand} changed by hand"] if self.by_hand else []
        words += [f"{self.misplaced} not moved"] if self.misplaced else []
        failed = self.failed - self.unknown - self.unfinished
        words += [f"{failed} failed"] if failed else []
        words += [f"{self.unknown} of unknown outcome"] if self.unknown else []
        words += [f"{self.unfinished} not finished"] if self.unfinished else []
        words += [f"{self.left} left"] if self.left else []
        self.show.say(f"{', '.join(words)}{self._cost_words()}")
        if (self.left or signal_exit) and why_left:
            self.show.say(why_left)
        if words_of_haste := render.haste(self.running.values()):
            self.show.say(words_of_haste)
        if self.undecided:
            self.show.say(render.settle_lines(self.undecided), is_error=True)
        self.actions.annotate(file)
        self.actions.write(
            made=self.made,
            fetched=self.fetched,
            moved=self.moves,
            current=self.current + self.by_hand + self.misplaced,
            failed=self.failed,
            left=self.left,
            cost=self.cost,
            title=file,
            show=self.show,
        )
        codes = [signal_exit, *self.codes]
        # 69 and 2 promise that nothing was bought, or even sent.
        if self.is_paid:
            codes = [_NOT_MADE if code in _BOUGHT_NOTHING else code for code in codes]
        return gravest(codes)

    def _cost_words(self) -> str:
        if not self.is_paid:
            return ""
        if self.is_rehearsal:
            would = f"would cost about {self._spent}" if self._spent else "price not known"
            return f"; {would} (sandbox: nothing was charged)"
        words = [f"cost about {_sum(self.costs)}"] if self.costs else []
        words += [f"{_sum(self.doubts)} may have been charged"] if self.doubts else []
        return f"; {', '.join(words)}" if words else "; the price is not known"


def _span(task: Task, numbers: Sequence[int]) -> str:
    """Name several pictures of a row: `fox` for a whole set, `fox-3`, `fox-3 to -5`."""
    if task.picture.of is not None and len(numbers) == task.count:
        return task.row.name
    first = f"{task.row.name}-{numbers[0]}"
    return first if len(numbers) == 1 else f"{first} to -{numbers[-1]}"


def _sum(moneys: list[Money]) -> str:
    return " and ".join(price.show(money) for money in moneys)


def _money(job: Job) -> Money | None:
    is_free = job.sandbox or job.charge is Charge.NONE
    return None if is_free else job.cost or job.price


def _asked(end: End) -> list[Image]:
    """Return the pictures of a job that a task asked for."""
    images = end.job.images if end.job is not None else ()
    is_set = end.task.picture.of is not None
    return [image for image in images if is_set or image.n in end.task.numbers]


def _is_left(end: End) -> bool:
    """Tell whether nothing was sent for a task though nothing is wrong with it."""
    if end.job is None:
        return end.problem is None
    is_stopped = end.problem is not None and end.problem.code == "interrupted"
    return end.job.state is State.CLOSED and is_stopped


def _exit_of(end: End) -> int:
    """Return the exit code of one task."""
    if _is_left(end):
        return _NOT_MADE
    if end.job is not None:
        return render.job_exit(end.job, end.problem)
    return end.problem.exit if end.problem else _NOT_MADE


def shown(path: str) -> str:
    """Return a path as a person at this place would write it."""
    try:
        here = str(Path.cwd())
    except OSError:
        return path
    inside = os.path.relpath(path, here)
    return path if inside.startswith("..") else inside


def _kept(picture: Picture, entry: Entry, base: str) -> dict[str, object]:
    """Return the object of a picture that this run did not have to make."""
    path = posixpath.join(base, picture.output)
    image = Image(
        job="", index=1, n=entry.n, path=path, sha256=entry.sha256, size=entry.size or None
    )
    return render.bare_json(
        row=entry.name,
        state="saved",
        skipped=True,
        sandbox=entry.sandbox,
        provider=entry.provider,
        model=entry.model,
        prompt=picture.row.prompt,
        images=[render.image_json(image)],
    )
