"""The stand-in for seedreams.app: one path to submit and to ask, errors as keys in `message`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import replace
from seedream_cli.sandbox.apis.frames import models_of, pixels, price_of
from seedream_cli.sandbox.messages import Answer, Effect, Fate, Voice, Where, is_whole, says, texts
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

    from seedream_cli.providers.spec import Capabilities
    from seedream_cli.sandbox.apis.frames import Pixels
    from seedream_cli.sandbox.messages import HttpRequest, Stage

PREFIX: Final = "task_"

_DEFAULT_MODEL: Final = "google/nano-banana-2"
_DEFAULT_IMAGES: Final = 4
"""Of models that make sets; the page's matrix has 1 for every other model."""
_MOST_IMAGES: Final = 15
_ALWAYS_ONE: Final = "z-image"
_NANO_BANANA: Final = "google/nano-banana"
"""Only the page's notes name it, as a model of text alone."""
_LONGEST_PROMPT: Final = 1000
_GENERATION: Final = "image_generation.error."
_CODES: Final = {Fate.FAILED: 500, Fate.REFUSED: 1}


class _Complaint(Exception):
    pass


def answer(asked: HttpRequest, stage: Stage) -> Answer:
    """Answer as seedreams.app does: what went wrong is in the body, also with HTTP 200."""
    where = {"POST": Where.SUBMIT, "GET": Where.POLL}.get(asked.method, Where.FREE)
    reply = _error("login_required")
    if asked.path != "/generate-image" or where is Where.FREE:
        reply = replace(_error("not_found"), status=404)
        where = Where.FREE
    elif asked.key and "wrong" not in asked.key:
        reply = _submit(asked, stage) if where is Where.SUBMIT else _query(asked, stage)
    return replace(reply, deed=replace(reply.deed, provider="seedreams", where=where))


def _submit(asked: HttpRequest, stage: Stage) -> Answer:
    try:
        name, picture, count, references = _purchase(asked)
    except _Complaint as complaint:
        return _error(str(complaint))
    if "no-credit" in asked.key:
        return _error("my_credits.no_credits_description")
    task = Ticket(
        kind=TicketKind.SEEDREAMS,
        created_ms=int(stage.now * 1000),
        nonce=asked.nonce,
        delay_ms=int(stage.settings.delay * 1000),
        fate=stage.fate,
        count=count,
        references=references,
        model=name,
        picture=picture,
    )
    identity = task_id(task, PREFIX)
    reply = _good({"taskId": identity}, identity)
    price = price_of(_models().get(name), picture.width * picture.height, count, references)
    return replace(reply, deed=replace(reply.deed, images=count, price=price))


def _models() -> dict[str, Capabilities]:
    models = models_of("seedreams")
    pro = models["google/nano-banana-pro"]
    return {_NANO_BANANA: replace(pro, label="Banana", references=(0, 0))} | models


def _query(asked: HttpRequest, stage: Stage) -> Answer:
    identity = asked.query.get("taskId", "")
    task = read_task_id(TicketKind.SEEDREAMS, PREFIX, identity)
    if task is None:
        return _error("task_not_found")
    state: dict[str, object] = {"taskId": identity, "status": "processing"}
    if task.progress(stage.now) < 1:
        return _good(state | {"resultUrl": None, "errorCode": 0}, identity)
    if task.fate is not Fate.MADE:
        code = _CODES.get(task.fate, 1)
        return _good(state | {"status": "failed", "resultUrl": None, "errorCode": code}, identity)
    urls = [image_url(asked, task.picture.sibling(number)) for number in range(task.count)]
    done = {"status": "completed", "resultUrl": urls[0], "errorCode": 0}
    # How several pictures are told is not documented; a list beside the first is a guess.
    return _good(state | done | ({"resultUrls": urls} if len(urls) > 1 else {}), identity)


def _purchase(asked: HttpRequest) -> tuple[str, Drawing, int, int]:
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = asked.json()
    if raw is None or kind != "application/json":
        raise _Complaint(f"{_GENERATION}unknown_error")
    body = {key: value for key, value in raw.items() if value is not None}
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise _Complaint(f"{_GENERATION}empty_prompt")
    name = body.get("model") or _DEFAULT_MODEL
    model = _models().get(str(name))
    if model is None:
        raise _Complaint(f"{_GENERATION}generation_failed")
    if len(prompt) > (model.prompt[1] or _LONGEST_PROMPT):
        raise _Complaint(f"{_GENERATION}prompt_too_long")
    references = _references(model, body.get("image"))
    width, height = _size(model, body)
    picture = Drawing(
        seed=seed_of(prompt, None, references, nonce=asked.nonce),
        tint=tint_of(references),
        width=width,
        height=height,
        format="png",
    )
    return str(name), picture, _count(str(name), model, body), len(references)


def _references(model: Capabilities, image: object) -> list[str]:
    """Return the reference images: a URL or a list of them, nothing else."""
    references = texts(image)
    is_whole_list = not isinstance(image, list) or len(image) == len(references)
    is_read = isinstance(image, str | list | None) and is_whole_list
    are_urls = all(one.startswith(("http://", "https://")) for one in references)
    if not (is_read and are_urls and model.references[0] <= len(references) <= model.references[1]):
        raise _Complaint(f"{_GENERATION}generation_failed")
    return references


def _size(model: Capabilities, body: Mapping[str, object]) -> Pixels:
    ratio = body.get("ratio", "1:1")
    words = {word: keyword for keyword, word in model.quality.items()}
    quality = body.get("quality")
    if ratio not in model.aspects or (words and quality is not None and quality not in words):
        raise _Complaint(f"{_GENERATION}generation_failed")
    default = model.default_size or ("2K" if "eedream" in model.label else "1K")
    return pixels(model, words.get(str(quality), default), str(ratio))


def _count(name: str, model: Capabilities, body: Mapping[str, object]) -> int:
    """Return how many pictures are made, and billed: of v4 four where the request says nothing."""
    if name == _ALWAYS_ONE:
        return 1
    count = body.get("maxImages")
    if count is None:
        return min(_DEFAULT_IMAGES, model.max_series)
    if not is_whole(count) or not 1 <= int(str(count)) <= _MOST_IMAGES:
        raise _Complaint(f"{_GENERATION}generation_failed")
    return min(int(str(count)), model.max_series)


def _good(data: object, identity: str) -> Answer:
    reply = says({"code": 0, "message": "ok", "data": data})
    return replace(reply, deed=Effect(is_good=True, task=identity))


def _error(key: str) -> Answer:
    return says({"code": -1, "message": key})


def _busy(_asked: HttpRequest, _stage: Stage) -> Answer:
    return replace(_error("too_many_requests"), status=429)


def _broken(_asked: HttpRequest, _stage: Stage) -> Answer:
    return replace(_error(f"{_GENERATION}unknown_error"), status=500)


VOICE: Final = Voice(busy=_busy, broken=_broken, refused=None)
