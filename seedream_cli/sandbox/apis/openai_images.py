"""The stand-in for gateways that speak OpenAI's image API: any model, edits as JSON or a form."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.apis.forms import read_fields
from seedream_cli.sandbox.apis.frames import LARGEST, pixels, read_size
from seedream_cli.sandbox.messages import Answer, Effect, Fate, Voice, Where, is_whole, says
from seedream_cli.sandbox.pictures.host import draw, image_url
from seedream_cli.sandbox.tickets import Drawing, seed_of, tint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest, Stage

_EDITS: Final = "/images/edits"
_PATHS: Final = ("/images/generations", _EDITS)
_MOST_IMAGES: Final = 10
_MOST_REFERENCES: Final = 16
_DATA_URL: Final = re.compile(r"data:image/[a-z0-9.+-]+;base64,([A-Za-z0-9+/=\s]+)")
_REFERENCES: Final = ("image", "image[]", "images", "image_url", "image_urls", "reference_images")


class _Complaint(Exception):
    def __init__(self, text: str, parameter: str) -> None:
        super().__init__(text)
        self.text, self.parameter = text, parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Purchase:
    picture: Drawing
    count: int
    is_inline: bool


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as such a gateway does."""
    where = Where.SUBMIT if asked.path in _PATHS else Where.FREE
    reply = _account(asked) or _route(asked, stage)
    task = asked.hash(stage.now)[:32]
    headers = {**reply.headers, "x-request-id": f"req_{task}"}
    deed = replace(reply.deed, provider="openai-images", where=where, task=task)
    return replace(reply, headers=headers, deed=deed)


def _account(asked: HttpRequest) -> Answer | None:
    if not asked.key or "wrong" in asked.key:
        return _error(401, "Incorrect API key provided.", "invalid_api_key")
    if "no-credit" in asked.key and asked.method == "POST":
        text = "You exceeded your current quota, please check your plan and billing details."
        return _error(429, text, "insufficient_quota", kind="insufficient_quota")
    return None


def _route(asked: HttpRequest, stage: Stage) -> Answer:
    match asked.method, asked.path:
        case "POST", path if path in _PATHS:
            return _images(asked, stage)
        case "GET", "/models":
            entry = {"id": "any", "object": "model", "created": 0, "owned_by": "sandbox"}
            return says({"object": "list", "data": [entry]})
        case _:
            return _error(404, f"Invalid URL ({asked.method} {asked.path})", None)


def _images(asked: HttpRequest, stage: Stage) -> Answer:
    try:
        purchase = _purchase(asked)
    except _Complaint as complaint:
        return _error(400, complaint.text, "invalid_value", complaint.parameter)
    body: dict[str, object] = {"created": int(stage.now + stage.patience)}
    if stage.fate is Fate.FAILED:
        text = "The upstream model failed to generate an image."
        body["error"] = {"message": text, "type": "server_error", "code": None}
    else:
        drawn = [purchase.picture.sibling(number) for number in range(purchase.count)]
        body["data"] = [
            {"b64_json": b64encode(draw(picture)).decode()}
            if purchase.is_inline
            else {"url": image_url(asked, picture)}
            for picture in drawn
        ]
    deed = Effect(is_good=True, images=purchase.count)
    return replace(says(body), delay=stage.patience, deed=deed)


def _body(asked: HttpRequest) -> Mapping[str, object]:
    """Return the fields; in a form a file is its digest, numbers are texts, equal names a list."""
    body = asked.json()
    if body is not None:
        return {key: value for key, value in body.items() if value is not None}
    fields: dict[str, object] = {}
    for name, part in read_fields(asked):
        value: object = part.text
        if part.is_file:
            value = _Bytes(part.content)
        elif name in {"n", "width", "height"} and part.text.isdecimal():
            value = int(part.text)
        before = fields.get(name)
        is_many = name in _REFERENCES and before is not None
        fields[name] = [*_items(before), value] if is_many else value
    if not fields:
        raise _Complaint("We could not parse the JSON body of your request.", "")
    return fields


@dataclass(frozen=True, slots=True)
class _Bytes:
    content: bytes


def _purchase(asked: HttpRequest) -> _Purchase:
    body = _body(asked)
    prompt = _text(body, "prompt")
    _text(body, "model")
    references = [_reference(item) for key in _REFERENCES for item in _items(body.get(key))]
    if asked.path == _EDITS and not references:
        raise _Complaint("Missing required parameter: 'image'.", "image")
    if len(references) > _MOST_REFERENCES:
        raise _Complaint(f"At most {_MOST_REFERENCES} images are supported.", "image")
    width, height = _size(body)
    count = body.get("n", 1)
    if not is_whole(count) or not 1 <= int(str(count)) <= _MOST_IMAGES:
        raise _Complaint(f"n must be between 1 and {_MOST_IMAGES}.", "n")
    form = body.get("output_format", "png")
    if form not in {"png", "jpeg"}:
        raise _Complaint("output_format must be png or jpeg.", "output_format")
    response = body.get("response_format", "url")
    if response not in {"url", "b64_json", "base64"}:
        raise _Complaint("response_format must be url or b64_json.", "response_format")
    picture = Drawing(
        seed=seed_of(prompt, body.get("seed"), references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=str(form),
    )
    return _Purchase(picture=picture, count=int(str(count)), is_inline=response != "url")


def _text(body: Mapping[str, object], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise _Complaint(f"Missing required parameter: '{key}'.", key)
    return value


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _reference(item: object) -> str:
    """Return what stands for a reference: its address, or the digest of its bytes."""
    match item:
        case {"image_url": str(url)}:
            return _reference(url)
        case _Bytes(content) if content:
            return hashlib.sha256(content).hexdigest()
        case str() if item.startswith(("http://", "https://")):
            return item
        case str() if match := _DATA_URL.fullmatch(item):
            return hashlib.sha256(b64decode(match[1])).hexdigest()
        case _:
            raise _Complaint("An image must be a file, a URL or a data URL.", "image")


def _size(body: Mapping[str, object]) -> Pixels:
    match body.get("size"), body.get("width"), body.get("height"):
        case None, int(width), int(height):
            size = (width, height)
        case None | "auto", None, None:
            size = (1024, 1024)
        case str(text), None, None if re.fullmatch("[1-4](\\.5)?[kK]", text):
            return pixels(None, text, "1:1")
        case str(text), None, None if found := read_size(text):
            size = found
        case _:
            raise _Complaint("size must be WIDTHxHEIGHT, a resolution, or auto.", "size")
    if not 1 <= min(size) <= max(size) <= LARGEST:
        raise _Complaint(f"A side must have from 1 to {LARGEST} pixels.", "size")
    return size


def _error(
    status: int, text: str, code: str | None, parameter: str = "", *, kind: str = ""
) -> Answer:
    types = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error"}
    error = {
        "message": text,
        "type": kind or types.get(status, "invalid_request_error"),
        "param": parameter or None,
        "code": code,
    }
    return says({"error": error}, status)


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(429, "Rate limit reached. Please try again later.", "rate_limit_exceeded")


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(500, "The server had an error while processing your request.", None)


def _refuse(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Your request was rejected by the safety system."
    return _error(400, text, "moderation_blocked")


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=_refuse)
