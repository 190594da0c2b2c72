"""Replicate's list of the account's predictions (replicate.com/docs, 2026-11-30)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import Call, Page, Purpose
from seedream_cli.providers.reading import OK, message_at, read_object, records, web_url
from seedream_cli.providers.spec import Listing

if TYPE_CHECKING:
    from seedream_cli.core.model import Reply, Window

LISTING: Final = Listing(
    input_at=("input",),
    # Inputs "are deleted one hour after the prediction ends" (docs: data retention).
    inputs_kept=timedelta(minutes=60),
    empty_looks=2,
)
"""Of all models and all tokens, running ones too, newest first."""


def find(window: Window, cursor: str | None) -> Call:
    """Ask for a page of predictions; those after the first have addresses of their own."""
    if cursor is not None:
        return Call(purpose=Purpose.FIND, method="GET", path=cursor)
    query = {
        "created_after": window.since.isoformat(),
        "created_before": window.until.isoformat(),
    }
    return Call(purpose=Purpose.FIND, method="GET", path="/predictions", query=query)


def read_list(reply: Reply) -> Page:
    """Read a page of predictions; of those that ended an hour ago the input is taken away."""
    said = read_object(reply)
    following = said.get("next")
    if reply.status != OK or "next" not in said or not (following is None or web_url(following)):
        words = message_at(said, "detail") or "no list"
        raise UnreadableReply(f"Replicate answered HTTP {reply.status}: {words}")
    found = records(
        said.get("results"),
        task_id=("id",),
        model="model",
        time="created_at",
        state="status",
        inputs=("input",),
    )
    return Page(records=found, next=web_url(following))
