"""Providers' lists of recent requests: how they are asked, and what of a page counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import Purpose, Reply, Window
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 11, 30, 10, 0, 0, 123000, tzinfo=UTC)
WINDOW = Window(since=AT, until=AT + timedelta(minutes=1), model="maker/model")
LISTING = [name for name, provider in PROVIDERS.items() if provider.listing is not None]
INPUT = {"prompt": "a fox", "seed": 17}
ITEMS: dict[str, dict[str, object]] = {
    # wavespeed.ai/docs, list predictions (2026): times in nanoseconds.
    "wavespeed": {
        "id": "a1",
        "model": "maker/model",
        "status": "processing",
        "outputs": [],
        "inputs": INPUT,
        "created_at": "2026-11-30T10:00:00.123456789Z",
    },
    # replicate.com/docs, HTTP reference (2026).
    "replicate": {
        "id": "a1",
        "model": "maker/model",
        "version": "hidden",
        "status": "starting",
        "input": INPUT,
        "created_at": "2026-11-30T10:00:00.123456Z",
        "data_removed": False,
    },
    # fal.ai/docs, platform API (2026).
    "fal": {
        "request_id": "a1",
        "endpoint_id": "maker/model",
        "sent_at": "2026-11-30T10:00:00.123456+00:00",
        "ended_at": "2026-11-30T10:00:20+00:00",
        "status_code": 200,
        "json_input": INPUT,
    },
}
KEYS = {"id", "request_id", "model", "endpoint_id", "created_at", "sent_at"}
INPUT_KEYS = {"wavespeed": "inputs", "replicate": "input", "fal": "json_input"}


def page(provider: str, items: object, **more: object) -> dict[str, object]:
    """Return a page as its provider would write it, the last one."""
    match provider:
        case "wavespeed":
            return {"code": 200, "message": "success", "data": {"page": 1, "items": items, **more}}
        case "replicate":
            return {"next": None, "previous": None, "results": items, **more}
        case _:
            return {"items": items, "next_cursor": None, "has_more": False, **more}


def reply(body: object, status: int = 200) -> Reply:
    """Return an answer to the question for a page."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(purpose=Purpose.FIND, status=status, headers={}, body=data)


def listed(provider: str) -> Callable:  # type: ignore[type-arg] # what each test calls
    """Return what reads a provider's pages."""
    read = PROVIDERS[provider].dialect.listed
    assert read is not None
    return read


@pytest.mark.parametrize("provider", LISTING)
def test_a_page_is_read_whole(provider: str) -> None:
    """Each request with its id, model, time and what was asked."""
    found = listed(provider)(reply(page(provider, [ITEMS[provider]])))
    (record,) = found.records
    assert (record.task_id, record.model, record.at) == ("a1", "maker/model", AT)
    assert record.input == INPUT
    assert found.next is None


@pytest.mark.parametrize("provider", LISTING)
@pytest.mark.parametrize("gone", [None, {}, "text", "absent"])
def test_what_was_taken_away_is_no_input(provider: str, gone: object) -> None:
    """A request without what was asked is one all the same."""
    item = {**ITEMS[provider], INPUT_KEYS[provider]: gone}
    if gone == "absent":
        del item[INPUT_KEYS[provider]]
    (record,) = listed(provider)(reply(page(provider, [item]))).records
    assert record.input is None


@pytest.mark.parametrize("provider", LISTING)
def test_a_request_that_cannot_be_placed_spoils_its_page(provider: str) -> None:
    """Without id, model or time nobody can tell what is lacking."""
    good, odd = ITEMS[provider], list[dict[str, object]]()
    for key in KEYS & good.keys():
        values: list[object] = [None, "", 5.5, [], *(["yesterday"] if key.endswith("_at") else [])]
        odd += [{**good, key: value} for value in values]
    assert len(odd) == 3 * 4 + 1
    for item in odd:
        with pytest.raises(UnreadableReply):
            listed(provider)(reply(page(provider, [good, item])))


@pytest.mark.parametrize("provider", LISTING)
def test_what_is_no_page_is_not_read(provider: str) -> None:
    """Errors, web pages, other shapes: nothing is concluded from them."""
    good = page(provider, [ITEMS[provider]])
    items: list[object] = [None, {}, "no", 5, ["no"], [None]]
    bodies: list[object] = [[], {}, b"", b"<html>", b"null", b'{"items":[]}']
    bad = [
        *(reply(good, status) for status in (201, 301, 400, 401, 403, 404, 429, 500, 503)),
        *(reply(page(provider, each)) for each in items),
        *map(reply, bodies),
    ]
    if provider == "wavespeed":
        bad += [reply({**good, "code": 500}), reply({**good, "data": {"items": []}})]
    if provider == "replicate":
        bad += [reply({**good, "next": 5}), reply({**good, "next": "/v1/predictions?cursor=x"})]
    if provider == "fal":
        bad += [reply({**good, "has_more": True}), reply({**good, "has_more": "no"})]
    for answer in bad:
        with pytest.raises(UnreadableReply):
            listed(provider)(answer)


FULL = [{**ITEMS["wavespeed"], "id": f"a{k}"} for k in range(100)]
NEXT = "https://api.replicate.com/v1/predictions?cursor=x"
FOLLOWED: dict[str, tuple[dict[str, object], str]] = {
    "wavespeed": (page("wavespeed", FULL, page=3), "4"),
    "replicate": (page("replicate", [], next=NEXT), NEXT),
    "fal": (page("fal", [], has_more=True, next_cursor="c"), "c"),
}
SINCE, UNTIL = WINDOW.since.isoformat(), WINDOW.until.isoformat()
ASKED: dict[str, tuple[str, str, object, dict[str, str]]] = {
    "wavespeed": (
        "api",
        "/predictions",
        {"page": 1, "page_size": 100, "created_after": SINCE, "created_before": UNTIL},
        {},
    ),
    "replicate": (
        "api",
        "/predictions",
        None,
        {"created_after": SINCE, "created_before": UNTIL},
    ),
    "fal": (
        "list",
        "/models/requests/by-endpoint",
        None,
        {
            "endpoint_id": "maker/model",
            "start": SINCE,
            "end": UNTIL,
            "expand": "payloads",
            "limit": "100",
        },
    ),
}


@pytest.mark.parametrize("provider", LISTING)
def test_pages_follow_each_other(provider: str) -> None:
    """By number while they are full, by whole address, by cursor."""
    said, following = FOLLOWED[provider]
    assert listed(provider)(reply(said)).next == following


@pytest.mark.parametrize("provider", LISTING)
def test_questions_name_the_window(provider: str) -> None:
    """Requests are asked for with a time to begin and one to end; nothing else is sent."""
    find = PROVIDERS[provider].dialect.find
    assert find is not None
    call = find(WINDOW, None)
    assert (call.host, call.path, call.body, call.query) == ASKED[provider]
    assert call.purpose is Purpose.FIND


def test_wavespeeds_charges_are_read_before_what_was_given_back() -> None:
    """Page by page of each; where nothing was charged nothing was given back."""
    dialect = PROVIDERS["wavespeed"].dialect
    assert dialect.charges is not None
    assert dialect.charged is not None
    row = {
        "uuid": "u",
        "billing_type": "deduct",
        "price": 0.04,
        "created_at": "2026-11-30T10:00:00Z",
        "prediction": {"uuid": "a1", "model_uuid": "m", "status": "completed"},
    }
    found = dialect.charged(reply(page("wavespeed", [row])))
    assert [(each.task_id, each.state) for each in found.records] == [("a1", "deduct")]
    assert found.next == "refund"
    refunds = dialect.charges(WINDOW, "refund").body or {}
    assert (refunds["billing_type"], refunds["page"]) == ("refund", 1)
    assert dialect.charged(reply(page("wavespeed", [row] * 100, page=2))).next == "deduct:3"
    assert (dialect.charges(WINDOW, "deduct:3").body or {})["page"] == 3
    refund = {**row, "billing_type": "refund"}
    assert dialect.charged(reply(page("wavespeed", [refund]))).next is None
    assert dialect.charged(reply(page("wavespeed", []))).next is None
    for odd in ([row, refund], [{**row, "billing_type": "gift"}], [{**row, "prediction": None}]):
        with pytest.raises(UnreadableReply):
            dialect.charged(reply(page("wavespeed", odd)))
