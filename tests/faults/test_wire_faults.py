"""A submit over broken wires: charged once at most, sent once unless provably nothing was begun."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import pytest
from support.clock import AT_ONCE, eventually

from seedream_cli.core.model import Charge, State
from seedream_cli.providers import PROVIDERS
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.conftest import Bench, Ended
    from support.command import Cli
    from support.soak import Soak
    from support.wire import Chaos, Host, Play, Visit

    from seedream_cli.sandbox.server import Sandbox

NAMES = tuple(PROVIDERS)
HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
HASTE = Limits(connect=AT_ONCE, read=0.4, total=0.6)
DRIP = 0.05
"""Seconds between two bytes: below the read timeout, so that only the total one ends it."""

Ending = Literal["unknown", "accepted", "refused", "busy", "unsent", "put off"]


@dataclass(frozen=True)
class Fault:
    """One way in which a submit can go wrong, and how it must end."""

    name: str
    play: Play
    ends: Ending = "unknown"
    is_charged: bool = False
    """The provider got the whole request and charged."""
    is_slow: bool = False
    """It would hang: the limits are made small."""


def _accept(_: Visit) -> None:
    """Close at once."""


def _accept_reset(visit: Visit) -> None:
    time.sleep(0.1)  # sooner, and the client might not even have been connected
    visit.reset()


def _after_bytes(count: int, *, is_reset: bool = False) -> Play:
    def play(visit: Visit) -> None:
        visit.read(count)
        if is_reset:
            visit.reset()

    return play


def _after_head(visit: Visit) -> None:
    visit.head()


def _reset_after_head(visit: Visit) -> None:
    visit.head()
    visit.reset()


def _after_request(visit: Visit) -> None:
    visit.request()


def _reset_after_request(visit: Visit) -> None:
    visit.request()
    visit.reset()


def _charged_silence(visit: Visit) -> None:
    visit.charged()
    visit.linger()


def _bent(bend: Callable[[bytes, bytes], bytes], *, is_reset: bool = False) -> Play:
    """Charge, then send what `bend` makes of the answer's head and body."""

    def play(visit: Visit) -> None:
        head, _, body = visit.charged().partition(b"\r\n\r\n")
        visit.send(bend(head + b"\r\n\r\n", body))
        if is_reset:
            # Let it arrive before the reset takes it away.
            time.sleep(0.05)
            visit.reset()

    return play


def _lengthened(by: int) -> Callable[[bytes, bytes], bytes]:
    def bend(_: bytes, body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body) + by, body)

    return bend


def _chunked(*, end: bytes) -> Callable[[bytes, bytes], bytes]:
    def bend(_: bytes, body: bytes) -> bytes:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%b\r\n" % (len(body), body) + end

    return bend


def _drip(where: Literal["head", "body"]) -> Play:
    def play(visit: Visit) -> None:
        head, _, body = visit.charged().partition(b"\r\n\r\n")
        if where == "body":
            visit.send(head + b"\r\n\r\n")
        for byte in body if where == "body" else head:
            visit.send(bytes([byte]))
            time.sleep(DRIP)

    return play


def _says(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Play:
    def play(visit: Visit) -> None:
        visit.request()
        visit.answer(status, body, headers)

    return play


def _raw(data: bytes) -> Play:
    def play(visit: Visit) -> None:
        visit.request()
        visit.send(data)

    return play


def _early(visit: Visit) -> None:
    """Answer before anything is read."""
    visit.answer(503, HTML)
    visit.linger()


def _hundreds_for_ever(visit: Visit) -> None:
    visit.request()
    while True:
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(DRIP)


def _silence(visit: Visit) -> None:
    visit.request()
    visit.linger()


def _silence_unread(visit: Visit) -> None:
    time.sleep(2)
    visit.linger(0.1)


FAULTS = (
    # -- the connection ends before an answer
    Fault("accepts and closes", _accept),
    Fault("accepts and resets", _accept_reset),
    Fault("closes after 1 byte", _after_bytes(1)),
    Fault("resets after 1 byte", _after_bytes(1, is_reset=True)),
    Fault("closes after 40 bytes", _after_bytes(40)),
    Fault("closes after the headers", _after_head),
    Fault("resets after the headers", _reset_after_head),
    Fault("closes after the request", _after_request),
    Fault("resets after the request", _reset_after_request),
    Fault("charges and closes", _bent(lambda _, __: b""), is_charged=True),
    Fault("charges and resets", _bent(lambda _, __: b"", is_reset=True), is_charged=True),
    # -- the answer ends early
    Fault("half a status line", _bent(lambda head, _: head[:7]), is_charged=True),
    Fault("half the headers", _bent(lambda head, _: head[: len(head) // 2]), is_charged=True),
    Fault("headers without a body", _bent(lambda head, _: head), is_charged=True),
    Fault("half a body", _bent(lambda head, body: head + body[: len(body) // 2]), is_charged=True),
    Fault(
        "half a body, then a reset",
        _bent(lambda head, body: head + body[: len(body) // 2], is_reset=True),
        is_charged=True,
    ),
    Fault("all but the last byte", _bent(lambda head, body: head + body[:-1]), is_charged=True),
    # whole JSON came, and only HTTP says that there was to be more
    Fault("chunks without an end", _bent(_chunked(end=b"")), "accepted", is_charged=True),
    Fault("chunks that break", _bent(_chunked(end=b"zz\r\nzz")), "accepted", is_charged=True),
    Fault("a length too long", _bent(_lengthened(+10)), "accepted", is_charged=True),
    Fault("a length too short", _bent(_lengthened(-10)), is_charged=True),
    # -- it takes too long
    Fault("drips its headers", _drip("head"), is_charged=True, is_slow=True),
    Fault("drips its body", _drip("body"), is_charged=True, is_slow=True),
    Fault("100 for ever", _hundreds_for_ever, is_slow=True),
    Fault("says nothing", _silence, is_slow=True),
    Fault("charges and says nothing", _charged_silence, is_charged=True, is_slow=True),
    Fault("reads nothing", _silence_unread, is_slow=True),
    # -- it is no answer
    Fault("garbage", _raw(b"\x00\xff\xfe garbage \x80\r\n\r\n")),
    Fault("HTTP/0.9", _raw(HTML)),
    Fault("another protocol", _raw(b"SSH-2.0-OpenSSH_9.9\r\n")),
    Fault("TLS on a plain port", _raw(b"\x15\x03\x01\x00\x02\x02\x46")),
    Fault("a gigantic header", _says(b"{}", headers={"X-Long": "x" * 300_000})),
    Fault("a hundred thousand headers", _says(b"{}", headers={f"X-{n}": "" for n in range(10**5)})),
    Fault("two lengths", _says(b"{}", headers={"content-length": "3"})),
    Fault("a length that is no number", _says(b"{}", headers={"Content-Length": "-1"})),
    Fault("answers before it reads", _early),
    # -- it is an answer that says nothing
    Fault("200 and no body", _says(b"")),
    Fault("200 and HTML", _says(HTML, headers={"Content-Type": "text/html"})),
    Fault("200 and half JSON", _says(b'{"code":200,"data":{"taskId":"abc')),
    Fault("200 and another object", _says(b'{"hello":"world"}')),
    Fault("200 and a list", _says(b'[{"taskId":"abc"}]')),
    Fault("200 and null", _says(b"null")),
    Fault("200 and wrong types", _says(b'{"code":{},"data":[[]],"error":7,"message":[]}')),
    Fault("200 and deep JSON", _says(b'{"data":' * 100_000 + b"}" * 100_000)),
    Fault("200 and deep lists", _says(b"[" * 1_000_000)),
    Fault("200 and NaN", _says(b'{"code":NaN,"data":{"taskId":"abc"}}')),
    Fault("200 and a number without end", _says(b'{"code":' + b"9" * 100_000 + b"}")),
    Fault("200 and no UTF-8", _says(b'{"data":{"taskId":"\xff\xfe"}}')),
    Fault("200 and false gzip", _says(b"not gzip", headers={"Content-Encoding": "gzip"})),
    Fault("101", _raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")),
    *(
        Fault(f"{status} and HTML", _says(HTML, status))
        for status in (201, 202, 206, 300, 400, 401, 402, 403, 404, 405, 408, 409, 413, 418, 422)
    ),
    *(
        Fault(f"{status} and HTML", _says(HTML, status))
        for status in (425, 451, 499, 500, 501, 502, 503, 504, 507, 520, 524, 529, 530, 599)
    ),
    *(Fault(f"{status} and nothing", _says(b"", status)) for status in (204, 205, 304, 500, 503)),
    *(
        Fault(f"{status} elsewhere", _says(b"", status, {"Location": "/elsewhere"}))
        for status in (301, 302, 303, 307, 308)
    ),
    Fault("503 that asks to wait", _says(HTML, 503, {"Retry-After": "1"})),
    # -- it is good news after all
    Fault(
        "100 thrice, then the answer",
        _bent(lambda head, body: b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + head + body),
        ends="accepted",
        is_charged=True,
    ),
    Fault(
        "the answer twice",
        _bent(lambda head, body: (head + body) * 2),
        ends="accepted",
        is_charged=True,
    ),
    Fault(
        "the answer with 202",
        _bent(lambda head, body: head.replace(b" 200 ", b" 202 ", 1) + body),
        ends="accepted",
        is_charged=True,
    ),
    Fault(
        "the answer with 500",
        _bent(lambda head, body: head.replace(b" 200 ", b" 500 ", 1) + body),
        ends="accepted",
        is_charged=True,
    ),
    Fault("the answer in chunks", _bent(_chunked(end=b"0\r\n\r\n")), "accepted", is_charged=True),
    Fault(
        "the answer until the end",
        _bent(lambda _, body: b"HTTP/1.1 200 OK\r\n\r\n" + body),
        ends="accepted",
        is_charged=True,
    ),
    # -- not now
    Fault("429 and HTML", _says(HTML, 429), "busy"),
    Fault("429 and nothing", _says(b"", 429), "busy"),
    Fault("429 with Retry-After", _says(HTML, 429, {"Retry-After": "1"}), "busy"),
    Fault("429 for a week", _says(HTML, 429, {"Retry-After": "604800"}), "put off"),
)
"""Seconds in which a submit that hangs must have been given up."""


def refusal(provider: str, status: int) -> bytes:
    """Return a refusal in a provider's own words."""
    match provider:
        case "ark" | "byteplus":
            said: object = {"error": {"code": "SomethingElse", "message": "no such thing"}}
        case "uniall" | "openai-images":
            said = {"error": {"message": "no such thing", "type": "some_error", "code": None}}
        case "replicate":
            said = {"title": "No", "detail": "no such thing", "status": status}
        case "openrouter":
            said = {"error": {"code": status, "message": "no such thing"}}
        case "kie" | "kie-seedream":
            said = {"code": status, "msg": "no such thing", "data": None}
        case "fal":
            said = {"detail": "no such thing"}
        case "wavespeed":
            said = {"code": status, "message": "no such thing", "data": None}
        case "seedreams":
            said = {"code": -1, "message": "no such thing"}
        case _:
            pytest.fail("say here how this provider writes an error")
    return json.dumps(said).encode()


def check(ended: Ended, fault: Fault, charges: int, sent: int) -> None:
    """Hold a job's ending against what the fault must lead to."""
    job = ended.job
    assert charges <= 1
    assert sent == (2 if fault.ends == "busy" else 0 if fault.ends == "unsent" else 1)
    match fault.ends:
        case "unknown":
            assert (job.state, job.charge) == (State.UNKNOWN, Charge.MAYBE)
            assert (ended.exit, ended.next) == (5, "settle")
            assert charges == fault.is_charged
            for words in ("may have been charged", f"status {job.id} --adopt", "--write-off"):
                assert words in ended.words
            assert PROVIDERS[job.provider].charges_page in ended.words
        case "accepted" | "busy":
            assert (job.state, job.charge) == (State.SAVED, Charge.CHARGED)
            assert (ended.exit, ended.next, charges) == (0, None, 1)
        case "refused":
            assert (job.state, job.charge) == (State.REFUSED, Charge.NONE)
            assert (ended.next, charges) == ("fix", 0)
            assert "no such thing" in ended.words
            assert "nothing was charged" in ended.words
        case "unsent" | "put off":
            assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)
            assert (ended.exit, ended.next, charges) == (69, "retry", 0)
            assert "run the same again: nothing was bought" in ended.words


def charged(paid: Sandbox) -> int:
    """Count the charges."""
    charges = paid.counters["charges"]
    assert isinstance(charges, list)
    return len(charges)


def settled(fault: Fault, chaos: Chaos, paid: Sandbox) -> None:
    """Wait for the other side: on a busy machine it may still be at what we gave up long ago."""
    eventually(lambda: chaos.struck and charged(paid) >= fault.is_charged)


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_broken_submit_is_charged_once_at_most(
    bench: Bench, chaos: Chaos, paid: Sandbox, provider: str, fault: Fault
) -> None:
    """Whatever a wire does to a submit: one charge at most, one POST, the right ending."""
    if provider == "openai-images" and fault.name in {"429 and HTML", "429 and nothing"}:
        # Of a gateway only its own word, or Retry-After, means that nothing was begun.
        fault = replace(fault, ends="unknown")
    chaos.arm(fault.play)
    bench.transport.patience = HASTE if fault.is_slow else None
    started = time.monotonic()
    ended = bench.run(bench.plan(provider, chaos.origin))
    assert time.monotonic() - started < AT_ONCE
    settled(fault, chaos, paid)
    check(ended, fault, charged(paid), chaos.struck + chaos.posts)
    assert len(bench.pictures()) == (fault.ends in {"accepted", "busy"})


@pytest.mark.parametrize("provider", NAMES)
def test_nobody_listens(bench: Bench, chaos: Chaos, paid: Sandbox, provider: str) -> None:
    """A refused connection is tried a few times, then given up: nothing was sent, exit 69."""
    chaos.close()
    ended = bench.run(bench.plan(provider, chaos.origin))
    assert len(ended.slept) == bench.engine.timing.submit_tries - 1
    check(ended, Fault("refused connection", _accept, "unsent"), 0, chaos.posts)
    assert paid.counters["charges"] == []


@pytest.mark.parametrize("provider", NAMES)
def test_who_was_away_for_a_moment_is_asked_once(
    bench: Bench, chaos: Chaos, paid: Sandbox, provider: str
) -> None:
    """A submit that could not leave leaves later, and is charged once."""
    job = bench.plan(provider, chaos.origin)
    bench.addresses[job.id] = "http://127.0.0.1:9"
    bench.clock.at_sleep = bench.addresses.clear
    ended = bench.run(job)
    assert (ended.job.state, ended.exit) == (State.SAVED, 0)
    assert charged(paid) == chaos.posts == 1


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 415, 422, 451])
def test_a_refusal_in_its_own_words_is_final(
    bench: Bench, chaos: Chaos, paid: Sandbox, provider: str, status: int
) -> None:
    """What a provider turns down in its own envelope was not charged and is not sent again."""
    chaos.arm(_says(refusal(provider, status), status))
    ended = bench.run(bench.plan(provider, chaos.origin))
    check(ended, Fault("refused", _accept, "refused"), 0, chaos.struck + chaos.posts)
    is_account = status in {401, 402, 403}
    assert ended.exit == (4 if is_account else 3)
    assert paid.counters["charges"] == []


@pytest.mark.parametrize("provider", NAMES)
@pytest.mark.parametrize("status", [409, 501, 524])
def test_trouble_of_any_kind_in_its_own_words_is_unknown(
    bench: Bench, chaos: Chaos, provider: str, status: int
) -> None:
    """An envelope with a code that no document lists says nothing: it is never sent again."""
    chaos.arm(_says(refusal(provider, status), status))
    ended = bench.run(bench.plan(provider, chaos.origin))
    assert (ended.job.state, ended.exit) == (State.UNKNOWN, 5)
    assert chaos.struck + chaos.posts == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 529])
def test_openrouters_trouble_in_its_own_words_is_not_billed(
    bench: Bench, chaos: Chaos, paid: Sandbox, status: int
) -> None:
    """What it documents as not billed has failed: exit 3, no charge, and sent once all the same."""
    chaos.arm(_says(refusal("openrouter", status), status))
    ended = bench.run(bench.plan("openrouter", chaos.origin))
    assert (ended.job.state, ended.job.charge, ended.exit) == (State.FAILED, Charge.NONE, 3)
    assert (chaos.struck + chaos.posts, paid.counters["charges"]) == (1, [])


@pytest.mark.parametrize("provider", [name for name in NAMES if name != "openrouter"])
@pytest.mark.parametrize("status", [408, 409, 500, 503])
def test_trouble_in_its_own_words_is_unknown(
    bench: Bench, chaos: Chaos, provider: str, status: int
) -> None:
    """An envelope does not make a server's mishap safe: it is never sent again."""
    chaos.arm(_says(refusal(provider, status), status))
    ended = bench.run(bench.plan(provider, chaos.origin))
    check(ended, Fault("trouble", _accept), 0, chaos.struck + chaos.posts)


@pytest.mark.parametrize("provider", NAMES)
def test_who_is_busy_for_ever_is_given_up(
    bench: Bench, chaos: Chaos, paid: Sandbox, provider: str
) -> None:
    """A provider that only says 429 is asked ten times, then left: exit 69, nothing bought."""
    paced = json.dumps({"error": {"type": "rate_limit_error", "message": "too fast"}}).encode()
    chaos.arm(_says(paced if provider == "openai-images" else HTML, 429), times=100)
    ended = bench.run(bench.plan(provider, chaos.origin))
    assert chaos.struck == bench.engine.timing.busy_tries
    assert (ended.job.state, ended.exit, ended.next) == (State.CLOSED, 69, "retry")
    assert paid.counters["charges"] == []


@pytest.mark.parametrize("provider", NAMES)
def test_a_redirect_is_followed_nowhere(
    bench: Bench, chaos: Chaos, serve: Callable[[Play], Host], provider: str
) -> None:
    """A submit that is sent elsewhere goes nowhere: neither the request nor the key."""
    other = serve(_accept)
    for status in (301, 302, 303, 307, 308):
        chaos.arm(_says(b"", status, {"Location": f"{other.origin}/steal"}))
        ended = bench.run(bench.plan(provider, chaos.origin))
        check(ended, Fault("elsewhere", _accept), 0, chaos.struck + chaos.posts)
    assert other.requests == []


@pytest.mark.parametrize("name", [name for name in NAMES if PROVIDERS[name].dialect.poll])
def test_an_upstream_that_charges_and_breaks_is_unknown_at_every_byte(
    bench: Bench, chaos: Chaos, paid: Sandbox, name: str, soak: Soak
) -> None:
    """Cut at any byte before its end, the answer to a charged submit is unknown, never re-sent."""
    whole: list[int] = []

    def measured(visit: Visit) -> None:
        answer = visit.charged()
        whole.append(len(answer))
        visit.send(answer)

    chaos.arm(measured)
    bench.run(bench.plan(name, chaos.origin))
    step = 7 if soak.is_long else max(7, whole[0] // 40)  # some answers name many addresses
    for cut in range(0, whole[0] - 1, step):
        paid.tally.reset()
        chaos.arm(_cut_at(cut))
        ended = bench.run(bench.plan(name, chaos.origin))
        check(ended, Fault("cut", _accept, is_charged=True), charged(paid), chaos.struck)
        assert chaos.posts == 0


@pytest.mark.parametrize(
    "fault",
    [
        fault
        for fault in FAULTS
        # A stream that said that it is over is over, however it breaks off then.
        if fault.ends != "accepted" and fault.name != "all but the last byte"
    ],
    ids=lambda fault: fault.name,
)
def test_a_broken_stream_is_charged_once_at_most(
    bench: Bench, chaos: Chaos, paid: Sandbox, fault: Fault
) -> None:
    """A set that comes as a stream: the same endings, and what came whole is kept."""
    chaos.arm(fault.play)
    bench.transport.patience = HASTE if fault.is_slow else None
    ended = bench.run(bench.plan("ark", chaos.origin, series=2))
    settled(fault, chaos, paid)
    check(ended, fault, charged(paid), chaos.struck + chaos.posts)
    saved = [image for image in ended.job.images if image.saved_at]
    assert len(bench.pictures()) == len(saved)


def test_a_stream_cut_anywhere_keeps_what_came(bench: Bench, chaos: Chaos, paid: Sandbox) -> None:
    """Cut at any event of a set: the pictures before the cut are saved, the job is unknown."""
    whole: list[bytes] = []

    def measured(visit: Visit) -> None:
        whole.append(visit.charged())
        visit.send(whole[0])

    chaos.arm(measured)
    made = bench.run(bench.plan("ark", chaos.origin, series=3))
    assert (made.job.state, made.exit) == (State.SAVED, 0)
    events = [at.start() for at in re.finditer(rb"event: ", whole[0])]
    count = len(made.job.images)
    assert len(events) == count + 1
    for came, end in enumerate(events):
        paid.tally.reset()
        before = len(bench.pictures())
        chaos.arm(_cut_at(end - 6))
        ended = bench.run(bench.plan("ark", chaos.origin, series=3))
        assert (ended.job.state, ended.exit, ended.next) == (State.UNKNOWN, 5, "settle"), came
        assert len([image for image in ended.job.images if image.saved_at]) == came
        assert len(bench.pictures()) == before + came
        assert (chaos.struck, chaos.posts, charged(paid)) == (1, 0, 1)


def _cut_at(count: int) -> Play:
    def play(visit: Visit) -> None:
        visit.send(visit.charged()[:count])

    return play


# What is not bound by limits of minutes, through the real command: half on ark, half on kie.
SPOKEN = [fault for fault in FAULTS if not fault.is_slow]
BY_HAND = [
    (fault, ("ark", "kie")[number % 2])
    for number, fault in enumerate(
        [fault for fault in SPOKEN if fault.ends != "unknown"]
        + [fault for fault in SPOKEN if fault.ends == "unknown"][::4]
    )
]


@pytest.mark.parametrize(
    ("fault", "provider"), BY_HAND, ids=lambda each: getattr(each, "name", each)
)
def test_the_command_says_it_too(
    cli: Cli, chaos: Chaos, paid: Sandbox, fault: Fault, provider: str
) -> None:
    """The real command ends with the same state, exit code, `next` and words."""
    cli.configure(chaos.origin)
    chaos.arm(fault.play)
    ran = cli("generate", "a fox", "-p", provider, "--json")
    found = ran.object
    expected: dict[str, tuple[int, str, str, str | None]] = {
        "unknown": (5, "unknown", "maybe", "settle"),
        "accepted": (0, "saved", "charged", None),
        "busy": (0, "saved", "charged", None),
        "put off": (69, "closed", "none", "retry"),
    }
    got = (ran.code, found["state"], found["charge"], found["next"])
    assert got == expected[fault.ends], ran.err
    assert charged(paid) <= 1
    assert chaos.struck + chaos.posts == (2 if fault.ends == "busy" else 1)
    if fault.ends == "unknown":
        assert f"status {found['job']} --adopt" in ran.err
        assert "it may have been charged" in ran.err
        again = cli("generate", "a fox", "-p", provider, "--json")
        assert (again.code, again.object["job"]) == (5, None)
        assert chaos.posts == 0, "the same purchase is held back"
    if fault.ends == "put off":
        assert "604800 s" in ran.err
