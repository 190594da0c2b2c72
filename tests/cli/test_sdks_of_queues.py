"""The official clients of fal and WaveSpeed as strangers; only where they ask is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pictures import PNG

from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.server import Server

SCRIPT = Path(__file__).parent / "sdk_queues.py"
PACKAGES = {"fal": "fal-client", "wavespeed": "wavespeed"}
MODELS = {
    "fal": "fal-ai/bytedance/seedream/v4.5/text-to-image",
    "wavespeed": "bytedance/seedream-v4.5",
}
SLOWEST_INSTALL = 300
"""Seconds."""


@pytest.fixture(scope="session")
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python that has both clients; or skip, and say so."""
    names = " and ".join(PACKAGES.values())
    if not request.config.option.soak:
        pytest.skip(f"{names} NOT TRIED: they take --soak and a package index")
    folder = tmp_path_factory.mktemp("queues")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    found = folder / "bin" / "python"
    done = subprocess.run(
        [found, "-m", "pip", "install", "--no-input", "--no-compile", *PACKAGES.values()],
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=SLOWEST_INSTALL,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{names} NOT TRIED: {done.stderr[-600:].strip()}")
    return found


def say(
    python: Path,
    sdk: str,
    server: Server,
    *,
    key: str = "sk-test",
    model: str = "",
    **given: object,
) -> dict[str, object]:
    """Ask for a picture in a process of its own; nothing is inherited, no proxy and no key."""
    asked = {"sdk": sdk, "origin": server.origin, "key": key, "model": model or MODELS[sdk]}
    done = subprocess.run(
        [python, "-I", SCRIPT],
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        input=json.dumps(asked | {"given": {"prompt": "a fox"} | given}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def urls(answer: dict[str, object]) -> list[str]:
    """Return where the pictures of an answer are."""
    found = answer.get("images") or answer.get("outputs")
    assert isinstance(found, list), answer
    return [each["url"] if isinstance(each, dict) else each for each in found]


def fetch(url: str) -> tuple[int | None, int | None]:
    """Return the size of a picture, downloaded without a key."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        found = inspect(answer.read())
    assert found.finding is None
    return found.width, found.height


@pytest.mark.parametrize("sdk", PACKAGES)
def test_a_stranger_gets_its_pictures(python: Path, server: Server, sdk: str) -> None:
    """A picture of each, and a set or several of them; one charge a request."""
    (one,) = urls(say(python, sdk, server))
    assert fetch(one) == (2048, 2048)
    if sdk == "fal":
        several = say(python, sdk, server, num_images=2, image_size={"width": 2304, "height": 1728})
        assert [fetch(url) for url in urls(several)] == [(2304, 1728)] * 2
    else:
        model = f"{MODELS[sdk]}/sequential"
        several = say(python, sdk, server, model=model, max_images=2, size="2304*1728")
        assert [fetch(url) for url in urls(several)] == [(2304, 1728)] * 2
    assert len(server.charges()) == 2


def test_a_stranger_uploads_what_it_edits(python: Path, server: Server, tmp_path: Path) -> None:
    """WaveSpeed's client puts the file where it is told to, and edits it by its address."""
    (tmp_path / "a.png").write_bytes(PNG)
    model = f"{MODELS['wavespeed']}/edit"
    answer = say(python, "wavespeed", server, model=model, images=[str(tmp_path / "a.png")])
    assert fetch(urls(answer)[0]) == (2048, 2048)
    puts = [entry for entry in server.log() if entry["method"] == "PUT"]
    assert [(entry["status"], entry["has_authorization"]) for entry in puts] == [(200, False)]


@pytest.mark.parametrize("sdk", PACKAGES)
def test_a_stranger_understands_what_goes_wrong(
    python: Path, start_server: StartServer, sdk: str
) -> None:
    """A bad key, a bad field and a failed task are errors of its own, with the provider's words."""
    server = start_server()
    assert "invalid" in str(say(python, sdk, server, key="sk-wrong")["text"]).lower()
    field = {"num_images": 99} if sdk == "fal" else {"size": "1x1"}
    assert "error" in say(python, sdk, server, **field)
    assert server.charges() == []
    server.change_weather("fail")
    said = say(python, sdk, server)
    assert "failed" in str(said["text"])
    assert len(server.charges()) == 1
