"""The stand-in for OpenRouter's image API: one synchronous call, the key, generations, models."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.apis.frames import models_of, pixels, read_size
from seedream_cli.sandbox.messages import Answer, Effect, Fate, Voice, Where, is_whole, says
from seedream_cli.sandbox.pictures.host import draw
from seedream_cli.sandbox.tickets import Drawing, seed_of, tint_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.providers.spec import Capabilities, Tariff
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest, Stage, SubmitRecord

LIMIT: Final = Decimal(100)
"""USD that a key may use; one with "no-credit" in it has used all of it."""

_OK: Final = 200
_FORMATS: Final = frozenset({"png", "jpeg", "webp", "svg"})
_HEADER: Final = "x-generation-id"


class _Complaint(Exception):
    def __init__(self, text: str, status: int = 400, kind: str = "invalid_request") -> None:
        super().__init__(text)
        self.text, self.status, self.kind = text, status, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Purchase:
    picture: Drawing
    references: int
    cost: Decimal


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as OpenRouter does."""
    where = Where.SUBMIT if asked.path == "/images" else Where.FREE
    try:
        reply = _route(asked, stage)
    except _Complaint as complaint:
        reply = _error(complaint.status, complaint.text, complaint.kind)
    task = reply.headers.get(_HEADER, "")
    return replace(reply, deed=replace(reply.deed, provider="openrouter", where=where, task=task))


def _route(asked: HttpRequest, stage: Stage) -> Answer:
    if (asked.method, asked.path) in {("GET", "/images/models"), ("GET", "/models")}:
        return says({"data": [_model_entry(name, able) for name, able in _models().items()]})
    if not asked.key or "wrong" in asked.key:
        raise _Complaint("No auth credentials found", 401, "authentication")
    match asked.method, asked.path:
        case "POST", "/images":
            return _images(asked, stage)
        case "GET", "/key":
            return _key(asked, stage)
        case "GET", "/generation":
            return _generation(asked, stage)
        case _:
            raise _Complaint(f"There is no {asked.method} {asked.path}", 404, "not_found")


def _images(asked: HttpRequest, stage: Stage) -> Answer:
    if "no-credit" in asked.key:
        metadata = {"limit_source": "account", "remedy_hint": "Add credits to the account."}
        return _error(402, "Insufficient credits.", "insufficient_credits", metadata)
    purchase = _purchase(asked.json() or {}, asked.nonce)
    headers = {_HEADER: f"gen-{int(stage.now)}-{asked.hash(stage.now)[:20]}"}
    if stage.fate is Fate.FAILED:  # under HTTP 200: the connection was kept alive meanwhile
        late = _error(502, "Provider returned error", "provider_unavailable", {}, _OK)
        return replace(late, headers={**late.headers, **headers}, delay=stage.patience)
    cost = float(purchase.cost)
    body = {
        "created": int(stage.now + stage.patience),
        "data": [
            {
                "b64_json": b64encode(draw(purchase.picture)).decode(),
                "media_type": f"image/{purchase.picture.format}",
            }
        ],
        "usage": {
            "prompt_tokens": 0,
            "completion_tokens": 4175,
            "total_tokens": 4175,
            "cost": cost,
            "cost_details": {"upstream_inference_cost": cost},
            "is_byok": False,
        },
    }
    return replace(says(body, headers=headers), delay=stage.patience, deed=Effect(is_good=True))


def _models() -> dict[str, Capabilities]:
    return models_of("openrouter")


def _model_entry(name: str, able: Capabilities) -> dict[str, object]:
    modalities = {"input_modalities": ["text", "image"], "output_modalities": ["image"]}
    return {"id": name, "name": f"ByteDance Seed: {able.label}", "architecture": modalities}


def _key(asked: HttpRequest, stage: Stage) -> Answer:
    used = sum((_cost_of(each) for each in _records(asked, stage)), Decimal(0))
    used = LIMIT if "no-credit" in asked.key else used
    usage = dict.fromkeys(("usage", "usage_daily", "usage_weekly", "usage_monthly"), float(used))
    facts = {"label": "sk-or-v1-san...box", "is_free_tier": False, "limit": float(LIMIT)}
    return says({"data": {**facts, "limit_remaining": float(LIMIT - used), **usage}})


def _generation(asked: HttpRequest, stage: Stage) -> Answer:
    wanted = asked.query.get("id", "")
    found = next((each for each in _records(asked, stage) if each.task == wanted), None)
    if found is None:
        raise _Complaint(f"Generation {wanted} not found", 404, "not_found")
    data = {
        "id": wanted,
        "api_type": "image",
        "model": found.body.get("model"),
        "created_at": f"{stage.date.fromtimestamp(found.at, stage.date.tzinfo).isoformat()}",
        "total_cost": float(_cost_of(found)),
        "cancelled": False,
        "session_id": found.body.get("session_id"),
    }
    return says({"data": data})


def _records(asked: HttpRequest, stage: Stage) -> list[SubmitRecord]:
    mine = (each for each in stage.records if each.provider == "openrouter")
    return [each for each in mine if each.key == asked.account]


def _cost_of(record: SubmitRecord) -> Decimal:
    return _purchase(record.body, 0).cost


def _purchase(body: Mapping[str, object], nonce: int) -> _Purchase:
    name, prompt = body.get("model"), body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise _Complaint("prompt: Required")
    model = _models().get(str(name))
    if model is None:
        raise _Complaint(f"No endpoints found for {name}.", 404, "not_found")
    if not is_whole(body.get("n", 1)) or body.get("n", 1) != 1:
        raise _Complaint("n: must be 1 for this model")
    unknown = sorted(set(body) - model.fields - {"model", "prompt", "stream"})
    unknown = [key for key in unknown if key != "seed" or model.seed is None]
    if unknown:
        raise _Complaint(f"{unknown[0]}: not supported by this model")
    references = _references(model, body.get("input_references", []))
    width, height = _size(model, body)
    picture = Drawing(
        seed=seed_of(prompt, body.get("seed"), references, nonce=nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format=_format(body),
    )
    cost = _cost(model.tariff, width * height, len(references))
    return _Purchase(picture=picture, references=len(references), cost=cost)


def _references(model: Capabilities, items: object) -> list[str]:
    if not isinstance(items, list) or len(items) > model.references[1]:
        raise _Complaint(f"input_references: an array of at most {model.references[1]}")
    found = []
    for item in items:
        match item:
            case {"type": "image_url", "image_url": {"url": str(url)}} if url.startswith(
                ("https://", "http://", "data:image/")
            ):
                found.append(url)
            case _:
                raise _Complaint("input_references: Invalid input", kind="invalid_image")
    return found


def _size(model: Capabilities, body: Mapping[str, object]) -> Pixels:
    """Return the pixels; `size` is another way to say resolution and ratio."""
    size = body.get("size")
    resolution, ratio = body.get("resolution", "2K"), body.get("aspect_ratio", "1:1")
    if isinstance(size, str):
        if "resolution" in body or ("aspect_ratio" in body and read_size(size)):
            raise _Complaint("size: contradicts resolution or aspect_ratio")
        if free := read_size(size):
            return free
        resolution = size
    if resolution not in model.sizes:
        raise _Complaint(f"resolution: {resolution} is not supported by this model")
    if ratio != "auto" and ratio not in model.aspects:
        raise _Complaint(f"aspect_ratio: {ratio} is not supported by this model")
    return pixels(model, str(resolution), "1:1" if ratio == "auto" else str(ratio))


def _format(body: Mapping[str, object]) -> str:
    wanted = body.get("output_format", "jpeg")
    if wanted not in _FORMATS:
        raise _Complaint(f"output_format: {wanted} is not supported")
    return "png" if wanted == "png" else "jpeg"


def _cost(tariff: Tariff | None, area: int, references: int) -> Decimal:
    if tariff is None:
        return Decimal(0)
    fitting = (tier.amount for tier in tariff.tiers if tier.pixels is None or area <= tier.pixels)
    return next(fitting) + tariff.reference * references


def _error(
    code: int,
    text: str,
    kind: str,
    metadata: Mapping[str, object] | None = None,
    status: int | None = None,
) -> Answer:
    error = {"code": code, "message": text, "metadata": {"error_type": kind, **(metadata or {})}}
    return says({"error": error}, status or code)


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    return _error(429, "Rate limit exceeded upstream.", "rate_limit_exceeded")


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    """Lose an answer at the edge, not in the API's own words: the work may go on."""
    return Answer(status=500, headers={"content-type": "text/plain"}, body=b"Internal error")


def _refuse(_asked: HttpRequest, _stage: Stage) -> Answer:
    metadata = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "Seed"}
    return _error(403, "Input was flagged", "content_policy_violation", metadata)


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=_refuse)
