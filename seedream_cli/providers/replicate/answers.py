"""What Replicate's answers mean: predictions, files, and the problem objects before there is one.

Facts: replicate.com/docs (HTTP reference, prediction lifecycle, data retention, billing), 2026-11.
"""

from __future__ import annotations

import re
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
from seedream_cli.core.pattern import pattern
from seedream_cli.providers.reading import (
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
    seconds_at,
    source,
    str_at,
    time_at,
    web_url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply

_UNDER_WAY: Final = frozenset({"starting", "processing"})
# Official models bill each picture that was made; a run that was canceled after it had begun is
# billed too, and one that had not begun is `aborted` (docs: billing, prediction lifecycle).
_CHARGES: Final = {
    "failed": Charge.NONE,
    "aborted": Charge.NONE,
    "canceled": Charge.CHARGED,
}
_CONTENT: Final = pattern(r"flagged|\(E005\)", re.IGNORECASE)
"""`E005` is "input or output was flagged as sensitive" in public reports; no list is published."""
_WIPED: Final = Problem(
    "expired", "Replicate deleted it one hour after it was made, and the picture is gone"
)
_NOT_FOUND: Final = 404


def decode(reply: Reply) -> Outcome:
    """Read an answer; what is neither a prediction nor a problem object is unknown."""
    said = read_object(reply)
    match reply.purpose:
        case Purpose.CHECK if str_at(said, "username"):
            return Done(images=())
        case Purpose.UPLOAD if url := web_url(at(said, "urls", "get")):
            return Done(images=(RemoteImage(index=1, url=url),))
        case Purpose.SUBMIT | Purpose.POLL if outcome := _prediction(reply.purpose, said):
            return outcome
        case _:
            return _classify(reply, said)


def read_check(reply: Reply) -> str:
    """Name the account; Replicate tells nobody its credit."""
    said = read_object(reply)
    return f"{str_at(said, 'type') or 'account'} {str_at(said, 'username') or ''}".strip()


def _prediction(purpose: Purpose, said: Mapping[str, object]) -> Outcome | None:
    """Read a prediction; None: it is none.

    succeeded, with URLs                       done
    succeeded, data removed                    done, and its picture expired
    succeeded, nothing in it                   still running: no picture is no success
    canceled                                   failed, and charged: it had begun
    """
    task_id, status = str_at(said, "id"), str_at(said, "status")
    if task_id is None or status is None:
        return None
    if purpose is Purpose.SUBMIT:  # whatever is said of it already, a poll says it again
        return Running(task_id=task_id, word=status[:100])
    if status in _CHARGES:
        problem = _failure(status, message_at(said, "error"))
        return Failed(problem=problem, task_id=task_id, charge=_CHARGES[status])
    if status != "succeeded":
        is_strange = status not in _UNDER_WAY
        began_at = time_at(said, "created_at")
        return Running(task_id=task_id, word=status[:100], is_strange=is_strange, began_at=began_at)
    ended_at, images = time_at(said, "completed_at"), _images(said.get("output"))
    if not images and said.get("data_removed") is True:
        images = (RemoteImage(index=1, problem=_WIPED),)
    if images:
        took = seconds_at(said, "created_at", "completed_at")
        return Done(images=images, task_id=task_id, ended_at=ended_at, made_seconds=took)
    word = "done, without a picture yet"
    return Running(task_id=task_id, word=word, is_empty=True, ended_at=ended_at)


def _images(output: object) -> tuple[RemoteImage, ...]:
    """Return the pictures of a prediction: a list of URLs, or one alone (seedream-3)."""
    listed = output if isinstance(output, list) else [output]
    found = [place for place in map(source, listed) if place]
    return tuple(remote_image(index, place) for index, place in enumerate(found, start=1))


def _failure(status: str, error: str | None) -> Problem:
    if status == "failed" and error and (is_about_content(error) or _CONTENT.search(error)):
        return Problem("content_policy", error)
    words = {"failed": "it says only that it failed", "canceled": "canceled after it had begun"}
    text = error or words.get(status, "ended before it had begun")
    return Problem("provider_failed", text)


def _classify(reply: Reply, said: Mapping[str, object]) -> Outcome:
    """Class a problem object: there is no prediction then, and no charge (docs: HTTP reference)."""
    title, detail = message_at(said, "title"), message_at(said, "detail")
    if title is None and detail is None:
        return read_foreign(reply)
    # Its own `status` repeats HTTP's; where they differ, a gateway speaks.
    if id_at(said, "status") not in {None, str(reply.status)}:
        return read_foreign(reply)
    message = f"{title}: {detail}" if title and detail else title or detail or ""
    if reply.status == TOO_MANY_REQUESTS:
        wait = number_at(said, "retry_after")
        problem = Problem("rate_limit", message)
        return Busy(problem=problem, retry_after=float(wait) if wait and wait > 0 else None)
    is_poll = reply.purpose is Purpose.POLL
    if is_poll and reply.status == _NOT_FOUND:
        return Running(task_id="", is_missing=True)
    stable = account_or_request(reply.status, message)
    # To a poll: the key may not ask, which says nothing of the prediction.
    is_final = stable in {"auth", "credit"} if is_poll else reply.status in REFUSALS
    if not is_final:
        return read_foreign(reply)
    return Refused(problem=Problem(stable, message))
