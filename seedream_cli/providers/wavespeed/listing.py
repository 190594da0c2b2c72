"""WaveSpeed's lists of recent tasks and of charges (wavespeed.ai/docs, 2026-11-30).

Their page on errors, retries and timeouts asks for just that: look through recent predictions, and
never repeat a submit by machine.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.model import REFUND, Call, Page, Purpose
from seedream_cli.providers.reading import (
    OK,
    at,
    message_at,
    read_object,
    records,
    whole_at,
)
from seedream_cli.providers.spec import Listing

if TYPE_CHECKING:
    from seedream_cli.core.model import Reply, Window

_PAGE: Final = 100
_DEDUCT: Final = "deduct"

LISTING: Final = Listing(kept=timedelta(days=7), empty_looks=2)
"""API and web runs of the last seven days, running ones too."""


def find(window: Window, cursor: str | None) -> Call:
    """Ask for a page of tasks of all models: a list, in spite of its method."""
    body = {
        "page": int(cursor or 1),
        "page_size": _PAGE,
        "created_after": window.since.isoformat(),
        "created_before": window.until.isoformat(),
    }
    return Call(purpose=Purpose.FIND, method="POST", path="/predictions", body=body)


def read_list(reply: Reply) -> Page:
    """Read a page of tasks; `inputs` stands in the official clients' types, not in the document."""
    items, page = _items(reply)
    found = records(
        items,
        task_id=("id",),
        model="model",
        time="created_at",
        state="status",
        inputs=("inputs", "input"),
    )
    return Page(records=found, next=str(page + 1) if len(found) >= _PAGE else None)


def charges(window: Window, cursor: str | None) -> Call:
    """Ask for a page of what was charged, then of what was given back."""
    kind, _, page = (cursor or _DEDUCT).partition(":")
    body = {
        "page": int(page or 1),
        "page_size": _PAGE,
        "billing_type": kind,
        "start_time": window.since.isoformat(),
        "end_time": window.until.isoformat(),
    }
    return Call(purpose=Purpose.FIND, method="POST", path="/billings/search", body=body)


def read_charges(reply: Reply) -> Page:
    """Read a page of charges or refunds; where nothing was charged, nothing was given back."""
    items, page = _items(reply)
    found = records(items, task_id=("prediction", "uuid"), time="created_at", state="billing_type")
    kinds = {each.state for each in found}
    if len(kinds) > 1 or not kinds <= {_DEDUCT, REFUND}:
        raise UnreadableReply("WaveSpeed lists what is neither a charge nor a refund")
    kind = next(iter(kinds), "")
    following = f"{kind}:{page + 1}" if len(found) >= _PAGE else None
    return Page(records=found, next=REFUND if kind == _DEDUCT and not following else following)


def _items(reply: Reply) -> tuple[object, int]:
    """Return what a page holds, and its number; raise `UnreadableReply` for anything else."""
    said = read_object(reply)
    page = whole_at(said, "data", "page")
    if (reply.status, whole_at(said, "code")) != (OK, OK) or page is None:
        words = message_at(said, "message") or "no list"
        raise UnreadableReply(f"WaveSpeed answered HTTP {reply.status}: {words}")
    return at(said, "data", "items"), page
