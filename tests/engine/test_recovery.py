"""What dead processes left, and answers that come after their job was given up."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from support.replies import accepted, made, reply, success

from seedream_cli.core.model import Charge, Purpose, Reply, State
from seedream_cli.engine.answers import mark_unknown, read_answer
from seedream_cli.storage.files.store import Files
from seedream_cli.storage.ledger.owner import Owner
from seedream_cli.transport.exchange import AnswerCut

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.model import Call

DEAD = "deaddead"
"""A process that left no lock file."""
OVERLOADED = {"error": {"code": "ServerOverloaded", "message": "m"}}
DENIED = {"error": {"code": "OutputImageSensitiveContentDetected", "message": "m"}}


def event(**said: object) -> Reply:
    """One stored event of a set."""
    body = json.dumps(said).encode()
    return Reply(purpose=Purpose.EVENT, status=200, headers={}, body=body)


def came(index: int) -> Reply:
    """Build the event of one image; the wire counts from 0."""
    url = f"https://images.example/{index + 1}.png"
    return event(type="image_generation.partial_succeeded", image_index=index, url=url)


def give_up_when_stored(house: House) -> None:
    """Let another thread give a job up in the very moment in which its answer is stored."""
    with sqlite3.connect(house.folder / "ledger.db") as connection:
        connection.execute(
            "CREATE TRIGGER given_up AFTER INSERT ON answers WHEN NEW.purpose = 'submit' BEGIN"
            " UPDATE jobs SET state = 'unknown' WHERE id = NEW.job;"
            " UPDATE attempts SET ending = 'unknown' WHERE job = NEW.job; END"
        )
    connection.close()


# -- an answer after the job was given up ----------------------------------------------------------


@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_an_answer_after_giving_up_still_counts(house: House, provider: str) -> None:
    """The main thread lost a job, then its worker's answer came: saved, sent once."""
    (job,) = house.buy(provider)
    lost: list[State] = []

    def lose(call: Call) -> None:
        if call.purpose is Purpose.SUBMIT:
            lost.append(mark_unknown(house.engine, house.ledger.job(job.id), "a signal came").state)

    house.transport.at_send = lose
    house.transport.answers = [made()] if provider == "ark" else [accepted(), success()]
    (now,) = house.run([job])
    assert lost == [State.UNKNOWN]
    assert (now.state, now.charge, now.problem) == (State.SAVED, Charge.CHARGED, None)
    assert [call.purpose for call in house.transport.sent].count(Purpose.SUBMIT) == 1


@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_an_answer_while_giving_up_still_counts(house: House, provider: str) -> None:
    """The job is given up between the storing of its answer and the reading: it goes on."""
    give_up_when_stored(house)
    house.transport.answers = [made()] if provider == "ark" else [accepted(), success()]
    (job,) = house.run(house.buy(provider))
    assert (job.state, job.charge) == (State.SAVED, Charge.CHARGED)


@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_whole_json_of_a_cut_answer_counts(house: House, provider: str) -> None:
    """All of it came but HTTP's word that it did: the job goes on, and nothing is bought twice."""
    cut = AnswerCut("cut", made() if provider == "ark" else accepted())
    house.transport.answers = [cut, *([] if provider == "ark" else [success()])]
    (job,) = house.run(house.buy(provider))
    assert (job.state, job.charge) == (State.SAVED, Charge.CHARGED)
    assert house.ledger.answers(job.id, Purpose.SUBMIT) == [cut.reply]


@pytest.mark.parametrize("charge", [Charge.NONE, Charge.MAYBE])
@pytest.mark.parametrize(
    ("late", "becomes"),
    [
        (reply({"error": {"code": "weird", "message": "m"}}, 500), State.CLOSED),
        (reply("<html>"), State.CLOSED),
        (reply({"error": DENIED["error"]}, 400), State.CLOSED),
        (reply({"error": OVERLOADED["error"]}, 429), State.CLOSED),
        (made(), State.SAVED),
    ],
)
def test_an_answer_after_a_person_closed_its_job_is_kept(
    house: House, late: Reply, becomes: State, charge: Charge
) -> None:
    """Only a picture moves the job; any other answer is stored, and no trouble of the ledger."""
    (job,) = house.buy()

    def settle(_: Call) -> None:
        unknown = mark_unknown(house.engine, house.ledger.job(job.id), "given up")
        house.ledger.move(unknown, State.CLOSED, charge=charge)

    house.transport.at_send = settle
    house.transport.answers = [late]
    (now,) = house.run([job])
    assert now.state is becomes
    assert house.ledger.answers(job.id, Purpose.SUBMIT) == [late]
    assert house.engine.problems == {}


@pytest.mark.parametrize(
    "came",
    [
        reply('{"code": 200, "data": {"taskId": "t1"'),
        reply('{"model": "m", "data": [{"url": "https://images.example/1.png"}'),
        reply({"error": {"code": "InvalidParameter", "message": "m"}}, 400),
        reply({"error": {"code": "ServerOverloaded", "message": "m"}}, 429),
        reply("<html>", 429),
    ],
)
@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_a_cut_answer_is_kept_and_proves_nothing(house: House, provider: str, came: Reply) -> None:
    """What came is stored raw; nobody knows the outcome, also where it looks like a refusal."""
    house.transport.answers = [AnswerCut("cut", came)]
    (job,) = house.run(house.buy(provider))
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert house.ledger.answers(job.id, Purpose.SUBMIT) == [came]
    house.settle()
    assert house.ledger.job(job.id).state is State.UNKNOWN


@pytest.mark.parametrize(
    "answer", [reply(OVERLOADED, 429), reply(DENIED, 400), reply("<html>")], ids=["429", "no", "?"]
)
def test_no_other_answer_moves_what_was_given_up(house: House, answer: Reply) -> None:
    """A job that was told as unknown is not sent again by an answer that says: busy."""
    give_up_when_stored(house)
    house.transport.answers = [answer]
    (job,) = house.run(house.buy())
    assert job.state is State.UNKNOWN
    assert len(house.transport.sent) == 1
    assert house.engine.problems == {}


def test_a_dead_process_unknown_job_with_an_answer_is_read_again(house: House) -> None:
    """It was given up while its answer was being stored: recovery finds the task."""
    job = house.left(DEAD, accepted(), provider="kie")
    mark_unknown(house.engine, house.ledger.job(job.id), "a signal came")
    with Owner(house.folder / "owners", DEAD) as owner:
        owner.keep()
    house.settle()
    now = house.ledger.job(job.id)
    assert (now.state, now.task_id, now.charge) == (State.RUNNING, "t1", Charge.CHARGED)


def test_an_unknown_job_without_an_answer_stays_unknown(house: House) -> None:
    """Nothing is known that was not known before; a person's page still has it."""
    job = house.left(DEAD)
    before = mark_unknown(house.engine, house.ledger.job(job.id), "cut")
    with Owner(house.folder / "owners", DEAD) as owner:
        owner.keep()
    house.settle()
    assert house.ledger.job(job.id) == before


# -- leftovers -------------------------------------------------------------------------------------


def test_what_was_only_planned_is_closed(house: House) -> None:
    """Nothing of it was sent: closed, not charged, and nothing is sent now."""
    (job,) = house.buy(owner=DEAD)
    house.engine.calls.clear()
    house.settle()
    now = house.ledger.job(job.id)
    assert (now.state, now.charge) == (State.CLOSED, Charge.NONE)
    assert now.problem is not None
    assert now.problem.code == "interrupted"
    assert house.transport.sent == []


@pytest.mark.parametrize(
    ("provider", "answer", "state", "charge"),
    [
        ("ark", made(), State.READY, Charge.CHARGED),
        ("kie", accepted(), State.RUNNING, Charge.CHARGED),
        ("ark", reply(DENIED, 400), State.REFUSED, Charge.NONE),
        ("ark", reply(DENIED), State.FAILED, Charge.NONE),
        ("ark", reply(OVERLOADED, 429), State.CLOSED, Charge.NONE),
        ("ark", reply("<html>"), State.UNKNOWN, Charge.MAYBE),
        ("kie", reply({"code": 200, "data": {}}), State.UNKNOWN, Charge.MAYBE),
    ],
    ids=["done", "accepted", "refused", "failed", "busy", "html", "no task"],
)
def test_a_stored_answer_says_what_became_of_it(
    house: House, provider: str, answer: Reply, state: State, charge: Charge
) -> None:
    """A process died between an answer and its reading: the answer is read now."""
    job = house.left(DEAD, answer, provider=provider)
    house.settle()
    now = house.ledger.job(job.id)
    assert (now.state, now.charge) == (state, charge)
    assert house.transport.sent == []


def test_a_found_picture_can_be_saved(house: House) -> None:
    """What recovery made ready is fetched by whoever comes next, without a submit."""
    job = house.left(DEAD, made())
    house.settle()
    (now,) = house.run([house.ledger.job(job.id)])
    assert now.state is State.SAVED
    assert (len(house.pictures()), house.transport.sent) == (1, [])


def test_what_was_sent_without_an_answer_is_unknown(house: House) -> None:
    """It may have been charged; how to settle it is said."""
    job = house.left(DEAD)
    house.settle()
    now = house.ledger.job(job.id)
    assert (now.state, now.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert now.problem is not None
    assert f"status {job.id} --adopt" in now.problem.hint
    assert "killed" in now.problem.message


def test_the_answer_to_an_earlier_attempt_says_nothing(house: House) -> None:
    """After a 429 the second attempt got no answer: unknown, not busy."""
    job = house.left(DEAD, reply(OVERLOADED, 429))
    read_answer(house.engine, house.ledger.job(job.id), reply(OVERLOADED, 429))
    house.ledger.begin(job.id)
    house.settle()
    assert house.ledger.job(job.id).state is State.UNKNOWN


def test_a_task_of_another_job_blocks_nothing(house: House) -> None:
    """An answer that names the task of another job is unknown; the others are concluded."""
    first = house.left(DEAD, accepted("t1"), provider="kie", prompt="one")
    again = house.left(DEAD, accepted("t1"), provider="kie", prompt="two")
    other = house.left("deadmore", accepted("t2"), provider="kie", prompt="three")
    house.settle()
    states = sorted(house.ledger.job(job.id).state for job in (first, again))
    assert states == [State.RUNNING, State.UNKNOWN]
    assert house.ledger.job(other.id).state is State.RUNNING


@pytest.mark.parametrize("is_charged", [True, False])
def test_an_unread_picture_outlives_a_write_off(house: House, *, is_charged: bool) -> None:
    """Nobody could read the answer that holds it; a person closes the job, the bytes stay."""
    job = house.left(DEAD)
    with house.engine.files.spill(job.id, str(house.folder)) as spill:
        long = json.dumps({"weird": {"picture": "QUJD" * 30_000}})
        body = b"".join(spill.thin([long.encode()]))
        spill.flush()
    house.ledger.store(job.id, reply(body.decode()))
    house.settle()
    job = house.ledger.job(job.id)
    assert job.state is State.UNKNOWN
    house.ledger.move(job, State.CLOSED, charge=Charge.MAYBE if is_charged else Charge.NONE)
    house.settle()
    assert house.engine.files.list_spilled() == [job.id]


def test_a_living_process_keeps_its_jobs(house: House) -> None:
    """Neither its planned nor its sending jobs are touched, with or without an answer."""
    with Owner(house.folder / "owners", "alivealv"):
        planned = house.buy(prompt="one", owner="alivealv")[0]
        sending = house.left("alivealv", prompt="two")
        answered = house.left("alivealv", made(), prompt="three")
        house.settle()
        states = [house.ledger.job(job.id).state for job in (planned, sending, answered)]
        assert states == [State.PLANNED, State.SENDING, State.SENDING]
    house.settle()
    states = [house.ledger.job(job.id).state for job in (planned, sending, answered)]
    assert states == [State.CLOSED, State.UNKNOWN, State.READY]


def test_our_own_jobs_are_left_alone(house: House) -> None:
    """What we have planned ourselves is about to be sent."""
    (job,) = house.buy()
    house.settle()
    assert house.ledger.job(job.id).state is State.PLANNED


def test_temp_files_of_the_dead_are_swept(house: House) -> None:
    """`.part` files of dead processes go, those of living ones and foreign files stay."""
    out, owners = house.folder / "out", house.folder / "owners"
    out.mkdir()
    foreign = out / "notes.part"
    foreign.write_text("mine")
    with Owner(owners, DEAD) as dead, Owner(owners, "alivealv") as alive:
        parts = {}
        for owner in (dead, alive):
            files = Files(house.folder, owner.name, remember=owner.remember)
            part = files.open_part(str(out), "job00000", 1)
            part.write(b"half a picture")
            parts[owner.name] = part.path
        dead.keep()
        dead.close()
        house.settle()
        assert not parts[DEAD].exists()
        assert parts["alivealv"].exists()
        assert foreign.exists()
        assert not (owners / f"{DEAD}.lock").exists()
        assert (owners / "alivealv.lock").exists()
        parts["alivealv"].unlink()


# -- stored events of a set ------------------------------------------------------------------------


def leave_set(house: House, *events: Reply) -> str:
    """Leave a set of up to four that a process was hearing when it died."""
    (job,) = house.buy(series=4, owner=DEAD)
    house.ledger.begin(job.id)
    for each in events:
        house.ledger.store(job.id, each)
    house.settle()
    return job.id


@pytest.mark.parametrize("end", [event(type="image_generation.completed"), None], ids=["c", "d"])
def test_a_stored_stream_that_had_ended_is_ready(house: House, end: Reply | None) -> None:
    """All events were stored: the images are there, and the end was said."""
    done = Reply(purpose=Purpose.EVENT, status=200, headers={}, body=b"[DONE]")
    job = house.ledger.job(leave_set(house, came(0), came(1), end or done))
    assert (job.state, job.charge) == (State.READY, Charge.CHARGED)
    assert [image.index for image in job.images] == [1, 2]
    (now,) = house.run([job])
    assert (now.state, len(house.pictures())) == (State.SAVED, 2)


def test_a_stored_stream_that_was_cut_is_unknown_and_keeps_its_images(house: House) -> None:
    """The process died in the middle: what came is fetched, for the rest nobody knows."""
    job = house.ledger.job(leave_set(house, came(0), came(1)))
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    (now,) = house.run([job])
    assert now.state is State.UNKNOWN
    assert [bool(image.saved_at) for image in now.images] == [True, True]
    assert len(house.pictures()) == 2


def test_a_stored_failure_is_read(house: House) -> None:
    """The stream had failed before any image: failed, not charged by Ark's word."""
    job = house.ledger.job(leave_set(house, event(**DENIED)))
    assert (job.state, job.charge) == (State.FAILED, Charge.NONE)


def test_a_stored_failure_after_images_is_one_missing_image(house: House) -> None:
    """The images before it are ready; the missing one carries the error."""
    job = house.ledger.job(leave_set(house, came(0), event(**DENIED)))
    assert job.state is State.READY
    assert [image.problem and image.problem.code for image in job.images] == [
        None,
        "content_policy",
    ]


def test_a_stored_event_that_nobody_can_read_is_passed_over(house: House) -> None:
    """One damaged event keeps neither the others nor the end back."""
    damaged = Reply(purpose=Purpose.EVENT, status=200, headers={}, body=b'{"type": "im')
    end = event(type="image_generation.completed")
    job = house.ledger.job(leave_set(house, came(0), damaged, came(1), end))
    assert job.state is State.READY
    assert [image.index for image in job.images] == [1, 2]
