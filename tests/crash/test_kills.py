"""Random SIGKILLs, many processes on one ledger: nothing paid is lost, nothing is paid twice.

`SEEDREAM_KILLS=500` makes it long, `SEEDREAM_KILL_SEED=N` repeats a run (its draws; the machine's
own timing it cannot repeat).
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.crash.conftest import Draw, NewScene, Scene, Shot

KILLS = int(os.environ.get("SEEDREAM_KILLS", "60"))
SEED = int(os.environ.get("SEEDREAM_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
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


def kill_until(scene: Scene, draw: Draw, dice: random.Random, wanted: int) -> int:
    """Kill processes, four at a time, until as many as wanted died of it; return the shots."""
    hits = number = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while hits < wanted:
            shots = [draw(dice, number + k) for k in range(min(24, wanted - hits))]
            number += len(shots)
            hits += sum(pool.map(lambda shot: kill(scene, shot), shots))
    return number


def test_random_kills_lose_nothing_and_pay_nothing_twice(
    new_scene: NewScene, draw: Draw, capsys: pytest.CaptureFixture[str]
) -> None:
    """After any SIGKILL each charge is in the ledger once, and each file is a whole picture."""
    scene, dice = new_scene(0.2), random.Random(SEED)
    shots = kill_until(scene, draw, dice, KILLS)
    before = {
        "seed": SEED,
        "kills": f"{KILLS} of {shots} processes",
        "left by them": dict(Counter(str(job["state"]) for job in scene.jobs())),
        "temporary files": len(scene.parts()),
    }
    scene.recover()
    found = scene.audit()
    with capsys.disabled():
        sys.stdout.write(f"\n{before | found.numbers}\n")
    assert found.wrong == [], f"SEEDREAM_KILL_SEED={SEED}"


@pytest.mark.parametrize("provider", ["ark", "uniall"])
def test_a_busy_answer_says_nothing_of_the_attempt_after_it(
    new_scene: NewScene, provider: str
) -> None:
    """Killed in its second attempt, after a 429: the outcome is unknown, never “not sent”."""
    scene = new_scene(30.0, "429:1")
    running = scene.start("generate", "busy, then killed", "-p", provider)
    assert running.wait_for("waits 1 s")
    scene.wait_until(lambda: len(scene.server.charges()) == 1)
    running.process.kill()
    running.end()
    scene.recover()
    (job,) = scene.jobs()
    assert (job["state"], job["charge"]) == ("unknown", "maybe")
    assert scene.audit().wrong == []
