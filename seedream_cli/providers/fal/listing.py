"""fal's list of recent requests (fal.ai/docs, platform API; 2026-11-30).

The newest pages describe it for endpoints that the caller owns: then it answers 404, which means
that it cannot be asked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import Call, Page, Purpose
from seedream_cli.providers.reading import OK, keep_given, message_at, read_object, records, str_at
from seedream_cli.providers.spec import Listing

if TYPE_CHECKING:
    from seedream_cli.core.model import Reply, Window

LISTING: Final = Listing(
    before=timedelta(seconds=120),
    after=timedelta(seconds=120),
    adds_fields=False,
    is_newest_first=False,
    is_until_now=True,
    # It may hide what is not finished: one look more, a picture's time later.
    looks=(10.0, 60.0, 180.0),
    kept=timedelta(days=30),
)
"""Sorted by when requests ended; no document says that one without a record was not accepted."""


def find(window: Window, cursor: str | None) -> Call:
    """Ask for a page of an endpoint's requests, with what was asked."""
    query = keep_given(
        endpoint_id=window.model,
        start=window.since.isoformat(),
        end=window.until.isoformat(),
        expand="payloads",
        limit="100",
        cursor=cursor,
    )
    return Call(
        purpose=Purpose.FIND,
        method="GET",
        host="list",
        path="/models/requests/by-endpoint",
        query={key: str(value) for key, value in query.items()},
    )


def read_list(reply: Reply) -> Page:
    """Read a page of requests."""
    said = read_object(reply)
    has_more, cursor = said.get("has_more"), str_at(said, "next_cursor")
    if reply.status != OK or not isinstance(has_more, bool) or (has_more and cursor is None):
        words = message_at(said, "detail") or "no list"
        raise UnreadableReply(f"fal answered HTTP {reply.status}: {words}")
    found = records(
        said.get("items"),
        task_id=("request_id",),
        model="endpoint_id",
        time="sent_at",
        inputs=("json_input",),
    )
    return Page(records=found, next=cursor if has_more else None)
