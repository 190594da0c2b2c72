"""Serves canned bytes, as a script: what is measured is who asks.

    python canned.py BYTES

It answers each POST as UniAll does, with the URL of a picture, and each GET with that picture,
of so many bytes.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import zlib

_SIDE = 1182
"""Pixels of a square whose colours are 4 MiB."""


def picture(size: int, mark: bytes = b"") -> bytes:
    """Build a PNG of about so many bytes, the pixels of which are noise; a mark makes it another.

    Its parts, their checksums and its end are right; nobody has to be able to look at it.
    """
    noise = os.urandom(size)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", _SIDE.to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])),
            _chunk(b"tEXt", b"mark\0" + mark),
            *(_chunk(b"IDAT", noise[at : at + 65536]) for at in range(0, size, 65536)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def _serve(size: int) -> None:
    """Print the address and serve until killed."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
        body = json.dumps({"created": 1, "data": [{"url": f"{origin}/picture.png"}]}).encode()
        said, shown = _reply("application/json", body), _reply("image/png", picture(size))
        sys.stdout.write(f"{origin}\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_answer, args=(connection, said, shown), daemon=True).start()


def _reply(kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _answer(connection: socket.socket, said: bytes, shown: bytes) -> None:
    """Answer what comes over one connection until the other side closes it."""
    with connection, connection.makefile("rb") as requests:
        while asked := requests.readline():
            length = 0
            while field := requests.readline().strip():
                name, _, value = field.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            requests.read(length)
            connection.sendall(said if asked.startswith(b"POST") else shown)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
