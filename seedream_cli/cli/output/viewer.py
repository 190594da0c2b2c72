"""Opens files in the system's viewer; what goes wrong there is a note, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_OPENED: Final = 8
"""Windows at once."""
SECONDS: Final = 1.0
"""In which a viewer says that there is no screen (a CI, SSH); one that stays open is let be."""


def open_files(paths: Sequence[str], say: Callable[[str], None]) -> None:
    """Hand files to `open` (macOS) or `xdg-open`, which take nothing of our streams."""
    there = [os.path.abspath(path) for path in paths if os.path.exists(path)]  # noqa: PTH100, PTH110 - text
    if not there:
        say("--open: there is nothing to open")
    if len(there) > MOST_OPENED:
        say(f"--open: the first {MOST_OPENED} of {len(there)} pictures")
    viewer = "open" if sys.platform == "darwin" else "xdg-open"
    started: dict[str, subprocess.Popen[bytes]] = {}
    for path in there[:MOST_OPENED]:
        try:
            started[path] = _start(viewer, path)
        except OSError:
            say(f"--open: there is no {viewer} on this machine")
            return
    until = time.monotonic() + SECONDS
    for path, process in started.items():
        with suppress(subprocess.TimeoutExpired):
            if process.wait(max(0.0, until - time.monotonic())):
                say(f"--open: {viewer} could not open it here; it lies at {path}")
                return


def _start(viewer: str, path: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the system's viewer, and no shell reads it
        [viewer, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
