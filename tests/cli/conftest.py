"""Commands against a sandbox server, over real sockets."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest
from support.command import Cli
from support.manifests import Folder
from support.server import DELAY, NEVER, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class StartServer(Protocol):
    """Starts a sandbox server."""

    def __call__(
        self,
        *faults: str,
        delay: float | None = None,
        at: str | None = None,
        list_delay: float | None = None,
    ) -> Server:
        """Start it with these faults.

        `delay`: seconds a picture; `at`: its day, else today; `list_delay`: seconds until a request
        is listed, else never.
        """
        ...


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return the command line in an empty home."""
    return Cli(home=tmp_path, env={"SEEDREAM_SANDBOX_DELAY": "0.05"})


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """Start one sandbox server for all tests that only choose its faults."""
    with serving() as server:
        yield server


@pytest.fixture
def start_server(shared_server: Server) -> Iterator[StartServer]:
    """Give out sandbox servers: the shared one, afresh, or one of its own for a delay or day."""
    with ExitStack() as exits:

        def start(
            *faults: str,
            delay: float | None = None,
            at: str | None = None,
            list_delay: float | None = None,
        ) -> Server:
            if delay is not None or at is not None or list_delay is not None:
                delay = DELAY if delay is None else delay
                late = NEVER if list_delay is None else list_delay
                return exits.enter_context(serving(*faults, delay=delay, at=at, list_delay=late))
            shared_server.reset()
            shared_server.change_weather(*faults)
            return shared_server

        yield start


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """Return a sandbox server without faults."""
    return start_server()


@pytest.fixture
def folder(cli: Cli, server: Server) -> Folder:
    """Return a folder whose profiles speak to a server in fair weather."""
    cli.configure(server)
    return Folder(cli=cli, server=server)
