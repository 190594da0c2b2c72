"""When running jobs are asked about, and what is learned from those that are done."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support.replies import URL, accepted, made, polled, reply, success

from seedream_cli.core.errors import OutcomeUnknown
from seedream_cli.core.model import Purpose, State
from seedream_cli.engine.context import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.conftest import House
    from support.transport import Answer

    from seedream_cli.core.model import Call, Reply


def waits(house: House) -> list[float]:
    """Return the seconds between a job's submit and its polls, one by one."""
    times = [at for at, _ in timed(house)]
    return [round(later - sooner, 3) for sooner, later in pairwise(times)]


def timed(house: House) -> list[tuple[float, Call]]:
    """Return when each call was sent."""
    return house.sent_at  # type: ignore[attr-defined,no-any-return]


@pytest.fixture(autouse=True)
def _watched(house: House) -> None:
    """Write down when calls are sent."""
    calls: list[tuple[float, Call]] = []
    house.sent_at = calls  # type: ignore[attr-defined]
    house.transport.at_send = lambda call: calls.append((house.clock.monotonic(), call))


def teach(house: House, seconds: float, provider: str = "kie") -> None:
    """Let ten jobs like the next one have taken so long."""
    for number in range(10):
        (job,) = house.buy(provider, f"a fox, {number}")
        house.ledger.begin(job.id)
        job = house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id=f"old-{number}")
        house.ledger.move(job, State.READY, made_seconds=seconds)


def test_a_first_look_comes_when_it_may_be_worth_it(house: House) -> None:
    """Nobody knows anything: after some seconds. Ten jobs took forty: not in the first quarter."""
    house.transport.answers = [accepted(), success()]
    house.run(house.buy("kie"))
    assert 3 < waits(house)[0] < 8
    teach(house, 40.0)
    timed(house).clear()
    house.transport.answers = [accepted("t2"), success(task="t2")]
    house.engine.pace._estimates.clear()
    house.run(house.buy("kie"))
    assert waits(house)[0] > 12


def test_what_is_learned_is_of_the_like(house: House) -> None:
    """A job changes what is expected of its model, and of no other provider."""
    (job,) = house.buy("kie")
    (other,) = house.buy("seedreams")
    before = house.engine.pace.expect(job), house.engine.pace.expect(other)
    assert before[0] == before[1]
    began = house.clock.now()
    long = [
        polled("generating"),
        success(began=began, ended=began + timedelta(seconds=9)),
    ]
    house.transport.answers = [accepted(), *long]
    house.run([job])
    assert house.ledger.durations(job) == ([9.0], [9.0])
    assert house.engine.pace.expect(job).count == 1
    assert house.engine.pace.expect(other) == before[1]


def test_a_duration_without_the_provider_s_clock_is_ours(house: House) -> None:
    """Half-way between the look that found it running and the one that found it done."""
    house.transport.answers = [accepted(), polled("generating"), success()]
    (job,) = house.run(house.buy("kie"))
    first, second = waits(house)
    assert house.ledger.durations(job)[0] == [pytest.approx(first + second / 2, abs=0.01)]


def test_an_answer_at_once_teaches_too(house: House) -> None:
    """Ark took twelve seconds from the first byte to its answer."""
    house.transport.at_send = lambda _: house.clock.sleep(12)
    house.transport.answers = [made()]
    (job,) = house.run(house.buy("ark"))
    assert house.ledger.durations(job)[0] == [pytest.approx(12, abs=0.01)]


def test_a_job_of_another_process_teaches_only_by_its_provider(house: House) -> None:
    """Hours later nobody knows when it was made, but a provider that says so."""
    (job,) = house.buy("kie")
    for number, ended in enumerate((None, timedelta(seconds=31))):
        (job,) = house.buy("kie", f"a fox, {number}", owner="otherone")
        house.ledger.begin(job.id)
        house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id=f"t{number}")
        began = house.clock.now()
        house.clock.sleep(3 * 3600)
        done = success(task=f"t{number}", began=began, ended=began + ended if ended else None)
        house.transport.answers = [done]
        assert house.run([house.ledger.job(job.id)])[0].state is State.SAVED
    assert house.ledger.durations(job)[0] == [31.0]


@pytest.mark.parametrize(
    ("answer", "least"),
    [
        (lambda: reply({"code": 429, "msg": "later"}, 200, **{"retry-after": "33"}), 33),
        (lambda: reply({"code": 429, "msg": "later"}, 429, **{"retry-after": "33"}), 33),
        (lambda: reply("oops", 503, **{"retry-after": "33"}), 33),
        (lambda: replace(polled("generating"), headers={"retry-after": "33"}), 33),
        (lambda: replace(polled("generating"), headers={"retry-after": "0"}), 0.5),
    ],
)
def test_a_provider_that_asks_to_wait_is_heard(
    house: House, answer: Callable[[], Reply], least: float
) -> None:
    """`Retry-After` of any answer to a poll is when the job is asked about next."""
    house.transport.answers = [accepted(), answer(), success()]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert waits(house)[1] == pytest.approx(least, rel=0.1)


def test_a_moment_to_come_back_is_told_by_the_provider_s_clock(house: House) -> None:
    """Ours is a day behind: `Retry-After` with a date is 20 s off all the same, for any request."""
    date, until = "Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:20 GMT"
    busy = reply({"code": 429, "msg": "later"}, 429, **{"retry-after": until, "date": date})
    house.transport.answers = [busy, accepted(), busy, success()]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    first, _, second = waits(house)
    assert first == pytest.approx(20, rel=0.1)
    assert second == pytest.approx(20, rel=0.1)


def test_trouble_is_no_storm(house: House) -> None:
    """However soon a picture is due: errors and cuts are asked again after 2 s, 4 s, 8 s, 15 s."""
    teach(house, 6.0)
    troubles: list[Answer] = [reply("oops", 500), OutcomeUnknown("cut"), reply("<html>", 502)]
    house.transport.answers = [accepted(), *troubles, reply("oops", 500), polled("x"), success()]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert waits(house)[1:5] == [2, 4, 8, 15]
    assert waits(house)[5] < 15  # an answer that could be read ends that


def test_a_queue_counts_for_nothing(house: House) -> None:
    """Fal says how many are before us: the time of a job runs from when it was last there."""
    teach(house, 12.0, "fal")
    place = "https://queue.fal.run/fal-ai/bytedance/requests/r1"
    links: dict[str, object] = {
        "status_url": f"{place}/status",
        "response_url": place,
        "request_id": "r1",
    }
    queued = reply(links | {"status": "IN_QUEUE", "queue_position": 2}, 202)
    working = reply(links | {"status": "IN_PROGRESS"}, 202)
    house.transport.answers = [
        *(queued, queued, queued, working),
        reply(links | {"status": "COMPLETED"}),
        reply({"images": [{"url": URL}]}),
    ]
    (job,) = house.run(house.buy("fal"))
    assert job.state is State.SAVED
    first, second, third, *_ = waits(house)
    assert second == pytest.approx(first, rel=0.1)
    assert third == pytest.approx(first, rel=0.1)


def test_a_gateway_that_counts_all_requests_is_asked_less(house: House) -> None:
    """A 429 to a poll within our limits: then a batch keeps submits and polls in one limit."""
    sent: list[float] = []
    tasks: dict[str, str] = {}

    def answer(call: Call) -> Reply:
        now = house.clock.monotonic()
        if sum(at > now - 10 for at in sent) >= 20:
            return reply({"code": 429, "msg": "too many"}, 429)
        sent.append(now)
        if call.purpose is Purpose.SUBMIT:
            tasks[f"t{len(tasks)}"] = ""
            return accepted(f"t{len(tasks) - 1}")
        task = call.query["taskId"]
        return success(f"https://images.example/{task}.png", task=task)

    house.transport.answer = answer
    jobs = house.buy("kie", count=40)
    done = house.run(jobs)
    assert {job.state for job in done} == {State.SAVED}
    assert max(sum(at - 10 < other <= at for other in sent) for at in sent) <= 20
    assert len(house.transport.sent) - len(sent) <= 4
    assert sent[-1] - sent[0] < 60


def test_maintenance_says_nothing_of_a_limit(house: House) -> None:
    """Only "too many requests" means that polls and submits are counted together."""
    origin = "https://api.kie.ai"
    for code, is_shared in ((455, False), (429, True)):
        house.transport.answers = [
            accepted(f"t{code}"),
            reply({"code": code, "msg": "not now"}),
            success(task=f"t{code}"),
        ]
        (job,) = house.run(house.buy("kie", f"a fox, {code}"))
        assert job.state is State.SAVED
        assert house.engine.limiter._turns[origin].is_shared is is_shared


def never_done(house: House, *, busy_after: float = 1e9) -> Callable[[Call], Reply]:
    """Return a provider that makes nothing, and is busy from some time on."""
    begin, tasks = house.clock.monotonic(), iter(range(1000))

    def answer(call: Call) -> Reply:
        if call.purpose is Purpose.SUBMIT:
            return accepted(f"t{next(tasks)}")
        if house.clock.monotonic() - begin > busy_after:
            return reply({"code": 429, "msg": "too many"}, 429, **{"retry-after": "60"})
        return polled("generating", call.query["taskId"])

    return answer


@pytest.mark.parametrize(
    ("count", "timeout", "busy_after", "most"),
    [(1, 3.0, 1e9, 3.1), (5, 20.0, 15.0, 20.1), (100, 120.0, 1e9, 125.2)],
)
def test_a_timeout_holds_however_seldom_jobs_are_asked_about(
    house: House, count: int, timeout: float, busy_after: float, most: float
) -> None:
    """A first look that is far off, a provider that is busy, a turn after many: none delays 75."""
    teach(house, 45.0)
    house.engine.pace._estimates.clear()
    begin = house.clock.monotonic()
    house.adjust(timing=Timing(deadline=begin + timeout, timeout=timeout))
    house.transport.answer = never_done(house, busy_after=busy_after)
    done = house.run(house.buy("kie", count=count))
    assert {job.state for job in done} == {State.RUNNING}
    assert len(house.engine.problems) == count
    assert timeout <= house.clock.monotonic() - begin <= most


def test_a_job_is_asked_about_once_however_short_the_time(house: House) -> None:
    """Many jobs wait for their turns, and the time is over at once: each has one look."""
    house.transport.answer = never_done(house)
    jobs = house.buy("kie", count=60)
    house.adjust(is_waiting=False)
    jobs = house.run(jobs)
    timed(house).clear()
    house.adjust(is_waiting=True, timing=Timing(deadline=house.clock.monotonic(), timeout=0.0))
    house.run(jobs)
    asked = [call.query["taskId"] for _, call in timed(house)]
    assert sorted(asked) == sorted(f"t{number}" for number in range(60))


def test_no_job_is_forgotten_beside_those_that_hang(house: House) -> None:
    """A hundred take longer than ever before: those that came last are asked about as well."""
    teach(house, 45.0)
    house.engine.pace._estimates.clear()
    house.adjust(timing=Timing(deadline=house.clock.monotonic() + 120, timeout=120.0))
    house.transport.answer = never_done(house)
    house.run(house.buy("kie", count=100))
    polls = [call.query["taskId"] for _, call in timed(house) if call.purpose is Purpose.POLL]
    asked = Counter(polls)
    assert len(asked) == 100
    assert min(asked.values()) >= 3
