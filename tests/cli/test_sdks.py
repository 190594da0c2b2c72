"""The official SDKs as strangers: unchanged, only their base URL set to the sandbox's."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.documents import Client, fenced
from support.pictures import PNG
from support.strangers import is_out_of_reach, python_environment

from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import StartServer
    from support.server import Server

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """An SDK, and the service that it is made for."""

    packages: tuple[str, ...]
    """What it takes from the package index."""
    script: tuple[str, ...]
    path: str = "/ark/api/v3"
    brand: str = "doubao-"
    """What the names of models begin with."""
    pro: str = "doubao-seedream-5-0-pro-260628"


OPENAI = Sdk(packages=("openai",), script=("sdk_openai.py",))
VOLCENGINE = Sdk(
    packages=("volcengine-python-sdk[ark]",), script=("sdk_ark.py", "volcenginesdkarkruntime")
)
BYTEPLUS = Sdk(
    # It imports httpx and sniffio without asking for them (3.0.63).
    packages=("byteplus-python-sdk-v2[ark]", "httpx", "sniffio"),
    script=("sdk_ark.py", "byteplussdkarkruntime"),
    path="/byteplus/api/v3",
    brand="",
    pro="dola-seedream-5-0-pro-260628",
)
MODEL = "seedream-4-5-251128"
SQUARE = ("jpeg", 2048, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an SDK returned, yielded or raised."""

    images: list[dict[str, str]]
    usage: dict[str, int]
    events: list[dict[str, object]]
    error: str
    """The class that was raised, without the `Ark` before Volcengine's."""
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A program on somebody else's SDK."""

    python: Path
    sdk: Sdk

    @property
    def provider(self) -> str:
        """The name of its service in counters."""
        return self.sdk.path.split("/")[1]

    def ask(
        self,
        server: Server,
        *,
        key: str = "sk-test",
        retries: int = 0,
        path: str = "",
        files: tuple[str, ...] = (),
        **ask: object,
    ) -> Said:
        """Ask for pictures in a process of its own."""
        base_url = f"{server.origin}{path or self.sdk.path}"
        ask = {"model": self.sdk.brand + MODEL, "prompt": "a fox"} | ask
        client = {"base_url": base_url, "api_key": key, "max_retries": retries}
        done = subprocess.run(
            [self.python, "-I", HERE / self.sdk.script[0], *self.sdk.script[1:]],
            # Nothing is inherited: no proxy, no key, no other base URL.
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            input=json.dumps({"client": client, "ask": ask, "files": files}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        return Said(
            images=found.get("data", []),
            usage=found.get("usage", {}),
            events=found.get("events", []),
            error=(found.get("error") or "").removeprefix("Ark"),
            code=found.get("code", ""),
            text=found.get("text", ""),
        )


@contextmanager
def environment(request: pytest.FixtureRequest, sdk: Sdk) -> Iterator[Stranger]:
    """Install an SDK in an environment of its own, gone at the end; or skip."""
    with python_environment(request, *sdk.packages) as folder:
        yield Stranger(python=folder / "bin" / "python", sdk=sdk)


@pytest.fixture(scope="session")
def openai(request: pytest.FixtureRequest) -> Iterator[Stranger]:
    """Return a program on the `openai` SDK."""
    with environment(request, OPENAI) as stranger:
        yield stranger


@pytest.fixture(scope="session")
def volcengine(request: pytest.FixtureRequest) -> Iterator[Stranger]:
    """Return a program on Volcengine's SDK."""
    with environment(request, VOLCENGINE) as stranger:
        yield stranger


@pytest.fixture(scope="session")
def byteplus(request: pytest.FixtureRequest) -> Iterator[Stranger]:
    """Return a program on BytePlus' SDK."""
    with environment(request, BYTEPLUS) as stranger:
        yield stranger


@pytest.fixture(params=["volcengine", "byteplus"])
def vendor(request: pytest.FixtureRequest) -> Stranger:
    """Return the two services' own SDKs in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stranger)
    return found


@pytest.fixture(params=["openai", "volcengine", "byteplus"])
def stranger(request: pytest.FixtureRequest) -> Stranger:
    """Return each of them in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stranger)
    return found


def fetch(url: str) -> tuple[str, int, int]:
    """Download a whole picture as anybody would: without a key."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return facts(answer.read())


def facts(data: bytes) -> tuple[str, int, int]:
    """Return format and size of a whole picture."""
    found = inspect(data)
    assert found.width
    assert found.height
    return found.format, found.width, found.height


@pytest.fixture
def start_server(start_server: StartServer) -> StartServer:
    """Give out servers of a day on which the model of the documents' examples was alive."""

    def start(
        *faults: str,
        delay: float | None = None,
        at: str | None = "2026-11-01",
        list_delay: float | None = None,
    ) -> Server:
        return start_server(*faults, delay=delay, at=at, list_delay=list_delay)

    return start


def statuses(server: Server) -> list[object]:
    """Return how the paid requests were answered; None for not at all."""
    return [entry["status"] for entry in server.submits()]


@pytest.mark.network
def test_openai_gets_a_url_of_a_picture(openai: Stranger, server: Server) -> None:
    """`openai` with its base URL changed gets a URL, and that URL a whole JPEG for anybody."""
    said = openai.ask(server, size="2K", response_format="url", extra_body={"watermark": False})
    (image,) = said.images
    assert fetch(image["url"]) == SQUARE
    assert said.usage["generated_images"] == 1
    assert server.counters()["authorised_image_requests"] == 0


@pytest.mark.network
def test_openai_gets_a_picture_inline(openai: Stranger, server: Server) -> None:
    """`response_format="b64_json"` is the picture itself."""
    (image,) = openai.ask(server, size="2K", response_format="b64_json").images
    assert facts(b64decode(image["b64_json"], validate=True)) == SQUARE
    assert "url" not in image


@pytest.mark.network
def test_the_documents_example_runs_as_written(openai: Stranger, server: Server) -> None:
    """ark.txt, Python (OpenAI SDK): with the base URL replaced it prints a picture's URL."""
    text = Client(origin=server.origin).place(fenced("ark.txt", "python")[1])
    done = subprocess.run(
        [openai.python, "-I", "-c", "import os\n" + text],
        env={"PATH": os.defpath, "ARK_API_KEY": "sk-test"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert fetch(done.stdout.strip()) == SQUARE


@pytest.mark.network
def test_a_vendor_may_send_every_key_as_null(vendor: Stranger, server: Server) -> None:
    """The SDK sends all that was left out as null: a picture, also from a model without sets."""
    for model in (vendor.sdk.brand + MODEL, vendor.sdk.pro):
        (image,) = vendor.ask(server, model=model).images
        assert fetch(image["url"]) == SQUARE
    for entry in server.submits():
        body = entry["body"]
        assert isinstance(body, dict)
        unset = {name for name, value in body.items() if value is None}
        assert unset == set(body) - {"model", "prompt"}
        assert {"image", "seed", "guidance_scale", "sequential_image_generation"} < unset


@pytest.mark.network
def test_a_vendor_gets_a_set(vendor: Stranger, server: Server) -> None:
    """A set of up to three is three pictures in one answer."""
    said = vendor.ask(
        server,
        sequential_image_generation="auto",
        sequential_image_generation_options={"max_images": 3},
    )
    assert [fetch(image["url"]) for image in said.images] == [SQUARE] * 3
    assert len({image["url"] for image in said.images}) == 3
    assert said.usage["generated_images"] == 3
    assert statuses(server) == [200]


@pytest.mark.network
def test_a_vendor_gets_a_streamed_set_one_by_one(
    vendor: Stranger, start_server: StartServer
) -> None:
    """With `stream=True` each picture comes when it is made, and `completed` ends it."""
    server = start_server(delay=1)
    *images, end = vendor.ask(
        server,
        stream=True,
        sequential_image_generation="auto",
        sequential_image_generation_options={"max_images": 3},
    ).events
    assert [image["type"] for image in images] == ["image_generation.partial_succeeded"] * 3
    assert [image["image_index"] for image in images] == [0, 1, 2]
    assert [fetch(str(image["url"])) for image in images] == [SQUARE] * 3
    # Two seconds lie between the first and the third; half of that is left to a busy machine.
    assert float(str(images[2]["at"])) - float(str(images[0]["at"])) > 1
    assert end["type"] == "image_generation.completed"
    assert end["usage"] == {"generated_images": 3, "output_tokens": 49152, "total_tokens": 49152}


@pytest.mark.network
def test_a_wrong_key_is_the_sdks_own_error(stranger: Stranger, server: Server) -> None:
    """A wrong key raises the SDK's authentication error, in the provider's words."""
    said = stranger.ask(server, key="wrong-key")
    assert (said.error, said.code) == ("AuthenticationError", "AuthenticationError")
    assert "The API key in the request is missing or invalid. Request id: 02" in said.text


@pytest.mark.network
def test_a_wrong_size_is_the_sdks_own_error(stranger: Stranger, server: Server) -> None:
    """1024x1024 from 4.5 raises the SDK's error for bad requests, in the provider's words."""
    said = stranger.ask(server, size="1024x1024")
    assert (said.error, said.code) == ("BadRequestError", "InvalidParameter")
    assert "image size must be at least 3686400 pixels. Request id: 02" in said.text
    assert server.counters()["charged"] == {}


@pytest.mark.network
def test_an_unknown_model_is_the_sdks_own_error(stranger: Stranger, server: Server) -> None:
    """A model that nobody has raises the SDK's not-found error, in the provider's words."""
    said = stranger.ask(server, model="no-such")
    assert (said.error, said.code) == ("NotFoundError", "InvalidEndpointOrModel.NotFound")
    assert "The model or endpoint no-such does not exist or you do not have access" in said.text
    assert server.counters()["charged"] == {}


@pytest.mark.network
@pytest.mark.parametrize("value", ["auto", "disabled"])
def test_a_set_from_a_model_without_sets_is_refused(
    vendor: Stranger, server: Server, value: str
) -> None:
    """Once it is not null, the key of sets is refused by 5.0 pro, even as `disabled`."""
    said = vendor.ask(server, model=vendor.sdk.pro, sequential_image_generation=value)
    assert (said.error, said.code) == ("BadRequestError", "InvalidParameter")
    name = "`sequential_image_generation`"
    assert f"the parameter {name} is not supported by the current model" in said.text
    assert server.counters()["charged"] == {}


@pytest.mark.network
def test_a_busy_provider_is_asked_again(stranger: Stranger, start_server: StartServer) -> None:
    """`--fault 429:1` reaches an SDK: with one retry its second request gets the picture."""
    server = start_server("429:1")
    (image,) = stranger.ask(server, retries=1).images
    assert fetch(image["url"]) == SQUARE
    assert statuses(server) == [429, 200]
    assert server.counters()["charged"] == {stranger.provider: 1}


@pytest.mark.network
def test_a_busy_provider_is_an_error_without_retries(
    stranger: Stranger, start_server: StartServer
) -> None:
    """Without retries the same fault is the SDK's rate limit error, and costs nothing."""
    server = start_server("429:1")
    said = stranger.ask(server)
    assert (said.error, said.code) == ("RateLimitError", "ModelAccountIpmRateLimitExceeded")
    assert statuses(server) == [429]
    assert server.counters()["charged"] == {}


@pytest.mark.network
@pytest.mark.parametrize(("fault", "status"), [("drop", None), ("500", 500)])
def test_a_retry_after_a_lost_answer_is_charged_twice(
    stranger: Stranger, start_server: StartServer, fault: str, status: int | None
) -> None:
    """The sandbox shows what an SDK's retry costs: the answer is lost, the work is paid twice."""
    server = start_server(f"{fault}:1")
    assert len(stranger.ask(server, retries=1).images) == 1
    assert statuses(server) == [status, 200]
    assert server.counters()["charged"] == {stranger.provider: 2}


GATEWAY = "/openai-images/v1"


@pytest.mark.network
@pytest.mark.parametrize("response", ["url", "b64_json"])
def test_its_own_sdk_buys_of_a_gateway(openai: Stranger, server: Server, response: str) -> None:
    """OpenAI's client gets as many pictures as it asks for, each of its size, in one purchase."""
    said = openai.ask(
        server, path=GATEWAY, model="any", size="512x256", n=2, response_format=response
    )
    assert (len(said.images), said.error) == (2, "")
    for image in said.images:
        found = fetch(image["url"]) if response == "url" else facts(b64decode(image["b64_json"]))
        assert found == ("png", 512, 256)
    assert server.counters()["charged"] == {"openai-images": 1}


@pytest.mark.network
@pytest.mark.parametrize("count", [1, 2])
def test_its_own_sdk_edits_files(
    openai: Stranger, server: Server, tmp_path: Path, count: int
) -> None:
    """OpenAI's client sends a form, one file as `image` and several as `image[]`: all are taken."""
    files = [tmp_path / f"{number}.png" for number in range(count)]
    for file in files:
        file.write_bytes(PNG)
    said = openai.ask(server, path=GATEWAY, model="any", files=tuple(map(str, files)))
    assert (len(said.images), said.error) == (1, "")
    assert server.charges()[0]["prompt"] == "a fox"


@pytest.mark.network
def test_a_gateways_words_are_its_own_sdks(openai: Stranger, server: Server) -> None:
    """A wrong key, no credit and a wrong size raise what OpenAI's client has for them."""
    wrong = openai.ask(server, path=GATEWAY, model="any", key="wrong-key")
    assert (wrong.error, wrong.code) == ("AuthenticationError", "invalid_api_key")
    spent = openai.ask(server, path=GATEWAY, model="any", key="no-credit-key")
    assert (spent.error, spent.code) == ("RateLimitError", "insufficient_quota")
    assert openai.ask(server, path=GATEWAY, model="any", size="a").error == "BadRequestError"
    assert server.counters()["charged"] == {}


NOTHING_THERE = "ERROR: Could not find a version that satisfies openai (from versions: none)"
TOO_OLD = "ERROR: Ignored the following versions that require a different python version: 1.0"


@pytest.mark.parametrize(
    ("words", "skips"),
    [
        (NOTHING_THERE, True),
        ("WARNING: Retrying after connection broken by 'NewConnectionError(…)'", True),
        ("pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.", True),
        ("ERROR: Could not install packages due to an OSError: …ProxyError('403')", True),
        (f"{TOO_OLD}\n{NOTHING_THERE}", False),
        ("WARNING: connection broken by …\nERROR: ResolutionImpossible: for help visit", False),
        ("ERROR: No matching distribution found for httpx2<2 (from versions: 2.0.0)", False),
        ("ERROR: Could not install packages due to an OSError: No space left on device", False),
    ],
)
def test_only_an_index_out_of_reach_skips(words: str, skips: bool) -> None:  # noqa: FBT001 - a row
    """Where pip has no index the SDKs are skipped; whatever else it says is a failure."""
    assert is_out_of_reach(words) is skips
