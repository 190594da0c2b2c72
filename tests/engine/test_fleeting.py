"""Replicate keeps what it made for an hour: what its answers mean, and when it is over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.replies import URL, accepted, reply

from seedream_cli.cli.commands.download import _by_urgency
from seedream_cli.core.errors import ImageGone
from seedream_cli.core.model import Charge, Purpose, State
from seedream_cli.engine import recall

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.model import Reply


def prediction(status: str, **more: object) -> Reply:
    """Return a prediction as Replicate tells it."""
    return reply({"id": "p1", "status": status, "output": None, "error": None} | more)


def ended(house: House, ago: float = 0.0, **more: object) -> dict[str, object]:
    """Return the fields of a prediction that has ended so many seconds ago."""
    at = house.clock.now() - timedelta(seconds=ago)
    return {"completed_at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", **more}


def submits(house: House) -> int:
    """Return how many requests were charged."""
    return [call.purpose for call in house.transport.sent].count(Purpose.SUBMIT)


def test_a_picture_lapses_one_hour_after_the_end(house: House) -> None:
    """Its own end counts, not the moment at which we heard of it."""
    done = prediction("succeeded", output=[URL], **ended(house, 600.0))
    house.transport.answers = [prediction("starting"), done]
    (job,) = house.run(house.buy("replicate"))
    assert (job.state, job.task_id) == (State.SAVED, "p1")
    lapses = job.images[0].expires_at
    assert lapses is not None
    assert abs(lapses - house.clock.now() - timedelta(minutes=50)) < timedelta(minutes=1)


def test_it_is_asked_about_before_all_others(house: House) -> None:
    """`status` and `download` begin with it, however much newer the others are."""
    house.adjust(is_waiting=False)
    house.transport.answers = [prediction("starting"), accepted("t1"), accepted("t2")]
    jobs = [house.run(house.buy(name))[0] for name in ("replicate", "kie", "kie-seedream")]
    assert {job.state for job in jobs} == {State.RUNNING}
    newest_first = jobs[::-1]
    assert _by_urgency(newest_first)[0].provider == "replicate"
    assert recall._by_urgency(house.engine, newest_first)[0].provider == "replicate"


def test_what_was_wiped_is_paid_and_gone(house: House) -> None:
    """Asked too late, the record says so: expired, charged, bought by nobody again."""
    wiped = prediction("succeeded", data_removed=True, input={}, **ended(house, 3 * 3600.0))
    house.transport.answers = [prediction("starting"), wiped]
    (job,) = house.run(house.buy("replicate"))
    assert (job.state, job.charge, submits(house)) == (State.EXPIRED, Charge.CHARGED, 1)
    assert job.problem is not None
    assert (job.problem.code, job.problem.exit) == ("expired", 5)


def test_a_word_that_it_was_wiped_before_its_time_ends_nothing(house: House) -> None:
    """Ten minutes after the end it should be there: it is asked for until `--timeout`."""
    wiped = prediction("succeeded", data_removed=True, input={}, **ended(house, 600.0))
    done = prediction("succeeded", output=[URL], **ended(house, 600.0))
    house.transport.answers = [prediction("starting"), wiped, wiped, done]
    (job,) = house.run(house.buy("replicate"))
    assert (job.state, submits(house)) == (State.SAVED, 1)


def test_a_picture_that_lapsed_before_it_was_fetched_is_asked_for_anew(house: House) -> None:
    """Its host says no, its hour is over, and the prediction is wiped: then it is gone."""
    done = prediction("succeeded", output=[URL], **ended(house, 3 * 3600.0))
    wiped = prediction("succeeded", data_removed=True, **ended(house, 3 * 3600.0))
    house.transport.answers = [prediction("starting"), done, wiped]
    house.transport.pictures = {URL: [ImageGone("404")]}
    (job,) = house.run(house.buy("replicate"))
    assert (job.state, job.charge, submits(house)) == (State.EXPIRED, Charge.CHARGED, 1)


@pytest.mark.parametrize(
    ("status", "charge"),
    [("failed", Charge.NONE), ("aborted", Charge.NONE), ("canceled", Charge.CHARGED)],
)
def test_only_what_was_canceled_is_charged(house: House, status: str, charge: Charge) -> None:
    """Read twice, a run that ended badly is not billed, but for one that was stopped midway."""
    house.transport.answers = [prediction("starting"), *[prediction(status, **ended(house))] * 2]
    (job,) = house.run(house.buy("replicate"))
    assert (job.state, job.charge) == (State.FAILED, charge)


def test_a_prediction_under_another_id_is_not_ours(house: House) -> None:
    """What is said of another prediction ends nothing."""
    other = reply({"id": "p2", "status": "succeeded", "output": [URL]})
    ours = prediction("succeeded", output=[URL], **ended(house))
    house.transport.answers = [prediction("starting"), other, ours]
    (job,) = house.run(house.buy("replicate"))
    assert (job.state, len(house.transport.answers)) == (State.SAVED, 0)
