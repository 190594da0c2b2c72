"""Random SIGKILLs, many processes on one ledger: nothing paid is lost, nothing is paid twice.

`--soak` makes it long, `--seed N` repeats a run (its draws; the machine's own timing it cannot).
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.clock import eventually
from support.scene import draw

if TYPE_CHECKING:
    import random

    from support.scene import NewScene, Scene, Shot
    from support.soak import Soak

AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What else runs while a purchase is killed."""

    twin: bool
    """The very same command."""
    is_twin_killed: bool
    download: bool

    @staticmethod
    def draw(dice: random.Random) -> Beside:
        """Draw it."""
        return Beside(
            twin=dice.random() < 0.4,
            is_twin_killed=dice.random() < 0.3,
            download=dice.random() < 0.2,
        )


def kill(scene: Scene, shot: Shot, beside: Beside) -> bool:
    """Start a purchase and kill it; False when it had ended before."""
    running = scene.start(*shot.arguments)
    others = [scene.start(*shot.arguments)] if beside.twin else []
    others += [scene.start("download", "--timeout", "5")] if beside.download else []
    if shot.aim:
        running.wait_for(shot.aim)
    time.sleep(shot.pause)
    running.process.kill()
    code = running.end()
    assert "Traceback" not in running.text, running.text
    assert code in {0, 2, 5, -signal.SIGKILL}, (shot, code, running.text)
    if beside.twin and beside.is_twin_killed:
        others[0].process.kill()
    for other in others:
        # 2: its name is taken; 5: what was being sent is unknown; 75: another one still works.
        assert other.end() in {0, 2, 5, 75, -signal.SIGKILL}, (shot, other.text)
        assert "Traceback" not in other.text, other.text
    return code == -signal.SIGKILL


def kill_until(scene: Scene, dice: random.Random, wanted: int) -> tuple[int, list[str]]:
    """Kill processes, four at a time, until as many as wanted died of it.

    Return how many were started for it, and what was bought more often than it was wanted.
    """
    hits = number = 0
    most: Counter[str] = Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while hits < wanted:
            shots = [draw(dice, number + k) for k in range(min(24, wanted - hits))]
            besides = [Beside.draw(dice) for _ in shots]
            number += len(shots)
            for shot, beside in zip(shots, besides, strict=True):
                most[shot.prompt] = shot.requests * (1 + (beside.twin and shot.is_new_name))
            hits += sum(pool.map(partial(kill, scene), shots, besides))
    charged = Counter(str(charge["prompt"]) for charge in scene.server.charges())
    return number, [f"{prompt}: bought {k} times" for prompt, k in (charged - most).items()]


def test_random_kills_lose_nothing_and_pay_nothing_twice(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """After any SIGKILL each charge is in the ledger once, and each file is a whole picture.

    Beside the killed ones run others that want the same, and downloads of what is left.
    """
    scene, kills = new_scene(0.2), soak.times(16, long=500)
    shots, twice = kill_until(scene, soak.dice(), kills)
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
    assert found.wrong + twice == [], soak.again


@pytest.mark.parametrize("kills", [0.0, 0.5, 1.0], ids=["whole", "some-killed", "one-killed-each"])
def test_pairs_that_start_together_pay_once(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str], kills: float
) -> None:
    """Six pairs (100 by `--soak`) of one command each: one charge a pair, killed or not.

    Of a pair whose buyer was killed while sending nobody knows, and nobody sends it again.
    """
    scene, dice = new_scene(0.5), soak.dice()
    pairs = [draw(dice, k) for k in range(soak.times(6, long=100))]
    # With its extension the name is known beforehand, whatever the provider makes: who comes when
    # the other one's picture is there buys nothing.
    names = [("--any-format", "-o", f"pair-{each.number}.png") for each in pairs]
    pairs = [replace(each, many=(), output=name) for each, name in zip(pairs, names, strict=True)]
    hits = [dice.random() < kills for _ in pairs]

    def run(shot: Shot, *, is_killed: bool) -> int:
        both = [scene.start(*shot.arguments) for _ in range(2)]
        if is_killed:
            if shot.aim:
                both[0].wait_for(shot.aim)
            time.sleep(shot.pause)
            both[0].process.kill()
        codes = [each.end() for each in both]
        assert not any("Traceback" in each.text for each in both), both
        # 2: the other one's picture was there before it looked.
        assert codes[1] in {0, 2, 5}, both[1].text
        return codes[1]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [
            pool.submit(run, pair, is_killed=hit) for pair, hit in zip(pairs, hits, strict=True)
        ]
        codes = Counter(each.result() for each in runs)
    charged = Counter(str(charge["prompt"]) for charge in scene.server.charges())
    scene.recover()
    found = scene.audit()
    unknown = {str(job["prompt"]) for job in scene.jobs() if job["state"] == "unknown"}
    with capsys.disabled():
        told = {"pairs": len(pairs), "killed": sum(hits), "exits of the other": dict(codes)}
        sys.stdout.write(f"\n{told | {'unknown': len(unknown)} | found.numbers}\n")
    assert found.wrong == [], soak.again
    for pair in pairs:
        assert charged[pair.prompt] <= 1, soak.again
        assert charged[pair.prompt] == 1 or pair.prompt in unknown, soak.again
    assert kills or not unknown, soak.again


@pytest.mark.parametrize("provider", ["ark", "uniall", "openrouter"])
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
