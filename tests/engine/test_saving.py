"""From a URL to a picture: gone ones, fresh ones, inline ones, and what lies beside them."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from support.replies import accepted, reply, success

from seedream_cli.cli.run import put_down
from seedream_cli.core.errors import ImageBroken, ImageGone, OutcomeUnknown, Unsent
from seedream_cli.core.events import Note
from seedream_cli.core.model import Charge, Image, Problem, Purpose, Reply, State
from seedream_cli.engine.context import Step, StepKind, Timing
from seedream_cli.engine.save import save_image
from seedream_cli.storage.files.store import Files
from seedream_cli.storage.ledger.owner import Owner

if TYPE_CHECKING:
    from pathlib import Path

    from engine.conftest import House

    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.model import Job

DEAD = "deaddead"
"""A process that left no lock file."""
CUT = OutcomeUnknown("cut")
GONE = ImageGone("403")
OVER = ImageGone("403", date=datetime(2036, 1, 1, tzinfo=UTC))
"""Said by a host when every URL has lapsed."""


def url_of(index: int) -> str:
    """Return where image `index` lies."""
    return f"https://images.example/{index}.png"


def made(*members: object) -> Reply:
    """Ark's answer with these members; a number is the image that lies under it."""
    data = [{"url": url_of(each)} if isinstance(each, int) else each for each in members]
    return reply({"model": "m", "created": 1, "data": data})


def inline(data: bytes) -> dict[str, str]:
    """Return a member that holds its picture itself."""
    return {"b64_json": base64.b64encode(data).decode()}


def captioned(png: bytes) -> bytes:
    """Return another picture: the same pixels, with a word in the file."""
    kind, words = b"tEXt", b"Title\0another"
    check = zlib.crc32(kind + words)
    chunk = struct.pack(">I4s", len(words), kind) + words + struct.pack(">I", check)
    return png[:-12] + chunk + png[-12:]


def saved(job: Job) -> list[int]:
    """Return which images of a job are on disk."""
    return [image.index for image in job.images if image.saved_at]


# -- one that does not come ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble", [CUT, Unsent("refused"), ImageBroken("a web page")], ids=["cut", "unsent", "broken"]
)
@pytest.mark.parametrize("sick", [1, 2])
def test_one_image_keeps_no_other_back(house: House, trouble: SeedreamError, sick: int) -> None:
    """An image that cannot be fetched leaves the job ready, the other two on disk."""
    house.transport.answers = [made(1, 2, 3)]
    house.transport.pictures = {url_of(sick): [trouble]}
    (job,) = house.run(house.buy(output="a.png"))
    assert (job.state, job.charge) == (State.READY, Charge.CHARGED)
    assert saved(job) == [index for index in (1, 2, 3) if index != sick]
    assert house.engine.problems[job.id].hint == f"seedream download {job.id}"
    house.transport.pictures = {}
    (job,) = house.run([job])
    assert (job.state, saved(job)) == (State.SAVED, [1, 2, 3])
    assert len(house.transport.sent) == 1


def test_what_is_saved_is_not_fetched_again(house: House) -> None:
    """While one image is tried again the others are left as they are."""
    house.transport.answers = [made(1, 2)]
    house.transport.pictures = {url_of(1): [CUT, CUT, *house.transport.whole]}
    (job,) = house.run(house.buy())
    assert job.state is State.SAVED
    assert house.transport.fetched.count(url_of(2)) == 1


@pytest.mark.parametrize("provider", ["ark", "kie", "seedreams", "replicate"])
@pytest.mark.parametrize("times", [1, 12])
def test_gone_before_its_time_is_trouble_that_passes(
    house: House, provider: str, times: int
) -> None:
    """A URL that has not lapsed is tried again for as long as it takes; nothing is lost."""
    made_by = {"ark": [made(1)], "kie": [accepted(), *[success(url_of(1))] * 99]}
    done = {"code": 0, "data": {"status": "completed", "resultUrl": url_of(1), "taskId": "t1"}}
    made_by["seedreams"] = [accepted(), *[reply(done)] * 99]
    ended = {"id": "t1", "status": "succeeded", "output": [url_of(1)]}
    made_by["replicate"] = [reply({"id": "t1", "status": "starting"}), *[reply(ended)] * 99]
    house.transport.answers = [*made_by[provider]]
    house.transport.pictures = {url_of(1): [*[GONE] * times, *house.transport.whole]}
    (job,) = house.run(house.buy(provider))
    assert (job.state, job.problem) == (State.SAVED, None)
    assert house.transport.fetched == [url_of(1)] * (times + 1)
    assert [call.purpose for call in house.transport.sent].count(Purpose.SUBMIT) == 1


@pytest.mark.parametrize(
    "trouble",
    [GONE, ImageGone("404"), ImageGone("410"), CUT, Unsent("refused"), ImageBroken("a web page")],
)
def test_trouble_without_end_ends_at_the_deadline(house: House, trouble: SeedreamError) -> None:
    """A picture's host that only brings trouble is left at `--timeout`: 75, ready, not lost."""
    house.transport.answers = [made(1)]
    house.transport.pictures = {url_of(1): [trouble]}
    (job,) = house.run(house.buy())
    assert (job.state, job.problem, job.images[0].problem) == (State.READY, None, None)
    assert house.engine.problems[job.id].exit == 75
    assert 1100 <= sum(house.clock.slept) <= 1200
    house.transport.pictures = {}
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 1))
    (job,) = house.run([job])
    assert job.state is State.SAVED


@pytest.mark.parametrize("years", [-9, 9])
def test_the_hosts_clock_says_what_is_over(house: House, years: int) -> None:
    """A clock of ours that is wrong by years loses no picture, and keeps none for ever."""
    truth = house.clock.now()
    house.clock.at = truth + timedelta(days=365 * years)
    house.adjust(timing=Timing(deadline=house.clock.monotonic() + 60, timeout=60))
    date = {"date": format_datetime(truth, usegmt=True)}
    alive = ImageGone("403", date=truth + timedelta(hours=23))
    over = ImageGone("403", date=truth + timedelta(days=15))
    none_anew = [success(url_of(1)), reply({"code": 404, "msg": "no such file"})]
    answers = [accepted(), success(url_of(1)), *none_anew * 50]
    house.transport.answers = [replace(each, headers=date) for each in answers]
    house.transport.pictures = {url_of(1): [alive]}
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.READY
    house.transport.pictures = {url_of(1): [over]}
    (job,) = house.run([job])
    assert job.state is State.EXPIRED


def test_a_url_lives_from_when_its_provider_was_done(house: House) -> None:
    """What was polled late lapses by the provider's own end time, not by when we read it."""
    ended = house.clock.now() - timedelta(days=10)
    house.transport.answers = [accepted(), success(url_of(1), ended=ended)]
    (job,) = house.run(house.buy("kie"))
    assert job.images[0].expires_at == ended + timedelta(days=14)


def test_an_answer_says_when_it_was_made(house: House) -> None:
    """Ark's own `created` counts, unless its server's clock says that it is a sample's."""
    made_at = house.clock.now().replace(microsecond=0) - timedelta(minutes=5)
    body = {"created": int(made_at.timestamp()), "data": [{"url": url_of(1)}]}
    said = {"date": format_datetime(made_at + timedelta(minutes=1), usegmt=True)}
    house.transport.answers = [reply(body), replace(reply(body), headers=said)]
    for job in house.run(house.buy(count=2)):
        assert job.images[0].expires_at == made_at + timedelta(days=1)
    late = made_at + timedelta(days=400)
    old = {"date": format_datetime(late, usegmt=True)}
    house.transport.answers = [replace(reply(body), headers=old)]
    (job,) = house.run(house.buy(prompt="another"))
    assert job.images[0].expires_at == late + timedelta(days=1)


def test_what_came_inline_has_no_url_that_lapses(house: House) -> None:
    """Nobody is told that a picture lapses that lies in the stored answer."""
    (png,) = house.transport.whole
    house.transport.answers = [made(1, inline(captioned(png)))]
    (job,) = house.run(house.buy())
    assert [image.expires_at is None for image in job.images] == [False, True]


# -- more than was asked for -----------------------------------------------------------------------


@pytest.mark.parametrize("output", [None, "cat.png", "cat-{n}.png", "art/"])
def test_more_than_was_asked_for_is_kept_and_told(house: House, output: str | None) -> None:
    """Each picture has a name of its own beside the others', and one warning says how many came."""
    (png,) = house.transport.whole
    more = inline(captioned(png))
    house.transport.answers = [made(1, 2, more), made(3)]
    first, second = house.run(house.buy(count=2, output=output))
    assert (saved(first), saved(second)) == ([1, 2, 3], [1])
    paths = [image.path for job in (first, second) for image in job.images]
    assert len(set(paths)) == len(paths)
    warnings = [each.message for each in house.events if isinstance(each, Note)]
    assert warnings == [f"job {first.id}: 1 picture was asked for, 3 came; all of them are kept"]
    assert first.price is not None
    assert first.cost == replace(first.price, amount=first.price.amount * 3)


def test_of_a_set_more_may_come_than_was_allowed(house: House) -> None:
    """What a stream brings beyond its bound is kept and told, too."""
    house.transport.answers = [made(1, 2, 3)]
    (job,) = house.run(house.buy(series=2, output="cat.png"))
    assert saved(job) == [1, 2, 3]
    names = sorted(path.name for path in house.pictures())
    assert names == ["cat-1.png", "cat-2.png", f"cat-3-{job.id}-3.png"]
    (note,) = [each.message for each in house.events if isinstance(each, Note)]
    assert note.startswith(f"job {job.id}: 2 pictures were asked for, 3 came")


def test_an_undocumented_url_lives_two_weeks(house: House) -> None:
    """Where nobody says how long, a picture is not lost before 14 days and an hour are over."""
    house.transport.answers = [made(1)]
    begun = house.clock.now()
    spans = [timedelta(days=14, minutes=50), timedelta(days=14, hours=2)]
    house.transport.pictures = {url_of(1): [ImageGone("404", date=begun + spans[0])]}
    (job,) = house.run(house.buy("uniall"))
    assert job.state is State.READY
    house.transport.pictures = {url_of(1): [ImageGone("404", date=begun + spans[1])]}
    (job,) = house.run([job])
    assert job.state is State.EXPIRED


@pytest.mark.parametrize(
    "answer",
    [CUT, Unsent("refused"), reply("?"), reply({"code": 429, "msg": "slow"})]
    + [reply({"code": code, "msg": "no"}) for code in (401, 402, 433, 500)],
)
def test_nothing_is_lost_before_a_fresh_url_was_asked_for(
    house: House, answer: Reply | SeedreamError
) -> None:
    """The URL has lapsed, and the API says nothing readable about another: still ready."""
    house.transport.answers = [accepted(), success(url_of(1)), *[answer] * 400]
    house.transport.pictures = {url_of(1): [OVER]}
    (job,) = house.run(house.buy("kie"))
    assert (job.state, job.images[0].problem) == (State.READY, None)
    house.transport.answers = [success(url_of(1)), reply({"code": 404, "msg": "no such file"})]
    (job,) = house.run([job])
    assert job.state is State.EXPIRED


def test_gone_in_its_time_is_expired_and_the_others_are_kept(house: House) -> None:
    """One picture of two is gone for good: the other is on disk, the job tells of a loss."""
    house.transport.answers = [made(1, 2)]
    house.transport.pictures = {url_of(1): [OVER]}
    (job,) = house.run(house.buy())
    assert (job.state, job.charge, saved(job)) == (State.EXPIRED, Charge.CHARGED, [2])
    assert job.problem is not None
    assert (job.problem.code, job.problem.exit) == ("expired", 5)
    assert house.transport.fetched.count(url_of(1)) == 1
    assert job.images[0].url == url_of(1)


def test_a_wrong_word_touches_only_its_picture(house: House) -> None:
    """The host misses the second of three for a while: it alone is asked for again."""
    house.transport.answers = [made(1, 2, 3)]
    house.transport.pictures = {url_of(2): [GONE, GONE, *house.transport.whole]}
    (job,) = house.run(house.buy())
    assert (job.state, saved(job)) == (State.SAVED, [1, 2, 3])
    assert [house.transport.fetched.count(url_of(k)) for k in (1, 2, 3)] == [1, 3, 1]


def test_gone_does_not_end_what_may_still_come(house: House) -> None:
    """One is gone for good, another only slow: the job stays ready for the slow one."""
    house.transport.answers = [made(1, 2)]
    house.transport.pictures = {url_of(1): [OVER], url_of(2): [CUT]}
    (job,) = house.run(house.buy())
    assert job.state is State.READY
    house.transport.pictures[url_of(2)] = [*house.transport.whole]
    (job,) = house.run([job])
    assert (job.state, saved(job)) == (State.EXPIRED, [2])


# -- fresh URLs ------------------------------------------------------------------------------------


def test_a_fresh_url_is_used_and_not_written_down(house: House) -> None:
    """It may live shorter than the one that it stands for: the ledger keeps the first."""
    fresh = "https://images.example/fresh.png"
    house.transport.answers = [accepted(), success(url_of(1)), success(fresh)]
    house.transport.pictures = {url_of(1): [GONE]}
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert house.transport.fetched == [url_of(1), fresh]
    assert job.images[0].url == url_of(1)


@pytest.mark.parametrize("plays", [[GONE], [GONE, "whole"]], ids=["missing", "late"])
def test_a_living_fresh_url_that_is_not_there_yet_is_trouble(
    house: House, plays: list[object]
) -> None:
    """The first URL has lapsed, a fresh one is no sooner given up, and its answer is kept."""
    fresh = "https://images.example/fresh.png"
    lapsed = house.clock.now() - timedelta(days=15)
    house.transport.answers = [
        accepted(),
        success(url_of(1), ended=lapsed),
        *[success(fresh, ended=house.clock.now())] * 400,
    ]
    (png,) = house.transport.whole
    house.transport.pictures = {
        url_of(1): [GONE],
        fresh: [png if each == "whole" else GONE for each in plays],
    }
    (job,) = house.run(house.buy("kie"))
    assert job.state is (State.SAVED if "whole" in plays else State.READY)
    kept = house.ledger.answers(job.id, Purpose.REFRESH)
    assert any(fresh.encode() in each.body for each in kept)


def test_a_fresh_url_that_has_lapsed_too_is_the_end(house: House) -> None:
    """Where both URLs are over by the clock the picture is gone."""
    lapsed = house.clock.now() - timedelta(days=15)
    fresh = "https://images.example/fresh.png"
    house.transport.answers = [
        accepted(),
        success(url_of(1), ended=lapsed),
        success(fresh, ended=lapsed),
    ]
    house.transport.pictures = {url_of(1): [GONE], fresh: [GONE]}
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.EXPIRED


def test_a_polls_answer_is_matched_by_index(house: House) -> None:
    """The second image is gone: the second URL of the new answer stands for it, not the first."""
    first, second = "https://images.example/new1.png", "https://images.example/new2.png"
    house.transport.answers = [
        accepted(),
        success(url_of(1), url_of(2)),
        success(first, second),
    ]
    house.transport.pictures = {url_of(2): [GONE]}
    (job,) = house.run(house.buy("kie"))
    assert (job.state, saved(job)) == (State.SAVED, [1, 2])
    assert house.transport.fetched == [url_of(1), url_of(2), second]
    assert [image.url for image in job.images] == [url_of(1), url_of(2)]


@pytest.mark.parametrize("trouble", [CUT, reply({"code": 500, "msg": "oops"}), reply("?")])
def test_a_host_that_gives_no_fresh_url_loses_nothing(
    house: House, trouble: Reply | SeedreamError
) -> None:
    """Asking anew fails in whatever way: the old URL is tried once more, and works."""
    house.transport.answers = [accepted(), success(url_of(1)), *[trouble] * 2]
    house.transport.pictures = {url_of(1): [GONE, *house.transport.whole]}
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert house.transport.fetched == [url_of(1)] * 2


# -- inline ----------------------------------------------------------------------------------------


def test_an_inline_image_is_read_from_the_stored_answer(house: House) -> None:
    """A process died after the answer was stored: the picture is in it, nothing is fetched."""
    (png,) = house.transport.whole
    other = captioned(png)
    job = house.left(DEAD, made(2, inline(other)))
    house.settle()
    (now,) = house.run([house.ledger.job(job.id)])
    assert (now.state, saved(now)) == (State.SAVED, [1, 2])
    assert house.transport.fetched == [url_of(2)]
    assert sorted(path.read_bytes() for path in house.pictures()) == sorted([png, other])


def polled_inline(house: House) -> Reply:
    """Return KIE's success that holds its picture itself."""
    (png,) = house.transport.whole
    data = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return success(data)


def test_anothers_later_poll_deletes_no_inline_picture(house: House) -> None:
    """A second process hears a 502 after ours heard the picture: it is saved all the same."""
    house.transport.answers = [accepted()]
    (job,) = house.buy("kie")
    first = house.engine.first_step(job)
    assert first is not None
    house.take(first)
    with Owner(house.folder / "owners", "otherone") as owner:
        other = house.another(owner, reply("<html>502</html>", 502))

        def hear(_: object) -> None:
            house.transport.answers = [polled_inline(house)]
            house.take(Step(0.0, job.id, StepKind.POLL))

        other.transport.at_send = hear
        other.take(Step(0.0, job.id, StepKind.POLL))
    (job,) = house.run([house.ledger.job(job.id)])
    assert (job.state, saved(job)) == (State.SAVED, [1])


def test_an_inline_picture_that_was_lost_is_asked_for_again(house: House) -> None:
    """The stored answer is gone, and the API still has the picture: it is not given up."""
    house.transport.answers = [accepted()]
    (job,) = house.buy("kie")
    first = house.engine.first_step(job)
    assert first is not None
    house.take(first)
    image = Image(job=job.id, index=1, n=1)
    house.ledger.move(house.ledger.job(job.id), State.READY, images=[image])
    house.transport.answers = [OutcomeUnknown("cut"), polled_inline(house)]
    (job,) = house.run([house.ledger.job(job.id)])
    assert (job.state, saved(job)) == (State.READY, [])
    (job,) = house.run([job])
    assert (job.state, saved(job)) == (State.SAVED, [1])


def test_an_unreadable_event_does_not_hide_inline_images(house: House) -> None:
    """Of a stored stream with a damaged event in the middle, both whole pictures are saved."""
    (png,) = house.transport.whole
    kind = "image_generation.partial_succeeded"
    bodies = [
        json.dumps({"type": kind, "image_index": 0, **inline(png)}).encode(),
        b'{"type": "image_gener',
        b"\xff\xfe",
        json.dumps({"type": kind, "image_index": 1, **inline(png)}).encode(),
        b"[DONE]",
    ]
    (job,) = house.buy(series=4, owner=DEAD)
    house.ledger.begin(job.id)
    for body in bodies:
        house.ledger.store(job.id, Reply(purpose=Purpose.EVENT, status=200, headers={}, body=body))
    house.settle()
    (now,) = house.run([house.ledger.job(job.id)])
    assert (now.state, saved(now)) == (State.SAVED, [1, 2])
    assert [path.read_bytes() for path in house.pictures()] == [png, png]


def test_an_inline_image_that_is_none_keeps_no_other_back(house: House) -> None:
    """What is no base64 is told of; the picture beside it is on disk."""
    house.transport.answers = [made({"b64_json": "!!!!"}, 2)]
    (job,) = house.run(house.buy())
    assert (job.state, saved(job)) == (State.READY, [2])
    assert house.engine.problems[job.id].code == "provider_failed"


# -- two processes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [None, "expired"])
def test_a_slower_process_does_not_wipe_what_is_saved(house: House, problem: str | None) -> None:
    """Its older view of an image changes nothing once that image is on disk."""
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy())
    (image,) = job.images
    older = Image(job=job.id, index=1, n=1, url=image.url)
    house.ledger.put_image(replace(older, problem=Problem(problem, "gone") if problem else None))
    assert house.ledger.job(job.id) == job


def test_who_saves_what_is_saved_already_makes_no_second_file(house: House) -> None:
    """Another process fetched it while we did: one file, one record."""
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy(output="a.png"))
    stale = replace(job, owner=DEAD, images=(Image(job=job.id, index=1, n=1, url=url_of(1)),))
    save_image(house.engine, stale, stale.images[0])
    assert [path.name for path in house.pictures()] == ["a.png"]
    assert house.ledger.job(job.id) == job


# -- sidecars --------------------------------------------------------------------------------------


def names(house: House) -> list[str]:
    """Return what lies in the output folder."""
    return [path.name for path in house.pictures()]


def before(house: House, name: str) -> Path:
    """Put a file of a person's own where pictures will go."""
    path = house.folder / "out" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    return path


def test_a_sidecar_tells_how_the_picture_was_made(house: House) -> None:
    """It names the job, the body that was sent and the digest of the picture."""
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy(output="a.png", sidecar=True))
    assert names(house) == ["a.json", "a.png"]
    told = json.loads((house.folder / "out" / "a.json").read_text())
    assert (told["job"], told["sha256"]) == (job.id, job.images[0].sha256)
    assert told["body"]["prompt"] == "a fox"


def test_a_sidecar_never_replaces_the_picture(house: House) -> None:
    """A picture that was named `.json` keeps its name; the sidecar gets another."""
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy(output="foo.json", sidecar=True))
    assert job.state is State.SAVED
    assert names(house) == ["foo.json", "foo.json.json"]
    assert (house.folder / "out" / "foo.json").read_bytes() == house.transport.whole[0]
    assert job.images[0].path == str(house.folder / "out" / "foo.json")


def test_a_sidecar_never_replaces_a_file(house: House) -> None:
    """What lay there before stays; the sidecar stands beside it under the job's name."""
    path = before(house, "a.json")
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy(output="a.png", sidecar=True))
    assert path.read_text() == "mine"
    assert names(house) == sorted([f"a-{job.id}.json", "a.json", "a.png"])


def test_overwrite_is_meant_for_the_sidecar_too(house: House) -> None:
    """`--overwrite` replaces both."""
    path = before(house, "a.json")
    before(house, "a.png")
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy(output="a.png", sidecar=True, overwrite=True))
    assert names(house) == ["a.json", "a.png"]
    assert json.loads(path.read_text())["job"] == job.id


def test_a_format_that_surprises_is_said(house: House) -> None:
    """A PNG under the name of a JPEG keeps that name, with a warning."""
    house.transport.answers = [made(1)]
    house.run(house.buy(output="a.jpg"))
    assert names(house) == ["a.jpg"]
    warnings = [each for each in house.events if isinstance(each, Note) and each.is_warning]
    assert len(warnings) == 1
    assert "PNG" in warnings[0].message


# -- more than can be fetched ----------------------------------------------------------------------


def test_an_answer_without_end_ends_at_the_deadline(house: House) -> None:
    """Of 60 URLs, each a minute away, what comes within `--timeout` is kept; then 75."""
    slow = 60.0

    def drip() -> bytes:
        house.clock.sleep(slow)
        return house.transport.whole[0]

    count = 60
    house.transport.answers = [made(*range(1, count + 1))]
    house.transport.pictures = {url_of(index): [drip] for index in range(1, count + 1)}
    start = house.clock.monotonic()
    (job,) = house.run(house.buy(output="out/"))
    assert house.clock.monotonic() - start < house.engine.timing.timeout + 10 * slow
    assert (job.state, len(job.images)) == (State.READY, count)
    assert len(saved(job)) >= house.engine.timing.timeout / slow
    assert house.engine.problems[job.id].code == "timeout"
    house.adjust(timing=replace(house.engine.timing, deadline=house.clock.monotonic() + 10**6))
    house.transport.pictures = {}
    (job,) = house.run([job])
    assert (job.state, len(saved(job))) == (State.SAVED, count)


# -- what lies beside it ---------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


class Mortal(Files):
    """Files of a process that is killed where it writes a sidecar: right before it, or behind."""

    is_written = False

    def write_atomically(self, path: str, content: bytes, *, mode: int = 0o666) -> None:
        """Write it, or do not, and die."""
        if self.is_written:
            super().write_atomically(path, content, mode=mode)
        raise Killed


@pytest.mark.parametrize("is_written", [False, True])
def test_a_kill_beside_a_sidecar_loses_and_doubles_nothing(
    house: House, *, is_written: bool
) -> None:
    """Killed right before or behind a sidecar's writing: the next run leaves one of each."""
    house.transport.answers = [made(1)]
    jobs = house.buy(output="a.png", sidecar=True, owner=DEAD)
    alive, mortal = house.engine.files, Mortal(house.folder, DEAD)
    mortal.is_written = is_written
    house.adjust(files=mortal)
    with pytest.raises(Killed):
        house.run(jobs)
    (job,) = (house.ledger.job(each.id) for each in jobs)
    assert saved(job) == []
    house.adjust(files=alive)
    (job,) = house.run([job])
    assert (job.state, saved(job)) == (State.SAVED, [1])
    assert [path.name for path in house.pictures()] == ["a.json", "a.png"]
    receipt = json.loads((house.folder / "out" / "a.json").read_text())
    assert receipt["sha256"] == job.images[0].sha256
    assert len(house.transport.sent) == 1


def test_a_signal_while_a_saved_picture_is_fetched_anew_is_told(house: House) -> None:
    """It is not there, and the job in the ledger is no word about why."""
    house.transport.answers = [made(1)]
    (job,) = house.run(house.buy())
    house.ledger.reopen(job, [1])
    put_down(house.engine, [job.id])
    assert house.engine.problems[job.id].code == "interrupted"
