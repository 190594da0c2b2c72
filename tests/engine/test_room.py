"""Room at the provider: what waits for it, what a 429 means to all, and how long a job may take."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from support.replies import accepted, reply

from seedream_cli.core.budget import parse_budget
from seedream_cli.core.errors import Throttled, Unsent
from seedream_cli.core.events import Waiting
from seedream_cli.core.model import Charge, Money, Problem, Reply, Secret, State
from seedream_cli.engine.context import Step, StepKind
from seedream_cli.engine.rate_limit import RateLimiter
from seedream_cli.providers import PROVIDERS
from seedream_cli.providers.spec import RateLimit
from seedream_cli.transport.client import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.conftest import House

    from seedream_cli.core.model import Call, Job

SPAN = 10.5
"""How long a start counts in KIE's limit here."""
GENERATING = {"code": 200, "msg": "ok", "data": {"taskId": "t0", "state": "generating"}}


def made(number: int = 1) -> Reply:
    """Ark's answer to a submit."""
    return reply({"data": [{"url": f"https://images.example/{number}.png"}]})


def busy(seconds: int) -> Reply:
    """Ark's answer when it is overloaded."""
    error = {"error": {"code": "ServerOverloaded", "message": "m"}}
    return reply(error, 429, **{"retry-after": str(seconds)})


def told(house: House) -> list[Waiting]:
    """Return what was said of waits."""
    return [event for event in house.events if isinstance(event, Waiting)]


def full(house: House, count: int = 20, provider: str = "kie") -> None:
    """Let another process have begun so many jobs just now, which were taken at once."""
    for n, job in enumerate(house.buy(provider, "another's", count=count, owner="otherone")):
        house.ledger.begin(job.id)
        house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id=f"theirs-{n}")


def take(house: House, step: Step | None) -> Step | None:
    """Take one step when it is due."""
    assert step is not None
    house.clock.sleep(max(0.0, step.due - house.clock.monotonic()))
    return house.take(step)


def attempts(house: House) -> int:
    """Return how many submits were ever begun."""
    with house.ledger._storage("read"):
        rows = house.ledger._connection().execute("SELECT count(*) FROM attempts").fetchall()
    return int(rows[0][0])


# -- the limit ---------------------------------------------------------------------------------


def test_many_jobs_keep_the_limit(house: House) -> None:
    """Forty-five submits to KIE: never more than 20 in 10 s, all accepted, each told once."""
    house.adjust(is_waiting=False)
    house.transport.answers = [accepted(f"t{n}") for n in range(45)]
    sent_at: list[float] = []
    house.transport.at_send = lambda _: sent_at.append(house.clock.monotonic())
    jobs = house.run(house.buy("kie", count=45))
    assert {job.state for job in jobs} == {State.RUNNING}
    assert max(sum(at <= other < at + 10 for other in sent_at) for at in sent_at) == 20
    assert sent_at[-1] - sent_at[0] == pytest.approx(2 * SPAN, abs=0.1)
    names = [event.job_id for event in told(house)]
    assert len(names) == len(set(names)) == 25
    assert {event.reason for event in told(house)} == {"kie takes 20 requests in 10 s"}


def test_what_waits_for_room_is_not_ended_by_the_deadline(house: House) -> None:
    """A job that waits for room outlives `--timeout`: nothing was sent, and nothing is at stake."""
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 1))
    house.adjust(is_waiting=False)
    full(house)
    house.transport.answers = [accepted("t1")]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.RUNNING
    assert sum(house.clock.slept) == pytest.approx(SPAN)


def test_waiting_for_room_is_no_try(house: House) -> None:
    """A step that is put off for the limit is the same step, later; the transport is not asked."""
    full(house)
    (job,) = house.buy("kie")
    step = house.engine.first_step(job)
    assert step is not None
    following = house.take(step)
    assert following is not None
    assert (following.deed, following.tries) == (StepKind.SUBMIT, 0)
    assert following.due - house.clock.monotonic() == pytest.approx(SPAN)
    assert (house.transport.sent, attempts(house)) == ([], 20)
    assert job.id in house.engine.calls


def test_a_wait_for_room_is_told_once(house: House) -> None:
    """However often a job looks in vain, one line says what it waits for."""
    full(house)
    (job,) = house.buy("kie")
    step = house.engine.first_step(job)
    for _ in range(3):
        assert step is not None
        step = house.take(step)
    assert [(event.job_id, event.seconds) for event in told(house)] == [(job.id, SPAN)]


def test_a_rehearsal_is_not_limited(house: House) -> None:
    """Sandbox jobs go at once, however many there are."""
    house.adjust(is_waiting=False)
    house.transport.answers = [accepted(f"t{n}") for n in range(30)]
    jobs = [replace(job, sandbox=True) for job in planned_elsewhere(house, 30)]
    house.ledger.plan(jobs)
    assert {job.state for job in house.run(jobs)} == {State.RUNNING}
    assert sum(house.clock.slept) == 0


def planned_elsewhere(house: House, count: int) -> list[Job]:
    """Return copies of planned jobs, with calls, that the ledger does not know yet."""
    jobs = [replace(job, id=f"x{job.id}"[:8]) for job in house.buy("kie", count=count)]
    jobs = [replace(job, id=f"sand{n:04}") for n, job in enumerate(jobs)]
    (call, *_) = house.engine.calls.values()
    house.engine.calls.update({job.id: call for job in jobs})
    return jobs


def test_room_that_another_process_takes_meanwhile_costs_nothing(house: House) -> None:
    """Where the limit is full at the first byte, nothing is sent, written or counted as a try."""
    house.adjust(is_waiting=False)
    (job,) = house.buy("kie")
    full(house)
    house.adjust(limiter=RateLimiter(house.clock, lambda *_: []))  # it looked a moment earlier
    house.transport.answers = [accepted("t1")]
    following = take(house, house.engine.first_step(job))
    assert following is not None
    assert (following.deed, following.tries) == (StepKind.SUBMIT, 0)
    assert following.due - house.clock.monotonic() == pytest.approx(SPAN)
    now = house.ledger.job(job.id)
    assert (now.state, now.charge, now.sent_at) == (State.PLANNED, Charge.NONE, None)
    assert (house.transport.sent, attempts(house)) == ([], 20)
    house.transport.answers = [accepted("t1")]
    assert take(house, following) is None
    assert house.ledger.job(job.id).state is State.RUNNING


def test_a_full_limit_stops_a_real_request_before_its_first_byte(house: House) -> None:
    """With the real transport: the connection is made, and closed without a byte on it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        came: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.settimeout(10)
                came.append(connection.recv(65536))

        server = threading.Thread(target=serve)
        server.start()
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        (job,) = planned_elsewhere(house, 1)
        job = replace(job, origin=origin)
        others = [replace(job, id=f"other{n:03}") for n in range(20)]
        house.ledger.plan([job, *others])
        for other in others:
            house.ledger.begin(other.id)
        house.adjust(limiter=RateLimiter(house.clock, lambda *_: []))
        house.adjust(transport=Transport(proxy_of=lambda _: None))
        following = take(house, house.engine.first_step(job))
        server.join(timeout=10)
    assert came == [b""]
    assert following is not None
    assert (following.deed, following.tries) == (StepKind.SUBMIT, 0)
    assert house.ledger.job(job.id).state is State.PLANNED


def test_a_full_limit_stops_a_stream_too(house: House) -> None:
    """A set, whose answer is heard event by event, waits like any other job."""
    one = RateLimit(count=6, per=timedelta(minutes=1), of="images", is_per_model=True)
    house.adjust(providers={**PROVIDERS, "ark": replace(PROVIDERS["ark"], limit=one)})
    (first,) = house.buy(series=6)
    (second,) = house.buy(prompt="a crow", series=6)
    house.ledger.begin(first.id, one)
    house.adjust(limiter=RateLimiter(house.clock, lambda *_: []))
    house.transport.hears()
    following = take(house, house.engine.first_step(second))
    assert following is not None
    assert following.due - house.clock.monotonic() == pytest.approx(63)
    assert house.ledger.job(second.id).state is State.PLANNED


def test_begin_throttles_by_itself(house: House) -> None:
    """The guard is the ledger's: the engine's own look only spares a connection."""
    full(house)
    (job,) = house.buy("kie")
    with pytest.raises(Throttled):
        house.ledger.begin(job.id, PROVIDERS["kie"].limit)


# -- not now -----------------------------------------------------------------------------------


def test_a_busy_answer_holds_all_of_an_origin(house: House) -> None:
    """One 429 with a Retry-After: the other jobs wait as long, and each is sent once."""
    house.transport.answers = [busy(7), *[made(n) for n in range(6)]]
    sent_at: list[float] = []
    house.transport.at_send = lambda _: sent_at.append(house.clock.monotonic())
    start = house.clock.monotonic()
    jobs = house.run(house.buy(count=6))
    assert {job.state for job in jobs} == {State.SAVED}
    assert len(sent_at) == 7
    assert sent_at[0] == start
    assert min(sent_at[1:]) - start == pytest.approx(7)


def test_an_unreachable_provider_holds_nobody(house: House) -> None:
    """A connection that fails is one job's trouble."""
    house.transport.answers = [Unsent("refused"), made(1), made(2)]
    first, second = house.buy(count=2)
    later = take(house, house.engine.first_step(first))
    assert later is not None
    saving = take(house, house.engine.first_step(second))
    assert saving is not None
    assert saving.deed is StepKind.SAVE
    assert sum(house.clock.slept) == 0


def test_a_wait_that_is_too_long_holds_nobody(house: House) -> None:
    """An hour is not waited for: each job is closed with the provider's own words."""
    house.transport.answers = [busy(3601)] * 3
    jobs = house.run(house.buy(count=3))
    assert {job.state for job in jobs} == {State.CLOSED}
    assert sum(house.clock.slept) == 0


class Answering:
    """A provider that answers when a test says so; counts what it was sent."""

    def __init__(self, house: House, answer: Callable[[int], Reply]) -> None:
        """Stand behind the house's transport."""
        self.latest_arrival = threading.Semaphore(0)
        self.go = threading.Event()
        self._answer = answer
        self._lock = threading.Lock()
        self.count = 0
        house.transport.at_send = self._arrive
        house.transport.answers = [answer(n) for n in range(200)]

    def _arrive(self, _: Call) -> None:
        with self._lock:
            self.count += 1
        self.latest_arrival.release()
        self.go.wait(10)


def test_a_wrong_key_costs_four_requests(house: House) -> None:
    """While nobody has answered, the fifth of many jobs is put off; and a refusal opens nothing."""
    lost = {"code": 401, "msg": "You do not have access permissions"}
    host = Answering(house, lambda _: reply(lost))
    steps = [house.engine.first_step(job) for job in house.buy("kie", count=18)]
    follow: list[Step | None] = []

    def work(step: Step) -> None:
        follow.append(house.take(step))

    threads = [threading.Thread(target=work, args=(step,)) for step in steps[:4] if step]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert host.latest_arrival.acquire(timeout=10)
    for step in steps[4:]:
        following = take(house, step)
        assert following is not None
        assert following.deed is StepKind.SUBMIT
    assert host.count == 4
    host.go.set()
    for thread in threads:
        thread.join(timeout=10)
    assert follow == [None] * 4
    assert house.engine.limiter._gates["https://api.kie.ai"]._width(house.clock.monotonic()) == 4


# -- polls -------------------------------------------------------------------------------------


def test_many_polls_take_turns(house: House) -> None:
    """Thirty running tasks are all asked about, at most eight times a second together."""
    jobs = house.buy("kie", count=30)
    for number, job in enumerate(jobs):
        house.ledger.begin(job.id)
        house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id=f"t{number}")
    asked: list[tuple[float, str]] = []
    house.transport.at_send = lambda call: asked.append(
        (house.clock.monotonic(), call.query["taskId"])
    )
    house.transport.answers = [reply(GENERATING)] * 1000
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 20))
    house.run([house.ledger.job(job.id) for job in jobs])
    times = [at for at, _ in asked]
    assert max(sum(at <= other < at + 0.999 for other in times) for at in times) == 8
    assert {task for _, task in asked[:30]} == {f"t{n}" for n in range(30)}
    assert len(house.engine.problems) == 30


def test_a_poll_that_waits_for_its_turn_is_no_try(house: House) -> None:
    """It is the same step, later, and the task is not asked about."""
    jobs = house.buy("kie", count=2)
    for number, job in enumerate(jobs):
        house.ledger.begin(job.id)
        house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id=f"t{number}")
    house.transport.answers = [reply(GENERATING)]
    now = house.clock.monotonic()
    house.take(Step(now, jobs[0].id, StepKind.POLL))
    following = house.take(Step(now, jobs[1].id, StepKind.POLL, tries=3, is_doubted=True))
    assert following == Step(now + 0.125, jobs[1].id, StepKind.POLL, tries=3, is_doubted=True)
    assert len(house.transport.sent) == 1


# -- how long a job may take -------------------------------------------------------------------


def patient(house: House, timeout: float) -> None:
    """Let each job have so long; the command itself has no time at all."""
    now = house.clock.monotonic()
    house.adjust(
        timing=replace(house.engine.timing, deadline=now - 1, timeout=timeout, per_job=True)
    )


def test_each_job_has_its_own_time(house: House) -> None:
    """A job that is accepted late has all of `--timeout` from then on."""
    patient(house, 100.0)
    house.transport.answers = [accepted("t0"), *[reply(GENERATING)] * 500]
    full(house)
    started = house.clock.monotonic()
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.RUNNING
    assert house.engine.problems[job.id].code == "timeout"
    assert house.clock.monotonic() - started == pytest.approx(SPAN + 100, abs=1)
    assert house.engine.deadlines == {}


def test_a_busy_job_has_its_time_from_its_first_submit(house: House) -> None:
    """A provider that is busy for longer than `--timeout` closes the job, uncharged."""
    patient(house, 100.0)
    house.transport.answers = [busy(25)] * 10
    house.transport.at_send = lambda _: house.clock.sleep(30)
    (job,) = house.run(house.buy())
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
    assert len(house.transport.sent) == 2  # at 0 and 55 s: a third try would be at 110 s
    assert house.engine.deadlines == {}


def test_a_picture_has_its_time_from_when_it_was_made(house: House) -> None:
    """An answer that took all the time there was leaves as much to fetch the picture."""
    patient(house, 10.0)
    url = "https://images.example/1.png"
    refused = Unsent("refused")
    house.transport.pictures = {url: [refused, refused, refused, *house.transport.whole]}
    house.transport.answers = [made(1)]
    house.transport.at_send = lambda _: house.clock.sleep(9.9)
    (job,) = house.run(house.buy())
    assert job.state is State.SAVED


def test_a_strangers_job_has_its_time_from_when_it_is_seen(house: House) -> None:
    """A job that is taken on while it runs is waited for as long as one of our own."""
    patient(house, 50.0)
    (job,) = house.buy("kie")
    house.ledger.begin(job.id)
    job = house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id="t0")
    house.transport.answers = [reply(GENERATING)] * 100
    started = house.clock.monotonic()
    house.run([job])
    assert house.clock.monotonic() - started == pytest.approx(50, abs=1)


def test_a_deadline_of_a_job_stands_for_that_of_the_run(house: House) -> None:
    """Where one job was given less time, it alone ends earlier."""
    jobs = house.buy("kie", count=2)
    for number, job in enumerate(jobs):
        house.ledger.begin(job.id)
        house.ledger.move(house.ledger.job(job.id), State.RUNNING, task_id=f"t{number}")
    now = house.clock.monotonic()
    house.engine.deadlines[jobs[0].id] = now - 1
    house.transport.answers = [reply(GENERATING)] * 2
    assert house.take(Step(now, jobs[0].id, StepKind.POLL)) is None
    house.clock.sleep(1)
    assert house.take(Step(now + 1, jobs[1].id, StepKind.POLL)) is not None
    assert house.engine.deadlines == {}


# -- memory ------------------------------------------------------------------------------------


def test_what_was_sent_is_let_go(house: House) -> None:
    """A request, with the pictures in it, is kept until it is sent and not longer."""
    house.transport.answers = [busy(3), made(1), accepted("t1")]
    (job,) = house.buy()
    following = take(house, house.engine.first_step(job))
    assert job.id in house.engine.calls
    following = take(house, following)
    assert following is not None
    assert following.deed is StepKind.SAVE
    assert house.engine.calls == {}
    (other,) = house.buy("kie")
    take(house, house.engine.first_step(other))
    assert house.engine.calls == {}


def test_a_strange_word_is_forgotten_with_its_job(house: House) -> None:
    """What was told once of a job is kept as long as the job goes on."""
    strange = {"code": 200, "msg": "ok", "data": {"taskId": "t0", "state": "dreaming"}}
    house.transport.answers = [accepted("t0"), *[reply(strange)] * 3, *[reply(GENERATING)] * 999]
    house.run(house.buy("kie"))
    assert house.engine.strange == set()


# -- a budget ----------------------------------------------------------------------------------


def limit_to(house: House, text: str) -> None:
    """Let every account have that budget."""
    account, budget = house.engine.account, parse_budget(text)
    house.adjust(account=lambda job: replace(account(job), budget=budget))


def test_what_does_not_fit_is_closed_and_nobody_is_asked(house: House) -> None:
    """Ark takes two at 0.12 CNY; for the third there is not even a connection."""
    limit_to(house, "0.3 CNY/day")
    house.transport.answers = [made(1), made(2)]
    jobs = house.run(house.buy(count=3))
    assert [job.charge for job in jobs] == ["charged", "charged", "none"]
    assert len(house.transport.sent) == attempts(house) == 2
    assert jobs[2].state is State.CLOSED
    assert jobs[2].problem is not None
    assert (jobs[2].problem.code, jobs[2].problem.exit) == ("budget", 4)
    assert "has 0.06 CNY left" in jobs[2].problem.message


def test_what_is_on_its_way_is_waited_for(house: House) -> None:
    """A job that would fit if another one of this run costs less looks again when that is known."""
    limit_to(house, "0.2 CNY/day")
    first, second = house.buy(count=2)
    house.ledger.begin(first.id, key=Secret("sk-test"))
    step = house.engine.first_step(second)
    assert step is not None
    following = house.take(step)
    assert following is not None
    assert (following.deed, house.transport.sent) == (StepKind.SUBMIT, [])
    cost = Money(Decimal("0.01"), "CNY")
    house.ledger.move(house.ledger.job(first.id), State.READY, cost=cost)
    house.transport.answers = [made(2)]
    take(house, following)
    assert house.ledger.job(second.id).charge is Charge.CHARGED


def test_another_process_may_spend_meanwhile(house: House) -> None:
    """Between the look and the first byte it has; the transaction that spends sees that."""
    limit_to(house, "0.2 CNY/day")
    first, second = house.buy(count=2)

    looks: list[Job] = []

    def look(job: Job) -> None:
        looks.append(job)
        if len(looks) == 2:  # the first was before there was a connection
            house.ledger.begin(second.id, key=Secret("sk-test"))
            house.ledger.move(house.ledger.job(second.id), State.UNKNOWN)

    house.adjust(objection=look)
    house.transport.answers = [made(1)]
    (job,) = house.run([first])
    assert (job.state, job.charge, attempts(house)) == (State.CLOSED, Charge.NONE, 1)


def test_what_was_lost_on_its_way_is_not_waited_for(house: House) -> None:
    """A job that a full disk left `sending` keeps no other one waiting for ever."""
    limit_to(house, "0.2 CNY/day")
    first, second = house.buy(count=2)
    house.ledger.begin(first.id, key=Secret("sk-test"))
    house.engine.problems[first.id] = Problem("storage", "the disk is full")
    (job,) = house.run([second])
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
