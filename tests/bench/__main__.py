"""Prints where time and requests go, as ratios beside their goals.

It needs nothing but the standard library: it installs the checkout into an environment of its own,
without extras, and goes on in that. Verdicts are of ratios in this one run, never of seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)  # `bench` and `support`, as the tests find them

from bench import batch, files, peers, simulated, startup  # noqa: E402 - found only now
from bench.environments import install  # noqa: E402 - likewise
from bench.table import ROWS, render  # noqa: E402 - likewise

NAMES = [row.name for row in ROWS]


def main() -> None:
    """Measure what was asked for, in the environment that is measured."""
    asked = _parse()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if asked.inside:
            for line in _lines(folder, asked):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        else:
            python = asked.python or install(folder / "env", str(HERE.parent.parent))
            sys.exit(subprocess.call([python, str(HERE), *sys.argv[1:], "--inside"]))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__)
    add = parser.add_argument
    add(
        *("--only", "-k"),
        action="append",
        choices=NAMES,
        metavar="NAME",
        help=f"measure this row; repeats: {', '.join(NAMES)}",
    )
    add("--rounds", type=int, metavar="N", help="so many pairs a row, instead of each one's own")
    add(
        "--python",
        metavar="PATH",
        help="measure the environment of this one, which must have no extras",
    )
    add(
        "--peers",
        action="store_true",
        help="instead: install other commands, each into an environment of its own, and measure"
        " how they start",
    )
    add(
        "--long",
        nargs=2,
        metavar=("rows|rate", "COUNT"),
        help="instead: what a batch of so many rows needs (rows 10000), or how near it comes to a"
        " limit of 500 pictures a minute (rate 1200)",
    )
    add("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.long and not (asked.long[0] in {"rows", "rate"} and asked.long[1].isdecimal()):
        parser.error("--long takes rows or rate, and how many")
    return asked


def _lines(folder: Path, asked: argparse.Namespace) -> Iterator[str]:
    if asked.peers:
        return peers.measure(folder, asked.rounds)
    if asked.long:
        return batch.measure(folder, asked.long[0], int(asked.long[1]))
    return _measure(folder, asked)


def _measure(folder: Path, asked: argparse.Namespace) -> Iterator[str]:
    started = time.monotonic()
    names = asked.only or NAMES
    found: dict[str, float | str] = {}
    floors: dict[str, float] = {}
    wanted = {*names}
    if wanted & {*startup.COMMANDS}:
        ratios, floors = startup.measure(folder, names, asked.rounds)
        found |= ratios
    if wanted & {*simulated.ROWS}:
        found |= simulated.measure()
    if wanted & {*files.FETCHING}:
        found |= files.measure_fetching(folder, asked.rounds)
    if wanted & {*files.CHECKING}:
        found |= files.measure_checking(folder / "check", asked.rounds)
    yield from render({name: found[name] for name in NAMES if name in names}, floors)
    yield f"{time.monotonic() - started:.0f} s"


if __name__ == "__main__":
    main()
