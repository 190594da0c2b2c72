"""What became of a batch, row by row: on stdout, for people, for CI, and as an exit code."""

from __future__ import annotations

import os
import posixpath
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output import job as render
from seedream_cli.cli.output.outcome import (
    FAILING,
    NOT_AS_ASKED,
    THERE,
    Outcome,
    is_exact,
    is_left,
    money_of,
    word_of,
)
from seedream_cli.core import money as price
from seedream_cli.core.events import RowEnded
from seedream_cli.core.model import OPEN_STATES, Charge, Image, State
from seedream_cli.core.record import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Action, Result
    from seedream_cli.cli.output.ci import Actions
    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Stdout
    from seedream_cli.core.model import Job


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
    outcome: Outcome = field(init=False)
    undecided: list[Job] = field(default_factory=list)
    """Jobs that people have to settle: how is said once, at the end."""
    running: dict[str, Job] = field(default_factory=dict)
    """One job a provider that is left to run."""
    begun_at: datetime = field(init=False)
    """What was saved since then was saved by this run."""
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Begin now."""
        self.begun_at = self.now()
        self.outcome = Outcome(runs={self.run})

    def keep(self, action: Action) -> None:
        """Count a picture that is there already."""
        self.outcome.counts["current"] += action.count
        if self.is_json:
            self.stdout.json(_current(action, self.base))

    def leave(self, action: Action) -> None:
        """Tell of a picture that is left as it is: changed by hand, or its new name is taken."""
        self.outcome.counts["not moved" if action.is_misplaced else "changed by hand"] += 1
        # A change by hand is a wish; a name that is taken is not what was asked for.
        self.outcome.codes |= {NOT_AS_ASKED} if action.is_misplaced else set()
        way = "; free that name, or use a third one on the way" if action.is_misplaced else ""
        self.show.say(f"{action.name} is left as it is: {action.reason}{way}", is_error=True)
        if self.is_json:
            self.stdout.json(_current(action, self.base))

    def move(self, action: Action) -> None:
        """Tell of a picture that has its new name."""
        self.outcome.counts["moved"] += 1
        self.show.say(f"{action.name} moved from {action.entry.output if action.entry else ''}")
        if self.is_json:
            self.stdout.json(_current(action, self.base) | {"skipped": False})
        else:
            self.stdout.line(show_path(posixpath.join(self.base, action.output)))

    def tell(self, end: Result) -> None:
        """Take note of how an action ended, and print it."""
        job, action = end.job, end.action
        saved = [each for each in _images_of(end) if each.saved_at and each.path and not end.is_old]
        is_left_out = is_left(end.job, end.problem)
        is_bad = bool(_exit_of(end)) and not is_left_out
        is_open = job is not None and job.state in OPEN_STATES
        # Of what is not finished, or not where it belongs, nothing counts as made.
        count = 0 if is_open or (is_bad and len(saved) >= action.count) else len(saved)
        missing = max(0, action.count - count)
        # Counted and printed in one: the sum at the end is of what was told.
        with self.mutex, self.show.aside():
            self.outcome.codes.add(_exit_of(end))
            if job is not None:
                self.undecided += [job] if job.state is State.UNKNOWN else []
                self.running |= {job.provider: job} if job.state is State.RUNNING else {}
                self.outcome.add(job)
                self._print_job(end, job, saved)
            else:
                self._print_left(end)
            counts = self.outcome.counts
            counts["fetched" if job is not None and job.run != self.run else "made"] += count
            if is_left_out:
                counts["left"] += missing
            elif is_bad:
                counts[word_of(job)] += max(1, missing)
        for ended in self._ends(end, saved):
            with self.mutex:
                self.actions.note(ended)
            self.show(ended)

    def _ends(self, end: Result, saved: Sequence[Image]) -> Iterator[RowEnded]:
        """Yield how each picture of an action ended; together they cost what the job did."""
        whole, action = self.ended(end), end.action
        many = action.count > 1
        # Where some came and others never will, those that came are what was paid for.
        is_over = whole.state is State.SAVED and bool(saved)
        parts = len(saved) if is_over else action.count
        share = price.share(whole.money, parts) if whole.money else None
        for image in saved:
            name = f"{action.row.name}-{image.n}" if many else whole.row
            problem = None if many else whole.problem
            state = State.SAVED if many else whole.state
            path = show_path(image.path or "")
            yield replace(whole, row=name, path=path, money=share, problem=problem, state=state)
        count = action.count - len(saved)
        if not _exit_of(end) or count <= 0:
            return
        # Of a set that is over each lost picture has its own reason, and costs nothing more.
        if many and is_over:
            whole = replace(whole, money=None, charge=Charge.NONE)
            for image in (each for each in _images_of(end) if each.problem is not None):
                name = f"{action.row.name}-{image.n}"
                yield replace(whole, row=name, problem=image.problem)
                count -= 1
        if count > 0:
            money = replace(share, amount=share.amount * count) if share and not is_over else None
            name = action.row.name if many else whole.row
            yield replace(whole, row=name, money=money, count=count)

    def _print_job(self, end: Result, job: Job, saved: list[Image]) -> None:
        if self.is_json:
            is_fetched = job.run != self.run and not end.is_old
            told = {"fetched": True} if is_fetched else {}
            asked = replace(job, images=tuple(_images_of(end)))
            self.stdout.json(render.job_json(asked, end.problem) | told)
        elif not self.is_wait and job.state is State.RUNNING and end.problem is None:
            self.stdout.line(job.id)
        for image in [] if self.is_json else saved:
            # A picture that was there before this run is no result of it.
            if image.saved_at and image.saved_at >= self.begun_at:
                self.stdout.line(show_path(image.path or ""))

    def _print_left(self, end: Result) -> None:
        if not self.is_json:
            return
        row, problem = end.action.row, end.problem
        told: dict[str, object] = {"next": "retry"}
        if problem is not None:
            told = {"next": "fix", "error": render.problem_json(problem, problem.hint)}
        self.stdout.json(render.bare_json(row=row.name, prompt=row.prompt, state="planned", **told))

    def ended(self, end: Result) -> RowEnded:
        """Return how an action ended, in the words of a row."""
        job = end.job
        seconds = None
        if job is not None and job.sent_at is not None and job.run == self.run:
            seconds = ((job.finished_at or self.now()) - job.sent_at).total_seconds()
        problem = None if is_left(end.job, end.problem) else end.problem
        if problem is not None and job is not None and job.state is State.UNKNOWN:
            # How unknown ones are settled is said once, at the end, in one line for all.
            problem = replace(problem, hint="")
        return RowEnded(
            row=end.action.name,
            line=end.action.row.line,
            state=State.PLANNED if job is None or is_left(end.job, end.problem) else job.state,
            path=None,
            prompt=end.action.row.prompt,
            money=money_of(job) if job is not None and job.run == self.run else None,
            is_estimate=not (job is not None and is_exact(job)),
            seconds=seconds,
            problem=problem,
            job=job.id if job else None,
            charge=job.charge if job else Charge.NONE,
        )

    def close(self, signal_number: int, file: str, why_left: str = "") -> int:
        """Say the sum, and why rows were left; tell CI, and return the exit code."""
        outcome, counts = self.outcome, self.outcome.counts
        said = outcome.sentence("current")
        self.show.say(said)
        # Why nothing more was begun: else what is missing would look like a failure.
        if (counts["left"] or signal_number) and why_left:
            self.show.say(why_left)
        if words_of_haste := render.haste(self.running.values()):
            self.show.say(words_of_haste)
        if self.undecided:
            self.show.say(render.settle_lines(self.undecided), is_error=True)
        self.actions.annotate(file)
        self.actions.write(
            outputs={
                "made": counts["made"],
                "current": sum(counts[word] for word in THERE),
                "failed": sum(counts[word] for word in FAILING),
                "fetched": counts["fetched"],
                "moved": counts["moved"],
                "left": counts["left"],
            },
            cost=outcome.cost,
            title=file,
            words=said,
            show=self.show,
        )
        return outcome.exit(signal_number)


def _images_of(end: Result) -> list[Image]:
    """Return the pictures of a job that were asked for."""
    images, action = end.job.images if end.job is not None else (), end.action
    return [image for image in images if action.is_whole_set or image.n == action.n]


def _exit_of(end: Result) -> int:
    """Return the exit code of one action."""
    if is_left(end.job, end.problem):
        return NOT_AS_ASKED
    if end.job is not None:
        return render.job_exit(end.job, end.problem)
    return end.problem.exit if end.problem else NOT_AS_ASKED


def show_path(path: str) -> str:
    """Return a path as a person at this place would write it."""
    try:
        here = str(Path.cwd())
    except OSError:
        return path
    inside = os.path.relpath(path, here)
    # `../../..` says less than the whole path.
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
