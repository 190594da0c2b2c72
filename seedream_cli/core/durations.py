"""How long jobs take, learned from few of them: a log-normal that leaves room for the odd job."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NEWEST: Final = 50
"""How many observations of a level count: what a provider needed months ago is no news."""
_PLAUSIBLE: Final = (1e-3, 6 * 3600.0)
"""Seconds; anything else is a wrong clock. Replicate ends each run after 30 minutes
(https://replicate.com/docs/topics/predictions/lifecycle, 2026-11), the others name no bound."""
_STRAYS: Final = 0.02
"""Of all jobs, those that history says nothing of: a new version behind the same name, a full
queue. Without them a job that is late by history would be asked about twice a second for ever."""
_STRAY_SPREAD: Final = 1.0
"""Of their logarithms: half to twice the median, and far beyond."""
_ENOUGH: Final = 5
"""Jobs among which one can be told to be a stray."""
_FINEST: Final = 0.2
"""Spread that equal jobs are given there: sizes of a model may differ by as much."""
_MAD_TO_SIGMA: Final = 1.4826
_FAR: Final = 1e-9
"""A chance of still running below which differences of two such chances are noise."""
_ROOT_2: Final = math.sqrt(2.0)
_ROOT_2_PI: Final = math.sqrt(2.0 * math.pi)
_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is expected of the next job: `ln T` is normal with `mu` and `sigma`, T in seconds.

    One job in fifty is a stray with the same median and a spread of at least `_STRAY_SPREAD`.
    """

    mu: float
    """Of the logarithm of seconds."""
    sigma: float
    """Of what is expected of one more job: it holds what we do not know about `mu`, too."""
    count: int = 0
    """How many real observations, of its model, are behind it; 0: it is a guess."""
    spread: float | None = None
    """Of jobs among each other, where their median is known; None: `sigma`."""

    @property
    def median(self) -> float:
        """Seconds within which half of all jobs are done."""
        return math.exp(self.mu)

    def cdf(self, seconds: float) -> float:
        """Return the chance that a job is done within so many seconds."""
        return 1.0 - self.survival(seconds)

    def survival(self, seconds: float) -> float:
        """Return the chance that a job is not done yet after so many seconds."""
        return sum(share * _tail(self._z(seconds, sigma)) for share, sigma in self._parts())

    def quantile(self, chance: float) -> float:
        """Return the seconds within which a job is done with this chance, between 0 and 1."""
        if not 0.0 < chance < 1.0:
            return 0.0 if chance <= 0.0 else math.inf
        widest = max(sigma for _, sigma in self._parts())
        low, high = self.mu - 40.0 * widest, self.mu + 40.0 * widest
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            is_below = self.cdf(math.exp(middle)) < chance
            low, high = (middle, high) if is_below else (low, middle)
        return math.exp((low + high) / 2)

    def expected_lag(self, since: float, until: float) -> float:
        """Return how long a job that was not done after `since` seconds will have lain done.

        If nobody looks before `until`; the mean of `(until - T)+` given `T > since`, in seconds.
        """
        since = max(since, 0.0)
        if until <= since:
            return 0.0
        alive = self.survival(since)
        if alive < _FAR:
            return self._far_lag(since, until)
        # E[(u - T) 1(s < T < u)] with the partial mean of a log-normal; z - sigma is its own z.
        lag = 0.0
        for share, sigma in self._parts():
            begin, end = self._z(since, sigma), self._z(until, sigma)
            mean = math.exp(self.mu + sigma * sigma / 2)
            made = _between(begin, end)
            lag += share * (until * made - mean * _between(begin - sigma, end - sigma))
        return min(max(lag / alive, 0.0), until - since)

    def _far_lag(self, since: float, until: float) -> float:
        """Return the lag where hardly any job runs so long: its hazard hardly changes any more.

        Of a normal tail beyond z it is z + 1/z - 2/z^3 (Mills' ratio), of the logarithm.
        """
        sigma = max(sigma for _, sigma in self._parts())
        wait = until - since
        middle = since + min(wait, since * sigma) / 2
        z = max(self._z(middle, sigma), 1.0)
        hazard = (z + 1 / z - 2 / z**3) / (sigma * middle)
        # wait - (1 - e^(-hazard wait)) / hazard: for a small product a difference of equals.
        product = hazard * wait
        if product < 1e-4:  # noqa: PLR2004 - the next term is below a millionth of this one
            return product * wait / 2 * (1 - product / 3)
        return wait + math.expm1(-product) / hazard

    def _parts(self) -> tuple[tuple[float, float], ...]:
        """Return the share and the sigma of usual jobs, and of strays."""
        if self.sigma >= _STRAY_SPREAD:
            return ((1.0, self.sigma),)
        return ((1.0 - _STRAYS, self.sigma), (_STRAYS, _STRAY_SPREAD))

    def _z(self, seconds: float, sigma: float) -> float:
        return (math.log(seconds) - self.mu) / sigma if seconds > 0 else -math.inf


def estimate(observations: Iterable[float], prior: Estimate, weight: float) -> Estimate:
    """Return what is expected after these jobs, in seconds, where `prior` was expected before.

    The conjugate update of a normal with unknown mean and variance (normal-inverse-gamma; Murphy,
    "Conjugate Bayesian analysis of the Gaussian distribution", 2007, section 3): the prior counts
    as at most `weight` jobs. What follows for one more job is a Student t; it is written down as
    the normal with the same variance, which is that of the jobs widened by `1 + 1/n` for a median
    that n jobs tell, and by `f / (f - 2)` for a spread that f of them tell.
    """
    logs = _without_strays([math.log(each) for each in _sound(observations)])
    if not logs:
        return prior
    count, mean = len(logs), sum(logs) / len(logs)
    spread = prior.spread or prior.sigma
    told = _jobs_behind(prior.sigma, spread, weight)
    known = told + count
    off = sum((each - mean) ** 2 for each in logs) + told * count / known * (mean - prior.mu) ** 2
    freedom = weight + count
    variance = (weight * spread**2 + off) / freedom
    widened = variance * (1 + 1 / known) * freedom / max(freedom - 2, 1.0)
    return Estimate(
        mu=(told * prior.mu + count * mean) / known,
        sigma=math.sqrt(widened),
        count=count,
        spread=math.sqrt(variance),
    )


def learn(of_model: Sequence[float], of_size: Sequence[float], prior: Estimate) -> Estimate:
    """Return what is expected of a model at a size, from its latest jobs, the newest first.

    From level to level: all providers and models (the prior), one model at one provider, one size.
    """
    model = estimate(of_model[:NEWEST], prior, WEIGHT)
    size = estimate(of_size[:NEWEST], model, WEIGHT)
    return size if size is model else replace(size, count=model.count)


def _sound(observations: Iterable[float]) -> list[float]:
    least, most = _PLAUSIBLE
    return [each for each in observations if least <= each <= most]  # NaN is neither


def _without_strays(logs: list[float]) -> list[float]:
    """Return logarithms with those far off brought as near as usual jobs may lie.

    Three standard deviations as the median distance from the median tells them (Hampel, 1974): one
    job that hung for an hour says that there are strays, which are counted apart.
    """
    if len(logs) < _ENOUGH:
        return logs
    centre = _median(logs)
    far = 3.0 * max(_MAD_TO_SIGMA * _median([abs(each - centre) for each in logs]), _FINEST)
    return [min(max(each, centre - far), centre + far) for each in logs]


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return (ordered[half] + ordered[-half - 1]) / 2


def _jobs_behind(sigma: float, spread: float, most: float) -> float:
    """Return after how many jobs the median is as unsure: n in sigma^2 = spread^2 (1 + 1/n)."""
    excess = (sigma / spread) ** 2 - 1
    return min(1 / excess, most) if excess > 0 else most


def _tail(z: float) -> float:
    """Return the chance that a standard normal exceeds z."""
    return math.erfc(z / _ROOT_2) / 2


def _between(low: float, high: float) -> float:
    """Return the chance that a standard normal lies between; in the tail where that is small."""
    return _tail(-high) - _tail(-low) if low < 0 else _tail(low) - _tail(high)


WEIGHT: Final = 2.0
"""Jobs that a level's prior counts as: what two real ones say is more."""
PRIOR: Final = Estimate(mu=math.log(22.0), sigma=0.85, spread=0.35)
"""Of a model that nobody has waited for yet. Providers' documents and examples speak of 5 to 120 s,
recorded Seedream tasks took 45 and 112 s (github.com/justintanner/apicity, 2026-05): 95 of 100 jobs
take 4 to 120 s, and those of one model lie within a third of each other. A narrower guess asks too
late about quick models, a wider one too often about slow ones."""
REHEARSAL: Final = Estimate(mu=math.log(2.0), sigma=0.85, spread=0.35)
"""Of the stand-in, which takes 2 s where nobody tells it otherwise."""
