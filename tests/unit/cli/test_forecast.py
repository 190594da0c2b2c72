"""What the screen promises is what comes, and where nothing is known it promises nothing."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from seedream_cli.cli.output.board import Board
from seedream_cli.cli.output.counts import Tally
from seedream_cli.cli.output.forecast import ENOUGH, Forecast, forecaster, seconds_of_all
from seedream_cli.core.durations import PRIOR, learn
from seedream_cli.core.events import BytesReceived, JobChanged, Waiting
from seedream_cli.core.model import Charge, Job, State
from seedream_cli.providers import PROVIDERS

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
JOB = Job(
    id="job",
    run="run",
    state=State.RUNNING,
    charge=Charge.CHARGED,
    provider="kie",
    profile="kie",
    origin="https://api.kie.ai",
    sandbox=False,
    model="m",
    prompt="p",
    request={"size": "2K"},
    recipe={},
    purchase_digest="f",
    output={},
    first_n=1,
    expected=1,
    created_at=AT,
)


def after(*seconds: float) -> Forecast:
    """Return what is promised after jobs that took so long."""
    return Forecast(learn(seconds, seconds, PRIOR))


@pytest.mark.parametrize(
    ("took", "elapsed", "words"),
    [
        ((20, 22, 24, 26, 28, 21, 23, 27), 0, "usually 20 to 30 s"),
        ((20, 22, 24, 26, 28, 21, 23, 27), 40, "longer than the usual 20 to 30 s"),
        ((20,) * 10, 12, "usually about 20 s"),
        ((20,) * 10, 31, "longer than the usual 20 s"),
        ((4, 5, 6, 4, 5, 6, 5), 0, "usually 4 to 7 s"),
        ((100, 110, 120, 130, 105, 125, 115), 0, "usually 90 s to 2 min"),
        ((230, 240, 235, 245, 230, 240, 250), 0, "usually 3 to 5 min"),
    ],
)
def test_a_promise_is_a_span_in_round_figures(
    took: tuple[float, ...], elapsed: float, words: str
) -> None:
    """Four of five jobs lie in it; past it the truth is told."""
    assert after(*took).words(elapsed) == words


def test_a_bar_never_goes_back_and_is_never_whole() -> None:
    """A quarter of the time is a quarter of the bar; past it, it creeps."""
    forecast = after(*[20] * 10)
    at = [forecast.fraction(seconds) for seconds in range(400)]
    assert at == sorted(at)
    assert at[0] == 0.0
    assert [round(at[k], 2) for k in (5, 10, 15)] == [0.25, 0.5, 0.75]
    assert 0.9 < at[25] <= at[60] <= at[399] < 1.0


def promises(
    median: float, spread: float, count: int, at_once: int, per_second: float, seed: int
) -> list[tuple[float, float]]:
    """Return truth and promise of the seconds left, at a tenth, a quarter, half, three quarters."""
    chance = random.Random(seed)

    def took() -> float:
        return median * math.exp(spread * chance.gauss(0, 1))

    known = [took() for _ in range(10)]
    forecast = Forecast(learn(known, known, PRIOR), per_second)
    free, jobs, start = [0.0] * at_once, [], 0.0
    for _ in range(count):
        start = max(heapq.heappop(free), start)
        jobs.append((start, start + took()))
        heapq.heappush(free, jobs[-1][1])
        start += 1 / per_second
    end = max(until for _, until in jobs)
    found = []
    for share in (0.1, 0.25, 0.5, 0.75):
        now = share * end
        running = [(forecast, now - began) for began, until in jobs if began <= now < until]
        behind = sum(began > now for began, _ in jobs)
        found.append((end - now, seconds_of_all(running, behind, at_once)))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("median", "spread", "count", "at_once", "per_second"),
    [
        (20, 0.15, 10, 16, math.inf),
        (20, 0.15, 100, 8, math.inf),
        (20, 0.5, 100, 8, math.inf),
        (60, 0.3, 40, 16, math.inf),
        (25, 0.3, 300, 100, 2.0),
        (5, 0.3, 60, 4, math.inf),
    ],
)
def test_time_left_is_near_the_truth(
    median: float, spread: float, count: int, at_once: int, per_second: float, seed: int
) -> None:
    """Until three quarters it is off by a third at most, or by a picture and a half."""
    for truth, promise in promises(median, spread, count, at_once, per_second, seed):
        assert promise == pytest.approx(truth, rel=0.34, abs=1.5 * median)


def test_time_left_is_right_in_the_mean() -> None:
    """Over many batches, halfway, it is off by a sixth."""
    cases = ((20, 0.15, 100, 8, math.inf), (20, 0.5, 100, 8, math.inf), (25, 0.3, 300, 100, 2.0))
    halfway = [
        promises(median, spread, count, at_once, pace, seed)[2]
        for median, spread, count, at_once, pace in cases
        for seed in range(20)
    ]
    off = [abs(promise - truth) / truth for truth, promise in halfway]
    assert sum(off) / len(off) < 1 / 6


@pytest.mark.parametrize(
    ("of_model", "of_size", "is_promised"),
    [(0, 0, False), (ENOUGH - 1, 1, False), (ENOUGH, 0, True), (ENOUGH, 1, True)],
)
def test_who_has_no_history_is_promised_nothing(
    of_model: int, of_size: int, *, is_promised: bool
) -> None:
    """Less than three pictures of a model promise nothing; of a new size the model's do."""
    expect = learn([20.0] * of_model, [20.0] * of_size, PRIOR)
    provider = PROVIDERS["kie"]
    forecast = forecaster(lambda _: expect, lambda _: provider)(JOB)
    assert (forecast is not None) is is_promised
    if forecast is not None:
        assert forecast.per_second == 2.0  # KIE takes 20 in 10 s


def test_a_vague_history_promises_nothing() -> None:
    """One picture of a second among those of twenty: neither a bar nor a time left goes by it."""
    expect = learn([20.0, 20.0, 20.0, 1.0], [20.0, 20.0, 20.0, 1.0], PRIOR)
    assert Forecast(expect).is_vague
    assert forecaster(lambda _: expect, lambda _: PROVIDERS["kie"])(JOB) is None


class Watch:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Tell the seconds."""
        return self.seconds


def test_one_picture_has_a_bar_and_its_usual_time() -> None:
    """Beside the bar stands what is usual; the time counts from when the provider began."""
    watch = Watch()
    tally = Tally(watch, now=lambda: AT + timedelta(seconds=watch.seconds - 1000))
    tally.expect(1, 0, forecast=lambda _: after(*[20] * 10))
    tally.take(JobChanged(job=replace(JOB, sent_at=AT), word="generating"))
    watch.seconds += 10
    assert tally.parts() == ["usually about 20 s"]
    assert tally.line() == "job generating, 10 s, usually about 20 s"
    assert 0.45 < tally.fraction() < 0.55
    assert "usually about 20 s" in drawn(tally)
    watch.seconds += 30
    assert tally.parts() == ["longer than the usual 20 s"]


def test_a_job_of_an_earlier_command_has_run_since_then() -> None:
    """`download` counts from when a job was sent, and not from when it was looked at."""
    watch = Watch()
    tally = Tally(watch, now=lambda: AT + timedelta(seconds=15))
    tally.expect(1, 0, forecast=lambda _: after(*[20] * 10))
    tally.take(JobChanged(job=replace(JOB, sent_at=AT)))
    assert 0.7 < tally.fraction() < 0.8


def test_many_pictures_share_a_bar_and_a_time_left() -> None:
    """Ten at once that take 20 s: after 10 s the bar stands at half, and ten seconds are left."""
    watch = Watch()
    tally = Tally(watch, now=lambda: AT + timedelta(seconds=watch.seconds - 1000))
    tally.expect(10, 0, at_once=16, forecast=lambda _: after(*[20] * 10))
    for k in range(10):
        tally.take(JobChanged(job=replace(JOB, id=f"job{k}", sent_at=AT)))
    assert "about 20 s left" in tally.parts()
    watch.seconds += 10
    assert "about 10 s left" in tally.parts()
    assert 0.45 < tally.fraction() < 0.55
    watch.seconds += 8
    assert "about 5 s left" in tally.parts()
    tally.take(JobChanged(job=replace(JOB, id="job0", state=State.READY, sent_at=AT)))
    assert tally.fraction() > 0.5


def test_without_a_forecast_nothing_is_promised() -> None:
    """The screen of a first picture is as it was: its name, its word, the time so far."""
    tally = Tally(Watch())
    tally.expect(1, 0)
    tally.take(JobChanged(job=JOB, word="generating"))
    assert tally.parts() == []
    assert "usually" not in drawn(tally)


def test_a_job_that_was_turned_away_is_not_at_work() -> None:
    """What it waited does not count; when it is sent again its time runs anew, the bar stays."""
    watch = Watch()
    tally = Tally(watch)
    tally.expect(1, 0, forecast=lambda _: after(*[20] * 10))
    sending = replace(JOB, state=State.SENDING, sent_at=None)
    tally.take(JobChanged(job=sending, word="generating"))
    watch.seconds += 10
    reached = tally.fraction()
    assert reached > 0.4
    tally.take(Waiting(job_id=JOB.id, seconds=60, reason="too many"))
    watch.seconds += 60
    assert tally.parts() == []
    assert tally.fraction() == reached
    tally.take(JobChanged(job=sending, word="generating"))
    watch.seconds += 5
    assert tally.parts() == ["usually about 20 s"]
    tally.take(Waiting(job_id=JOB.id, seconds=0, reason="a poll was in vain"))
    assert tally.parts() == ["usually about 20 s"]


def test_a_set_is_one_job_of_several_pictures() -> None:
    """Ten sets of four, five at once, 20 s each: two rounds and not eight."""
    watch = Watch()
    tally = Tally(watch, now=lambda: AT)
    forecast = after(*[20] * 10)
    tally.expect(40, 0, at_once=5, forecast=lambda _: forecast, pictures=lambda job: job.expected)
    for k in range(5):
        tally.take(JobChanged(job=replace(JOB, id=f"job{k}", expected=4, sent_at=AT)))
    assert "about 50 s left" in tally.parts()
    watch.seconds += 10
    assert 0.2 < tally.fraction() < 0.3


def test_pictures_that_are_only_fetched_are_made_already() -> None:
    """Forty are ready and come; one is being made: they are not waited for as long as it is."""
    watch = Watch()
    tally = Tally(watch, now=lambda: AT)
    tally.expect(41, 0, at_once=4, forecast=lambda _: after(*[20] * 10))
    for k in range(40):
        tally.take(BytesReceived(job_id=f"job{k}", index=1, received=10, total=100))
    tally.take(JobChanged(job=replace(JOB, id="another", sent_at=AT)))
    assert "about 20 s left" in tally.parts()


def drawn(tally: Tally) -> str:
    """Return the board as a terminal of 80 columns shows it."""
    import io

    from rich.console import Console

    console = Console(
        file=io.StringIO(), width=80, height=24, force_terminal=True, color_system=None
    )
    with console.capture() as shown:
        console.print(Board(tally))
    return shown.get()
