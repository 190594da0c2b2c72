"""What pictures on disk cost: a batch that fetches them, and a check that reads them again."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Final

from bench.canned import picture
from bench.processes import PROVIDER, SEEDREAM, Cost, Home, serving
from bench.table import median_ratio

if TYPE_CHECKING:
    from pathlib import Path

PICTURES: Final = 100
LARGE: Final = 4 << 20
AT_ONCE: Final = 8
CHECKED: Final = 10_000
SMALL: Final = 100 << 10
ROUNDS: Final = 7
FETCHING: Final = ("pictures", "pictures-cpu")
CHECKING: Final = ("check",)
_BATCH: Final = (*SEEDREAM, "generate", "--batch", "assets.jsonl", "-p", PROVIDER, "-q")


def measure_fetching(folder: Path, rounds: int | None) -> dict[str, float | str]:
    """Return the ratios of wall and of CPU time of a batch to those of curl and a flush."""
    if shutil.which("curl") is None:
        return dict.fromkeys(FETCHING, "no curl on this machine")
    with serving("canned.py", LARGE) as origin:
        pairs = [
            (_fetch(folder / "curl", origin), _batch(folder / "batch", origin))
            for _ in range(rounds or ROUNDS)
        ]
    walls = [(base.wall, ours.wall) for base, ours in pairs]
    return {
        "pictures": median_ratio(walls),
        "pictures-cpu": median_ratio([(base.cpu, ours.cpu) for base, ours in pairs]),
    }


def _fetch(folder: Path, origin: str) -> Cost:
    """Fetch with curl, then flush every file."""
    folder.mkdir()
    command = ("curl", "--silent", "--parallel", "--parallel-max", str(AT_ONCE))
    urls = f"{origin}/[1-{PICTURES}].png"
    curl = Home(folder).run((*command, "--fail", "--output", "p#1.png", urls))
    started, worked = time.perf_counter(), time.process_time()
    for path in folder.glob("*.png"):
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.close(file)
    wall, cpu = time.perf_counter() - started, time.process_time() - worked
    _remove(folder)
    return Cost(curl.wall + wall, curl.cpu + cpu)


def _batch(folder: Path, origin: str) -> Cost:
    """Buy as many in a batch: with a new ledger and lock, everything flushed."""
    folder.mkdir()
    home = Home(folder)
    home.configure(origin)
    home.describe(PICTURES)
    cost = home.run((*_BATCH, "--yes", "--jobs", str(AT_ONCE)))
    assert len(list(folder.glob("*.png"))) == PICTURES
    _remove(folder)
    return cost


def _remove(folder: Path) -> None:
    """Remove a folder; what it still had to write does not fall on who comes next."""
    shutil.rmtree(folder)
    os.sync()


def measure_checking(folder: Path, rounds: int | None) -> dict[str, float | str]:
    """Return the ratio of a check of current files to `sha256sum` of the same files."""
    if shutil.which("sha256sum") is None:
        return {"check": "no sha256sum on this machine"}
    folder.mkdir()
    home = Home(folder)
    home.configure("http://127.0.0.1:9")
    home.describe(CHECKED)
    whole = picture(SMALL)
    names = [f"p{n:05}.png" for n in range(CHECKED)]
    for name in names:
        (folder / name).write_bytes(whole + name.encode())
    home.run((*_BATCH, "--accept", "*"))
    lock = folder / "assets.lock"
    # As if made by us: the work of hands is asked fewer questions.
    lock.write_text(lock.read_text().replace(', "accepted": true', ""))
    os.sync()
    pairs = []
    for _ in range(rounds or ROUNDS):
        base = home.run(("sha256sum", *names)).wall
        pairs.append((base, home.run((*_BATCH, "--check")).wall))
    return {"check": median_ratio(pairs)}
