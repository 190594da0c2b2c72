"""The stand-in for Replicate: predictions, their list, files, the account.

Inputs and outputs are wiped one hour after a prediction's end; the record stays.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from seedream_cli.core.record import replace
from seedream_cli.sandbox.apis.forms import read_form
from seedream_cli.sandbox.apis.frames import models_of
from seedream_cli.sandbox.apis.replicate_checks import Complaint, read_input
from seedream_cli.sandbox.messages import Answer, Effect, Fate, Voice, Where, says
from seedream_cli.sandbox.pictures.host import image_url
from seedream_cli.sandbox.tickets import Ticket, TicketKind, read_task_id, task_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.sandbox.messages import HttpRequest, Stage, SubmitRecord

LIFETIME: Final = 3600
"""Seconds after its end that a prediction's input, output and files are kept."""
PAGE: Final = 100

_LARGEST: Final = 100 * 1024 * 1024
_LONGEST_WAIT: Final = 60.0
_MODEL: Final = re.compile(r"/models/([^/]+/[^/]+)/predictions")
_ONE: Final = re.compile(r"/predictions/([^/]+)")
_WAIT: Final = re.compile(r"\bwait(?:=([0-9]+))?")
_BEGUN: Final = 0.1
_ENDINGS: Final = {
    Fate.FAILED: "Prediction interrupted; please retry (code: PA) (E1001)",
    Fate.REFUSED: "The input or output was flagged as sensitive. Please try again with different"
    " inputs. (E005)",
}


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as Replicate does; its own client puts the version before each path itself."""
    asked = replace(asked, path=asked.path.removeprefix("/v1"))
    where = _place(asked)
    reply = _account(asked, is_paid=where is Where.SUBMIT) or _route(asked, stage)
    return replace(reply, deed=replace(reply.deed, provider="replicate", where=where))


def _place(asked: HttpRequest) -> Where:
    is_submit = asked.path == "/predictions" or _MODEL.fullmatch(asked.path)
    match asked.method:
        case "POST" if is_submit:
            return Where.SUBMIT
        case "POST" if asked.path == "/files":
            return Where.UPLOAD
        case "GET" if _ONE.fullmatch(asked.path):
            return Where.POLL
        case _:
            return Where.FREE


def _account(asked: HttpRequest, *, is_paid: bool) -> Answer | None:
    key = asked.key or asked.token("Token")
    if not key or "wrong" in key:
        return _problem(401, "Unauthenticated", "You did not pass a valid authentication token")
    if "no-credit" in key and is_paid:
        text = (
            "You have insufficient credit to run this model. Go to"
            " https://replicate.com/account/billing#billing to purchase credit. Once you purchase"
            " credit, please wait a few minutes before trying again."
        )
        return _problem(402, "Insufficient credit", text)
    return None


def _route(asked: HttpRequest, stage: Stage) -> Answer:
    if asked.method == "POST" and (of_model := _MODEL.fullmatch(asked.path)):
        return _create(asked, stage, of_model[1])
    if asked.method == "GET" and (one := _ONE.fullmatch(asked.path)):
        return _get(asked, stage, one[1])
    routes = {
        ("POST", "/predictions"): _create_by_version,
        ("GET", "/predictions"): _list,
        ("POST", "/files"): _file,
        ("GET", "/account"): _owner,
    }
    route = routes.get((asked.method, asked.path))
    return route(asked, stage) if route is not None else _not_found()


def _owner(_asked: HttpRequest, _stage: Stage) -> Answer:
    account = {"type": "user", "username": "sandbox", "name": "Sandbox"}
    return says(account | {"github_url": "https://github.com/sandbox"})


def _create_by_version(asked: HttpRequest, stage: Stage) -> Answer:
    return _create(asked, stage, str((asked.json() or {}).get("version", "")))


def _create(asked: HttpRequest, stage: Stage, name: str) -> Answer:
    if name not in models_of("replicate"):
        return _not_found()
    given = (asked.json() or {}).get("input")
    if not isinstance(given, dict):
        return _invalid(Complaint("input", "input is required"))
    try:
        picture, count, references = read_input(asked, name, given)
    except Complaint as complaint:
        return _invalid(complaint)
    delay = stage.settings.delay
    task = Ticket(
        kind=TicketKind.REPLICATE,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(delay * 1000),
        fate=stage.fate,
        count=count,
        references=references,
        model=name,
        picture=replace(picture, expires_at=int(stage.now + delay) + LIFETIME),
    )
    identity = task_id(task, "")
    wait = min(_patience(asked), stage.patience)
    body = _prediction(asked, identity, task, stage.now + wait, given)
    deed = Effect(is_good=True, task=identity)
    return replace(says(body, 202 if wait else 201), delay=wait, deed=deed)


def _patience(asked: HttpRequest) -> float:
    """Return for how many seconds the client wants to wait for the end (`Prefer: wait`)."""
    wait = _WAIT.search(asked.headers.get("prefer", ""))
    return min(float(wait[1] or _LONGEST_WAIT), _LONGEST_WAIT) if wait else 0.0


def _get(asked: HttpRequest, stage: Stage, identity: str) -> Answer:
    task = read_task_id(TicketKind.REPLICATE, "", identity)
    if task is None:
        return _not_found()
    given = next((_input(each) for each in stage.records if each.task == identity), {})
    body = _prediction(asked, identity, task, stage.now, given)
    return replace(says(body), deed=Effect(is_good=True, task=identity))


def _list(asked: HttpRequest, stage: Stage) -> Answer:
    """List the account's predictions, newest first, running ones too; 100 a page."""
    try:
        after, before = (_time(asked.query.get(f"created_{word}")) for word in ("after", "before"))
        skip = _place_of(asked.query.get("cursor", ""))
    except ValueError:
        return _problem(400, "Bad request", "Invalid cursor or time.")
    if asked.query.get("source") == "web":
        return says({"next": None, "previous": None, "results": []})
    records = [
        each
        for each in reversed(stage.records)
        if each.provider == "replicate"
        and each.key == asked.account
        and stage.now >= each.at + stage.settings.list_delay
        and (after is None or each.at >= after)
        and (before is None or each.at < before)
    ]
    results = [
        _prediction(asked, each.task, task, stage.now, _input(each))
        for each in records[skip : skip + PAGE]
        if (task := read_task_id(TicketKind.REPLICATE, "", each.task)) is not None
    ]
    rest = skip + PAGE if len(records) > skip + PAGE else None
    pages = {"next": rest, "previous": max(0, skip - PAGE) if skip else None}
    links = {word: _link(asked, place) for word, place in pages.items()}
    return says({**links, "results": results})


def _link(asked: HttpRequest, place: int | None) -> str | None:
    if place is None:
        return None
    cursor = urlsafe_b64encode(b"p=%d" % place).decode()
    query = {**asked.query, "cursor": cursor}
    return f"{_base(asked)}/predictions?{urlencode(query)}"


def _place_of(cursor: str) -> int:
    return int(urlsafe_b64decode(cursor).removeprefix(b"p=")) if cursor else 0


def _time(text: str | None) -> float | None:
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _input(record: SubmitRecord) -> Mapping[str, object]:
    given = record.body.get("input")
    return given if isinstance(given, dict) else {}


def _prediction(
    asked: HttpRequest, identity: str, task: Ticket, now: float, given: Mapping[str, object]
) -> dict[str, object]:
    ended = task.finished_ms / 1000
    is_ended = task.progress(now) >= 1
    is_wiped = is_ended and now >= ended + LIFETIME
    status = "processing" if task.progress(now) >= _BEGUN else "starting"
    output: object = None
    if is_ended:
        status = "succeeded" if task.fate is Fate.MADE else "failed"
    if status == "succeeded" and not is_wiped:
        urls = [image_url(asked, task.picture.sibling(number)) for number in range(task.count)]
        output = urls[0] if task.model.endswith("-3") else urls
    web = f"https://replicate.com/p/{identity}"
    address = f"{_base(asked)}/predictions/{identity}"
    seconds = task.delay_ms / 1000
    return {
        "id": identity,
        "model": task.model,
        "version": "hidden",
        "input": {} if is_wiped else dict(given),
        "logs": "",
        "output": output,
        "data_removed": is_wiped,
        "error": None if is_wiped else _ENDINGS.get(task.fate if is_ended else Fate.MADE),
        "source": "api",
        "status": status,
        "created_at": _time_text(task.created_ms / 1000),
        "started_at": _time_text(task.created_ms / 1000) if status != "starting" else None,
        "completed_at": _time_text(ended) if is_ended else None,
        "urls": {"get": address, "cancel": f"{address}/cancel", "web": web},
        "metrics": {"predict_time": seconds, "total_time": seconds} if is_ended else {},
    }


def _time_text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _file(asked: HttpRequest, stage: Stage) -> Answer:
    """Take a file for 24 hours; its address holds the digest of its bytes."""
    part = read_form(asked).get("content")
    if part is None or not part.content:
        return _problem(400, "Bad request", "Missing content")
    if len(part.content) > _LARGEST:
        return _problem(413, "File too large", "Files may have at most 100 MB")
    digest = hashlib.sha256(part.content)
    identity = digest.hexdigest()[:26]
    body = {
        "id": identity,
        "name": part.name,
        "content_type": part.type,
        "size": len(part.content),
        "etag": digest.hexdigest()[:32],
        "checksums": {
            "sha256": digest.hexdigest(),
            "md5": hashlib.md5(part.content, usedforsecurity=False).hexdigest(),
        },
        "metadata": {},
        "created_at": _time_text(stage.now),
        "expires_at": _time_text((stage.date + timedelta(days=1)).timestamp()),
        "urls": {"get": f"{_base(asked)}/files/{identity}"},
    }
    return replace(says(body, 201), deed=Effect(is_good=True))


def _base(asked: HttpRequest) -> str:
    return f"{asked.origin}/replicate"


def _problem(status: int, title: str, detail: str, **more: object) -> Answer:
    return says({"title": title, "detail": detail, "status": status, **more}, status)


def _not_found() -> Answer:
    return says({"detail": "The requested resource could not be found.", "status": 404}, 404)


def _invalid(complaint: Complaint) -> Answer:
    field = f"input.{complaint.field}" if complaint.field != "input" else "input"
    fields = [{"type": "invalid", "field": field, "description": complaint.text}]
    detail = f"- {field}: {complaint.text}\n"
    return _problem(422, "Input validation failed", detail, invalid_fields=fields)


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Request was throttled. Your rate limit resets in ~1s."
    return says({"detail": text, "status": 429, "retry_after": 1}, 429)


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _problem(500, "Internal server error", "An unexpected error occurred.")


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=None)
