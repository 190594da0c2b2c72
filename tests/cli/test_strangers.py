"""Other people's programs around the APIs, unchanged, with the sandbox as their provider.

Each takes its base URL in its own way; what each needs is installed for `--soak` alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from base64 import b64decode, b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pictures import as_data, clear_png, png
from support.strangers import mcp, node_environment, python_environment

from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cli.conftest import StartServer
    from support.server import Server
    from support.strangers import Mcp

HERE = Path(__file__).parent
pytestmark = pytest.mark.network

KEY = "sk-test"
FLASH, PRO = "doubao-seedream-5-0-flash-260915", "doubao-seedream-5-0-pro-260628"
V4 = "doubao-seedream-4-0-20260415"


def say(command: Sequence[str | Path], given: object, cwd: Path | None = None) -> dict[str, object]:
    """Run a program on what it is given as JSON, and return the JSON that it prints last."""
    done = subprocess.run(
        command,
        # Nothing is inherited: no proxy, no key. LiteLLM would fetch its list of prices.
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        cwd=cwd,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def facts(data: bytes) -> tuple[str, int | None, int | None]:
    """Return format and size of a picture."""
    found = inspect(data)
    assert found.finding is None
    return found.format, found.width, found.height


def fetch(url: object) -> tuple[str, int | None, int | None]:
    """Download a picture as anybody would: without a key."""
    with urllib.request.urlopen(str(url)) as answer:  # noqa: S310 - loopback
        return facts(answer.read())


def bought(server: Server) -> list[object]:
    """Return of each charge how many pictures it brings, and forget them."""
    images = [charge["images"] for charge in server.charges()]
    server.reset()
    return images


def test_litellm(request: pytest.FixtureRequest, server: Server) -> None:
    """`volcengine/…` of LiteLLM buys a picture at `api_base`, and words a refusal as its own."""
    base = {"api_base": f"{server.origin}/ark/api/v3", "api_key": KEY, "prompt": "a fox"}
    with python_environment(request, "litellm") as folder:
        command = (folder / "bin" / "python", "-I", HERE / "sdk_litellm.py")
        answer = say(command, base | {"model": f"volcengine/{FLASH}", "size": "2K"})
        refused = say(command, base | {"model": "volcengine/no-such", "max_retries": 0})
        inline = {"model": f"volcengine/{V4}", "response_format": "b64_json", "size": "1K"}
        held = say(command, base | inline)
    match answer, held:
        case {"data": [{"url": url}]}, {"data": [{"b64_json": str(picture)}]}:
            assert fetch(url) == ("jpeg", 2048, 2048)
            assert facts(b64decode(picture)) == ("jpeg", 1024, 1024)
        case other:
            pytest.fail(str(other))
    assert refused["error"] == "NotFoundError"
    assert "does not exist or you do not have access to it" in str(refused["text"])
    assert bought(server) == [1, 1]


@pytest.fixture
def seedream(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> Iterator[dict[str, Mcp]]:
    """Start `seedream-image-mcp` for each of three models; layers came with 4.0 of it."""
    with python_environment(request, "seedream-image-mcp>=4", least=(3, 12)) as folder:
        servers = {}
        with ExitStack() as exits:
            for model in (PRO, FLASH, V4):
                home = tmp_path / model
                home.mkdir()
                servers[model] = exits.enter_context(
                    mcp(
                        folder / "bin" / "seedream-image-mcp",
                        home=home,
                        ARK_API_KEY=KEY,
                        ARK_BASE_URL=f"{server.origin}/ark/api/v3",
                        SEEDREAM_ALLOW_HTTP_BASE_URL="true",
                        SEEDREAM_AUTO_SAVE_ENABLED="false",
                        SEEDREAM_MAX_RETRIES="0",
                        SEEDREAM_MODEL_ID=model,
                        SEEDREAM_WORKSPACE_ROOT=str(home),
                    )
                )
            yield servers


def pictures(said: dict[str, object]) -> list[dict[str, object]]:
    """Return the pictures of a tool of `seedream-image-mcp`."""
    assert said["success"] is True, said
    data = said["data"]
    assert isinstance(data, list)
    return data


def test_seedream_image_mcp(seedream: dict[str, Mcp], server: Server, tmp_path: Path) -> None:
    """Its tools: a picture, an edit, a fusion, a set, a streamed set, layers, transparency."""
    (one,) = pictures(seedream[FLASH].call("text_to_image", prompt="a fox", size="2K"))
    assert fetch(one["url"]) == ("jpeg", 2048, 2048)
    url = "https://example.com/a.png"
    (edited,) = pictures(seedream[FLASH].call("image_to_image", prompt="at night", image=url))
    assert fetch(edited["url"]) == ("jpeg", 2048, 2048)
    (fused,) = pictures(
        seedream[PRO].call("multi_image_fusion", prompt="both", image=[url, url], size="1K")
    )
    assert fetch(fused["url"]) == ("jpeg", 1024, 1024)
    assert bought(server) == [1, 1, 1]

    for stream in (False, True):
        said = seedream[V4].call("sequential_generation", prompt="3", max_images=3, stream=stream)
        assert [fetch(each["url"]) for each in pictures(said)] == [("jpeg", 2048, 2048)] * 3
    assert bought(server) == [3, 3]

    photo = tmp_path / PRO / "photo.png"
    photo.write_bytes(png(600, 600))
    for model, size in ((PRO, "auto"), (FLASH, "auto"), (PRO, "1K"), (PRO, None)):
        shutil.copy(photo, tmp_path / model / "layers.png")
        image = str(tmp_path / model / "layers.png")
        given = {"image": image, "layer_decomposition": True} | ({"size": size} if size else {})
        base, *layers = pictures(seedream[model].call("image_to_image", **given))
        assert base["z_index"] == 0
        assert {fetch(layer["url"])[0] for layer in layers} == {"png"}
        assert server.submits()[-1]["status"] == 200
    sizes = [entry["body"].get("size") for entry in server.submits()]  # type: ignore[attr-defined]  # JSON
    assert sizes[:3] == ["auto", "auto", "1K"]
    assert bought(server) == [4, 4, 4, 4]

    given = {"prompt": "a fox", "background": "transparent", "output_format": "png"}
    said = seedream[PRO].call("image_to_image", image=as_data(clear_png(64)), **given)
    assert [fetch(each["url"])[0] for each in pictures(said)] == ["png"]
    said = seedream[PRO].call("image_to_image", image=as_data(png(64, 64)), **given)
    assert "a PNG input with at least one transparent pixel" in str(said["error"])
    assert bought(server) == [1]


def test_the_ai_sdk_of_vercel(request: pytest.FixtureRequest, start_server: StartServer) -> None:
    """`@ai-sdk/bytedance` gets pictures inline, a set, an edit, and the refusal's words."""
    server = start_server()
    provider = {"baseURL": f"{server.origin}/byteplus/api/v3", "apiKey": KEY}
    with node_environment(request, "ai", "@ai-sdk/bytedance") as folder:
        shutil.copy(HERE / "bytedance.mjs", folder)

        def ask(model: str, **given: object) -> dict[str, object]:
            asked = {"provider": provider, "model": model, "ask": {"prompt": "a fox", **given}}
            return say(["node", "bytedance.mjs"], asked, cwd=folder)

        one = ask("seedream-4-5-251128", size="2048x2048")
        options = {"sequentialImageGeneration": "auto", "maxImages": 3, "size": "2K"}
        several = ask("seedream-4-5-251128", providerOptions={"bytedance": options})
        photo = b64encode(png(64, 64)).decode()
        edited = ask(
            "dola-seedream-5-0-pro-260628",
            prompt={"text": "at night", "images": [photo]},
            providerOptions={"bytedance": {"size": "1K", "outputFormat": "png"}},
        )
        refused = ask("seedream-4-5-251128", size="1024x1024")
    for answer, count, wanted in (
        (one, 1, ("jpeg", 2048, 2048)),
        (several, 3, ("jpeg", 2048, 2048)),
        (edited, 1, ("png", 1024, 1024)),
    ):
        images = answer.get("images")
        assert isinstance(images, list), answer
        assert [facts(b64decode(image)) for image in images] == [wanted] * count
    assert refused["status"] == 400
    assert "image size must be at least 3686400 pixels" in str(refused["text"])
    assert bought(server) == [1, 3, 1]


def test_the_kie_server_of_felores(
    request: pytest.FixtureRequest, start_server: StartServer, tmp_path: Path
) -> None:
    """`@felores/kie-ai-mcp-server` makes, edits and waits through KIE's market."""
    package = "@felores/kie-ai-mcp-server"
    # It asks every 15 s: what is ready at once is ready when it first asks.
    server = start_server(delay=0)
    with (
        node_environment(request, package) as folder,
        mcp(
            *("node", folder / "node_modules" / package / "dist" / "index.js"),
            home=tmp_path,
            KIE_AI_API_KEY=KEY,
            KIE_AI_BASE_URL=f"{server.origin}/kie/api/v1",
            KIE_AI_DB_PATH=str(tmp_path / "tasks.db"),
            KIE_AI_ALLOW_DIRECT_GENERATION="true",
        ) as kie,
    ):
        url = "https://example.com/a.png"
        asks: list[dict[str, object]] = [
            {},
            {"version": "5-pro", "quality": "high", "output_format": "jpeg"},
            {"version": "5-lite", "image_urls": [url], "aspect_ratio": "16:9"},
            {"version": "4", "max_images": 3, "image_size": "landscape_16_9", "seed": 7},
        ]
        results = []
        for ask in asks:
            said = kie.call("bytedance_seedream_image", prompt="a fox", **ask)
            results.append(kie.call("wait_for_task", task_id=said["task_id"]))
    found = [list(map(str, each["result_urls"])) for each in results]  # type: ignore[call-overload]  # JSON
    assert [len(set(urls)) for urls in found] == [1, 1, 1, 3]
    assert fetch(found[0][0]) == ("png", 2048, 2048)
    assert fetch(found[1][0])[0] == "jpeg"
    assert bought(server) == [1, 1, 1, 3]
