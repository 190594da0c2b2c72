"""The only code that touches HTTP: sends a `Call`, brings a `Reply`, knows if a byte had left."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seedream_cli import __version__
from seedream_cli.core.addresses import (
    DEFAULT_PORTS,
    PLAIN_KINDS,
    AddressKind,
    is_at,
    is_loopback,
    literal_kind,
)
from seedream_cli.core.errors import (
    HostBarred,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    StorageError,
    Unsent,
)
from seedream_cli.core.events import Exchange
from seedream_cli.core.model import Purpose, Reply
from seedream_cli.core.record import dataclass, replace
from seedream_cli.core.text import legible
from seedream_cli.transport.backoff import http_date
from seedream_cli.transport.deadline import Deadlines
from seedream_cli.transport.encoding import decode
from seedream_cli.transport.exchange import (
    AnswerCut,
    Limits,
    Wire,
    image_url,
    key_forms,
    mask_key,
    read_blocks,
    redirect_url,
)
from seedream_cli.transport.sse import begins_stream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import httpx

    from seedream_cli.core.model import Call, LocalImage, Profile, Slot
    from seedream_cli.storage.files.inline import Spill
    from seedream_cli.transport.proxies import Proxy

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that may hold images inline."""
MAX_STREAM = 16 * MAX_ANSWER
MAX_OTHER_ANSWER = 8 * 1024 * 1024
MAX_IMAGE = 512 * 1024 * 1024
MAX_REDIRECTS = 3
HTTP_OK = 200
MULTIPLE_CHOICES = 300
REDIRECTS = frozenset({301, 302, 303, 307, 308})
GONE = frozenset({403, 404, 410})
PICTURES = "image/png,image/jpeg,image/webp,image/gif,*/*;q=0.1"
"""What an image host may send: the formats that are looked into, so none is invited to another."""
USER_AGENT = f"seedream/{__version__}"


@dataclass(slots=True)
class Download:
    """An image on its way."""

    length: int | None
    """Bytes that the host announced; more may come of them where it sends them encoded."""
    chunks: Iterator[bytes]
    is_measured: bool = False
    """Whether the end of `chunks` is told from a cut, by whatever HTTP has for it."""


@functools.cache
def _breakages() -> tuple[type[Exception], ...]:
    """Return what a broken exchange raises; httpcore lets a SOCKS proxy's mistakes through raw."""
    import httpx

    known = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)
    try:
        from socksio.exceptions import SOCKSError
    except ImportError:
        return known
    return (*known, SOCKSError)


class StreamedAnswer:
    """An answer on its way: whole, or chunk by chunk where it is a stream."""

    def __init__(
        self, profile: Profile, purpose: Purpose, response: httpx.Response, wire: Wire
    ) -> None:
        """Wrap an open response."""
        self._profile = profile
        self._purpose = purpose
        self._response = response
        self._wire = wire
        self._head = b""
        self._body = _decode_body(wire, response, MAX_STREAM)
        self.spill: Spill | None = None
        """Takes the long strings of the answer, where it holds pictures."""

    @property
    def is_stream(self) -> bool:
        """Whether the server answers as an event stream, which the first bytes of its body tell.

        Its content type counts where they do not. Raises `OutcomeUnknown` when the body is cut.
        """
        if self._response.status_code != HTTP_OK:
            return False
        while (is_told := begins_stream(self._head)) is None:
            chunk = next(self._body, None)
            if chunk is None:
                break
            # What stands before the first line or bracket means nothing in either form.
            self._head = (self._head + chunk).removeprefix(b"\xef\xbb\xbf").lstrip()
        if self._head.startswith((b"{", b"[")):
            return False
        kind = self._response.headers.get("content-type", "").strip().lower()
        return bool(is_told) or kind.startswith("text/event-stream")

    @property
    def has_visible_end(self) -> bool:
        """Whether a clean end can be told from a cut."""
        return _has_visible_end(self._response)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes; raise `OutcomeUnknown` when it is cut."""
        return self._read(MAX_STREAM)

    def _read(self, cap: int) -> Iterator[bytes]:
        chunks = self._wire.read(itertools.chain(filter(None, [self._head]), self._body), cap)
        return self.spill.thin(chunks) if self.spill is not None else chunks

    def event(self, data: bytes) -> Reply:
        """Return one event of the stream as it is stored."""
        if self.spill is not None:
            self.spill.flush()
        return self._reply(Purpose.EVENT, data)

    def whole(self) -> Reply:
        """Read the body to its end; what came of one that is cut goes with the error."""
        is_large = self._purpose in {Purpose.SUBMIT, Purpose.FIND}  # a list has what was sent
        may_be_large = is_large or self.spill is not None
        cap = MAX_ANSWER if may_be_large else MAX_OTHER_ANSWER
        pieces: list[bytes] = []
        try:
            pieces.extend(self._read(cap))
        except OutcomeUnknown as error:
            if self.spill is not None:
                pieces.append(self.spill.rest())
            # Its headers came, also where nothing of its body did: they may name the request.
            with contextlib.suppress(StorageError):
                raise AnswerCut(error.message, self._keep_spilled(pieces)) from error
            raise
        return self._keep_spilled(pieces)

    def _keep_spilled(self, pieces: list[bytes]) -> Reply:
        """Return an answer with its spilled strings on disk."""
        if self.spill is not None:
            self.spill.flush()
        reply = self._reply(self._purpose, b"".join(pieces))
        self._wire.answer = reply.body
        return reply

    def _reply(self, purpose: Purpose, body: bytes) -> Reply:
        reply = _without_key(self._profile, purpose, self._response, body)
        return replace(reply, peer=self._wire.peer or "")


class Transport:
    """Speaks to provider APIs and to image hosts, each over fresh connections of its own."""

    def __init__(
        self,
        *,
        proxy_of: Callable[[str], Proxy | None],
        certificates: Callable[[], Sequence[str]] = tuple,
        aliases: Mapping[str, Callable[[], str]] | None = None,
        observe: Callable[[Exchange], None] | None = None,
        with_bodies: bool = False,
    ) -> None:
        """Take what the environment says; `certificates` is asked before the first TLS.

        `aliases` maps a pseudo-origin (the sandbox's) to whoever answers for it at the moment.
        """
        self._proxy_of = proxy_of
        self._certificates = certificates
        self._aliases = dict(aliases or {})
        self._observe = observe
        self._with_bodies = with_bodies
        self._deadlines = Deadlines()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str | None, bool], httpx.Client] = {}
        self._tls: ssl.SSLContext | None = None

    def send(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one call with the profile's key and bring the answer, whatever its status.

        Raises `Unsent` when provably nothing had left, `OutcomeUnknown` when something had and no
        whole answer came, and lets through what `on_first_byte` raises (nothing has left then).
        """
        with self.listen(
            profile, call, limits, on_first_byte=on_first_byte, headers=headers
        ) as answer:
            return answer.whole()

    @contextlib.contextmanager
    def listen(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[StreamedAnswer]:
        """Send one call and hear its answer as it comes; raises as `send` does."""
        url = _address(profile, call)
        own = {"Accept": "application/json", **_authorisation(profile), **(headers or {})}
        body, media_type = _form(call.body, call.files) if call.files else _json(call.body)
        if body is not None:
            own["Content-Type"] = media_type
        wire = Wire(
            _host(url),
            limits,
            on_first_byte,
            key=profile.api_key,
            breakages=_breakages(),
            allowed=self._key_kinds(url),
        )
        wire.body = None if call.files else body
        with contextlib.ExitStack() as exits:
            opening = self._open(wire, limits, call.method, url, own, call.query, body)
            try:
                response = exits.enter_context(opening)
            # The peer is seen once it is connected to, before a byte goes: nothing was sent.
            except HostBarred as error:
                words = f"{_host(url)} is on no private network, and the key would go unencrypted"
                raise Unsent(words, hint="use https:// in base_url", is_final=True) from error
            yield StreamedAnswer(profile, call.purpose, response, wire)

    def _key_kinds(self, url: str) -> frozenset[AddressKind] | None:
        """Return of which kinds an address may be that the key goes to; None: any, or by a proxy.

        Raises `Unsent` where that cannot be told.
        """
        host = _host(url)
        is_ours = any(url.startswith(f"{alias}/") for alias in self._aliases)
        # TLS proves whom the key reaches; on loopback it does not leave this machine.
        if is_ours or urlsplit(url).scheme != "http" or is_loopback(host):
            return None
        # Held against the address that is connected to: what a name stands for may change.
        if self._proxy_of(url) is None:
            return PLAIN_KINDS
        if literal_kind(host) in PLAIN_KINDS:
            return None
        words = f"behind a proxy nobody sees whether {host} is on a private network"
        raise Unsent(
            f"{words}, and the key would go unencrypted", hint=f"NO_PROXY={host}", is_final=True
        )

    def put(
        self, slot: Slot, image: LocalImage, limits: Limits, *, allowed: Collection[AddressKind]
    ) -> None:
        """Put a reference image where its provider said, without the key; that is free.

        Its host is of an `allowed` kind, as an image's is. Raises `Unsent` where it does not take
        the image, `HostBarred` where it must not be asked.
        """
        url = self._image_url(slot.url, is_loopback_ok=AddressKind.LOOPBACK in allowed)
        kinds = None if self._proxy_of(url) else allowed
        wire = Wire(_host(url), limits, breakages=_breakages(), allowed=kinds)
        headers = {"Content-Type": image.media_type, **slot.headers}
        words = f"{image.name} could not be uploaded to {_host(url)}"
        try:
            with self._open(wire, limits, "PUT", url, headers, None, image.data) as response:
                status = response.status_code
        # It is free, so it may simply be sent again.
        except OutcomeUnknown as error:
            raise Unsent(f"{words}: {error.message}; no picture was bought for it") from error
        if not HTTP_OK <= status < MULTIPLE_CHOICES:
            raise Unsent(f"{words}: it answered {status}; no picture was bought for it")

    @contextlib.contextmanager
    def fetch(
        self, url: str, limits: Limits, *, allowed: Collection[AddressKind], plain_host: str = ""
    ) -> Iterator[Download]:
        """Open an image without key or cookies, through at most three checked redirects.

        It comes from an address of an `allowed` kind, unless a proxy stands between. Where the API
        itself is asked without TLS, at `plain_host`, its pictures may lie on such hosts too.

        Raises `ImageGone` for 403, 404 and 410, `HostBarred` for an address that must not be
        asked, `Unsent` or `OutcomeUnknown` for what may pass.
        """
        headers = {"Accept": PICTURES}
        for _ in range(MAX_REDIRECTS + 1):
            # Each leg anew: a public host may lead to a private one.
            url = self._image_url(
                url, is_loopback_ok=AddressKind.LOOPBACK in allowed, plain_host=plain_host
            )
            kinds = None if self._proxy_of(url) else allowed
            wire = Wire(_host(url), limits, breakages=_breakages(), allowed=kinds)
            with self._open(wire, limits, "GET", url, headers) as response:
                if response.status_code in REDIRECTS and "location" in response.headers:
                    url = redirect_url(url, response.headers["location"])
                    continue
                # No verdict: by the host's date it is held against the URL's end (`has_lapsed`).
                if response.status_code in GONE:
                    raise ImageGone(
                        f"the image host answered {response.status_code}",
                        date=http_date(response.headers.get("date")),
                    )
                if response.status_code != HTTP_OK:
                    raise OutcomeUnknown(f"the image host answered {response.status_code}")
                yield _download(wire, response)
                return
        raise ImageBroken(f"the image host redirected more than {MAX_REDIRECTS} times")

    def _image_url(self, url: str, *, is_loopback_ok: bool, plain_host: str = "") -> str:
        """Return what is asked for a picture; only a rehearsal's leads to our own stand-in."""
        is_ours = any(url.startswith(f"{origin}/") for origin in self._aliases)
        if is_ours and not is_loopback_ok:
            raise HostBarred("the image's address is the sandbox's")
        if is_ours:
            return url
        return image_url(url, is_loopback_ok=is_loopback_ok, plain_host=plain_host)

    @contextlib.contextmanager
    def _open(
        self,
        wire: Wire,
        limits: Limits,
        method: str,
        url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Iterator[httpx.Response]:
        import httpx

        started, status = time.monotonic(), None
        # Before anything is looked up: name, connection and TLS count as well.
        self._deadlines.add(wire.deadline, limits.total)
        try:
            with wire.translate():
                target, extra = self._target(url)
                wire.proxy, wire.port = self._proxy_of(target), _port(target)
                client = self._client(target)
                request = client.build_request(
                    method,
                    target,
                    params=query or None,
                    content=body,
                    headers=_COMMON | dict(headers) | extra,
                    timeout=httpx.Timeout(limits.read, connect=limits.connect),
                    extensions={"trace": wire},
                )
                response = client.send(request, stream=True)
            with contextlib.closing(response):
                status = response.status_code
                yield response
        finally:
            wire.end()
            if self._observe is not None:
                self._observe(
                    Exchange(
                        method=method,
                        host=_host(url),
                        path=urlsplit(url).path,
                        status=status,
                        seconds=time.monotonic() - started,
                        detail=_detail(wire.body, wire.answer) if self._with_bodies else "",
                    )
                )

    def _target(self, url: str) -> tuple[str, dict[str, str]]:
        """Return where to send and the Host header that says where it was meant to go."""
        for alias, answering in self._aliases.items():
            if url.startswith(f"{alias}/"):
                return answering() + url.removeprefix(alias), {"Host": urlsplit(alias).netloc}
        return url, {}

    def _client(self, target: str) -> httpx.Client:
        """Return the one client that goes this way: by which proxy, and whether over TLS."""
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        named = self._proxy_of(target)
        proxy = named.url.reveal() if named else None
        is_tls = target.startswith("https:") or (proxy or "").startswith("https:")
        key = (proxy, is_tls)
        with self._lock:
            if key not in self._clients:
                # No keep-alive: a stale connection is an ambiguity that need not be.
                self._clients[key] = httpx.Client(
                    # Chosen in `proxies`, before anything is paid; httpx looks for none.
                    proxy=self._proxy(proxy),
                    trust_env=False,
                    follow_redirects=False,
                    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                    verify=self._context() if is_tls else False,
                    limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                )
            return self._clients[key]

    def _proxy(self, url: str | None) -> httpx.Proxy | None:
        import httpx

        if url is None:
            return None
        # Without it httpcore trusts its own certificates at a proxy, and none of ours.
        return httpx.Proxy(url, ssl_context=self._context() if url.startswith("https:") else None)

    def _context(self) -> ssl.SSLContext:
        """Load the certificates once, and only when something is asked over TLS."""
        import httpx

        if self._tls is None:
            import ssl

            files = self._certificates()
            if not files:
                self._tls = httpx.create_ssl_context(trust_env=False)
                return self._tls
            context = ssl.create_default_context(cafile=files[0])
            for file in files[1:]:
                context.load_verify_locations(cafile=file)
            self._tls = context
        return self._tls


_COMMON = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"}


def _authorisation(profile: Profile) -> dict[str, str]:
    """Reveal the key; nothing else does."""
    if profile.api_key is None:
        return {}
    return {"Authorization": f"{profile.auth_scheme} {profile.api_key.reveal()}"}


def _address(profile: Profile, call: Call) -> str:
    """Return where a call goes; a whole address is one on the API's own origin.

    Raises `Unsent` for any other, where the key must not go.
    """
    if "://" in call.path:
        if not is_at(call.path, profile.base_url):
            raise Unsent("what it names is not the API's own host")
        return call.path
    # Where a profile names no other host, the API's own takes uploads and lists, too.
    others = {"upload": profile.upload_base_url, "list": profile.list_base_url}
    return (others.get(call.host) or profile.base_url) + call.path


def _json(body: Mapping[str, object] | None) -> tuple[bytes | None, str]:
    return (None if body is None else _encode(body)), "application/json"


def _form(
    fields: Mapping[str, object] | None, files: Sequence[tuple[str, LocalImage]]
) -> tuple[bytes, str]:
    """Encode a multipart form, and say its media type with the boundary."""
    import httpx

    def text(value: object) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    texts = {
        name: list(map(text, value)) if isinstance(value, list) else text(value)
        for name, value in (fields or {}).items()
    }
    pictures = [(name, (each.name, each.data, each.media_type)) for name, each in files]
    form = httpx.Request("POST", "http://localhost", data=texts, files=pictures)
    return form.read(), form.headers["content-type"]


def _encode(body: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a character, as JSON can name it: only an escape carries it.
        return json.dumps(body).encode()


def _without_key(
    profile: Profile, purpose: Purpose, response: httpx.Response, body: bytes
) -> Reply:
    """Return an answer as it came, but for our own key, which some error messages repeat."""
    for form in key_forms(profile.api_key):
        body = body.replace(form.encode(), b"****")
    headers = {
        name.lower(): mask_key(value, profile.api_key) for name, value in response.headers.items()
    }
    return Reply(purpose=purpose, status=response.status_code, headers=headers, body=body)


def _has_visible_end(response: httpx.Response) -> bool:
    """Tell whether a clean end of a body differs from a cut."""
    headers = response.headers
    return "chunked" in headers.get("transfer-encoding", "").lower() or "content-length" in headers


def _download(wire: Wire, response: httpx.Response) -> Download:
    text = response.headers.get("content-length", "")
    length = int(text) if text.isascii() and text.isdigit() else None
    is_framed = "transfer-encoding" in response.headers  # then it has the last word on the length
    # Behind a proxy the socket may carry one TLS within another.
    stream = None if wire.proxy else response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream and not is_framed else None
    blocks = read_blocks(response.iter_raw(), connection, length)
    return Download(
        length=length,
        chunks=_decode_body(wire, response, MAX_IMAGE, blocks),
        is_measured=_has_visible_end(response),
    )


def _decode_body(
    wire: Wire, response: httpx.Response, cap: int, chunks: Iterator[bytes] | None = None
) -> Iterator[bytes]:
    """Yield a body without its encoding; `cap` holds on both sides of it."""
    chunks = response.iter_raw() if chunks is None else chunks
    raw = wire.read(chunks, cap, is_measured=_has_visible_end(response))
    return wire.read(decode(raw, response.headers.get("content-encoding", "")), cap)


def _detail(body: bytes | None, answer: bytes | None) -> str:
    """Return both bodies for `-vv`: never headers."""
    marked = (("> ", body), ("< ", answer))
    return "\n".join(mark + legible(data) for mark, data in marked if data)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    return parts.port or DEFAULT_PORTS.get(parts.scheme)
