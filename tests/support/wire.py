"""Connections that break to order: a proxy before a server, and servers with canned answers."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 60.0
"""Seconds that the proxy waits for bytes that never come."""


class Visit:
    """One connection to the proxy, for a play to do with as it likes."""

    def __init__(self, connection: socket.socket, upstream: tuple[str, int]) -> None:
        """Take a fresh connection; nothing of it is read yet."""
        self.socket = connection
        self._upstream = upstream
        connection.settimeout(PATIENCE)

    def read(self, count: int) -> bytes:
        """Read at most `count` bytes of the request."""
        return self.socket.recv(count)

    def head(self) -> bytes:
        """Read to the end of the request's headers, byte by byte."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise ConnectionError("the client left")
            data += byte
        return data

    def request(self) -> bytes:
        """Read the whole request."""
        data = self.head()
        length = 0
        for line in data.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        while length > 0:
            block = self.socket.recv(min(length, 65536))
            if not block:
                raise ConnectionError("the client left")
            data, length = data + block, length - len(block)
        return data

    def charged(self) -> bytes:
        """Hand the request on to the real server, which charges; return its answer, raw."""
        request = self.request()
        with socket.create_connection(self._upstream, timeout=PATIENCE) as server:
            server.sendall(request)
            answer = b""
            while block := server.recv(65536):
                answer += block
        return answer

    def send(self, data: bytes) -> None:
        """Send to the client."""
        self.socket.sendall(data)

    def answer(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        """Send a whole HTTP answer; `length` lies about the body's."""
        known = {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
        head = f"HTTP/1.1 {status} Whatever\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in known.items())
        self.send(head.encode("utf-8", "surrogateescape") + b"\r\n" + body)

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def linger(self, seconds: float = PATIENCE) -> None:
        """Keep the connection open until the client ends it."""
        self.socket.settimeout(seconds)
        with suppress(OSError):
            while self.socket.recv(65536):
                pass


Play = Callable[[Visit], None]
"""What a fault does with a connection; the connection is closed after it."""


class Chaos:
    """A proxy on loopback: the first connections after `arm` meet a play, the others pass."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        """Listen on a free port."""
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._play: Play | None = None
        self._left = 0
        self.struck = 0
        """Connections that met the play since `arm`."""
        self.posts = 0
        """POSTs that passed since `arm`; a list that is asked for by one is none."""
        self.gets = 0
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def arm(self, play: Play | None, times: int = 1) -> None:
        """Let the next `times` connections meet `play`."""
        with self._lock:
            self._play, self._left, self.struck, self.posts, self.gets = play, times, 0, 0, 0

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                play = self._play if self._left > 0 else None
                self._left -= 1
                self.struck += play is not None
            threading.Thread(target=self._meet, args=(connection, play), daemon=True).start()

    def _meet(self, connection: socket.socket, play: Play | None) -> None:
        with suppress(OSError), connection:
            (play or self._pass)(Visit(connection, self._upstream))

    def _pass(self, visit: Visit) -> None:
        request = visit.request()
        with self._lock:
            self.posts += request.startswith(b"POST") and not _LIST.match(request)
            self.gets += request.startswith(b"GET")
        with socket.create_connection(self._upstream, timeout=PATIENCE) as server:
            server.sendall(request)
            while block := server.recv(65536):
                visit.send(block)


_LIST = re.compile(rb"POST \S*(/wavespeed/predictions|/billings/search) ")


@dataclass
class Host:
    """A server that answers every request as it is told, and keeps what it was sent."""

    answer: Play
    requests: list[bytes] = field(default_factory=list)
    origin: str = ""

    def __post_init__(self) -> None:
        """Listen on a free port."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            visit = Visit(connection, ("127.0.0.1", 9))
            self.requests.append(visit.request())
            self.answer(visit)
