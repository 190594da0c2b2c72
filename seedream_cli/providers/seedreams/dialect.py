"""seedreams.app: a task is created and asked about on one path; errors are words, not statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import (
    Busy,
    Call,
    Demand,
    Done,
    Failed,
    Problem,
    Purpose,
    Refused,
    Running,
)
from seedream_cli.providers.demand import (
    area_of,
    count_of,
    keyword_of_quality,
    references_of,
)
from seedream_cli.providers.reading import (
    REFUSALS,
    account_or_request,
    at,
    id_at,
    keep_given,
    merge,
    message_at,
    one_or_list,
    parse,
    read_foreign,
    read_object,
    remote_image,
    source,
    str_at,
    web_url,
    whole_at,
)
from seedream_cli.providers.seedreams.models import MODELS
from seedream_cli.providers.spec import Dialect, Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply, Request, Task
    from seedream_cli.providers.spec import Capabilities

_PATH: Final = "/generate-image"
_REFUSALS: Final = {
    "login_required": "auth",
    "no_credits_description": "credit",
    "empty_prompt": "invalid_request",
    "prompt_too_long": "invalid_request",
}
_MISHAPS: Final = frozenset({"generation_failed", "unknown_error"})
"""Said when something upstream went wrong: after a submit nobody knows whether it was charged."""

# The page names `completed` and `failed` only; these are what others call the time before.
_UNDER_WAY: Final = frozenset({"pending", "processing", "queued", "waiting", "generating"})
_URL_KEYS: Final = ("resultUrl", "resultUrls", "images")
_DEFAULT_IMAGES: Final = 4
_USUAL: Final = frozenset({"ratio", "quality", "image", "maxImages"})


def submit(request: Request) -> Call:
    """Encode one purchase.

    Left out, `model` would be another one and `maxImages` 4, all billed: so both always go.
    """
    model = MODELS.get(request.model) if request.is_known_model else None
    quality = request.quality or (model.quality.get(request.keyword or "") if model else None)
    is_set = model is None or model.max_series > 1
    wanted = keep_given(
        ratio=request.aspect,
        quality=quality,
        image=one_or_list(each.url for each in request.references),
    )
    fields = model.fields if model else _USUAL
    body = {
        "model": request.model,
        "prompt": request.prompt,
        **{key: value for key, value in wanted.items() if key in fields},
        "maxImages": (request.series or 1) if is_set else 1,
    }
    return Call(purpose=Purpose.SUBMIT, method="POST", path=_PATH, body=merge(body, request.extra))


def measure(model: Capabilities | None, body: Mapping[str, object]) -> Demand:
    """Read what a body asks for: left out, `maxImages` is 4 where the model makes several."""
    default = 1 if model is not None and model.max_series == 1 else _DEFAULT_IMAGES
    word = body.get("quality")
    return Demand(
        images=count_of(body.get("maxImages"), default),
        area=area_of(model, keyword_of_quality(model, word)),
        references=references_of(body.get("image")),
    )


def poll(task: Task) -> Call:
    """Ask about a task."""
    return Call(purpose=Purpose.POLL, method="GET", path=_PATH, query={"taskId": task.id})


_NOT_NOW: Final = {429: "rate_limit", 455: "busy"}
"""Its resold upstream's codes (KIE's), should they come through."""


def decode(reply: Reply) -> Outcome:
    """Read an answer: the body's code first, whatever the HTTP status."""
    said = read_object(reply)
    code, data = whole_at(said, "code"), said.get("data")
    task_id = id_at(data, "taskId")
    if reply.purpose is Purpose.POLL:
        outcome = _record(data, task_id)
    else:
        outcome = Running(task_id=task_id) if task_id else None
    if outcome is not None:
        return outcome
    message = message_at(said, "message")
    if code in _NOT_NOW:
        return Busy(problem=Problem(_NOT_NOW[code], message or f"code {code}"))
    # 0 is "ok", and yet there was nothing to read; null or a word means what HTTP says.
    is_error = bool(code) or (code is None and "code" in said and reply.status >= min(REFUSALS))
    if not is_error or message is None:
        return read_foreign(reply)
    return _classify(reply, message)


def _record(data: object, task_id: str | None) -> Outcome | None:
    status = str_at(data, "status")
    if status is None:
        return None
    urls = [url for key in _URL_KEYS for url in _urls(at(data, key))]
    # One address may stand in two of the fields.
    if status == "completed" and urls:
        unique = enumerate(dict.fromkeys(urls), start=1)
        images = tuple(remote_image(index, url) for index, url in unique)
        return Done(images=images, task_id=task_id)
    error = whole_at(data, "errorCode")  # 0 and null: none
    if status == "failed" or error:
        text = f"error code {error}" if error else "it says only that it failed"
        return Failed(problem=Problem("provider_failed", text), task_id=task_id)
    if status == "completed":
        word = "done, without a picture yet"
        return Running(task_id=task_id or "", word=word, is_empty=True)
    return Running(task_id=task_id or "", word=status[:100], is_strange=status not in _UNDER_WAY)


def _urls(value: object) -> list[str]:
    """Return the URLs in one field: one, or several as a list, as JSON text, or with commas.

    The page documents one only. Raises `UnreadableReply` for broken JSON text.
    """
    if isinstance(value, list):
        return [url for each in value for url in _urls(at(each, "url") or each)]
    if not isinstance(value, str):
        return []
    if value.lstrip().startswith("["):
        listed = parse(value)
        return [url for url in map(source, listed) if url] if isinstance(listed, list) else []
    parts = value.split(",")
    # A signed address may hold commas itself: only where each part is an address is it a list.
    is_list = len(parts) > 1 and all(web_url(part.strip()) for part in parts)
    return [part.strip() for part in parts] if is_list else [value] if source(value) else []


def _classify(reply: Reply, message: str) -> Outcome:
    """Class an error (`docs/charge-safety.md`, "Endings"; words: its page).

    login_required, whatever the status       refused: auth
    generation_failed, to a submit            `UnreadableReply`: it may be charged
    generation_failed, to a poll              failed
    404 or 422 to a poll                      not known yet: still running
    """
    word = message.rpartition(".")[2]
    if word in _REFUSALS:
        return Refused(problem=Problem(_REFUSALS[word], message))
    is_poll = reply.purpose is Purpose.POLL
    if word in _MISHAPS:
        if is_poll and word == "generation_failed":
            return Failed(problem=Problem("provider_failed", message))
        raise UnreadableReply(f"seedreams.app answered: {message}")
    if is_poll and reply.status in {404, 422}:
        return Running(task_id="", is_missing=True)
    stable = account_or_request(reply.status, message)
    is_final = stable == "auth" if is_poll else reply.status in REFUSALS
    return Refused(problem=Problem(stable, message)) if is_final else read_foreign(reply)


SEEDREAMS: Final = Provider(
    name="seedreams",
    title="seedreams.app",
    base_url="https://www.seedreams.app/api",
    path="/generate-image",
    key_env=("SEEDREAMS_API_KEY",),
    docs="https://www.seedreams.app/api-docs",
    charges_page="https://www.seedreams.app",
    keys_page="https://www.seedreams.app/api-docs",
    credit_page="https://www.seedreams.app",
    dialect=Dialect(submit=submit, measure=measure, decode=decode, poll=poll),
    models=MODELS,
    default_model="seedream/4.5-text-to-image",
    short_names={
        "5-lite": ("seedream/5-lite-text-to-image",),
        "4.5": ("seedream/4.5-text-to-image",),
        "4": ("bytedance/seedream-v4",),
    },
    url_lifetime=None,
    sandbox_path="/seedreams/api",
)
