"""The stand-in for UniAll: one synchronous endpoint for text, one for edits, every alias.

Its errors are not documented: they are shaped after OpenAI's, as the rest of its API is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.apis.forms import read_fields
from seedream_cli.sandbox.apis.frames import models_of, pixels, price_of
from seedream_cli.sandbox.messages import Answer, Effect, Fate, Voice, Where, is_whole, says
from seedream_cli.sandbox.pictures.host import image_url
from seedream_cli.sandbox.tickets import Drawing, seed_of, tint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Money
    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.forms import FormPart
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest, Stage

_MOST_IMAGES: Final = 6
_MOST_REFERENCES: Final = 10
_MOST_TOGETHER: Final = 15
_LONGEST: Final = 4096
_NUMBERS: Final = frozenset({"n", "num_images", "timeout_seconds"})
_PATHS: Final = ("/v1/images/generations", "/v1/images/edits")


class _Complaint(Exception):
    def __init__(self, text: str, parameter: str, status: int = 400, code: str = "") -> None:
        super().__init__(text)
        self.text, self.parameter, self.status = text, parameter, status
        self.code = code or "invalid_parameter"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Purchase:
    picture: Drawing
    count: int
    timeout: int | None
    price: Money | None


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as UniAll does."""
    where = Where.SUBMIT if asked.path in _PATHS else Where.FREE
    reply = _account(asked) or _route(asked, stage)
    task = asked.hash(stage.now)[:32]
    return replace(reply, deed=replace(reply.deed, provider="uniall", where=where, task=task))


def _account(asked: HttpRequest) -> Answer | None:
    if not asked.key or "wrong" in asked.key:
        return _error(401, "Incorrect API key provided.", "invalid_api_key")
    if "no-credit" in asked.key and asked.method == "POST":
        return _error(402, "Your account balance is insufficient.", "insufficient_quota")
    return None


def _route(asked: HttpRequest, stage: Stage) -> Answer:
    match asked.method, asked.path:
        case "POST", path if path in _PATHS:
            return _images(asked, stage, is_edit=path.endswith("edits"))
        case "GET", "/v1/models":
            entry = {"object": "model", "created": 0, "owned_by": "uniall"}
            models = [{"id": name} | entry for name in models_of("uniall")]
            return says({"object": "list", "data": models})
        case _:
            return _error(404, f"Invalid URL ({asked.method} {asked.path})", "not_found")


def _images(asked: HttpRequest, stage: Stage, *, is_edit: bool) -> Answer:
    try:
        purchase = _purchase(asked, is_edit=is_edit)
    except _Complaint as complaint:
        return _error(complaint.status, complaint.text, complaint.code, complaint.parameter)
    charged = Effect(is_good=True, images=purchase.count, price=purchase.price)
    if purchase.timeout is not None and purchase.timeout < stage.patience:
        late = _error(504, "The image was not ready within timeout_seconds.", "timeout")
        return replace(late, delay=float(purchase.timeout), deed=charged)
    body: dict[str, object] = {"created": int(stage.now + stage.patience)}
    if stage.fate is Fate.FAILED:
        text = "The upstream model failed to generate an image."
        body["error"] = {"message": text, "type": "server_error", "code": "generation_failed"}
    else:
        pictures = [purchase.picture.sibling(number) for number in range(purchase.count)]
        body["data"] = [{"url": image_url(asked, picture)} for picture in pictures]
    return replace(says(body), delay=stage.patience, deed=charged)


def _body(asked: HttpRequest) -> Mapping[str, object]:
    """Return the fields; they may come as a form, in which all values are text."""
    body = asked.json()
    if body is not None:
        return {key: value for key, value in body.items() if value is not None}
    form = read_fields(asked)
    if not form:
        raise _Complaint("We could not parse the JSON body of your request.", "")
    fields: dict[str, object] = {}
    for key, part in form:
        name, value = key.removesuffix("[]"), _value(key, part)
        if name not in fields:
            fields[name] = value
        else:
            # A list is a name that is said again, with brackets or without.
            before = fields[name]
            fields[name] = [*(before if isinstance(before, list) else [before]), value]
    return fields


def _value(key: str, part: FormPart) -> object:
    """Return what a field of a form means: text, a number, or JSON for a list or an object."""
    name = key.removesuffix("[]")
    if part.is_file:
        raise _Complaint("Reference images are passed as URLs, not as files.", name)
    if name in _NUMBERS and part.text.isdecimal():
        return int(part.text)
    if name in {"model", "prompt"} or part.text[:1] not in {"[", "{"}:
        return part.text
    try:
        return json.loads(part.text)
    except (ValueError, RecursionError):
        raise _Complaint(f"{name} is not valid JSON.", name) from None


def _purchase(asked: HttpRequest, *, is_edit: bool) -> _Purchase:
    body = _body(asked)
    name, prompt = _text(body, "model"), _text(body, "prompt")
    models = models_of("uniall")
    if name not in models:
        raise _Complaint(f"The model '{name}' does not exist.", "model", 404, "model_not_found")
    references = _references(body)
    if is_edit and not references:
        raise _Complaint("Image editing needs at least one reference image.", "image")
    width, height = _size(models[name], body)
    picture = Drawing(
        seed=seed_of(prompt, None, references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format="png",
    )
    count = _count(body, len(references))
    price = price_of(models[name], width * height, count, len(references))
    return _Purchase(picture=picture, count=count, timeout=_timeout(body), price=price)


def _text(body: Mapping[str, object], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise _Complaint(f"Missing required parameter: '{key}'.", key)
    return value


def _references(body: Mapping[str, object]) -> list[str]:
    """Return the references of all four spellings, in the order of the documentation."""
    references: list[str] = []
    for key in ("image", "image_url", "image_urls", "images"):
        if key in body:
            references.extend(_addresses(key, body[key]))
    if len(references) > _MOST_REFERENCES:
        raise _Complaint(f"At most {_MOST_REFERENCES} reference images are supported.", "image")
    return references


def _addresses(key: str, value: object) -> list[str]:
    match value:
        case str() if value.startswith(("http://", "https://")):
            return [value]
        case {"url": str(url)} | {"image_url": str(url)}:
            return _addresses(key, url)
        case list():
            return [address for item in value for address in _addresses(key, item)]
        case _:
            raise _Complaint("Reference images must be http(s) URLs.", key)


def _size(model: Capabilities, body: Mapping[str, object]) -> Pixels:
    match body.get("custom_size"):
        case None:
            return pixels(model, "2K", "1:1")
        case {"width": width, "height": height} if is_whole(width) and is_whole(height):
            across, down = int(str(width)), int(str(height))
        case _:
            raise _Complaint("custom_size must be an object with width and height.", "custom_size")
    least, most = model.pixels or (921_600, 16_777_216)
    if min(across, down) < 1 or max(across, down) > _LONGEST:
        raise _Complaint(f"The longest side must be at most {_LONGEST} pixels.", "custom_size")
    if not least <= across * down <= most:
        text = f"custom_size must have between {least} and {most} pixels."
        raise _Complaint(text, "custom_size")
    return (across, down)


def _count(body: Mapping[str, object], references: int) -> int:
    key = "n" if "n" in body else "num_images"
    count = body.get(key, 1)
    if not is_whole(count) or not 1 <= int(str(count)) <= _MOST_IMAGES:
        raise _Complaint(f"{key} must be between 1 and {_MOST_IMAGES}.", key)
    if int(str(count)) + references > _MOST_TOGETHER:
        text = f"Reference and output images must be at most {_MOST_TOGETHER} together."
        raise _Complaint(text, key)
    return int(str(count))


def _timeout(body: Mapping[str, object]) -> int | None:
    value = body.get("timeout_seconds")
    if value is not None and (not is_whole(value) or int(str(value)) < 1):
        raise _Complaint("timeout_seconds must be a positive integer.", "timeout_seconds")
    return int(str(value)) if value is not None else None


def _error(status: int, text: str, code: str, parameter: str = "") -> Answer:
    types = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error"}
    error = {
        "message": text,
        "type": types.get(status, "invalid_request_error"),
        "param": parameter or None,
        "code": code,
    }
    return says({"error": error}, status)


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(429, "Rate limit reached. Please try again later.", "rate_limit_exceeded")


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(500, "The server had an error while processing your request.", "server_error")


def _refuse(_asked: HttpRequest, _stage: Stage) -> Answer:
    text = "Your request was rejected as a result of our content policy."
    return _error(400, text, "content_policy_violation")


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=_refuse)
