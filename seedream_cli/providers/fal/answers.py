"""What fal's answers mean (fal.ai/docs: queue, errors, request errors; 2026-11-30)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from seedream_cli.core.model import (
    Busy,
    Charge,
    Done,
    Failed,
    Problem,
    Purpose,
    Refused,
    RemoteImage,
    Running,
    Slot,
)
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import replace
from seedream_cli.providers.reading import (
    OK,
    REFUSALS,
    TOO_MANY_REQUESTS,
    account_or_request,
    at,
    id_at,
    is_about_content,
    message_at,
    pictures,
    read_foreign,
    read_object,
    remote_image,
    str_at,
    web_url,
    whole_at,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply

_UNDER_WAY: Final = frozenset({"IN_QUEUE", "IN_PROGRESS"})
_LOCKED: Final = pattern(r"locked|exhausted balance|top.?up", re.IGNORECASE)
"""Of a 403: the account has no credit."""
_OWN_FAULT: Final = pattern(
    r"(runner|client)_\w+|internal_error|(request|startup)_timeout|concurrent_requests_limit"
)
"""Types of failures that are never charged: no runner, or one that broke."""
_LONGEST_PATH: Final = 100
_GONE: Final = 404
_CLIENT_LEFT: Final = 499
_ENDS: Final = frozenset({422, _CLIENT_LEFT})
_SERVER_ERROR: Final = 500
_GATEWAY: Final = frozenset({502, 503, 504})
"""Of a failed request they name a type (fal.ai/docs, request errors, 2026-11)."""
_ACCOUNT: Final = frozenset({401, 402, 403})
_NO_VERDICT: Final = frozenset({402, 403})
"""Of a question about a task: "User is locked" speaks of the account, not of the task."""


def decode(reply: Reply) -> Outcome:
    """Read an answer of the queue, the storage or the list."""
    said = read_object(reply)
    found: Outcome | None = None
    match reply.purpose:
        case Purpose.SUBMIT:
            # A request that has an id can be asked about, whatever else the answer says.
            task_id = id_at(said, "request_id")
            found = _running(said, task_id) if task_id else None
        case Purpose.POLL:
            found = _status(said)
        case Purpose.RESULT:
            found = _result(reply, said)
        case Purpose.UPLOAD:
            url, place = web_url(said.get("file_url")), web_url(said.get("upload_url"))
            image = RemoteImage(index=1, url=url)
            found = Done(images=(image,), slot=Slot(url=place)) if url and place else None
        case Purpose.CHECK:
            found = Done(images=()) if reply.status == OK and said else None
        case Purpose.REFRESH | Purpose.EVENT | Purpose.FIND:
            pass
    return found or _classify(reply, said)


def _running(said: Mapping[str, object], task_id: str, word: str = "") -> Running:
    named = {"poll": web_url(said.get("status_url")), "result": web_url(said.get("response_url"))}
    # The answer to a question for the result does not say whose it is: its address does.
    links = {key: url for key, url in named.items() if url and quote(task_id, safe="") in url}
    return Running(task_id=task_id, word=word, links=links)


def _status(said: Mapping[str, object]) -> Outcome | None:
    """Read where a request stands: one that failed is COMPLETED, too."""
    word, task_id = str_at(said, "status"), id_at(said, "request_id")
    if word is None:
        return None
    message, kind = message_at(said, "error"), message_at(said, "error_type")
    is_finished = word == "COMPLETED"
    # The queue is done with it, which is not to say that it made anything.
    if is_finished and (message or kind):
        return _failure(message or "", kind, task_id)
    is_strange = not is_finished and word not in _UNDER_WAY
    running = _running(said, task_id or "", word[:100])
    place = whole_at(said, "queue_position") if word == "IN_QUEUE" else None
    queue = place if place is not None and place >= 0 else None
    return replace(running, is_finished=is_finished, is_strange=is_strange, queue=queue)


def _result(reply: Reply, said: Mapping[str, object]) -> Outcome | None:
    """Read what came of a request: an error here is how it ended, not trouble on the way."""
    if reply.status == OK:
        images = pictures(_items(said), lambda _: None, remote_image)
        if any(image.problem is None for image in images):
            return Done(images=images)
        word = "done, without a picture yet"
        return Running(task_id="", word=word, is_empty=True) if "images" in said else None
    message, kind = _words(reply, said)
    if message and reply.status == _GONE:
        # Kept for an hour, or for six minutes where it is large: it ran, and that is over.
        return Running(task_id="", word=f"done, and its answer is gone: {message}", is_empty=True)
    # What is flat and names no type may come from before the model: "still in progress".
    is_typed = kind is not None and reply.status in REFUSALS - _ACCOUNT
    # A bare 503 is of a gateway in trouble: the pictures may be there when that is over.
    is_broken = reply.status >= _SERVER_ERROR and (kind or reply.status not in _GATEWAY)
    is_end = is_typed or reply.status in _ENDS or is_broken
    return _failure(message, kind, status=reply.status) if message and is_end else None


def _items(said: Mapping[str, object]) -> list[object]:
    """Return the pictures of an answer, each once: layers lie in a list of their own."""
    items: list[object] = []
    for each in (said.get("images"), said.get("layers")):
        known = {str(at(item, "url")) for item in items if at(item, "url")}
        more = each if isinstance(each, list) else []
        items += [item for item in more if str(at(item, "url")) not in known]
    return items


def _failure(
    message: str, kind: str | None, task_id: str | None = None, *, status: int = OK
) -> Failed:
    """Return why a request failed.

    Failures of fal's own are not charged; validation and content policy are where a runner had
    worked. What names no type may as well come from a gateway in trouble, so it counts as charged.

        type `runner_disconnected`          not charged
        content policy                      may be charged: a runner had worked
        500 with a type                     not charged
        an error without a type             may be charged: who says it is not known
    """
    text = f"{message} ({kind})" if kind and message else message or str(kind)
    is_own = status == _CLIENT_LEFT or status >= _SERVER_ERROR
    is_free = kind is not None and (is_own or _OWN_FAULT.fullmatch(kind) is not None)
    return Failed(
        problem=Problem("content_policy" if is_about_content(text) else "provider_failed", text),
        task_id=task_id,
        charge=Charge.NONE if is_free else Charge.MAYBE,
    )


def _words(reply: Reply, said: Mapping[str, object]) -> tuple[str, str | None]:
    """Return what an error says, and its type.

    Errors of requests are flat; those of models hold a list, each with its place and type.
    """
    kind = message_at(said, "error_type") or reply.headers.get("x-fal-error-type")
    detail = said.get("detail")
    if not isinstance(detail, list) or not detail:
        return message_at(said, "detail") or "", kind
    # The first mistake of a list stands for all of them.
    first = detail[0]
    place = at(first, "loc")
    steps = [id_at({"": step}, "") or "" for step in place] if isinstance(place, list) else []
    path = ".".join(steps)[:_LONGEST_PATH]
    message = message_at(first, "msg") or "it says only that it failed"
    return f"{path}: {message}" if path else message, message_at(first, "type") or kind


def _classify(reply: Reply, said: Mapping[str, object]) -> Outcome:
    """Class an error (`docs/charge-safety.md`, "Endings")."""
    message, kind = _words(reply, said)
    status = reply.status
    if not message or status == TOO_MANY_REQUESTS:
        return read_foreign(reply)
    text = f"{message} ({kind})" if kind else message
    code = account_or_request(status, text)
    if status in _NO_VERDICT and _LOCKED.search(message):
        code = "credit"
    if reply.purpose in {Purpose.POLL, Purpose.RESULT}:
        # It may be accepted and not to be seen yet (`Timing.missing_grace`).
        if status == _GONE:
            return Running(task_id="", is_missing=True)
        # The account is locked for now; the task goes on, and is asked about again.
        if status in _NO_VERDICT:
            return Busy(problem=Problem(code, text))
        return Refused(problem=Problem(code, text)) if code == "auth" else read_foreign(reply)
    # Beside a submit, where it is a model's id, a path that is not there says nothing.
    if status not in REFUSALS or (status == _GONE and reply.purpose is not Purpose.SUBMIT):
        return read_foreign(reply)
    return Refused(problem=Problem(code, text))
