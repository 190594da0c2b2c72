"""The stand-in for OpenRouter keeps to its documents: pictures inline, charges to the cent."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from seedream_cli.sandbox.messages import Fate, HttpRequest, Stage, SubmitRecord
from seedream_cli.sandbox.router import answer
from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import Answer

NOW = 1_796_000_000.0
BODY: dict[str, object] = {
    "model": "bytedance-seed/seedream-4.5",
    "prompt": "a fox",
    "n": 1,
    "resolution": "1K",
    "aspect_ratio": "1:1",
}
PRO = "bytedance-seed/seedream-5-0-pro"


def ask(
    path: str,
    body: object = None,
    *,
    stage: Stage | None = None,
    key: str = "k",
    **query: str,
) -> Answer:
    """Ask the stand-in once; a body makes it a POST."""
    asked = HttpRequest(
        method="GET" if body is None else "POST",
        path=f"/openrouter{path}",
        query=query,
        headers={"authorization": f"Bearer {key}"},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    return answer(asked, stage or Stage(now=NOW))


def said(reply: Answer) -> dict[str, object]:
    """Return the JSON object of an answer."""
    value = json.loads(reply.body)
    assert isinstance(value, dict)
    return value


def error(reply: Answer) -> dict[str, object]:
    """Return the error of an answer."""
    found = said(reply)["error"]
    assert isinstance(found, dict)
    return found


def test_one_call_brings_the_picture_and_its_charge() -> None:
    """Base64 in the body, the charge in `usage.cost`, the generation in a header."""
    reply = ask("/images", BODY)
    assert (reply.status, reply.delay, reply.deed.is_good) == (200, 2.0, True)
    assert reply.headers["x-generation-id"] == reply.deed.task
    found = said(reply)
    facts = inspect(b64decode(found["data"][0]["b64_json"]))  # type: ignore[index]
    assert (facts.width, facts.height, facts.has_end) == (1024, 1024, True)
    assert found["usage"]["cost"] == 0.04  # type: ignore[index]


@pytest.mark.parametrize(("resolution", "cost"), [("1K", 0.048), ("2K", 0.093)])
def test_the_charge_follows_size_and_references(resolution: str, cost: float) -> None:
    """5.0 pro has two prices, and one for each reference."""
    reference = {"type": "image_url", "image_url": {"url": "https://a.example/1.png"}}
    more = {"model": PRO, "resolution": resolution, "input_references": [reference]}
    assert said(ask("/images", BODY | more))["usage"]["cost"] == cost  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"prompt": ""}, 400),
        ({"n": 2}, 400),
        ({"resolution": "3K"}, 400),
        ({"aspect_ratio": "5:4"}, 400),
        ({"size": "2048x2048"}, 400),
        ({"watermark": True}, 400),
        ({"seed": 3}, 400),
        ({"model": PRO, "output_format": "png"}, 400),
        ({"input_references": ["https://a.example/1.png"]}, 400),
        ({"model": "bytedance-seed/seedream-9"}, 404),
    ],
)
def test_what_a_model_does_not_list_is_refused(change: dict[str, object], status: int) -> None:
    """An unsupported parameter is an error in the envelope, and no charge."""
    reply = ask("/images", BODY | change)
    assert (reply.status, reply.deed.is_good) == (status, False)
    assert error(reply)["code"] == status


def test_a_failure_comes_under_200_and_is_not_charged() -> None:
    """The provider's failure is an error in the body, whatever HTTP says."""
    reply = ask("/images", BODY, stage=Stage(now=NOW, fate=Fate.FAILED))
    assert (reply.status, reply.deed.is_good, error(reply)["code"]) == (200, False, 502)


@pytest.mark.parametrize(("key", "status"), [("wrong", 401), ("no-credit", 402)])
def test_accounts_are_told_apart(key: str, status: int) -> None:
    """A bad key and an account without credit have their own codes."""
    assert error(ask("/images", BODY, key=key))["code"] == status


def test_key_and_generation_know_what_was_charged() -> None:
    """`usage` of a key counts that key only; a generation is found by the header's id."""
    reply = ask("/images", BODY)
    asked = HttpRequest(method="GET", path="/", headers={"authorization": "Bearer k"})
    kept = SubmitRecord(
        provider="openrouter", task=reply.deed.task, key=asked.account, at=NOW, body=BODY
    )
    stage = Stage(now=NOW, records=(kept,))
    for key, used in (("k", 0.04), ("another", 0.0)):
        facts = said(ask("/key", stage=stage, key=key))["data"]
        assert (facts["usage"], facts["limit_remaining"]) == (used, 100 - used)  # type: ignore[index]
    found = said(ask("/generation", stage=stage, id=reply.deed.task))["data"]
    assert (found["total_cost"], found["api_type"]) == (0.04, "image")  # type: ignore[index]
    assert ask("/generation", stage=stage, id="gen-1").status == 404
    assert ask("/generation", stage=stage, key="another", id=reply.deed.task).status == 404


def test_models_are_listed_without_a_key() -> None:
    """The list of image models is free and open."""
    names = [each["id"] for each in said(ask("/images/models", key=""))["data"]]  # type: ignore[attr-defined]
    assert "bytedance-seed/seedream-5-0-flash" in names
