"""The stand-in for fal: the queue, the storage, prices and the list of requests, on one host."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
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
    EXTENSIONS,
    Drawing,
    Ticket,
    TicketKind,
    read_task_id,
    seed_of,
    task_id,
    tint_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest, Stage, SubmitRecord

PREFIX: Final = "/fal"

_REQUEST: Final = re.compile(
    r"/(?P<owner>[^/]+)/(?P<app>[^/]+)/requests/(?P<id>[^/]+)(?P<what>|/status|/response|/cancel)"
)
_WAITING: Final = 0.1
_MOST_REFERENCES: Final = 10
"""Of more, only the last ones are used, in silence."""
_LONGEST_PAGE: Final = 100
_DAY: Final = timedelta(days=1)
_SIZES: Final = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}


class _Complaint(Exception):
    def __init__(self, field: str, text: str, kind: str = "value_error") -> None:
        super().__init__(text)
        self.field, self.text, self.kind = field, text, kind


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as fal does; a failed request is told in what came of it."""
    where = _place(asked)
    reply = _account(asked, is_paid=where is Where.SUBMIT) or _route(asked, stage, where)
    return replace(reply, deed=replace(reply.deed, provider="fal", where=where))


def _place(asked: HttpRequest) -> Where:
    if asked.path.startswith("/files/"):
        return Where.UPLOAD
    if _REQUEST.fullmatch(asked.path):
        return Where.POLL
    is_free = asked.path.startswith(("/storage/", "/models/", "/v1/"))
    return Where.FREE if is_free or asked.method != "POST" else Where.SUBMIT


def _account(asked: HttpRequest, *, is_paid: bool) -> Answer | None:
    key = asked.token("Key")
    if asked.path.startswith("/files/"):
        is_told = "authorization" in asked.headers
        return _error(400, "Only one auth mechanism is allowed") if is_told else None
    if not key or "wrong" in key:
        return _error(401, "Cannot access application: invalid authentication credentials")
    if "no-credit" in key and is_paid:
        return _error(
            403,
            "User is locked. Reason: Exhausted balance."
            " Top up your balance at fal.ai/dashboard/billing.",
        )
    return None


def _route(asked: HttpRequest, stage: Stage, where: Where) -> Answer:
    request = _REQUEST.fullmatch(asked.path)
    if request is not None:
        return _ask(asked, stage, request)
    if where is Where.SUBMIT:
        return _submit(asked, stage)
    if where is Where.UPLOAD and asked.method == "PUT" and asked.body:
        return Answer(deed=Effect(is_good=True))
    routes = {
        ("POST", "/storage/upload/initiate"): _initiate,
        ("GET", "/models/pricing"): _prices,
        ("GET", "/models/requests/by-endpoint"): _list,
    }
    route = routes.get((asked.method, asked.path.removeprefix("/v1")))
    return route(asked, stage) if route else _error(404, "Not Found")


def _submit(asked: HttpRequest, stage: Stage) -> Answer:
    name = asked.path.strip("/")
    model = models_of("fal").get(name)
    if model is None:
        return _error(404, f"Application '{name}' not found")
    try:
        picture, count, references = _purchase(asked, model)
    except _Complaint as complaint:
        place = ["body", complaint.field]
        return says({"detail": [_detail(place, complaint.text, complaint.kind)]}, 422)
    task = Ticket(
        kind=TicketKind.FAL,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(stage.settings.delay * 1000),
        fate=stage.fate,
        count=count,
        references=references,
        model=name,
        picture=picture,
    )
    identity = task_id(task, "")
    body = {"status": "IN_QUEUE", **_links(asked, task, identity), "queue_position": 0}
    reply = says(body | {"logs": None, "metrics": {}})
    return replace(reply, deed=Effect(is_good=True, task=identity))


def _links(asked: HttpRequest, task: Ticket, identity: str) -> dict[str, object]:
    owner, app = task.model.split("/")[:2]
    place = f"{asked.origin}{PREFIX}/{owner}/{app}/requests/{identity}"
    return {
        "request_id": identity,
        "response_url": place,
        "status_url": f"{place}/status",
        "cancel_url": f"{place}/cancel",
    }


def _ask(asked: HttpRequest, stage: Stage, request: re.Match[str]) -> Answer:
    task = read_task_id(TicketKind.FAL, "", request["id"])
    # Another app's request is not found, though its id exists.
    if task is None or task.model.split("/")[:2] != [request["owner"], request["app"]]:
        return _error(404, "Request not found")
    is_done = task.progress(stage.now) >= 1
    match asked.method, request["what"]:
        case "PUT", "/cancel":
            # What runs, runs on: whether a cancelled run is billed is written nowhere.
            words = "ALREADY_COMPLETED" if is_done else "CANCELLATION_REQUESTED"
            return says({"status": words}, 400 if is_done else 202)
        case "GET", "/status":
            reply = _status(asked, task, request["id"], stage.now)
        case "GET", "" | "/response" if is_done:
            reply = _result(asked, task)
        case _:
            return _error(400, "Request is still in progress")
    return replace(reply, deed=Effect(is_good=True, task=request["id"]))


def _status(asked: HttpRequest, task: Ticket, identity: str, now: float) -> Answer:
    progress = task.progress(now)
    links = _links(asked, task, identity)
    # A running request answers 202, one that is over 200, failed or not.
    if progress < 1:
        word = "IN_QUEUE" if progress < _WAITING else "IN_PROGRESS"
        position = {"queue_position": 0} if word == "IN_QUEUE" else {}
        return says({"status": word, **links, "logs": None, **position}, 202)
    metrics = {"inference_time": task.delay_ms / 1000}
    body = {"status": "COMPLETED", **links, "logs": None, "metrics": metrics}
    if task.fate is Fate.FAILED:
        # What the model itself says, a refusal too, is in the result alone.
        body |= {"error": "The runner failed.", "error_type": "runner_server_error"}
    return says(body)


def _result(asked: HttpRequest, task: Ticket) -> Answer:
    if task.fate is Fate.FAILED:
        return _error(500, "The runner failed.", "runner_server_error")
    if task.fate is not Fate.MADE:
        text = "The content could not be processed because it contained material flagged by a"
        refused = _detail(["body", "prompt"], f"{text} content checker.", _POLICY)
        return says({"detail": [refused]}, 422)
    return says(_output(asked, task))


_POLICY: Final = "content_policy_violation"


def _output(asked: HttpRequest, task: Ticket) -> dict[str, object]:
    files = [_file(asked, task.picture.sibling(number)) for number in range(task.count)]
    if models_of("fal")[task.model].is_layered:
        return {"images": files[:1], "layers": files[1:]}
    return {"images": files, "seed": task.picture.seed % 2**31}


def _file(asked: HttpRequest, picture: Drawing) -> dict[str, object]:
    url = image_url(asked, picture)
    return {
        "url": url,
        "content_type": f"image/{picture.format}",
        "file_name": f"{picture.seed:016x}.{EXTENSIONS[picture.format]}",
        "file_size": None,
        "width": picture.width,
        "height": picture.height,
    }


def _purchase(asked: HttpRequest, model: Capabilities) -> tuple[Drawing, int, int]:
    raw = asked.json()
    if raw is None:
        raise _Complaint("prompt", "Input should be a valid dictionary", "dict_type")
    body = {key: value for key, value in raw.items() if value is not None}
    prompt = body.get("prompt", "" if model.is_layered else None)
    if not isinstance(prompt, str) or (not prompt and not model.is_layered):
        raise _Complaint("prompt", "Field required", "missing")
    references = _references(body, model)
    width, height = _size(body, model)
    picture = Drawing(
        seed=seed_of(prompt, body.get("seed"), references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=_format(body, model),
    )
    return picture, _count(body, model, len(references)), len(references)


def _references(body: Mapping[str, object], model: Capabilities) -> list[str]:
    if not model.references[1]:
        return []
    key = "image_url" if model.is_layered else "image_urls"
    value = body.get(key)
    if value is None:
        raise _Complaint(key, "Field required", "missing")
    urls = texts(value)
    is_kind = isinstance(value, str if model.is_layered else list)
    if not is_kind or not urls or not all(u.startswith(("http", "data:image/")) for u in urls):
        raise _Complaint(key, "Input should be a list of URLs", "list_type")
    return urls[-_MOST_REFERENCES:]


def _count(body: Mapping[str, object], model: Capabilities, references: int) -> int:
    if model.is_layered:
        return LAYERS
    runs = _whole(body, "num_images", model.max_count)
    most = _whole(body, "max_images", model.max_series) if model.max_series > 1 else 1
    together = model.max_inputs_and_outputs
    if together is not None and most + references > together:
        raise _Complaint("max_images", f"Inputs and outputs are at most {together} together")
    return runs * most


def _whole(body: Mapping[str, object], key: str, most: int) -> int:
    value = body.get(key, 1)
    if not is_whole(value) or not 1 <= int(str(value)) <= most:
        raise _Complaint(key, f"Input should be from 1 to {most}", "less_than_equal")
    return int(str(value))


def _format(body: Mapping[str, object], model: Capabilities) -> str:
    word = body.get("output_format")
    if not model.picks_format:
        return "png"
    if word is not None and word not in model.formats:
        raise _Complaint("output_format", "Input should be 'jpeg' or 'png'", "literal_error")
    return str(word or model.formats[0])


def _size(body: Mapping[str, object], model: Capabilities) -> Pixels:
    wanted = body.get("image_size", "auto_2K")
    match wanted:
        case {"width": width, "height": height} if is_whole(width) and is_whole(height):
            size = (int(str(width)), int(str(height)))
        case str() if wanted in _SIZES:
            return _SIZES[wanted]
        case str() if wanted.startswith("auto"):
            return pixels(model, wanted.removeprefix("auto").removeprefix("_") or "2K", "1:1")
        case _:
            raise _Complaint("image_size", "Input should be a size or one of its words")
    least, most = model.pixels or (1, 4096 * 4096)
    area = size[0] * size[1]
    if min(size) < 1 or not least <= area <= most:
        if min(size) < 1 or "lite" not in model.label:
            raise _Complaint("image_size", f"The area must be from {least} to {most} pixels")
        scale = ((least if area < least else most) / area) ** 0.5
        return (round(size[0] * scale), round(size[1] * scale))
    return size


def _initiate(asked: HttpRequest, _stage: Stage) -> Answer:
    body = asked.json() or {}
    name, kind = body.get("file_name"), body.get("content_type")
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]{1,200}", name) or not kind:
        return says({"detail": [_detail(["body", "file_name"], "Field required", "missing")]}, 422)
    url = f"{asked.origin}{PREFIX}/files/{name}"
    return says({"upload_url": f"{url}?upload=1", "file_url": url})


def _prices(asked: HttpRequest, _stage: Stage) -> Answer:
    name = asked.query.get("endpoint_id", "")
    model = models_of("fal").get(name)
    if model is None:
        return _error(404, f"Endpoint '{name}' not found")
    price = float(model.tariff.tiers[0].amount) if model.tariff else None
    entry = {"endpoint_id": name, "unit_price": price, "unit": "images", "currency": "USD"}
    return says({"prices": [entry], "next_cursor": None, "has_more": False})


def _list(asked: HttpRequest, stage: Stage) -> Answer:
    """List what has ended, the newest end first: whether running requests show is not known."""
    try:
        start = _moment(asked.query.get("start"), stage.date - _DAY)
        end = _moment(asked.query.get("end"), datetime.max.replace(tzinfo=UTC))
        limit, offset = int(asked.query.get("limit", 50)), int(asked.query.get("cursor", 0))
    except ValueError:
        return says({"detail": [_detail(["query"], "Input should be valid", "value_error")]}, 422)
    if not asked.query.get("endpoint_id") or not 1 <= limit <= _LONGEST_PAGE or offset < 0:
        return says({"detail": [_detail(["query"], "Field required", "missing")]}, 422)
    ended = sorted(
        (item for item in (_item(asked, stage, record) for record in stage.records) if item),
        key=lambda item: str(item["ended_at"]),
        reverse=True,
    )
    found = [each for each in ended if start <= _moment(str(each["ended_at"]), start) < end]
    page, more = found[offset : offset + limit], len(found) > offset + limit
    cursor = str(offset + limit) if more else None
    return says({"items": page, "next_cursor": cursor, "has_more": more})


def _item(asked: HttpRequest, stage: Stage, record: SubmitRecord) -> dict[str, object] | None:
    """Return a request as the list has it; None where it is hidden, or was not asked for."""
    task = read_task_id(TicketKind.FAL, "", record.task) if record.provider == "fal" else None
    is_mine = record.key == asked.account and stage.now >= record.at + stage.settings.list_delay
    if task is None or not is_mine or task.progress(stage.now) < 1:
        return None
    status = {Fate.MADE: (200, "success"), Fate.FAILED: (500, "error")}
    code, word = status.get(task.fate, (422, "user_error"))
    wanted = {"endpoint_id": task.model, "status": word, "request_id": record.task}
    if any(asked.query.get(key, value) != value for key, value in wanted.items()):
        return None
    item: dict[str, object] = {
        "request_id": record.task,
        "endpoint_id": task.model,
        "started_at": _iso(task.created_ms),
        "sent_at": _iso(task.created_ms),
        "ended_at": _iso(task.finished_ms),
        "status_code": code,
        "duration": task.delay_ms / 1000,
    }
    if asked.query.get("expand") == "payloads":
        output = _output(asked, task) if task.fate is Fate.MADE else None
        item |= {"json_input": record.body, "json_output": output}
    return item


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


def _moment(text: str | None, default: datetime) -> datetime:
    """Return the time that a text writes; a `+` in a query may have become a blank."""
    if text is None:
        return default
    found = datetime.fromisoformat(text.replace(" ", "+"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _detail(place: list[str], text: str, kind: str) -> dict[str, object]:
    url = f"https://docs.fal.ai/errors#{kind}"
    return {"loc": place, "msg": text, "type": kind, "url": url}


def _error(status: int, text: str, kind: str = "") -> Answer:
    """Return an error of the queue, which is flat."""
    headers = {"x-fal-error-type": kind} if kind else {}
    return says({"detail": text} | ({"error_type": kind} if kind else {}), status, headers)


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Too many concurrent requests. Please try again later."
    return _error(429, text, "concurrent_requests_limit")


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(500, "Internal Server Error", "internal_error")


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=None)
