"""The queue of fal: the result is a second question, and neither question is about the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.replies import reply

from seedream_cli.core.model import Charge, State

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.model import Job, Reply

ORIGIN = "https://queue.fal.run"
PLACE = f"{ORIGIN}/elsewhere/requests/r1"
BUILT = "/fal-ai/bytedance/requests/r1"
LOCKED = {"detail": "User is locked. Reason: Exhausted balance."}


def accepted(place: str = PLACE) -> Reply:
    """Return the answer to a submit, which says where to ask."""
    links = {"status_url": f"{place}/status", "response_url": f"{place}/response"}
    return reply({"status": "IN_QUEUE", "request_id": "r1", **links})


def state(word: str, **more: object) -> Reply:
    """Return where the request stands."""
    return reply({"status": word, "request_id": "r1", **more})


def made(url: str = "https://v3.fal.media/files/1.png") -> Reply:
    """Return what came of it."""
    return reply({"images": [{"url": url}]})


def run(house: House, *replies: Reply) -> Job:
    """Buy a picture of fal and play these answers."""
    house.transport.answers += replies
    (job,) = house.run(house.buy("fal"))
    return job


def asked(house: House) -> list[tuple[str, str]]:
    """Return what was asked, and where."""
    return [(call.purpose.value, call.path) for call in house.transport.sent]


def test_the_result_is_fetched_where_the_answer_said(house: House) -> None:
    """Status and result are asked about at the addresses that came with the submit's answer."""
    job = run(house, accepted(), state("IN_PROGRESS"), state("COMPLETED"), made())
    assert (job.state, job.charge) == (State.SAVED, Charge.CHARGED)
    assert asked(house)[1:] == [
        ("poll", f"{PLACE}/status"),
        ("poll", f"{PLACE}/status"),
        ("result", f"{PLACE}/response"),
    ]


@pytest.mark.parametrize("place", ["https://evil.example/requests/r1", "http://queue.fal.run/r1"])
def test_the_key_goes_to_no_other_host(house: House, place: str) -> None:
    """Addresses on another origin are not asked: the known place on our own one is."""
    job = run(house, accepted(place), state("COMPLETED"), made())
    assert job.state is State.SAVED
    assert asked(house)[1:] == [("poll", f"{BUILT}/status"), ("result", BUILT)]


def test_a_locked_account_says_nothing_about_a_job(house: House) -> None:
    """A 403 on a question is trouble: it is asked again, and the paid picture is saved."""
    locked = reply(LOCKED, 403)
    job = run(house, accepted(), locked, state("COMPLETED"), locked, state("COMPLETED"), made())
    assert job.state is State.SAVED


@pytest.mark.parametrize(
    ("end", "charge", "code"),
    [
        (
            [state("COMPLETED", error="no runner", error_type="runner_scheduling_failure")],
            Charge.NONE,
            "provider_failed",
        ),
        (
            [state("COMPLETED"), reply({"detail": "x", "error_type": "runner_server_error"}, 500)],
            Charge.NONE,
            "provider_failed",
        ),
        (
            [
                state("COMPLETED"),
                reply({"detail": [{"msg": "no", "type": "content_policy_violation"}]}, 422),
            ],
            Charge.MAYBE,
            "content_policy",
        ),
        ([state("COMPLETED"), reply({"detail": "no"}, 500)], Charge.MAYBE, "provider_failed"),
    ],
)
def test_a_failure_is_read_twice_and_charged_as_documented(
    house: House, end: list[Reply], charge: Charge, code: str
) -> None:
    """COMPLETED may be a failure; fal's own are free, a runner that worked may not be."""
    job = run(house, accepted(), *end, *end)
    assert (job.state, job.charge) == (State.FAILED, charge)
    assert job.problem is not None
    assert job.problem.code == code


def test_one_failure_is_not_believed(house: House) -> None:
    """A result that says 500 once and comes the next time is a picture."""
    broken = reply({"detail": "Internal Server Error"}, 500)
    job = run(house, accepted(), state("COMPLETED"), broken, state("COMPLETED"), made())
    assert job.state is State.SAVED


def test_a_result_that_is_gone_is_not_a_job_that_never_ran(house: House) -> None:
    """404 after COMPLETED leaves the job running and charged: nothing is bought in its place."""
    gone = [state("COMPLETED"), reply({"detail": "Request not found"}, 404)]
    job = run(house, accepted(), *gone * 500)
    assert (job.state, job.charge) == (State.RUNNING, Charge.CHARGED)
    assert house.engine.problems[job.id].code == "timeout"


@pytest.mark.parametrize(
    "place", [f"{ORIGIN}:0/requests/r1", "https://a!b/requests/r1", f"{ORIGIN}/x/requests/r2"]
)
def test_an_address_that_cannot_be_its_own_is_not_asked(house: House, place: str) -> None:
    """One that is none, or that is about another request: the known place is asked instead."""
    job = run(house, accepted(place), state("COMPLETED"), made())
    assert job.state is State.SAVED
    assert asked(house)[1:] == [("poll", f"{BUILT}/status"), ("result", BUILT)]
