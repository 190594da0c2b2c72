"""What real gateways and image hosts send: each purchase is charged once and on disk."""

from __future__ import annotations

import base64
import gzip
import json
import random
import struct
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from support.command import Cli, Ran

HEAD = b"HTTP/1.1 200 OK\r\n"
QUICK = {"SEEDREAM_REREAD_SECONDS": "0.2"}


def chunk(kind: bytes, data: bytes, *, check: int | None = None) -> bytes:
    """Build a PNG chunk, with a checksum of one's own."""
    right = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check or right)


def png(*, noise: int = 0, check: int | None = None) -> bytes:
    """Build a PNG of one pixel, with noise and a text chunk of that checksum in it."""
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
            chunk(b"prVt", random.Random(1).randbytes(noise)),
            chunk(b"tEXt", b"Comment\0x", check=check),
            chunk(b"IDAT", zlib.compress(b"\0\1\2\3")),
            chunk(b"IEND", b""),
        )
    )


PNG, ODD = png(), png(check=1)


def whole(body: bytes, *headers: str) -> bytes:
    """Write an answer whose length is told."""
    lines = [f"Content-Length: {len(body)}", *headers, "", ""]
    return HEAD + "\r\n".join(lines).encode() + body


def chunked(body: bytes, *headers: str) -> bytes:
    """Write an answer in chunks."""
    lines = ["Transfer-Encoding: chunked", *headers, "", ""]
    return HEAD + "\r\n".join(lines).encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def endless(body: bytes, *headers: str) -> bytes:
    """Write an answer that ends with its connection."""
    return HEAD + "\r\n".join([*headers, "", ""]).encode() + body


@dataclass
class Gateway:
    """Answers each submit alike, and serves pictures in the order in which they are played."""

    answer: Callable[[str], bytes] = lambda _: b""
    """From its own origin, all the bytes of an answer to a submit."""
    plays: list[bytes] = field(default_factory=list)
    """All the bytes of each answer to a GET; the last one stays."""
    submits: int = 0
    fetches: int = 0
    origin: str = ""

    def serve(self, connection: socket.socket, *, is_submit: bool) -> None:
        """Answer one request with raw bytes, and close."""
        if is_submit:
            self.submits += 1
            connection.sendall(self.answer(self.origin))
            return
        self.fetches += 1
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        connection.sendall(play)

    def names(self, *urls: str) -> None:
        """Answer with these URLs, `/1.png` on this very host among them."""
        self.answer = lambda origin: whole(
            json.dumps({"data": [{"url": origin + url} for url in urls or ("/1.png",)]}).encode()
        )

    def holds(self, data: object) -> None:
        """Answer with this `data`."""
        self.answer = lambda _: whole(json.dumps({"data": data}).encode())

    def streams(self, text: str, framing: Callable[..., bytes], *headers: str) -> None:
        """Answer with events; `{}` stands for the origin."""
        self.answer = lambda origin: framing(text.replace("{}", origin).encode(), *headers)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Serve on loopback."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            with suppress(OSError):
                gateway.serve(self.connection, is_submit=True)

        def do_GET(self) -> None:
            with suppress(OSError):
                gateway.serve(self.connection, is_submit=False)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway.origin = f"http://127.0.0.1:{server.server_address[1]}"
    yield gateway
    server.shutdown()
    server.server_close()


def run(cli: Cli, gateway: Gateway, *arguments: str) -> Ran:
    """Run a command with a profile of Ark's kind that speaks to the gateway."""
    config = cli.home / "config.toml"
    config.write_text(
        f'[profiles.g]\nprovider = "ark"\napi_key = "k"\nbase_url = "{gateway.origin}"\n'
    )
    config.chmod(0o600)
    return cli(*arguments, env=QUICK)


def buy(cli: Cli, gateway: Gateway, *arguments: str) -> tuple[Ran, dict[str, object]]:
    """Buy one picture as a.png, and return what was said of its first image."""
    ran = run(
        cli,
        gateway,
        *("generate", "x", "-p", "g", "-o", "a.png", "--any-format", "--json", "--timeout", "20"),
        *arguments,
    )
    assert gateway.submits == 1
    images = ran.objects[0]["images"]
    assert isinstance(images, list)
    return ran, images[0]


FINDS = "a checksum is wrong"
HOSTS: dict[str, tuple[list[bytes], bytes, str | None]] = {
    "odd": ([whole(ODD)], ODD, FINDS),
    "odd, in chunks": ([chunked(ODD)], ODD, FINDS),
    "odd, without a length": ([endless(ODD)], ODD, FINDS),
    "odd, then healed": ([whole(ODD), whole(PNG)], PNG, None),
    "half filled, then healed": ([whole(PNG[:-20]), whole(PNG)], PNG, None),
    "no end and no length": ([endless(PNG[:-12])], PNG[:-12], "it has no end mark"),
    "cut without a length, then whole": ([endless(PNG[:-12]), endless(PNG)], PNG, None),
    "gzip": ([whole(gzip.compress(PNG), "Content-Encoding: gzip")], PNG, None),
    "gzip that nobody names": ([whole(gzip.compress(PNG))], PNG, None),
    "gzip in chunks": ([chunked(gzip.compress(PNG), "Content-Encoding: gzip")], PNG, None),
    "deflate": ([whole(zlib.compress(PNG), "Content-Encoding: deflate")], PNG, None),
    "odd, in gzip": ([whole(gzip.compress(ODD), "Content-Encoding: gzip")], ODD, FINDS),
    "a web page, then a picture": ([whole(b"<html>"), whole(b"{}"), whole(PNG)], PNG, None),
    "gzip twice, then a picture": (
        [whole(gzip.compress(gzip.compress(PNG)), "Content-Encoding: gzip, gzip"), whole(PNG)],
        PNG,
        None,
    ),
    "gzip without its end, then whole": (
        [whole(gzip.compress(PNG)[:-9], "Content-Encoding: gzip"), whole(PNG)],
        PNG,
        None,
    ),
}


@pytest.mark.parametrize(("plays", "picture", "warning"), HOSTS.values(), ids=HOSTS)
def test_a_whole_picture_is_kept_as_its_host_sends_it(
    cli: Cli, gateway: Gateway, plays: list[bytes], picture: bytes, warning: str | None
) -> None:
    """One charge, the bytes on disk, exit 0, and a warning only where something is odd."""
    gateway.names()
    gateway.plays = list(plays)
    ran, image = buy(cli, gateway)
    assert ran.code == 0, ran.err
    assert (cli.work / "a.png").read_bytes() == picture
    assert image["warning"] == warning
    assert (FINDS in ran.err) == (warning == FINDS)
    assert [path.name for path in cli.pictures()] == ["a.png"]


def test_an_odd_picture_is_replaced_by_a_better_copy_only(cli: Cli, gateway: Gateway) -> None:
    """`download JOB` fetches it once more, free; what is worse changes nothing."""
    gateway.names()
    gateway.plays = [whole(ODD)]
    ran, _ = buy(cli, gateway)
    job = str(ran.objects[0]["job"])
    for play, kept in ((whole(b"<html>"), ODD), (whole(ODD[:-3]), ODD), (whole(PNG), PNG)):
        gateway.plays, fetches = [play], gateway.fetches
        ran = run(cli, gateway, "download", job)
        assert (ran.code, gateway.fetches) == (0, fetches + 1), ran.err
        assert (cli.work / "a.png").read_bytes() == kept
        assert (FINDS in ran.err) == (kept == ODD)
    assert gateway.submits == 1


def test_what_is_no_picture_waits_and_is_kept_aside(cli: Cli, gateway: Gateway) -> None:
    """A web page to the end of `--timeout` is no verdict; a later download brings the picture."""
    gateway.names()
    gateway.plays = [whole(b"<html>not yet")]
    ran = run(
        cli, gateway, *("generate", "x", "-p", "g", "-o", "a.png", "--any-format"), "--timeout=1"
    )
    assert ran.code == 75, ran.err
    (kept,) = (cli.home / "state" / "rescue").iterdir()
    assert kept.read_bytes() == b"<html>not yet"
    assert str(kept) in ran.err
    gateway.plays = [whole(PNG)]
    assert run(cli, gateway, "download").code == 0
    assert (cli.work / "a.png").read_bytes() == PNG
    assert (gateway.submits, kept.exists()) == (1, False)


BIG = png(noise=200_000)
INLINE = base64.b64encode(BIG).decode()


@pytest.mark.parametrize("key", ["url", "b64_json"])
@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,{INLINE}",
        base64.urlsafe_b64encode(BIG).decode().rstrip("="),
        "\r\n".join(INLINE[k : k + 76] for k in range(0, len(INLINE), 76)),
    ],
    ids=["data URL", "URL-safe", "MIME"],
)
def test_inline_pictures_are_saved_whatever_their_form(
    cli: Cli, gateway: Gateway, key: str, text: str
) -> None:
    """Nobody asked for them; they are neither printed nor kept as a URL, and swept when saved."""
    if key == "url" and not text.startswith("data:"):
        text = f"data:,{text}"
    gateway.holds([{key: text}])
    ran, image = buy(cli, gateway)
    assert (ran.code, gateway.fetches) == (0, 0), ran.err
    assert (cli.work / "a.png").read_bytes() == BIG
    assert image["warning"] is None
    assert list((cli.home / "state" / "answers").iterdir()) == []
    told = ran.out + ran.err.encode() + run(cli, gateway, "status", "last", "-v", "--json").out
    assert INLINE[:40].encode() not in told
    assert b"data:" not in told


def test_an_inline_picture_is_kept_where_there_is_room(cli: Cli, gateway: Gateway) -> None:
    """A state folder that does not take it is no reason to lose it."""
    (cli.home / "state").mkdir()
    (cli.home / "state" / "answers").write_text("in the way")
    gateway.holds([{"b64_json": INLINE}])
    ran, _ = buy(cli, gateway)
    assert ran.code == 0, ran.err
    assert (cli.work / "a.png").read_bytes() == BIG
    assert [path.name for path in cli.pictures()] == ["a.png"]


PART = 'data: {"type":"image_generation.partial_succeeded","image_index":%d,"url":"{}/%d.png"}'
DONE = 'data: {"type":"image_generation.completed"}\n\ndata: [DONE]\n\n'
TWO = f"{PART % (0, 1)}\n\n{PART % (1, 2)}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{TWO}\n\n{DONE}", "text/event-stream;charset=utf-8"),
        (f"{TWO}\n\n{DONE}", "Text/Event-Stream"),
        (f"\ufeff: hello\n\n{TWO}\n\n{DONE}", "application/json"),
        (f"event: x\n{TWO}\n\n{DONE}".replace("\n", "\r\n"), ""),
        (f"{TWO}\n\n{DONE}".replace("\n", "\r"), "application/octet-stream"),
        (f"{TWO}\n", "text/event-stream"),
        (TWO, "text/event-stream"),
        (TWO, "application/json"),
        ('{"data":[{"url":"{}/1.png"},{"url":"{}/2.png"}]}', "text/event-stream"),
    ],
)
def test_a_set_is_kept_however_it_is_spelled(
    cli: Cli, gateway: Gateway, text: str, kind: str
) -> None:
    """Two pictures, one charge, exit 0: also of a last event without its blank line."""
    framing = chunked if kind.startswith("text") else whole
    gateway.streams(text, framing, *([f"Content-Type: {kind}"] if kind else []))
    gateway.plays = [whole(PNG)]
    ran = run(
        cli,
        gateway,
        *("generate", "x", "-p", "g", "--series", "2", "-o", "a.png", "--any-format", "--json"),
    )
    assert (ran.code, gateway.submits) == (0, 1), ran.err
    assert [path.name for path in cli.pictures()] == ["a-1.png", "a-2.png"]
    assert ("complete" in ran.err) == ("completed" not in text and "{" not in text[:1])


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
def test_a_packed_answer_is_read(
    cli: Cli, gateway: Gateway, pack: Callable[[bytes], bytes]
) -> None:
    """A gateway that packs although nobody asked is no unknown outcome."""
    name = "deflate" if pack is zlib.compress else "gzip"
    gateway.answer = lambda origin: whole(
        pack(json.dumps({"data": [{"url": f"{origin}/1.png"}]}).encode()),
        f"Content-Encoding: {name}",
    )
    gateway.plays = [whole(PNG)]
    ran, _ = buy(cli, gateway)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [("400 Bad Request", None, 3), ("401 Unauthorized", 1001, 4), ("402 Payment Required", 7, 4)],
)
def test_an_error_without_a_code_is_refused_by_its_status(
    cli: Cli, gateway: Gateway, status: str, code: object, exit_code: int
) -> None:
    """`code: null` or a number is that error, not charged, and no unknown outcome."""
    body = json.dumps({"error": {"code": code, "message": "no"}}).encode()
    gateway.answer = lambda _: whole(body).replace(b"200 OK", status.encode(), 1)
    ran = run(cli, gateway, "generate", "x", "-p", "g", "-o", "a.png", "--any-format", "--json")
    assert (ran.code, gateway.submits) == (exit_code, 1)
    assert (ran.objects[0]["state"], ran.objects[0]["charge"]) == ("refused", "none")


def test_the_sandbox_rehearses_odd_pictures(cli: Cli) -> None:
    """`--fault odd` of the sandbox server goes the same way to the end."""
    server = cli.start("providers", "sandbox", "--port", "0", "--delay", "0", "--fault", "odd")
    assert server.stdout is not None
    try:
        origin = server.stdout.readline().decode().strip()
        config = cli.home / "config.toml"
        config.write_text(
            f'[profiles.k]\nprovider = "kie"\napi_key = "k"\nbase_url = "{origin}/kie"\n'
        )
        config.chmod(0o600)
        ran = cli("generate", "x", "-p", "k", "-o", "a", env=QUICK)
        assert ran.code == 0, ran.err
        assert FINDS in ran.err
    finally:
        server.terminate()
        server.communicate(timeout=10)


def test_a_batch_remembers_what_is_odd(cli: Cli, gateway: Gateway) -> None:
    """The lock has the warning, the plan shows it, a check is content, and nothing is bought."""
    gateway.names()
    gateway.plays = [whole(ODD)]
    cli.work.mkdir(exist_ok=True)
    (cli.work / "art.toml").write_text('[images.a]\nprompt = "x"\noutput = "a"\n')
    batch = ("generate", "--batch", "art.toml", "-p", "g")
    ran = run(cli, gateway, *batch)
    assert ran.code == 0, ran.err
    line = json.loads((cli.work / "art.lock").read_text())
    assert line["warning"] == FINDS
    plan = run(cli, gateway, *batch, "--plan")
    assert plan.code == 0
    assert b"current (warning)" in plan.out
    assert FINDS.encode() in plan.out
    assert run(cli, gateway, *batch, "--check").code == 0
    assert run(cli, gateway, *batch).code == 0
    assert gateway.submits == 1
