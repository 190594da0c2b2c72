"""What the screen promises: how long a picture usually takes, and how far it is by that.

Where too few are known nothing is promised: no word is better than a wrong one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seedream_cli.core.durations import Estimate
    from seedream_cli.core.model import Job
    from seedream_cli.providers.spec import Provider

ENOUGH: Final = 3
"""Pictures of a model that must have been made before one is promised."""
_USUAL: Final = (0.1, 0.9)
"""Chances between which a picture is usual: four of five are."""
_VAGUE: Final = 6.0
"""Times the shorter that the longer of these may be."""
_NEVER_FULL: Final = 0.97
"""Of a bar, while the picture is not there."""
_STEPS: Final = ((10.0, 1.0), (60.0, 5.0), (180.0, 10.0), (math.inf, 60.0))
"""Seconds below which a promise is rounded to so many."""
_GRAIN: Final = 4
"""Of a second: what is asked at every refresh is worked out once for each quarter."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known beforehand of a job."""

    estimate: Estimate
    per_second: float = math.inf
    """Submits that its provider takes of an account."""

    @property
    def is_vague(self) -> bool:
        """Whether it says nothing: `8 to 110 s` is worth no line, no bar and no time left."""
        low, high = (_seconds_at(self.estimate, chance) for chance in _USUAL)
        return high > _VAGUE * low

    def words(self, elapsed: float = 0.0) -> str:
        """Return `usually 20 to 30 s`, and that it takes longer where it does."""
        low, high = (_seconds_at(self.estimate, chance) for chance in _USUAL)
        first, second = _rounded(low), _rounded(high)
        is_late = elapsed > high
        if first == second:
            span = _show(first)
            return f"longer than the usual {span}" if is_late else f"usually about {span}"
        span = _show_span(first, second)
        return f"longer than the usual {span}" if is_late else f"usually {span}"

    def fraction(self, elapsed: float) -> float:
        """Return how far a job is that has run so long: of all the time that it will probably take.

        Once the usual time is over it grows ever slower; it never goes back, and is never whole.
        """
        usual = min(elapsed, _seconds_at(self.estimate, _USUAL[1]))
        if usual <= 0:
            return 0.0
        fraction = min(_NEVER_FULL, usual / (usual + self.seconds_left(usual)))
        return fraction + (_NEVER_FULL - fraction) * (1 - usual / elapsed)

    def seconds_left(self, elapsed: float, chance: float = 0.5) -> float:
        """Return the seconds within which, by this chance, a job is done that is not done yet."""
        return _seconds_left(self.estimate, int(elapsed * _GRAIN), chance)


@lru_cache
def _seconds_at(estimate: Estimate, chance: float) -> float:
    return estimate.quantile(chance)


@lru_cache(maxsize=4096)
def _seconds_left(estimate: Estimate, quarters: int, chance: float) -> float:
    elapsed = quarters / _GRAIN
    running = estimate.survival(elapsed)
    done = estimate.quantile(1.0 - running * (1.0 - chance))
    # So late that nothing more is known: as long again as a job of its kind takes.
    return max(done - elapsed, 1 / _GRAIN) if math.isfinite(done) else estimate.median


def seconds_of_all(under_way: Sequence[tuple[Forecast, float]], behind: int, at_once: int) -> float:
    """Return the seconds until all are done: those under way, and those that have yet to begin.

    `under_way` has a forecast and the seconds so far of each; `at_once` how many there may be.
    """
    if not under_way:
        return 0.0
    if not behind:
        return max(f.seconds_left(elapsed, _of_last(len(under_way))) for f, elapsed in under_way)
    slowest = max((forecast for forecast, _ in under_way), key=lambda each: each.estimate.median)
    median, pace = slowest.estimate.median, min(f.per_second for f, _ in under_way)
    room = max(at_once, len(under_way), 1)
    left = sum(forecast.seconds_left(elapsed) for forecast, elapsed in under_way)
    # When all places are free, and by how much the last of them is later than their mean.
    late = max(slowest.seconds_left(0.0, _of_last(room)) - median, median / 2)
    by_room = (left + behind * median) / room + late
    if pace == math.inf:
        return by_room
    return max(by_room, behind / pace + slowest.seconds_left(0.0, _of_last(pace * median / 2)))


def _of_last(count: float) -> float:
    """Return the chance by which each of so many is done when, as likely as not, all are."""
    return float(0.5 ** (1.0 / max(count, 1.0)))


def forecaster(
    expect: Callable[[Job], Estimate], provider: Callable[[Job], Provider]
) -> Callable[[Job], Forecast | None]:
    """Return what says the forecast of a job, None where too little is known (`Pace.expect`)."""

    def forecast(job: Job) -> Forecast | None:
        estimate = expect(job)
        if estimate.count < ENOUGH:
            return None
        limit = None if job.sandbox else provider(job).limit
        pace = math.inf if limit is None else limit.count / limit.per.total_seconds()
        found = Forecast(estimate, pace)
        return None if found.is_vague else found

    return forecast


def _rounded(seconds: float) -> float:
    step = next(step for below, step in _STEPS if seconds < below)
    return max(step, round(seconds / step) * step)


def _show_span(low: float, high: float) -> str:
    """Write `20 to 30 s`, `50 s to 2 min`."""
    first, second = _show(low), _show(high)
    number, _, unit = first.partition(" ")
    return f"{number} to {second}" if unit == second.partition(" ")[2] else f"{first} to {second}"


def _show(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004
