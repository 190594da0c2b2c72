"""Environments that are made to be measured."""

from __future__ import annotations

import subprocess
import venv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path, what: str) -> str:
    """Make an environment with a package in it, and return its Python; raise `SystemExit`.

    `what` is what pip calls a requirement, or the path of a checkout. What pip says is shown only
    where it fails: it may name where this machine takes packages from.
    """
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", what]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip could not install it; --python takes what is there\n{done.stderr}")
    return python
