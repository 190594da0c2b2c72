"""The stand-in for gateways counts what it makes, and refuses what cannot be made."""

from __future__ import annotations

import json
from base64 import b64decode

import httpx
import pytest
from support.pictures import PNG

from seedream_cli.sandbox.messages import Answer, Fate, HttpRequest, Settings, Stage
from seedream_cli.sandbox.router import answer

STAGE = Stage(now=1_795_000_000.0, settings=Settings(delay=4.0))
URL = "https://example.com/a.png"
PLAIN = {"model": "any", "prompt": "a fox"}


def post(path: str, body: object, *, key: str = "k", stage: Stage = STAGE) -> Answer:
    """POST JSON to `/images/…`."""
    asked = HttpRequest(
        method="POST",
        path=f"/openai-images/v1/images/{path}",
        headers={"authorization": f"Bearer {key}", "host": "h"},
        body=json.dumps(body).encode(),
    )
    return answer(asked, stage)


def form(fields: dict[str, str], *names: str) -> Answer:
    """POST a form with a picture under each name."""
    files = [(name, ("a.png", PNG, "image/png")) for name in names]
    request = httpx.Request("POST", "http://h", data=fields, files=files)
    headers = {"authorization": "Bearer k", "host": "h", **request.headers}
    path = "/openai-images/v1/images/edits"
    return answer(
        HttpRequest(method="POST", path=path, headers=headers, body=request.read()), STAGE
    )


def items(reply: Answer) -> list[dict[str, str]]:
    """Return the pictures of an answer."""
    assert reply.status == 200, reply.body
    found: list[dict[str, str]] = json.loads(reply.body)["data"]
    return found


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("generations", {}, 1),
        ("generations", {"n": 3, "size": "512x256"}, 3),
        ("generations", {"size": "2K"}, 1),
        ("generations", {"width": 64, "height": 32}, 1),
        ("generations", {"image": URL, "n": 2}, 2),
        ("edits", {"image": [URL, URL]}, 1),
        ("edits", {"images": [{"image_url": URL}], "n": 2}, 2),
        ("edits", {"image": "data:image/png;base64,AAAA"}, 1),
    ],
)
def test_what_such_gateways_take_is_made(path: str, body: dict[str, object], count: int) -> None:
    """As many pictures as `n` says, each with an address of its own; one charge."""
    reply = post(path, PLAIN | body)
    assert len({item["url"] for item in items(reply)}) == count
    assert (reply.deed.is_good, reply.deed.provider, reply.delay) == (True, "openai-images", 4.0)


def test_pictures_come_inline() -> None:
    """With `b64_json` the pictures themselves are in the answer."""
    body = {"response_format": "b64_json", "size": "64x32", "output_format": "jpeg"}
    (item,) = items(post("generations", PLAIN | body))
    assert b64decode(item["b64_json"]).startswith(b"\xff\xd8")


@pytest.mark.parametrize("names", [("image",), ("image[]", "image[]"), ("images",)])
def test_a_form_is_taken(names: tuple[str, ...]) -> None:
    """Files come as `image` or several as `image[]`; numbers are texts there."""
    assert len(items(form({**PLAIN, "n": "2"}, *names))) == 2


def test_what_is_drawn_derives_from_all_files() -> None:
    """One file more is another picture."""
    one, two = (items(form(PLAIN, *["image[]"] * count)) for count in (1, 2))
    assert one != two


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        ("generations", {"prompt": ""}, "prompt"),
        ("generations", {"model": None}, "model"),
        ("generations", {"n": 11}, "n"),
        ("generations", {"n": 0}, "n"),
        ("generations", {"n": "2"}, "n"),
        ("generations", {"size": "big"}, "size"),
        ("generations", {"size": "9000x9000"}, "size"),
        ("generations", {"output_format": "webp"}, "output_format"),
        ("generations", {"response_format": "ftp"}, "response_format"),
        ("edits", {}, "image"),
        ("edits", {"image": "a.png"}, "image"),
    ],
)
def test_what_cannot_be_made_is_refused(path: str, body: dict[str, object], parameter: str) -> None:
    """400 in OpenAI's envelope, naming the field; no charge."""
    reply = post(path, PLAIN | body)
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["param"], reply.deed.is_good) == (400, parameter, False)


def test_accounts_are_looked_at_first() -> None:
    """A wrong key is 401; no credit is OpenAI's 429 that no waiting mends."""
    assert post("generations", PLAIN, key="wrong").status == 401
    spent = post("generations", PLAIN, key="no-credit")
    assert (spent.status, json.loads(spent.body)["error"]["type"]) == (429, "insufficient_quota")


def test_work_can_fail() -> None:
    """An accepted request that fails says so under 200, and was charged."""
    stage = Stage(now=STAGE.now, settings=STAGE.settings, fate=Fate.FAILED)
    reply = post("generations", PLAIN, stage=stage)
    assert (reply.status, reply.deed.is_good) == (200, True)
    assert "error" in json.loads(reply.body)
