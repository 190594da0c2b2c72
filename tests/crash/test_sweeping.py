"""Pictures that were half on disk when their process ended: swept, then fetched whole."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from support.clock import eventually
from support.command import LONGEST
from support.pictures import PNG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.scene import NewScene

PATIENCE = 60


class Dripping:
    """Ark's answer at once, and a picture of which the second half comes when `flow` is set."""

    def __init__(self) -> None:
        """Listen on loopback."""
        self.flow = threading.Event()
        self.submits = 0
        self.picture = PNG
        dripping = self

        class Connection(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                dripping.submits += 1
                self.rfile.read(int(self.headers["content-length"]))
                answer = {"data": [{"url": f"{dripping.origin}/a.png", "size": "1x1"}]}
                self._send([json.dumps(answer).encode()])

            def do_GET(self) -> None:
                self._send([PNG[:40], PNG[40:]])

            def _send(self, pieces: list[bytes]) -> None:
                self.send_response(200)
                self.send_header("content-length", str(sum(map(len, pieces))))
                self.end_headers()
                self.wfile.write(pieces[0])
                self.wfile.flush()
                for piece in pieces[1:]:
                    dripping.flow.wait(PATIENCE)
                    with suppress(OSError):
                        self.wfile.write(piece)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self.flow.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    """Return a provider whose pictures stop half-way."""
    server = Dripping()
    yield server
    server.close()


def test_half_a_picture_of_a_killed_process_is_swept(
    new_scene: NewScene, dripping: Dripping
) -> None:
    """Killed while a picture trickles in: the next run removes the piece and saves the whole."""
    scene = new_scene(0.0)
    scene.configure(dripping.origin)
    running = scene.start("generate", "half a picture", "-p", "ark", "-o", "there/")
    eventually(lambda: any(part.parent.name == "there" for part in scene.parts()))
    running.process.kill()
    running.end()
    assert scene.parts()
    dripping.flow.set()
    scene.recover()
    assert scene.parts() == []
    assert [path.read_bytes() for path in (scene.work / "there").iterdir()] == [dripping.picture]
    assert dripping.submits == 1


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_picture_that_was_named_and_not_recorded_is_not_saved_twice(
    new_scene: NewScene, dripping: Dripping, *, is_ours: bool
) -> None:
    """Killed between a picture's name and its record: that file is taken; a stranger's never is."""
    scene = new_scene(0.0)
    scene.configure(dripping.origin)
    running = scene.start("generate", "named", "-p", "ark", "-o", "there/cat")
    eventually(lambda: any(part.parent.name == "there" for part in scene.parts()))
    running.process.kill()
    running.end()
    named = scene.work / "there" / "cat.png"
    named.write_bytes(dripping.picture if is_ours else b"a stranger's")
    dripping.flow.set()
    scene.recover()
    (job,) = scene.jobs()
    beside = named.with_name(f"cat-{job['job']}.png")
    assert sorted(named.parent.iterdir()) == ([named] if is_ours else sorted([named, beside]))
    assert named.read_bytes() == (dripping.picture if is_ours else b"a stranger's")


def test_terminated_while_a_picture_trickles_in(new_scene: NewScene, dripping: Dripping) -> None:
    """The half picture that a thread still held is swept by the next run, which saves it whole."""
    scene = new_scene(0.0)
    scene.configure(dripping.origin)
    running = scene.start("generate", "half a picture", "-p", "ark", "-o", "there/")
    eventually(lambda: any(part.parent.name == "there" for part in scene.parts()))
    at = time.monotonic()
    running.process.terminate()
    assert running.end() == 143
    assert time.monotonic() - at < LONGEST
    assert "seedream download" in running.text
    dripping.flow.set()
    scene.recover()
    assert scene.parts() == []
    assert [path.read_bytes() for path in (scene.work / "there").iterdir()] == [dripping.picture]
    assert dripping.submits == 1
