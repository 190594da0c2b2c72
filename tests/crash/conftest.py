"""Processes that are killed, stopped and traced against a server that counts what it charged."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from support.scene import NewScene, Scene
from support.server import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def new_scene(tmp_path: Path) -> Iterator[NewScene]:
    """Return what makes scenes; their processes and servers end with the test."""
    with ExitStack() as exits:

        def make(delay: float, *faults: str, list_delay: float = NEVER) -> Scene:
            scene = Scene(home=tmp_path, exits=exits)
            scene.serve(delay, *faults, list_delay=list_delay)
            return scene

        yield make
