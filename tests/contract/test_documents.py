"""Every example request of the five documents goes to the sandbox as written, and is understood."""

from __future__ import annotations

import builtins
import json
import re
import shutil
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from support.documents import BASES, Client, Example, curls, fenced, plain, read
from support.server import serving

from seedream_cli.sandbox.tickets import read_image_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.server import Server

ARK, MARKET, OLDER, APP, UNIALL = (
    f"{name}.txt"
    for name in ("ark", "kie-market", "kie-seedream-endpoint", "seedreams-app", "uniall")
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """Serve as on a day on which the models of the examples were alive, without any delay."""
    with serving(delay=0, at="2026-11-01") as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Server:
    """Return the server afresh."""
    shared.reset()
    return shared


@pytest.fixture
def client(server: Server) -> Client:
    """Return a client of that server."""
    return Client(origin=server.origin)


def bought(server: Server) -> list[int]:
    """Return of each charge how many pictures it brings."""
    return [int(str(charge["images"])) for charge in server.charges()]


def size_at(url: object) -> tuple[int, int]:
    """Return the size of the picture at a URL."""
    picture = read_image_name(urlsplit(str(url)).path.rpartition("/")[2])
    assert picture is not None
    return picture.width, picture.height


def kinds(value: object) -> object:
    """Return the shape of JSON: its keys, and the kinds of its values."""
    match value:
        case dict():
            return {key: kinds(item) for key, item in value.items()}
        case list():
            return [kinds(item) for item in value[:1]]
        case bool() | None:
            return str(value)
        case int() | float():
            return "number"
        case _:
            return "text"


def documented(document: str, text: str) -> object:
    """Return the shape of the JSON of a document that has `text` in it."""
    found = re.findall(r"^\{\n.*?^\}$", read(document), re.DOTALL | re.MULTILINE)
    return kinds(json.loads(next(each for each in found if text in each)))


def test_the_curl_of_ark(client: Client, server: Server) -> None:
    """ark.txt, cURL: one picture of 2K, in the shape of its Success Response."""
    (example,) = curls(ARK)
    answered = client.send(example)
    assert (answered.status, bought(server)) == (200, [1])
    assert kinds(answered.json()) == documented(ARK, '"usage"')
    match answered.json():
        case {"data": [{"url": url}]}:
            assert size_at(url) == (2048, 2048)
        case other:
            pytest.fail(str(other))


def test_an_error_of_ark_has_its_shape(client: Client) -> None:
    """ark.txt, Error Response: an error with code and message."""
    (example,) = curls(ARK)
    body = json.dumps({"model": "nobody", "prompt": "x"})
    answered = client.send(
        Example(method="POST", url=example.url, headers=example.headers, body=body)
    )
    shape = documented(ARK, '"error_code"')
    found = kinds(answered.json())
    assert isinstance(shape, dict)
    assert isinstance(found, dict)
    assert shape["error"].items() <= found["error"].items()


def run(text: str, modules: dict[str, object]) -> list[str]:
    """Run a Python example with these modules for its imports; return what it prints."""
    said: list[str] = []

    def import_(name: str, *rest: object) -> object:
        return modules[name] if name in modules else __import__(name, *rest)  # type: ignore[arg-type]  # passed on

    world = vars(builtins) | {
        "__import__": import_,
        "print": lambda *words: said.append(str(*words)),
    }
    exec(compile(text, "example", "exec"), {"__builtins__": world})  # noqa: S102 - of our own copy
    return said


def test_the_python_of_ark(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """ark.txt, Python (requests) and (OpenAI SDK): each prints the URL of a picture.

    The SDK itself does the second one among the strangers; here its call is played.
    """
    monkeypatch.setenv("ARK_API_KEY", "sk-test")
    plain_, sdk = (client.place(text) for text in fenced(ARK, "python"))

    def make(base_url: str, api_key: str) -> object:
        def generate(extra_body: dict[str, object], **given: object) -> object:
            headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
            answered = client.post(f"{base_url}/images/generations", headers, given | extra_body)
            return json.loads(answered.body, object_hook=lambda found: SimpleNamespace(**found))

        return SimpleNamespace(images=SimpleNamespace(generate=generate))

    (first,) = run(plain_, {"requests": client})
    (second,) = run("import os\n" + sdk, {"openai": SimpleNamespace(OpenAI=make)})
    assert size_at(first) == size_at(second) == (2048, 2048)
    assert first != second
    assert bought(server) == [1, 1]
    assert all("watermark" not in url for url in (first, second))


def test_the_curl_of_kies_market(client: Client, server: Server) -> None:
    """kie-market.txt, Request Example: accepted in the shape of its Response Example, and made."""
    (example,) = curls(MARKET)
    answered = client.send(example)
    shape, found = documented(MARKET, '"taskId"'), kinds(answered.json())
    assert isinstance(shape, dict)
    assert isinstance(found, dict)
    # Live answers have a `recordId` beside it.
    assert found == shape | {"data": shape["data"] | {"recordId": "text"}}
    match answered.json():
        case {"data": {"taskId": str(task)}}:
            assert task.startswith("task_seedream_")
            record = client.get(f"{server.origin}/kie/api/v1/jobs/recordInfo?taskId={task}").json()
        case other:
            pytest.fail(str(other))
    match record:
        case {"data": {"state": "success", "resultJson": str(result)}}:
            (url,) = json.loads(result)["resultUrls"]
        case other:
            pytest.fail(str(other))
    assert size_at(url) == (2048, 2048)
    assert bought(server) == [1]


def test_the_requests_of_kies_older_endpoint(client: Client, server: Server) -> None:
    """kie-seedream-endpoint.txt: both Example Requests, their Response and Response Example."""
    blocks = fenced(OLDER, "")
    submit, poll = (block.split()[1] for block in blocks if block.startswith(("POST", "GET")))
    bodies = [text for text in fenced(OLDER, "json") if '"prompt"' in text]
    assert len(bodies) == 2
    for body in bodies:
        headers = {"Authorization": "Bearer YOUR_API_KEY"}
        answered = client.send(Example(method="POST", url=submit, headers=headers, body=body))
        assert kinds(answered.json()) == documented(OLDER, '"msg"')
        match answered.json():
            case {"data": {"taskId": str(task)}}:
                address = client.place(poll).replace("YOUR_TASK_ID", task)
                record = client.get(address, headers).json()
            case other:
                pytest.fail(str(other))
        assert kinds(record) == documented(OLDER, '"successFlag"')
        assert record["successFlag"] == 1
        across, down = size_at(record["imageUrl"])
        assert abs(across * down / 2048**2 - 1) < 0.1
        assert abs(across / down - 16 / 9) < 0.05
    assert bought(server) == [1, 1]


def test_the_curl_of_seedreams_app(client: Client, server: Server) -> None:
    """seedreams-app.txt, Request Example: accepted in the shape of its Success Response."""
    (example,) = curls(APP)
    answered = client.send(example)
    assert kinds(answered.json()) == documented(APP, '"taskId"')
    assert bought(server) == [1]


def test_the_error_of_seedreams_app(client: Client, server: Server) -> None:
    """seedreams-app.txt, Error Response Example: word for word, with HTTP 200."""
    (example,) = curls(APP)
    headers = example.headers | {"Authorization": "Bearer sk-no-credit"}
    answered = client.send(
        Example(method="POST", url=example.url, headers=headers, body=example.body)
    )
    said = next(
        text
        for text in re.findall(r"^\{\n.*?^\}$", read(APP), re.DOTALL | re.MULTILINE)
        if "no_credits" in text
    )
    assert (answered.status, answered.json()) == (200, json.loads(said))
    assert bought(server) == []


def test_the_python_of_seedreams_app(client: Client, server: Server) -> None:
    """seedreams-app.txt, Python Example: it submits, asks, and prints the URL of a picture."""
    text = client.place(plain(APP, "python", "\n📋"))
    *_, last = run(text, {"requests": client})
    across, down = size_at(last.removeprefix("Image URL: "))
    assert abs(across / down - 3 / 2) < 0.05
    assert bought(server) == [1]


NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not here: the JavaScript example was NOT TRIED")
def test_the_javascript_of_seedreams_app(client: Client, server: Server) -> None:
    """seedreams-app.txt, Complete Workflow Example: node runs it to its picture."""
    text = client.place(plain(APP, "javascript", "\n🐍"))
    done = subprocess.run(
        [str(NODE), "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={},
    )
    assert done.returncode == 0, done.stderr
    assert size_at(done.stdout.partition("Image ready: ")[2].strip())
    assert bought(server) == [1]


def test_the_curls_of_uniall(client: Client, server: Server) -> None:
    """uniall.txt: all eight commands, each with its number of pictures in its size."""
    examples = curls(UNIALL)
    assert len(examples) == 8
    wanted = []
    for example in examples:
        answered = client.send(example)
        assert (answered.status, kinds(answered.json())) == (200, documented(UNIALL, '"created"'))
        body = json.loads(example.body)
        wanted.append(body.get("n", body.get("num_images", 1)))
        match answered.json():
            case {"data": list(data)}:
                sizes = {size_at(item["url"]) for item in data}
            case other:
                pytest.fail(str(other))
        if "custom_size" in body:
            assert sizes == {(body["custom_size"]["width"], body["custom_size"]["height"])}
    assert bought(server) == wanted == [1, 6, 2, 1, 1, 1, 3, 2]


def test_the_fragments_of_uniall(client: Client, server: Server) -> None:
    """uniall.txt: each piece of a body, of counts, sizes and all spellings of references."""
    pieces = [json.loads(text) for text in fenced(UNIALL, "json") if '"created"' not in text]
    assert len(pieces) == 8
    for piece in pieces:
        is_edit = not {"n", "num_images", "custom_size"} & set(piece)
        path = f"/uniall/v1/images/{'edits' if is_edit else 'generations'}"
        body = {"model": "seedream-4.0", "prompt": "a fox"} | piece
        answered = client.post(server.origin + path, json=body)
        assert answered.status == 200, piece
    assert bought(server) == [3, 3, 1, 1, 1, 1, 1, 1]


def test_no_example_was_overlooked() -> None:
    """Whatever a document calls by a base URL of its own is one of the requests above."""
    calls = {
        document: len(
            re.findall(
                r"^curl |requests\.(?:post|get)\(|fetch\($|images\.generate\(",
                read(document),
                re.MULTILINE,
            )
        )
        for document in (ARK, MARKET, OLDER, APP, UNIALL)
    }
    assert calls == {ARK: 3, MARKET: 1, OLDER: 0, APP: 4, UNIALL: 8}
    assert all(any(base in read(document) for base in BASES) for document in calls)
