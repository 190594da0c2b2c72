"""Random SIGKILLs, many processes on one ledger: nothing paid is lost, nothing is paid twice.

`--soak` makes it long, `--seed N` repeats a run (its draws; the machine's own timing it cannot).
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.clock import eventually
from support.scene import draw

if TYPE_CHECKING:
    import random

    from support.scene import NewScene, Scene, Shot
    from support.soak import Soak

AT_ONCE = 4


def kill(scene: Scene, shot: Shot) -> bool:
    """Start a purchase and kill it; False when it had ended before."""
    running = scene.start(*shot.arguments)
    if shot.aim:
        running.wait_for(shot.aim)
    time.sleep(shot.pause)
    running.process.kill()
    code = running.end()
    assert "Traceback" not in running.text, running.text
    assert code in {0, -signal.SIGKILL}, (shot, code, running.text)
    return code == -signal.SIGKILL


def kill_until(scene: Scene, dice: random.Random, wanted: int) -> int:
    """Kill processes, four at a time, until as many as wanted died of it; return the shots."""
    hits = number = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while hits < wanted:
            shots = [draw(dice, number + k) for k in range(min(24, wanted - hits))]
            number += len(shots)
            hits += sum(pool.map(lambda shot: kill(scene, shot), shots))
    return number


def test_random_kills_lose_nothing_and_pay_nothing_twice(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """After any SIGKILL each charge is in the ledger once, and each file is a whole picture."""
    scene, kills = new_scene(0.2), soak.times(24, long=500)
    shots = kill_until(scene, soak.dice(), kills)
    before = {
        "seed": soak.seed,
        "kills": f"{kills} of {shots} processes",
        "left by them": dict(Counter(str(job["state"]) for job in scene.jobs())),
        "temporary files": len(scene.parts()),
    }
    scene.recover()
    found = scene.audit()
    with capsys.disabled():
        sys.stdout.write(f"\n{before | found.numbers}\n")
    assert found.wrong == [], soak.again


@pytest.mark.parametrize("provider", ["ark", "uniall"])
def test_a_busy_answer_says_nothing_of_the_attempt_after_it(
    new_scene: NewScene, provider: str
) -> None:
    """Killed in its second attempt, after a 429: the outcome is unknown, never “not sent”."""
    scene = new_scene(30.0, "429:1")
    running = scene.start("generate", "busy, then killed", "-p", provider)
    assert running.wait_for("waits 1 s")
    eventually(lambda: len(scene.server.charges()) == 1)
    running.process.kill()
    running.end()
    scene.recover()
    (job,) = scene.jobs()
    assert (job["state"], job["charge"]) == ("unknown", "maybe")
    assert scene.audit().wrong == []
