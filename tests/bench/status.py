"""Prints what `status` of 50 jobs takes among 100,000, as a multiple of 50 among 50.

Run it by hand: python tests/bench/status.py [ROUNDS [JOBS]]. No test depends on it; one that counts
SQLite's steps is in tests/unit/storage/test_selection.py.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from seedream_cli.storage.ledger.ledger import Ledger

PAGE = 50
_JOBS = """
WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?)
INSERT INTO jobs (id, run, owner, state, charge, provider, profile, origin, sandbox, model, prompt,
 request, recipe, fingerprint, output, first_n, expected, price, cost, created_at, sent_at)
SELECT printf('%08d', k), printf('r%07d', k), 'owner000', 'saved',
 CASE k % 10 WHEN 0 THEN 'maybe' ELSE 'charged' END, 'kie', 'kie', 'https://api.kie.ai', 0,
 'seedream/4.5-text-to-image', printf('a lighthouse, number %d, at dawn, flat colours', k),
 '{"size":"2048x2048","references":[]}', '{"prompt":"a lighthouse"}', printf('%064d', k),
 '{"template":"{slug}-{job}.{ext}"}', 1, 1, printf('0.%04d USD', 325 + k % 7), NULL, ?, ? FROM n
"""
_IMAGES = """
INSERT INTO images (job, idx, n, url, path, format, width, height, size, sha256, saved_at)
SELECT id, 1, 1, 'https://images.example/' || id, '"/pictures/' || id || '.png"', 'png', 2048, 2048,
 4000000, printf('%064d', seq), created_at FROM jobs
"""


def fill(path: Path, count: int) -> None:
    """Write a ledger of so many saved jobs."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with closing(Ledger(path, now=lambda: datetime.now(UTC))) as ledger:
        with ledger._write() as connection:
            connection.execute(_JOBS, (count, at, at))
            connection.execute(_IMAGES)
        ledger.check()


def once(state: Path, *arguments: str) -> float:
    """Return the seconds that a command took, piped."""
    env = os.environ | {"HOME": str(state), "SEEDREAM_STATE_DIR": str(state)}
    started = time.perf_counter()
    command = [sys.executable, "-m", "seedream_cli", "status", *arguments]
    subprocess.run(command, env=env, capture_output=True, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure a page of a small ledger and of a large one by turns, with filters and without."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small"), Path(folder, "large")
        for state, jobs in ((small, PAGE), (large, count)):
            state.mkdir()
            fill(state / "ledger.db", jobs)
            once(state)
        for extra in ((), ("--json",), ("--since", "1d"), ("--grep", "lighthouse")):
            arguments = ("--limit", str(PAGE), *extra)
            pairs = [(once(small, *arguments), once(large, *arguments)) for _ in range(rounds)]
            few, many = (statistics.median(times) for times in zip(*pairs, strict=True))
            words = " ".join(arguments)
            sys.stdout.write(f"{many / few:5.2f}  ({few:.3f} s, {many:.3f} s)  status {words}\n")


if __name__ == "__main__":
    main()
