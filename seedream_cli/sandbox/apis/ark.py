"""The stand-in for Volcengine Ark and BytePlus ModelArk (`/images/generations`, `/models`)."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, replace
from seedream_cli.sandbox.apis.ark_checks import read_purchase
from seedream_cli.sandbox.apis.ark_references import Complaint
from seedream_cli.sandbox.apis.frames import models_of
from seedream_cli.sandbox.messages import (
    LAYER_NAMES,
    LAYERS,
    Answer,
    Effect,
    Fate,
    Voice,
    Where,
    says,
)
from seedream_cli.sandbox.pictures.host import draw, image_url, signed_query

if TYPE_CHECKING:
    from seedream_cli.sandbox.apis.ark_checks import ArkRequest
    from seedream_cli.sandbox.messages import HttpRequest, Stage
    from seedream_cli.sandbox.tickets import Drawing

LIFETIME: Final = 86_400
"""Seconds that a result URL lives (X-Tos-Expires of every sample)."""

_PIXELS_A_TOKEN: Final = 256
_SCHEMES: Final = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"} | {
    429: "TooManyRequests",
    500: "InternalServerError",
}


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as `ark` or `byteplus`."""
    provider = asked.provider
    where = Where.SUBMIT if asked.path == "/images/generations" else Where.FREE
    reply = _account(asked, stage)
    if reply is None:
        match asked.method, asked.path:
            case "POST", "/images/generations":
                reply = _generations(asked, stage, provider)
            case "GET", "/models":
                reply = _models(asked, stage, provider)
            case _:
                reply = _error(asked, stage, 404, "NotFound", "The requested path does not exist.")
    deed = replace(
        reply.deed,
        provider=provider,
        where=where,
        is_good=reply.status == 200,  # noqa: PLR2004  # HTTP's OK
        task=reply.headers.get("x-request-id", ""),
    )
    return replace(reply, deed=deed)


def _account(asked: HttpRequest, stage: Stage) -> Answer | None:
    if not asked.key or "wrong" in asked.key:
        text = "The API key in the request is missing or invalid."
        return _error(asked, stage, 401, "AuthenticationError", text)
    if "no-credit" in asked.key and asked.method == "POST":
        text = "The request failed because your account has an overdue balance."
        return _error(asked, stage, 403, "AccountOverdueError", text)
    return None


def _models(asked: HttpRequest, stage: Stage, provider: str) -> Answer:
    entries = [
        {
            "id": model,
            "object": "model",
            "created": 1_764_288_000,
            "owned_by": "sandbox",
            "name": model.rpartition("-")[0],
            "status": "Shutdown" if able.is_retired(stage.today) else "",
            "domain": "VisualGeneration",
            "task_type": ["ImageGeneration"],
        }
        for model, able in models_of(provider).items()
    ]
    return says({"object": "list", "data": entries}, headers=_ids(asked, stage))


def _generations(asked: HttpRequest, stage: Stage, provider: str) -> Answer:
    try:
        purchase = read_purchase(asked, models_of(provider), stage.today)
    except Complaint as complaint:
        name = complaint.parameter
        return _error(
            asked, stage, complaint.status, complaint.code, complaint.text, parameter=name
        )
    sale = _Sale(asked=asked, stage=stage, purchase=purchase)
    is_streamed = purchase.is_stream and stage.fate is not Fate.FAILED
    reply = sale.stream() if is_streamed else sale.whole()
    return replace(reply, deed=Effect(images=purchase.count, price=purchase.price))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sale:
    """An accepted purchase, and the ways to hand its pictures over."""

    asked: HttpRequest
    stage: Stage
    purchase: ArkRequest

    @property
    def _head(self) -> dict[str, object]:
        finished = self.stage.now + self.stage.patience
        return {"model": self.purchase.model, "created": int(finished)}

    @property
    def _usage(self) -> dict[str, object]:
        drawn = [self._picture(number) for number in range(self.purchase.count)]
        tokens = round(sum(one.width * one.height for one in drawn) / _PIXELS_A_TOKEN)
        usage = {
            "generated_images": len(drawn),
            "output_tokens": tokens,
            "total_tokens": tokens,
        }
        if self.purchase.is_recent:
            usage["input_images"] = self.purchase.references
        return {"usage": usage}

    def whole(self) -> Answer:
        """Answer when all pictures are made."""
        body: dict[str, object]
        if self.stage.fate is Fate.FAILED:
            text = "The service encountered an unexpected internal error." + self._suffix
            body = self._head | {"error": {"code": "InternalServiceError", "message": text}}
        else:
            data = [self._item(number) for number in range(self.purchase.count)]
            body = self._head | {"data": data} | self._usage
        return replace(says(body, headers=self._headers), delay=self.stage.patience)

    def stream(self) -> Answer:
        """Answer with each picture as soon as it is made."""
        events = [
            (
                self.stage.patience,
                self._event("partial_succeeded", {"image_index": number} | self._item(number)),
            )
            # Each after its own pause, as a real set trickles in.
            for number in range(self.purchase.count)
        ]
        events.append((0.0, self._event("completed", self._usage)))
        events.append((0.0, b"data: [DONE]\n\n"))
        headers = {"content-type": "text/event-stream", **self._headers}
        return Answer(headers=headers, events=tuple(events))

    def _event(self, name: str, content: dict[str, object]) -> bytes:
        value = {"type": f"image_generation.{name}"} | self._head | content
        text = json.dumps(value, ensure_ascii=False)
        return f"event: image_generation.{name}\ndata: {text}\n\n".encode()

    @property
    def _headers(self) -> dict[str, str]:
        return _ids(self.asked, self.stage)

    @property
    def _suffix(self) -> str:
        return f" Request id: {self._headers['x-request-id']}"

    def _picture(self, number: int) -> Drawing:
        first = self.purchase.picture
        one = first.layer(number) if self.purchase.is_layered else first.sibling(number)
        return replace(one, expires_at=int(self.stage.now) + LIFETIME)

    def _item(self, number: int) -> dict[str, object]:
        picture = self._picture(number)
        item: dict[str, object] = {"size": f"{picture.width}x{picture.height}"}
        if self.purchase.is_recent:
            item["output_format"] = picture.format
        if self.purchase.is_layered:
            item |= _layer(number, picture)
        if self.purchase.is_inline:
            return {"b64_json": b64encode(draw(picture)).decode()} | item
        query = signed_query(picture, self.stage, LIFETIME)
        return {"url": f"{image_url(self.asked, picture)}?{query}"} | item


def _layer(number: int, picture: Drawing) -> dict[str, object]:
    """Return what is told of a layer: it lies a little further in than the one below."""
    share = number / (2 * LAYERS)
    edges = (share, share, 1 - share, 1 - share)
    sides = (picture.width, picture.height) * 2
    box = {
        "absolute": [round(edge * side) for edge, side in zip(edges, sides, strict=True)],
        "normalized": [round(edge * 1000) for edge in edges],
    }
    name = LAYER_NAMES[number]
    return {"z_index": number, "name": name, "description": f"the {name}", "bounding_box": box}


def _ids(asked: HttpRequest, stage: Stage) -> dict[str, str]:
    """Return the headers that name a request (its id: 02, milliseconds, 38 hex digits)."""
    token = asked.hash(stage.now)
    return {
        "x-request-id": f"02{int(stage.now * 1000):013d}{token[:38]}",
        "x-client-request-id": asked.client_request_id
        or f"unknown-{int(stage.now * 1000)}-{token[38:44]}",
        "x-envoy-upstream-service-time": str(int(stage.patience * 1000)),
        "server": "istio-envoy",
    }


def _error(
    asked: HttpRequest, stage: Stage, status: int, code: str, text: str, *, parameter: str = ""
) -> Answer:
    ids = _ids(asked, stage)
    error = {
        "code": code,
        "message": f"{text} Request id: {ids['x-request-id']}",
        "param": parameter,
        "type": _SCHEMES[status],
    }
    return says({"error": error}, status, ids)


def _busy(asked: HttpRequest, stage: Stage) -> Answer:
    text = "The requests per minute limit of the account for this model has been exceeded."
    return _error(asked, stage, 429, "ModelAccountIpmRateLimitExceeded", text)


def _broken(asked: HttpRequest, stage: Stage) -> Answer:
    text = "The service encountered an unexpected internal error."
    return _error(asked, stage, 500, "InternalServiceError", text)


def _refuse(asked: HttpRequest, stage: Stage) -> Answer:
    text = "The request failed because the input text may contain sensitive information."
    return _error(asked, stage, 400, "InputTextSensitiveContentDetected", text)


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=_refuse)
