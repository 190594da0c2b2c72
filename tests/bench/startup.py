"""Prints how long commands take to start, as multiples of `python -c pass` in the same run.

Run it by hand: python tests/bench/startup.py [ROUNDS]. No test depends on it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "seedream --version": ["-m", "seedream_cli", "--version"],
    "seedream --help": ["-m", "seedream_cli", "--help"],
    "seedream status": ["-m", "seedream_cli", "status"],
    "seedream providers": ["-m", "seedream_cli", "providers"],
    "seedream generate --help": ["-m", "seedream_cli", "generate", "--help"],
    "seedream generate x --dry-run": [
        "-m",
        "seedream_cli",
        "generate",
        "x",
        "--dry-run",
        "-p",
        "ark",
    ],
}


def median_seconds(arguments: list[str], rounds: int, env: dict[str, str]) -> float:
    """Return the median wall time of a command."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], env=env, capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measure every command."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"HOME": home, "SEEDREAM_STATE_DIR": f"{home}/state"}
        base = median_seconds(COMMANDS["python -c pass"], rounds, env)
        for name, arguments in COMMANDS.items():
            ratio = median_seconds(arguments, rounds, env) / base
            sys.stdout.write(f"{ratio:6.1f}  {name}\n")


if __name__ == "__main__":
    main()
