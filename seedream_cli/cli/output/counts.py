"""What a run has made so far, what it cost and how fast it goes, counted from its events."""

from __future__ import annotations

import math
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output.row import is_good, is_left, span
from seedream_cli.core import money as price
from seedream_cli.core.events import (
    BytesReceived,
    Exchange,
    ImageSaved,
    JobChanged,
    Note,
    RowEnded,
    Waiting,
)
from seedream_cli.core.model import State
from seedream_cli.core.record import dataclass
from seedream_cli.core.text import human_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.cli.output.forecast import Forecast
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job, Money

_MINUTE: Final = 60.0
_WINDOW: Final = 300.0
"""Seconds: how fast it went before tells little of how fast it goes."""
_MOST_LANDINGS: Final = 1000
_MADE: Final = 0.98
"""Of a picture: what is left is to fetch it."""
_ENOUGH: Final = 2
"""Pictures that must have landed before a time left is guessed."""


_SAID = {
    State.SENDING: "sending",
    State.RUNNING: "accepted",
    State.READY: "ready",
    State.SAVED: "saved",
}
ENDED = frozenset(
    {State.SAVED, State.REFUSED, State.FAILED, State.UNKNOWN, State.EXPIRED, State.CLOSED}
)
"""States in which a job's line goes."""


def words_of(job: Job, word: str) -> str:
    """Say where a job stands, in its provider's word where there is one."""
    return word or _SAID.get(job.state, job.state.value)


def words_of_bytes(received: int, total: int | None) -> str:
    """Say how much of a picture has come."""
    return f"saving {human_bytes(received)}" + (f" of {human_bytes(total)}" if total else "")


def words_of_wait(seconds: float, reason: str) -> str:
    """Say how long a step is put off, and why."""
    return f"waiting ({seconds:.0f} s): {reason}" if seconds >= 1 else f"waiting: {reason}"


@dataclass(slots=True)
class Flight:
    """A job under way."""

    name: str
    words: str
    since: float
    forecast: Forecast | None = None
    begun_at: float | None = None
    """When its provider was first known to have it; None: it waits for its turn."""
    made_at: float | None = None
    pictures: int = 1
    """As how many its end is counted."""

    def elapsed(self, now: float) -> float | None:
        """Return for how long its provider has been at work; None: it is not."""
        return None if self.begun_at is None or self.made_at is not None else now - self.begun_at

    def fraction(self, now: float) -> float:
        """Return how far it is, from 0 to 1."""
        if self.made_at is not None:
            return _MADE
        elapsed = self.elapsed(now)
        return 0.0 if self.forecast is None or elapsed is None else self.forecast.fraction(elapsed)

    def promise(self, now: float) -> str:
        """Return how long it usually takes, where that is known and it is being made."""
        elapsed = self.elapsed(now)
        return "" if self.forecast is None or elapsed is None else self.forecast.words(elapsed)


class Tally:
    """Counts what a batch has made, what it cost and how fast it goes; safe from any thread."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take a clock in seconds, and the time of day."""
        self.monotonic = monotonic
        self._now = now
        self._forecast: Callable[[Job], Forecast | None] = lambda _: None
        self._pictures: Callable[[Job], int] = lambda _: 1
        self._at_once = 1
        self._reached = 0.0
        self._lock = threading.Lock()
        self._total = self._current = 0
        self._made = self._failed = self._unknown = self._left = 0
        self._sums: list[Money] = []
        self._is_estimate = False
        self._begun_at = monotonic()
        self._landings: deque[tuple[float, bool]] = deque(maxlen=_MOST_LANDINGS)
        self._flights: dict[str, Flight] = {}
        self._names: dict[str, str] = {}

    def expect(
        self,
        total: int,
        current: int,
        *,
        at_once: int = 1,
        forecast: Callable[[Job], Forecast | None] = lambda _: None,
        pictures: Callable[[Job], int] = lambda _: 1,
    ) -> None:
        """Expect `total` pictures, `at_once` jobs at a time; `current` more are there already.

        `forecast` says beforehand how long a job takes, `pictures` as how many it is counted.
        """
        with self._lock:
            self._total, self._current = total, current
            self._at_once, self._forecast, self._pictures = at_once, forecast, pictures
            self._reached = 0.0
            self._begun_at = self.monotonic()

    def name(self, job_id: str, row: str) -> None:
        """Call a job by its row from here on: of one that is only fetched no event tells it."""
        with self._lock:
            self._names[job_id] = row
            if job_id in self._flights:
                self._flights[job_id].name = row

    def take(self, event: Event) -> None:
        """Count one event."""
        # Asked for without the lock: it may have to read the ledger.
        forecast = self._forecast(event.job) if isinstance(event, JobChanged) else None
        with self._lock:
            match event:
                case JobChanged(job=job) if job.state in ENDED or job.state is State.PLANNED:
                    self._flights.pop(job.id, None)
                case JobChanged(job=job, word=word):
                    self._fly(job.id, job.row or job.id, words_of(job, word))
                    self._follow(job, forecast)
                case BytesReceived(job_id=job_id, received=received, total=total):
                    flight = self._flights.get(job_id)
                    name = flight.name if flight else job_id
                    self._fly(job_id, name, words_of_bytes(received, total))
                    self._follow_bytes(self._flights[job_id])
                case Waiting(job_id=job_id, seconds=seconds, reason=reason):
                    # One of many that waits for its first turn is not under way.
                    if job_id in self._flights or self._is_one:
                        name = self._flights[job_id].name if job_id in self._flights else job_id
                        self._fly(job_id, name, words_of_wait(seconds, reason))
                        if seconds > 0:  # turned away: its provider begins anew, if it does
                            self._flights[job_id].begun_at = None
                case RowEnded():
                    self._land(event)
                case ImageSaved() | Note() | Exchange():
                    pass

    def _fly(self, job_id: str, name: str, words: str) -> None:
        name = self._names.get(job_id, name)
        flight = self._flights.setdefault(job_id, Flight(name, words, self.monotonic()))
        flight.name, flight.words = name, words

    def _follow(self, job: Job, forecast: Forecast | None) -> None:
        """Take note of when a job's provider began with it, and was done."""
        flight, now = self._flights[job.id], self.monotonic()
        flight.pictures = self._pictures(job)
        if job.state is State.READY:
            flight.made_at = flight.made_at or now
        elif flight.begun_at is None:
            # One that an earlier command sent has run since then.
            age = (self._now() - job.sent_at).total_seconds() if job.sent_at else 0.0
            flight.begun_at = now - max(age, 0.0)
            flight.forecast = forecast

    def _follow_bytes(self, flight: Flight) -> None:
        """Take note that a job is made of which nothing but its pictures was to be had."""
        if flight.begun_at is None and flight.made_at is None:
            flight.made_at = self.monotonic()

    def _land(self, ended: RowEnded) -> None:
        if ended.job is not None:
            self._flights.pop(ended.job, None)
            self._names.pop(ended.job, None)
        if ended.money is not None:
            self._sums = price.total([*self._sums, ended.money])
            self._is_estimate |= ended.is_estimate
        if is_left(ended):
            self._left += ended.count
            return
        if is_good(ended) or (ended.state is State.RUNNING and ended.problem is None):
            self._made += ended.count
        elif ended.state is State.UNKNOWN:
            self._unknown += ended.count
        else:
            self._failed += ended.count
        self._landings.extend([(self.monotonic(), is_good(ended))] * ended.count)

    def is_under_way(self) -> bool:
        """Tell whether pictures are still to come."""
        with self._lock:
            return self._done < self._total

    def flights(self, most: int) -> tuple[list[Flight], int]:
        """Return the jobs under way, oldest first, at most so many; and how many there are."""
        with self._lock:
            shown = [flight for flight, _ in zip(self._flights.values(), range(most), strict=False)]
            return shown, len(self._flights)

    def fraction(self) -> float:
        """Return how much of the batch is done with, from 0 to 1; it never goes back."""
        with self._lock:
            now = self.monotonic()
            under_way = (each.pictures * each.fraction(now) for each in self._flights.values())
            done = self._done + sum(under_way)
            fraction = min(1.0, done / self._total) if self._total else 0.0
            self._reached = max(self._reached, fraction)
            return self._reached

    def line(self) -> str:
        """Return `21 of 40 made, 3 under way, 0.68 USD, about 2 min left`.

        Of one picture: what is done about it, and since when.
        """
        with self._lock:
            now = self.monotonic()
            for flight in self._flights.values() if self._is_one else ():
                words = [f"{flight.name} {flight.words}", span(now - flight.since)]
                return ", ".join(filter(None, [*words, flight.promise(now)]))
            parts = [
                self._made_words("made"),
                f"{self._failed} failed" if self._failed else "",
                f"{self._unknown} unknown" if self._unknown else "",
                f"{self._left} left out" if self._left else "",
                f"{len(self._flights)} under way" if self._flights else "",
                self._money(),
                self._time_left(),
            ]
        return ", ".join(filter(None, parts))

    def parts(self) -> list[str]:
        """Return what stands beside the bar, the most wanted first.

        Of one picture how long it usually takes, and nothing where that is not known.
        """
        with self._lock:
            now = self.monotonic()
            if self._is_one:
                return [words for each in self._flights.values() if (words := each.promise(now))]
            parts = [
                self._made_words(""),
                f"{self._failed} failed" if self._failed else "",
                f"{self._unknown} unknown" if self._unknown else "",
                self._money(),
                self._time_left(),
                self._speed(),
                f"{self._left} left out" if self._left else "",
                f"{self._current} current" if self._current else "",
            ]
        return list(filter(None, parts))

    @property
    def _is_one(self) -> bool:
        return self._total <= 1

    @property
    def _done(self) -> int:
        return self._made + self._failed + self._unknown + self._left

    def _made_words(self, verb: str) -> str:
        return f"{self._made} of {max(self._total, self._done)} {verb}".rstrip()

    def _money(self) -> str:
        sums = " and ".join(map(price.show, self._sums))
        return f"about {sums}" if sums and self._is_estimate else sums

    def _recent(self) -> tuple[int, int, float]:
        """Return what landed in the window: all, those made, and the window's seconds."""
        now = self.monotonic()
        start = max(self._begun_at, now - _WINDOW)
        if len(self._landings) == _MOST_LANDINGS:
            start = max(start, self._landings[0][0])
        made = [is_made for at, is_made in self._landings if at > start]
        return len(made), sum(made), now - start

    def _time_left(self) -> str:
        """Return how long all of it will take by what is known of earlier jobs, else of these."""
        landed, made, seconds = self._recent()
        remaining = self._total - self._done
        if (left := self._forecast_left(remaining)) is not None:
            return f"about {_rounded(left)} left"
        if made < _ENOUGH or remaining <= 0 or seconds <= 0:
            return ""
        return f"about {_rounded(remaining * seconds / landed)} left"

    def _forecast_left(self, remaining: int) -> float | None:
        """Return the seconds until the last picture; None where a job has no forecast."""
        now, waiting = self.monotonic(), [*self._flights.values()]
        at_work = [each for each in waiting if each.elapsed(now) is not None]
        known = [(f.forecast, now - f.begun_at) for f in at_work if f.forecast and f.begun_at]
        if remaining <= 0 or not known or len(known) < len(at_work):
            return None
        from seedream_cli.cli.output.forecast import seconds_of_all

        begun = [each for each in waiting if each.made_at is not None] + at_work
        behind = max(0, remaining - sum(each.pictures for each in begun))
        each_has = sum(each.pictures for each in at_work) / len(at_work)
        return seconds_of_all(known, math.ceil(behind / each_has), self._at_once)

    def _speed(self) -> str:
        _, made, seconds = self._recent()
        if made < _ENOUGH or seconds <= 0:
            return ""
        speed = made / seconds * _MINUTE
        return f"{speed:.1f}/min" if speed < 9.95 else f"{speed:.0f}/min"  # noqa: PLR2004


def _rounded(seconds: float) -> str:
    """Write a guessed span as roughly as it is known."""
    if seconds < 7.5:  # noqa: PLR2004 - else `10 s`
        return "5 s"
    if seconds < 55:  # noqa: PLR2004 - else `60 s`
        return f"{round(seconds / 10) * 10} s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"  # noqa: PLR2004
