"""The sandbox server in this process, over real sockets, and what it saw."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from seedream_cli.core.clock import moment
from seedream_cli.sandbox.messages import Settings
from seedream_cli.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

DELAY = 0.05
"""Seconds that a picture takes where a test does not care."""
LISTS = ("/wavespeed/predictions", "/billings/search")
NEVER = 1e9
"""Seconds after which a request is listed where a test does not care what became of it."""


@dataclass
class Server:
    """What a test asks of a sandbox server."""

    sandbox: Sandbox

    @property
    def origin(self) -> str:
        """Its address."""
        return self.sandbox.origin

    def reset(self) -> None:
        """Forget what was counted."""
        self.sandbox.tally.reset()

    def list_all(self) -> None:
        """Show from now on in each list what was accepted."""
        self.sandbox.settings = replace(self.sandbox.settings, list_delay=0.0)

    def change_weather(self, *faults: str) -> None:
        """Let these faults strike, and no others."""
        self.sandbox.weather.change(faults)

    def counters(self) -> dict[str, object]:
        """Return what it counted."""
        return self.sandbox.counters

    def log(self) -> list[dict[str, object]]:
        """Return the requests that it saw."""
        return self.sandbox.tally.log()

    def submits(self) -> list[dict[str, object]]:
        """Return the paid requests that it saw; a list that is asked for by POST is none."""
        posts = [entry for entry in self.log() if entry["method"] == "POST"]
        return [entry for entry in posts if not str(entry["path"]).endswith(LISTS)]

    def charges(self) -> list[dict[str, object]]:
        """Return each paid request that it accepted, with its prompt."""
        charges = self.counters()["charges"]
        assert isinstance(charges, list)
        return charges

    def fetched(self) -> list[str]:
        """Return the addresses of the pictures that were asked for."""
        seen = [entry for entry in self.log() if entry["method"] == "GET"]
        pictures = [entry for entry in seen if "/images/" in str(entry["path"])]
        queries = [urlencode(each["query"]) for each in pictures]  # type: ignore[arg-type]
        paths = [each["path"] for each in pictures]
        return [f"{self.origin}{k}?{v}" for k, v in zip(paths, queries, strict=True)]


@contextmanager
def serving(
    *faults: str,
    delay: float = DELAY,
    at: str | None = None,
    late: float = 0.5,
    list_delay: float = NEVER,
) -> Iterator[Server]:
    """Serve for a block, as on the day `at`; by `list_delay` requests are listed so much later."""
    day = moment(at) if at else None
    settings = Settings(delay=delay, at=day, late=late, list_delay=list_delay)
    with Sandbox(settings=settings, faults=faults) as sandbox:
        yield Server(sandbox)
