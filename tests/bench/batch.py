"""Measures a large batch: memory, open files, planning, and how near it comes to a limit.

    python tests/bench/batch.py rows 10000     memory, files, rows planned a second, `status`
    python tests/bench/batch.py rate 1200      Ark's 500 pictures a minute, 40 s each

The stand-in runs in a process of its own and draws one picture of a kind once: what is measured is
the client. Linux only (it reads /proc).
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from seedream_cli.sandbox.messages import Settings
from seedream_cli.sandbox.pictures import host as images
from seedream_cli.sandbox.server import Sandbox
from seedream_cli.sandbox.tickets import Drawing

MIB = 1024


def serve(delay: float) -> None:
    """Serve until killed."""
    draw = images.draw

    @functools.cache
    def drawn(width: int, height: int, kind: str) -> bytes:
        return draw(Drawing(seed=1, width=width, height=height, format=kind))

    images.draw = lambda picture: drawn(picture.width, picture.height, picture.format)
    with Sandbox(settings=Settings(delay=delay)) as sandbox:
        print(sandbox.origin, flush=True)  # noqa: T201 - its result
        time.sleep(86400)


def seedream(*arguments: str) -> list[str]:
    """Return a command line."""
    return [sys.executable, "-m", "seedream_cli", *arguments]


def say(text: str) -> None:
    """Print a finding."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Place:
    """A folder with a manifest, a config and a server of its own."""

    def __init__(self, folder: Path, provider: str, path: str, rows: int, delay: float) -> None:
        """Write it and start the server."""
        self.folder = folder
        self.server = subprocess.Popen(
            [sys.executable, __file__, "serve", str(delay)], stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        self.origin = self.server.stdout.readline().strip()
        config = folder / "config.toml"
        config.write_text(
            f'[profiles.{provider}]\nprovider = "{provider}"\napi_key = "sk-bench"\n'
            f'base_url = "{self.origin}{path}"\n'
        )
        config.chmod(0o600)
        lines = (f'{{"name":"p{n:05}","prompt":"a lighthouse, view {n}"}}' for n in range(rows))
        (folder / "assets.jsonl").write_text("\n".join(lines))
        self.env = os.environ | {
            "SEEDREAM_CONFIG": str(config),
            "SEEDREAM_STATE_DIR": str(folder / "state"),
            "HOME": str(folder),
        }

    def run(self, *arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        """Run a command to its end and return how long it took, in seconds."""
        started = time.perf_counter()
        done = subprocess.run(
            seedream(*arguments),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        return time.perf_counter() - started, done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        with (self.folder / "err").open("wb") as err:
            return subprocess.Popen(
                seedream(*arguments),
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.DEVNULL,
                stderr=err,
            )

    def charged(self) -> int:
        """Return how many submits were accepted."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/counters") as answer:  # noqa: S310
            return len(json.load(answer)["charges"])

    def submits(self) -> list[float]:
        """Return when each paid request came, seconds since 1970."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/log") as answer:  # noqa: S310
            return [each["at"] for each in json.load(answer) if each["method"] == "POST"]


def memory(pid: int) -> tuple[float, float, int]:
    """Return a process's memory now and at most, in MiB, and its open files."""
    text = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    now, most = (int(fields[name].split()[0]) / MIB for name in ("VmRSS", "VmHWM"))
    return now, most, len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - only how many


def watch(place: Place, run: subprocess.Popen[bytes], every: float) -> None:
    """Say how a run does until it ends."""
    files, started = 0, time.monotonic()
    while run.poll() is None:
        time.sleep(every)
        try:
            now, most, fds = memory(run.pid)
        except (OSError, KeyError):
            break
        files = max(files, fds)
        seconds, status = place.run("status", "--limit", "3", "--offline")
        say(
            f"  {time.monotonic() - started:6.0f} s: {now:.0f} MiB, at most {most:.0f} MiB,"
            f" {fds} files open; status {seconds:.1f} s, exit {status.returncode}"
        )
    say(f"exit {run.wait()}, at most {files} files open")
    say("".join((place.folder / "err").read_text().splitlines(keepends=True)[-3:]))


def rows(place: Place, count: int) -> None:
    """Measure many rows without delay."""
    idle, _ = place.run(
        "generate", "--batch", "assets.jsonl", "--check", "-q", "--shard", "1/100000"
    )
    planned, _ = place.run("generate", "--batch", "assets.jsonl", "--plan", "-q")
    say(f"planned {count / (planned - idle):.0f} rows a second")
    run = place.start("generate", "--batch", "assets.jsonl", "-y")
    watch(place, run, 15)
    say(f"{place.charged()} submits charged")
    checked, done = place.run("generate", "--batch", "assets.jsonl", "--check", "-q")
    say(f"checked in {checked:.1f} s, exit {done.returncode}")


def rate(place: Place, count: int) -> None:
    """Measure a slow synchronous provider with a limit of 500 pictures a minute."""
    run = place.start("generate", "--batch", "assets.jsonl", "-y", "--max-images", str(count))
    watch(place, run, 10)
    at = sorted(place.submits())
    for start in (0, 60, 120):
        came = sum(start <= t - at[0] < start + 60 for t in at)
        say(f"{came} submits in minute {start // 60 + 1}")
    most = max(sum(t <= each < t + 60 for each in at) for t in at)
    say(f"at most {most} in any 60 s; in the first two minutes {sum(t - at[0] < 120 for t in at)}")


def main(mode: str, count: int) -> None:
    """Measure."""
    provider, path, delay = ("uniall", "/uniall", 0.0) if mode == "rows" else (
        "ark", "/ark/api/v3", 40.0
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), provider, path, count, delay)
        try:
            {"rows": rows, "rate": rate}[mode](place, count)
        finally:
            place.server.kill()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(float(sys.argv[2]))
    else:
        main(sys.argv[1], int(sys.argv[2]))
