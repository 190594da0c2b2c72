"""What WaveSpeed's answers mean (wavespeed.ai/docs: submit, result, errors; 2026-11-30)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
)
from seedream_cli.providers.reading import (
    OK,
    REFUSALS,
    TOO_MANY_REQUESTS,
    account_or_request,
    at,
    id_at,
    is_about_content,
    message_at,
    number_at,
    read_foreign,
    read_object,
    remote_image,
    source,
    str_at,
    time_at,
    web_url,
    whole_at,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply

_UNDER_WAY: Final = frozenset({"created", "processing"})
_REFUNDED: Final = frozenset({"failed"})
_ENDS: Final = _REFUNDED | {"cancelled", "timeout", "deleted"}
"""Only of `failed` it is written that it is refunded."""
_NOT_FOUND: Final = 404
_ACCOUNT: Final = frozenset({401, 402, 403})


def decode(reply: Reply) -> Outcome:
    """Read an answer: what is in `data`, else the error of the envelope."""
    said = read_object(reply)
    data = said.get("data")
    found: Outcome | None = None
    match reply.purpose:
        case Purpose.SUBMIT:
            # A task that has an id can be asked about, whatever else the answer says: one that
            # took too long for its answer (5004) goes on.
            task_id = id_at(data, "id")
            found = Running(task_id=task_id) if task_id else None
        case Purpose.POLL:
            found = _task(data)
        case Purpose.UPLOAD:
            url = web_url(at(data, "download_url")) or web_url(at(data, "url"))
            found = Done(images=(RemoteImage(index=1, url=url),)) if url else None
        case Purpose.CHECK:
            found = _balance(data)
        case Purpose.RESULT | Purpose.REFRESH | Purpose.EVENT | Purpose.FIND:
            pass
    return found or _classify(reply, said)


def _task(data: object) -> Outcome | None:
    """Read where a task stands; None: it does not say.

    completed, one URL of two            done; the other one keeps its problem
    completed, no URL                    still running: no picture is no success
    failed                               failed, and refunded
    cancelled, timeout, deleted          failed, and maybe charged
    """
    task_id, status = id_at(data, "id"), str_at(data, "status")
    if status is None:
        return None
    if status in _ENDS:
        text = message_at(data, "error") or f"WaveSpeed says only: {status}"
        code = "content_policy" if is_about_content(text) else "provider_failed"
        charge = None if status in _REFUNDED else Charge.MAYBE
        return Failed(problem=Problem(code, text), task_id=task_id, charge=charge)
    if status != "completed":
        is_strange = status not in _UNDER_WAY
        began_at = time_at(data, "created_at")
        return Running(
            task_id=task_id or "", word=status[:100], is_strange=is_strange, began_at=began_at
        )
    outputs = at(data, "outputs")
    found = (
        [source(at(each, "url") or each) for each in outputs] if isinstance(outputs, list) else []
    )
    if not any(found):
        word = "done, without a picture yet"
        return Running(task_id=task_id or "", word=word, is_empty=True)
    lost = Problem("provider_failed", "the provider's answer holds no image here")
    images = (
        remote_image(n, url) if url else RemoteImage(index=n, problem=lost)
        for n, url in enumerate(found, start=1)
    )
    return Done(images=tuple(images), task_id=task_id)


def _balance(data: object) -> Outcome | None:
    balance = number_at(data, "balance")
    # The key is good, and would buy nothing.
    if balance is not None and balance <= 0:
        words = f"{balance} USD are left; a key works from the account's first top-up on"
        return Refused(problem=Problem("credit", words))
    return None if balance is None else Done(images=())


def _classify(reply: Reply, said: Mapping[str, object]) -> Outcome:
    """Class an error (`docs/charge-safety.md`, "Endings").

    HTTP status and code are normally the same. Where they are not, both have to say that no work
    was begun.
    """
    code, message = whole_at(said, "code"), message_at(said, "message")
    if code is None and "code" in said:
        code = reply.status
    if message is None or code is None:
        return read_foreign(reply)
    text = f"{message} ({code})"
    # A 429 in the body of a 500 may come after work was begun: then it is no “not now”.
    if TOO_MANY_REQUESTS in {code, reply.status} and reply.status in {OK, TOO_MANY_REQUESTS}:
        return Busy(problem=Problem("rate_limit", text))
    # Both have to refuse, or HTTP to say nothing: a gateway's 502 around a 400 proves nothing.
    if code not in REFUSALS or reply.status not in REFUSALS | {OK}:
        return read_foreign(reply)
    is_poll = reply.purpose is Purpose.POLL
    if is_poll and code == _NOT_FOUND:
        return Running(task_id="", is_missing=True)
    if is_poll and code not in _ACCOUNT:
        return read_foreign(reply)
    return Refused(problem=Problem(account_or_request(code, message), text))
