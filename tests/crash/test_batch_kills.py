"""Batches killed at random moments: no row is bought twice, each is in the lock or named unknown.

`--soak` makes it long (200 rows), `--seed N` repeats its draws (the machine's own timing it
cannot).
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import time
import urllib.request
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from support.clock import eventually
from support.manifests import DEFAULTS

if TYPE_CHECKING:
    import random

    from support.scene import NewScene, Scene
    from support.soak import Soak

MOST_RUNS = 6
"""Runs after the kills until nothing is left to do: one, and one to see that."""


@dataclass
class Batch:
    """A manifest of rows that tell their prompts apart, and runs of it."""

    scene: Scene
    provider: str
    count: int
    soak: Soak
    arguments: tuple[str, ...] = ()
    hits: int = 0
    runs: int = 0
    codes: list[int] = field(default_factory=list)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Take the dice."""
        self.dice = self.soak.dice()

    @property
    def names(self) -> list[str]:
        """The rows."""
        return [f"r{k:03}" for k in range(self.count)]

    def write(self) -> None:
        """Write the manifest into the working folder."""
        text = DEFAULTS[self.provider]
        text += "".join(f'[images.{name}]\nprompt = "picture {name}"\n' for name in self.names)
        (self.scene.work / "art.toml").write_text(text)

    def kill(self) -> None:
        """Start a run and kill it, mostly while it buys; it may have ended before."""
        before = len(self.scene.server.charges())
        running = self.scene.start("generate", "--batch", "art.toml", *self.arguments)
        wanted = before + self.dice.choice((0, 1, 1, 3, 6, 10))
        deadline = time.monotonic() + 30
        while len(self.scene.server.charges()) < wanted and running.process.poll() is None:
            assert time.monotonic() < deadline, running.text
            time.sleep(0.005)
        time.sleep(self.dice.uniform(0.0, self.dice.choice((0.02, 0.1, 0.3))))
        running.process.kill()
        self.hits += running.end() < 0
        assert "Traceback" not in running.text, running.text

    def finish(self) -> None:
        """Run until a run buys nothing more."""
        for _ in range(MOST_RUNS):
            before = len(self.scene.server.charges())
            code, _, err = self.scene.run("generate", "--batch", "art.toml", *self.arguments)
            self.codes.append(code)
            assert code in {0, 5}, f"{self.soak.again}\n{err}"
            if len(self.scene.server.charges()) == before:
                return
        pytest.fail(f"it does not come to an end: {self.codes}")

    def lock(self) -> list[dict[str, object]]:
        """Return the lines of the lock and its parts."""
        texts = [path.read_text() for path in sorted(self.scene.work.glob("*.lock"))]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def wrong(self) -> list[str]:
        """Compare what was charged with the lock, the ledger and the disk, each in a sentence."""
        charged = Counter(str(charge["prompt"]) for charge in self.scene.server.charges())
        wrong = [f"{prompt}: charged {k} times" for prompt, k in charged.items() if k > 1]
        unknown = self.unknown()
        known = Counter(str(line["name"]) for line in self.lock())
        wrong += [f"{name}: {k} lines in the lock" for name, k in known.items() if k > 1]
        wrong += [f"{name}: neither in the lock nor unknown" for name in self.names
                  if name not in known and name not in unknown]  # fmt: skip
        wrong += [f"{name}: in the lock and unknown" for name in known if name in unknown]
        wrong += [f"{name}: in the lock and not charged" for name in known
                  if not charged[f"picture {name}"]]  # fmt: skip
        if (self.codes[-1] == 5) != bool(unknown):
            wrong.append(f"exit {self.codes[-1]} with {len(unknown)} unknown rows")
        return wrong + [complaint for line in self.lock() for complaint in self._look_at(line)]

    def _look_at(self, line: dict[str, object]) -> list[str]:
        path = self.scene.work / str(line["output"])
        if str(line["output"]) != f"{line['name']}.png":
            return [f"{line['name']} lies at {line['output']}"]
        is_whole = path.exists() and sha256(path.read_bytes()).hexdigest() == line["sha256"]
        return [] if is_whole else [f"{path} is not as the lock says"]

    def unknown(self) -> set[str]:
        """Return the rows whose outcome nobody knows, by what `status` says."""
        code, out, err = self.scene.run(
            "status", "--state", "unknown", "--all", "--offline", "--json"
        )
        assert code == 0, err
        return {str(json.loads(line)["row"]) for line in out.splitlines()}

    def numbers(self) -> dict[str, object]:
        """Return what a person may want to see."""
        return {
            "seed": self.soak.seed,
            "of": self.provider,
            "rows": self.count,
            "kills": self.hits,
            "exits": self.codes,
            "unknown": len(self.unknown()),
        }


def tell(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    """Show the numbers, the seed among them, also where all is well."""
    with capsys.disabled():
        sys.stdout.write(f"\n{batch.numbers()}\n")


@pytest.mark.parametrize("provider", ["ark", "uniall"])
def test_a_batch_that_is_killed_again_and_again_buys_each_row_once(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str], provider: str
) -> None:
    """After any SIGKILL the next runs finish; no prompt is charged twice, no row is lost."""
    batch = Batch(
        scene=new_scene(0.1), provider=provider, count=soak.times(30, long=200), soak=soak
    )
    batch.write()
    for _ in range(soak.times(4, long=10)):
        batch.kill()
    batch.finish()
    tell(batch, capsys)
    assert batch.wrong() == [], soak.again
    assert batch.hits, "nothing was killed"
    assert [str(line["name"]) for line in batch.lock()] == sorted(
        set(batch.names) - batch.unknown()
    )


def test_a_polled_batch_that_is_killed_fetches_what_was_accepted(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """On KIE a task that was accepted before the kill is polled by the next run, not bought."""
    batch = Batch(scene=new_scene(0.3), provider="kie", count=12, soak=soak)
    batch.write()
    for _ in range(2):
        batch.kill()
    batch.finish()
    tell(batch, capsys)
    assert batch.wrong() == [], soak.again


def test_a_shard_goes_on_in_another_pod(
    new_scene: NewScene, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed, then in another home with the manifest alone and the kept state: no row is twice.

    The pictures that went with the first pod are fetched again.
    """
    scene = new_scene(0.1)
    batch = Batch(scene=scene, provider="ark", count=soak.times(15, long=100), soak=soak)
    batch.arguments = ("--shard", "1/1")
    batch.write()
    pods = [scene.home]
    for number in range(2):
        batch.kill()
        pods.append(scene.home / f"pod-{number}")
        scene.move_elsewhere(pods[-1])
        shutil.rmtree(pods[-2] / "work")
        batch.write()
    batch.finish()
    tell(batch, capsys)
    assert batch.wrong() == [], soak.again
    assert [path.name for path in sorted(scene.work.glob("*.lock"))] == ["art.1-of-1.lock"]


@pytest.mark.parametrize("is_replacing", [False, True])
def test_a_picture_that_was_named_and_not_recorded_is_taken(
    new_scene: NewScene, soak: Soak, *, is_replacing: bool
) -> None:
    """Killed between a picture's name and its record: the next run takes that very file."""
    scene = new_scene(0.0)
    batch = Batch(scene=scene, provider="ark", count=1, soak=soak)
    batch.write()
    if is_replacing:
        batch.finish()
        manifest = scene.work / "art.toml"
        manifest.write_text(manifest.read_text().replace("picture", "another"))
    charges, fetched = len(scene.server.charges()), len(scene.server.fetched())
    scene.server.change_weather("truncate")
    running = scene.start("generate", "--batch", "art.toml")
    eventually(lambda: len(scene.server.fetched()) > fetched)
    running.process.kill()
    running.end()
    scene.server.change_weather()
    with urllib.request.urlopen(scene.server.fetched()[-1]) as answer:  # noqa: S310 - loopback
        (scene.work / "r000.png").write_bytes(answer.read())
    code, _, err = scene.run("generate", "--batch", "art.toml")
    assert code == 0, err
    assert len(scene.server.charges()) == charges + 1
    code, _, err = scene.run("generate", "--batch", "art.toml", "--check")
    assert code == 0, err
    assert [path.name for path in scene.work.glob("*.png")] == ["r000.png"]


def test_a_picture_that_was_recorded_in_another_pod_is_fetched_here(
    new_scene: NewScene, soak: Soak
) -> None:
    """Killed between a picture's record and its job's: its file went with the pod, not its URL."""
    scene = new_scene(0.0)
    batch = Batch(scene=scene, provider="ark", count=2, soak=soak)
    batch.write()
    batch.finish()
    leave_ready(scene, "r000")
    old = scene.work
    scene.move_elsewhere(scene.home / "pod")
    shutil.rmtree(old)
    batch.write()
    batch.finish()
    assert batch.wrong() == []
    assert not old.exists()


def leave_ready(scene: Scene, row: str) -> None:
    """Leave a saved job as a kill right behind its picture's record does: a moment rarely hit."""
    with closing(sqlite3.connect(scene.state / "ledger.db", isolation_level=None)) as ledger:
        guards = ledger.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        kept = guards.fetchall()
        for name, _ in kept:
            ledger.execute(f"DROP TRIGGER {name}")
        ledger.execute("UPDATE jobs SET state = 'ready' WHERE row = ?", (row,))
        for _, text in kept:
            ledger.execute(text)
