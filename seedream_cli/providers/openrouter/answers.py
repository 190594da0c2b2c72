"""What OpenRouter's answers mean: pictures inline, and errors that may come under HTTP 200.

Facts: openrouter.ai/docs (image generation, errors, limits), 2026-11.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import (
    Busy,
    Charge,
    Done,
    Failed,
    Money,
    Problem,
    Purpose,
    Refused,
    RemoteImage,
)
from seedream_cli.core.pattern import pattern
from seedream_cli.providers.reading import (
    OK,
    REFUSALS,
    TOO_MANY_REQUESTS,
    account_or_request,
    at,
    message_at,
    number_at,
    pictures,
    read_foreign,
    read_object,
    str_at,
    whole_at,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seedream_cli.core.model import Outcome, Reply

_FREE: Final = frozenset({408, 500, 502, 503, 504, 529})
"""In its own envelope: "failed generations are not billed". Not 524, which is the edge's word for
an answer that was lost while the work may go on."""
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_OVERLOADED: Final = "provider_overloaded"
_CONTENT: Final = pattern(r"content_policy|refusal|moderation|guardrail")
_PRIVACY: Final = pattern(r"data policy|privacy|guardrail", re.IGNORECASE)


def decode(reply: Reply) -> Outcome:
    """Read an answer; a picture that came is kept, whatever stands beside it."""
    said = read_object(reply)
    if reply.purpose is Purpose.CHECK and isinstance(said.get("data"), dict):
        return Done(images=())
    images = pictures(said.get("data"), lambda _: None, _image)
    if images:
        request_id = reply.headers.get("x-generation-id")
        return Done(images=images, cost=_cost(said), request_id=request_id)
    return _classify(reply, said)


def read_check(reply: Reply) -> str:
    """Say what is left of the key's limit, and what the key has used."""
    key = at(read_object(reply), "data")
    left, used = number_at(key, "limit_remaining"), number_at(key, "usage")
    words = "the key has no limit" if left is None else f"{left:.2f} USD left of the key's limit"
    return words if used is None else f"{words}, {used:.2f} USD used"


def cost_of(reply: Reply) -> Money:
    """Return what a generation was charged; raise `UnreadableReply` where that is not said yet."""
    data = at(read_object(reply), "data")
    total = number_at(data, "total_cost")
    # 0 is not taken for a charge: it may not have been reckoned yet.
    if reply.status != OK or total is None or total <= 0:
        words = message_at(read_object(reply), "error", "message") or "it names no charge"
        raise UnreadableReply(f"OpenRouter answered HTTP {reply.status}: {words}")
    return Money(Decimal(str(total)), "USD")


def _image(index: int, url: str) -> RemoteImage:
    return RemoteImage(index=index, url=url)


def _cost(said: Mapping[str, object]) -> Money | None:
    """Return the charge itself: `usage.cost`."""
    cost = number_at(said, "usage", "cost")
    return Money(Decimal(str(cost)), "USD") if cost is not None and cost >= 0 else None


def _classify(reply: Reply, said: Mapping[str, object]) -> Outcome:
    """Class an error by the code in its envelope, else by HTTP's.

    HTTP 200, error 502 in its body      failed, and not charged
    HTTP 200, error 429 in its body      busy
    524 from the edge                    `UnreadableReply`: the work may go on
    """
    error = said.get("error")
    message = message_at(error, "message")
    status = whole_at(error, "code") or (reply.status if reply.status != OK else None)
    # Where HTTP and the body name two errors, somebody between us speaks.
    if message is None or status is None or reply.status not in {OK, status}:
        return read_foreign(reply)
    kind = str_at(error, "metadata", "error_type") or ""
    problem = _problem(status, kind, message, at(error, "metadata"))
    if status == TOO_MANY_REQUESTS:
        return Busy(problem=problem)
    # Not billed, and its word for “not now”: it may be sent again.
    if status in _FREE and kind == _OVERLOADED:
        return Busy(problem=problem)
    if status in REFUSALS:
        return Refused(problem=problem, is_model=problem.code == "access")
    if status in _FREE:
        return Failed(problem=problem, charge=Charge.NONE)
    return read_foreign(reply)


def _problem(status: int, kind: str, message: str, metadata: object) -> Problem:
    provider = str_at(metadata, "provider_name")
    text = f"{message} ({kind})" if kind else message
    text = f"{provider}: {text}" if provider else text
    hint = message_at(metadata, "remedy_hint") or ""
    is_flagged = status == _FORBIDDEN and (at(metadata, "reasons") or at(metadata, "flagged_input"))
    if is_flagged or _CONTENT.search(kind):
        return Problem("content_policy", text, hint)
    if status == TOO_MANY_REQUESTS:
        return Problem("rate_limit", text, hint)
    if status == _NOT_FOUND:  # of the model, or of one that the account's settings let in
        return Problem("access" if _PRIVACY.search(message) else "invalid_request", text, hint)
    if status in _FREE:
        return Problem("busy" if kind == _OVERLOADED else "provider_failed", text, hint)
    return Problem(account_or_request(status, text), text, hint)
