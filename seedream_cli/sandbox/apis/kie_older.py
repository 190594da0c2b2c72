"""The stand-in for KIE's older endpoint: `/api/v1/seedream/generate` and `record-info`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.apis.frames import pixels
from seedream_cli.sandbox.apis.kie_checks import (
    NAMES,
    Complaint,
    accepted,
    bounded,
    refusal,
    whole,
    word_in,
)
from seedream_cli.sandbox.messages import Answer, Deed, Fate, says
from seedream_cli.sandbox.pictures.host import image_url
from seedream_cli.sandbox.tickets import (
    Kind,
    Picture,
    Task,
    read_task_id,
    seed_of,
    task_id,
    tint_of,
)

if TYPE_CHECKING:
    from seedream_cli.sandbox.messages import Asked, Stage

PREFIX: Final = "seedream_task_"
LIFETIME: Final = 14 * 86_400

_GENERATING, _SUCCESS, _FAILED = 0, 1, 3


def generate(asked: Asked, stage: Stage) -> Answer:
    """Accept a flat body (no `model`, no `input`) or refuse it."""
    try:
        picture, references = _purchase(asked)
    except Complaint as complaint:
        return refusal(complaint)
    task = Task(
        kind=Kind.KIE_OLDER,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(stage.settings.delay * 1000),
        fate=stage.fate,
        count=1,
        references=references,
        model="",
        picture=replace(picture, expires_at=int(stage.now) + LIFETIME),
    )
    return accepted(task_id(task, PREFIX), with_record=False)


def record_info(asked: Asked, stage: Stage) -> Answer:
    """Tell where a task stands, wrapped as all of KIE, or bare as the seed prints it."""
    identity = asked.query.get("taskId", "")
    if not identity:
        return says({"code": 400, "msg": "taskId parameter is required", "data": None})
    task = read_task_id(Kind.KIE_OLDER, PREFIX, identity)
    if task is None:
        # Sibling endpoints answer an unknown task so (recorded live, 2026-05).
        return says({"code": 200, "msg": "success", "data": None})
    data = {"taskId": identity} | _state(asked, task, stage.now)
    is_bare = stage.settings.bare_record_info
    reply = says(data if is_bare else {"code": 200, "msg": "success", "data": data})
    return replace(reply, deed=Deed(is_good=True, task=identity))


def _state(asked: Asked, task: Task, now: float) -> dict[str, object]:
    times: dict[str, object] = {"createTime": _iso(task.created_ms), "completeTime": None}
    if task.progress(now) < 1:
        return {"successFlag": _GENERATING, "imageUrl": None} | times
    times["completeTime"] = _iso(task.finished_ms)
    if task.fate is Fate.MADE:
        return {"successFlag": _SUCCESS, "imageUrl": image_url(asked, task.picture)} | times
    error = {"errorCode": 501, "errorMessage": "Image generation failed."}
    return {"successFlag": _FAILED, "imageUrl": None} | error | times


def _purchase(asked: Asked) -> tuple[Picture, int]:
    body = asked.json()
    if body is None:
        raise Complaint("The request body is not valid JSON", 400)
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Complaint("prompt is required")
    aspect = NAMES[word_in(body, "image_size", frozenset(NAMES)) or "square_hd"]
    resolution = word_in(body, "image_resolution", {"1K", "2K", "4K"}) or "1K"
    bounded(body, "num_inference_steps", 1, 50)
    whole(body, "num_inference_steps")
    bounded(body, "guidance_scale", 1, 20)
    references = _references(body.get("input_image_url"))
    # 4:3 at 4K is the one size that its page names: 4096x3072.
    width, height = (4096, 3072) if (resolution, aspect) == ("4K", "4:3") else (0, 0)
    if not width:
        width, height = pixels(None, resolution, aspect)
    picture = Picture(
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
