"""The stand-in for KIE.ai: market jobs, the older endpoint, credit, uploads, download URLs.

KIE answers application errors with HTTP 200 and a code in the body.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.sandbox.apis import kie_older, kie_uploads
from seedream_cli.sandbox.apis.kie_checks import (
    Complaint,
    accept,
    callback,
    credits_of,
    read_purchase,
    refusal,
)
from seedream_cli.sandbox.messages import Answer, Effect, Fate, Voice, Where, encode, says
from seedream_cli.sandbox.pictures.host import PATH, image_url
from seedream_cli.sandbox.tickets import Ticket, TicketKind, read_image_name, read_task_id, task_id

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import HttpRequest, Stage

PREFIX: Final = "task_seedream_"
LIFETIME: Final = 14 * 86_400
"""Seconds that generated media is kept (KIE, getting started)."""
FRESH: Final = 20 * 60
"""Seconds that a URL of `download-url` lives."""

_WAITING: Final = 0.1


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as KIE does; the older endpoint's deeds count as `kie-seedream`."""
    where, provider = _place(asked)
    reply = _account(asked, is_paid=where is Where.SUBMIT) or _route(asked, stage)
    deed = replace(reply.deed, provider=provider, where=where)
    return replace(reply, deed=deed)


def _place(asked: HttpRequest) -> tuple[Where, str]:
    match asked.path:
        case "/api/v1/jobs/createTask":
            return Where.SUBMIT, "kie"
        case "/api/v1/jobs/recordInfo":
            return Where.POLL, "kie"
        case "/api/v1/seedream/generate":
            return Where.SUBMIT, "kie-seedream"
        case "/api/v1/seedream/record-info":
            return Where.POLL, "kie-seedream"
        case path if path.startswith("/api/file-"):
            return Where.UPLOAD, "kie"
        case _:
            return Where.FREE, "kie"


def _account(asked: HttpRequest, *, is_paid: bool) -> Answer | None:
    if not asked.key or "wrong" in asked.key:
        return says({"code": 401, "msg": "You do not have access permissions"})
    if "no-credit" in asked.key and is_paid:
        text = "The current credits are insufficient. Please top up to continue."
        return says({"code": 402, "msg": text, "data": None})
    return None


def _route(asked: HttpRequest, stage: Stage) -> Answer:
    routes = {
        ("POST", "/api/v1/jobs/createTask"): _create,
        ("GET", "/api/v1/jobs/recordInfo"): _record,
        ("POST", "/api/v1/seedream/generate"): kie_older.generate,
        ("GET", "/api/v1/seedream/record-info"): kie_older.record_info,
        ("GET", "/api/v1/chat/credit"): _credit,
        ("POST", "/api/v1/common/download-url"): _download_url,
    }
    route = routes.get((asked.method, asked.path))
    if route is not None:
        return route(asked, stage)
    if asked.method == "POST" and asked.path.startswith("/api/file-"):
        return kie_uploads.upload(asked, stage)
    return says({"code": 404, "msg": "Not Found", "data": None}, 404)


def _credit(asked: HttpRequest, _stage: Stage) -> Answer:
    amount = 0 if "no-credit" in asked.key else 5916.25
    return says({"code": 200, "msg": "success", "data": amount})


def _create(asked: HttpRequest, stage: Stage) -> Answer:
    try:
        model, picture, count, references = read_purchase(asked)
    except Complaint as complaint:
        return refusal(complaint)
    task = Ticket(
        kind=TicketKind.KIE,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(stage.settings.delay * 1000),
        fate=stage.fate,
        count=count,
        references=references,
        model=model,
        picture=replace(picture, expires_at=int(stage.now) + LIFETIME),
    )
    identity = task_id(task, PREFIX)
    return accept(
        identity,
        task,
        with_record=True,
        callback=callback(asked.json() or {}, task, _callback_body(asked, task, identity)),
    )


def _callback_body(asked: HttpRequest, task: Ticket, identity: str) -> dict[str, object]:
    """Return what is posted when a task has ended: its record, and a code that tells how."""
    data = {"taskId": identity, "model": task.model} | _state(asked, task, task.finished_ms / 1000)
    if task.fate is Fate.MADE:
        return {"code": 200, "msg": "success", "data": data}
    return {"code": 501, "msg": "Image generation failed.", "data": data}


def _record(asked: HttpRequest, stage: Stage) -> Answer:
    identity = asked.query.get("taskId", "")
    if not identity:
        return says({"code": 400, "msg": "taskId parameter is required", "data": None})
    task = read_task_id(TicketKind.KIE, PREFIX, identity)
    # An id that it does not know (yet) is a 422 in the body, under HTTP 200.
    if task is None:
        return says({"code": 422, "msg": "recordInfo is null", "data": None})
    data = {"taskId": identity, "model": task.model} | _state(asked, task, stage.now)
    reply = says({"code": 200, "msg": "success", "data": data})
    return replace(reply, deed=Effect(is_good=True, task=identity))


def _state(asked: HttpRequest, task: Ticket, now: float) -> dict[str, object]:
    progress = task.progress(now)
    is_done = progress >= 1
    is_made = is_done and task.fate is Fate.MADE
    waiting = "waiting" if progress < _WAITING else "generating"
    state: dict[str, object] = {
        "state": ("success" if is_made else "fail") if is_done else waiting,
        "param": _parameters(task),
        "resultJson": _result(asked, task) if is_made else "",
        "failCode": "501" if is_done and not is_made else None,
        "failMsg": "Image generation failed." if is_done and not is_made else None,
        "costTime": task.delay_ms // 1000 if is_done else None,
        "createTime": task.created_ms,
        "completeTime": task.finished_ms if is_done else None,
        "updateTime": task.finished_ms if is_done else max(task.created_ms, int(now * 1000)),
    }
    price = credits_of(task)
    return state | ({"creditsConsumed": price} if is_made and price is not None else {})


def _result(asked: HttpRequest, task: Ticket) -> str:
    first = task.picture
    is_layered = task.model.endswith("layer-decomposition")
    urls = [
        image_url(asked, first.layer(number) if is_layered else first.sibling(number))
        for number in range(task.count)
    ]
    return encode({"resultUrls": urls}).decode()


def _parameters(task: Ticket) -> str:
    """Return `param`, twice encoded as in live traffic, input URLs and all: they are no results."""
    given: dict[str, object] = {"prompt": "(not kept by the sandbox)"}
    if task.references:
        given["image_urls"] = [
            f"https://example.com/input-{number}.png" for number in range(1, task.references + 1)
        ]
    return json.dumps({"model": task.model, "input": json.dumps(given)})


def _download_url(asked: HttpRequest, stage: Stage) -> Answer:
    url = (asked.json() or {}).get("url")
    name = url.partition("?")[0].rpartition(PATH)[2] if isinstance(url, str) else ""
    picture = read_image_name(name)
    # It renews its own addresses, and those of no other provider.
    if picture is None or picture.is_signed:
        return says({"code": 422, "msg": "url is wrong", "data": None})
    fresh = replace(picture, expires_at=int(stage.now) + FRESH)
    return says({"code": 200, "msg": "success", "data": image_url(asked, fresh)})


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Your call frequency is too high. Please try again later."
    return says({"code": 429, "msg": text, "data": None}, 429)


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Server exception, please try again later or contact customer service"
    return says({"code": 500, "msg": text, "data": None}, 500)


def _refuse(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Your prompt was flagged as violating content policies."
    return says({"code": 400, "msg": text, "data": None})


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=_refuse)
