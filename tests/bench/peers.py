"""How other commands start, each in an environment of its own, beside ours.

They come from the package index that pip asks here. Only what needs no network is run, in an empty
home, and behind a proxy that is not there.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.environments import install
from bench.processes import Home
from bench.table import EMPTY, median_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS: Final = 15
_NO_PROXY_THERE: Final = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Peer:
    """A command that somebody may have instead, and how it is asked for a list it has offline."""

    name: str
    """Of the distribution."""
    command: str
    listing: tuple[str, ...]


OURS: Final = Peer("seedream", "seedream", ("status",))
PEERS: Final = (
    Peer("gallery-dl", "gallery-dl", ("--list-modules",)),
    Peer("yt-dlp", "yt-dlp", ("--list-extractors",)),
    Peer("llm", "llm", ("models",)),
    Peer("httpie", "httpie", ("cli", "plugins", "list")),
    # The other Seedream command on the index; it is also called `seedream`, and its package
    # `seedream_cli`. https://github.com/AceDataCloud/SeedreamCli
    Peer("seedream-cli", "seedream-cli", ("models",)),
)


def measure(folder: Path, rounds: int | None) -> Iterator[str]:
    """Yield the lines of the peers' table."""
    yield f"{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}; times {EMPTY} of each"
    yield f"{'':<26} {'--version':>9} {'--help':>7} {'a list':>7}"
    for peer in (OURS, *PEERS):
        try:
            python = sys.executable if peer is OURS else install(folder / peer.name, peer.name)
        except SystemExit:
            yield f"{peer.name:<26} could not be installed"
            continue
        version, shown, listed = _ratios(folder, peer, Path(python), rounds or ROUNDS)
        name = f"{peer.name} {_version(python, peer.name)}"
        asked = " ".join(peer.listing)
        yield f"{name:<26} {version:>9.1f} {shown:>7.1f} {listed:>7.1f}  {asked}"


def _ratios(folder: Path, peer: Peer, python: Path, rounds: int) -> list[float]:
    """Return how `--version`, `--help` and a list compare with an empty program beside them."""
    home = Home(folder / f"home-{peer.name}")
    home.folder.mkdir()
    env = home.env | dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _NO_PROXY_THERE)
    command = str(python.parent / peer.command)
    asked = (("--version",), ("--help",), peer.listing)
    for arguments in asked:
        home.run((command, *arguments), env)
    pairs = defaultdict(list)
    for _ in range(rounds):
        for arguments in asked:
            base = home.run((str(python), "-c", "pass"), env).wall
            pairs[arguments].append((base, home.run((command, *arguments), env).wall))
    return [median_ratio(pairs[arguments]) for arguments in asked]


def _version(python: str, name: str) -> str:
    code = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, name], capture_output=True, text=True, check=True)
    return done.stdout.strip()
