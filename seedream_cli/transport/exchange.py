"""What happens on the wire of one request: when a byte leaves, who answers, how it may break."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from seedream_cli.core.addresses import (
    DEFAULT_PORTS,
    AddressKind,
    is_loopback,
    kind_of,
    literal_kind,
)
from seedream_cli.core.errors import HostBarred, ImageBroken, OutcomeUnknown, SeedreamError, Unsent
from seedream_cli.core.record import dataclass
from seedream_cli.transport.deadline import Deadline
from seedream_cli.transport.failures import explain_unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from socket import socket

    from seedream_cli.core.model import Reply, Secret
    from seedream_cli.transport.proxies import Proxy

SHORTEST_KEY = 16
"""Characters: what is shorter may stand in a URL by chance."""
BLOCK: Final = 1 << 17
"""Bytes of a picture that are taken at a time, at least: each block is hashed, written and told of,
and each of these lets go of the interpreter's lock and takes it again."""
_MOST_RECEIVED: Final = 1 << 18
"""Bytes that are asked for at a time; TLS brings 16 KiB."""
BLOCK_SECONDS: Final = 0.1
"""So long a slow block is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a request may take, in seconds."""

    connect: float = 15.0
    read: float = 30.0
    total: float = 90.0


class AnswerCut(OutcomeUnknown):
    """An answer broke off; `reply` is as much of it as came."""

    def __init__(self, message: str, reply: Reply) -> None:
        """Say how it broke off, and keep what came."""
        super().__init__(message)
        self.reply = reply


_CONNECTED = frozenset({"connection.connect_tcp.complete", "socks.connect_tcp.complete"})
_BEYOND_PROXY = frozenset({"proxy.start_tls.started", "socks.start_tls.started"})
"""From here on it is the host that answers, not the proxy."""


class Wire:
    """Hears what happens on the wire of one request (httpx's `trace` extension)."""

    def __init__(
        self,
        host: str,
        limits: Limits,
        on_first_byte: Callable[[], None] | None = None,
        *,
        breakages: tuple[type[Exception], ...],
        allowed: Collection[AddressKind] | None = None,
        key: Secret | None = None,
    ) -> None:
        """Watch one request to `host`; `breakages` is what a broken exchange raises.

        `allowed` are the kinds of address that may answer it; None: any.
        """
        self.had_left = False
        self.deadline = Deadline()
        self._host = host
        self._limits = limits
        self._on_first_byte = on_first_byte
        self._allowed = allowed
        self._key = key
        self._breakages = breakages
        self._refusal: Exception | None = None
        self._stream: object = None
        self.proxy: Proxy | None = None
        self.port: int | None = None
        self._is_beyond_proxy = False
        self.peer: AddressKind | None = None
        """Of which kind the address is that was connected to; None where a proxy stands between."""
        self.body: bytes | None = None
        self.answer: bytes | None = None
        """Bodies, where somebody may want to see them."""

    def __call__(self, event: str, info: Mapping[str, object]) -> None:
        """Take one of httpcore's trace events; what is raised here stops the request."""
        if event in _CONNECTED:
            self._stream = stream = info["return_value"]
            self.deadline.attach(stream.get_extra_info("socket"))  # type: ignore[attr-defined]
            address = str(stream.get_extra_info("server_addr")[0])  # type: ignore[attr-defined]
            self.peer = None if self.proxy else kind_of(address)
            # The address that was connected to, not one that was looked up before (rebinding).
            if self._allowed is not None:
                check_peer(address, self._allowed)
        elif event in _BEYOND_PROXY:
            self._is_beyond_proxy = True
        elif event == "http11.send_request_headers.started" and not self.had_left:
            # A proxy's CONNECT carries nothing of ours yet.
            if info["request"].method == b"CONNECT":  # type: ignore[attr-defined]
                return
            # The connection is shut already: nothing is spent on it, and nothing has left.
            if self.deadline.is_late:
                raise Unsent(f"{self._host} cannot be reached within {self._limits.total:g} s")
            self._spend()
            self.had_left = True

    def _spend(self) -> None:
        try:
            if self._on_first_byte is not None:
                self._on_first_byte()
        except Exception as error:
            self._refusal = error
            raise

    def end(self) -> None:
        """Let the connection go: httpcore leaves it open when its handshake fails."""
        self.deadline.close()
        if self._stream is not None:
            self._stream.close()  # type: ignore[attr-defined]

    @contextlib.contextmanager
    def translate(self) -> Iterator[None]:
        """Turn whatever HTTP can raise into one of the two endings that matter."""
        try:
            yield
        except SeedreamError:
            raise
        except self._breakages as error:
            # Our own hook said no, by an `OSError` as well: that is no trouble of the wire.
            if error is self._refusal:
                raise
            reason = mask_key(str(error).strip(), self._key) or type(error).__name__
            if self.deadline.is_late:
                reason = f"no whole answer within {self._limits.total:g} s"
            if self.had_left:
                message = f"the exchange with {self._host} broke off: {reason}"
                raise OutcomeUnknown(message) from error
            # Behind its tunnel the proxy has done its part, and is not what is to blame.
            via = None if self._is_beyond_proxy else self.proxy
            raise explain_unsent(error, reason, host=self._host, port=self.port, via=via) from error

    def read(
        self, chunks: Iterator[bytes], cap: int, *, is_measured: bool = True
    ) -> Iterator[bytes]:
        """Yield a body as it comes; raise `OutcomeUnknown` when it breaks off or is too large.

        Where nothing measures it, our own shutdown at the deadline looks like its end.
        """
        received = 0
        with self.translate():
            for chunk in chunks:
                received += len(chunk)
                if self.deadline.is_late:
                    raise OutcomeUnknown(f"no whole answer within {self._limits.total:g} s")
                if received > cap:
                    raise OutcomeUnknown(f"the answer is larger than {cap // 1024 // 1024} MiB")
                yield chunk
            if self.deadline.is_late and not is_measured:
                raise OutcomeUnknown(f"no whole answer within {self._limits.total:g} s")


def read_blocks(
    body: Iterator[bytes], connection: socket | None, length: int | None
) -> Iterator[bytes]:
    """Yield a body in large blocks, each at most `BLOCK_SECONDS` late; raise `OSError` for a cut.

    One whose `length` is known is read from its `connection` itself.
    """
    if connection is not None and length is not None:
        body = _receive(body, connection, length)
    pieces: list[bytes] = []
    size, late = 0, time.monotonic() + BLOCK_SECONDS
    for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= BLOCK or time.monotonic() > late:
            yield b"".join(pieces)
            pieces, size, late = [], 0, time.monotonic() + BLOCK_SECONDS
    if size:
        yield b"".join(pieces)


def _receive(body: Iterator[bytes], connection: socket, length: int) -> Iterator[bytes]:
    """Yield the first piece of a body, and then what the socket brings until nothing is left.

    h11 keeps no part of a body back, so that all that it has read ahead is in that first piece; it
    and httpcore take five times as long for the rest. `body` is held to the end: httpx closes the
    connection of one that is let go.
    """
    first = next(body, b"")
    yield first
    left = length - len(first)
    while left:
        piece = connection.recv(min(_MOST_RECEIVED, left))
        if not piece:
            raise ConnectionError(f"it was closed with {left} of {length} bytes to come")
        left -= len(piece)
        yield piece


def mask_key(text: str, key: Secret | None) -> str:
    """Return words that may quote a server without our own key."""
    for form in key_forms(key):
        text = text.replace(form, "****")
    return text


def key_forms(key: Secret | None) -> tuple[str, ...]:
    """Return how an answer would write a key; none for what may stand in a URL by chance."""
    text = key.reveal() if key else ""
    # Some encoders escape the slashes of JSON strings.
    return (text, text.replace("/", "\\/")) if len(text) >= SHORTEST_KEY else ()


def image_url(url: str, *, is_loopback_ok: bool, plain_host: str = "") -> str:
    """Return the address that is asked for a picture: an `http:` one as `https:`.

    Plain `http:` stays on loopback and, where the API itself is asked so at `plain_host`, there and
    on what can only be a private network. Raises `HostBarred` for what no picture is fetched from.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise HostBarred(f"the image's address cannot be read: {error}") from error
    if parts.scheme not in {"http", "https"}:
        raise HostBarred(f"the image's address is not an https URL ({parts.scheme}: on {host})")
    if not host or parts.username is not None:
        raise HostBarred("the image's address has no plain host name")
    # A name without a dot is one of this network: a container's, a machine's.
    is_plain_ok = plain_host and (
        host == plain_host
        or not set(host) & {".", ":"}
        or literal_kind(host) is AddressKind.PRIVATE
    )
    if parts.scheme == "https" or is_plain_ok or (is_loopback_ok and is_loopback(host)):
        return url
    netloc = (
        parts.netloc.removesuffix(f":{port}") if port == DEFAULT_PORTS["http"] else parts.netloc
    )
    return urlunsplit(parts._replace(scheme="https", netloc=netloc))


def redirect_url(url: str, location: str) -> str:
    """Return where a redirect leads; raise `ImageBroken` for nowhere."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise ImageBroken(f"the image host redirected to no address: {error}") from error


def check_peer(address: str, allowed: Collection[AddressKind]) -> None:
    """Raise `HostBarred` for an address of a kind that this picture may not come from (rebinding).

    The hint is what lets it in, where something does: what was paid for is not given up.
    """
    kind = kind_of(address)
    if kind in allowed:
        return
    if kind in OPENED_BY_ANY:
        raise HostBarred(
            f"the image host's address {address} is a {kind} one, not a public one",
            hint='image_hosts = "any"',
        )
    raise HostBarred(f"the image host's address {address} is not a public one")


OPENED_BY_ANY: Final = frozenset({AddressKind.FAKE, AddressKind.SHARED, AddressKind.PRIVATE})
"""What `image_hosts = "any"` lets in."""
