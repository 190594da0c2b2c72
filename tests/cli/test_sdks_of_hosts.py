"""The official clients of model hosts as strangers: unchanged, only their address the sandbox's."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cli.test_sdks import HERE, facts, fetch
from support.strangers import python_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.conftest import StartServer
    from support.server import Server

FOX = {"prompt": "a fox", "size": "2K", "aspect_ratio": "16:9"}
OF_4_5 = "bytedance/seedream-4.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A program on a host's own client."""

    python: Path
    script: str


@pytest.fixture(scope="session")
def replicate(request: pytest.FixtureRequest) -> Iterator[Stranger]:
    """Return a program on the `replicate` client."""
    with python_environment(request, "replicate") as folder:
        yield Stranger(python=folder / "bin" / "python", script="sdk_replicate.py")


@pytest.fixture(scope="session")
def openrouter(request: pytest.FixtureRequest) -> Iterator[Stranger]:
    """Return a program on the `openrouter` SDK."""
    with python_environment(request, "openrouter") as folder:
        yield Stranger(python=folder / "bin" / "python", script="sdk_openrouter.py")


def ask(stranger: Stranger, client: dict[str, object], **asked: object) -> dict[str, object]:
    """Ask in a process of its own, that inherits nothing; return what it wrote."""
    done = subprocess.run(
        [stranger.python, "-I", HERE / stranger.script],
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        input=json.dumps({"client": client, "ask": asked}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def at_replicate(server: Server, key: str = "r8_test") -> dict[str, object]:
    """Return the arguments of Replicate's client."""
    return {"api_token": key, "base_url": f"{server.origin}/replicate"}


def at_openrouter(server: Server, key: str = "sk-or-test") -> dict[str, object]:
    """Return the arguments of OpenRouter's SDK."""
    return {"api_key": key, "server_url": f"{server.origin}/openrouter"}


@pytest.mark.network
@pytest.mark.parametrize("wait", [True, False])
def test_replicates_client_runs_a_prediction(
    replicate: Stranger, start_server: StartServer, *, wait: bool
) -> None:
    """`run()`, with `Prefer: wait` or by polls, brings a picture, which the list has."""
    server = start_server(delay=1.2)
    said = ask(replicate, at_replicate(server), ref=OF_4_5, input=FOX, params={"wait": wait})
    (url,) = said["urls"]  # type: ignore[misc]
    assert fetch(url) == ("jpeg", 2848, 1600)  # type: ignore[has-type]
    ((_, status, given),) = said["listed"]  # type: ignore[misc]
    assert (status, given) == ("succeeded", FOX)  # type: ignore[has-type]
    assert server.counters()["charged"] == {"replicate": 1}


@pytest.mark.network
def test_replicates_client_uploads_a_reference(
    replicate: Stranger, server: Server, tmp_path: Path
) -> None:
    """`files.create` and its URL in `image_input` are taken."""
    picture = tmp_path / "mine.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    said = ask(replicate, at_replicate(server), ref=OF_4_5, input=dict(FOX), file=str(picture))
    assert len(said["urls"]) == 1  # type: ignore[arg-type]
    assert server.counters()["uploads"] == 1


@pytest.mark.network
def test_replicates_client_raises_its_own_errors(
    replicate: Stranger, start_server: StartServer
) -> None:
    """A wrong key, an empty account, a wrong input and a failed run, each as the client has it."""
    server = start_server()
    for key, title, status in (
        ("wrong", "Unauthenticated", 401),
        ("no-credit", "Insufficient credit", 402),
    ):
        said = ask(replicate, at_replicate(server, key), ref=OF_4_5, input=FOX)
        assert (said["error"], said["status"]) == (title, status)
    said = ask(replicate, at_replicate(server), ref=OF_4_5, input=FOX | {"size": "9K"})
    assert (said["error"], said["status"]) == ("Input validation failed", 422)
    server = start_server("refuse:1")
    said = ask(replicate, at_replicate(server), ref=OF_4_5, input=FOX)
    assert said["error"] == "ModelError"
    assert "E005" in str(said["text"])


@pytest.mark.network
def test_openrouters_sdk_gets_a_picture_and_its_charge(
    openrouter: Stranger, server: Server
) -> None:
    """`images.generate` brings base64 and `usage.cost`, for one request."""
    fox = {"prompt": "a fox", "resolution": "2K", "aspect_ratio": "16:9"}
    said = ask(openrouter, at_openrouter(server), model="bytedance-seed/seedream-4.5", **fox)
    (image,) = said["data"]  # type: ignore[misc]
    assert facts(b64decode(image["b64_json"])) == ("jpeg", 2848, 1600)  # type: ignore[has-type]
    assert said["usage"]["cost"] == 0.04  # type: ignore[index]
    assert server.counters()["charged"] == {"openrouter": 1}


@pytest.mark.network
@pytest.mark.parametrize(
    ("key", "more", "error"),
    [
        ("wrong", {}, "UnauthorizedResponseError"),
        ("no-credit", {}, "PaymentRequiredResponseError"),
        ("k", {"n": 2}, "BadRequestResponseError"),
    ],
)
def test_openrouters_sdk_raises_its_own_errors(
    openrouter: Stranger, server: Server, key: str, more: dict[str, object], error: str
) -> None:
    """A wrong key, an empty account and a bad request are told apart."""
    client = at_openrouter(server, key)
    said = ask(openrouter, client, model="bytedance-seed/seedream-4.5", prompt="x", **more)
    assert said["error"] == error
    assert server.counters()["charged"] == {}
