"""One look at many jobs that run: within its time, in its order, and no deaf host twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from support.replies import accepted, polled

from seedream_cli.core.errors import Unsent
from seedream_cli.core.model import State
from seedream_cli.engine.recall import ASKING_SECONDS, _by_urgency, ask_once
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.model import Call, Job


def running(house: House, count: int) -> list[Job]:
    """Buy pictures that their provider has accepted."""
    house.adjust(is_waiting=False)
    bought = house.buy("kie", count=count)
    house.transport.answers += [accepted(f"t{k}") for k in range(count)]
    jobs = house.run(bought)
    assert {job.state for job in jobs} == {State.RUNNING}
    house.transport.sent.clear()
    return jobs


def test_a_look_ends_in_time(house: House) -> None:
    """Where each answer takes 10 s, some of a dozen jobs are not asked about, and that is said."""
    jobs = running(house, 12)
    house.transport.answers += [polled("waiting", "t0") for _ in jobs]
    house.transport.at_send = lambda _: house.clock.sleep(10.0)
    problems = ask_once(house.engine, jobs)
    assert len(house.transport.sent) < len(jobs)
    assert {f"within {ASKING_SECONDS:g} s" in each.message for each in problems.values()} == {True}


def test_a_deaf_origin_is_not_asked_again(house: House) -> None:
    """Those questions that were under way end; the jobs after them are told as not asked."""
    jobs = running(house, 30)
    house.transport.answers += [Unsent("no route") for _ in jobs]
    house.transport.at_send = lambda _: house.clock.sleep(1.0)
    problems = ask_once(house.engine, jobs)
    assert len(house.transport.answers) >= len(jobs) - 8
    assert problems.keys() == {job.id for job in jobs}


def test_what_is_kept_shortest_is_asked_about_first(house: House) -> None:
    """Of a provider that forgets within the hour before all newer jobs of others."""
    old, new = running(house, 2)
    kie = replace(PROVIDERS["kie"], url_lifetime=timedelta(hours=1))
    house.adjust(providers={**PROVIDERS, "kie-seedream": kie})
    with house.ledger._write() as connection:
        connection.execute("UPDATE jobs SET provider = 'kie-seedream' WHERE id = ?", (old.id,))
    asked: list[str] = []

    def note(call: Call) -> None:
        asked.append(call.query["taskId"])
        house.clock.sleep(1.0)

    house.transport.at_send = note
    house.transport.answers += [polled("waiting", "t0"), polled("waiting", "t1")]
    ask_once(house.engine, [new, house.ledger.job(old.id)])
    assert sorted(asked) == ["t0", "t1"]
    assert _by_urgency(house.engine, [new, house.ledger.job(old.id)])[0].id == old.id


def test_answers_that_are_kept_shortest_are_fetched_first(house: House) -> None:
    """Of fal, whose addresses live for days, the answers that name them live for an hour."""
    old, new = running(house, 2)
    with house.ledger._write() as connection:
        connection.execute("UPDATE jobs SET provider = 'fal' WHERE id = ?", (new.id,))
    jobs = [house.ledger.job(job.id) for job in (old, new)]
    assert [job.id for job in _by_urgency(house.engine, jobs)] == [new.id, old.id]
