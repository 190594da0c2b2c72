"""When a job is asked about next: when it will probably have lain done for a set price of time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from seedream_cli.core.durations import PRIOR, REHEARSAL, learn
from seedream_cli.core.errors import StorageError
from seedream_cli.core.model import State
from seedream_cli.core.record import dataclass, replace
from seedream_cli.storage.ledger.columns import maker_of, size_of
from seedream_cli.transport.backoff import MAX_RETRY_AFTER, http_date

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seedream_cli.core.clock import Clock
    from seedream_cli.core.durations import Estimate
    from seedream_cli.core.model import Done, Job, Reply, Running

ALONE: Final = 0.1
"""Seconds that a picture may lie done before it is worth a request: somebody waits for it."""
AMONG_MANY: Final = 0.35
"""The same where several jobs are under way: their requests add up, and nobody waits for one."""
LEAST: Final = 0.5
MOST: Final = 15.0
"""Seconds between two looks at a job. KIE advises 2-3 s for the first 30 s, 5-10 s after, 15-30 s
after two minutes (docs.kie.ai, 2026-08-19)."""
_TROUBLED: Final = 2.0
"""Seconds after the first look in vain; each further one in a row waits twice as long."""
_JITTER: Final = 0.1
_TURNS: Final = 24
_EXACT: Final = 0.002
"""Of a price: a wait is told to a thousandth, and the jitter is a tenth."""
_SHORTEST, _LONGEST = 0.01, 120.0
"""Seconds within which a job's urgency is told apart from others'."""
_DULLEST: Final = 20.0
"""Seconds between two looks above which nobody can say when in between a job was done."""
_SLACK: Final = 5.0
"""Seconds by which a provider may say that a job took longer than we have waited for it."""
_FIRST_SHARE: Final = 0.05
"""Of a job's work: what is said before is too coarse to tell the rest by."""
_SURE: Final = 0.25
"""Spread of what a job's own progress tells of its end."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a provider said of a job when it was last asked."""

    at: float
    """Monotonic: when it was asked."""
    began: float | None = None
    """Monotonic: since when it runs by what the provider says; None: it does not say."""
    said: float | None = None
    """Which part of it was done then by what the provider says."""
    progress: float | None = None
    """The same, where it has moved since the look before: some fill the field and never count."""


def next_look(estimate: Estimate, elapsed: float, price: float) -> float:
    """Return the seconds until a job is asked about that has run for `elapsed` and is not done.

    The smallest wait after which the lag that is to be expected reaches `price`.
    """
    return reach(estimate, elapsed, price, LEAST, MOST)


def reach(estimate: Estimate, elapsed: float, price: float, least: float, most: float) -> float:
    """Return the wait, within bounds, after which the expected lag is `price`."""
    low, high = least, most
    under = estimate.expected_lag(elapsed, elapsed + low)
    over = estimate.expected_lag(elapsed, elapsed + high)
    if under >= price or over <= price:
        return least if under >= price else most
    for turn in range(_TURNS):
        # Its root grows about evenly; halving now and then ends it where it does not.
        share = _share(under, price, over) if turn % 3 < 2 else 0.5  # noqa: PLR2004 - of three
        wait = low + share * (high - low)
        lag = estimate.expected_lag(elapsed, elapsed + wait)
        if abs(lag - price) <= _EXACT * price:
            return wait
        low, high = (wait, high) if lag < price else (low, wait)
        under, over = (lag, over) if lag < price else (under, lag)
    return high


def _share(under: float, price: float, over: float) -> float:
    """Return where between two lags the price lies, by their roots."""
    low, high = math.sqrt(under), math.sqrt(over)
    return (math.sqrt(price) - low) / (high - low)


def jittered(seconds: float, random: Callable[[], float]) -> float:
    """Return seconds with a tenth more or less, so that jobs of one moment do not stay together."""
    return seconds * (1 - _JITTER + 2 * _JITTER * random())


def by_progress(estimate: Estimate, elapsed: float, progress: float | None) -> Estimate:
    """Return what is expected of a job that has come so far in this time: the rest as the start."""
    if progress is None or progress < _FIRST_SHARE or elapsed <= 0:
        return estimate
    sigma = min(estimate.sigma, _SURE)
    return replace(estimate, mu=math.log(elapsed / progress), sigma=sigma, spread=sigma)


def heed(asked: float) -> float:
    """Return for how long to wait whom a provider asked to wait for so many seconds."""
    return min(max(asked, LEAST), MAX_RETRY_AFTER)


class Pace:
    """What is known of the jobs of one command and of those before them; safe from any thread."""

    def __init__(
        self,
        clock: Clock,
        random: Callable[[], float],
        durations: Callable[[Job], tuple[Sequence[float], Sequence[float]]],
        *,
        usual: float | None = None,
    ) -> None:
        """Take the ledger's `durations`, and chance between 0 and 1 for jitter.

        `usual` is the median, in seconds, that is expected of what nobody has waited for yet.
        """
        self._guesses = {False: PRIOR, True: REHEARSAL}
        if usual is not None:
            guess = replace(PRIOR, mu=math.log(usual))
            self._guesses = {False: guess, True: guess}
        self._clock = clock
        self._random = random
        self._durations = durations
        self._since: dict[str, float] = {}
        """Monotonic: when this process sent these jobs, then when they were accepted."""
        self._asked: dict[str, float] = {}
        """Monotonic: when these jobs were last asked about, in vain or not."""
        self._sights: dict[str, _Sight] = {}
        self._estimates: dict[tuple[bool, str, str, str, str], Estimate] = {}

    def expect(self, job: Job) -> Estimate:
        """Return how long a job will probably take from being accepted to having its pictures.

        By the latest ones of its model and size; of a ledger that cannot be read by none.
        """
        key = (job.sandbox, maker_of(job), job.provider, job.model, size_of(job))
        found = self._estimates.get(key)
        if found is None:
            prior = self._guesses[job.sandbox]
            try:
                found = learn(*self._durations(job), prior)
            except StorageError:
                return prior
            self._estimates[key] = found
        return found

    def elapsed(self, job: Job) -> float:
        """Return for how many seconds a job has run: since it left a queue, or was accepted.

        As this process saw it, else as the provider says, else since it was sent.
        """
        now, sight = self._clock.monotonic(), self._sights.get(job.id)
        if sight is not None and sight.began is not None:
            return now - sight.began
        if job.id in self._since:
            return now - self._since[job.id]
        return max((self._clock.now() - (job.sent_at or job.created_at)).total_seconds(), 0.0)

    def until_next_look(self, job: Job) -> float:
        """Return the seconds until a job that was accepted or asked about just now is asked."""
        elapsed, sight = self.elapsed(job), self._sights.get(job.id)
        progress = sight.progress if sight is not None else None
        estimate = by_progress(self.expect(job), elapsed, progress)
        return jittered(next_look(estimate, elapsed, self._price), self._random)

    def until_next_try(self, asked: float | None, troubles: int) -> float:
        """Return the seconds until a job is asked about again after so many vain looks in a row."""
        wait = jittered(min(_TROUBLED * 2.0 ** min(troubles - 1, 8), MOST), self._random)
        return max(wait, heed(asked)) if asked is not None else wait

    def urgency(self, job: Job, stretch: float = 1.0) -> tuple[float, float]:
        """Return since when a job's expected lag grows, monotonic, and the seconds to its price.

        With a hazard that hardly changes meanwhile it grows as the square of the time: where all
        wait `stretch` times as long as they would alone, the price is as much higher. Of a job that
        cannot be done yet it grows late, and quickly then.
        """
        now, elapsed = self._clock.monotonic(), self.elapsed(job)
        asked = max(elapsed - (now - self._asked.get(job.id, -math.inf)), 0.0)
        seconds = reach(self.expect(job), asked, self._price * stretch**2, _SHORTEST, _LONGEST)
        return now - (elapsed - asked), seconds

    @property
    def _price(self) -> float:
        return ALONE if max(len(self._since), len(self._asked)) <= 1 else AMONG_MANY

    def note_sent(self, job: Job) -> None:
        """Take note that a submit leaves now, or that it is accepted now."""
        self._since[job.id] = self._clock.monotonic()

    def note_asked(self, job: Job) -> None:
        """Take note that a job is asked about now."""
        self._asked[job.id] = self._clock.monotonic()

    def note_running(self, job: Job, running: Running, reply: Reply) -> None:
        """Take note of what a provider said of a job: it was not done when it was asked.

        Whoever stands in a queue does not run yet, whatever was said before.
        """
        asked_at = self._asked.get(job.id, self._clock.monotonic())
        old, began = self._sights.get(job.id), None
        if running.queue is not None:
            began = asked_at
        elif old is not None and old.began is not None:
            began = old.began
        elif job.id not in self._since and running.began_at is not None:
            said_at = http_date(reply.headers.get("date")) or self._clock.now()
            ago = (said_at - running.began_at).total_seconds()
            began = asked_at - ago if ago >= 0 else None
        said, before = running.progress, old.said if old is not None else None
        is_moving = said is not None and before is not None and said > before
        self._sights[job.id] = _Sight(asked_at, began, said, said if is_moving else None)

    def measure(self, job: Job, done: Done | None = None) -> float | None:
        """Return how long a job took that is done just now; None: nobody can say.

        By the provider's clock where it tells; else by ours, less half of the time since the last
        look. What was found late, or by another process, teaches nothing.
        """
        now, since = self._clock.monotonic(), self._since.get(job.id)
        if done is not None and done.made_seconds is not None:
            sent_at = job.sent_at
            waited = (self._clock.now() - sent_at).total_seconds() if sent_at else math.inf
            return done.made_seconds if 0 < done.made_seconds <= max(waited, 0.0) + _SLACK else None
        if since is None or job.state not in {State.SENDING, State.RUNNING}:
            return None
        if job.state is State.SENDING:
            return max(now - since, 0.0) or None
        sight = self._sights.get(job.id)
        gap = now - (sight.at if sight is not None else since)
        return now - since - gap / 2 if gap <= _DULLEST else None

    def note_made(self, job: Job) -> None:
        """Take note that the ledger has learned from a job: what is expected of its like is old."""
        kind = (job.sandbox, maker_of(job), job.provider, job.model)
        for key in [each for each in list(self._estimates) if each[:4] == kind]:
            self._estimates.pop(key, None)

    def forget(self, job_id: str) -> None:
        """Let go of what is known of a job that nobody waits for any more."""
        self._since.pop(job_id, None)
        self._asked.pop(job_id, None)
        self._sights.pop(job_id, None)
