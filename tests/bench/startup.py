"""How long commands take from start to end, held against `python -c pass`."""

from __future__ import annotations

import sys
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bench.processes import EMPTY, PROVIDER, SEEDREAM, Home, serving
from bench.table import FLOORS, median_ratio

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

ROUNDS: Final = 25
PAGE: Final = 50
MANY: Final = 100_000
PICTURE: Final = 100 << 10
"""Bytes of the picture that `generate` fetches."""
COMMANDS: Final = {
    "version": ("--version",),
    "status": ("status", "--limit", str(PAGE)),
    "status-many": ("status", "--limit", str(PAGE)),
    "providers": ("providers",),
    "help": ("generate", "--help"),
    "generate": ("generate", "a lighthouse", "-p", PROVIDER),
    "tab": ("__complete", "jobs"),
}
_JOBS: Final = """
WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?)
INSERT INTO jobs (id, run, owner, state, charge, provider, profile, origin, sandbox, model, prompt,
 request, recipe, fingerprint, output, first_n, expected, price, cost, created_at, sent_at)
SELECT printf('%08d', k), printf('r%07d', k), 'owner000', 'saved',
 CASE k % 10 WHEN 0 THEN 'maybe' ELSE 'charged' END, 'kie', 'kie', 'https://api.kie.ai', 0,
 'seedream/4.5-text-to-image', printf('a lighthouse, number %d, at dawn, flat colours', k),
 '{"size":"2048x2048","references":[]}', '{"prompt":"a lighthouse"}', printf('%064d', k),
 '{"template":"{slug}-{job}.{ext}"}', 1, 1, printf('0.%04d USD', 325 + k % 7), NULL, ?, ? FROM n
"""
_IMAGES: Final = """
INSERT INTO images (job, idx, n, url, path, format, width, height, size, sha256, saved_at)
SELECT id, 1, 1, 'https://images.example/' || id, '"/pictures/' || id || '.png"', 'png', 2048, 2048,
 4000000, printf('%064d', seq), created_at FROM jobs
"""


def measure(
    folder: Path, names: Collection[str], rounds: int | None
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the ratios of commands, and those of the floors.

    Each command follows a run of its base, and all take turns: what else the machine does falls on
    all alike.
    """
    with serving("canned.py", PICTURE) as origin:
        programs: dict[str, Sequence[str]] = {
            name: (sys.executable, "-c", code) for name, code in FLOORS.items()
        }
        programs |= {name: (*SEEDREAM, *COMMANDS[name]) for name in COMMANDS if name in names}
        homes = {name: _make_home(folder / name, name, origin) for name in programs}
        for name, program in programs.items():
            homes[name].run(program)  # compiles, and makes what the first run makes
        pairs = defaultdict(list)
        for _ in range(rounds or ROUNDS):
            for name, program in programs.items():
                base = homes[name].run(EMPTY).wall
                pairs[name].append((base, homes[name].run(program).wall))
    ratios = {name: median_ratio(each) for name, each in pairs.items()}
    floors = {name: ratios.pop(name) for name in FLOORS}
    return ratios, floors


def _make_home(folder: Path, name: str, origin: str) -> Home:
    folder.mkdir()
    home = Home(folder)
    home.configure(origin)
    if name.startswith("status") or name == "tab":
        (folder / "state").mkdir()
        fill(folder / "state" / "ledger.db", MANY if name == "status-many" else PAGE)
    return home


def fill(path: Path, count: int) -> None:
    """Write a ledger of so many saved jobs."""
    from seedream_cli.storage.ledger.ledger import Ledger

    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with closing(Ledger(path, now=lambda: datetime.now(UTC))) as ledger:
        with ledger._write() as connection:
            connection.execute(_JOBS, (count, at, at))
            connection.execute(_IMAGES)
        ledger.check()
