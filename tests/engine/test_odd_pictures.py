"""What was paid for is kept, odd as it may be; a second look takes what is better."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import ImageGone, OutcomeUnknown, Unsent
from seedream_cli.core.events import Note
from seedream_cli.core.model import Charge, Job, Purpose, Reply, State

if TYPE_CHECKING:
    from engine.conftest import House
    from support.transport import Play

    from seedream_cli.core.errors import SeedreamError

URL = "https://images.example/1.png"
CASES = Path(__file__).parent.parent / "unit" / "storage" / "pictures"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)
ODD = PNG[:-12] + b"\0\0\0\x01tEXtx\0\0\0\0" + PNG[-12:]
ODDER = PNG[:-12] + b"\0\0\0\x01tEXty\0\0\0\0" + PNG[-12:]
CUT = PNG[:-6]
PAGE = b"<!DOCTYPE html><title>One moment</title>"


def answer(*members: dict[str, str]) -> Reply:
    """Ark's answer with these members."""
    body = json.dumps({"model": "m", "created": 1, "data": members}).encode()
    return Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=body)


def buy(house: House, *plays: Play, **flags: bool) -> Job:
    """Buy one picture whose host brings these plays, and return the job at its end."""
    house.transport.answers = [answer({"url": URL})]
    house.transport.pictures = {URL: list(plays)}
    (job,) = house.run(
        house.buy("ark", "a fox", 1, output="a.png", **flags)  # type: ignore[arg-type]
    )
    assert len(house.transport.sent) == 1  # whatever comes, it is paid for once
    return job


def later(house: House, job: Job, *plays: Play) -> Job:
    """Let a later command take a job on, as `download JOB` does."""
    house.transport.pictures = {URL: list(plays)}
    house.engine.seen.clear()
    (job,) = house.run([job])
    return job


def bytes_of(job: Job) -> bytes:
    """Return what was saved of a job's first picture."""
    return Path(job.images[0].path or "").read_bytes()


def warnings(house: House) -> list[str]:
    """Return what was warned of."""
    return [e.message for e in house.events if isinstance(e, Note) and e.is_warning]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wrong-checksum-in-text-chunk.png", "a checksum is wrong"),
        ("without-end-mark.jpg", "it has no end mark"),
        ("windows.bmp", "this format is not looked into"),
    ],
)
def test_a_whole_picture_is_kept_with_what_was_found(house: House, name: str, words: str) -> None:
    """It is fetched twice, 5 s apart, and the same bytes are all that there is."""
    picture = (CASES / name).read_bytes()
    job = buy(house, picture)
    assert (job.state, job.charge, job.images[0].warning) == (State.SAVED, Charge.CHARGED, words)
    assert bytes_of(job) == picture
    assert (job.images[0].width, job.images[0].height) == (64, 64)
    assert house.transport.fetched == [URL, URL]
    assert sum(house.clock.slept) == pytest.approx(5, abs=0.01)
    (warning,) = [each for each in warnings(house) if words in each]
    assert str(job.images[0].path) in warning


@pytest.mark.parametrize("first", [ODD, CUT], ids=["a wrong checksum", "half filled"])
def test_a_host_that_heals_is_believed(house: House, first: bytes) -> None:
    """Of two copies that differ the one without a finding is kept, and nobody is warned."""
    job = buy(house, first, PNG, sidecar=True)
    assert (job.state, job.images[0].warning, bytes_of(job)) == (State.SAVED, None, PNG)
    assert house.transport.fetched == [URL, URL]
    assert warnings(house) == []
    assert [path.name for path in house.pictures()] == ["a.json", "a.png"]
    receipt = json.loads((house.folder / "out" / "a.json").read_text())
    assert receipt["sha256"] == job.images[0].sha256


@pytest.mark.parametrize(
    "second", [ODDER, CUT, PAGE, ImageGone("403"), OutcomeUnknown("cut"), Unsent("no route")]
)
def test_what_came_first_stays_where_nothing_better_comes(
    house: House, second: bytes | SeedreamError
) -> None:
    """Whatever the second look brings, the first copy was whole by HTTP's measure."""
    job = buy(house, ODD, second)
    assert (job.state, job.images[0].warning) == (State.SAVED, "a checksum is wrong")
    assert bytes_of(job) == ODD
    assert house.transport.fetched == [URL, URL]
    assert [path.name for path in house.pictures()] == ["a.png"]


def test_a_deadline_leaves_no_second_look(house: House) -> None:
    """What has come is kept with its warning when there are no 5 s left."""
    timing = replace(house.engine.timing, deadline=house.clock.monotonic() + 4)
    house = replace(house, engine=replace(house.engine, timing=timing))
    job = buy(house, ODD)
    assert (job.state, house.transport.fetched) == (State.SAVED, [URL])
    assert len(warnings(house)) == 1


def test_a_picture_of_no_known_length_is_whole_by_its_end_mark(house: House) -> None:
    """Where HTTP has no measure the picture's own is enough."""
    house.transport.is_measured = False
    job = buy(house, PNG)
    assert (job.state, job.images[0].warning, len(house.transport.fetched)) == (
        State.SAVED,
        None,
        1,
    )


def test_the_same_bytes_twice_are_whole(house: House) -> None:
    """Without length and end mark a second fetch decides, and there is no third."""
    house.transport.is_measured = False
    job = buy(house, CUT[:-1], CUT, CUT)
    assert (job.state, job.images[0].warning) == (State.SAVED, "it has no end mark")
    assert bytes_of(job) == CUT
    assert house.transport.fetched == [URL] * 3
    assert sum(house.clock.slept) == pytest.approx(10, abs=0.1)


def test_bytes_that_differ_each_time_are_not_whole(house: House) -> None:
    """A picture without any end goes on being fetched, and its URL stays."""
    house.transport.is_measured = False
    times = count(40)
    job = buy(house, lambda: PNG[:40] + bytes(next(times)))
    assert (job.state, job.charge, job.images[0].url) == (State.READY, Charge.CHARGED, URL)
    assert house.pictures() == []
    house.transport.is_measured = True
    assert later(house, job, PNG).state is State.SAVED


@pytest.mark.parametrize("said", [PAGE, b'{"error":"AccessDenied"}', b"", b"\x1f\x8b\x08twice"])
def test_what_is_no_picture_is_fetched_again(house: House, said: bytes) -> None:
    """A web page is trouble and no verdict; the last one lies in the rescue folder."""
    job = buy(house, said)
    assert (job.state, job.charge) == (State.READY, Charge.CHARGED)
    assert house.pictures() == []
    kept = list((house.folder / "rescue").glob("*")) if said else []
    assert [path.read_bytes() for path in kept] == ([said] if said else [])
    assert later(house, job, PNG).state is State.SAVED
    assert not any(path.exists() for path in kept)


def test_a_later_download_takes_a_better_copy(house: House) -> None:
    """An odd picture is fetched once more by name; only a copy without a finding replaces it."""
    job = buy(house, ODD)
    for plays, kept in (([ODD], ODD), ([ODDER], ODD), ([ImageGone("403")], ODD), ([PNG], PNG)):
        house.transport.fetched.clear()
        job = later(house, job, *plays)
        assert (job.state, bytes_of(job)) == (State.SAVED, kept)
        assert house.transport.fetched == [URL]
    assert job.images[0].warning is None
    house.transport.fetched.clear()
    later(house, job, PNG)
    assert house.transport.fetched == []


def test_a_better_copy_never_replaces_what_a_person_changed(house: House) -> None:
    """A file that is not ours any more stays, and the better copy stands beside it."""
    job = buy(house, ODD, overwrite=True)
    path = Path(job.images[0].path or "")
    path.write_bytes(b"retouched")
    job = later(house, job, PNG)
    assert path.read_bytes() == b"retouched"
    assert bytes_of(job) == PNG


def test_a_kill_between_two_copies_is_no_harm(house: House) -> None:
    """The better copy has its name already and the ledger not yet: a later look writes it down."""
    job = buy(house, ODD)
    Path(job.images[0].path or "").write_bytes(PNG)
    job = later(house, job, PNG)
    assert (job.images[0].warning, bytes_of(job)) == (None, PNG)
    assert [path.name for path in house.pictures()] == ["a.png"]


def test_an_odd_inline_picture_is_kept_with_a_warning(house: House) -> None:
    """It came once and whole: there is nothing to be fetched again."""
    house.transport.answers = [answer({"b64_json": base64.b64encode(ODD).decode()})]
    (job,) = house.run(house.buy(output="a.png"))
    assert (job.state, job.images[0].warning) == (State.SAVED, "a checksum is wrong")
    assert len(warnings(house)) == 1
    assert house.transport.fetched == []


@pytest.mark.parametrize("key", ["url", "b64_json"])
def test_a_data_url_is_never_kept_as_one(house: House, key: str) -> None:
    """In either field it is the picture, and the ledger has no URL."""
    picture = base64.urlsafe_b64encode(PNG).decode().rstrip("=")
    house.transport.answers = [answer({key: f"data:image/png;base64,\r\n{picture}"})]
    (job,) = house.run(house.buy(output="a.png"))
    assert (job.state, job.images[0].url, bytes_of(job)) == (State.SAVED, None, PNG)
    assert house.transport.fetched == []
    assert not any("data:" in repr(event) for event in house.events)


def test_a_task_may_answer_with_a_data_url(house: House) -> None:
    """Polled providers have ways to answer inline, too."""
    result = json.dumps({"resultUrls": ["data:;base64," + base64.b64encode(PNG).decode()]})
    bodies: list[dict[str, object]] = [
        {"code": 200, "msg": "success", "data": {"taskId": "t1"}},
        {
            "code": 200,
            "msg": "ok",
            "data": {"taskId": "t1", "state": "success", "resultJson": result},
        },
    ]
    house.transport.answers = [
        Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=json.dumps(body).encode())
        for body in bodies
    ]
    (job,) = house.run(house.buy("kie", output="a.png"))
    assert (job.state, job.images[0].url, bytes_of(job)) == (State.SAVED, None, PNG)


def test_endless_pictures_end_at_the_deadline(house: House) -> None:
    """An answer may name 300,000 of them: what came is kept, the others wait at their host."""

    def slow() -> bytes:
        house.clock.at += timedelta(seconds=20)
        return PNG

    urls = [f"https://images.example/{n}.png" for n in range(3000)]
    house.transport.answers = [answer(*({"url": url} for url in urls))]
    house.transport.pictures = {url: [slow] for url in urls}
    began = house.clock.monotonic()
    (job,) = house.run(house.buy())
    assert house.clock.monotonic() - began < 1200 + 300
    assert job.state is State.READY
    assert 60 <= sum(bool(image.saved_at) for image in job.images) <= 80
    assert house.engine.problems[job.id].code == "timeout"


def test_answers_of_jobs_that_are_over_are_swept(house: House) -> None:
    """Inline pictures stay on disk as long as they may be wanted, and no longer."""
    answers = house.folder / "answers"
    answers.mkdir()
    whole = buy(house, PNG)
    (waits,) = house.buy(prompt="another")
    house.ledger.begin(waits.id)
    for name in (whole.id, waits.id, "stranger"):
        (answers / name).write_text("QUJD")
    house.settle()
    assert sorted(path.name for path in answers.iterdir()) == sorted([waits.id, "stranger"])
