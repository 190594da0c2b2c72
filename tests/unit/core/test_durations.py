"""How long jobs take: the arithmetic of an estimate, and what few observations make of it."""

from __future__ import annotations

import math
import random

import pytest

from seedream_cli.core.durations import NEWEST, PRIOR, REHEARSAL, Estimate, estimate, learn

NARROW = Estimate(mu=math.log(20.0), sigma=0.15, count=10)
WIDE = Estimate(mu=math.log(45.0), sigma=1.2)
SHAPES = [NARROW, WIDE, PRIOR, REHEARSAL]


def integrated(each: Estimate, since: float, until: float, steps: int = 4000) -> float:
    """Return the expected lag by Simpson's rule: the mean of F(t | T > since) over the time."""
    width = (until - since) / steps
    alive = each.survival(since)

    def share(k: int) -> float:
        return 1 - each.survival(since + k * width) / alive

    inner = sum((4 if k % 2 else 2) * share(k) for k in range(1, steps))
    return (share(0) + inner + share(steps)) * width / 3


@pytest.mark.parametrize("each", SHAPES)
@pytest.mark.parametrize(("since", "wait"), [(0, 3), (0, 15), (5, 1), (20, 2), (60, 15), (300, 9)])
def test_expected_lag_is_the_integral(each: Estimate, since: float, wait: float) -> None:
    """The closed form and numeric integration agree, from the start on and where jobs are late."""
    exact = integrated(each, since, since + wait)
    assert each.expected_lag(since, since + wait) == pytest.approx(exact, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("each", SHAPES)
@pytest.mark.parametrize("since", [1e4, 1e5, 1e6, 1e9, 1e15, 1e300])
def test_expected_lag_is_a_number_however_late(each: Estimate, since: float) -> None:
    """Where hardly any job runs so long it is between nothing and the wait, and grows with it."""
    lags = [each.expected_lag(since, since + wait) for wait in (0.5, 1, 2, 5, 15)]
    for lag, wait in zip(lags, (0.5, 1, 2, 5, 15), strict=True):
        assert 0 <= lag <= wait
    assert lags == sorted(lags)


def test_the_far_tail_joins_the_near_one() -> None:
    """Just beyond where chances become too small to divide by the lag is the same as before it."""
    each = Estimate(mu=0.0, sigma=1.0)
    edge = math.exp(5.997)  # one in a thousand million
    near, far = each.expected_lag(edge * 0.99, edge * 0.99 + 10), each._far_lag(edge, edge + 10)
    assert far == pytest.approx(near, rel=0.05)


def test_a_late_job_is_not_expected_any_moment_for_ever() -> None:
    """Three times as late as any before it, it is one of those that history says nothing of."""
    by_history = NARROW.expected_lag(24, 26)
    late = NARROW.expected_lag(60, 62)
    assert late < by_history / 4


@pytest.mark.parametrize("each", SHAPES)
def test_quantiles_turn_chances_round(each: Estimate) -> None:
    """The chance at a quantile is its own; the median has half of all jobs on either side."""
    for chance in (0.01, 0.1, 0.5, 0.9, 0.999):
        assert each.cdf(each.quantile(chance)) == pytest.approx(chance, abs=1e-9)
    assert each.quantile(0.5) == pytest.approx(each.median)
    assert (each.quantile(0), each.quantile(1)) == (0.0, math.inf)
    assert (each.cdf(0), each.cdf(-1)) == (0.0, 0.0)


def test_without_observations_the_prior_stands() -> None:
    """Nothing was learned, and the count says so."""
    assert estimate([], PRIOR, 2.0) is PRIOR
    assert learn([], [], PRIOR) is PRIOR
    assert PRIOR.count == 0


@pytest.mark.parametrize(
    "absurd", [0.0, -1.0, 1e-9, 1e6, 1e300, math.inf, -math.inf, math.nan, -0.0]
)
def test_absurd_observations_are_ignored(absurd: float) -> None:
    """A wrong clock teaches nothing, alone or among others."""
    assert estimate([absurd], PRIOR, 2.0) is PRIOR
    sound = [18.0, 20.0, 22.0]
    assert estimate([absurd, *sound, absurd], PRIOR, 2.0) == estimate(sound, PRIOR, 2.0)


def test_the_more_is_known_the_narrower() -> None:
    """One job moves the median and says little of the spread; fifty say nearly all of both."""
    dice = random.Random(19)
    taken = [dice.lognormvariate(math.log(60), 0.15) for _ in range(200)]
    learned = [learn(taken[:n], taken[:n], PRIOR) for n in (1, 3, 10, 50)]
    assert [each.count for each in learned] == [1, 3, 10, 50]
    sigmas = [each.sigma for each in learned]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[0] > 0.5
    assert sigmas[-1] == pytest.approx(0.15, rel=0.25)
    assert learned[0].median == pytest.approx(60, rel=0.4)
    assert learned[-1].median == pytest.approx(60, rel=0.05)


def test_one_that_hung_changes_little() -> None:
    """A job of an hour among ten of twenty seconds is a stray, not a new spread."""
    usual = [18.0, 19.0, 20.0, 20.0, 21.0, 22.0, 19.5, 20.5, 21.5, 18.5]
    hung = learn([3600.0, *usual], [], PRIOR)
    assert hung.median == pytest.approx(20, rel=0.1)
    assert hung.sigma < 1.5 * learn(usual, [], PRIOR).sigma
    assert learn([3600.0] * 10, [], PRIOR).median > 1800


def test_only_the_newest_count() -> None:
    """What came before the latest fifty changes nothing."""
    new = [20.0 + k / 10 for k in range(NEWEST)]
    assert learn([*new, 500.0], [*new, 900.0], PRIOR) == learn(new, new, PRIOR)


def test_a_size_is_told_apart_from_its_model() -> None:
    """Few jobs of a size pull it away from what the model's other sizes take."""
    model = [20.0, 21.0, 19.0, 20.5, 60.0, 62.0, 61.0, 20.0]
    assert learn(model, [60.0, 62.0, 61.0], PRIOR).median > 40
    assert learn(model, [20.0, 21.0, 19.0, 20.5, 20.0], PRIOR).median < 25
    unseen = learn(model, [], PRIOR)
    assert 20 < unseen.median < 45
