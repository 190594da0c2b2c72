"""The stand-in for WaveSpeed: tasks, uploads, the balance, and lists of tasks and of charges."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.sandbox.apis.forms import read_form
from seedream_cli.sandbox.apis.frames import models_of, pixels
from seedream_cli.sandbox.messages import (
    LAYERS,
    Answer,
    Effect,
    Fate,
    Voice,
    Where,
    is_whole,
    says,
    texts,
)
from seedream_cli.sandbox.pictures.host import image_url
from seedream_cli.sandbox.tickets import (
    Drawing,
    Ticket,
    TicketKind,
    read_task_id,
    seed_of,
    task_id,
    tint_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest, Stage, SubmitRecord

PREFIX: Final = "/wavespeed"
KEPT: Final = timedelta(days=7)

_PREDICTION: Final = re.compile(r"/predictions/([^/]+)(?:/result)?")
_SIZE: Final = re.compile(r"([0-9]{1,5})\*([0-9]{1,5})")
_LARGEST_UPLOAD: Final = 20_000_000
_LONGEST_PAGE: Final = 100
_FILES: Final = "/media/files/"
_FREE: Final = ("/predictions", "/billings/search", "/model/price", "/media/uploads")


class _Complaint(Exception):
    pass


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as WaveSpeed does, with or without the version in the path."""
    asked = replace(asked, path=asked.path.removeprefix("/api/v3"))
    where = _place(asked)
    reply = _account(asked, is_paid=where is Where.SUBMIT) or _route(asked, stage, where)
    return replace(reply, deed=replace(reply.deed, provider="wavespeed", where=where))


def _place(asked: HttpRequest) -> Where:
    if asked.path == "/media/upload/binary" or asked.path.startswith(_FILES):
        return Where.UPLOAD
    if asked.method == "GET" and _PREDICTION.fullmatch(asked.path):
        return Where.POLL
    is_paid = asked.method == "POST" and asked.path not in _FREE
    return Where.SUBMIT if is_paid else Where.FREE


def _account(asked: HttpRequest, *, is_paid: bool) -> Answer | None:
    if asked.path.startswith(_FILES):
        is_told = "authorization" in asked.headers
        return _error(400, "only one auth mechanism is allowed") if is_told else None
    if not asked.key or "wrong" in asked.key:
        return _error(401, "Invalid or inactive API key")
    if "no-credit" in asked.key and is_paid:
        return _error(402, "Insufficient credits. Please top up your account.")
    return None


def _route(asked: HttpRequest, stage: Stage, where: Where) -> Answer:
    prediction = _PREDICTION.fullmatch(asked.path)
    routes = {
        ("POST", "/media/upload/binary"): _upload,
        ("POST", "/media/uploads"): _offer_place,
        ("POST", "/predictions"): _predictions,
        ("POST", "/billings/search"): _billings,
        ("GET", "/balance"): _balance,
    }
    route = routes.get((asked.method, asked.path))
    try:
        if route is not None:
            return route(asked, stage)
        if where is Where.SUBMIT:
            return _submit(asked, stage)
    except _Complaint as complaint:
        return _error(400, str(complaint))
    if where is Where.UPLOAD and asked.method == "PUT" and asked.body:
        return Answer(deed=Effect(is_good=True))
    return _record(asked, stage, prediction[1]) if prediction else _error(404, "Not Found")


def _balance(asked: HttpRequest, _stage: Stage) -> Answer:
    return _good({"balance": 0 if "no-credit" in asked.key else 12.5})


def _submit(asked: HttpRequest, stage: Stage) -> Answer:
    name = asked.path.strip("/")
    model = models_of("wavespeed").get(name)
    if model is None:
        return _error(404, f"model {name} not found")
    picture, count, references = _purchase(asked, model)
    task = Ticket(
        kind=TicketKind.WAVESPEED,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(stage.settings.delay * 1000),
        fate=stage.fate,
        count=count,
        references=references,
        model=name,
        picture=replace(picture, expires_at=int(stage.now + KEPT.total_seconds())),
    )
    identity = task_id(task, "")
    reply = _good(_state(asked, task, identity, stage.now, is_new=True))
    return replace(reply, deed=Effect(is_good=True, task=identity))


def _record(asked: HttpRequest, stage: Stage, identity: str) -> Answer:
    task = read_task_id(TicketKind.WAVESPEED, "", identity)
    if task is None:
        return _error(404, "prediction not found")
    reply = _good(_state(asked, task, identity, stage.now))
    return replace(reply, deed=Effect(is_good=True, task=identity))


def _state(
    asked: HttpRequest, task: Ticket, identity: str, now: float, *, is_new: bool = False
) -> dict[str, object]:
    is_done = not is_new and task.progress(now) >= 1
    is_made = is_done and task.fate is Fate.MADE
    failure = {
        Fate.FAILED: "The upstream model failed.",
        Fate.REFUSED: "The prompt was flagged as sensitive content.",
    }
    urls = [image_url(asked, task.picture.sibling(number)) for number in range(task.count)]
    return {
        "id": identity,
        "model": task.model,
        "status": _word(task, now, is_new=is_new),
        "outputs": urls if is_made else [],
        "urls": {"get": f"{asked.origin}{PREFIX}/predictions/{identity}/result"},
        "has_nsfw_contents": [False] * task.count if is_made else [],
        "created_at": _iso(task.created_ms),
        "error": failure.get(task.fate, "") if is_done else "",
        "timings": {"inference": task.delay_ms if is_done else 0},
        "executionTime": task.delay_ms if is_done else 0,
    }


def _word(task: Ticket, now: float, *, is_new: bool = False) -> str:
    if is_new:
        return "created"
    if task.progress(now) < 1:
        return "processing"
    return "completed" if task.fate is Fate.MADE else "failed"


def _purchase(asked: HttpRequest, model: Capabilities) -> tuple[Drawing, int, int]:
    raw = asked.json()
    if raw is None:
        raise _Complaint("invalid request body")
    body = {key: value for key, value in raw.items() if value is not None}
    prompt = body.get("prompt", "" if model.is_layered else None)
    if not isinstance(prompt, str) or (not prompt and not model.is_layered):
        raise _Complaint("property 'prompt' is required")
    references = _references(body, model)
    width, height = _size(body, model)
    picture = Drawing(
        seed=seed_of(prompt, body.get("seed"), references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=_word_in(body, "output_format", model.formats) if model.picks_format else "jpeg",
    )
    return picture, _count(body, model, len(references)), len(references)


def _references(body: Mapping[str, object], model: Capabilities) -> list[str]:
    least, most = model.references
    if not most:
        return []
    key = "image" if model.is_layered else "images"
    urls = texts(body.get(key))
    if not isinstance(body.get(key), str if model.is_layered else list):
        raise _Complaint(f"property '{key}' is required")
    if not least <= len(urls) <= most or not all(url.startswith("http") for url in urls):
        raise _Complaint(f"property '{key}' must hold {least} to {most} URLs")
    return urls


def _count(body: Mapping[str, object], model: Capabilities, references: int) -> int:
    if model.is_layered:
        return LAYERS
    if "max_images" not in model.fields:
        return 1
    count = body.get("max_images", 1)
    if not is_whole(count) or not 1 <= int(str(count)) <= model.max_series:
        raise _Complaint(f"property 'max_images' must be from 1 to {model.max_series}")
    together = model.max_inputs_and_outputs
    if together is not None and int(str(count)) + references > together:
        raise _Complaint(f"at most {together} images, inputs and outputs together")
    return int(str(count))


def _size(body: Mapping[str, object], model: Capabilities) -> Pixels:
    if "size" not in model.fields:
        word = _word_in(body, "resolution", tuple(each.lower() for each in model.sizes))
        aspect = _word_in(body, "aspect_ratio", model.aspects) if model.aspects else "1:1"
        return pixels(None, word, aspect)
    size = _SIZE.fullmatch(str(body.get("size", "2048*2048")))
    if size is None:
        raise _Complaint("property 'size' must be width*height")
    width, height = int(size[1]), int(size[2])
    least, most = model.pixels or (1, 4096 * 4096)
    if not least <= width * height <= most:
        raise _Complaint(f"property 'size' must have {least} to {most} pixels")
    return width, height


def _word_in(body: Mapping[str, object], key: str, words: tuple[str, ...]) -> str:
    """Return one of a field's words; the first of them is what stands for none."""
    word = body.get(key, words[0])
    if word not in words:
        raise _Complaint(f"property '{key}' must be one of {', '.join(words)}")
    return str(word)


def _upload(asked: HttpRequest, _stage: Stage) -> Answer:
    file = read_form(asked).get("file")
    if file is None or not file.content:
        return _error(400, "file is required")
    if len(file.content) > _LARGEST_UPLOAD:
        return _error(400, "file is too large")
    digest = hashlib.sha256(file.content).hexdigest()[:32]
    url = f"{asked.origin}{PREFIX}/media/{digest}-{file.name or 'file'}"
    data = {"type": "image", "download_url": url, "filename": file.name, "size": len(file.content)}
    return replace(_good(data), deed=Effect(is_good=True))


def _offer_place(asked: HttpRequest, _stage: Stage) -> Answer:
    """Name a place to put a file to, without the key, and where it will be."""
    body = asked.json() or {}
    name = body.get("filename")
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,200}", name):
        return _error(400, "filename is required")
    url = f"{asked.origin}{PREFIX}{_FILES}{name}"
    headers = {"Content-Type": str(body.get("content_type") or "application/octet-stream")}
    place = {"method": "PUT", "url": f"{url}?upload=1", "headers": headers}
    return _good({"upload": place, "download_url": url})


def _mine(asked: HttpRequest, stage: Stage) -> Iterator[tuple[SubmitRecord, Ticket]]:
    """Yield what the list shows of this account by now, newest first: running tasks, too."""
    for record in reversed(stage.records):
        is_shown = stage.now >= record.at + stage.settings.list_delay
        is_kept = stage.now < record.at + KEPT.total_seconds()
        if record.provider == "wavespeed" and record.key == asked.account and is_shown and is_kept:
            task = read_task_id(TicketKind.WAVESPEED, "", record.task)
            if task is not None:
                yield record, task


def _predictions(asked: HttpRequest, stage: Stage) -> Answer:
    return _page(asked, list(_tasks(asked, stage)))


def _billings(asked: HttpRequest, stage: Stage) -> Answer:
    return _page(asked, list(_charges(asked, stage)))


def _tasks(asked: HttpRequest, stage: Stage) -> Iterator[dict[str, object]]:
    query = asked.json() or {}
    after = _moment(query.get("created_after"), datetime.min.replace(tzinfo=UTC))
    before = _moment(query.get("created_before"), datetime.max.replace(tzinfo=UTC))
    for record, task in _mine(asked, stage):
        state = _state(asked, task, record.task, stage.now)
        is_wanted = all(query.get(key) in {None, "", state[key]} for key in ("model", "status"))
        if is_wanted and after <= _moment(state["created_at"], after) <= before:
            yield state | {"inputs": record.body}


def _charges(asked: HttpRequest, stage: Stage) -> Iterator[dict[str, object]]:
    """Yield the charges, and the refunds of what failed, newest first."""
    query = asked.json() or {}
    start = _moment(query.get("start_time"), datetime.min.replace(tzinfo=UTC))
    end = _moment(query.get("end_time"), datetime.max.replace(tzinfo=UTC))
    wanted = query.get("prediction_uuids")
    for record, task in _mine(asked, stage):
        status = _word(task, stage.now)
        rows = {"refund": task.finished_ms} if status == "failed" else {}
        for kind, at in (rows | {"deduct": task.created_ms}).items():
            is_named = not isinstance(wanted, list) or not wanted or record.task in wanted
            is_kind = query.get("billing_type") in {None, "", kind}
            if is_named and is_kind and start <= _moment(_iso(at), start) <= end:
                yield {
                    "uuid": hashlib.sha256(f"{kind} {record.task}".encode()).hexdigest()[:32],
                    "billing_type": kind,
                    "price": _price(task),
                    "created_at": _iso(at),
                    "prediction": {
                        "uuid": record.task,
                        "model_uuid": task.model,
                        "status": status,
                    },
                }


def _price(task: Ticket) -> float | None:
    tariff = models_of("wavespeed")[task.model].tariff
    if tariff is None:
        return None
    area = task.picture.width * task.picture.height
    tier = next(one for one in tariff.tiers if one.pixels is None or area <= one.pixels)
    return float(tier.amount * task.count)


def _page(asked: HttpRequest, items: list[dict[str, object]]) -> Answer:
    query = asked.json() or {}
    page, size = query.get("page"), query.get("page_size")
    if not is_whole(page) or not is_whole(size):
        return _error(400, "page and page_size are required")
    number, length = int(str(page)), int(str(size))
    if number < 1 or not 1 <= length <= _LONGEST_PAGE:
        return _error(400, f"page is from 1, page_size from 1 to {_LONGEST_PAGE}")
    return _good({"page": number, "items": items[(number - 1) * length : number * length]})


def _iso(milliseconds: int) -> str:
    """Write a time in nanoseconds, as the list does."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}000000Z"


def _moment(text: object, default: datetime) -> datetime:
    if not isinstance(text, str) or not text:
        return default
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise _Complaint(f"{text} is no time") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _good(data: object) -> Answer:
    return says({"code": 200, "message": "success", "data": data})


def _error(code: int, text: str) -> Answer:
    return says({"code": code, "message": text, "data": None}, code)


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(429, "Too many requests. Please slow down.")


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(500, "internal server error")


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=None)
