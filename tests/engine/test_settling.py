"""A person's word on a job: looked at before it counts, kept, and taken back by another one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.pictures import PNG
from support.replies import accepted, polled, reply, success

from seedream_cli.core.commands import PLACEHOLDERS
from seedream_cli.core.errors import (
    AccountError,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    SeedreamError,
    Unsent,
    UsageError,
)
from seedream_cli.core.model import Charge, State
from seedream_cli.engine.answers import MOST_QUOTED
from seedream_cli.engine.context import Step, StepKind
from seedream_cli.engine.settle import adopt, close

if TYPE_CHECKING:
    from engine.conftest import House
    from support.transport import Play

    from seedream_cli.core.model import Job, Profile, Reply

URL = "https://images.example/1.png?sig=a'b"
MISSING = reply({"code": 422, "msg": "recordInfo is null"})


def unknown(house: House, provider: str = "kie", count: int = 1) -> list[Job]:
    """Buy pictures of which nobody knows what became."""
    bought = house.buy(provider, count=count)
    house.transport.answers += [OutcomeUnknown("cut") for _ in bought]
    jobs = house.run(bought)
    assert {job.state for job in jobs} == {State.UNKNOWN}
    return jobs


def nobody(job: Job) -> Profile:
    """Stand for a config without a profile that may be asked."""
    raise AccountError(f"no profile speaks to {job.origin}")


# -- adopting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [polled("waiting"), success(), polled("fail", failMsg="m")])
def test_a_task_that_the_provider_knows_is_adopted(house: House, answer: Reply) -> None:
    """However it goes there: the job runs, is charged, and is asked about like any other."""
    (job,) = unknown(house)
    house.transport.answers.append(answer)
    job = adopt(house.engine, job, "t1")
    assert (job.state, job.charge, job.task_id) == (State.RUNNING, Charge.CHARGED, "t1")
    house.transport.answers.append(success())
    (job,) = house.run([job])
    assert job.state is State.SAVED
    assert house.ledger.list_adopted(job.id) == {"t1"}


@pytest.mark.parametrize("answer", [MISSING, polled("success", task="another")])
def test_a_task_that_is_not_ours_changes_nothing(house: House, answer: Reply) -> None:
    """What the provider readably does not know, or knows as another, is exit 2."""
    (job,) = unknown(house)
    house.transport.answers.append(answer)
    with pytest.raises(UsageError) as refusal:
        adopt(house.engine, job, "t1")
    assert "-y" not in refusal.value.hint
    assert house.ledger.job(job.id) == job
    assert house.ledger.list_adopted(job.id) == frozenset()


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (Unsent("no network"), 69),
        (OutcomeUnknown("cut"), 69),
        (reply("<html>", 503), 69),
        (reply({"code": 429, "msg": "slowly"}), 69),
        (reply({"code": 401, "msg": "no"}), 4),
    ],
)
def test_trouble_changes_nothing_and_names_the_way(
    house: House, answer: Reply | SeedreamError, exit_code: int
) -> None:
    """Where nobody can tell, the job stays unknown; `-y` adopts unseen, without asking anybody."""
    (job,) = unknown(house)
    house.transport.answers.append(answer)
    with pytest.raises(SeedreamError) as trouble:
        adopt(house.engine, job, "t1")
    assert trouble.value.exit == exit_code
    words = shlex.split(trouble.value.hint)
    assert words == ["seedream", "status", job.id, "--adopt", "t1", "-y"]
    assert house.ledger.job(job.id) == job
    sent = len(house.transport.sent)
    assert adopt(house.engine, job, "t1", is_unseen=True).state is State.RUNNING
    assert len(house.transport.sent) == sent


@pytest.mark.parametrize("provider", ["kie", "ark"])
def test_a_picture_that_is_there_is_adopted(house: House, provider: str) -> None:
    """It is looked at, written down, and then saved like any other."""
    (job,) = unknown(house, provider)
    job = adopt(house.engine, job, URL)
    assert (job.state, job.charge) == (State.READY, Charge.CHARGED)
    assert house.transport.fetched == [URL]
    assert house.run([job])[0].state is State.SAVED
    assert house.pictures()[0].read_bytes() == PNG


@pytest.mark.parametrize(
    ("play", "exit_code", "is_passing"),
    [
        (b"<html>nothing here but words and words and words</html>", 2, False),
        (ImageBroken("the image host's address 10.0.0.1 is a private one"), 2, False),
        (ImageGone("the image host answered 403"), 69, True),
        (OutcomeUnknown("the image host answered 500"), 69, True),
        (Unsent("no network"), 69, True),
    ],
)
def test_what_is_no_picture_is_not_adopted(
    house: House, play: Play, exit_code: int, *, is_passing: bool
) -> None:
    """A web page is refused; a host in trouble leaves the job unknown, and the way is named."""
    (job,) = unknown(house, "ark")
    house.transport.pictures[URL] = [play]
    with pytest.raises(SeedreamError) as refusal:
        adopt(house.engine, job, URL)
    assert refusal.value.exit == exit_code
    assert house.ledger.job(job.id) == job
    if is_passing:
        command = shlex.split(refusal.value.hint)
        assert command == ["seedream", "status", job.id, "--adopt", URL, "-y"]


@pytest.mark.parametrize(
    "what", [*PLACEHOLDERS, "TASK_ID", "TASK_ID|URL", "URL", "", "a b", "\x1b"]
)
def test_what_only_stands_for_a_word_is_refused(house: House, what: str) -> None:
    """A hint that is pasted before it is filled in asks nobody and changes nothing."""
    (job,) = unknown(house)
    sent = len(house.transport.sent)
    for is_unseen in (False, True):
        with pytest.raises(UsageError):
            adopt(house.engine, job, what, is_unseen=is_unseen)
    assert len(house.transport.sent) == sent
    assert house.ledger.job(job.id) == job


# -- what was settled is settled anew --------------------------------------------------------------


def test_a_wrong_task_gives_way_to_the_right_one(house: House) -> None:
    """Its pictures are waited for no more; what the right one brings is saved."""
    (job,) = unknown(house)
    house.transport.answers += [success(task="wrong")] * 2
    job = adopt(house.engine, job, "wrong")
    assert house.take(Step(house.clock.monotonic(), job.id, StepKind.POLL)) is not None
    job = house.ledger.job(job.id)
    assert job.state is State.READY
    house.transport.answers += [success(URL, task="right")] * 2
    job = adopt(house.engine, job, "right")
    assert (job.state, job.task_id) == (State.RUNNING, "right")
    (job,) = house.run([job])
    assert (job.state, job.problem) == (State.SAVED, None)
    assert house.transport.fetched == [URL]


def test_a_wrong_address_gives_way_to_the_right_one(house: House) -> None:
    """It is no further picture of the job."""
    (job,) = unknown(house, "ark")
    job = adopt(house.engine, job, "https://images.example/wrong.png")
    job = adopt(house.engine, job, URL)
    assert [image.url for image in job.images] == [URL]
    (job,) = house.run([job])
    assert (job.state, job.problem) == (State.SAVED, None)


@pytest.mark.parametrize("word", ["not-charged", "write-off"])
def test_what_was_closed_is_adopted_after_all(house: House, word: str) -> None:
    """Nothing that a person said keeps a paid picture away."""
    (job,) = close(house.engine, unknown(house), word)
    house.transport.answers += [success(), success()]
    (job,) = house.run([adopt(house.engine, job, "t1")])
    assert (job.state, job.charge) == (State.SAVED, Charge.CHARGED)


def test_a_machines_task_stays(house: House) -> None:
    """What the provider itself named for a job is replaced by nobody, nor called uncharged."""
    (job,) = house.buy("kie")
    house.adjust(is_waiting=False)
    house.transport.answers.append(accepted("t1"))
    (job,) = house.run([job])
    assert job.state is State.RUNNING
    with pytest.raises(UsageError):
        adopt(house.engine, job, "t2")
    (job,) = close(house.engine, [job], "write-off", is_sure=True)
    assert (job.state, job.charge) == (State.CLOSED, Charge.MAYBE)
    with pytest.raises(UsageError, match="t1"):
        adopt(house.engine, job, "t2", is_unseen=True)
    with pytest.raises(UsageError, match="t1"):
        close(house.engine, [job], "not-charged")
    assert adopt(house.engine, job, "t1", is_unseen=True).state is State.RUNNING


def test_what_can_be_asked_about_is_written_off_by_the_sure(house: House) -> None:
    """A running job needs `-y`, but where no profile can ask about it any more."""
    (job,) = house.buy("kie")
    house.adjust(is_waiting=False)
    house.transport.answers.append(accepted())
    (job,) = house.run([job])
    with pytest.raises(UsageError) as refusal:
        close(house.engine, [job], "write-off")
    assert refusal.value.hint.splitlines()[-1] == f"seedream status {job.id} --write-off -y"
    house.adjust(account=nobody)
    assert close(house.engine, [job], "write-off")[0].state is State.CLOSED


def test_what_is_over_is_settled_by_nobody(house: House) -> None:
    """Saved and refused jobs, and such as were never sent, stay what they are."""
    house.transport.answers += [accepted(), success(), reply({"code": 402, "msg": "no"})]
    saved = house.run(house.buy("kie"))
    refused = house.run(house.buy("kie", "a hare"))
    (planned,) = house.buy("kie", "a bear")
    never = house.ledger.move(planned, State.CLOSED)
    for job in (*saved, *refused, never):
        for word in ("not-charged", "write-off"):
            with pytest.raises(UsageError, match=r"nothing to settle|accepted"):
                close(house.engine, [job], word, is_sure=True)
        with pytest.raises(UsageError):
            adopt(house.engine, job, "t9", is_unseen=True)


def test_several_are_settled_or_none(house: House) -> None:
    """One that cannot be settled keeps the others as they are."""
    jobs = unknown(house, count=20)
    wrong = replace(jobs[3], state=State.SAVED)
    with pytest.raises(UsageError):
        close(house.engine, [*jobs[:3], wrong], "not-charged")
    assert {house.ledger.job(job.id).state for job in jobs} == {State.UNKNOWN}
    closed = close(house.engine, jobs, "not-charged")
    assert {(job.state, job.charge) for job in closed} == {(State.CLOSED, Charge.NONE)}


# -- what is said of an answer that nobody could read ----------------------------------------------


def test_an_unreadable_answer_is_in_the_error(house: House) -> None:
    """Its first characters, where charges are listed, and each way to settle it on its line."""
    (job,) = house.buy("kie")
    body = {"odd": "x" * 90 + " and so on" * 90, "picture": URL}
    house.transport.answers.append(reply(body))
    (job,) = house.run([job])
    assert job.problem is not None
    assert f"{'x' * 90} and so on" in job.problem.message
    assert len(job.problem.message) < MOST_QUOTED + 200
    assert house.engine.provider(job).charges_page in job.problem.message
    lines = [shlex.split(line) for line in job.problem.hint.splitlines()]
    assert [line[3:] for line in lines] == [
        ["--adopt", URL],
        ["--not-charged"],
        ["--write-off"],
        ["--adopt", PLACEHOLDERS[0]],
    ]
    assert {tuple(line[:3]) for line in lines} == {("seedream", "status", job.id)}


def test_of_what_is_made_nobody_says_that_it_was_free(house: House) -> None:
    """A cut stream's job with pictures is written off, or the rest of it adopted."""
    (job,) = house.buy("ark", series=3)
    url = "https://images.example/1.png"
    event = f'data: {{"type":"image_generation.partial_succeeded","image_index":0,"url":"{url}"}}'
    house.transport.hears(event.encode() + b"\n\n", OutcomeUnknown("cut"))
    (job,) = house.run([job])
    assert job.state is State.UNKNOWN
    assert job.problem is not None
    assert "--not-charged" not in job.problem.hint
    with pytest.raises(UsageError, match="picture"):
        close(house.engine, [job], "not-charged")
