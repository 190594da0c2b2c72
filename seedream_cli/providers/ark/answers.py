"""What Ark's answers mean, whole or as a stream: codes to outcomes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from seedream_cli.core.model import (
    Busy,
    Done,
    Ended,
    Failed,
    Problem,
    Purpose,
    Refused,
    RemoteImage,
)
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import replace
from seedream_cli.providers.reading import (
    OK,
    REFUSALS,
    TOO_MANY_REQUESTS,
    account_or_request,
    id_at,
    message_at,
    parse,
    pictures,
    read_foreign,
    read_object,
    str_at,
    time_at,
    whole_at,
)

if TYPE_CHECKING:
    from seedream_cli.core.model import Outcome, Reply

_OVERLOADED: Final = frozenset({"ServerOverloaded", "InflightBatchsizeExceeded"})
_PACED: Final = pattern(r"(Rpm|Tpm|Ipm|RPM|TPM|Rate)\w*LimitExceeded|RequestBurstTooFast")
_SPENT: Final = frozenset({"QuotaExceeded", "SetLimitExceeded"})
"""HTTP 429, but final: waiting does not bring the quota back (error page 82379/1299023)."""
_CREDIT: Final = _SPENT | {"AccountOverdueError", "OperationDenied.ServiceOverdue"}
_AUTH: Final = frozenset({"AuthenticationError", "InvalidAccountStatus", "AccessDenied"})
_CONTENT: Final = pattern(r"SensitiveContent|RiskDetection|PolicyViolation")
_ACCESS: Final = pattern(
    r"ModelNotOpen|ServiceNotOpen|UnsupportedModel|ModelIDAccessDisabled", re.IGNORECASE
)
"""The model is not opened for this account (error page 82379/1299023).

Of the Agent Plan: public logs of refused requests, 2026-09; its 404 says `UnsupportedModel`.
"""
_MODEL: Final = pattern(
    rf"{_ACCESS.pattern}|EndpointOrModel|ClosedEndpoint|model_not_found|been retired",
    re.IGNORECASE,
)
"""The model is not to be had. The last two are words of gateways that speak Ark's dialect."""
_REGION: Final = "an Ark key works only in its own region: is the profile's base_url the right one?"


def decode(reply: Reply) -> Outcome:
    """Read an answer; what is not in Ark's own words is unknown, never refused.

    200, one picture and one error              done; the lost one keeps its error
    200, an error and no picture                failed
    429 with a code of its rate limits          busy
    429 QuotaExceeded                           refused: waiting does not bring it back
    502 with a gateway's HTML                   `UnreadableReply`
    """
    said = read_object(reply)
    if reply.purpose is Purpose.CHECK and isinstance(said.get("data"), list):
        return Done(images=())
    images = pictures(said.get("data"), _item_problem, _image)
    # A picture that came is kept, whatever stands beside it.
    if any(image.problem is None for image in images):
        request_id = reply.headers.get("x-request-id")
        ended_at = time_at(said, "created", in_seconds=True)
        return Done(images=images, request_id=request_id, ended_at=ended_at)
    failures = [image.problem for image in images if image.problem and reply.status == OK]
    if not _has_error(said):
        return Failed(problem=failures[0]) if failures else read_foreign(reply)
    return _refusal(reply, _code(said), message_at(said, "error", "message") or "")


def event(data: bytes) -> Done | Failed | Ended | None:
    """Read one event of a streamed set; its images are numbered from 1, the wire's from 0."""
    if data.strip() == b"[DONE]":
        return Ended()
    said = parse(data)
    kind, index = str_at(said, "type") or "", whole_at(said, "image_index")
    if kind == "image_generation.completed":
        return Ended()
    problem = _item_problem(said)
    # An error that names no picture is of the whole set.
    if index is None:
        return Failed(problem=problem) if problem else None
    if kind == "image_generation.partial_failed" or problem:
        lost = problem or Problem("provider_failed", "the provider did not make this image")
        return Done(images=(RemoteImage(index=index + 1, problem=lost),))
    if kind == "image_generation.partial_succeeded":
        (image,) = pictures([said], _item_problem, _image) or (None,)
        ended_at = time_at(said, "created", in_seconds=True)
        return Done(images=(replace(image, index=index + 1),), ended_at=ended_at) if image else None
    return None


def read_check(reply: Reply) -> str:
    """Count the Seedream models that the key may use."""
    entries = read_object(reply).get("data")
    # What is shut, or is to be, is listed as well.
    live = [
        entry
        for entry in (entries if isinstance(entries, list) else ())
        if "seedream" in (str_at(entry, "id") or "")
        and str_at(entry, "status") not in {"Retiring", "Shutdown"}
    ]
    return f"Seedream models: {len(live)}"


def expiry(url: str) -> datetime | None:
    """Return when a signed result URL lapses by its own words; None where it has none."""
    query = parse_qs(urlsplit(url).query)
    (start,), (seconds,) = query.get("X-Tos-Date", [""])[:1], query.get("X-Tos-Expires", [""])[:1]
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", start) or not re.fullmatch(r"[0-9]{1,8}", seconds):
        return None
    try:
        signed_at = datetime.strptime(start, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return signed_at + timedelta(seconds=int(seconds))
    except (ValueError, OverflowError):
        return None


def _image(index: int, url: str) -> RemoteImage:
    return RemoteImage(index=index, url=url, expires_at=expiry(url))


def _item_problem(item: object) -> Problem | None:
    if not _has_error(item):
        return None
    return _problem(OK, _code(item), message_at(item, "error", "message") or "")


def _has_error(said: object) -> bool:
    """Tell whether an error stands here: gateways leave its code null, or give a number."""
    return bool(_code(said) or message_at(said, "error", "message"))


def _code(said: object) -> str:
    return id_at(said, "error", "code") or str_at(said, "error", "type") or ""


def _refusal(reply: Reply, code: str, message: str) -> Outcome:
    """Class an answer in Ark's error envelope (`docs/charge-safety.md`, "Endings")."""
    is_error = reply.status >= min(REFUSALS)
    problem = _problem(reply.status, code, message)
    # It was taken, so it failed; what that costs its page says (`charge_of_failed`).
    if reply.status == OK:
        return Failed(problem=problem)
    if reply.status == TOO_MANY_REQUESTS and code.partition(".")[0] in _SPENT:
        return Refused(problem=problem)
    is_paced = _PACED.search(code) is not None
    # Its own code says more than the status that it comes with.
    if is_error and code in _OVERLOADED:
        return Busy(problem=replace(problem, code="busy"))
    if is_error and (is_paced or reply.status == TOO_MANY_REQUESTS):
        return Busy(problem=replace(problem, code="rate_limit"))
    if reply.status not in REFUSALS:
        return read_foreign(reply)
    return Refused(problem=problem, is_model=_MODEL.search(f"{code} {message}") is not None)


def _problem(status: int, code: str, message: str) -> Problem:
    text = f"{message} ({code})" if message and code else message or code
    # Whole, or by what stands before the dot: some are told by their second half alone.
    if code in _CREDIT or code.partition(".")[0] in _CREDIT:
        return Problem("credit", text)
    if _CONTENT.search(code):
        return Problem("content_policy", text)
    if _ACCESS.search(code):
        return Problem("access", text)
    if code in _AUTH:
        return Problem("auth", text, _REGION)
    stable = "provider_failed" if code == "InternalServiceError" else None
    return Problem(stable or account_or_request(status, ""), text)
