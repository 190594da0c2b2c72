"""A submit that got no answer is settled by its provider's list, where that proves anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import TYPE_CHECKING, cast

import pytest
from support.clock import BEGIN
from support.listing import LISTED, LISTING, ListingServer, picture_of

from seedream_cli.core.commands import settle_commands
from seedream_cli.core.errors import AccountError, OutcomeUnknown, Unsent, UsageError
from seedream_cli.core.events import Note, Waiting
from seedream_cli.core.model import Charge, Money, Purpose, Record, Reply, Secret, State
from seedream_cli.engine import join
from seedream_cli.engine.reconcile import is_input, look
from seedream_cli.engine.settle import adopt, close
from seedream_cli.providers import PROVIDERS
from seedream_cli.storage.ledger.columns import body_text
from seedream_cli.storage.ledger.owner import Owner
from seedream_cli.transport.exchange import AnswerCut

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.model import Call, Job, Look, Profile
    from seedream_cli.providers.spec import Listing

MINUTES = timedelta(minutes=1)


def listing_server(house: House, listing: Listing = LISTING, **settings: object) -> ListingServer:
    """Let a house speak to a provider that keeps a list."""
    server = ListingServer(house.clock, **settings)  # type: ignore[arg-type] # its own fields
    providers = {**PROVIDERS, "kie": replace(LISTED, listing=listing)}
    house.adjust(transport=server, providers=providers)
    return server


def buy(house: House, prompt: str = "a fox", count: int = 1, **more: object) -> list[Job]:
    """Plan jobs at that provider, whatever is unknown."""
    unknown = {job.id for job in house.ledger.jobs(states={State.UNKNOWN})}
    return house.buy("kie", prompt, count, despite=unknown, **more)  # type: ignore[arg-type] # as it takes them


def lost(house: House, server: ListingServer, fate: str = "lose", count: int = 1) -> list[Job]:
    """Leave jobs whose answers were lost by a command that did not wait for a look."""
    server.fate = lambda _: fate
    timing, now = house.engine.timing, house.clock.monotonic()
    house.adjust(timing=replace(timing, deadline=now))
    jobs = house.run(buy(house, count=count))
    house.adjust(timing=replace(timing, deadline=now + 1200))
    server.fate = lambda _: "answer"
    assert {job.state for job in jobs} == {State.UNKNOWN}
    return jobs


def told(house: House, job: Job) -> Look:
    """Return the newest look."""
    return house.ledger.looks(job.id)[-1]


def ask(house: House, *jobs: Job, may_close: bool = True) -> list[Job]:
    """Look once and return the jobs as they are then."""
    look(house.engine, [house.ledger.job(job.id) for job in jobs], may_close=may_close)
    return [house.ledger.job(job.id) for job in jobs]


# -- in the command that lost the answer -----------------------------------------------------------


@pytest.mark.parametrize(("delay", "seconds"), [(0.0, 10.0), (9.0, 10.0), (40.0, 60.0)])
def test_a_lost_answer_is_found(house: House, delay: float, seconds: float) -> None:
    """It is looked for after 10 s and 60 s, and its picture is saved as if nothing had been."""
    server = listing_server(house, delay=lambda: delay, fate=lambda _: "lose")
    (job,) = house.run(buy(house))
    assert (job.state, job.charge, job.task_id) == (State.SAVED, Charge.CHARGED, "t0")
    assert job.found_at is not None
    assert job.sent_at is not None
    assert (job.found_at - job.sent_at).total_seconds() == seconds
    assert house.pictures()[0].read_bytes() == picture_of("t0")
    assert len(server.submits()) == 1
    said = [event.message for event in house.events if isinstance(event, Note)]
    assert said == [f"{job.id}: the answer was lost; Listed's list has the request: going on"]
    waits = [event for event in house.events if isinstance(event, Waiting)]
    assert (waits[0].seconds, "Listed's list" in waits[0].reason) == (10.0, True)
    assert told(house, job).verdict == "found"


def test_what_was_never_read_stays_unknown(house: House) -> None:
    """Two looks, nothing is sent again, nothing is closed: a person is told how to go on."""
    server = listing_server(house, fate=lambda _: "drop")
    (job,) = house.run(buy(house))
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert (server.looks(), len(server.submits())) == (2, 1)
    assert house.clock.now() - (job.sent_at or house.clock.now()) == timedelta(seconds=60)
    assert "it may be late" in told(house, job).reason
    assert job.problem is not None
    assert "--not-charged" in job.problem.hint


@pytest.mark.parametrize(("timeout", "looks"), [(5.0, 0), (30.0, 1), (70.0, 2)])
def test_the_timeout_ends_the_looking(house: House, timeout: float, looks: int) -> None:
    """What would be due after it is not waited for, and the outcome stays unknown."""
    server = listing_server(house, fate=lambda _: "drop")
    deadline = house.clock.monotonic() + timeout
    house.adjust(timing=replace(house.engine.timing, deadline=deadline))
    (job,) = house.run(buy(house))
    assert (job.state, server.looks()) == (State.UNKNOWN, looks)


def test_without_waiting_it_is_looked_for_all_the_same(house: House) -> None:
    """`--no-wait` leaves a job to run that was accepted, and that is what a look finds out."""
    listing_server(house, fate=lambda _: "lose")
    house.adjust(is_waiting=False)
    (job,) = house.run(buy(house))
    assert (job.state, job.task_id) == (State.RUNNING, "t0")


def test_an_answer_that_cannot_be_read_is_a_lost_one(house: House) -> None:
    """A web page in place of an answer: the request is listed, and gone on with."""
    server = listing_server(house)

    def accept(call: Call) -> Reply | None:
        if call.purpose is not Purpose.SUBMIT:
            return None
        server.accept(call)
        return Reply(purpose=Purpose.SUBMIT, status=502, headers={}, body=b"<html>")

    server.trouble = accept
    (job,) = house.run(buy(house))
    assert (job.state, job.task_id) == (State.SAVED, "t0")


# -- who gets which record -------------------------------------------------------------------------


def test_n_records_go_to_n_jobs_in_order_of_time(house: House) -> None:
    """Equal jobs of which as many are listed get one each; one look settles all of them."""
    server = listing_server(house)
    jobs = lost(house, server, count=3)
    looks = server.looks()
    found = ask(house, *jobs)
    assert [job.state for job in found] == [State.RUNNING] * 3
    sent = sorted(found, key=lambda job: (job.sent_at or job.created_at, job.id))
    assert [job.task_id for job in sent] == ["t0", "t1", "t2"]
    assert server.looks() == looks + 1


def test_any_other_number_goes_to_nobody(house: House) -> None:
    """Two records for one job, and one for two: shown with their ids, and how to adopt one."""
    server = listing_server(house)
    (job,) = lost(house, server)
    server.accept(server.submits()[0], is_ours=False)
    (job,) = ask(house, job)
    assert job.state is State.UNKNOWN
    assert [each.task_id for each in told(house, job).records] == ["t0", "t1"]
    assert job.problem is not None
    assert f"seedream status {job.id} --adopt t1" in job.problem.hint.splitlines()
    again = ask(house, job)[0]
    assert again.problem == job.problem
    server.book.clear()
    (other,) = lost(house, server)
    job, other = ask(house, job, other)
    assert {job.state, other.state} == {State.UNKNOWN}


def test_a_record_that_a_job_holds_is_nobody_elses(house: House) -> None:
    """The task of an equal job that got its answer is not taken for that of the lost one."""
    server = listing_server(house)
    (fine,) = house.run(buy(house))
    (job,) = lost(house, server, "drop")
    assert fine.task_id == "t0"
    assert ask(house, job)[0].state is State.UNKNOWN
    assert told(house, job).is_empty


def test_a_persons_word_stays_and_counts(house: House) -> None:
    """What was written off keeps its record; the other job gets the other one."""
    server = listing_server(house)
    first, second = lost(house, server, count=2)
    close(house.engine, [first], "write-off")
    first, second = ask(house, first, second)
    assert (first.state, first.charge, first.task_id) == (State.CLOSED, Charge.MAYBE, None)
    assert (second.state, second.task_id) == (State.RUNNING, "t1")


def test_a_picture_that_was_adopted_hides_its_task(house: House) -> None:
    """Of two equal jobs one was settled by its picture's address: nobody knows whose is whose."""
    server = listing_server(house)
    first, second = lost(house, server, count=2)
    adopt(house.engine, first, "https://images.example/t0", is_unseen=True)
    assert ask(house, second)[0].state is State.UNKNOWN
    assert "its task is not known" in told(house, second).reason


def test_jobs_of_another_time_or_prompt_do_not_count(house: House) -> None:
    """An equal one an hour before, and another one of the same second, have their own records."""
    server = listing_server(house)
    (old,) = lost(house, server)
    house.clock.sleep(3600)
    (job,) = lost(house, server)
    server.fate = lambda _: "lose"
    house.adjust(is_waiting=False)
    (other,) = house.run(buy(house, "an owl"))
    assert other.task_id == "t2"
    assert ask(house, job)[0].task_id == "t1"
    assert house.ledger.job(old.id).state is State.UNKNOWN
    assert ask(house, old)[0].task_id == "t0"


def test_windows_that_touch_make_one_group(house: House) -> None:
    """Jobs a minute apart count together, however long the chain: one record is nobody's."""
    server = listing_server(house)
    jobs = []
    for number in range(4):
        jobs += lost(house, server, "lose" if number == 0 else "drop")
        house.clock.sleep(50)
    assert {job.state for job in ask(house, *jobs)} == {State.UNKNOWN}
    assert "1 request that may be it, and 4 jobs" in told(house, jobs[0]).reason


# -- equal jobs that are on their way --------------------------------------------------------------


@pytest.mark.parametrize("step", ["planned", "sending", "stored"])
def test_an_equal_job_on_its_way_stops_all(house: House, step: str) -> None:
    """While it is planned, being sent, or has an unread answer, its record is not given away."""
    server = listing_server(house)
    (job,) = lost(house, server, "drop")
    (twin,) = buy(house)
    call = house.engine.calls[twin.id]
    if step != "planned":
        house.ledger.begin(twin.id, body=call.body, key=Secret("sk-test"))
        server.accept(call)
    if step == "stored":
        twin = house.ledger.move(house.ledger.job(twin.id), State.UNKNOWN)
        body = b'{"code":200,"msg":"ok","data":{"taskId":"t0"}}'
        answer = Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=body)
        house.ledger.store(twin.id, answer)
    assert ask(house, job)[0].state is State.UNKNOWN
    assert "too early" in told(house, job).reason


def test_the_command_waits_for_its_own_twins(house: House) -> None:
    """Of three equal jobs of one command two are lost: they are told apart once all were sent."""
    server = listing_server(house)
    fates = iter(["lose", "lose", "answer"])
    server.fate = lambda _: next(fates)
    jobs = house.run(buy(house, count=3))
    assert {job.state for job in jobs} == {State.SAVED}
    assert sorted(job.task_id or "" for job in jobs) == ["t0", "t1", "t2"]
    assert len(server.submits()) == 3


def test_a_dead_twin_is_concluded_first(house: House) -> None:
    """What a killed process was sending counts as a job of unknown outcome, and is found too."""
    server = listing_server(house)
    (job,) = lost(house, server)
    (twin,) = buy(house, owner="deaddead")
    call = house.engine.calls[twin.id]
    house.ledger.begin(twin.id, body=call.body, key=Secret("sk-test"))
    server.accept(call)
    house.clock.sleep(400)
    house.adjust(is_dead=lambda name: name == "deaddead")
    assert [each.task_id for each in ask(house, job, twin)] == ["t0", "t1"]
    attempt = house.ledger.attempt(twin)
    assert attempt is not None
    assert attempt.ended_at == attempt.started_at + timedelta(seconds=180)


# -- what is compared ------------------------------------------------------------------------------

SENT = {"prompt": "a fox", "seed": 17, "images": ["https://a/1", "https://a/2"], "safe": True}


@pytest.mark.parametrize(
    ("shown", "is_equal"),
    [
        (dict(reversed(SENT.items())), True),
        ({**SENT, "steps": 30}, True),
        ({**SENT, "seed": 17.0}, True),
        ({**SENT, "seed": "17"}, False),
        ({**SENT, "seed": 18}, False),
        ({**SENT, "safe": 1}, False),
        ({**SENT, "safe": None}, False),
        ({**SENT, "images": SENT["images"][::-1]}, False),  # type: ignore[index] # a list
        ({key: SENT[key] for key in SENT if key != "seed"}, False),
        ({}, False),
    ],
)
def test_inputs_are_compared_as_json(
    house: House, shown: dict[str, object], *, is_equal: bool
) -> None:
    """Keys in any order, and more of them; types, values and the order of lists as they were."""
    server = listing_server(house)
    (job,) = lost(house, server)
    attempt = house.ledger.attempt(job)
    assert attempt is not None
    attempt = replace(attempt, body=json.dumps({"input": SENT, "webhook": "https://b"}))
    record = Record(task_id="t0", model=job.model, at=house.clock.now(), input=shown)
    listing = replace(LISTING, input_at=("input",))
    assert is_input(record, attempt, listing) is is_equal
    strict = replace(listing, adds_fields=False)
    assert is_input(record, attempt, strict) is (is_equal and shown.keys() == SENT.keys())


def test_inline_references_are_compared_by_their_digests(house: House) -> None:
    """A `data:` string is listed as it was sent, and kept as its digest; another one differs."""
    server = listing_server(house)
    (job,) = lost(house, server)
    attempt = house.ledger.attempt(job)
    assert attempt is not None
    body = {"image": "data:image/png;base64,aaaa"}
    attempt = replace(attempt, body=body_text(body))
    record = Record(task_id="t0", at=house.clock.now(), input=body)
    assert is_input(record, attempt, LISTING)
    other = replace(record, input={"image": "data:image/png;base64,bbbb"})
    assert not is_input(other, attempt, LISTING)


def test_a_record_without_its_input_is_shown_and_stops_all(house: House) -> None:
    """Also beside one that matches: a person may adopt either."""
    server = listing_server(house)
    (job,) = lost(house, server)
    server.accept(server.submits()[0], has_input=False)
    assert ask(house, job)[0].state is State.UNKNOWN
    assert "without what was asked" in told(house, job).reason
    assert [each.task_id for each in told(house, job).records] == ["t0", "t1"]


def test_records_of_another_model_or_time_do_not_count(house: House) -> None:
    """An equal input of another model, and one a quarter of an hour before, are not the request."""
    server = listing_server(house)
    (job,) = lost(house, server, "drop")
    call = server.submits()[0]
    server.accept(call, model="another")
    server.accept(call, at=server.now - timedelta(seconds=6))
    server.accept(call, at=server.now + timedelta(seconds=61))
    assert ask(house, job)[0].state is State.UNKNOWN
    assert told(house, job).records == ()
    server.accept(call, at=server.now + timedelta(seconds=59))
    assert ask(house, job)[0].task_id == "t3"


@pytest.mark.parametrize("key", ["sk-other", None])
def test_another_key_is_another_account(house: House, key: str | None) -> None:
    """What another key lists is not asked for, and an equal job that another key sent stops all."""
    server = listing_server(house)
    (job,) = lost(house, server)
    mine = house.engine.account

    def account(job: Job) -> Profile:
        return replace(mine(job), api_key=Secret(key) if key else None)

    house.adjust(account=account)
    looks = server.looks()
    assert ask(house, job)[0].state is State.UNKNOWN
    assert server.looks() == looks
    assert "another key" in told(house, job).reason
    (twin,) = lost(house, server)
    house.adjust(account=mine)
    assert {each.state for each in ask(house, job, twin)} == {State.UNKNOWN}


def test_what_an_old_version_sent_is_not_asked_about(house: House) -> None:
    """Without its body a job cannot be told, and stops an equal one of its time."""
    server = listing_server(house)
    (old,) = buy(house)
    house.ledger.begin(old.id)
    old = house.ledger.move(house.ledger.job(old.id), State.UNKNOWN)
    (job,) = lost(house, server)
    assert {each.state for each in ask(house, old, job)} == {State.UNKNOWN}
    assert "old version" in told(house, old).reason
    assert "old version" in told(house, job).reason


def test_without_an_account_nobody_is_asked(house: House) -> None:
    """A profile that is gone changes nothing, and that is said."""
    server = listing_server(house)
    (job,) = lost(house, server)

    def nobody(_: Job) -> Profile:
        raise AccountError("no profile speaks to it")

    house.adjust(account=nobody)
    assert ask(house, job)[0].state is State.UNKNOWN
    assert "no profile speaks to it" in told(house, job).reason


# -- trouble while asking --------------------------------------------------------------------------


def answer(status: int, body: bytes = b"{}") -> Reply:
    """Return what a list may say in place of a page."""
    return Reply(purpose=Purpose.FIND, status=status, headers={}, body=body)


TROUBLE = [
    *(answer(status) for status in (301, 401, 403, 404, 408, 429, 500, 502, 503)),
    Unsent("no route"),
    OutcomeUnknown("cut"),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=str)
@pytest.mark.parametrize("page", ["1", "3"])
def test_trouble_says_nothing(house: House, trouble: Reply | SeedreamError, page: str) -> None:
    """A page that does not come, also the last one of a list that has the request: no verdict."""
    server = listing_server(house, page_size=1)
    (job,) = lost(house, server)
    for _ in range(2):
        server.accept(server.submits()[0], body={"prompt": "another"}, at=server.now - MINUTES / 60)
    server.trouble = lambda call: trouble if call.query.get("page") == page else None
    house.clock.sleep(1200)
    assert ask(house, job)[0].state is State.UNKNOWN
    seen = told(house, job)
    assert (seen.is_whole, seen.is_empty, "could not be read" in seen.reason) == (
        False,
        False,
        True,
    )
    server.trouble = lambda _: None
    assert ask(house, job)[0].state is State.RUNNING
    assert house.ledger.looks(job.id)[-1].pages == 3


def test_a_list_without_an_end_says_nothing(house: House) -> None:
    """More than 25 pages in the window, or pages that lead back to themselves."""
    server = listing_server(house, page_size=1)
    (job,) = lost(house, server)
    for _ in range(30):
        server.accept(server.submits()[0], body={"prompt": "another"})
    assert ask(house, job)[0].state is State.UNKNOWN
    assert told(house, job).pages == 25


# -- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-90000, -3600, -50, 50, 3600, 90000])
def test_a_clock_that_is_off_is_reckoned_with(house: House, seconds: int) -> None:
    """The provider's `Date` tells by how much; a list far off is asked once more."""
    server = listing_server(house, offset=timedelta(seconds=seconds))
    (job,) = lost(house, server)
    looks = server.looks()
    assert ask(house, job)[0].task_id == "t0"
    assert server.looks() - looks == (1 if abs(seconds) == 50 else 2)


# -- absence ---------------------------------------------------------------------------------------


def gone(house: House, server: ListingServer, *, seconds: float = 1000.0) -> Job:
    """Leave a job that was never read, of which one look was empty, and let time go by."""
    (job,) = lost(house, server, "drop")
    ask(house, job)
    assert told(house, job).is_empty
    house.clock.sleep(seconds)
    return job


def test_what_was_never_accepted_is_closed_at_last(house: House) -> None:
    """A quarter of an hour later the whole list proves it, and whoever comes next may buy it."""
    server = listing_server(house)
    job = gone(house, server)
    (job,) = ask(house, job)
    assert (job.state, job.charge, job.problem) == (State.CLOSED, Charge.NONE, None)
    assert told(house, job).verdict == "absent"
    assert house.ledger.list_absent() == [job]
    assert len(server.submits()) == 1
    (again,) = house.run(house.buy("kie"))
    assert again.state is State.SAVED


def test_a_record_that_turns_up_later_makes_it_run(house: House) -> None:
    """It is asked about once more, and only once: then it is closed for good."""
    server = listing_server(house)
    job = gone(house, server)
    ask(house, job)
    entry = server.accept(server.submits()[0], at=(job.sent_at or server.now))
    house.clock.sleep(60)
    (job,) = ask(house, *house.ledger.list_absent())
    assert (job.state, job.charge, job.task_id) == (State.RUNNING, Charge.CHARGED, entry.task)
    assert house.run([job])[0].state is State.SAVED


def test_it_is_asked_about_once_more_only(house: House) -> None:
    """Trouble does not count as that; a whole list does."""
    server = listing_server(house)
    job = gone(house, server)
    (job,) = ask(house, job)
    house.clock.sleep(60)
    server.trouble = lambda _: answer(503)
    ask(house, job)
    assert house.ledger.list_absent() == [job]
    server.trouble = lambda _: None
    (job,) = ask(house, job)
    assert job.state is State.CLOSED
    assert house.ledger.list_absent() == []


def test_the_losing_command_never_closes(house: House) -> None:
    """However late its looks are."""
    listing = replace(LISTING, looks=(10.0, 60.0, 1100.0))
    server = listing_server(house, listing, fate=lambda _: "drop")
    (job,) = house.run(buy(house))
    assert (job.state, server.looks()) == (State.UNKNOWN, 3)


Break = Callable[["House", ListingServer], None]
"""What is done to a world in which a job that was never read would be closed."""


def entry(**more: object) -> Break:
    """Let the provider's book hold one more request, 100 s after the lost one."""

    def add(house: House, server: ListingServer) -> None:
        at = server.now - timedelta(seconds=900)
        server.accept(server.submits()[0], **{"at": at, **more})
        del house

    return add


def setting(**more: object) -> Break:
    """Let the server behave otherwise."""

    def change(_: House, server: ListingServer) -> None:
        for name, value in more.items():
            setattr(server, name, value)

    return change


def rule(**more: object) -> Break:
    """Let the provider's row say otherwise."""

    def change(house: House, _: ListingServer) -> None:
        row = replace(LISTED, listing=replace(LISTING, **more))  # type: ignore[arg-type] # its fields
        house.adjust(providers={**PROVIDERS, "kie": row})

    return change


def wait(minutes: float) -> Break:
    """Let time go by."""
    return lambda house, _: house.clock.sleep(minutes * 60)


def other_key(house: House, _: ListingServer) -> None:
    """Let another key be what the profile holds."""
    mine = house.engine.account
    house.adjust(account=lambda job: replace(mine(job), api_key=Secret("sk-other")))


def twin(house: House, _: ListingServer) -> None:
    """Let an equal job have begun in the same minute, which is still being sent."""
    (job,) = buy(house)
    house.ledger.begin(job.id, body=house.engine.calls[job.id].body, key=Secret("sk-test"))
    with house.ledger._write() as connection:
        connection.execute("UPDATE attempts SET started_at = '2026-11-21T10:00:30.000000Z'"
                           " WHERE job = ?", (job.id,))  # fmt: skip


def lagging(house: House, server: ListingServer) -> None:
    """Let the list lack a task that is known to have been accepted ten minutes after."""
    server.delay = lambda: 100000.0
    house.clock.sleep(60)
    house.run(buy(house, "an owl"))
    with house.ledger._write() as connection:
        connection.execute("UPDATE attempts SET started_at = '2026-11-21T10:09:00.000000Z'"
                           " WHERE ending = 'accepted'")  # fmt: skip


BROKEN: dict[str, Break] = {  # by what is said then
    "it may be late": wait(0),
    "does not keep so long": wait(45),
    "do not say when": setting(has_date=False),
    "differ by 6 min": setting(offset=timedelta(minutes=6)),
    "could not be read": setting(trouble=lambda _: answer(500)),
    "t0 may be it": entry(has_input=False),
    "t0 may be it all the same": entry(),
    "may be it all the same": entry(model="another"),
    "t0 was charged": entry(body={}, shows_at=BEGIN + timedelta(days=1)),
    "that proves nothing": rule(empty_looks=0),
    "one look more": rule(empty_looks=3),
    "another key": other_key,
    "is being sent": twin,
    "it lacks task": lagging,
}


@pytest.mark.parametrize("words", BROKEN)
def test_each_condition_of_absence_counts(house: House, words: str) -> None:
    """Where one of them does not hold the job stays as it is, and is told why."""
    server = listing_server(house)
    job = gone(house, server, seconds=890.0 if words == "it may be late" else 1000.0)
    BROKEN[words](house, server)
    (job,) = ask(house, job)
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert told(house, job).verdict == "none"
    assert words in told(house, job).reason


@pytest.mark.parametrize("minutes", [-180, -45, 20, 50])
def test_a_clock_put_right_since_then_proves_no_absence(house: House, minutes: int) -> None:
    """Our clock was wrong at the submit: its record bears another time, and is not overlooked."""
    server = listing_server(house)
    rule(inputs_kept=None)(house, server)
    (job,) = lost(house, server)
    with house.ledger._write() as connection:
        connection.execute(
            "UPDATE attempts SET started_at = strftime('%Y-%m-%dT%H:%M:%fZ', started_at, :by),"
            " ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, :by)",
            {"by": f"{minutes} minutes"},
        )
    for _ in range(3):
        house.clock.sleep(7200.0)
        (job,) = ask(house, job)
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert "t0 may be it all the same" in told(house, job).reason


def test_a_refund_ends_a_charge(house: House) -> None:
    """A charge that was given back is no reason to doubt."""
    server = listing_server(house)
    job = gone(house, server)
    entry(body={}, shows_at=BEGIN + timedelta(days=1), is_refunded=True)(house, server)
    assert ask(house, job)[0].state is State.CLOSED


def test_charges_that_cannot_be_read_prove_nothing(house: House) -> None:
    """A list of charges that fails is as if there had been one."""
    server = listing_server(house)
    job = gone(house, server)
    server.trouble = lambda call: answer(500) if call.path == "/charges" else None
    assert ask(house, job)[0].state is State.UNKNOWN
    assert "its charges" in told(house, job).reason


def test_who_waits_for_the_same_picture_waits_for_the_looks(house: House) -> None:
    """While a live process looks for its lost answer, one that joined it waits, and has it too."""
    server = listing_server(house, delay=lambda: 30.0)
    server.fate = lambda _: "lose"
    with Owner(house.folder / "owners", "another1") as owner:
        beside = house.another(owner)
        providers = {**PROVIDERS, "kie": LISTED}
        beside.adjust(transport=server, providers=providers, is_dead=lambda _: False)
        (job,) = house.buy("kie", output="fox")
        planned = replace(job, id="twin0000", owner="another1")
        assert join.plan(beside.engine, [planned], ext="jpg") == [job]
        run_both(house, beside, job)
    assert beside.engine.problems == {}
    assert house.ledger.job(job.id).state is State.SAVED
    assert len(server.submits()) == 1


def run_both(house: House, beside: House, job: Job) -> None:
    """Take the steps of two commands about one job, each when it is due."""
    steps = [(house, house.engine.first_step(job)), (beside, beside.engine.first_step(job))]
    while due := [(step.due, step.deed, place, step) for place, step in steps if step]:
        at, _, place, step = min(due, key=lambda each: each[:2])
        house.clock.sleep(max(0.0, at - house.clock.monotonic()))
        following = place.take(step)
        steps = [(each, following if each is place else old) for each, old in steps]


# -- what it cost, where nothing else is to be had -------------------------------------------------


def cut_with(request_id: str) -> AnswerCut:
    """Return how an answer breaks off whose header names the request."""
    headers = {"x-generation-id": request_id}
    return AnswerCut("cut", Reply(purpose=Purpose.SUBMIT, status=200, headers=headers, body=b""))


@pytest.mark.parametrize(
    ("status", "said", "charge"),
    [
        (200, {"data": {"id": "gen-1", "total_cost": 0.04}}, Charge.CHARGED),
        (200, {"data": {"id": "gen-1", "total_cost": 0}}, Charge.MAYBE),
        (200, {"data": {"id": "gen-1"}}, Charge.MAYBE),
        (404, {"error": {"code": 404, "message": "not found"}}, Charge.MAYBE),
        (503, {}, Charge.MAYBE),
    ],
)
def test_a_header_that_came_settles_the_charge(
    house: House, status: int, said: dict[str, object], charge: Charge
) -> None:
    """The picture stays lost and the outcome unknown: nothing is bought in its place."""
    house.transport.answers = [cut_with("gen-1")]
    (job,) = house.run(house.buy("openrouter"))
    assert (job.state, job.charge, job.request_id) == (State.UNKNOWN, Charge.MAYBE, "gen-1")
    house.transport.answers = [answer(status, json.dumps(said).encode())]
    (job,) = ask(house, job)
    assert (job.state, job.charge) == (State.UNKNOWN, charge)
    assert house.transport.sent[-1].query == {"id": "gen-1"}
    if charge is Charge.CHARGED:
        assert job.cost == Money(Decimal("0.04"), "USD")
        assert job.problem is not None
        assert "charged 0.04 USD" in job.problem.message
        ask(house, job)
        assert len(house.transport.sent) == 2
        assert "--not-charged" not in settle_commands([job])
        with pytest.raises(UsageError, match=r"charged 0\.04 USD"):
            close(house.engine, [job], "not-charged")
        close(house.engine, [job], "write-off")


def test_without_its_header_nobody_is_asked(house: House) -> None:
    """There is nothing to ask by."""
    house.transport.answers = [OutcomeUnknown("cut")]
    (job,) = house.run(house.buy("openrouter"))
    ask(house, job)
    assert len(house.transport.sent) == 1


# -- requests that a record could be of, too -------------------------------------------------------


@pytest.mark.parametrize("is_more", [True, False])
@pytest.mark.parametrize("step", ["sending", "lost"])
def test_a_record_of_a_request_that_says_more_is_not_taken(
    house: House, step: str, *, is_more: bool
) -> None:
    """Where defaults may be added, a request with one field more, or another webhook, has it."""
    listing = replace(LISTING, input_at=() if is_more else ("input",))
    server = listing_server(house, listing)
    (job,) = lost(house, server, "drop")
    (other,) = buy(house, prompt="a hare")
    sent = server.submits()[-1].body or {}
    more: dict[str, object] = {"seed": 5} if is_more else {"webhook": "https://example.com/done"}
    call = replace(house.engine.calls[other.id], body={**sent, **more})
    house.ledger.begin(other.id, body=call.body, key=Secret("sk-test"))
    server.inputs = lambda entry: cast(
        "dict[str, object]", entry.body if is_more else entry.body["input"]
    )
    server.accept(call)
    if step == "lost":
        house.ledger.move(house.ledger.job(other.id), State.UNKNOWN)
    (job,) = ask(house, job)
    assert (job.state, job.task_id) == (State.UNKNOWN, None)


@pytest.mark.parametrize("year", [1900, 9999])
def test_a_date_that_none_can_be_proves_nothing(house: House, year: int) -> None:
    """A header with the last day that there is, or one before computers, is no clock."""
    server = listing_server(house, has_date=False)

    def answer(call: Call) -> Reply | None:
        if call.purpose is not Purpose.FIND:
            return None
        headers = {
            "date": format_datetime(datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC), usegmt=True)
        }
        body = b'{"items": [], "next": null}'
        return Reply(purpose=Purpose.FIND, status=200, headers=headers, body=body)

    (job,) = lost(house, server, "drop")
    server.trouble = answer
    assert ask(house, job)[0].state is State.UNKNOWN
    assert "do not say when" in told(house, job).reason


def test_a_record_that_was_written_anew_is_shown_and_no_absence(house: House) -> None:
    """A provider may note an address or a default its own way: the prompt is that of the job."""
    server = listing_server(house)
    uncharged = replace(LISTED.dialect, charges=None, charged=None)  # as Replicate's
    spec = replace(LISTED, listing=replace(LISTING, input_at=("input",)), dialect=uncharged)
    house.adjust(providers={**PROVIDERS, "kie": spec})
    (job,) = lost(house, server)
    server.inputs = lambda entry: {
        **cast("dict[str, object]", entry.body["input"]),
        "quality": "BASIC",
    }
    for _ in range(3):
        house.clock.sleep(1000.0)
        (job,) = ask(house, job)
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert [each.task_id for each in told(house, job).records] == ["t0"]
