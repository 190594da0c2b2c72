"""What became of a batch, row by row: on stdout, for people, for CI, and as an exit code."""

from __future__ import annotations

import os
import posixpath
import threading
from collections import Counter
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

    from seedream_cli.batch.action import Action, Result
    from seedream_cli.cli.output.ci import Actions
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Stdout
    from seedream_cli.core.model import Job, Money

_NOT_MADE = 3
_BOUGHT_NOTHING = frozenset({2, 69})
_THERE = ("current", "changed by hand", "not moved")
_FAILING = ("failed", "of unknown outcome", "not finished")
_TOLD = ("made", "fetched", "moved", *_THERE, *_FAILING, "left")


@dataclass(slots=True, kw_only=True)
class Results:
    """Hears of each action once, from any thread, and holds no more of it than sums."""

    stdout: Stdout
    show: Plain
    actions: Actions
    is_json: bool
    is_wait: bool
    base: str
    now: Callable[[], datetime]
    run: str
    counts: Counter[str] = field(default_factory=Counter)
    """Pictures, by the words in which they are told."""
    undecided: list[Job] = field(default_factory=list)
    """Jobs that people have to settle: how is said once, at the end."""
    running: dict[str, Job] = field(default_factory=dict)
    """One job a provider that is left to run."""
    codes: set[int] = field(default_factory=set)
    is_paid: bool = False
    costs: list[Money] = field(default_factory=list)
    doubts: list[Money] = field(default_factory=list)
    """What may have been charged, and nobody knows."""
    is_rehearsal: bool = True
    begun_at: datetime = field(init=False)
    """What was saved since then was saved by this run."""
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin now."""
        self.begun_at = self.now()

    def keep(self, action: Action) -> None:
        """Count a picture that is there already."""
        self.counts["current"] += action.count
        if self.is_json:
            self.stdout.json(_current(action, self.base))

    def leave(self, action: Action) -> None:
        """Tell of a picture that is left as it is: changed by hand, or its new name is taken."""
        self.counts["not moved" if action.is_misplaced else "changed by hand"] += 1
        self.codes |= {_NOT_MADE} if action.is_misplaced else set()
        way = "; free that name, or use a third one on the way" if action.is_misplaced else ""
        self.show.say(f"{action.name} is left as it is: {action.reason}{way}", is_error=True)
        if self.is_json:
            self.stdout.json(_current(action, self.base))

    def move(self, action: Action) -> None:
        """Tell of a picture that has its new name."""
        self.counts["moved"] += 1
        self.show.say(f"{action.name} moved from {action.entry.output if action.entry else ''}")
        if self.is_json:
            self.stdout.json(_current(action, self.base) | {"skipped": False})
        else:
            self.stdout.line(shown(posixpath.join(self.base, action.output)))

    def tell(self, end: Result) -> None:
        """Take note of how an action ended, and print it."""
        job, action = end.job, end.action
        saved = [each for each in _asked(end) if each.saved_at and each.path and not end.is_old]
        is_left = _is_left(end)
        is_bad = bool(_exit_of(end)) and not is_left
        is_open = job is not None and job.state in OPEN_STATES
        # Of what is not finished, or not where it belongs, nothing counts as made.
        count = 0 if is_open or (is_bad and len(saved) >= action.count) else len(saved)
        missing = max(0, action.count - count)
        with self.mutex, self.show.aside():
            self.codes.add(_exit_of(end))
            if job is not None:
                self.undecided += [job] if job.state is State.UNKNOWN else []
                self.running |= {job.provider: job} if job.state is State.RUNNING else {}
                self._count_money(job)
                self._print_job(end, job, saved)
            else:
                self._print_left(end)
            self.counts["fetched" if job is not None and job.run != self.run else "made"] += count
            if is_left:
                self.counts["left"] += missing
            elif is_bad:
                self.counts[_failing(job)] += max(1, missing)
        for ended in self._ends(end, saved):
            with self.mutex:
                self.actions.note(ended)
            self.show(ended)

    def _ends(self, end: Result, saved: Sequence[Image]) -> Iterator[RowEnded]:
        """Yield how each picture of an action ended."""
        whole, action = self._ended(end), end.action
        share = price.share(whole.money, len(saved) or action.count) if whole.money else None
        many = action.count > 1
        for image in saved:
            name = f"{action.row.name}-{image.n}" if many else whole.row
            problem = None if many else whole.problem
            state = State.SAVED if many else whole.state
            path = shown(image.path or "")
            yield replace(whole, row=name, path=path, money=share, problem=problem, state=state)
        count = action.count - len(saved)
        if _exit_of(end) and count > 0:
            money = replace(share, amount=share.amount * count) if share else None
            name = action.row.name if many and not saved else whole.row
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

    def _print_job(self, end: Result, job: Job, saved: list[Image]) -> None:
        if self.is_json:
            is_fetched = job.run != self.run and not end.is_old
            told = {"fetched": True} if is_fetched else {}
            asked = replace(job, images=tuple(_asked(end)))
            self.stdout.json(render.job_json(asked, end.problem) | told)
        elif not self.is_wait and job.state is State.RUNNING and end.problem is None:
            self.stdout.line(job.id)
        for image in [] if self.is_json else saved:
            if image.saved_at and image.saved_at >= self.begun_at:
                self.stdout.line(shown(image.path or ""))

    def _print_left(self, end: Result) -> None:
        if not self.is_json:
            return
        row, problem = end.action.row, end.problem
        told: dict[str, object] = {"next": "retry"}
        if problem is not None:
            told = {"next": "fix", "error": render.problem_json(problem, problem.hint)}
        self.stdout.json(render.bare_json(row=row.name, prompt=row.prompt, state="planned", **told))

    def _ended(self, end: Result) -> RowEnded:
        job = end.job
        seconds = None
        if job is not None and job.sent_at is not None and job.run == self.run:
            seconds = ((job.finished_at or self.now()) - job.sent_at).total_seconds()
        is_known = job is not None and (
            render.is_named_charge(job) or (job.cost is not None and job.cost != job.price)
        )
        problem = None if _is_left(end) else end.problem
        if problem is not None and job is not None and job.state is State.UNKNOWN:
            problem = replace(problem, hint="")
        return RowEnded(
            row=end.action.name,
            line=end.action.row.line,
            state=State.PLANNED if job is None or _is_left(end) else job.state,
            path=None,
            prompt=end.action.row.prompt,
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
        counts = self.counts
        told = (word for word in _TOLD if counts[word] or word in {"made", "current"})
        said = ", ".join(f"{counts[word]} {word}" for word in told) + self._cost_words()
        self.show.say(said)
        if (counts["left"] or signal_exit) and why_left:
            self.show.say(why_left)
        if words_of_haste := render.haste(self.running.values()):
            self.show.say(words_of_haste)
        if self.undecided:
            self.show.say(render.settle_lines(self.undecided), is_error=True)
        self.actions.annotate(file)
        self.actions.write(
            outputs={
                "made": counts["made"],
                "current": sum(counts[word] for word in _THERE),
                "failed": sum(counts[word] for word in _FAILING),
                "fetched": counts["fetched"],
                "moved": counts["moved"],
                "left": counts["left"],
            },
            cost=self.cost,
            title=file,
            words=said,
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


def _failing(job: Job | None) -> str:
    """Return in which words a picture that was not made is counted."""
    if job is not None and job.state is State.UNKNOWN:
        return "of unknown outcome"
    return "not finished" if job is not None and job.state in OPEN_STATES else "failed"


def _sum(moneys: list[Money]) -> str:
    return " and ".join(price.show(money) for money in moneys)


def _money(job: Job) -> Money | None:
    is_free = job.sandbox or job.charge is Charge.NONE
    return None if is_free else job.cost or job.price


def _asked(end: Result) -> list[Image]:
    """Return the pictures of a job that were asked for."""
    images, action = end.job.images if end.job is not None else (), end.action
    return [image for image in images if action.is_whole_set or image.n == action.n]


def _is_left(end: Result) -> bool:
    """Tell whether nothing was sent for a picture though nothing is wrong with it."""
    if end.job is None:
        return end.problem is None
    is_stopped = end.problem is not None and end.problem.code == "interrupted"
    return end.job.state is State.CLOSED and is_stopped


def _exit_of(end: Result) -> int:
    """Return the exit code of one action."""
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


def _current(action: Action, base: str) -> dict[str, object]:
    """Return the object of a picture that this run did not have to make."""
    if action.entry is None:
        job = action.job  # without a lock the ledger alone knows of it
        return render.job_json(job) | {"skipped": True} if job is not None else {}
    entry, path = action.entry, posixpath.join(base, action.output)
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
        prompt=action.row.prompt,
        images=[render.image_json(image)],
    )
