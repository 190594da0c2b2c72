"""The stand-in for Replicate keeps to its documents: predictions, their list, their end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from seedream_cli.sandbox.messages import Fate, HttpRequest, Settings, Stage, SubmitRecord
from seedream_cli.sandbox.router import answer

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import Answer

NOW = 1_796_000_000.0
OF_4 = "/models/bytedance/seedream-4/predictions"


def ask(
    path: str,
    body: object = None,
    *,
    stage: Stage | None = None,
    key: str = "k",
    **headers: str,
) -> Answer:
    """Ask the stand-in once; a body makes it a POST."""
    parts = urlsplit(path)
    asked = HttpRequest(
        method="GET" if body is None else "POST",
        path=f"/replicate{parts.path}",
        query=dict(parse_qsl(parts.query)),
        headers={"authorization": f"Bearer {key}", "host": "127.0.0.1:1"} | headers,
        body=b"" if body is None else json.dumps(body).encode(),
        nonce=7,
    )
    return answer(asked, stage or Stage(now=NOW))


def said(reply: Answer) -> dict[str, object]:
    """Return the JSON object of an answer."""
    value = json.loads(reply.body)
    assert isinstance(value, dict)
    return value


def given(**more: object) -> dict[str, object]:
    """Return a body that buys a picture of 4.0."""
    return {"input": {"prompt": "a fox", "size": "1K", "aspect_ratio": "1:1"} | more}


def record(number: int = 0, at: float = NOW, **more: object) -> SubmitRecord:
    """Return an accepted submit as the server remembers it."""
    asked = HttpRequest(method="GET", path="/", headers={"authorization": "Bearer k"})
    stage = Stage(now=at)
    task = str(said(ask(OF_4, given(seed=number, **more), stage=stage))["id"])
    body = given(**more)
    return SubmitRecord(provider="replicate", task=task, key=asked.account, at=at, body=body)


def test_a_prediction_starts_goes_on_and_succeeds() -> None:
    """201 with an id at once; then processing, then URLs and the time of its end."""
    reply = ask(OF_4, given())
    assert (reply.status, reply.delay, reply.deed.is_good) == (201, 0.0, True)
    begun = said(reply)
    assert (begun["status"], begun["output"], begun["model"]) == (
        "starting",
        None,
        "bytedance/seedream-4",
    )
    path = f"/predictions/{begun['id']}"
    assert said(ask(path, stage=Stage(now=NOW + 1)))["status"] == "processing"
    ended = said(ask(path, stage=Stage(now=NOW + 2)))
    assert ended["status"] == "succeeded"
    assert ended["completed_at"] == "2026-11-30T00:53:22.000000Z"
    (url,) = map(str, ended["output"])  # type: ignore[call-overload]
    assert url.startswith("http://127.0.0.1:1/images/")


def test_all_is_wiped_one_hour_after_the_end() -> None:
    """Input and output go, the record stays; the picture's host has it no more either."""
    mine = record()
    stage = Stage(now=NOW + 2 + 3599, records=(mine,))
    kept = said(ask(f"/predictions/{mine.task}", stage=stage))
    assert (kept["data_removed"], kept["input"]) == (False, mine.body["input"])
    picture = urlsplit(str(kept["output"][0])).path  # type: ignore[index]
    later = replace(stage, now=NOW + 2 + 3600)
    wiped = said(ask(f"/predictions/{mine.task}", stage=later))
    assert (wiped["status"], wiped["data_removed"]) == ("succeeded", True)
    assert (wiped["input"], wiped["output"]) == ({}, None)
    for moment, status in ((stage, 200), (later, 403)):
        assert answer(HttpRequest(method="GET", path=picture), moment).status == status


def test_the_list_is_newest_first_by_pages_of_an_account() -> None:
    """100 a page, `next` a whole URL; running ones too, and no other account's."""
    records = tuple(record(number, NOW + number / 10) for number in range(203))
    stage = Stage(now=NOW + 22, records=records)
    path, ids, pages = "/predictions", [], 0
    while path:
        page = said(ask(path, stage=stage))
        results = page["results"]
        assert isinstance(results, list)
        ids += [each["id"] for each in results]
        pages += 1
        following = page["next"]
        path = str(following).removeprefix("http://127.0.0.1:1/replicate") if following else ""
    assert (ids, pages) == ([each.task for each in reversed(records)], 3)
    newest = said(ask("/predictions", stage=stage))["results"]
    assert newest[0]["status"] != "succeeded"  # type: ignore[index]
    assert newest[0]["input"] == records[-1].body["input"]  # type: ignore[index]
    assert said(ask("/predictions", stage=stage, key="another"))["results"] == []


def test_the_list_is_filtered_by_time() -> None:
    """`created_after` and `created_before` are ISO times."""
    records = tuple(record(number, NOW + number) for number in range(5))
    query = "created_after=2026-11-30T00:53:21Z&created_before=2026-11-30T00:53:23Z"
    stage = Stage(now=NOW + 9, records=records)
    found = said(ask(f"/predictions?{query}", stage=stage))["results"]
    assert [each["id"] for each in found] == [records[2].task, records[1].task]  # type: ignore[attr-defined]
    assert ask("/predictions?created_after=yesterday", stage=stage).status == 400


def test_the_list_is_late() -> None:
    """A prediction that was accepted shows a little later, whether it has ended or not."""
    stage = Stage(now=NOW + 0.9, records=(record(),))
    assert said(ask("/predictions", stage=stage))["results"] == []
    later = said(ask("/predictions", stage=replace(stage, now=NOW + 1.0)))["results"]
    assert len(later) == 1  # type: ignore[arg-type]


def test_what_prefers_to_wait_is_kept_open() -> None:
    """`Prefer: wait` answers when the prediction is done, or when the time is up."""
    done = ask(OF_4, given(), prefer="wait")
    assert (done.delay, said(done)["status"]) == (2.0, "succeeded")
    slow = Stage(now=NOW, settings=Settings(delay=100.0))
    late = ask(OF_4, given(), stage=slow, prefer="wait=5")
    assert (late.delay, said(late)["status"]) == (5.0, "starting")


def test_fates_are_told_in_the_prediction() -> None:
    """A failure and a content refusal come as `failed`, with the code in the error's words."""
    for fate, code in ((Fate.FAILED, "E1001"), (Fate.REFUSED, "E005")):
        stage = Stage(now=NOW, fate=fate)
        task = said(ask(OF_4, given(), stage=stage))["id"]
        ended = said(ask(f"/predictions/{task}", stage=Stage(now=NOW + 2)))
        assert ended["status"] == "failed"
        assert code in str(ended["error"])


@pytest.mark.parametrize(
    ("model", "change", "field"),
    [
        ("4", {"prompt": ""}, "input.prompt"),
        ("4", {"size": "8K"}, "input.size"),
        ("4.5", {"size": "1K"}, "input.size"),
        ("4", {"aspect_ratio": "5:4"}, "input.aspect_ratio"),
        ("4", {"size": "custom", "width": 512, "height": 2048}, "input.width"),
        ("5-lite", {"size": "custom"}, "input.size"),
        ("4", {"max_images": 16}, "input.max_images"),
        (
            "4",
            {
                "max_images": 14,
                "sequential_image_generation": "auto",
                "image_input": ["https://a.example/1.png", "https://a.example/2.png"],
            },
            "input.max_images",
        ),
        ("4", {"image_input": ["nonsense"]}, "input.image_input"),
        ("4", {"image_input": ["https://a.example/1.png"] * 11}, "input.image_input"),
        ("5-pro", {"output_format": "webp"}, "input.output_format"),
        ("3", {"size": "2K"}, "input.size"),
    ],
)
def test_inputs_are_validated_before_there_is_a_prediction(
    model: str, change: dict[str, object], field: str
) -> None:
    """422 with one line a field, and no charge."""
    body = {"input": {"prompt": "a fox"} | change}
    reply = ask(f"/models/bytedance/seedream-{model}/predictions", body)
    assert (reply.status, reply.deed.is_good) == (422, False)
    found = said(reply)
    assert found["title"] == "Input validation failed"
    assert str(found["detail"]).startswith(f"- {field}: ")


def test_sets_bring_as_many_as_they_may() -> None:
    """`auto` with `max_images`; `disabled` makes one, whatever `max_images` is."""
    for mode, count in (("auto", 3), ("disabled", 1)):
        body = given(sequential_image_generation=mode, max_images=3)
        task = said(ask(OF_4, body))["id"]
        ended = said(ask(f"/predictions/{task}", stage=Stage(now=NOW + 2)))
        assert len(ended["output"]) == count  # type: ignore[arg-type]


def test_3_gives_one_string() -> None:
    """seedream-3 has a URL for an output, not a list."""
    body = {"input": {"prompt": "x", "aspect_ratio": "custom", "width": 600, "height": 800}}
    task = said(ask("/models/bytedance/seedream-3/predictions", body))["id"]
    ended = said(ask(f"/predictions/{task}", stage=Stage(now=NOW + 2)))
    assert isinstance(ended["output"], str)


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        (OF_4, "wrong", 401),
        (OF_4, "no-credit", 402),
        ("/models/bytedance/seedream-9/predictions", "k", 404),
        ("/predictions", "k", 404),
        ("/nothing", "k", 404),
    ],
)
def test_problems_name_their_status(path: str, key: str, status: int) -> None:
    """A problem object repeats HTTP's status and says what is wrong."""
    reply = ask(path, given(), key=key)
    assert reply.status == said(reply)["status"] == status
    assert said(reply)["detail"]


def test_the_older_scheme_and_a_version_work_too() -> None:
    """`Token` for `Bearer`, and the model as `version` in the body."""
    body = given() | {"version": "bytedance/seedream-4"}
    reply = ask("/predictions", body, authorization="Token k")
    assert (reply.status, said(reply)["model"]) == (201, "bytedance/seedream-4")
