"""Polling in virtual time, by seed: what the pace costs in requests, and brings in waiting.

`rows` holds it against what a person would write down instead, a fixed step: for the tests, and for
whoever prints a table.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from support.clock import BEGIN, SecondsClock

from seedream_cli.core.durations import PRIOR, Estimate, learn
from seedream_cli.core.model import Charge, Job, State
from seedream_cli.engine.context import Step, StepKind
from seedream_cli.engine.pace import ALONE, Pace, jittered, next_look
from seedream_cli.engine.rate_limit import RateLimiter
from seedream_cli.engine.workers import Inbox, WorkerPool
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seedream_cli.providers.spec import Provider, RateLimit

SEED: Final = 19
JOBS: Final = 300
"""Of each kind."""
HISTORY: Final = 10
NARROW: Final = 0.15
WIDE: Final = (0.6, 0.8)
MEDIANS: Final = (8.0, 20.0, 45.0, 90.0)
"""Seconds."""
KIE: Final = PROVIDERS["kie"]


class Row(NamedTuple):
    """One figure, and what it is to be at most, or at least."""

    name: str
    value: float
    goal: float
    is_least: bool = False
    """The goal is a lower bound."""

    @property
    def is_met(self) -> bool:
        """Tell whether the figure is within its goal."""
        return self.value >= self.goal if self.is_least else self.value <= self.goal


@dataclass(frozen=True)
class Outcome:
    """What a way of polling cost and brought, in the mean of many jobs."""

    lag: float
    """Seconds from made to read."""
    polls: float


def tasks(dice: random.Random, median: float, sigma: float, jobs: int = JOBS) -> list[float]:
    """Draw how long jobs take."""
    return [dice.lognormvariate(math.log(median), sigma) for _ in range(jobs)]


def by_pace(
    dice: random.Random, taken: Sequence[float], estimate: Callable[[], Estimate], price: float
) -> Outcome:
    """Ask about each job by its own estimate."""
    lags, polls = 0.0, 0
    for end in taken:
        expected, at = estimate(), 0.0
        while at < end:
            at += jittered(next_look(expected, at, price), dice.random)
            polls += 1
        lags += at - end
    return Outcome(lags / len(taken), polls / len(taken))


def by_step(taken: Sequence[float], step: float) -> Outcome:
    """Ask about each job every so many seconds."""
    looks = [math.ceil(end / step) for end in taken]
    lags = sum(n * step - end for n, end in zip(looks, taken, strict=True))
    return Outcome(lags / len(taken), sum(looks) / len(taken))


def matching_step(taken: Sequence[float], polls: float) -> Outcome:
    """Ask with the fixed step that makes as many polls in the mean."""
    low, high = 0.01, 600.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if by_step(taken, middle).polls > polls else (low, middle)
    return by_step(taken, high)


def narrow(price: float = ALONE, seed: int = SEED) -> tuple[Outcome, Outcome]:
    """Return our outcome and that of a fixed step: a narrow spread, ten jobs of history each."""
    dice = random.Random(seed)
    taken = tasks(dice, 20.0, NARROW)

    def informed() -> Estimate:
        past = tasks(dice, 20.0, NARROW, HISTORY)
        return learn(past, past, PRIOR)

    ours = by_pace(dice, taken, informed, price)
    return ours, matching_step(taken, ours.polls)


def wide(
    median: float, sigma: float, price: float = ALONE, seed: int = SEED
) -> tuple[Outcome, Outcome]:
    """Return our outcome and that of a fixed step: a wide spread, no history at all."""
    dice = random.Random(seed)
    taken = tasks(dice, median, sigma)
    ours = by_pace(dice, taken, lambda: PRIOR, price)
    return ours, matching_step(taken, ours.polls)


# -- a batch under a limit ----------------------------------------------------------------------


@dataclass
class Server:
    """A provider that takes so many requests in a span, of whatever kind, and turns more away."""

    clock: SecondsClock
    most: int = 20
    span: float = 10.0
    taken: deque[float] = field(default_factory=deque)
    turned_away: int = 0

    def takes(self) -> bool:
        """Take a request, or turn it away."""
        now = self.clock.monotonic()
        while self.taken and self.taken[0] <= now - self.span:
            self.taken.popleft()
        if len(self.taken) >= self.most:
            self.turned_away += 1
            return False
        self.taken.append(now)
        return True


@dataclass
class Batch:
    """Many polled jobs at once, through the real limiter, pool and pace, on a clock of its own."""

    jobs: int = 300
    at_once: int = 300
    median: float = 20.0
    sigma: float = 0.5
    seed: int = SEED
    provider: Provider = KIE
    clock: SecondsClock = field(default_factory=SecondsClock)
    polls: int = 0
    steps: int = 0
    lags: list[float] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)
    """When a submit or a poll was sent."""

    def __post_init__(self) -> None:
        """Build what the jobs share."""
        self._dice = random.Random(self.seed)
        self.server = Server(self.clock)
        self._begun: list[float] = []
        self._ends: dict[str, tuple[float, float]] = {}
        """When each job is made, and how long it takes."""
        self._taken: list[float] = []
        self.limiter = RateLimiter(self.clock, self._starts)
        self.pace = Pace(self.clock, self._dice.random, lambda _: (self._newest, self._newest))
        self._made = {each.id: each for each in map(_job, range(self.jobs))}
        self._left = iter(list(self._made.values()))
        self._running = 0

    @property
    def _newest(self) -> list[float]:
        return self._taken[-50:][::-1]

    def _starts(self, _origin: str, _model: str, limit: RateLimit) -> list[tuple[float, int]]:
        now = self.clock.monotonic()
        return [(now - at, 1) for at in self._begun[-limit.count :] if at > now - limit.span]

    def run(self) -> Batch:
        """Take all jobs from their submits to the polls that read `done`."""
        inbox = Inbox()
        pool = WorkerPool(self.take, self.clock, inbox, workers=0, on_signal=lambda _: 0.0)
        pool.run([], self._more)
        return self

    def _more(self) -> Step | None:
        if self._running >= self.at_once:
            return None
        job = next(self._left, None)
        if job is None:
            return None
        self._running += 1
        return Step(self.clock.monotonic(), job.id, StepKind.SUBMIT)

    def take(self, step: Step) -> Step | None:
        """Do a step as the engine does, without its ledger."""
        self.steps += 1
        job = self._made[step.job_id]
        return self._submit(job, step) if step.deed is StepKind.SUBMIT else self._poll(job, step)

    def _submit(self, job: Job, step: Step) -> Step:
        now = self.clock.monotonic()
        wait = self.limiter.submit(job, self.provider)
        if wait is not None:
            return replace(step, due=now + wait.seconds)
        self.limiter.note_start(job)
        self._begun.append(now)
        self.calls.append((now, "submit"))
        try:
            if not self.server.takes():
                seconds = 0.5 * 2.0 ** min(step.tries + 1, 5) * self._dice.random()
                self.limiter.pause(job, seconds)
                return replace(step, due=now + seconds, tries=step.tries + 1)
        finally:
            self.limiter.release(job)
        self.limiter.note_answer(job)
        self.pace.note_sent(job)
        seconds = self._dice.lognormvariate(math.log(self.median), self.sigma)
        self._ends[job.id] = (now + seconds, seconds)
        return Step(now + self.pace.until_next_look(job), job.id, StepKind.POLL)

    def _poll(self, job: Job, step: Step) -> Step | None:
        now = self.clock.monotonic()
        wait = self.limiter.poll(
            job, self.provider, lambda stretch: self.pace.urgency(job, stretch)
        )
        if wait is not None:
            return replace(step, due=now + wait.seconds)
        self.pace.note_asked(job)
        self.polls += 1
        self.calls.append((now, "poll"))
        if not self.server.takes():
            self.limiter.note_busy_poll(job, self.provider, None)
            troubles = step.troubles + 1
            due = now + self.pace.until_next_try(None, troubles)
            return replace(step, due=due, troubles=troubles)
        made_at, seconds = self._ends[job.id]
        if now < made_at:
            due = now + self.pace.until_next_look(job)
            return replace(step, due=due, troubles=0)
        self.lags.append(now - made_at)
        self._taken.append(seconds)
        self.pace.note_made(job)
        self.pace.forget(job.id)
        self._running -= 1
        return None

    @property
    def polls_a_job(self) -> float:
        """Return the polls that were sent for each job."""
        return self.polls / self.jobs

    @property
    def share(self) -> float:
        """Return the jobs a second as a part of what the limit leaves room for, 2 / (1 + p)."""
        rate = self.server.most / self.server.span
        return self.jobs / self.clock.seconds / (rate / (1 + self.polls_a_job))


def _job(number: int) -> Job:
    return Job(
        id=f"{number:08d}",
        run="run00001",
        state=State.RUNNING,
        charge=Charge.CHARGED,
        provider="kie",
        profile="kie",
        origin="https://api.kie.ai",
        sandbox=False,
        model="seedream/4.5-text-to-image",
        prompt="a fox",
        request={"size": "2048x2048"},
        recipe={},
        purchase_digest=f"{number:064d}",
        output={},
        first_n=1,
        expected=1,
        created_at=BEGIN,
    )


def rows(seed: int = SEED) -> list[Row]:
    """Return all figures with their goals."""
    ours, fixed = narrow(seed=seed)
    found = [Row("lag, narrow spread, 10 jobs of history", ours.lag / fixed.lag, 0.6)]
    for median in MEDIANS:
        for sigma in WIDE:
            ours, fixed = wide(median, sigma, seed=seed)
            name = f"lag, median {median:g} s, sigma {sigma:g}, no history"
            found.append(Row(name, ours.lag / fixed.lag, 1.0))
    batch = Batch(seed=seed).run()
    found.append(Row("batch of 300, of 2/(1+p)", batch.share, 0.9, is_least=True))
    return found
