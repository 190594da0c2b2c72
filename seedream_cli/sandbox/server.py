"""The loopback HTTP server around the stand-in; the only module that imports http.server."""

from __future__ import annotations

import re
import secrets
import socket
import sys
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from seedream_cli.core.addresses import is_loopback, split
from seedream_cli.core.errors import UsageError
from seedream_cli.sandbox.counters import Counters
from seedream_cli.sandbox.faults import Weather
from seedream_cli.sandbox.messages import JSON, Answer, HttpRequest, Settings, Stage, says
from seedream_cli.sandbox.router import answer, apply_fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from seedream_cli.sandbox.messages import Callback

HOST: Final = "127.0.0.1"
LARGEST_BODY: Final = 512 * 1024 * 1024
"""Bytes: 14 inline references of 30 MB, in base64, fit."""

_CONTROL: Final = "/_sandbox/"
_BACKLOG: Final = 256
_LONGEST_LINE: Final = 8192
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;[^\r\n]*)?\r?\n")
_TOO_LARGE: Final = "The body is too large."
_CALLBACK_PATIENCE: Final = 15.0
"""Seconds that KIE waits for a listener's answer (docs.kie.ai, callbacks of Flux Kontext)."""


class _Unread(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Sandbox:
    """A stand-in that listens on loopback from its making until `close`."""

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Settings | None = None,
        faults: Iterable[str] = (),
        has_ipv6: bool = False,
    ) -> None:
        """Bind and begin to answer; port 0 takes a free one.

        With `has_ipv6` it answers at `[::1]` too, where this machine has that and the port is
        free. Raises `UsageError` for an unknown fault, and `OSError` where the port is taken.
        """
        self.settings = settings or Settings()
        self.weather = Weather(faults)
        self.tally = Counters()
        self.closing = threading.Event()
        self._server = _Server(self, port)
        self._servers = [self._server]
        if has_ipv6 and socket.has_ipv6:
            # Programs that are told `localhost` may try this address first, and only this one.
            with suppress(OSError):
                self._servers.append(_Server6(self, self.port))
        self._threads = [
            threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            )
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def origin(self) -> str:
        """Its address: `http://127.0.0.1:PORT`."""
        return f"http://{HOST}:{self.port}"

    @property
    def counters(self) -> dict[str, object]:
        """What was counted so far (see `Tally.counters`)."""
        return self.tally.counters()

    def close(self) -> None:
        """Stop listening and wake everybody who still waits for an answer."""
        self.closing.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

    def __enter__(self) -> Self:
        """Return itself: it listens already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def reply(self, asked: HttpRequest) -> Answer:
        """Answer one request, let the weather have its way, and count."""
        if asked.path.startswith(_CONTROL):
            return self._control(asked)
        now, records = time.time(), self.tally.records()
        stage = Stage(now=now, settings=self.settings, records=records)
        reply = answer(asked, stage)
        fault = self.weather.strike(reply.deed, asked.path, stage)
        # Behind the good answer: a fault strikes only what would have gone well.
        if fault is not None:
            reply = apply_fault(asked, stage, fault, reply)
        self.tally.note(asked, reply, stage.now)
        callback = reply.deed.callback
        if callback is not None and reply.deed.is_good:
            threading.Thread(target=self._call_back, args=(callback,), daemon=True).start()
        return reply

    def _call_back(self, callback: Callback) -> None:
        """Post the end of a task to whoever wanted to hear of it, on this machine only."""
        parts = split(callback.url)
        is_here = parts is not None and parts.scheme == "http" and is_loopback(parts.hostname or "")
        if parts is None or not is_here or self.closing.wait(callback.after):
            return
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_CALLBACK_PATIENCE)
        path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        # What becomes of it is the listener's business: KIE counts on nobody either.
        with suppress(OSError, HTTPException), closing(connection):
            connection.request("POST", path, callback.body, dict(JSON))
            connection.getresponse().read()

    def _control(self, asked: HttpRequest) -> Answer:
        match asked.method, asked.path.removeprefix(_CONTROL):
            case "GET", "counters":
                return says(self.counters)
            case "GET", "log":
                return says(self.tally.log())
            case "POST", "reset":
                self.tally.reset()
                return says({"ok": True})
            case "POST", "faults":
                return self._change_weather(asked)
            case _:
                return says({"error": "counters, log, reset and faults are here"}, 404)

    def _change_weather(self, asked: HttpRequest) -> Answer:
        faults = (asked.json() or {}).get("faults")
        try:
            self.weather.change(map(str, faults if isinstance(faults, list) else []))
        except UsageError as error:
            return says({"error": error.message, "hint": error.hint}, 400)
        return says({"ok": True})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _BACKLOG

    host = HOST

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        super().__init__((self.host, port), _Connection)

    def server_bind(self) -> None:
        """Bind without the name look-up of the parent, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.host, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away; they are what this server is for."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as given


class _Server6(_Server):
    address_family = socket.AF_INET6
    host = "::1"


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "seedream-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        asked = self._read_request()
        if asked is None:
            return
        sandbox = self.server.sandbox
        reply = sandbox.reply(asked)
        if sandbox.closing.wait(reply.delay) or reply.is_dropped:
            self._drop()
        elif reply.events:
            self._stream(reply)
        else:
            self._send(reply)

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # named by http.server

    def _read_request(self) -> HttpRequest | None:
        try:
            body = self._chunks() if self._is_chunked() else self._read_counted()
        except _Unread as unread:
            self._turn_away(unread.status, unread.text)
            return None
        if body is None:
            # Half a request is no purchase.
            self._drop()
            return None
        parts = urlsplit(self.path)
        return HttpRequest(
            method=self.command,
            path=unquote(parts.path),
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            nonce=secrets.randbits(32),
        )

    def _is_chunked(self) -> bool:
        coding = self.headers.get("transfer-encoding", "").strip().lower()
        if coding and (coding != "chunked" or "content-length" in self.headers):
            raise _Unread(400, "A body is either counted or chunked.")
        return bool(coding)

    def _read_counted(self) -> bytes | None:
        """Return a body of a told length; None where it broke off."""
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise _Unread(411, "Say the length of the body.")
        if int(length) > LARGEST_BODY:
            raise _Unread(413, _TOO_LARGE)
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _chunks(self) -> bytes | None:
        """Return a body that came in chunks (RFC 9112, 7.1); None where it broke off."""
        body = bytearray()
        while True:
            line = self.rfile.readline(_LONGEST_LINE)
            if not line.endswith(b"\n"):
                return None
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise _Unread(400, "A chunk of the body does not say its size.")
            length = int(size[1], 16)
            if not length:
                break
            if len(body) + length > LARGEST_BODY:
                raise _Unread(413, _TOO_LARGE)
            chunk = self.rfile.read(length)
            if len(chunk) < length or self.rfile.readline(3) not in {b"\r\n", b"\n"}:
                return None
            body += chunk
        while (line := self.rfile.readline(_LONGEST_LINE)) not in {b"\r\n", b"\n"}:
            if not line.endswith(b"\n"):
                return None
        return bytes(body)

    def _turn_away(self, status: int, text: str) -> None:
        self.close_connection = True
        self._send(says({"error": text}, status))

    def _send(self, reply: Answer) -> None:
        self._head(reply, {"Content-Length": str(len(reply.body))})
        if self.command != "HEAD":
            self.wfile.write(reply.body[: reply.cut_at])
        if reply.cut_at is not None:
            self.close_connection = True

    def _stream(self, reply: Answer) -> None:
        self._head(reply, {"Transfer-Encoding": "chunked"})
        for number, (pause, content) in enumerate(reply.events):
            if self.server.sandbox.closing.wait(pause) or number == reply.cut_at:
                return self._drop()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _head(self, reply: Answer, framing: dict[str, str]) -> None:
        self.send_response_only(reply.status)
        date = {} if "date" in reply.headers else {"Date": self.date_time_string()}
        for name, value in {**date, **reply.headers, **framing}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _drop(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        """Say nothing: `/_sandbox/log` has it all."""
