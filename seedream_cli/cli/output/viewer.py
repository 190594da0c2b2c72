"""Opens files in the system's viewer; what goes wrong there is a note, and no more."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_OPENED: Final = 8
"""Windows at once."""


def open_files(paths: Sequence[str], say: Callable[[str], None]) -> None:
    """Hand files to `open` (macOS) or `xdg-open`, which take nothing of our streams."""
    if not paths:
        say("--open: there is nothing to open")
    if len(paths) > MOST_OPENED:
        say(f"--open: the first {MOST_OPENED} of {len(paths)} pictures")
    viewer = "open" if sys.platform == "darwin" else "xdg-open"
    for path in paths[:MOST_OPENED]:
        try:
            subprocess.Popen(  # noqa: S603 - the system's viewer, and no shell reads it
                [viewer, path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            say(f"--open: there is no {viewer} on this machine")
            return
