"""Ctrl-C, SIGTERM, SIGHUP, closed stdout and closed terminals at random moments.

`--soak` makes it long, `--seed N` repeats the draws.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support.clock import eventually
from support.command import LONGEST
from support.scene import draw

if TYPE_CHECKING:
    from support.scene import NewScene, Running, Scene, Shot
    from support.soak import Soak

AT_ONCE = 2
"""Commands at a time: beside the other tests more would wait for a core, not for us."""
CTRL_C = b"\x03"
FIRST_MOMENT = 0.15
"""Seconds: before it the interpreter itself starts, and nothing of ours runs."""
EXITS = {
    "SIGINT": (130, signal.SIGINT),
    "SIGTERM": (143, signal.SIGTERM),
    "SIGHUP": (143, signal.SIGHUP),
    "Ctrl-C": (130, signal.SIGINT),
    "closed terminal": (143, signal.SIGHUP),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a purchase ended that was signalled."""

    shot: Shot
    code: int
    seconds: float
    text: str


def befall(scene: Scene, shot: Shot, what: str) -> Ended:
    """Start a purchase, let it be signalled, and bring its end."""
    terminal = -1
    if what in {"Ctrl-C", "closed terminal"}:
        running, terminal = scene.start_on_terminal(*shot.arguments)
    else:
        running = scene.start(*shot.arguments)
    if shot.aim:
        running.wait_for(shot.aim)
    time.sleep(max(shot.pause, 0.0 if shot.aim else FIRST_MOMENT))
    at = time.monotonic()
    if what == "Ctrl-C":
        os.write(terminal, CTRL_C)
    elif what == "closed terminal":
        running.let_go()
        os.close(terminal)
    else:
        running.process.send_signal(EXITS[what][1])
    code = running.end()
    seconds = time.monotonic() - at
    if what == "Ctrl-C":
        os.close(terminal)
    return Ended(shot=shot, code=code, seconds=seconds, text=running.text)


def complaints(scene: Scene, ended: list[Ended], what: str) -> list[str]:
    """Hold each end against what is promised; the ledger is as the processes left it."""
    code, number = EXITS[what]
    jobs = scene.jobs()
    charged = {charge["prompt"] for charge in scene.server.charges()}
    wrong = []
    for end in ended:
        states = {str(job["state"]) for job in jobs if job["prompt"] == end.shot.prompt}
        told = f"{end.shot}: exit {end.code} after {end.seconds:.1f} s, {states}\n{end.text}"
        if end.seconds > LONGEST:
            wrong.append(f"too late: {told}")
        # One from the interpreter's own start names no file of ours.
        if "Traceback" in end.text and "seedream_cli/" in end.text:
            wrong.append(f"a traceback: {told}")
        match end.code:
            case 0:
                is_right = states == {"saved"}
            case _ if end.code == code:
                is_right = not states & {"planned", "sending"}
            case _ if end.code in {-number, 1}:
                # The interpreter listens for itself before our work begins, and when it is over.
                is_right = end.shot.prompt not in charged or states == {"saved"}
            case _:
                is_right = False
        if not is_right:
            wrong.append(f"a wrong end: {told}")
        is_to_fetch = end.code == code and states & {"running", "ready"}
        if is_to_fetch and what != "closed terminal" and "seedream download" not in end.text:
            wrong.append(f"no way on: {told}")
    return wrong


@pytest.mark.parametrize("what", EXITS)
def test_whatever_comes_every_charge_is_recorded(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Out within 10 s, with the right code and the way on; nothing is lost or left under way."""
    scene, dice = new_scene(0.2), soak.dice()
    shots = [draw(dice, number) for number in range(soak.times(6, long=100))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda shot: befall(scene, shot, what), shots))
    wrong = complaints(scene, ended, what)
    scene.recover()
    found = scene.audit()
    numbers = {
        "seed": soak.seed,
        "of": what,
        "exits": dict(Counter(end.code for end in ended)),
        "longest": f"{max(end.seconds for end in ended):.1f} s",
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{numbers | found.numbers}\n")
    assert wrong + found.wrong == [], soak.again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_paid_request_that_takes_long_is_left_unknown_in_time(
    new_scene: NewScene, number: signal.Signals
) -> None:
    """Without a terminal 10 s are all there is; the charge is on record and never sent again."""
    scene = new_scene(60.0)
    running = scene.start("generate", "a long one", "-p", "ark")
    eventually(lambda: len(scene.server.charges()) == 1)
    at = time.monotonic()
    running.process.send_signal(number)
    code = running.end()
    assert time.monotonic() - at < LONGEST
    assert code == (130 if number == signal.SIGINT else 143)
    assert "--adopt 'URL of the picture'" in running.text
    scene.recover()
    (job,) = scene.jobs()
    assert (job["state"], job["charge"], job["next"]) == ("unknown", "maybe", "settle")
    assert scene.audit().wrong == []


def on_terminal(scene: Scene, *arguments: str) -> tuple[Running, int]:
    """Start a purchase on a terminal and interrupt it once, while it is being paid for."""
    running, terminal = scene.start_on_terminal("generate", *arguments)
    eventually(lambda: len(scene.server.charges()) == 1)
    os.write(terminal, CTRL_C)
    assert running.wait_for("Ctrl-C again: leave"), running.text
    return running, terminal


def test_the_first_ctrl_c_waits_for_what_is_being_paid_for(new_scene: NewScene) -> None:
    """It says so, takes the answer that was paid for, and leaves with 130 and the way on."""
    scene = new_scene(2.0)
    running, terminal = on_terminal(scene, "wait for me", "-p", "ark")
    assert running.end() == 130
    os.close(terminal)
    assert "requests that are being paid for are waited for" in " ".join(running.text.split())
    assert "seedream download" in running.text
    assert [job["state"] for job in scene.jobs()] == ["ready"]
    scene.recover()
    assert scene.audit().wrong == []
    assert [job["state"] for job in scene.jobs()] == ["saved"]


def test_ctrl_c_says_that_what_was_accepted_runs_on(new_scene: NewScene) -> None:
    """Where nothing is being paid for just now nothing is waited for, and nobody is frightened."""
    scene = new_scene(60.0)
    running, terminal = scene.start_on_terminal("generate", "let it run", "-p", "kie")
    assert running.wait_for("accepted"), running.text
    os.write(terminal, CTRL_C)
    assert running.end() == 130
    os.close(terminal)
    assert "stopping; what was accepted runs on" in " ".join(running.text.split())
    assert "unknown" not in running.text
    assert "seedream download" in running.text


def test_the_second_ctrl_c_leaves_them_unknown(new_scene: NewScene) -> None:
    """Out at once with 130: the outcome is unknown, and the way to settle it is shown."""
    scene = new_scene(60.0)
    running, terminal = on_terminal(scene, "do not wait", "-p", "uniall")
    at = time.monotonic()
    os.write(terminal, CTRL_C)
    assert running.end() == 130
    assert time.monotonic() - at < LONGEST
    os.close(terminal)
    assert "--write-off" in running.text
    scene.recover()
    (job,) = scene.jobs()
    assert (job["state"], job["charge"]) == ("unknown", "maybe")
    assert scene.audit().wrong == []


@pytest.mark.parametrize("provider", ["ark", "kie"])
def test_a_closed_stdout_stops_the_printing_and_nothing_else(
    new_scene: NewScene, provider: str
) -> None:
    """Whoever read us has gone; the pictures are saved all the same."""
    scene = new_scene(0.1)
    running = scene.start(
        "generate", "nobody reads", "-p", provider, "-n", "2", stdout=subprocess.PIPE
    )
    assert running.process.stdout is not None
    running.process.stdout.close()
    assert running.end() == 0, running.text
    assert "Traceback" not in running.text
    found = scene.audit()
    assert found.wrong == []
    assert found.numbers["pictures"] == 2
