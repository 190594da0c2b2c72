"""The long forms: what a large batch needs, and how near it comes to a provider's limit.

Linux only: memory and open files are read from /proc.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.processes import PROVIDER, SEEDREAM, Home, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH: Final = (*SEEDREAM, "generate", "--batch", "assets.jsonl")
_KIB: Final = 1024


def measure(folder: Path, form: str, count: int) -> Iterator[str]:
    """Yield what is found out about a batch of so many rows."""
    home = Home(folder)
    home.describe(count)
    if form == "rows":
        with serving("stand_in.py", 0) as origin:
            home.configure(f"{origin}/uniall", PROVIDER)
            yield from _rows(home, origin, count)
    else:
        with serving("stand_in.py", 40) as origin:
            home.configure(f"{origin}/ark/api/v3", "ark")
            yield from _rate(home, origin, count)


def _rows(home: Home, origin: str, count: int) -> Iterator[str]:
    """Measure many rows that are answered at once: planning, memory, open files, `status`."""
    idle = home.run((*_BATCH, "--plan", "-q", "--shard", "1/100000")).wall
    planned = home.run((*_BATCH, "--plan", "-q")).wall
    yield f"planned {count / (planned - idle):.0f} rows a second"
    yield from _watch(home, (*_BATCH, "--yes"))
    with urllib.request.urlopen(f"{origin}/_sandbox/counters") as answer:  # noqa: S310
        yield f"{len(json.load(answer)['charges'])} submits charged"
    yield f"checked in {home.run((*_BATCH, '--check', '-q')).wall:.1f} s"


def _rate(home: Home, origin: str, count: int) -> Iterator[str]:
    """Measure a provider that takes 40 s a picture and 500 pictures a minute (Ark)."""
    yield from _watch(home, (*_BATCH, "--yes", "--max-images", str(count)))
    with urllib.request.urlopen(f"{origin}/_sandbox/log") as answer:  # noqa: S310
        at = sorted(each["at"] for each in json.load(answer) if each["method"] == "POST")
    for start in (0, 60, 120):
        came = sum(start <= each - at[0] < start + 60 for each in at)
        yield f"{came} submits in minute {start // 60 + 1}"
    yield f"at most {max(sum(t <= each < t + 60 for each in at) for t in at)} in any 60 s"


def _watch(home: Home, command: tuple[str, ...]) -> Iterator[str]:
    """Run a command to its end; say what it needs, and how long a `status` beside it takes."""
    status = (*SEEDREAM, "status", "--limit", "3", "--offline")
    started, most, beside, memory = time.monotonic(), 0, 0.0, 0.0
    run = subprocess.Popen(
        command, cwd=home.folder, env=home.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while run.poll() is None:
        time.sleep(2)
        with suppress(OSError, KeyError):  # it has ended
            memory, files = _needs(run.pid)
            most = max(most, files)
        beside = max(beside, home.run(status).wall)
    yield f"exit {run.returncode} after {time.monotonic() - started:.0f} s"
    yield f"at most {memory:.0f} MiB, {most} open files; `status` beside it {beside:.1f} s"


def _needs(pid: int) -> tuple[float, int]:
    """Return the most memory that a process had, in MiB, and its open files now."""
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields["VmHWM"].split()[0]) / _KIB, len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only how many
