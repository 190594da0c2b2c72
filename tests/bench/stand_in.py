"""Serves the stand-in as a script, each picture drawn once: what is measured is who asks.

    python stand_in.py SECONDS

It takes so long for a picture, and runs until killed.
"""

from __future__ import annotations

import functools
import sys
import time

from seedream_cli.sandbox.messages import Settings
from seedream_cli.sandbox.pictures import host
from seedream_cli.sandbox.server import Sandbox
from seedream_cli.sandbox.tickets import Drawing

_draw = host.draw


@functools.cache
def _draw_once(width: int, height: int, kind: str) -> bytes:
    return _draw(Drawing(seed=1, width=width, height=height, format=kind))


if __name__ == "__main__":
    host.draw = lambda picture: _draw_once(picture.width, picture.height, picture.format)
    with Sandbox(settings=Settings(delay=float(sys.argv[1]))) as sandbox:
        sys.stdout.write(f"{sandbox.origin}\n")
        sys.stdout.flush()
        time.sleep(86400)
