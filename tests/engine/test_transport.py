"""The wire: what had left when something broke, who sees the key, and where a request may go."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import socket
import ssl
import struct
import threading
import time
import zlib
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from support.clock import AT_ONCE

from seedream_cli.core.addresses import AddressKind, kind_of
from seedream_cli.core.errors import (
    HostBarred,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    SeedreamError,
    StorageError,
    Unsent,
)
from seedream_cli.core.model import Call, LocalImage, Profile, Purpose, Secret, Slot
from seedream_cli.storage.files.inline import LONG
from seedream_cli.storage.files.store import Files
from seedream_cli.transport.client import Transport
from seedream_cli.transport.encoding import decode
from seedream_cli.transport.exchange import (
    BLOCK,
    OPENED_BY_ANY,
    AnswerCut,
    Limits,
    check_peer,
    image_url,
)
from seedream_cli.transport.proxies import Proxy, redact
from seedream_cli.transport.sse import events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from seedream_cli.core.events import Exchange

    Talk = Callable[[socket.socket, bytes], None]
    Serve = Callable[..., "Host"]

KEY = "sk-canary-5f2e9c71"
MIB = 1024 * 1024
QUICK = Limits(connect=2.0, read=2.0, total=4.0)
SUBMIT = Call(purpose=Purpose.SUBMIT, method="POST", path="/make", body={"prompt": "a fox 狐"})
POLL = Call(purpose=Purpose.POLL, method="GET", path="/task", query={"id": "t 1"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

# For loopback alone: self-signed, for localhost, 127.0.0.1, api.example and images.example.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgG3R8mfA9jrDISBt4
em5gm7C1DEkFwkUNjKxXkrWXvO+hRANCAAQEyOquvQKHvvNY8kI1Duu3ElQb9Sx7
9b3mwP7M9urJ5DVIIE78fykBRdxt5Xmc0cVcfsNeIAP65/3laFZVOWAc
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBpDCCAUugAwIBAgIUeVyh3CRT5tgDyegVBtvEAhix6GgwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIbG9vcGJhY2swIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEw
MDAwMDBaMBMxETAPBgNVBAMMCGxvb3BiYWNrMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEBMjqrr0Ch77zWPJCNQ7rtxJUG/Use/W95sD+zPbqyeQ1SCBO/H8pAUXc
beV5nNHFXH7DXiAD+uf95WhWVTlgHKN7MHkwNwYDVR0RBDAwLoIJbG9jYWxob3N0
gg5pbWFnZXMuZXhhbXBsZYILYXBpLmV4YW1wbGWHBH8AAAEwDwYDVR0TAQH/BAUw
AwEB/zAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0OBBYEFMU2FFuKG48c8ZBW5mW/EylG
jxprMAoGCCqGSM49BAMCA0cAMEQCIEhuFdazAZUxf/uYYPhbFMXRVx/1Jle28Crt
kw6xq8lJAiAW1PR1uHVLDe4KSLC80COC5z+6wUUqLjbJpD7IaOzXww==
-----END CERTIFICATE-----
"""


def answer(status: str = "200 OK", body: bytes = b"", *headers: str) -> bytes:
    """Write a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Host:
    """A server on loopback, made of raw sockets; it keeps what it was sent, byte by byte."""

    talk: Talk
    tls: ssl.SSLContext | None = None
    received: list[bytes] = field(default_factory=list)
    """What came, a connection each; after TLS, if any."""
    port: int = 0

    def __post_init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        number = len(self.received)
        self.received.append(b"")
        with suppress(OSError), ExitStack() as exits:
            exits.callback(connection.close)
            connection.settimeout(10)
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                exits.callback(connection.close)
            while not _is_whole(self.received[number]):
                chunk = connection.recv(65536)
                if not chunk:
                    break
                self.received[number] += chunk
            if self.received[number]:
                self.talk(connection, self.received[number])


def _is_whole(request: bytes) -> bool:
    if request.startswith(b"\x16"):  # the hello of TLS
        return True
    if request.startswith(b"\x05"):  # the hello of SOCKS
        return True
    head, end, body = request.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and (not length or len(body) >= int(length[0].split(b":")[1]))


def saying(*parts: bytes, pause: float = 0.0) -> Talk:
    """Return what sends these parts, with pauses between, and closes."""

    def talk(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return talk


def silent(connection: socket.socket, _: bytes) -> None:
    """Say nothing until the other side goes away."""
    connection.recv(1)


def resetting(connection: socket.socket, _: bytes) -> None:
    """Cut the connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@dataclass
class Tunnel:
    """What a proxy does that opens tunnels, whatever their name, to one host."""

    host: Host

    def __call__(self, connection: socket.socket, _: bytes) -> None:
        """Carry bytes both ways until one side ends."""
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with closing(socket.create_connection(("127.0.0.1", self.host.port))) as onward:
            back = threading.Thread(target=_carry, args=(onward, connection), daemon=True)
            back.start()
            _carry(connection, onward)
            back.join(10)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@dataclass
class Hook:
    """A hook that counts its calls, and may do something."""

    deed: Callable[[], None] = lambda: None
    calls: int = 0

    def __call__(self) -> None:
        """Be told that the first byte is about to leave."""
        self.calls += 1
        self.deed()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Return a file with a key and a certificate for loopback."""
    path = tmp_path / "loopback.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture
def serve(pem: Path) -> Iterator[Serve]:
    """Return what starts hosts; they end with the test."""
    with ExitStack() as exits:

        def start(talk: Talk, *, is_tls: bool = False) -> Host:
            context = None
            if is_tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(pem)
            host = Host(talk, context)
            exits.callback(host.close)
            return host

        yield start


def transport(
    proxy: str | None = None, ca_file: Path | None = None, **options: object
) -> Transport:
    """Return a transport; a proxy is used for everything but 127.0.0.1."""
    return Transport(
        proxy_of=lambda url: None if "//127.0.0.1" in url or proxy is None else named_proxy(proxy),
        certificates=lambda: [str(ca_file)] if ca_file else [],
        **options,  # type: ignore[arg-type] # each test names real options
    )


def named_proxy(url: str) -> Proxy:
    """Return a proxy as the environment names it."""
    return Proxy(url=Secret(url), variable="HTTPS_PROXY", shown=redact(url))


def profile(base_url: str) -> Profile:
    """Return an account at a host."""
    return Profile(name="work", provider="kie", base_url=base_url, api_key=Secret(KEY))


def unused_port() -> int:
    """Return a port of loopback where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


# -- nothing had left --------------------------------------------------------------------------


def assert_unsent(base_url: str, sender: Transport, limits: Limits = QUICK) -> Unsent:
    """Send a submit that must end before its first byte, without spending."""
    hook = Hook()
    with pytest.raises(Unsent) as caught:
        sender.send(profile(base_url), SUBMIT, limits, on_first_byte=hook)
    assert hook.calls == 0
    assert KEY not in str(caught.value)
    return caught.value


def test_a_refused_connection_is_unsent() -> None:
    """Where nobody listens nothing was sent, and nothing is spent."""
    assert_unsent(f"http://127.0.0.1:{unused_port()}", transport())


def test_a_name_that_does_not_resolve_is_unsent() -> None:
    """A host name of which DNS knows nothing: this one is too long to be asked about."""
    assert_unsent(f"http://{'a.' * 150}invalid", transport())
    assert_unsent("http://api..example", transport())


def test_a_connection_that_is_not_answered_is_unsent() -> None:
    """A host that does not take the connection in time has got nothing."""
    with ExitStack() as exits:
        full = exits.enter_context(closing(socket.socket()))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):
            filler = exits.enter_context(closing(socket.socket()))
            filler.settimeout(0)
            filler.connect_ex(full.getsockname())
        started = time.monotonic()
        limits = Limits(connect=0.3, read=60, total=60)
        assert_unsent(f"http://127.0.0.1:{full.getsockname()[1]}", transport(), limits)
        assert time.monotonic() - started < AT_ONCE


def test_a_host_that_speaks_no_tls_is_unsent(serve: Serve) -> None:
    """When TLS fails, not one byte of the request had left."""
    host = serve(saying(OK))
    assert_unsent(f"https://127.0.0.1:{host.port}", transport())
    assert not any(b"fox" in received for received in host.received)


def test_a_certificate_that_is_not_trusted_is_unsent(serve: Serve) -> None:
    """A host that cannot prove its name is told nothing."""
    host = serve(saying(OK), is_tls=True)
    assert "certificate" in assert_unsent(host.origin, transport()).message
    assert host.received == [b""]


def test_a_certificate_for_another_name_is_unsent(serve: Serve, pem: Path) -> None:
    """A trusted certificate of another host is no proof."""
    host = serve(saying(OK), is_tls=True)
    proxy = serve(Tunnel(host))
    sender = transport(f"http://127.0.0.1:{proxy.port}", pem)
    assert_unsent("https://other.example", sender)
    assert host.received == [b""]


def test_a_slow_tls_handshake_is_ended_unsent(serve: Serve) -> None:
    """The total deadline bounds what comes before the first byte, too."""
    host = serve(silent)
    started = time.monotonic()
    limits = Limits(connect=60, read=60, total=0.3)
    error = assert_unsent(f"https://127.0.0.1:{host.port}", transport(), limits)
    assert time.monotonic() - started < AT_ONCE
    assert "within 0.3 s" in error.message


def test_a_deadline_that_is_past_spends_nothing(serve: Serve) -> None:
    """When connecting alone took all the time, the request is not begun."""
    host = serve(saying(OK))

    def slow() -> str:
        time.sleep(0.3)
        return host.origin

    sender = transport(aliases={"http://sandbox.example": slow})
    assert_unsent("http://sandbox.example", sender, Limits(total=0.1))
    assert not any(host.received)


# -- the moment of the first byte --------------------------------------------------------------


@pytest.mark.parametrize("is_tls", [False, True])
def test_the_hook_comes_before_the_first_byte(serve: Serve, pem: Path, *, is_tls: bool) -> None:
    """When the hook returns the host has received nothing; it is called exactly once."""
    host = serve(saying(OK), is_tls=is_tls)
    seen = []

    def look() -> None:
        time.sleep(0.2)
        seen.extend(host.received)

    hook = Hook(look)
    sender = transport(ca_file=pem)
    reply = sender.send(profile(host.origin), SUBMIT, QUICK, on_first_byte=hook)
    assert (reply.status, reply.body) == (200, b"{}")
    assert seen == [b""], "connected, and nothing sent"
    assert hook.calls == 1
    assert len(host.received[0]) > 0


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize(
    "error", [StorageError("full"), OSError("pipe"), ValueError("odd"), KeyError("bug")]
)
def test_a_hook_that_fails_stops_the_request(
    serve: Serve, pem: Path, *, is_tls: bool, error: Exception
) -> None:
    """When the ledger does not take the purchase, its error comes through and nothing leaves."""
    host = serve(saying(OK), is_tls=is_tls)

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        transport(ca_file=pem).send(profile(host.origin), SUBMIT, QUICK, on_first_byte=fail)
    assert caught.value is error
    time.sleep(0.05)
    assert not any(host.received)


# -- something had left ------------------------------------------------------------------------

BROKEN = {
    "closed before an answer": saying(b""),
    "reset before an answer": resetting,
    "cut in the status line": saying(b"HTTP/1.1 20"),
    "cut in the headers": saying(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut in the body": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    "cut before the body": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
    "cut between chunks": saying(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
    ),
    "a chunk without a length": saying(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{\r\n"
    ),
    "no HTTP": saying(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "garbage": saying(b"\x00\xff\x16\x03" * 8 + b"\r\n\r\n"),
    "endless headers": saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000),
    "gzip that is cut": saying(answer("200 OK", gzip.compress(b"{}")[:-1])),
    "gzip with a wrong checksum": saying(
        answer("200 OK", gzip.compress(b"{}")[:-8] + bytes(8), "Content-Encoding: gzip")
    ),
    "two lengths": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
}


@pytest.mark.parametrize("talk", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_an_unknown_outcome(serve: Serve, talk: Talk) -> None:
    """Whatever cuts or spoils an answer, the request had left once and is not sent again."""
    host = serve(talk)
    hook = Hook()
    with pytest.raises(OutcomeUnknown) as caught:
        transport().send(profile(host.origin), SUBMIT, QUICK, on_first_byte=hook)
    assert hook.calls == 1
    assert len(host.received) == 1
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("place", ["headers", "body", "chunks"])
def test_a_slow_drip_is_ended_by_the_total_limit(serve: Serve, place: str) -> None:
    """A host that keeps the read timeout from firing does not keep us for ever."""
    head = b"HTTP/1.1 200 OK\r\n"
    starts = {
        "headers": head + b"X: ",
        "body": head + b"Content-Length: 1000\r\n\r\n",
        "chunks": head + b"Transfer-Encoding: chunked\r\n\r\n",
    }
    drop = b"1\r\n \r\n" if place == "chunks" else b"x"
    host = serve(saying(starts[place], *[drop] * 1000, pause=0.05))
    started = time.monotonic()
    limits = Limits(read=AT_ONCE, total=0.5)
    with pytest.raises(OutcomeUnknown, match=r"within 0\.5 s"):
        transport().send(profile(host.origin), SUBMIT, limits)
    assert 0.4 <= time.monotonic() - started < AT_ONCE


def test_a_slow_drip_over_tls_is_ended_too(serve: Serve, pem: Path) -> None:
    """The deadline reaches through TLS."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    host = serve(saying(start, *[b"x"] * 1000, pause=0.05), is_tls=True)
    started = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        transport(ca_file=pem).send(profile(host.origin), SUBMIT, Limits(read=AT_ONCE, total=0.5))
    assert 0.4 <= time.monotonic() - started < AT_ONCE


def test_a_silent_host_is_an_unknown_outcome(serve: Serve) -> None:
    """A request that was taken and never answered may have been charged."""
    host = serve(silent)
    with pytest.raises(OutcomeUnknown):
        transport().send(profile(host.origin), SUBMIT, Limits(read=0.2, total=5))
    assert host.received[0].endswith('狐"}'.encode())


# -- whole answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        "200 OK",
        "201 Created",
        "204 No Content",
        "302 Found",
        "307 Temporary Redirect",
        "400 No",
        "401 Who",
        "402 Pay",
        "404 What",
        "429 Slow",
        "451 Law",
        "500 Oh",
        "503 Busy",
    ],
)
def test_any_whole_answer_is_brought_as_it_came(serve: Serve, status: str) -> None:
    """What a status means is its dialect's to say; no redirect is followed with a key."""
    elsewhere = serve(saying(OK))
    body = b"" if status.startswith("204") else b'{"caf\xe9":'
    host = serve(saying(answer(status, body, f"Location: {elsewhere.origin}/", "X-Request-ID: r1")))
    reply = transport().send(profile(host.origin), SUBMIT, QUICK)
    assert (reply.purpose, reply.status, reply.body) == (Purpose.SUBMIT, int(status[:3]), body)
    assert reply.headers["x-request-id"] == "r1"
    assert len(host.received) == 1
    assert elsewhere.received == []


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"{" * 100_000])
def test_a_strange_body_is_brought_as_it_came(serve: Serve, body: bytes) -> None:
    """The transport reads no body."""
    host = serve(saying(answer("200 OK", body, "Content-Type: text/html")))
    assert transport().send(profile(host.origin), SUBMIT, QUICK).body == body


def test_an_answer_that_ends_with_its_connection_is_whole(serve: Serve) -> None:
    """HTTP/1.0 says so, and some gateways still speak it."""
    host = serve(saying(b"HTTP/1.0 200 OK\r\n\r\n", b'{"a":', b"1}", pause=0.02))
    assert transport().send(profile(host.origin), SUBMIT, QUICK).body == b'{"a":1}'


@pytest.mark.parametrize("is_spilling", [True, False])
@pytest.mark.parametrize("size", [0, 7, 100_000])
def test_what_came_of_a_cut_answer_goes_with_the_error(
    serve: Serve, tmp_path: Path, size: int, *, is_spilling: bool
) -> None:
    """Wherever it is cut, also within a string, long or short, not a byte of it is lost."""
    body = b'{"data":{"taskId":"t1"},"url":"https://a/' + b"x" * size
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    host = serve(saying(head + b"%x\r\n%s\r\n" % (len(body), body)))
    files, folder = Files(tmp_path, "ownerone"), str(tmp_path)
    with (
        transport().listen(profile(host.origin), SUBMIT, QUICK) as heard,
        files.spill("job", folder) as spill,
    ):
        heard.spill = spill if is_spilling else None
        with pytest.raises(OutcomeUnknown) as raised:
            heard.whole()
    assert isinstance(raised.value, AnswerCut)
    reply = raised.value.reply
    found = re.search(rb"spill:[0-9:a-z]+", reply.body)
    text = b"".join(files.read_spilled("job", folder, found[0].decode())) if found else b""
    assert (found is not None) == (is_spilling and size > LONG)
    assert reply.body.replace(found[0] if found else b"-", text or b"-") == body


TASK = b'{"task":"t1"}'
BARE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
PACKED = {
    "gzip": ("gzip", gzip.compress(TASK)),
    "gzip, by its old name": ("X-GZip", gzip.compress(TASK)),
    "gzip that nobody names": ("identity", gzip.compress(TASK)),
    "gzip with something behind it": ("gzip", gzip.compress(TASK) + bytes(20)),
    "gzip in two members": ("gzip", gzip.compress(TASK[:5]) + gzip.compress(TASK[5:])),
    "gzip with an empty member": ("gzip", gzip.compress(b"") + gzip.compress(TASK)),
    "deflate": ("deflate", zlib.compress(TASK)),
    "deflate, the bare one": ("deflate", BARE.compress(TASK) + BARE.flush()),
    "gzip that is none": ("gzip", TASK),
    "what we do not know and is plain": ("aws-chunked", TASK),
}


@pytest.mark.parametrize(("name", "body"), PACKED.values(), ids=PACKED)
def test_an_answer_that_was_packed_unasked_is_unpacked(
    serve: Serve, name: str, body: bytes
) -> None:
    """We ask for identity; a proxy that packs all the same loses no answer and no picture."""
    host = serve(saying(answer("200 OK", body, f"Content-Encoding: {name}")))
    assert transport().send(profile(host.origin), SUBMIT, QUICK).body == TASK
    assert b"accept-encoding: identity\r\n" in host.received[0].lower()
    assert fetched(f"{host.origin}/1.png") == TASK


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_packed_bytes_may_come_in_pieces(serve: Serve, size: int) -> None:
    """Wherever the network cuts the encoding, what comes out is the same."""
    packed = gzip.compress(TASK[:5]) + gzip.compress(TASK[5:])
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    host = serve(saying(b"HTTP/1.0 200 OK\r\n\r\n", *pieces, pause=0.002))
    assert transport().send(profile(host.origin), SUBMIT, QUICK).body == TASK


def test_what_is_packed_twice_or_otherwise_passes_as_it_is(serve: Serve) -> None:
    """One layer is taken off; who reads the rest sees that it is no picture and no answer."""
    once = gzip.compress(TASK)
    host = serve(saying(answer("200 OK", gzip.compress(once), "Content-Encoding: gzip, gzip")))
    assert fetched(f"{host.origin}/1.png") == once
    host = serve(saying(answer("200 OK", b"\x0b\x06\x80{}\x03", "Content-Encoding: br")))
    assert fetched(f"{host.origin}/1.png") == b"\x0b\x06\x80{}\x03"


def test_a_bomb_is_unpacked_step_by_step() -> None:
    """However much a few bytes stand for, no step is larger than a MiB."""
    bomb = gzip.compress(bytes(64 * MIB), compresslevel=9)
    sizes = [len(piece) for piece in decode([bomb], "gzip")]
    assert (sum(sizes), max(sizes)) == (64 * MIB, MIB)


@pytest.mark.parametrize("window", [-zlib.MAX_WBITS, zlib.MAX_WBITS, 16 + zlib.MAX_WBITS])
def test_an_encoding_may_end_where_a_step_does(window: int) -> None:
    """Its end is read also where the last step came out full, and a cut one is still told."""
    for size in range(MIB - 2, MIB + 40):
        packer = zlib.compressobj(9, wbits=window)
        packed = packer.compress(bytes(size)) + packer.flush()
        assert sum(map(len, decode([packed], "deflate"))) == size
        with pytest.raises(OutcomeUnknown, match="broke off"):
            list(decode([packed[:-1]], "deflate"))


def test_an_answer_is_capped_by_its_purpose(serve: Serve) -> None:
    """Nine MiB are fine for images inline and too much for a poll; a packed bomb is stopped."""
    host = serve(saying(answer("200 OK", b"x" * (9 * MIB))))
    assert len(transport().send(profile(host.origin), SUBMIT, QUICK).body) == 9 * MIB
    with pytest.raises(OutcomeUnknown, match="larger than 8 MiB"):
        transport().send(profile(host.origin), POLL, QUICK)
    bomb = gzip.compress(b"\0" * (65 * MIB), compresslevel=1)
    host = serve(saying(answer("200 OK", bomb, "Content-Encoding: gzip")))
    with pytest.raises(OutcomeUnknown, match="larger than 64 MiB"):
        transport().send(profile(host.origin), SUBMIT, QUICK)


def test_our_key_is_struck_out_of_an_answer(serve: Serve) -> None:
    """Some errors repeat the key that was wrong; what is stored and shown does not."""
    body = f'{{"error":"bad key {KEY}, try another than {KEY}"}}'.encode()
    host = serve(saying(answer("401 Who", body, f"X-Echo: Bearer {KEY}")))
    seen: list[Exchange] = []
    sender = transport(observe=seen.append, with_bodies=True)
    reply = sender.send(profile(host.origin), SUBMIT, QUICK)
    assert reply.body == b'{"error":"bad key ****, try another than ****"}'
    assert reply.headers["x-echo"] == "Bearer ****"
    assert "a fox" in seen[0].detail
    assert "try another" in seen[0].detail
    assert KEY not in repr(seen)


def test_a_stream_is_heard_while_it_is_spoken(serve: Serve) -> None:
    """Each part of a stream is there before the next one is sent; a clean end is told apart."""
    is_heard = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        if is_heard.wait(5):
            connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")

    host = serve(talk)
    hook = Hook()
    with transport().listen(profile(host.origin), SUBMIT, QUICK, on_first_byte=hook) as heard:
        assert heard.is_stream
        assert heard.has_visible_end
        chunks = heard.chunks()
        assert next(chunks) == b"first"
        is_heard.set()
        assert b"".join(chunks) == b"second"
    assert hook.calls == 1


STREAM = b'data: {"a":1}\n\n'
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "kind",
    ["text/event-stream;charset=utf-8", "Text/Event-Stream", "application/json", "text/plain", ""],
)
@pytest.mark.parametrize(
    "body",
    [
        STREAM,
        MARK + STREAM,
        b"\n\r\n" + STREAM,
        b"event: x\n" + STREAM,
        b":\n" + STREAM,
        b"id: 1\r" + STREAM,
        b"retry: 3000\r\n" + STREAM,
    ],
)
def test_a_stream_is_told_by_its_first_bytes(serve: Serve, kind: str, body: bytes) -> None:
    """Whatever its content type, in pieces too, and nothing of it is lost."""
    headers = [f"Content-Type: {kind}"] if kind else []
    whole = answer("200 OK", body, *headers)
    head = whole.index(b"\r\n\r\n") + 4
    pieces = (bytes([byte]) for byte in whole[head:])
    for talk in (saying(whole), saying(whole[:head], *pieces, pause=0.001)):
        host = serve(talk)
        with transport().listen(profile(host.origin), SUBMIT, QUICK) as heard:
            assert heard.is_stream
            assert list(events(heard.chunks())) == [b'{"a":1}']


@pytest.mark.parametrize("body", [b'{"a":1}', MARK + b'{"a":1}', b'\r\n [{"a":1}]'])
def test_json_is_no_stream_whatever_it_is_called(serve: Serve, body: bytes) -> None:
    """A plain answer under a stream's content type is read as the answer that it is."""
    host = serve(saying(answer("200 OK", body, "Content-Type: text/event-stream")))
    with transport().listen(profile(host.origin), SUBMIT, QUICK) as heard:
        assert not heard.is_stream
        assert heard.whole().body == body.removeprefix(MARK).lstrip()


def test_an_endless_stream_ends_at_the_deadline(serve: Serve) -> None:
    """However fast it goes on, what is late is cut, and what came was handed out."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(STREAM * 1000)

    host = serve(talk)
    limits = Limits(read=2.0, total=0.5)
    with transport().listen(profile(host.origin), SUBMIT, limits) as heard:
        came = events(heard.chunks())
        assert next(came) == b'{"a":1}'
        with pytest.raises(OutcomeUnknown, match=r"within 0\.5 s"):
            list(came)


def test_what_has_no_measure_does_not_end_at_the_deadline(serve: Serve) -> None:
    """Our own shutdown of the connection is not taken for the end of what came."""

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + STREAM)
        while connection.recv(1 << 16):
            pass

    host = serve(talk)
    limits = Limits(read=20.0, total=0.3)
    with (
        transport().listen(profile(host.origin), SUBMIT, limits) as heard,
        pytest.raises(OutcomeUnknown, match=r"within 0\.3 s"),
    ):
        list(heard.chunks())


def test_a_stream_that_is_cut_is_an_unknown_outcome(serve: Serve) -> None:
    """What came before the cut was handed out; the cut itself is not taken for an end."""
    host = serve(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"))
    with transport().listen(profile(host.origin), SUBMIT, QUICK) as heard:
        chunks = heard.chunks()
        assert next(chunks) == b"first"
        with pytest.raises(OutcomeUnknown):
            next(chunks)


def test_a_stream_without_an_end_of_its_own_says_so(serve: Serve) -> None:
    """Where only the closed connection ends an answer, a cut looks like an end."""
    host = serve(saying(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"))
    with transport().listen(profile(host.origin), SUBMIT, QUICK) as heard:
        assert not heard.has_visible_end
        assert b"".join(heard.chunks()) == b"data: 1\n\n"


# -- what is sent ------------------------------------------------------------------------------


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Take a request apart: its first line, its headers in lower case, its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name.lower() not in headers, f"{name} is there twice"
        headers[name.lower()] = value
    return first, headers, body


def test_a_submit_is_what_its_dialect_made(serve: Serve) -> None:
    """Method, path, JSON in UTF-8 and extra headers arrive; the key stands in one header."""
    host = serve(saying(OK))
    transport().send(
        profile(f"{host.origin}/api/v1"),
        SUBMIT,
        QUICK,
        headers={"X-Client-Request-Id": "seedream-1"},
    )
    first, headers, body = parts(host.received[0])
    assert first == "POST /api/v1/make HTTP/1.1"
    assert json.loads(body) == SUBMIT.body
    assert headers.pop("authorization") == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["x-client-request-id"] == "seedream-1"
    assert headers["host"] == f"127.0.0.1:{host.port}"
    assert headers["connection"] == "close"
    assert "cookie" not in headers
    assert KEY.encode() not in host.received[0].replace(f"Bearer {KEY}".encode(), b"")


def test_a_poll_has_a_query_and_no_body(serve: Serve) -> None:
    """Query values are encoded; a call without a body announces none."""
    host = serve(saying(OK))
    transport().send(profile(host.origin), POLL, QUICK)
    first, headers, body = parts(host.received[0])
    assert first in {"GET /task?id=t%201 HTTP/1.1", "GET /task?id=t+1 HTTP/1.1"}
    assert body == b""
    assert "content-type" not in headers


def test_every_submit_has_a_connection_of_its_own(serve: Serve) -> None:
    """No connection is used twice, also where the host would keep it open."""

    def keep(connection: socket.socket, _: bytes) -> None:
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
        connection.recv(1)

    host = serve(keep)
    sender = transport()
    for _ in range(3):
        sender.send(profile(host.origin), SUBMIT, QUICK)
    assert len(host.received) == 3
    assert all(parts(request)[1]["connection"] == "close" for request in host.received)


def test_no_cookie_is_ever_sent_back(serve: Serve) -> None:
    """What a host sets is forgotten with its answer."""
    host = serve(saying(answer("200 OK", b"{}", "Set-Cookie: a=b; Path=/")))
    sender = transport()
    for _ in range(2):
        sender.send(profile(host.origin), POLL, QUICK)
    assert "cookie" not in parts(host.received[1])[1]


def test_an_upload_goes_to_the_upload_origin(serve: Serve) -> None:
    """The key goes to the API's origin and to the upload origin, each with its own calls."""
    api, uploads = serve(saying(OK)), serve(saying(OK))
    account = Profile(
        name="work",
        provider="kie",
        base_url=api.origin,
        upload_base_url=f"{uploads.origin}/files",
        api_key=Secret(KEY),
    )
    upload = Call(purpose=Purpose.UPLOAD, method="POST", host="upload", path="/put", body={})
    transport().send(account, upload, QUICK)
    assert api.received == []
    assert parts(uploads.received[0])[0] == "POST /files/put HTTP/1.1"
    transport().send(account, POLL, QUICK)
    assert (len(api.received), len(uploads.received)) == (1, 1)


def test_a_whole_address_is_asked_on_the_apis_own_origin_only(serve: Serve) -> None:
    """An address from an answer is asked with the key where the API is, and nowhere else."""
    api, foreign = serve(saying(OK)), serve(saying(OK))
    account = Profile(
        name="w", provider="fal", base_url=f"{api.origin}/x", auth_scheme="Key", api_key=Secret(KEY)
    )
    result = Call(purpose=Purpose.RESULT, method="GET", path=f"{api.origin}/y/1")
    transport().send(account, result, QUICK)
    line, headers, _ = parts(api.received[0])
    assert (line, headers["authorization"]) == ("GET /y/1 HTTP/1.1", f"Key {KEY}")
    for place in (foreign.origin, "https://a!b", "https://example.com:0"):
        with pytest.raises(Unsent, match="not the API's own host"):
            transport().send(account, replace(result, path=f"{place}/y/1"), QUICK)
    assert foreign.received == []


def test_bytes_are_put_where_the_provider_said_without_the_key(serve: Serve) -> None:
    """A reference image goes to the slot of an upload in two steps, and the key does not."""
    host = serve(saying(OK))
    image = LocalImage(name="a.png", media_type="image/png", digest="0", data=b"PNG")
    slot = Slot(url=f"{host.origin}/slot?sig=1", headers={"X-Meta": "1"})
    transport().put(slot, image, QUICK, allowed={AddressKind.LOOPBACK})
    line, headers, body = parts(host.received[0])
    assert (line, body) == ("PUT /slot?sig=1 HTTP/1.1", b"PNG")
    assert (headers["content-type"], headers["x-meta"]) == ("image/png", "1")
    assert "authorization" not in headers
    with pytest.raises((HostBarred, Unsent)):
        transport().put(slot, image, QUICK, allowed={AddressKind.PUBLIC})
    assert [each for each in host.received if each.startswith(b"PUT ")] == host.received[:1]


def test_without_a_key_no_authorisation_is_sent(serve: Serve) -> None:
    """The sandbox needs no key, and gets none."""
    host = serve(saying(OK))
    transport().send(Profile(name="s", provider="ark", base_url=host.origin), SUBMIT, QUICK)
    assert "authorization" not in parts(host.received[0])[1]


def test_an_exchange_is_observed_without_secrets(serve: Serve) -> None:
    """What `-v` shows of a request holds neither key nor query values, also when it fails."""
    seen: list[Exchange] = []
    host = serve(saying(OK))
    sender = transport(observe=seen.append)
    sender.send(profile(host.origin), POLL, QUICK)
    with pytest.raises(Unsent):
        sender.send(profile(f"http://127.0.0.1:{unused_port()}"), POLL, QUICK)
    assert [(one.method, one.host, one.path, one.status) for one in seen] == [
        ("GET", "127.0.0.1", "/task", 200),
        ("GET", "127.0.0.1", "/task", None),
    ]
    assert not any(KEY in repr(one) or "t 1" in repr(one) for one in seen)


def test_an_alias_is_asked_under_its_own_name(serve: Serve) -> None:
    """A stored pseudo-origin reaches whoever answers for it now, for calls and for images."""
    host = serve(saying(OK))
    origin = "http://sandbox.example"
    sender = transport(aliases={origin: lambda: host.origin})
    sender.send(profile(f"{origin}/kie"), SUBMIT, QUICK)
    with sender.fetch(f"{origin}/i/1.png", QUICK, allowed=LOCAL) as download:
        assert b"".join(download.chunks) == b"{}"
    first, headers, _ = parts(host.received[0])
    assert (first, headers["host"]) == ("POST /kie/make HTTP/1.1", "sandbox.example")
    assert parts(host.received[1])[0] == "GET /i/1.png HTTP/1.1"


# -- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["407 Who", "403 No", "502 Bad gateway", "301 There"])
def test_a_proxy_that_refuses_the_tunnel_leaves_it_unsent(serve: Serve, status: str) -> None:
    """CONNECT carries nothing of ours: its refusal spends nothing and shows no password."""
    proxy = serve(saying(answer(status)))
    sender = transport(f"http://me:hunter2@127.0.0.1:{proxy.port}")
    error = assert_unsent("https://api.example", sender)
    assert "hunter2" not in str(error)
    assert f"the proxy http://****@127.0.0.1:{proxy.port} (HTTPS_PROXY) does not" in error.message
    assert "HTTPS_PROXY" in error.hint
    first, headers, _ = parts(proxy.received[0])
    assert first == "CONNECT api.example:443 HTTP/1.1"
    assert "authorization" not in headers
    assert "proxy-authorization" in headers
    assert KEY.encode() not in b"".join(proxy.received)


OPENS = saying(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize(
    "talk",
    [saying(b""), resetting, OPENS, saying(b"HTTP/1.1 200 OK\r\n")],
    ids=["closes", "resets", "opens and closes", "cuts"],
)
def test_a_proxy_that_breaks_off_leaves_it_unsent(serve: Serve, talk: Talk) -> None:
    """Until the tunnel stands and TLS is through, nothing had left."""
    proxy = serve(talk)
    error = assert_unsent("https://api.example", transport(f"http://127.0.0.1:{proxy.port}"))
    is_beyond = talk is OPENS
    assert ("HTTPS_PROXY" in error.message) is not is_beyond


def test_a_proxy_that_is_not_there_leaves_it_unsent() -> None:
    """A proxy that refuses the connection is like a host that does."""
    port = unused_port()
    error = assert_unsent("https://api.example", transport(f"http://127.0.0.1:{port}"))
    assert f"the proxy http://127.0.0.1:{port} (HTTPS_PROXY) cannot be reached" in error.message
    assert error.hint.endswith("\nunset HTTPS_PROXY")


def test_the_hook_waits_for_the_tunnel(serve: Serve, pem: Path) -> None:
    """Through a proxy, too, nothing of the request had left when the hook returns."""
    host = serve(saying(OK), is_tls=True)
    proxy = serve(Tunnel(host))
    seen = []

    def look() -> None:
        time.sleep(0.2)
        seen.extend([*host.received, len(proxy.received)])

    hook = Hook(look)
    sender = transport(f"http://127.0.0.1:{proxy.port}", pem)
    reply = sender.send(profile("https://api.example"), SUBMIT, QUICK, on_first_byte=hook)
    assert reply.status == 200
    assert seen == [b"", 1]
    assert hook.calls == 1
    assert parts(host.received[0])[0] == "POST /make HTTP/1.1"
    assert KEY.encode() not in proxy.received[0]


def test_a_tunnel_that_is_cut_is_an_unknown_outcome(serve: Serve, pem: Path) -> None:
    """Once the request went through the tunnel, a cut may have cost something."""
    host = serve(saying(b""), is_tls=True)
    proxy = serve(Tunnel(host))
    hook = Hook()
    sender = transport(f"http://127.0.0.1:{proxy.port}", pem)
    with pytest.raises(OutcomeUnknown):
        sender.send(profile("https://api.example"), SUBMIT, QUICK, on_first_byte=hook)
    assert hook.calls == 1


def test_a_proxy_over_tls_is_held_to_the_given_certificates(serve: Serve, pem: Path) -> None:
    """`SSL_CERT_FILE` speaks for the proxy's certificate as for the host's."""
    proxy = serve(saying(answer("403 No")), is_tls=True)
    url = f"https://127.0.0.1:{proxy.port}"
    assert "403" in assert_unsent("https://api.example", transport(url, pem)).message
    assert parts(proxy.received[0])[0] == "CONNECT api.example:443 HTTP/1.1"
    assert (
        "certificate of the proxy" in assert_unsent("https://api.example", transport(url)).message
    )


@pytest.mark.skipif(importlib.util.find_spec("socksio") is None, reason="needs seedream[socks]")
@pytest.mark.parametrize("said", [b"", b"\x05", b"\x05\xff", b"\x04\x00", b"HTTP/1.1 400 No\r\n"])
def test_a_socks_proxy_that_breaks_off_leaves_it_unsent(serve: Serve, said: bytes) -> None:
    """Whatever a SOCKS proxy says instead of opening, nothing had left."""
    proxy = serve(saying(said))
    assert_unsent("https://api.example", transport(f"socks5://127.0.0.1:{proxy.port}"))


@pytest.mark.skipif(importlib.util.find_spec("socksio") is None, reason="needs seedream[socks]")
def test_a_silent_socks_proxy_is_ended_by_the_total_limit(serve: Serve) -> None:
    """A SOCKS handshake has no timeout of its own; the deadline reaches it all the same."""
    proxy = serve(silent)
    started = time.monotonic()
    limits = Limits(connect=60, read=60, total=0.4)
    sender = transport(f"socks5://127.0.0.1:{proxy.port}")
    assert_unsent("https://api.example", sender, limits)
    assert time.monotonic() - started < AT_ONCE


# -- images ------------------------------------------------------------------------------------


LOCAL = frozenset({AddressKind.PUBLIC, AddressKind.LOOPBACK})
PUBLIC = frozenset({AddressKind.PUBLIC})


def fetched(
    url: str, sender: Transport | None = None, *, allowed: Collection[AddressKind] = LOCAL
) -> bytes:
    """Fetch an image to its end."""
    sender = sender or transport()
    with sender.fetch(url, QUICK, allowed=allowed) as download:
        return b"".join(download.chunks)


def test_an_image_comes_as_it_is(serve: Serve) -> None:
    """Its length is what was announced, no key was shown, and known formats are asked for."""
    body = b"picture"
    host = serve(saying(answer("200 OK", body)))
    with transport().fetch(f"{host.origin}/1.png?sig=a%2Fb", QUICK, allowed=LOCAL) as download:
        assert download.length == len(body)
        assert download.is_measured
        assert b"".join(download.chunks) == body
    first, headers, _ = parts(host.received[0])
    assert first == "GET /1.png?sig=a%2Fb HTTP/1.1"
    assert not {"authorization", "cookie", "referer"} & set(headers)
    assert headers["accept-encoding"] == "identity"
    assert headers["accept"] == "image/png,image/jpeg,image/webp,image/gif,*/*;q=0.1"


LARGE = bytes(range(256)) * 4096
"""Several blocks."""
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        (_HEAD, LARGE),
        (_HEAD + LARGE[:10], LARGE[10:]),
        (_HEAD[:20], _HEAD[20:] + LARGE[:-1], LARGE[-1:]),
        (_HEAD, LARGE + b"what nobody announced"),
        (_CHUNKED, *(b"2000\r\n%b\r\n" % LARGE[k : k + 8192] for k in range(0, 1 << 20, 8192)),
         b"0\r\n\r\n"),
    ],
    ids=["apart", "begun", "thrice", "more", "chunked"],
)  # fmt: skip
def test_a_large_image_comes_whole_in_few_blocks(serve: Serve, pieces: tuple[bytes, ...]) -> None:
    """However it is cut into packets, and whatever came with its headers."""
    host = serve(saying(*pieces))
    with transport().fetch(f"{host.origin}/1.png", QUICK, allowed=LOCAL) as download:
        blocks = list(download.chunks)
    assert b"".join(blocks) == LARGE
    assert len(blocks) <= len(LARGE) // BLOCK + 2


def test_a_large_image_comes_whole_over_tls(serve: Serve, pem: Path) -> None:
    """A record of TLS has 16 KiB, a block has many of them."""
    host = serve(saying(_HEAD + LARGE[:100], LARGE[100:]), is_tls=True)
    sender = transport(ca_file=pem)
    with sender.fetch(f"{host.origin}/1.png", QUICK, allowed=LOCAL) as download:
        blocks = list(download.chunks)
    assert b"".join(blocks) == LARGE
    assert len(blocks) <= len(LARGE) // BLOCK + 2


@pytest.mark.parametrize(
    ("framing", "is_measured"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        ("HTTP/1.1 200 OK\r\n\r\nok", False),
        ("HTTP/1.0 200 OK\r\n\r\nok", False),
    ],
)
def test_it_is_told_whether_http_measures_an_image(
    serve: Serve, framing: str, *, is_measured: bool
) -> None:
    """An image that ends with its connection may have been cut."""
    host = serve(saying(framing.encode()))
    with transport().fetch(f"{host.origin}/1.png", QUICK, allowed=LOCAL) as download:
        assert download.is_measured == is_measured
        assert b"".join(download.chunks) == b"ok"


def test_the_environment_is_not_asked_for_a_proxy(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the proxy that was handed in is used, so that loopback never meets one."""
    host = serve(saying(OK))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    assert transport().send(profile(host.origin), SUBMIT, QUICK).status == 200
    assert fetched(f"{host.origin}/1.png") == b"{}"


def test_netrc_is_not_read(serve: Serve, home: Path) -> None:
    """A password for the image host that lies in the person's home stays there."""
    host = serve(saying(OK))
    (home / ".netrc").write_text("default login me password hunter2\n")
    (home / ".netrc").chmod(0o600)
    fetched(f"{host.origin}/1.png")
    assert "authorization" not in parts(host.received[0])[1]


def redirecting(*targets: str) -> Talk:
    """Return what sends one request after the other on to the next target, with a cookie."""
    left = list(targets)

    def talk(connection: socket.socket, _: bytes) -> None:
        if left:
            there = f"Location: {left.pop(0)}"
            connection.sendall(answer("302 Found", b"", there, "Set-Cookie: a=b; Path=/"))
        else:
            connection.sendall(answer("200 OK", b"picture"))

    return talk


def test_three_redirects_are_followed(serve: Serve) -> None:
    """Absolute, relative and on another port: three are fine, without cookies."""
    host = serve(redirecting("/two.png", "three.png?a=1"))
    first = serve(redirecting(f"{host.origin}/one.png"))
    assert fetched(f"{first.origin}/zero.png") == b"picture"
    lines = [parts(request)[0].split(" ")[1] for request in first.received + host.received]
    assert lines == ["/zero.png", "/one.png", "/two.png", "/three.png?a=1"]
    assert not any("cookie" in parts(request)[1] for request in host.received)


def test_a_fourth_redirect_is_one_too_many(serve: Serve) -> None:
    """A host that sends us round in circles is left."""
    host = serve(redirecting(*["/again"] * 9))
    with pytest.raises(ImageBroken, match="more than 3"):
        fetched(f"{host.origin}/1.png")
    assert len(host.received) == 4


FORBIDDEN = (
    "file:///etc/passwd",
    "ftp://127.0.0.1/1.png",
    "https://user:password@images.example/1.png",
    "https:///1.png",
    "gopher:",
)
UNREADABLE = (
    "https://[::1/1.png",
    "https://images.example:port/1.png",
    "data:image/png;base64,AAAA",
)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_a_redirect_to_where_no_image_lives_is_refused(serve: Serve, url: str) -> None:
    """Other schemes than http and https lead nowhere, beside a loopback API neither."""
    host = serve(redirecting(url))
    with pytest.raises(ImageBroken):
        fetched(f"{host.origin}/1.png")


@pytest.mark.parametrize("url", UNREADABLE)
def test_a_redirect_to_no_address_brings_nothing(serve: Serve, url: str) -> None:
    """A redirect that cannot be read is no image; whether httpx or we notice is no matter."""
    host = serve(redirecting(url))
    with pytest.raises((ImageBroken, OutcomeUnknown)):
        fetched(f"{host.origin}/1.png")
    assert len(host.received) == 1


@pytest.mark.parametrize("url", [*FORBIDDEN, *UNREADABLE, "", "1.png", "//"])
def test_an_address_where_no_image_lives_is_refused(url: str) -> None:
    """What a provider calls an image's URL is looked at before anything is asked."""
    with pytest.raises(ImageBroken):
        fetched(url, allowed=PUBLIC)


def test_a_public_host_cannot_send_us_home(serve: Serve, pem: Path) -> None:
    """A redirect from a public address to this machine or its network reaches nobody."""
    inner = serve(saying(OK), is_tls=True)
    for target in (f"http://127.0.0.1:{inner.port}/1", f"{inner.origin}/1"):
        public = serve(redirecting(target), is_tls=True)
        proxy = serve(Tunnel(public))
        sender = transport(f"http://127.0.0.1:{proxy.port}", pem)
        with pytest.raises(ImageBroken):
            fetched("https://images.example/1.png", sender, allowed=PUBLIC)
        assert parts(public.received[0])[0] == "GET /1.png HTTP/1.1"
    time.sleep(0.05)
    assert not any(inner.received)


def test_a_private_address_is_left_before_a_word_is_said(serve: Serve, pem: Path) -> None:
    """Whatever a name resolved to: the peer's own address decides, before TLS."""
    host = serve(saying(OK), is_tls=True)
    with pytest.raises(ImageBroken, match="not a public one"):
        fetched(f"{host.origin}/1.png", transport(ca_file=pem), allowed=PUBLIC)
    with pytest.raises(ImageBroken, match="not a public one"):
        fetched(f"https://localhost:{host.port}/1.png", transport(ca_file=pem), allowed=PUBLIC)
    time.sleep(0.05)
    assert not any(host.received)


PRIVATE = """
    127.0.0.1 127.8.8.8 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0
    224.0.0.1 239.1.1.1 255.255.255.255 192.0.2.1
    ::1 :: fe80::1%eth0 fc00::1 fd12::1 ff02::1 2001:db8::1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_no_private_peer_is_public(address: str) -> None:
    """Loopback, private, link-local, shared, multicast and mapped addresses are refused."""
    with pytest.raises(ImageBroken):
        check_peer(address, PUBLIC)


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        ("198.18.0.1 198.19.255.254 ::ffff:198.18.3.4", AddressKind.FAKE),
        ("100.64.0.1 100.127.255.254", AddressKind.SHARED),
        ("10.0.0.1 172.31.0.1 192.168.0.1 fd00::1 fc00::8", AddressKind.PRIVATE),
    ],
)
def test_a_guard_has_a_door(addresses: str, kind: AddressKind) -> None:
    """Fake, shared and private addresses pass where that kind is let in; the refusal says how."""
    for address in addresses.split():
        assert kind_of(address) is kind
        check_peer(address, {AddressKind.PUBLIC, kind})
        with pytest.raises(ImageBroken) as caught:
            check_peer(address, PUBLIC)
        assert 'image_hosts = "any"' in caught.value.hint


NEVER = """
    169.254.169.254 fe80::1%eth0 224.0.0.1 ff02::1 0.0.0.0 0.1.2.3 :: 240.0.0.1
    ::ffff:169.254.169.254 ::ffff:0.0.0.0 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1 fec0::1
"""


@pytest.mark.parametrize("address", NEVER.split())
def test_some_addresses_have_no_door(address: str) -> None:
    """Link-local (cloud metadata), multicast and reserved ones never pass, wrapped ones too."""
    assert kind_of(address) is AddressKind.OTHER
    with pytest.raises(ImageBroken) as caught:
        check_peer(address, {AddressKind.PUBLIC, AddressKind.LOOPBACK, *OPENED_BY_ANY})
    assert caught.value.hint == ""


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://images.example/1.png?a=%2F", "https://images.example/1.png?a=%2F"),
        ("http://images.example:80/1.png", "https://images.example/1.png"),
        ("http://images.example:8443/1.png", "https://images.example:8443/1.png"),
        ("http://127.0.0.1/1.png", "https://127.0.0.1/1.png"),
        ("https://images.example/1.png", "https://images.example/1.png"),
    ],
)
def test_a_plain_address_is_asked_over_tls(url: str, asked: str) -> None:
    """A picture's `http:` address is no reason to give it up, nor to fetch it unencrypted."""
    assert image_url(url, is_loopback_ok=False) == asked


def test_loopback_stays_plain_beside_a_loopback_api() -> None:
    """A gateway on this machine hands out plain addresses of this machine."""
    url = "http://127.0.0.1:9/1.png"
    assert image_url(url, is_loopback_ok=True) == url


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://img.lan:8080/1.png", "http"),
        ("http://192.168.3.4/1.png", "http"),
        ("http://[fd00::9]/1.png", "http"),
        ("http://minio:9000/1.png", "http"),
        ("http://other.lan/1.png", "https"),
        ("http://8.8.8.8/1.png", "https"),
        ("http://169.254.169.254/1.png", "https"),
        ("http://[2606:4700::1]/1.png", "https"),
        ("http://cdn.example/1.png", "https"),
    ],
)
def test_a_plain_gateways_pictures_are_asked_plainly(url: str, asked: str) -> None:
    """Where the API itself has no TLS, so may its own host, and what can only be private."""
    found = image_url(url, is_loopback_ok=False, plain_host="img.lan")
    assert found == url.replace("http", asked, 1)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
)
def test_public_peers_are_public(address: str) -> None:
    """Ordinary addresses pass."""
    check_peer(address, PUBLIC)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("403 Forbidden", ImageGone),
        ("404 Not Found", ImageGone),
        ("410 Gone", ImageGone),
        ("400 Bad", OutcomeUnknown),
        ("429 Slow", OutcomeUnknown),
        ("500 Oh", OutcomeUnknown),
        ("503 Busy", OutcomeUnknown),
        ("302 Where", OutcomeUnknown),
        ("204 No Content", OutcomeUnknown),
        ("206 Partial", OutcomeUnknown),
    ],
)
def test_a_status_without_an_image_is_named(
    serve: Serve, status: str, error: type[SeedreamError]
) -> None:
    """Gone is told from what may pass; nothing but 200 is an image."""
    host = serve(saying(answer(status)))
    with pytest.raises(error):
        fetched(f"{host.origin}/1.png")


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), OutcomeUnknown),
        (saying(_HEAD, LARGE[:-1]), OutcomeUnknown),
        (saying(b""), OutcomeUnknown),
        (resetting, OutcomeUnknown),
    ],
    ids=["short", "a byte short", "closed", "reset"],
)
def test_a_cut_image_is_no_image(
    serve: Serve,
    talk: Talk,
    error: type[SeedreamError],
) -> None:
    """An image that ends early is never taken for a whole one."""
    host = serve(talk)
    with pytest.raises(error):
        fetched(f"{host.origin}/1.png")


def test_an_image_host_that_is_not_there_is_unsent() -> None:
    """It can be asked again later."""
    with pytest.raises(Unsent):
        fetched(f"http://127.0.0.1:{unused_port()}/1.png")


def test_an_image_that_drips_is_ended(serve: Serve) -> None:
    """The total deadline holds for downloads, too."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    host = serve(saying(start, *[b"x"] * 1000, pause=0.05))
    limits = Limits(read=AT_ONCE, total=0.4)
    started = time.monotonic()
    with (
        transport().fetch(f"{host.origin}/1.png", limits, allowed=LOCAL) as download,
        pytest.raises(OutcomeUnknown, match=r"within 0\.4 s"),
    ):
        b"".join(download.chunks)
    assert time.monotonic() - started < AT_ONCE


def test_what_a_reader_raises_comes_through(serve: Serve) -> None:
    """A full disk is told as a full disk, not as a broken host."""
    host = serve(saying(answer("200 OK", b"picture")))
    with (
        pytest.raises(OSError, match="no space"),
        transport().fetch(f"{host.origin}/1.png", QUICK, allowed=LOCAL),
    ):
        raise OSError("no space")
