"""Processes that leave at the very moment in which the answer that they paid for arrives."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from support.scene import NewScene, Scene
    from support.soak import Soak

CTRL_C = b"\x03"
SHOTS, SOAK_SHOTS = 15, 200
LONGEST_GAP = 0.015
"""Seconds between the answer and the signal, in either order."""
EARLY_SHOTS, EARLY_SOAK_SHOTS = 20, 300
EARLIEST, LATEST = 0.005, 0.150
"""Seconds from the start of a process: within them it imports what it needs."""
AT_ONCE = 4
"""Answers that arrive together: each is written down by a thread of its own."""


class Withheld:
    """A server of Ark's that keeps its answers back until it is told to let them go."""

    def __init__(self) -> None:
        """Keep every answer back."""
        self.asked = threading.Semaphore(0)
        self.go = threading.Event()
        self.origin = ""

    def answer(self) -> bytes:
        """Return what every paid request is told."""
        url = f"{self.origin}/picture.jpg"
        return json.dumps({"model": "m", "created": 1, "data": [{"url": url}]}).encode()


@contextmanager
def withheld() -> Iterator[Withheld]:
    """Serve on loopback."""
    shared = Withheld()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take the money, and answer when told to."""
            self.rfile.read(int(self.headers["Content-Length"]))
            body = shared.answer()
            shared.asked.release()
            shared.go.wait()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say nothing of a client that has gone: that is what this is about."""

    server = Server(("127.0.0.1", 0), Handler)
    shared.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield shared
    finally:
        shared.go.set()
        server.shutdown()
        server.server_close()


def leave_at_the_answer(scene: Scene, server: Withheld, name: str, gap: float) -> tuple[int, str]:
    """Interrupt a purchase twice, its answers `gap` seconds before (or after) the second time."""
    server.go.clear()
    arguments = ("generate", name, "-p", "ark", "-n", str(AT_ONCE), "-o", "out/")
    running, terminal = scene.start_on_terminal(*arguments)
    for _ in range(AT_ONCE):
        assert server.asked.acquire(timeout=30)
    os.write(terminal, CTRL_C)
    assert running.wait_for("Ctrl-C again: leave"), running.text
    if gap > 0:
        server.go.set()
        time.sleep(gap)
    os.write(terminal, CTRL_C)
    if gap <= 0:
        time.sleep(-gap)
        server.go.set()
    code = running.end()
    os.close(terminal)
    return code, running.text


def test_no_process_dies_of_the_answer_that_it_leaves(
    new_scene: NewScene, capsys: pytest.CaptureFixture[str], *, soak: Soak
) -> None:
    """Out with 130 at every instant; each job is ready or unknown, and the ledger is sound."""
    scene, dice = new_scene(0.0), soak.dice()
    shots = soak.times(SHOTS, long=SOAK_SHOTS)
    ends: Counter[int] = Counter()
    wrong = []
    with withheld() as server:
        scene.configure(server.origin)
        for number in range(shots):
            gap = dice.uniform(-LONGEST_GAP, LONGEST_GAP)
            code, text = leave_at_the_answer(scene, server, f"picture {number}", gap)
            ends[code] += 1
            if code != 130 or "Traceback" in text or "Fatal" in text:
                wrong.append(f"exit {code}: {text}")
        jobs = scene.jobs()
    states = Counter(str(job["state"]) for job in jobs)
    with capsys.disabled():
        print(f"\nleaving: {dict(ends)}, {dict(states)}")  # noqa: T201 - the figures
    assert wrong == [], soak.again
    assert len(jobs) == shots * AT_ONCE
    assert set(states) <= {"ready", "unknown"}
    with closing(sqlite3.connect(scene.state / "ledger.db")) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_early_ctrl_c_is_no_traceback(new_scene: NewScene, *, soak: Soak) -> None:
    """While it still imports, a command dies of SIGINT itself, as the shell expects; or says 130.

    What the interpreter says of a Ctrl-C before it has come to us names no file of ours.
    """
    scene, dice = new_scene(0.0), soak.dice()
    wrong = []
    for _ in range(soak.times(EARLY_SHOTS, long=EARLY_SOAK_SHOTS)):
        running = scene.start("generate", "too early", "--sandbox")
        time.sleep(dice.uniform(EARLIEST, LATEST))
        running.process.send_signal(signal.SIGINT)
        code = running.end()
        is_ours = "seedream_cli" in running.text
        if "Traceback" in running.text and is_ours:
            wrong.append(running.text)
        if code not in {130, -signal.SIGINT} and ("Traceback" not in running.text or is_ours):
            wrong.append(f"exit {code}: {running.text}")
    assert wrong == []
