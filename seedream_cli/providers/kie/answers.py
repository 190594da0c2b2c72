"""What KIE's answers mean, on both of its APIs: the body's code first, whatever the HTTP status."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import (
    Busy,
    Done,
    Failed,
    Money,
    Problem,
    Purpose,
    Refused,
    RemoteImage,
    Running,
)
from seedream_cli.providers.kie.models import DOLLARS_A_CREDIT
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
    parse,
    read_foreign,
    read_object,
    remote_image,
    seconds_at,
    source,
    str_at,
    time_at,
    web_url,
    whole_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seedream_cli.core.model import Outcome, Reply

    Record = Callable[[Mapping[str, object]], Outcome | None]

_MAINTENANCE: Final = 455
_SUB_KEY_SPENT: Final = 433
_FINAL: Final = REFUSALS | {_SUB_KEY_SPENT, 505}
_MISSING: Final = frozenset({404, 422})
_ACCOUNT: Final = frozenset({401, 402, 403, _SUB_KEY_SPENT})


def read(reply: Reply, record: Record) -> Outcome:
    """Read any KIE answer; `record` reads what a poll says about a task, None where it cannot."""
    said = read_object(reply)
    outcome = _good_news(reply.purpose, said, record)
    return outcome or _classify(reply, said)


def read_done(task_id: str | None, urls: list[str], record: object) -> Outcome:
    """Return what a finished task yields; without a picture it is not done yet."""
    ended_at = time_at(record, "completeTime")
    if not urls:
        word = "done, without a picture yet"
        return Running(task_id=task_id or "", word=word, is_empty=True, ended_at=ended_at)
    credit = number_at(record, "creditsConsumed")
    has_cost = credit is not None and credit >= 0
    return Done(
        images=tuple(remote_image(n, url) for n, url in enumerate(urls, start=1)),
        task_id=task_id,
        cost=Money(Decimal(str(credit)) * DOLLARS_A_CREDIT, "USD") if has_cost else None,
        ended_at=ended_at,
        # `costTime` is left alone: seconds in recorded traffic, milliseconds in its page.
        made_seconds=seconds_at(record, "createTime", "completeTime"),
    )


def read_under_way(task_id: str | None, word: str, record: object, *, is_strange: bool) -> Running:
    """Return where a task stands that is not over.

    `progress` is documented for video alone, in percent (docs.kie.ai, get task details, 2026-08),
    and its siblings write parts of one: what is 0 may mean that nobody counts.
    """
    said = number_at(record, "progress") or 0
    share = said / 100 if said > 1 else said
    return Running(
        task_id=task_id or "",
        word=word,
        is_strange=is_strange,
        began_at=time_at(record, "createTime"),
        progress=share if 0 < share < 1 else None,
    )


def read_failure(task_id: str | None, code: str | None, message: str | None) -> Failed:
    """Return why a task failed, in KIE's words."""
    # KIE has one state for all failures: why, only its words say.
    text = " ".join(filter(None, (message, f"({code})" if code else None)))
    stable = "content_policy" if is_about_content(text) else "provider_failed"
    problem = Problem(stable, text or "KIE says only that it failed")
    return Failed(problem=problem, task_id=task_id)


def urls_in(value: object) -> list[str]:
    """Return the results in one field: a URL, or data inline, or a list of them."""
    every = value if isinstance(value, list) else [value]
    return [found for found in map(source, every) if found]


def result(record: object) -> object:
    """Return `resultJson`, opened where it is text; raises `UnreadableReply` when it is broken."""
    text = str_at(record, "resultJson")
    return parse(text) if text else at(record, "resultJson")


def _good_news(purpose: Purpose, said: Mapping[str, object], record: Record) -> Outcome | None:
    data = said.get("data")
    match purpose:
        case Purpose.SUBMIT:
            # A task that has an id can be asked about, whatever else the answer says.
            task_id = id_at(data, "taskId") or id_at(data, "recordId") or id_at(said, "taskId")
            return Running(task_id=task_id) if task_id else None
        case Purpose.POLL:
            return record(said) or _read_running(said)
        case Purpose.CHECK:
            credit = number_at(said, "data")
            # The key is good, and would buy nothing.
            if credit is not None and credit <= 0:
                return Refused(problem=Problem("credit", f"{credit} credits are left"))
            return None if credit is None else Done(images=())
        case Purpose.REFRESH | Purpose.UPLOAD:
            # Live uploads say downloadUrl (recorded in github.com/justintanner/apicity, 2026-05);
            # the quickstart of docs.kie.ai has a fileUrl, too (2026-08-19).
            places = (data, *(at(data, key) for key in ("downloadUrl", "fileUrl", "url")))
            url = next(filter(None, map(web_url, places)), None)
            return Done(images=(RemoteImage(index=1, url=url),)) if url else None
        case Purpose.EVENT | Purpose.RESULT | Purpose.FIND:
            return None


def _read_running(said: Mapping[str, object]) -> Running | None:
    """Return `Running` where KIE says that it has no record of the task (yet)."""
    code = whole_at(said, "code")
    is_empty = code == OK and "data" in said and said["data"] is None
    return Running(task_id="", is_missing=True) if code in _MISSING or is_empty else None


def _classify(reply: Reply, said: Mapping[str, object]) -> Outcome:
    """Class an error (`docs/charge-safety.md`, "Endings"; codes: KIE's common page).

    HTTP 200, code 401                 refused: the body counts
    code 429, or 455                   busy
    422 to a poll                      not a refusal: `_read_running`
    code 500, or one that is unknown   `UnreadableReply`
    """
    code, message = whole_at(said, "code"), message_at(said, "msg") or message_at(said, "message")
    if code is None and "code" in said and reply.status >= min(REFUSALS):
        code = reply.status  # a gateway's null or word; it says by HTTP what it means
    if code is None or message is None:
        return read_foreign(reply)
    text = f"{message} ({code})"
    if code == TOO_MANY_REQUESTS:
        return Busy(problem=Problem("rate_limit", text))
    if code == _MAINTENANCE:
        return Busy(problem=Problem("busy", text))
    # To a poll only the account can be refused: the task is there, whatever was asked about it.
    if code in (_ACCOUNT if reply.purpose is Purpose.POLL else _FINAL):
        stable = "credit" if code == _SUB_KEY_SPENT else account_or_request(code, message)
        return Refused(problem=Problem(stable, text))
    raise UnreadableReply(f"KIE answered: {text}")
