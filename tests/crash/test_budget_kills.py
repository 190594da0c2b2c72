"""One budget, four processes, kills at random moments: what was charged is never beyond it.

`--soak` makes it long (60 pictures, 1 USD a day, which is 30), `--seed N` repeats its draws.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from support.clock import eventually

if TYPE_CHECKING:
    import random

    from support.scene import NewScene, Running, Scene
    from support.soak import Soak

PRICE = 0.0325
"""USD, of KIE's default model."""
PROCESSES = 4


def spent(scene: Scene) -> int:
    """Return how many jobs were charged, or may have been."""
    return sum(job["charge"] != "none" for job in scene.jobs())


def start(scene: Scene, prompt: str, count: int) -> Running:
    """Start a purchase of its own."""
    return scene.start("generate", prompt, "-p", "kie", "-n", str(count), "-o", "art/")


def kill(scene: Scene, running: list[Running], dice: random.Random, most: int) -> None:
    """Kill one of them, mostly while it buys; it may have ended before."""
    wanted = min(most, len(scene.server.charges()) + dice.choice((0, 1, 2, 3)))
    victim = running.pop(dice.randrange(len(running)))
    with suppress(AssertionError):  # what is left may be too little for that
        eventually(
            lambda: len(scene.server.charges()) >= wanted or victim.process.poll() is not None
        )
    time.sleep(dice.uniform(0.0, 0.05))
    victim.process.kill()
    victim.end()
    assert "Traceback" not in victim.text, victim.text


def test_a_budget_holds_over_processes_and_kills(new_scene: NewScene, soak: Soak) -> None:
    """However often one of four is killed, no more is bought than fits, and all of that is."""
    most, kills = soak.times(8, long=30), soak.times(3, long=12)
    count, dice = 2 * most // PROCESSES, soak.dice()
    scene = new_scene(0.05)
    scene.cli.configure(scene.server, budget=f"{most * PRICE + 0.0249:.4f} USD/day")
    prompts = (f"fox {k}" for k in range(1000))
    running = [start(scene, next(prompts), count) for _ in range(PROCESSES)]
    for _ in range(kills):
        kill(scene, running, dice, most)
        running.append(start(scene, next(prompts), count))
    codes = [each.end() for each in running]
    assert len(scene.server.charges()) <= spent(scene) <= most, soak.again
    assert set(codes) <= {0, 4}, [each.text for each in running]
    code, _, err = scene.run("generate", next(prompts), "-p", "kie", "-n", str(most), "-o", "art/")
    assert (code, "the budget" in err) == (4, True), err
    assert len(scene.server.charges()) <= spent(scene) == most, soak.again
