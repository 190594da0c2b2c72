"""Manifests of small pictures, and what a folder of them has cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Cli, Ran
    from support.server import Server

# The smallest picture and the cheapest format: what is tested is not how the sandbox draws.
ARK = """[defaults]
profile = "ark"
model = "doubao-seedream-5-0-flash-260915"
size = "1280x720"
format = "png"
"""
KIE = """[defaults]
profile = "kie"
model = "seedream/5-flash-text-to-image"
size = "1K"
format = "png"
"""
UNIALL = """[defaults]
profile = "uniall"
model = "seedream-4.0"
size = "1K"
"""
DEFAULTS = {"ark": ARK, "kie": KIE, "uniall": UNIALL}


def rows(**prompts: str) -> str:
    """Write a manifest of plain rows for Ark."""
    text = (f'[images."{name}"]\nprompt = "{prompt}"\n' for name, prompt in prompts.items())
    return ARK + "".join(text)


@dataclass
class Folder:
    """A folder with manifests in it, and what the server saw of them."""

    cli: Cli
    server: Server
    seen: int = 0

    def __call__(
        self, name: str, *arguments: str, stdin: bytes = b"", process: bool = False
    ) -> Ran:
        """Run `generate --batch` on one of them."""
        return self.cli("generate", "--batch", name, *arguments, stdin=stdin, process=process)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        self.cli.work.mkdir(exist_ok=True)
        path = self.cli.work / name
        path.write_text(text)
        return path

    def make(self, name: str, *arguments: str) -> str:
        """Run it; everything is made. Return what it said."""
        ran = self(name, *arguments)
        assert ran.code == 0, ran.err
        return ran.err

    def bought(self) -> int:
        """Count the paid requests since the last look."""
        news, self.seen = len(self.server.submits()) - self.seen, len(self.server.submits())
        return news

    def lock(self, name: str = "art.lock") -> dict[str, dict[str, object]]:
        """Return a lock's lines by name."""
        lines = map(json.loads, (self.cli.work / name).read_text().splitlines())
        return {line["name"]: line for line in lines}
