"""Sets that come as event streams: what was whole is kept, whatever becomes of the rest."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.pictures import PNG
from support.replies import URL

from seedream_cli.core.errors import ImageBroken, ImageGone, OutcomeUnknown
from seedream_cli.core.events import Note
from seedream_cli.core.model import Charge, Purpose, Reply, State
from seedream_cli.engine.answers import mark_unknown
from seedream_cli.engine.pace import Pace
from seedream_cli.transport.sse import MAX_EVENT, events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.conftest import House
    from support.soak import Soak
    from support.transport import Piece

    from seedream_cli.core.model import Call, Done, Job

DENIED = {"code": "OutputImageSensitiveContentDetected", "message": "no"}
CUT = OutcomeUnknown("the exchange broke off")


def framed(data: str) -> bytes:
    """Frame an event as Ark does."""
    return f"data: {data}\n\n".encode()


def said(**words: object) -> bytes:
    """Frame an event of JSON."""
    return framed(json.dumps(words))


def url_of(index: int) -> str:
    """Return where image `index` of a set lies, counted from 1."""
    return f"https://images.example/{index}.png"


def came(index: int) -> bytes:
    """Frame the event of one image; the wire counts from 0."""
    kind = "image_generation.partial_succeeded"
    return said(type=kind, image_index=index - 1, url=url_of(index), size="1x1")


def lost(index: int) -> bytes:
    """Frame the event of an image that was not made."""
    return said(type="image_generation.partial_failed", image_index=index - 1, error=DENIED)


PART = "image_generation.partial_"
END = said(type="image_generation.completed", usage={"generated_images": 2})
LAST = framed("[DONE]")
FAILURE = said(error={"code": "InternalServiceError", "message": "sorry"})


def hear(house: House, *pieces: Piece, series: int = 4, has_visible_end: bool = True) -> Job:
    """Buy a set, hear these pieces, and return what became of it."""
    house.transport.hears(*pieces, has_visible_end=has_visible_end)
    (job,) = house.run(house.buy(series=series))
    assert len(house.transport.sent) == 1
    return job


def saved(job: Job) -> list[int]:
    """Return which images of a job are on disk."""
    return [image.index for image in job.images if image.saved_at]


# -- sets ------------------------------------------------------------------------------------------


def test_a_whole_set_is_saved(house: House) -> None:
    """Each image of the stream under its own name; fewer than asked for is fine."""
    job = hear(house, came(1), came(2), END, LAST)
    assert (job.state, job.charge, job.problem) == (State.SAVED, Charge.CHARGED, None)
    assert (saved(job), len(house.pictures())) == ([1, 2], 2)
    assert len(house.ledger.answers(job.id, Purpose.EVENT)) == 3


def test_a_missing_image_keeps_the_others(house: House) -> None:
    """`partial_failed` of the second: the first and third are saved, the job tells of it."""
    job = hear(house, came(1), lost(2), came(3), END, LAST)
    assert (job.state, saved(job)) == (State.SAVED, [1, 3])
    assert job.problem is not None
    assert job.problem.code == "content_policy"


def test_a_failure_after_images_is_the_missing_one(house: House) -> None:
    """What came is saved; one more image carries the error."""
    job = hear(house, came(1), came(2), FAILURE)
    assert (job.state, job.charge, saved(job)) == (State.SAVED, Charge.CHARGED, [1, 2])
    assert job.images[2].problem is not None
    assert job.images[2].problem.code == "provider_failed"
    assert job.problem == job.images[2].problem


def test_a_failure_without_images_is_failed(house: House) -> None:
    """Nothing was made: failed, and not charged by Ark's word."""
    job = hear(house, FAILURE)
    assert (job.state, job.charge) == (State.FAILED, Charge.NONE)
    assert house.pictures() == []


def test_only_missing_images_and_a_failure_is_failed(house: House) -> None:
    """A set of which each image failed has nothing to save."""
    job = hear(house, lost(1), FAILURE)
    assert (job.state, job.charge) == (State.FAILED, Charge.NONE)


@pytest.mark.parametrize("tail", [b"", b'data: {"type": "image_gen', came(3)[:-1]])
def test_a_cut_is_unknown_and_keeps_what_came(house: House, tail: bytes) -> None:
    """After a cut the images that were whole are saved; half an event is none.

    One that lacks but the blank line behind it is whole.
    """
    job = hear(house, came(1), came(2), tail, CUT)
    whole = [1, 2, 3] if tail.endswith(b"}\n") else [1, 2]
    assert (job.state, job.charge, saved(job)) == (State.UNKNOWN, Charge.MAYBE, whole)
    assert job.problem is not None
    assert "--adopt" in job.problem.hint


def test_a_cut_before_the_first_event_is_unknown(house: House) -> None:
    """A stream that says nothing at all may have been charged."""
    job = hear(house, CUT)
    assert (job.state, job.images) == (State.UNKNOWN, ())


def test_an_empty_stream_is_unknown(house: House) -> None:
    """A clean end without a single image is no set, whatever the framing."""
    assert hear(house, b": ping\n\n").state is State.UNKNOWN


def test_a_clean_end_without_completed_is_done(house: House) -> None:
    """Where the framing tells an end from a cut, the word `completed` is not needed."""
    job = hear(house, came(1), came(2))
    assert (job.state, saved(job)) == (State.SAVED, [1, 2])
    assert [e.message for e in house.events if isinstance(e, Note)] == [
        f"{job.id}: the set ended without a word that it is complete; what came is kept"
    ]


@pytest.mark.parametrize("cut", [1, 2], ids=["no blank line", "no end of line"])
@pytest.mark.parametrize("end", [(), (END,), (END, LAST)], ids=["none", "completed", "DONE"])
def test_the_last_event_needs_no_blank_line(house: House, end: tuple[bytes, ...], cut: int) -> None:
    """Whatever the last event says is read, an image too, when the body ended cleanly."""
    pieces = [came(1), came(2), *end]
    job = hear(house, *pieces[:-1], pieces[-1][:-cut])
    assert (job.state, saved(job)) == (State.SAVED, [1, 2])


def test_an_endless_stream_keeps_what_came(house: House) -> None:
    """Pictures are fetched until the deadline; then it is cut and unknown, and nothing hangs."""

    def slow() -> bytes:
        house.clock.at += timedelta(seconds=100)
        return house.transport.whole[0]

    house.transport.pictures = {url_of(k): [slow] for k in range(1, 301)}
    job = hear(house, *map(came, range(1, 301)), CUT)
    assert (job.state, job.charge, len(job.images)) == (State.UNKNOWN, Charge.MAYBE, 300)
    assert 10 <= len(saved(job)) <= 20


@pytest.mark.parametrize("tail", [b'data: {"type": "image_gen', came(3)[:-5]])
def test_half_an_event_at_an_end_that_may_be_a_cut_is_none(house: House, tail: bytes) -> None:
    """Without framing half an event is stored, says nothing, and the job is unknown."""
    job = hear(house, came(1), tail, has_visible_end=False)
    assert (job.state, saved(job)) == (State.UNKNOWN, [1])


def test_an_end_that_may_be_a_cut_is_unknown(house: House) -> None:
    """Without framing a closed connection says nothing: unknown, the images kept."""
    job = hear(house, came(1), has_visible_end=False)
    assert (job.state, saved(job)) == (State.UNKNOWN, [1])


@pytest.mark.parametrize("end", [END, LAST], ids=["completed", "DONE"])
def test_either_word_for_the_end_is_enough(house: House, end: bytes) -> None:
    """`completed` or `[DONE]` alone ends a set; a cut behind it does not matter."""
    job = hear(house, came(1), end, CUT, has_visible_end=False)
    assert (job.state, saved(job)) == (State.SAVED, [1])


def test_an_image_that_is_said_twice_is_one(house: House) -> None:
    """The same index again does not replace what was written down first."""
    house.transport.pictures = {url_of(1): [CUT]}
    job = hear(house, came(1), came(1).replace(b"1.png", b"other.png"), END)
    assert [image.url for image in job.images] == [url_of(1)]
    assert set(house.transport.fetched) == {url_of(1)}


def test_an_answer_that_is_no_stream_is_read_whole(house: House) -> None:
    """A server that answers a stream's request with plain JSON is understood."""
    body = json.dumps({"model": "m", "data": [{"url": url_of(1)}, {"url": url_of(2)}]}).encode()
    house.transport.answers = [Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=body)]
    (job,) = house.run(house.buy(series=4))
    assert (job.state, saved(job)) == (State.SAVED, [1, 2])


@pytest.mark.parametrize("trouble", [CUT, ImageBroken("a web page"), ImageGone("403")])
def test_an_image_that_does_not_come_at_once_is_fetched_later(
    house: House, trouble: OutcomeUnknown | ImageBroken | ImageGone
) -> None:
    """A host that stumbles while the stream goes on is asked again when it is over."""
    house.transport.pictures = {url_of(1): [trouble, *house.transport.whole]}
    job = hear(house, came(1), came(2), END)
    assert (job.state, saved(job)) == (State.SAVED, [1, 2])


def test_a_slow_image_host_does_not_hold_the_stream_up(house: House) -> None:
    """While the first image hangs, the stream is read to its end and written down."""
    over = threading.Event()
    in_time: list[bool] = []
    (png,) = house.transport.whole

    def hang() -> bytes:
        in_time.append(over.wait(10))
        return png

    house.transport.pictures = {url_of(1): [hang]}
    job = hear(house, came(1), came(2), came(3), over.set, END)
    assert in_time == [True]
    assert (job.state, saved(job)) == (State.SAVED, [1, 2, 3])


def test_a_set_that_was_given_up_in_the_middle_goes_on(house: House) -> None:
    """The main thread lost it; its stream ended well all the same: saved."""

    def lose() -> None:
        (job,) = house.ledger.jobs(states={State.SENDING})
        mark_unknown(house.engine, job, "a signal came")

    job = hear(house, came(1), lose, came(2), END)
    assert (job.state, job.charge, saved(job)) == (State.SAVED, Charge.CHARGED, [1, 2])


def test_a_set_that_was_given_up_and_then_failed_stays_unknown(house: House) -> None:
    """A person was told to look at the charges: that word stands, and nothing else went wrong."""

    def lose() -> None:
        (job,) = house.ledger.jobs(states={State.SENDING})
        mark_unknown(house.engine, job, "a signal came")

    job = hear(house, lose, FAILURE)
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert house.engine.problems == {}


# -- a ledger that takes no more -------------------------------------------------------------------


def refuse(path: Path, table: str, what: str) -> None:
    """Let the ledger refuse rows, as a full disk would; `what` says which."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON {table} WHEN {what}"
            " BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    connection.close()


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("answers", "instr(NEW.body, CAST('/2.png' AS BLOB))"),
        ("images", "NEW.idx = 2"),
    ],
    ids=["answer", "image"],
)
def test_a_ledger_that_refuses_an_event_does_not_end_the_reading(
    house: House, table: str, what: str
) -> None:
    """The second event cannot be kept: the third is, and the second's URL is in the hint."""
    refuse(house.folder / "ledger.db", table, what)
    job = hear(house, came(1), came(2), came(3), END)
    assert saved(job) == [1, 3]
    problem = house.engine.problems[job.id]
    assert (problem.code, problem.exit) == ("storage", 74)
    assert url_of(2) in problem.hint
    assert url_of(1) not in problem.hint


def test_a_ledger_that_refuses_everything_still_says_every_url(house: House) -> None:
    """Nothing can be written down any more: all URLs are told, nothing is sent again."""
    refuse(house.folder / "ledger.db", "answers", "1")
    job = hear(house, came(1), came(2), END)
    problem = house.engine.problems[job.id]
    assert problem.hint == f"write this down: {url_of(1)} {url_of(2)}"
    assert job.state is State.SENDING


def test_an_image_that_could_not_be_written_down_is_found_by_the_next_process(
    house: House,
) -> None:
    """Its event was stored: when there is room again the picture is fetched, not bought."""
    path = house.folder / "ledger.db"
    refuse(path, "images", "NEW.idx = 2")
    house.transport.hears(came(1), came(2), came(3), END)
    (job,) = house.run(house.buy(series=4, owner="deaddead"))
    assert saved(job) == [1, 3]
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER full")
    connection.close()
    house.settle()
    (job,) = house.run([house.ledger.job(job.id)])
    assert (job.state, saved(job)) == (State.SAVED, [1, 2, 3])
    assert len(house.transport.sent) == 1


# -- event streams as such -------------------------------------------------------------------------

SAMPLE = (
    b"\xef\xbb\xbfdata: marked\r\ndata: twice\r\n\r\n"
    b": a comment\r\n"
    b"event: one\r\ndata: first\r\n\r\n"
    b"data:second\rdata: line\rid: 7\r\r"
    b": ping\n\n"
    b"data\ndata:  third\n\n"
    b"retry: 10\n\ndataless: no\n\n"
    b"data: \xe5\x9b\xbe\n\n"
    b"data: last"
)
EXPECTED = [b"marked\ntwice", b"first", b"second\nline", b"\n third", "图".encode(), b"last"]


def test_a_sample_is_read_by_the_book() -> None:
    """BOM, comments, CR, LF, CRLF, data of several lines and without a colon, other fields."""
    assert list(events([SAMPLE])) == EXPECTED


def test_every_split_into_two_reads_the_same() -> None:
    """Wherever the network cuts the bytes in two, the events are the same."""
    for at in range(len(SAMPLE) + 1):
        assert list(events([SAMPLE[:at], SAMPLE[at:]])) == EXPECTED, at


def test_every_split_into_three_reads_the_same() -> None:
    """The same for three chunks, empty ones and single bytes among them."""
    for at in range(len(SAMPLE) + 1):
        for length in (0, 1, 2, 3):
            pieces = [SAMPLE[:at], SAMPLE[at : at + length], SAMPLE[at + length :]]
            assert list(events(pieces)) == EXPECTED, (at, length)


def test_single_bytes_read_the_same() -> None:
    """A byte at a time is the worst network there is."""
    assert list(events(SAMPLE[k : k + 1] for k in range(len(SAMPLE)))) == EXPECTED


def test_an_event_comes_as_soon_as_it_is_whole() -> None:
    """Nothing is held back until the next chunk: an image is fetched while the next is made."""
    told: list[str] = []

    def chunks() -> Iterator[bytes]:
        told.append("first")
        yield b"data: 1\r\n\r\n"
        told.append("second")
        yield b"data: 2\n\n"

    heard = events(chunks())
    assert next(heard) == b"1"
    assert told == ["first"]
    assert list(heard) == [b"2"]


def test_an_event_that_never_ends_is_stopped() -> None:
    """An event beyond the limit is an unknown outcome, not all of the memory."""
    for block in (b"x" * (8 << 20), b"data: " + b"x" * (8 << 20) + b"\n"):
        chunks = (block for _ in range(MAX_EVENT // (8 << 20) + 1))
        with pytest.raises(OutcomeUnknown):
            list(events(chunks))


def test_events_by_the_book_are_read_by_the_engine(house: House) -> None:
    """BOM, CRLF, comments, a type line, and JSON over several data lines make one set."""
    kind = "image_generation.partial_succeeded"
    wide = json.dumps({"type": kind, "image_index": 1, "url": url_of(2)}, indent=1)
    lines = "".join(f"data: {line}\r\n" for line in wide.splitlines())
    stream = b"\xef\xbb\xbf: hello\r\n\r\nevent: x\r\n" + came(1).replace(b"\n", b"\r\n")
    stream += lines.encode() + b"\r\n: ping\r\n\r\n" + LAST
    job = hear(house, *(stream[k : k + 7] for k in range(0, len(stream), 7)))
    assert (job.state, saved(job)) == (State.SAVED, [1, 2])


# -- mutated streams -------------------------------------------------------------------------------


def mutated(rng: random.Random, frames: list[bytes]) -> list[bytes]:
    """Damage some frames of a stream; the others stay as they are."""
    found = []
    for frame in frames:
        match rng.randrange(8):
            case 0:
                at = rng.randrange(len(frame) - 2)
                found.append(frame[:at] + bytes([rng.randrange(256)]) + frame[at + 1 :])
            case 1:
                found.append(frame[: rng.randrange(len(frame))])
            case 2:
                found += [frame, frame]
            case 3:
                found.append(b": " + rng.randbytes(9).hex().encode() + b"\n\n")
            case 4:
                found.append(frame.replace(b"\n", rng.choice([b"\r", b"\r\n"])))
            case _:
                found.append(frame)
    if rng.randrange(4) == 0:
        rng.shuffle(found)
    return found


def whole_in(stream: bytes) -> dict[int, str]:
    """Read the images that are whole in a stream with another, slower reading of the rules."""
    found: dict[int, str | None] = {}
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for block in text.split(b"\n\n")[:-1]:
        lines = [line for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines)
        if data.strip() == b"[DONE]":
            break
        try:
            words = json.loads(data.decode())
        except ValueError:
            continue
        kind, index, url = (words.get(key) for key in ("type", "image_index", "url"))
        if kind == "image_generation.completed":
            break
        if isinstance(index, int) and ("error" in words or kind == f"{PART}failed"):
            found.setdefault(index + 1, None)
        elif isinstance(index, int) and kind == f"{PART}succeeded" and is_web(url):
            found.setdefault(index + 1, url)
    return {index: url for index, url in found.items() if url}


def is_web(url: object) -> bool:
    """Tell whether something can be fetched at all."""
    return isinstance(url, str) and bool(re.fullmatch(r"https?://[!-~]+", url, re.IGNORECASE))


def test_of_damaged_streams_the_whole_images_are_kept(house: House, soak: Soak) -> None:
    """Each ends well, unknown or failed; the images that were whole are known, and no others."""
    rng = soak.dice() if soak.is_long else random.Random(20261121)
    # So many flushes to a disk would say nothing of the reading, and take a minute.
    house.ledger._connection().execute("PRAGMA synchronous = OFF")
    house.ledger._connection().execute("PRAGMA journal_mode = MEMORY").fetchall()
    seen = set()
    (first,) = house.buy(series=6)
    for number in range(soak.times(300, long=5000)):
        house.clock.sleep(60.0)  # else the rate limit would be full
        frames = [came(1), came(2), lost(3), came(4), rng.choice([END, FAILURE, came(5)]), LAST]
        pieces = mutated(rng, frames)
        stream = b"".join(pieces)
        job = _planned_like(house, first, f"set{number:05}")
        cut: list[Piece] = [CUT] if rng.randrange(3) == 0 else []
        house.transport.sent.clear()
        house.transport.hears(*pieces, *cut)
        step = house.engine.first_step(job)
        assert step is not None
        house.take(step)
        now = house.ledger.job(job.id)
        known = {image.index: image.url for image in now.images if image.url}
        assert known == whole_in(stream), (number, stream)
        assert now.state in {State.READY, State.UNKNOWN, State.FAILED}, (number, stream)
        assert len(house.transport.sent) == 1
        assert now.id not in house.engine.problems
        seen.add(now.state)
    assert seen == {State.READY, State.UNKNOWN, State.FAILED}


def _planned_like(house: House, first: Job, job_id: str) -> Job:
    """Plan another set whose pictures are not fetched: this is about events alone."""
    house.transport.pictures = {url_of(k): [CUT] for k in range(10)}
    job = replace(first, id=job_id, purchase_digest=job_id)
    house.ledger.plan([job])
    call: Call = house.engine.calls[first.id]
    house.engine.calls[job_id] = call
    return job


@pytest.mark.parametrize("cut_off", [0, 1, 12])
def test_what_came_of_the_last_event_is_kept(house: House, cut_off: int) -> None:
    """A cut before its blank line, or within it: it is stored raw, and read where it is whole."""
    event = {"type": "image_generation.partial_succeeded", "image_index": 0, "url": URL}
    text = json.dumps(event).encode()
    text = text[: len(text) - cut_off]
    house.transport.hears(b"data: " + text, OutcomeUnknown("cut"))
    (job,) = house.run(house.buy(series=3))
    assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
    assert [each.body for each in house.ledger.answers(job.id, Purpose.EVENT)] == [text]
    assert [bool(each.saved_at) for each in job.images] == [True] * (cut_off == 0)


def test_a_slow_image_host_teaches_nothing_of_the_provider(house: House) -> None:
    """The set took five seconds; one of its pictures came a minute later."""
    measured = threading.Event()

    class Watched(Pace):
        def measure(self, job: Job, done: Done | None = None) -> float | None:
            seconds = super().measure(job, done)
            measured.set()
            return seconds

    def arrive_late() -> bytes:
        measured.wait(1)
        house.clock.sleep(60)
        return PNG

    house.adjust(pace=Watched(house.clock, lambda: 0.5, house.ledger.durations))
    house.transport.pictures = {url_of(2): [arrive_late]}
    job = hear(house, came(1), lambda: house.clock.sleep(5), came(2), END, series=2)
    assert saved(job) == [1, 2]
    assert house.ledger.durations(job)[0] == [pytest.approx(5, abs=0.01)]
