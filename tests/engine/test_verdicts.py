"""Final verdicts: time and people decide, never one word; and guards have doors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.pictures import PNG
from support.replies import URL, accepted, made, polled, reply, success

from seedream_cli.core.addresses import AddressKind
from seedream_cli.core.errors import HostBarred, ImageGone, OutcomeUnknown, UsageError
from seedream_cli.core.model import Charge, Problem, Purpose, Reference, State
from seedream_cli.engine.recall import is_doubtful, recall, still_offers
from seedream_cli.engine.settle import adopt, close
from seedream_cli.storage.ledger.owner import Owner

if TYPE_CHECKING:
    from engine.conftest import House

    from seedream_cli.core.model import Job, Reply

BROKEN = polled("fail", failMsg="boom")


def failed(house: House) -> Job:
    """Return a job of KIE that failed, maybe charged."""
    house.transport.answers = [accepted(), BROKEN, BROKEN]
    (job,) = house.run(house.buy("kie"))
    assert (job.state, job.charge) == (State.FAILED, Charge.MAYBE)
    return job


def uploaded(digest: str) -> Reference:
    """Return a picture of this machine that was taken to the provider's file host."""
    return Reference(source="a.png", url=f"https://files.example/{digest}", digest=digest)


def submits(house: House) -> int:
    """Return how many requests were charged."""
    return [call.purpose for call in house.transport.sent].count(Purpose.SUBMIT)


@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_a_date_that_none_can_be_loses_no_picture(house: House, provider: str) -> None:
    """A header with the last day that there is: nothing can be reckoned from it, and none is."""
    last = {"date": "Fri, 31 Dec 9999 23:59:59 GMT"}
    answers = {"ark": [made()], "kie": [accepted(), success()]}[provider]
    house.transport.answers = [replace(each, headers=last) for each in answers]
    (job,) = house.run(house.buy(provider))
    assert job.state is State.SAVED


# -- success without a picture -----------------------------------------------------------------


@pytest.mark.parametrize("urls", ['{"resultUrls":[]}', '{"resultUrls":null}', "", "{}"])
@pytest.mark.parametrize("provider", ["kie", "kie-seedream", "seedreams", "replicate"])
def test_done_before_its_urls_came_is_waited_for(house: House, provider: str, urls: str) -> None:
    """Every provider's empty success is asked about again, and brings its picture."""
    done: dict[str, tuple[Reply, Reply]] = {
        "kie": (polled("success", resultJson=urls), success()),
        "kie-seedream": (
            reply({"taskId": "t1", "successFlag": 1, "response": {"resultUrls": []}}),
            reply({"taskId": "t1", "successFlag": 1, "response": {"resultUrls": [URL]}}),
        ),
        "seedreams": (
            reply({"code": 0, "data": {"status": "completed", "resultUrl": None}}),
            reply({"code": 0, "data": {"status": "completed", "resultUrl": URL}}),
        ),
        "replicate": (
            reply({"id": "t1", "status": "succeeded", "output": None}),
            reply({"id": "t1", "status": "succeeded", "output": [URL]}),
        ),
    }
    empty, whole = done[provider]
    begun = reply({"id": "t1", "status": "starting"}) if provider == "replicate" else accepted()
    house.transport.answers = [begun, *[empty] * 7, whole]
    (job,) = house.run(house.buy(provider))
    assert (job.state, submits(house)) == (State.SAVED, 1)


# -- failed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "becomes"),
    [
        ([success()], State.SAVED),
        ([polled("generating"), success()], State.SAVED),
        ([polled("success", resultJson="{}"), success()], State.SAVED),
        ([BROKEN], State.FAILED),
        ([reply({"code": 422, "msg": "recordInfo is null", "data": None})], State.FAILED),
    ],
)
def test_a_failed_job_can_be_asked_about_again(
    house: House, answers: list[Reply], becomes: State
) -> None:
    """By name it is asked about once more, free of charge, and believed either way."""
    job = failed(house)
    house.clock.at += timedelta(hours=1)
    house.engine.recalled.add(job.id)
    house.transport.answers = list(answers)
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 60))
    (job,) = house.run([job])
    assert (job.state, submits(house), house.transport.answers) == (becomes, 1, [])


@pytest.mark.parametrize("is_failed", [True, False], ids=["failed", "asked about again"])
def test_a_success_that_is_heard_beats_anothers_failed(house: House, *, is_failed: bool) -> None:
    """Another process believes `failed` while ours hears that it is done: the picture counts."""
    house.transport.answers = [accepted()]
    (job,) = house.buy("kie")
    first = house.engine.first_step(job)
    assert first is not None
    step = house.take(first)
    assert step is not None
    house.clock.sleep(step.due - house.clock.monotonic())
    with Owner(house.folder / "owners", "otherone") as owner:
        other = house.another(owner, BROKEN, BROKEN, polled("generating"))

        def fail(_: object) -> None:
            house.transport.at_send = lambda _: None
            (now,) = other.run([house.ledger.job(job.id)])
            assert now.state is State.FAILED
            if not is_failed:
                other.ledger.move(now, State.RUNNING)

        house.transport.at_send = fail
        house.transport.answers = [success()]
        following = house.take(step)
    assert following is not None
    house.take(following)
    job = house.ledger.job(job.id)
    assert (job.state, job.charge, job.problem) == (State.SAVED, Charge.CHARGED, None)


def test_nobody_asks_about_a_failed_job_unbidden(house: House) -> None:
    """A job that failed has no step of its own."""
    assert house.engine.first_step(failed(house)) is None


def test_what_failed_is_asked_once_by_those_who_would_buy(house: House) -> None:
    """An answer settles it; trouble leaves it in doubt, and changes nothing."""
    job = failed(house)
    house.transport.answers = [OutcomeUnknown("cut")]
    house.clock.at += timedelta(minutes=1)
    assert recall(house.engine, [job]) == {job.id}
    house.transport.answers = [BROKEN]
    house.clock.at += timedelta(minutes=1)
    assert recall(house.engine, [job]) == set()
    assert house.ledger.job(job.id) == job
    house.transport.answers = [success()]
    house.clock.at += timedelta(minutes=1)
    assert recall(house.engine, [job]) == set()
    job = house.ledger.job(job.id)
    assert (job.state, job.charge, job.problem) == (State.READY, Charge.CHARGED, None)
    assert still_offers(house.engine, job, is_anew=False) == ()


def test_a_record_that_is_gone_is_not_asked_for(house: House) -> None:
    """Two weeks and an hour later its provider knows nothing of a task any more."""
    job = failed(house)
    assert is_doubtful(house.engine, job)
    house.clock.at += timedelta(days=14, hours=2)
    assert not is_doubtful(house.engine, job)


# -- what is still to be had -------------------------------------------------------------------


def test_a_word_of_old_versions_is_asked_about_again(house: House) -> None:
    """What they gave up for one 403 is offered; what the clock ended is not."""
    house.transport.answers = [made()]
    house.transport.pictures = {URL: [ImageGone("403", date=house.clock.at + timedelta(days=9))]}
    (job,) = house.run(house.buy())
    assert job.state is State.EXPIRED
    assert still_offers(house.engine, job, is_anew=True) is None
    (image,) = job.images
    words = Problem("expired", "its host says that the picture is gone; it was made")
    house.ledger.put_image(replace(image, problem=words))
    job = house.ledger.job(job.id)
    assert still_offers(house.engine, job, is_anew=False) == ()
    house.transport.pictures = {}
    (job,) = house.run([house.ledger.take_on(job, job, ())])
    assert (job.state, submits(house)) == (State.SAVED, 1)


def test_a_deleted_file_is_offered_to_those_who_want_it(house: House) -> None:
    """For `--skip-existing` it is fetched while its URL lives; a plain repeat means another one."""
    house.transport.answers = [made()]
    (job,) = house.run(house.buy())
    assert still_offers(house.engine, job, is_anew=True) is None
    (picture,) = house.pictures()
    picture.unlink()
    assert still_offers(house.engine, job, is_anew=True) == (1,)
    assert still_offers(house.engine, job, is_anew=False) is None
    house.clock.at += timedelta(days=30)
    assert still_offers(house.engine, job, is_anew=True) is None


@pytest.mark.parametrize("provider", ["ark", "uniall"])
@pytest.mark.parametrize("query", ["", "?X-Tos-Date=20361201T000000Z&X-Tos-Expires=86400"])
def test_an_adopted_url_is_as_young_as_its_adoption(
    house: House, provider: str, query: str
) -> None:
    """Two weeks after its job was lost a person names the picture: one 403 gives nothing up."""
    house.transport.answers = [OutcomeUnknown("cut")]
    (job,) = house.run(house.buy(provider))
    house.clock.at += timedelta(days=15)
    url, now = f"{URL}{query}", house.clock.now()
    job = adopt(house.engine, job, url, is_unseen=True)
    lapses = job.images[0].expires_at
    assert lapses is not None
    assert lapses > now
    house.transport.pictures = {url: [ImageGone("403"), PNG]}
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 1200))
    (job,) = house.run([job])
    assert (job.state, submits(house)) == (State.SAVED, 1)


# -- what was tried for a whole timeout --------------------------------------------------------


@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_what_was_tried_in_vain_is_tried_for_half_a_minute(house: House, provider: str) -> None:
    """A later command gives it 30 s, and says how to end it; what gets on has all its time."""
    slow = polled("generating")
    house.transport.answers = [made()] if provider == "ark" else [accepted(), *[slow] * 999]
    house.transport.pictures = {URL: [ImageGone("404")]}
    (job,) = house.run(house.buy(provider))
    assert house.engine.problems[job.id].exit == 75
    assert "--write-off" not in house.engine.problems[job.id].message
    house.clock.slept.clear()
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 1200))
    (job,) = house.run([job])
    assert 20 <= sum(house.clock.slept) <= 31
    problem = house.engine.problems[job.id]
    assert problem.exit == 75
    assert f"seedream status {job.id} --write-off -y" in problem.message
    house.transport.answers, house.transport.pictures = [success()], {}
    (job,) = house.run([job])
    assert (job.state, job.exhausted_at, submits(house)) == (State.SAVED, None, 1)


def test_a_look_without_waiting_exhausts_nothing(house: House) -> None:
    """Only who tried for a whole timeout makes others try shorter."""
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic(), timeout=0.0))
    house.transport.answers = [made()]
    house.transport.pictures = {URL: [ImageGone("404")]}
    (job,) = house.run(house.buy())
    assert (job.state, job.exhausted_at) == (State.READY, None)


def test_what_was_let_in_late_is_not_exhausted(house: House) -> None:
    """Its provider was busy for nearly all of the timeout: the next command gives it all of one."""
    busy = reply({"code": 429, "msg": "slow"}, 200, **{"retry-after": "399"})
    slow = [polled("generating")] * 999
    house.transport.answers = [busy, busy, busy, accepted(), *slow]
    (job,) = house.run(house.buy("kie"))
    assert (job.state, job.exhausted_at) == (State.RUNNING, None)
    assert house.engine.problems[job.id].exit == 75
    house.clock.slept.clear()
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 1200))
    house.transport.answers = [*slow]
    (job,) = house.run([job])
    assert sum(house.clock.slept) >= 1199
    assert job.exhausted_at is not None


def test_what_may_still_come_is_written_off_by_who_is_sure(house: House) -> None:
    """A ready job is closed with `-y` alone; it may have been charged."""
    house.transport.answers = [made()]
    house.transport.pictures = {URL: [ImageGone("404")]}
    (job,) = house.run(house.buy())
    with pytest.raises(UsageError, match="may still bring"):
        close(house.engine, [job], "write-off")
    with pytest.raises(UsageError, match="accepted"):
        close(house.engine, [job], "not-charged", is_sure=True)
    (job,) = close(house.engine, [job], "write-off", is_sure=True)
    assert (job.state, job.charge, job.images[0].url) == (State.CLOSED, Charge.MAYBE, URL)


# -- guards ------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["ark", "kie"])
@pytest.mark.parametrize("kind", ["", *AddressKind])
def test_pictures_may_come_from_where_their_api_is(house: House, provider: str, kind: str) -> None:
    """The kind of address that the API has here is allowed; loopback and the like are not."""
    answers = [made()] if provider == "ark" else [accepted(), success()]
    house.transport.answers = [replace(each, peer=kind) for each in answers]
    (job,) = house.run(house.buy(provider))
    assert job.peer == kind
    opened = {AddressKind.FAKE, AddressKind.SHARED, AddressKind.PRIVATE}
    assert house.transport.allowed == {AddressKind.PUBLIC} | opened.intersection({kind})


def test_a_profile_lets_private_addresses_in(house: House) -> None:
    """`image_hosts = "any"` opens the three kinds, and neither loopback nor link-local."""
    house.transport.answers = [made()]
    house.adjust(is_open_to_any=lambda job: job.profile == "ark")
    house.run(house.buy())
    opened = {AddressKind.FAKE, AddressKind.SHARED, AddressKind.PRIVATE}
    assert house.transport.allowed == {AddressKind.PUBLIC} | opened


def test_a_guard_names_its_door(house: House) -> None:
    """Soon, not after the timeout: the message and the hint say what to write, and where."""
    house.transport.answers = [made()]
    barred = HostBarred("the image host's address is a private one", hint='image_hosts = "any"')
    house.transport.pictures = {URL: [barred]}
    (job,) = house.run(house.buy())
    problem = house.engine.problems[job.id]
    assert (job.state, job.exhausted_at, problem.exit) == (State.READY, None, 75)
    assert sum(house.clock.slept) < 10
    for words in (problem.message, problem.hint):
        assert 'image_hosts = "any" under [profiles.ark]' in words
    assert problem.hint.endswith(f"seedream download {job.id}")


# -- uploads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers",
    [
        [accepted(), BROKEN, BROKEN],
        [reply({"code": 400, "msg": "the image cannot be fetched"})],
        [reply({"code": 500, "msg": "the image cannot be fetched"})],
    ],
    ids=["failed", "refused", "unknown"],
)
def test_an_upload_is_forgotten_with_a_job_that_went_wrong(
    house: House, answers: list[Reply]
) -> None:
    """The next try uploads its reference anew; those of other jobs are kept."""
    digest, other = "a" * 64, "b" * 64
    long_ago = house.clock.now() - timedelta(days=1)
    for each in (digest, other):
        house.ledger.put_upload("https://files.example", each, f"https://files.example/{each}")
    (job,) = house.buy("kie", references=(uploaded(digest),))
    house.transport.answers = list(answers)
    (job,) = house.run([job])
    assert job.state in {State.FAILED, State.REFUSED, State.UNKNOWN}
    assert house.ledger.upload("https://files.example", digest, long_ago) is None
    assert house.ledger.upload("https://files.example", other, long_ago) is not None


def test_an_upload_that_served_is_kept(house: House) -> None:
    """What was fetched once is used again."""
    digest = "a" * 64
    house.ledger.put_upload("https://files.example", digest, "https://files.example/a")
    (job,) = house.buy("kie", references=(uploaded(digest),))
    house.transport.answers = [accepted(), success()]
    house.run([job])
    long_ago = house.clock.now() - timedelta(days=1)
    assert house.ledger.upload("https://files.example", digest, long_ago) is not None
