"""The stand-in for KIE's older endpoint: `/api/v1/seedream/generate` and `record-info`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.sandbox.apis.frames import pixels
from seedream_cli.sandbox.apis.kie_checks import (
    NAMES,
    Complaint,
    accept,
    callback,
    check_bounds,
    check_callback,
    refusal,
    whole,
    word_in,
)
from seedream_cli.sandbox.messages import Answer, Effect, Fate, says
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
    from collections.abc import Mapping

    from seedream_cli.sandbox.messages import HttpRequest, Stage

PREFIX: Final = "seedream_task_"
LIFETIME: Final = 14 * 86_400

_GENERATING, _SUCCESS = 0, 1
_FLAGS: Final = {Fate.FAILED: 2, Fate.REFUSED: 3}
"""By its own page: failed, creation failed."""
_WRAPPED_FLAGS: Final = {Fate.FAILED: 3, Fate.REFUSED: 2}
"""By KIE's pages of its siblings (4o, Flux): generate failed, create task failed."""


def generate(asked: HttpRequest, stage: Stage) -> Answer:
    """Accept a flat body (no `model`, no `input`) or refuse it."""
    try:
        picture, references = _purchase(asked)
    except Complaint as complaint:
        return refusal(complaint)
    task = Ticket(
        kind=TicketKind.KIE_OLDER,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(stage.settings.delay * 1000),
        fate=stage.fate,
        count=1,
        references=references,
        model="",
        picture=replace(picture, expires_at=int(stage.now) + LIFETIME),
    )
    identity = task_id(task, PREFIX)
    ended = replace(stage, now=task.finished_ms / 1000)
    return accept(
        identity,
        task,
        with_record=False,
        callback=callback(asked.json() or {}, task, _record(asked, task, identity, ended)),
    )


def record_info(asked: HttpRequest, stage: Stage) -> Answer:
    """Tell where a task stands: bare as its own page prints it, or wrapped as all of KIE."""
    identity = asked.query.get("taskId", "")
    if not identity:
        return says({"code": 400, "msg": "taskId parameter is required", "data": None})
    task = read_task_id(TicketKind.KIE_OLDER, PREFIX, identity)
    if task is None:
        # Sibling endpoints answer an unknown task so (recorded live, 2026-05).
        return says({"code": 200, "msg": "success", "data": None})
    reply = says(_record(asked, task, identity, stage))
    return replace(reply, deed=Effect(is_good=True, task=identity))


def _record(asked: HttpRequest, task: Ticket, identity: str, stage: Stage) -> dict[str, object]:
    flags = _WRAPPED_FLAGS if stage.settings.is_wrapped else _FLAGS
    data = {"taskId": identity} | _state(asked, task, stage.now, flags)
    return {"code": 200, "msg": "success", "data": data} if stage.settings.is_wrapped else data


def _state(
    asked: HttpRequest, task: Ticket, now: float, flags: Mapping[Fate, int]
) -> dict[str, object]:
    times: dict[str, object] = {"createTime": _iso(task.created_ms), "completeTime": None}
    if task.progress(now) < 1:
        return {"successFlag": _GENERATING, "imageUrl": None} | times
    times["completeTime"] = _iso(task.finished_ms)
    if task.fate is Fate.MADE:
        return {"successFlag": _SUCCESS, "imageUrl": image_url(asked, task.picture)} | times
    error = {"errorCode": 501, "errorMessage": "Image generation failed."}
    return {"successFlag": flags.get(task.fate, 2), "imageUrl": None} | error | times


def _purchase(asked: HttpRequest) -> tuple[Drawing, int]:
    body = asked.json()
    if body is None:
        raise Complaint("The request body is not valid JSON", 400)
    check_callback(body)
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Complaint("prompt is required")
    aspect = NAMES[word_in(body, "image_size", frozenset(NAMES)) or "square_hd"]
    resolution = word_in(body, "image_resolution", {"1K", "2K", "4K"}) or "1K"
    check_bounds(body, "num_inference_steps", 1, 50)
    whole(body, "num_inference_steps")
    check_bounds(body, "guidance_scale", 1, 20)
    references = _references(body.get("input_image_url"))
    # 4:3 at 4K is the one size that its page names: 4096x3072.
    width, height = (4096, 3072) if (resolution, aspect) == ("4K", "4:3") else (0, 0)
    if not width:
        width, height = pixels(None, resolution, aspect)
    picture = Drawing(
        seed=seed_of(prompt, whole(body, "seed"), references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format="jpeg",
    )
    return picture, len(references)


def _references(value: object) -> list[str]:
    references = [value] if isinstance(value, str) and value else []
    if (value and not references) or not all(one.startswith("http") for one in references):
        raise Complaint("input_image_url is not a valid URL")
    return references


def _iso(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
