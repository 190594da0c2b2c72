"""Commands in a home of their own, and what each run of them cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROVIDER: Final = "uniall"
"""Answers at once, so that a purchase is two exchanges."""
SEEDREAM: Final = (sys.executable, "-m", "seedream_cli")
EMPTY: Final = (sys.executable, "-c", "pass")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took, in seconds."""

    wall: float
    cpu: float
    """Of the process and all that it waited for."""


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with state and config of its own."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of its commands: nothing of the caller's but where programs lie."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "SEEDREAM_STATE_DIR": str(self.folder / "state"),
            "SEEDREAM_CONFIG": str(self.folder / "config.toml"),
        }

    def configure(self, origin: str, provider: str = PROVIDER) -> None:
        """Write a profile that speaks to a server."""
        config = self.folder / "config.toml"
        config.write_text(
            f'[profiles.{provider}]\nprovider = "{provider}"\napi_key = "sk-bench"\n'
            f'base_url = "{origin}"\n'
        )
        config.chmod(0o600)

    def describe(self, count: int) -> None:
        """Write a manifest of so many pictures."""
        with (self.folder / "assets.jsonl").open("w") as manifest:
            for n in range(count):
                manifest.write(f'{{"name":"p{n:05}","prompt":"a lighthouse, view {n}"}}\n')

    def run(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> Cost:
        """Run a command to its end, its output thrown away; raise where it fails."""
        said = self.folder / "stderr"
        with said.open("wb") as stderr:
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env if env is None else env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            tail = said.read_text(errors="replace")[-2000:]
            raise SystemExit(f"exit {process.returncode} of {' '.join(command)}:\n{tail}")
        return Cost(wall, usage.ru_utime + usage.ru_stime)


@contextmanager
def serving(script: str, argument: float) -> Iterator[str]:
    """Run one of the servers beside this file for a block; yield its address."""
    command = [sys.executable, str(Path(__file__).parent / script), str(argument)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()
