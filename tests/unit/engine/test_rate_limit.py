"""When submits and polls may go: places in a limit, the gentle start, turns."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.clock import SecondsClock

from seedream_cli.engine.rate_limit import NARROW, PATIENCE, Delay, RateLimiter
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.spec import Provider, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from seedream_cli.core.model import Job

    MakeJob = Callable[..., Job]

TWENTY = RateLimit(count=20, per=timedelta(seconds=10))
KIE = PROVIDERS["kie"]
FREE = replace(KIE, limit=None)
"""A provider that names no limit."""


@dataclass
class Bench:
    """A limiter, and what all processes have begun so far."""

    clock: SecondsClock = field(default_factory=lambda: SecondsClock(1000.0))
    begun: list[tuple[str, str, float, int]] = field(default_factory=list)
    """Origin, model, when, what it counts as."""
    looks: int = 0
    """How often the ledger was asked."""
    limiter: RateLimiter = field(init=False)

    def __post_init__(self) -> None:
        """Build the limiter."""
        self.limiter = RateLimiter(self.clock, self._starts)

    def _starts(self, origin: str, model: str, limit: RateLimit) -> list[tuple[float, int]]:
        self.looks += 1
        return [
            (self.clock.seconds - at, weight)
            for other, which, at, weight in self.begun
            if other == origin and (which == model or not limit.is_per_model)
            if at > self.clock.seconds - limit.span
        ]

    def begin(self, job: Job, weight: int = 1) -> None:
        """Write down a submit as the ledger does."""
        self.begun.append((job.origin, job.model, self.clock.seconds, weight))
        self.limiter.note_start(job)

    def spend(self, job: Job) -> None:
        """Take a submit from its first byte to its answer at once."""
        self.begin(job)
        self.limiter.note_answer(job)
        self.limiter.release(job)

    def poll(self, job: Job, provider: Provider = KIE, pace: float = 2.0) -> Delay | None:
        """Ask for a turn of a job that was due just now, and is asked about at this pace."""
        return self.limiter.poll(job, provider, lambda s: (self.clock.seconds - pace, s * pace))


@pytest.fixture
def bench() -> Bench:
    """Return a limiter on a clock of ours."""
    return Bench()


def jobs_of(make_job: MakeJob, count: int, **changes: object) -> list[Job]:
    """Make jobs with names of their own."""
    return [make_job(id=f"0000{n:04}", **changes) for n in range(count)]


def most_in(times: list[float], seconds: float) -> int:
    """Return how many moments at most lie within any span of this length."""
    return max(sum(at <= other < at + seconds for other in times) for at in times)


# -- the arithmetic of a limit -----------------------------------------------------------------


def test_there_is_room_until_the_limit_is_full() -> None:
    """Nineteen starts leave room for one more; twenty leave none until the first one is past."""
    assert TWENTY.wait([(0.0, 1)] * 19, 1, 5.0) == 0.0
    assert TWENTY.wait([(0.0, 1)] * 20, 1, 5.0) == pytest.approx(5.5)
    assert TWENTY.wait([(0.0, 1)] * 20, 1, 10.5) == 0.0


def test_a_heavy_start_waits_until_enough_is_past() -> None:
    """Room is counted by weight, the oldest starts go first, and their order does not matter."""
    limit = RateLimit(count=50, per=timedelta(seconds=100), of="images")
    starts = [(30.0, 10), (0.0, 20), (20.0, 20)]
    assert limit.wait(starts, 20, 50.0) == pytest.approx(0.0 + 105 - 50)
    assert limit.wait(starts, 30, 50.0) == pytest.approx(20.0 + 105 - 50)
    assert limit.wait(starts, 500, 50.0) == pytest.approx(30.0 + 105 - 50)
    assert limit.wait([], 500, 50.0) == 0.0


def test_a_limit_says_itself() -> None:
    """People read what a provider takes."""
    assert str(KIE.limit) == "20 requests in 10 s"
    assert str(PROVIDERS["byteplus"].limit) == "500 images in 60 s"


@pytest.mark.parametrize("name", ["ark", "byteplus"])
def test_ark_counts_images(make_job: MakeJob, name: str) -> None:
    """A set counts as all it may bring; a call for layers reserves 17."""
    limit = PROVIDERS[name].limit
    assert limit is not None
    assert limit.is_per_model
    assert limit.weight(make_job(expected=4)) == 4
    assert limit.weight(make_job(recipe={"layer_decomposition": True})) == 17
    assert limit.weight(make_job(recipe={"layer_decomposition": False})) == 1


@pytest.mark.parametrize("name", ["kie", "kie-seedream"])
def test_kie_counts_requests(make_job: MakeJob, name: str) -> None:
    """However many pictures a request brings, it is one; and polls have a limit of their own."""
    limit, polls = PROVIDERS[name].limit, PROVIDERS[name].poll_limit
    assert limit is not None
    assert polls is not None
    assert (limit.weight(make_job(expected=6)), limit.is_per_model) == (1, False)
    assert polls.count / polls.per.total_seconds() < 10


# -- places ------------------------------------------------------------------------------------


def test_many_jobs_come_one_after_the_other(bench: Bench, make_job: MakeJob) -> None:
    """Five hundred waiting jobs keep the limit, go in order, and look but a few times each."""
    jobs = {job.id: job for job in jobs_of(make_job, 500)}
    due = dict.fromkeys(jobs, bench.clock.seconds)
    begun_at, looks = [], Counter[str]()
    while due:
        name = min(due, key=lambda each: (due[each], each))
        bench.clock.seconds = max(bench.clock.seconds, due[name])
        looks[name] += 1
        wait = bench.limiter.submit(jobs[name], KIE)
        if wait is None:
            bench.spend(jobs[name])
            begun_at.append((bench.clock.seconds, name))
            del due[name]
        else:
            due[name] = bench.clock.seconds + wait.seconds
    times = [at for at, _ in begun_at]
    assert most_in(times, 10.0) == 20
    assert times[-1] - times[0] == pytest.approx(24 * 10.5, abs=0.5)
    assert [name for _, name in begun_at] == sorted(jobs)
    assert max(looks.values()) <= 3


def test_a_place_is_kept(bench: Bench, make_job: MakeJob) -> None:
    """Who asks before its time is told the same time, and newcomers stand behind it."""
    here = ("https://api.example.com", "m")
    bench.begun = [(*here, bench.clock.seconds - 0.5 * n, 1) for n in range(20)]
    first, second, third = jobs_of(make_job, 3)
    assert bench.limiter.submit(first, KIE) == Delay(1.0, "kie takes 20 requests in 10 s")
    wait = bench.limiter.submit(second, KIE)
    assert wait is not None
    assert wait.seconds == pytest.approx(1.5)
    bench.clock.seconds += 0.25
    wait = bench.limiter.submit(first, KIE)
    assert wait is not None
    assert wait.seconds == pytest.approx(0.75)
    bench.clock.seconds += 0.75
    wait = bench.limiter.submit(third, KIE)
    assert wait is not None
    assert wait.seconds == pytest.approx(1.0)
    assert bench.limiter.submit(first, KIE) is None


def test_what_is_granted_is_counted(bench: Bench, make_job: MakeJob) -> None:
    """Jobs that connect are not in the ledger yet, and take room all the same."""
    one = replace(KIE, limit=RateLimit(count=2, per=timedelta(seconds=10)))
    first, second, third = jobs_of(make_job, 3)
    assert bench.limiter.submit(first, one) is None
    assert bench.limiter.submit(second, one) is None
    assert bench.limiter.submit(third, one) is not None
    bench.limiter.release(first)  # it never reached its provider
    bench.limiter.release(third)
    assert bench.limiter.submit(third, one) is None


def test_a_place_that_another_process_took_moves_all_behind_it(
    bench: Bench, make_job: MakeJob
) -> None:
    """Nobody jumps the queue, not two wake up at the same time, and nobody goes to the end."""
    here = ("https://api.example.com", "m")
    bench.begun = [(*here, bench.clock.seconds - 0.1 * n, 1) for n in range(20)]
    waiting = jobs_of(make_job, 5)
    waits = [bench.limiter.submit(job, KIE) for job in waiting]
    dues = [bench.clock.seconds + wait.seconds for wait in waits if wait is not None]
    assert len(set(dues)) == 5
    bench.clock.seconds = dues[0]
    bench.begun += [(*here, bench.clock.seconds, 1)] * 2
    again = [bench.limiter.submit(job, KIE) for job in waiting]
    later = [bench.clock.seconds + wait.seconds for wait in again if wait is not None]
    late = later[0] - dues[0]
    assert 0 < late < 0.5
    assert later == pytest.approx([due + late for due in dues])
    newcomer = bench.limiter.submit(make_job(id="newcomer"), KIE)
    assert newcomer is not None
    assert bench.clock.seconds + newcomer.seconds > later[-1]


@dataclass
class Twins:
    """Two processes with a ledger in common, and answers that take a while."""

    answer: float
    """Seconds from the first byte to the answer; a request may arrive at any time between."""
    clock: SecondsClock = field(default_factory=lambda: SecondsClock(1000.0))
    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def starts(self, _origin: str, _model: str, limit: RateLimit) -> list[tuple[float, int]]:
        """Read the ledger."""
        now = self.clock.seconds
        return [
            (
                limit.latest_arrival(
                    now - at, now - self.ended[name] if name in self.ended else None
                ),
                1,
            )
            for name, at in self.begun.items()
            if at > now - limit.reach
        ]

    def run(self, jobs: list[list[Job]]) -> None:
        """Submit all of them."""
        limiters = [RateLimiter(self.clock, self.starts) for _ in jobs]
        whose = {job.id: limiters[k] for k, mine in enumerate(jobs) for job in mine}
        every = {job.id: job for mine in jobs for job in mine}
        due = dict.fromkeys(every, self.clock.seconds)
        while due:
            name = min(due, key=lambda each: (due[each], each))
            job, limiter, self.clock.seconds = (
                every[name],
                whose[name],
                max(self.clock.seconds, due[name]),
            )
            if name in self.begun:
                self.ended[name] = self.clock.seconds
                limiter.note_answer(job)
                limiter.release(job)
                del due[name]
                continue
            wait = limiter.submit(job, KIE)
            full = self._begin(job, limiter) if wait is None else 0.0
            due[name] = self.clock.seconds + (wait.seconds if wait else full or self.answer)

    def _begin(self, job: Job, limiter: RateLimiter) -> float:
        """Spend, or return how long there is no room for it: the ledger has the last word."""
        assert KIE.limit is not None
        seconds = KIE.limit.wait(
            [(self.clock.seconds - ago, weight) for ago, weight in self.starts("", "", KIE.limit)],
            1,
            self.clock.seconds,
        )
        if seconds:
            limiter.release(job)
        else:
            self.begun[job.id] = self.clock.seconds
            limiter.note_start(job)
        return seconds


@pytest.mark.parametrize("answer", [0.05, 0.9, 3.0])
def test_a_request_counts_until_it_has_arrived(make_job: MakeJob, answer: float) -> None:
    """Two processes: whenever requests arrive before their answers, never 21 do in 10 s."""
    twins = Twins(answer)
    jobs = jobs_of(make_job, 200)
    twins.run([jobs[:100], jobs[100:]])
    last_of_twenty, first = sorted(twins.ended.values()), sorted(twins.begun.values())
    gaps = [sooner - later for later, sooner in zip(last_of_twenty, first[20:], strict=False)]
    assert min(gaps) >= 10.0
    # Nothing is idle that need not be: twenty go, are answered, and so on.
    assert first[-1] - first[0] <= 10 * (10.5 + answer) + 3


def test_a_place_that_nobody_comes_for_lapses(bench: Bench, make_job: MakeJob) -> None:
    """Jobs that ended while they waited hold nobody up for ever."""
    bench.begun = [("https://api.example.com", "m", bench.clock.seconds, 1)] * 20
    lost = jobs_of(make_job, 200)
    for job in lost:
        assert bench.limiter.submit(job, KIE) is not None
    bench.clock.seconds += 10 * 10.5 + 30
    assert bench.limiter.submit(make_job(), KIE) is None


def test_models_wait_for_themselves(bench: Bench, make_job: MakeJob) -> None:
    """Where each model has its limit, a full one keeps no other one back."""
    ark = PROVIDERS["ark"]
    bench.begun = [("https://api.example.com", "full", bench.clock.seconds, 500)]
    assert bench.limiter.submit(make_job(id="00000001", model="full"), ark) is not None
    assert bench.limiter.submit(make_job(id="00000002", model="other"), ark) is None


def test_a_rehearsal_never_waits(bench: Bench, make_job: MakeJob) -> None:
    """Sandbox jobs know neither limit nor gate nor turns."""
    jobs = jobs_of(make_job, 100, sandbox=True)
    bench.limiter.pause(jobs[0], 60.0)
    assert {bench.limiter.submit(job, KIE) for job in jobs} == {None}
    assert {bench.poll(job) for job in jobs} == {None}


def test_ten_thousand_jobs_are_placed_in_no_time(bench: Bench, make_job: MakeJob) -> None:
    """Who stands far behind is placed without a look at the ledger."""
    bench.begun = [("https://api.example.com", "m", bench.clock.seconds, 1)] * 500
    jobs = jobs_of(make_job, 10_000, model="m")
    started = time.process_time()
    for job in jobs:
        assert bench.limiter.submit(job, PROVIDERS["ark"]) is not None
    assert time.process_time() - started < 10
    assert bench.looks <= 1000


# -- the gate ----------------------------------------------------------------------------------


def through(bench: Bench, jobs: list[Job]) -> list[Job]:
    """Return those that the gate lets through now."""
    return [job for job in jobs if bench.limiter.submit(job, FREE) is None]


def test_few_go_until_the_first_answer(bench: Bench, make_job: MakeJob) -> None:
    """A wrong key costs four requests, not a hundred; then twice as many go each second."""
    jobs = jobs_of(make_job, 500)
    gone = through(bench, jobs)
    assert gone == jobs[:NARROW]
    bench.clock.seconds += 0.3
    assert through(bench, jobs[NARROW:]) == []
    bench.limiter.note_answer(gone[0])
    rest = jobs[NARROW:]
    unanswered = [NARROW]
    for _ in range(4):
        more = through(bench, rest)
        rest = [job for job in rest if job not in more]
        unanswered.append(unanswered[-1] + len(more))
        bench.clock.seconds += 1
    assert unanswered == [4, 8, 16, 32, 64]


def test_a_slow_origin_is_asked_by_more_after_a_while(bench: Bench, make_job: MakeJob) -> None:
    """Where an answer takes half a minute, nobody waits for the first one."""
    jobs = jobs_of(make_job, 500)
    gone = through(bench, jobs)
    bench.clock.seconds += PATIENCE - 0.1
    assert through(bench, jobs[len(gone) :]) == []
    bench.clock.seconds += 0.1
    assert len(through(bench, jobs[len(gone) :])) == NARROW
    bench.clock.seconds += 20
    assert len(through(bench, jobs[2 * NARROW :])) == 500 - 2 * NARROW


def test_an_answered_submit_makes_room(bench: Bench, make_job: MakeJob) -> None:
    """Quick answers let a quick run go on at once."""
    jobs = jobs_of(make_job, 8)
    for job in through(bench, jobs):
        bench.spend(job)
    assert through(bench, jobs[NARROW:]) == jobs[NARROW:]


def test_who_waits_at_the_gate_does_not_look_at_once(bench: Bench, make_job: MakeJob) -> None:
    """Hundreds before a gate look again one by one, soon, and nobody is told of it."""
    waits = [bench.limiter.submit(job, FREE) for job in jobs_of(make_job, 304)]
    seconds = [wait.seconds for wait in waits if wait is not None]
    assert len(set(seconds)) == len(seconds) == 300
    assert min(seconds) > 0
    assert max(seconds) < 3
    assert {wait.reason for wait in waits if wait is not None} == {""}


def test_one_that_is_turned_away_holds_all(bench: Bench, make_job: MakeJob) -> None:
    """After a 429 nobody goes until it is over, then few, then more and more."""
    jobs = jobs_of(make_job, 400)
    bench.limiter.note_answer(jobs[0])
    bench.clock.seconds += 60
    flying = through(bench, jobs[:100])
    assert len(flying) == 100
    bench.limiter.pause(flying[0], 7.0)
    bench.limiter.pause(flying[1], 5.0)  # a shorter one changes nothing
    rest = jobs[100:]
    waits = [bench.limiter.submit(job, FREE) for job in rest]
    assert all(wait is not None and wait.seconds >= 7.0 for wait in waits)
    assert {wait.reason for wait in waits if wait is not None} == {"kie is busy"}
    bench.clock.seconds += 7.0
    counts = []
    for _ in range(4):
        gone = through(bench, rest)
        rest = [job for job in rest if job not in gone]
        counts.append(len(gone))
        bench.clock.seconds += 1
    assert counts == [4, 4, 8, 16]


def test_the_one_that_was_turned_away_is_the_first_again(bench: Bench, make_job: MakeJob) -> None:
    """Exactly when its own wait is over it may go."""
    (job,) = jobs_of(make_job, 1)
    bench.limiter.pause(job, 7.0)
    bench.clock.seconds += 7.0
    assert bench.limiter.submit(job, FREE) is None


def test_a_hold_is_of_one_origin(bench: Bench, make_job: MakeJob) -> None:
    """Another API goes on."""
    bench.limiter.pause(make_job(), 60.0)
    assert bench.limiter.submit(make_job(origin="https://api.example.org"), FREE) is None


def test_a_place_outlives_the_gate(bench: Bench, make_job: MakeJob) -> None:
    """A job with room in the limit that the gate holds up goes as soon as the gate opens."""
    one = replace(KIE, limit=RateLimit(count=1, per=timedelta(seconds=10)))
    first, second = jobs_of(make_job, 2)
    bench.limiter.pause(first, 5.0)
    assert bench.limiter.submit(first, one) is not None
    assert bench.limiter.submit(second, one) is not None
    bench.clock.seconds += 5.0
    assert bench.limiter.submit(first, one) is None
    wait = bench.limiter.submit(second, one)
    assert wait is not None
    assert wait.seconds > 1


# -- polls -------------------------------------------------------------------------------------


def test_polls_take_turns(bench: Bench, make_job: MakeJob) -> None:
    """A hundred running tasks are asked about in turn, at most eight a second in all."""
    jobs = {job.id: job for job in jobs_of(make_job, 100)}
    due = dict.fromkeys(jobs, bench.clock.seconds)
    asked: list[tuple[float, str]] = []
    while len(asked) < 400:
        name = min(due, key=lambda each: (due[each], each))
        bench.clock.seconds = max(bench.clock.seconds, due[name])
        wait = bench.poll(jobs[name])
        if wait is None:
            asked.append((bench.clock.seconds, name))
        due[name] = bench.clock.seconds + (2.0 if wait is None else wait.seconds)
    assert most_in([at for at, _ in asked], 0.999) == 8
    assert asked[-1][0] - asked[0][0] == pytest.approx(400 / 8, abs=1)
    assert set(Counter(name for _, name in asked).values()) == {4}


def test_a_poll_alone_waits_for_nothing(bench: Bench, make_job: MakeJob) -> None:
    """Two seconds after the last one there is room; where no limit is known, always."""
    job = make_job()
    for _ in range(5):
        assert bench.poll(job) is None
        bench.clock.seconds += 2
    unlimited = replace(KIE, poll_limit=None)
    assert [bench.poll(job, unlimited) for _ in range(50)] == [None] * 50


def test_one_place_that_is_taken_puts_few_off(bench: Bench, make_job: MakeJob) -> None:
    """Of sixty that wait, another process's one start costs one place, not the time of all."""
    jobs = {job.id: job for job in jobs_of(make_job, 80)}
    due = dict.fromkeys(jobs, bench.clock.seconds)
    begin = bench.clock.seconds
    sent: list[float] = []
    while due:
        name = min(due, key=lambda each: (due[each], each))
        bench.clock.seconds = max(bench.clock.seconds, due[name])
        if len(sent) == 20 and bench.clock.seconds > begin:
            bench.begun.append(("https://api.example.com", "another", begin + 6, 1))
        wait = bench.limiter.submit(jobs[name], KIE)
        if wait is None:
            bench.spend(jobs[name])
            sent.append(round(bench.clock.seconds - begin, 2))
            del due[name]
        else:
            due[name] = bench.clock.seconds + wait.seconds
    assert most_in([6.0, *sent[20:]], 10.49) == 20
    assert sent.count(10.5) == 19
    assert sent[-2:] == [31.5, 37.5]


def test_who_comes_long_after_his_place_waits_as_well(bench: Bench, make_job: MakeJob) -> None:
    """All workers were held meanwhile, and another process took the room: no wait is negative."""
    others, (job,) = jobs_of(make_job, 40), [make_job(id="late0000")]
    for other in others[:20]:
        bench.begin(other)
    wait = bench.limiter.submit(job, KIE)
    assert wait is not None
    assert wait.seconds == 10.5
    bench.clock.seconds += 25
    for other in others[20:]:
        bench.begin(other)
    wait = bench.limiter.submit(job, KIE)
    assert wait is not None
    assert wait.seconds == 10.5
    bench.clock.seconds += 10.5
    assert bench.limiter.submit(job, KIE) is None


def take_turns(bench: Bench, jobs: list[Job], paces: dict[str, float], count: int) -> list[str]:
    """Let jobs come for their turns when they are told to; return who got them, in order."""
    since = bench.clock.seconds
    due = {job.id: since for job in jobs}
    by_id = {job.id: job for job in jobs}
    got: list[str] = []
    while len(got) < count:
        name = min(due, key=lambda each: (due[each], each))
        bench.clock.seconds = max(bench.clock.seconds, due[name])
        wait = bench.limiter.poll(by_id[name], KIE, lambda s: (since, s * paces[name]))  # noqa: B023
        if wait is None:
            got.append(name)
            del due[name]
        else:
            due[name] = bench.clock.seconds + wait.seconds
    return got


def test_a_turn_goes_to_the_largest_expected_lag(bench: Bench, make_job: MakeJob) -> None:
    """Of those that wait: whose lag grows fastest, or has grown for longest, whoever came first."""
    jobs = jobs_of(make_job, 12)
    paces = {job.id: 12.0 - k for k, job in enumerate(jobs)}
    got = take_turns(bench, jobs, paces, 12)
    assert got[0] == jobs[0].id  # there was room when it came
    assert got[1:] == [job.id for job in reversed(jobs[1:])]


def test_who_does_not_come_for_a_turn_loses_it(bench: Bench, make_job: MakeJob) -> None:
    """A job that ended elsewhere holds nobody up: its turn is the next one's."""
    first, gone, last = jobs_of(make_job, 3)
    assert bench.poll(first) is None
    assert bench.poll(gone, pace=1.0) == Delay(0.125)
    assert bench.poll(last) == Delay(0.25)
    bench.clock.seconds += 0.25
    assert bench.poll(last) == Delay(0.125)  # the other one may come any moment
    bench.clock.seconds += 0.26
    assert bench.poll(last) is None
    assert bench.poll(gone, pace=1.0) == Delay(0.125)


def test_a_poll_that_is_turned_away_shares_the_submits_limit(
    bench: Bench, make_job: MakeJob
) -> None:
    """A provider that counts all requests is asked as often as it takes submits, by any of them."""
    jobs = jobs_of(make_job, 30)
    for job in jobs[:15]:
        assert bench.limiter.submit(job, KIE) is None
        bench.spend(job)
    bench.clock.seconds += 1
    for job in jobs[:4]:
        assert bench.poll(job) is None
        bench.clock.seconds += 0.125
    bench.limiter.note_busy_poll(jobs[4], KIE, None)
    assert bench.poll(jobs[5]) is None  # the twentieth
    wait = bench.poll(jobs[6])
    assert wait is not None
    assert wait.seconds == pytest.approx(10.5 - 1.5)
    submit = bench.limiter.submit(jobs[20], KIE)
    assert submit is not None
    assert submit.seconds == pytest.approx(10.5 - 1.5)


def test_submits_go_before_polls_that_share_their_limit(bench: Bench, make_job: MakeJob) -> None:
    """Twenty that wait to be sent take the next twenty turns, and polls those after them."""
    jobs = jobs_of(make_job, 41)
    bench.limiter.note_busy_poll(jobs[0], KIE, None)
    for job in jobs[:20]:
        assert bench.limiter.submit(job, KIE) is None
        bench.spend(job)
    poll = bench.poll(jobs[0])
    assert poll == Delay(10.5)
    waits = [bench.limiter.submit(job, KIE) for job in jobs[20:40]]
    assert {wait.seconds for wait in waits if wait} == {10.5}
    bench.clock.seconds += 10.5
    again = bench.poll(jobs[0])
    assert again is not None
    assert again.seconds == pytest.approx(10.5)
    for job in jobs[20:40]:
        assert bench.limiter.submit(job, KIE) is None
        bench.spend(job)
    bench.clock.seconds += again.seconds
    assert bench.poll(jobs[0]) is None


def test_a_provider_without_a_limit_is_only_heard(bench: Bench, make_job: MakeJob) -> None:
    """There is no lane to share: its polls wait for as long as it said, and go on."""
    job, other = jobs_of(make_job, 2)
    free = replace(FREE, poll_limit=None)
    bench.limiter.note_busy_poll(job, free, 3.0)
    assert bench.poll(other, free) == Delay(3.0, "kie is busy")
    bench.clock.seconds += 3
    assert bench.poll(other, free) is None
    assert bench.poll(job, free) is None
