"""Bad weather after a submit: waits that are asked for, polls that stumble, pictures that break."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from support.clock import AT_ONCE

from seedream_cli.core.addresses import AddressKind
from seedream_cli.core.errors import ImageBroken
from seedream_cli.core.events import Note, Waiting
from seedream_cli.core.model import Charge, Problem, State
from seedream_cli.providers import PROVIDERS
from seedream_cli.sandbox.pictures.host import draw
from seedream_cli.sandbox.tickets import Drawing
from seedream_cli.transport.exchange import Limits, check_peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.conftest import Bench, Ended
    from support.command import Cli
    from support.wire import Chaos, Host, Play, Visit

    from seedream_cli.sandbox.server import Sandbox

HTML = b"<!doctype html><html><body><h1>One moment, please</h1></body></html>"
LONG = "10000000000"
POLLED = tuple(name for name, spec in PROVIDERS.items() if spec.dialect.poll)


def busy(retry_after: str) -> Play:
    """Return a play that asks to wait."""

    def play(visit: Visit) -> None:
        visit.request()
        visit.answer(429, HTML, {"Retry-After": retry_after})

    return play


def waits(bench: Bench) -> list[float]:
    """Return the seconds for which submits were put off."""
    return [event.seconds for event in bench.events if isinstance(event, Waiting)]


# -- Retry-After -----------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("1", 1.0), ("600", 600.0)])
def test_the_wait_is_the_one_that_was_asked_for(
    bench: Bench, chaos: Chaos, provider: str, text: str, seconds: float
) -> None:
    """Whole seconds up to ten minutes are waited for, then the same is sent once more."""
    chaos.arm(busy(text))
    ended = bench.run(bench.plan(provider, chaos.origin))
    assert ended.job.state is State.SAVED
    assert chaos.posts == 1
    assert waits(bench) == [seconds]


def test_a_date_is_waited_for(bench: Bench, chaos: Chaos) -> None:
    """An HTTP date means: until then."""
    until = format_datetime(bench.clock.now() + timedelta(seconds=90), usegmt=True)
    chaos.arm(busy(until))
    ended = bench.run(bench.plan("kie", chaos.origin))
    assert ended.job.state is State.SAVED
    assert ended.slept[0] == pytest.approx(90, abs=2)


def test_a_date_that_is_over_is_no_wait(bench: Bench, chaos: Chaos) -> None:
    """A date in the past means: now."""
    chaos.arm(busy("Wed, 21 Oct 2015 07:28:00 GMT"))
    ended = bench.run(bench.plan("ark", chaos.origin))
    assert ended.job.state is State.SAVED
    assert waits(bench) == [0.0]


@pytest.mark.parametrize(
    "text",
    ["-5", "nan", "inf", "1e3", "0x10", "soon", "", "5, 6", "\u0665", "1.5", "Wed, 99 Foo", "\x01"],
)
def test_what_is_no_time_is_a_wait_of_our_own(bench: Bench, chaos: Chaos, text: str) -> None:
    """A Retry-After that says nothing leaves our own short backoff."""
    chaos.arm(busy(text))
    ended = bench.run(bench.plan("uniall", chaos.origin))
    assert (chaos.struck, chaos.posts) == (1, 1)
    assert ended.job.state is State.SAVED
    assert [0 < wait <= 30 for wait in waits(bench)] == [True]


@pytest.mark.parametrize("text", ["601", LONG, "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_too_long_a_wait_ends_the_command(bench: Bench, chaos: Chaos, text: str) -> None:
    """More than ten minutes are not waited for: exit 69, the time is named, nothing was bought."""
    chaos.arm(busy(text), times=9)
    ended = bench.run(bench.plan("ark", chaos.origin))
    assert (ended.job.state, ended.job.charge, ended.exit) == (State.CLOSED, Charge.NONE, 69)
    assert "it asks to wait" in ended.words
    assert chaos.struck == 1
    assert ended.slept == []


def test_a_wait_beyond_the_timeout_is_not_begun(bench: Bench, chaos: Chaos) -> None:
    """Who would be told to wait longer than `--timeout` hears it at once."""
    bench.adjust(timeout=30.0)
    chaos.arm(busy("60"))
    ended = bench.run(bench.plan("kie", chaos.origin))
    assert (ended.exit, ended.next, ended.slept) == (69, "retry", [])


def test_the_command_names_the_wait(cli: Cli, chaos: Chaos) -> None:
    """The real command ends with 69 and says how long the provider wants it to wait."""
    cli.configure(chaos.origin)
    chaos.arm(busy(LONG), times=9)
    ran = cli("generate", "a fox", "-p", "kie", "--json")
    assert (ran.code, ran.object["next"], ran.object["charge"]) == (69, "retry", "none")
    assert f"{LONG} s" in ran.err


# -- polls -----------------------------------------------------------------------------------------


def kie(state: object = "success", **data: object) -> bytes:
    """Return what KIE says of the task `task-1`."""
    record = {"taskId": "task-1", "state": state, **data}
    return json.dumps({"code": 200, "msg": "success", "data": record}).encode()


@pytest.fixture
def poll(
    bench: Bench, serve: Callable[[Play], Host], paid: Sandbox
) -> Callable[..., tuple[Ended, Host]]:
    """Return what plays answers to polls, the last one for ever, and says how the job ended."""
    picture = draw(Drawing(seed=7, width=64, height=64, format="png"))
    assert paid.port

    def play(*answers: Play | bytes) -> tuple[Ended, Host]:
        left = list(answers)

        def answer(visit: Visit) -> None:
            if host.requests[-1].startswith(b"GET /a.png"):
                visit.answer(200, picture)
                return
            each = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(each, bytes):
                visit.answer(200, each.replace(b"HOST", host.origin.encode()))
            else:
                each(visit)

        host = serve(answer)
        return bench.run(bench.running(host.origin)), host

    return play


MADE = kie(resultJson=json.dumps({"resultUrls": ["HOST/a.png"]}))


def status(code: int, body: bytes = HTML) -> Play:
    """Return a play that answers with a status."""

    def play(visit: Visit) -> None:
        visit.answer(code, body)

    return play


def cut(visit: Visit) -> None:
    """Begin an answer and leave."""
    visit.answer(200, MADE[:20], length=len(MADE))


def hang_up(_: Visit) -> None:
    """Leave without an answer."""


TROUBLE = {
    "429": status(429),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "html": status(200),
    "404": status(404),
    "302": status(302),
    "cut": cut,
    "hang up": hang_up,
    "empty": b"",
    "half": MADE[:50],
    "other shape": b'{"ok":true}',
    "another task": MADE.replace(b"task-1", b"task-2"),
    "not there yet": b'{"code":422,"msg":"recordInfo is null","data":null}',
    "no record": b'{"code":200,"msg":"success","data":null}',
    "kie says 500": b'{"code":500,"msg":"server error","data":null}',
    "kie says 455": b'{"code":455,"msg":"maintenance","data":null}',
    "unknown word": kie("meditating"),
    "wrong type": kie({"x": 1}),
    "fail, then not": kie("fail", failMsg="boom"),
    "broken resultJson": kie(resultJson="{"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_poll_that_stumbles_goes_on(
    poll: Callable[..., tuple[Ended, Host]], bench: Bench, name: str
) -> None:
    """Whatever a poll meets once or five times, the picture is saved when it is there."""
    times = 1 if name == "fail, then not" else 5
    ended, _ = poll(*[TROUBLE[name]] * times, MADE)
    assert (ended.job.state, ended.exit) == (State.SAVED, 0), ended.words
    assert len(bench.pictures()) == 1
    assert ended.job.charge is Charge.CHARGED


@pytest.mark.parametrize(
    "name", sorted(set(TROUBLE) - {"fail, then not", "no record", "not there yet"})
)
def test_trouble_without_end_ends_at_the_deadline(
    poll: Callable[..., tuple[Ended, Host]], name: str
) -> None:
    """A provider that never says anything useful is left at `--timeout`: 75, download goes on."""
    ended, host = poll(TROUBLE[name])
    assert (ended.job.state, ended.exit, ended.next) == (State.RUNNING, 75, "download")
    assert f"seedream download {ended.job.id}" in ended.words
    assert 1100 <= sum(ended.slept) <= 1201
    assert all(b"POST" not in request for request in host.requests)


def test_flapping_is_read_twice(poll: Callable[..., tuple[Ended, Host]]) -> None:
    """`fail` between two `generating` is not believed, and two in a row are."""
    failed, going = kie("fail", failMsg="boom", failCode="500"), kie("generating")
    ended, _ = poll(failed, going, failed, going, failed, going, MADE)
    assert ended.job.state is State.SAVED
    ended, _ = poll(going, failed, status(502), failed)
    assert (ended.job.state, ended.job.charge, ended.exit) == (State.FAILED, Charge.MAYBE, 3)
    assert "boom (500)" in ended.words


def test_success_is_sticky(poll: Callable[..., tuple[Ended, Host]]) -> None:
    """What a provider says after it gave the URLs is not asked for any more."""
    ended, host = poll(MADE, kie("fail"))
    assert ended.job.state is State.SAVED
    assert sum(b"recordInfo" in request for request in host.requests) == 1


@pytest.mark.parametrize(
    "result",
    ['{"resultUrls":[]}', '{"resultUrls":null}', "{}", '{"resultUrls":["file:///etc/passwd"]}', ""],
)
def test_success_without_pictures_is_waited_for(
    poll: Callable[..., tuple[Ended, Host]], bench: Bench, result: str
) -> None:
    """A task that ended well before its URLs came still runs: to the deadline, then 75."""
    ended, _ = poll(kie(resultJson=result))
    assert (ended.job.state, ended.exit, ended.next) == (State.RUNNING, 75, "download")
    assert bench.pictures() == []
    ended, _ = poll(*[kie(resultJson=result)] * 5, MADE)
    assert (ended.job.state, ended.exit) == (State.SAVED, 0)


@pytest.mark.parametrize("days", [0, 20])
def test_success_that_never_brings_a_picture_fails_in_the_end(
    poll: Callable[..., tuple[Ended, Host]], days: int
) -> None:
    """When the record itself is past its life the job has failed: exit 3, maybe charged."""
    done_at = datetime.now(UTC) - timedelta(days=days)
    ended, _ = poll(kie(resultJson="{}", completeTime=int(done_at.timestamp() * 1000)))
    if not days:
        assert (ended.job.state, ended.exit) == (State.RUNNING, 75)
        return
    assert (ended.job.state, ended.job.charge, ended.exit) == (State.FAILED, Charge.MAYBE, 3)
    assert "never brought a picture" in ended.words


def test_a_strange_word_is_told_once(poll: Callable[..., tuple[Ended, Host]], bench: Bench) -> None:
    """An unknown status word is still running and is told once, also when it comes late."""
    ended, _ = poll(kie("waiting"), *[kie("meditating")] * 4, MADE)
    assert ended.job.state is State.SAVED
    notes = [event.message for event in bench.events if isinstance(event, Note)]
    assert sum("meditating" in note for note in notes) == 1


def test_a_task_that_stays_unknown_has_failed(poll: Callable[..., tuple[Ended, Host]]) -> None:
    """A task that its provider does not know after two minutes, read twice, has failed."""
    ended, _ = poll(TROUBLE["not there yet"])
    assert (ended.job.state, ended.exit) == (State.FAILED, 3)
    assert 120 <= sum(ended.slept) <= 180


@pytest.mark.parametrize("code", [401, 402, 403])
def test_an_account_error_stops_polling(poll: Callable[..., tuple[Ended, Host]], code: int) -> None:
    """A key that is not taken any more leaves the job running: exit 4, nothing is lost."""
    ended, _ = poll(json.dumps({"code": code, "msg": "no", "data": None}).encode())
    assert (ended.job.state, ended.exit, ended.next) == (State.RUNNING, 4, "fix")


# -- pictures --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples() -> dict[str, bytes]:
    """Return one whole picture of each format that the stand-in draws."""
    return {
        name: draw(Drawing(seed=3, width=48, height=48, format=name)) for name in ("png", "jpeg")
    }


@pytest.fixture
def save(bench: Bench, serve: Callable[[Play], Host]) -> Callable[[Play], Ended]:
    """Return what saves the one picture of a paid job from a host that plays."""

    def run(play: Play) -> Ended:
        host = serve(play)
        return bench.run(bench.ready(f"{host.origin}/a.png"))

    return run


def held(ended: Ended, bench: Bench, *codes: int) -> None:
    """Assert that a paid picture is not saved, not lost, and can be fetched later."""
    assert (ended.job.state, ended.job.charge) == (State.READY, Charge.CHARGED)
    assert ended.exit in (codes or (75,))
    assert ended.next == "download"
    assert f"seedream download {ended.job.id}" in ended.words
    assert bench.pictures() == []
    assert list(bench.folder.rglob("*.part")) == []


@pytest.mark.parametrize("format_", ["png", "jpeg"])
def test_a_part_of_a_picture_is_never_saved(
    bench: Bench, serve: Callable[[Play], Host], samples: dict[str, bytes], format_: str
) -> None:
    """Cut at any length before the announced one, it gets no name; whole, it does."""
    whole = samples[format_]
    bench.adjust(timeout=0.0, late_tries=0)
    lengths = {0, 1, 2, 8, 20, len(whole) - 1, len(whole) - 2, len(whole) - 12}
    lengths |= set(range(0, len(whole), max(1, len(whole) // 24)))
    cuts = iter([*sorted(lengths), len(whole)])

    def answer(visit: Visit) -> None:
        visit.answer(200, whole[: next(cuts)], length=len(whole))

    host = serve(answer)
    for _ in lengths:
        held(bench.run(bench.ready(f"{host.origin}/a.png")), bench)
    ended = bench.run(bench.ready(f"{host.origin}/a.png"))
    assert ended.job.state is State.SAVED
    assert [path.read_bytes() for path in bench.pictures()] == [whole]


def test_only_as_many_bytes_as_were_announced_are_read(
    save: Callable[[Play], Ended], bench: Bench, samples: dict[str, bytes]
) -> None:
    """They are all that there is by HTTP's measure: kept, with a warning of the missing end."""
    whole = samples["png"]
    ended = save(lambda visit: visit.answer(200, whole, length=len(whole) - 4))
    assert (ended.job.state, ended.exit) == (State.SAVED, 0)
    assert ended.job.images[0].warning == "it has no end mark"
    assert [path.read_bytes() for path in bench.pictures()] == [whole[:-4]]


@pytest.mark.parametrize(
    "body",
    [HTML, b"", b'{"error":"x"}', b"GIF", b"\x89PNG\r\n", b"\xff\xd8", b"RIFF"],
)
def test_what_is_no_picture_is_not_saved(
    save: Callable[[Play], Ended], bench: Bench, body: bytes
) -> None:
    """A web page at 200, or less than a picture's first bytes, is not written as one."""
    headers = {"Content-Type": "image/png"}
    held(save(lambda visit: visit.answer(200, body, headers)), bench)


@pytest.mark.parametrize("code", [400, 401, 408, 416, 429, 500, 502, 503, 504, 204, 206, 304])
def test_a_host_in_trouble_is_asked_again(
    save: Callable[[Play], Ended], bench: Bench, code: int
) -> None:
    """Any status that is neither the picture nor its end leaves it for later."""
    held(save(status(code)), bench)


def test_a_host_that_recovers_gives_the_picture(
    save: Callable[[Play], Ended], bench: Bench, samples: dict[str, bytes]
) -> None:
    """After five kinds of trouble the picture is saved by the same command."""
    whole = samples["jpeg"]
    plays: Iterator[Play] = iter(
        [
            status(503),
            hang_up,
            lambda visit: visit.answer(200, whole[:99], length=len(whole)),
            status(200),
            lambda visit: visit.reset(),
            lambda visit: visit.answer(200, whole),
        ]
    )

    def answer(visit: Visit) -> None:
        next(plays)(visit)

    ended = save(answer)
    assert (ended.job.state, ended.exit) == (State.SAVED, 0)
    assert [path.read_bytes() for path in bench.pictures()] == [whole]


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.png",
        "gopher://127.0.0.1:25/",
        "data:image/png;base64,AAAA",
        "//user@127.0.0.1/a.png",
        "https://",
        "http://[::1/a.png",
        "http://127.0.0.1:99999/a.png",
        "javascript:alert(1)",
        "https://user:secret@127.0.0.1:1/a.png",
    ],
)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_goes_only_where_it_may(
    bench: Bench, serve: Callable[[Play], Host], target: str, code: int
) -> None:
    """A redirect to another scheme, to no address or to a user's name is not followed."""
    bench.adjust(timeout=0.0, late_tries=0)
    host = serve(lambda visit: visit.answer(code, b"", {"Location": target}))
    held(bench.run(bench.ready(f"{host.origin}/a.png")), bench, 3, 75)
    assert len(host.requests) == 1


def test_three_redirects_and_no_more(
    bench: Bench, serve: Callable[[Play], Host], samples: dict[str, bytes]
) -> None:
    """Three hops are taken, also to another host; a fourth is not. No hop sees the key."""
    bench.adjust(timeout=0.0, late_tries=0)
    last = serve(lambda visit: visit.answer(200, samples["png"]))

    def hop(visit: Visit) -> None:
        left = int(first.requests[-1].split(b"/hop", 1)[1][:1])
        target = f"/hop{left - 1}" if left > 1 else f"{last.origin}/a.png"
        visit.answer(302, b"", {"Location": target, "Set-Cookie": "trace=me"})

    first = serve(hop)
    assert bench.run(bench.ready(f"{first.origin}/hop3")).job.state is State.SAVED
    assert (len(first.requests), len(last.requests)) == (3, 1)
    held_job = bench.run(bench.ready(f"{first.origin}/hop4"))
    assert held_job.job.state is State.READY
    assert "redirected more than 3 times" in held_job.words
    for request in first.requests + last.requests:
        assert b"authorization" not in request.lower()
        assert b"cookie" not in request.lower()
        assert b"sk-only" not in request


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_address_is_never_talked_to(
    bench: Bench, serve: Callable[[Play], Host], host: str
) -> None:
    """An image URL that leads to a private address gets no byte, whatever name it goes by."""
    inside = serve(lambda visit: visit.answer(200, b""))
    port = inside.origin.rpartition(":")[2]
    limits = Limits(connect=2, read=2, total=2)
    with (
        pytest.raises(ImageBroken, match="not a public one"),
        bench.transport.fetch(f"https://{host}:{port}/a.png", limits, allowed={AddressKind.PUBLIC}),
    ):
        pytest.fail("it was opened")
    assert inside.requests == []


PRIVATE = "127.0.0.1 10.1.2.3 192.168.0.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 ::1 ::"
PRIVATE += " fe80::1 fe80::1%eth0 fd00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 172.16.0.1"


@pytest.mark.parametrize("address", PRIVATE.split())
def test_a_private_peer_is_told(address: str) -> None:
    """Loopback, link-local, private and multicast addresses are no image hosts, mapped ones too."""
    with pytest.raises(ImageBroken, match="not a public one"):
        check_peer(address, {AddressKind.PUBLIC})


OVER = {"Date": "Tue, 01 Jan 2097 10:00:00 GMT"}
"""Of a host by whose clock every URL has lapsed."""


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_url_that_is_gone_is_exit_5(
    save: Callable[[Play], Ended], bench: Bench, code: int
) -> None:
    """Lapsed, and no fresh URL to be had: a paid picture is `expired`, exit 5, charged."""
    held(save(status(code)), bench)
    ended = save(lambda visit: visit.answer(code, HTML, OVER))
    assert (ended.job.state, ended.job.charge) == (State.EXPIRED, Charge.CHARGED)
    assert (ended.exit, ended.next) == (5, None)
    assert "the picture is gone; it was made" in ended.words
    assert bench.pictures() == []


@pytest.mark.parametrize("way", ["poll", "refresh", "neither"])
@pytest.mark.parametrize("code", [403, 410])
def test_kie_is_asked_for_a_fresh_url(
    bench: Bench, serve: Callable[[Play], Host], samples: dict[str, bytes], way: str, code: int
) -> None:
    """A lapsed URL at KIE is asked for anew, by the task first, then by `download-url`."""

    def answer(visit: Visit) -> None:
        request = host.requests[-1]
        if b"recordInfo" in request:
            name = "fresh" if way == "poll" else "old"
            body = kie(resultJson=json.dumps({"resultUrls": [f"{host.origin}/{name}.png"]}))
            visit.answer(200, body)
        elif b"download-url" in request:
            good = {"code": 200, "msg": "ok", "data": f"{host.origin}/fresh.png"}
            bad = {"code": 422, "msg": "no", "data": None}
            visit.answer(200, json.dumps(good if way == "refresh" else bad).encode())
        elif b"fresh.png" in request:
            visit.answer(200, samples["png"])
        else:
            visit.answer(code, HTML, OVER if way == "neither" else {})

    host = serve(answer)
    job = bench.ready(f"{host.origin}/old.png", provider="kie")
    ended = bench.run(job)
    if way == "neither":
        assert (ended.job.state, ended.exit) == (State.EXPIRED, 5)
        return
    assert (ended.job.state, ended.exit) == (State.SAVED, 0)
    fetched = [request for request in host.requests if b".png HTTP" in request]
    assert all(b"authorization" not in request.lower() for request in fetched)


def test_the_command_says_that_a_picture_is_gone(cli: Cli, chaos: Chaos, paid: Sandbox) -> None:
    """The real command: a paid picture whose URL lapsed is exit 5 and names the charge."""
    cli.configure(chaos.origin)
    paid.weather.change(["expire"])
    ran = cli("generate", "a fox", "-p", "ark", "--json")
    paid.weather.change([])
    found = ran.object
    assert (ran.code, found["state"], found["charge"]) == (5, "expired", "charged")
    assert "the picture is gone; it was made" in ran.err
    assert cli.pictures() == []


def test_a_slow_host_is_given_time_and_no_more(
    bench: Bench, serve: Callable[[Play], Host], samples: dict[str, bytes]
) -> None:
    """A picture that comes in drops is saved within its time, and left for later beyond it."""
    whole = samples["png"]
    pause = 0.02

    def drip(visit: Visit) -> None:
        visit.answer(200, b"", length=len(whole))
        step = len(whole) // 10 + 1
        for start in range(0, len(whole), step):
            time.sleep(pause)
            visit.send(whole[start : start + step])

    host = serve(drip)
    bench.adjust(timeout=0.0, late_tries=0)
    bench.transport.patience = Limits(connect=AT_ONCE, read=AT_ONCE, total=AT_ONCE)
    assert bench.run(bench.ready(f"{host.origin}/a.png")).job.state is State.SAVED
    pause = 5.0
    bench.transport.patience = Limits(connect=2, read=60.0, total=0.4)
    started = time.monotonic()
    ended = bench.run(bench.ready(f"{host.origin}/b.png"))
    assert time.monotonic() - started < AT_ONCE
    assert (ended.job.state, ended.exit) == (State.READY, 75)
    assert "no whole answer within 0.4 s" in ended.words


def test_a_late_download_is_tried_again_and_then_left(
    bench: Bench, serve: Callable[[Play], Host]
) -> None:
    """Past `--timeout` a picture gets three tries, not minutes of them."""
    host = serve(status(503))
    bench.adjust(timeout=0.0)
    ended = bench.run(bench.ready(f"{host.origin}/a.png"))
    held(ended, bench)
    assert len(host.requests) == 3


def test_an_image_url_may_name_no_folder(
    bench: Bench, serve: Callable[[Play], Host], samples: dict[str, bytes]
) -> None:
    """What a URL, or a header of its host, calls the picture is no part of its name."""
    headers = {"Content-Disposition": 'attachment; filename="../../../evil.png"'}
    host = serve(lambda visit: visit.answer(200, samples["png"], headers))
    ended = bench.run(bench.ready(f"{host.origin}/../../../etc/evil.png?name=..%2f..%2fevil"))
    assert ended.job.state is State.SAVED
    (path,) = bench.pictures()
    assert path.parent == bench.folder / "out"
    assert "evil" not in path.name


def test_a_signed_url_lapses_when_it_says(bench: Bench, serve: Callable[[Play], Host]) -> None:
    """The ledger keeps the lapse that Ark's URL names, so that `download` can take it first."""
    signed = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    query = f"X-Tos-Date={signed:%Y%m%dT%H%M%SZ}&X-Tos-Expires=3600"

    def answer(visit: Visit) -> None:
        if host.requests[-1].startswith(b"POST"):
            said = {"data": [{"url": f"{host.origin}/a.png?{query}"}]}
            visit.answer(200, json.dumps(said).encode())
        else:
            visit.answer(503)

    host = serve(answer)
    ended = bench.run(bench.plan("ark", host.origin))
    assert ended.job.state is State.READY
    assert ended.job.images[0].expires_at == signed + timedelta(hours=1)
    assert isinstance(ended.problem, Problem)
