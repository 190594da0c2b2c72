"""Kills aimed at the submits of providers that keep a list: what they leave is found by asking.

`--soak` makes it long, `--seed N` repeats its draws.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    import pytest
    from support.scene import NewScene, Scene
    from support.soak import Soak

AT_ONCE = 4
LISTING = [name for name, provider in PROVIDERS.items() if provider.listing is not None]
LATE = 0.5
"""Seconds until the lists have what was asked."""


def kill(scene: Scene, number: int, pause: float) -> bool:
    """Kill a purchase while it is being sent; False where it had ended before."""
    provider = LISTING[number % len(LISTING)]
    running = scene.start("generate", f"purchase {number}", "-p", provider)
    running.wait_for("sending")
    time.sleep(pause)
    running.process.kill()
    code = running.end()
    assert "Traceback" not in running.text, running.text
    assert code in {0, -signal.SIGKILL}, running.text
    return code != 0


def test_one_status_finds_what_kills_left(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of those that were accepted at most 2 % stay unknown; of the others none ever runs."""
    scene, dice, count = new_scene(0.2, list_delay=LATE), soak.dice(), soak.times(9, long=240)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pauses = [dice.uniform(0.0, 0.05) for _ in range(count)]
        killed = sum(pool.map(lambda k: kill(scene, *k), enumerate(pauses)))
    left = Counter(str(job["state"]) for job in scene.jobs())
    time.sleep(2 * LATE)
    code, _, err = scene.run("status", "--all", "--json")
    assert code == 0, err
    charged = {str(charge["prompt"]) for charge in scene.server.charges()}
    jobs = scene.jobs()
    accepted = [job for job in jobs if job["prompt"] in charged]
    unknown = [job for job in accepted if job["state"] == "unknown"]
    others = [job for job in jobs if job["prompt"] not in charged]
    told = {
        "killed": f"{killed} of {count}",
        "left by them": dict(left),
        "accepted": len(accepted),
        "of these unknown": len(unknown),
        "found": sum(job.get("found") is True for job in jobs),
        "never accepted": dict(Counter(str(job["state"]) for job in others)),
    }
    with capsys.disabled():
        sys.stdout.write(f"\n{told}\n")
    assert len(unknown) <= 0.02 * len(accepted), soak.again
    assert {job["state"] for job in others} <= {"unknown", "closed"}, soak.again
    scene.recover()
    assert scene.audit().wrong == [], soak.again
