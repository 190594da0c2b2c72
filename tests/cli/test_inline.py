"""Inline pictures: decoded to disk without ever being whole in memory."""

from __future__ import annotations

import base64
import json
import os
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from support.pictures import chunk, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command import Cli

MB = 1_000_000


class _Answering(BaseHTTPRequestHandler):
    """Answers every submit with one inline picture, as Ark does."""

    protocol_version = "HTTP/1.1"
    size = 1000

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        size = int(self.path.split("/")[1])
        filler = chunk(b"prVt", random.Random(1).randbytes(size))
        picture = base64.b64encode(png(1, 1, filler)).decode()
        body = json.dumps({"model": "m", "created": 1, "data": [{"b64_json": picture}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """Serve on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _peak(cli: Cli, address: str, size: int) -> int:
    """Buy one inline picture of `size` bytes and return the process's peak memory in bytes."""
    config = cli.home / "config.toml"
    config.write_text(
        f'[profiles.big]\nprovider = "ark"\napi_key = "k"\nbase_url = "{address}/{size}"\n'
    )
    config.chmod(0o600)
    cli.work.mkdir(exist_ok=True)
    process = cli.start(
        *("generate", "x", "-p", "big", "--set", "response_format=b64_json", "-o", f"{size}.png"),
        "--any-format",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout as out, process.stderr as err:
        out.read()
        said = err.read()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    assert (cli.work / f"{size}.png").stat().st_size > size
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_a_large_inline_picture_takes_little_memory(cli: Cli, address: str) -> None:
    """A 30 MB inline answer raises peak memory by less than half of the picture's size."""
    small, large = _peak(cli, address, 1000), _peak(cli, address, 30 * MB)
    assert large - small < 15 * MB
    assert not list((cli.home / "state" / "answers").glob("*"))
