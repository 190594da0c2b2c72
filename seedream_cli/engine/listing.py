"""Reads a provider's lists of recent requests and charges, page by page, for a window of time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import OutcomeUnknown, UnreadableReply, Unsent
from seedream_cli.core.model import Window
from seedream_cli.core.record import dataclass, field
from seedream_cli.transport.backoff import http_date
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from seedream_cli.core.model import Call, Page, Profile, Record, Reply
    from seedream_cli.engine.context import Context
    from seedream_cli.providers.spec import Provider

    Span = tuple[datetime, datetime]
    Ask = Callable[[Window, str | None], Call]
    Read = Callable[[Reply], Page]

SLACK: Final = timedelta(seconds=60)
"""So much more than a window is asked for: clocks that differ by less need no second question."""
_HAIR: Final = timedelta(seconds=2)
"""Headers name whole seconds, and answers take their time: so much is no difference of clocks."""
_NONE: Final = timedelta()
_MOST_PAGES: Final = 25
"""Who lists more in a window is asked in vain."""


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a list said, as far as it was read."""

    at: datetime
    """When it was asked, by our clock."""
    span: Span
    """What it was asked for, by the provider's clock."""
    records: list[Record] = field(default_factory=list)
    """Of requests one each, whichever state it was seen in last."""
    pages: int = 0
    date: datetime | None = None
    """When it answered, by the provider's clock; None: not every answer said so."""
    offset: timedelta = _NONE
    """The provider's clock less ours."""
    trouble: str = ""
    """Why not all of it could be read."""
    charges: Reading | None = None
    """What was charged in that time, where the provider lists it and somebody asked."""

    def covers(self, spans: Iterable[Span]) -> bool:
        """Tell whether all of these times were asked for."""
        return all(self.span[0] <= since and until <= self.span[1] for since, until in spans)

    def shift(self, span: Span) -> Span:
        """Return a span of our clock by the provider's."""
        return span[0] + self.offset, span[1] + self.offset


def read_requests(
    context: Context, profile: Profile, provider: Provider, model: str, span: Span
) -> Reading:
    """Read what an account asked of a model in a `span` of our clock.

    Where the provider's clock is far from ours, what is read the second time is that span by its.
    """
    find, listed, listing = provider.dialect.find, provider.dialect.listed, provider.listing
    assert find and listed and listing, "checked before"  # noqa: S101, PT018 - for the type checker

    def read(span: Span, offset: timedelta = _NONE) -> Reading:
        since, until = span[0] + offset, span[1] + offset
        if listing.is_until_now:
            until = max(until, context.clock.now() + offset + SLACK)
        window = Window(since=since, until=until, model=model)
        reading = _read(context, profile, find, listed, window, is_ordered=listing.is_newest_first)
        _unite(reading)
        return reading

    reading = read(span)
    # What was asked for by our clock may have missed the request: asked again by the provider's.
    if abs(reading.offset) > SLACK:
        first, reading = reading.offset, read(span, reading.offset)
        if abs(reading.offset - first) > SLACK:
            reading.trouble = reading.trouble or "its clock jumps"
    return reading


def _unite(reading: Reading) -> None:
    """Make one of the records of one task: it may stand on two pages, in two states."""
    found: dict[str, Record] = {}
    for record in reading.records:
        other = found.setdefault(record.task_id, record)
        if (other.model, other.at, other.input) != (record.model, record.at, record.input):
            reading.trouble = reading.trouble or f"it tells two things of {record.task_id}"
        found[record.task_id] = record
    reading.records = list(found.values())


def read_charges(
    context: Context, profile: Profile, provider: Provider, model: str, span: Span
) -> Reading:
    """Read what an account was charged in a `span` of the provider's clock."""
    ask, read = provider.dialect.charges, provider.dialect.charged
    assert ask and read, "checked before"  # noqa: S101, PT018 - for the type checker
    window = Window(since=span[0], until=span[1], model=model)
    return _read(context, profile, ask, read, window, is_ordered=False)


def _read(
    context: Context, profile: Profile, ask: Ask, read: Read, window: Window, *, is_ordered: bool
) -> Reading:
    """Read pages until there are no more; what keeps us from that is in `trouble`."""
    reading = Reading(at=context.clock.now(), span=(window.since, window.until))
    dates: list[datetime | None] = []
    cursor: str | None = None
    cursors: set[str | None] = set()
    while not reading.trouble:
        cursors.add(cursor)
        try:
            reply = context.transport.send(profile, ask(window, cursor), Limits())
            dates.append(http_date(reply.headers.get("date")))
            _set_clock(reading, dates, context.clock.now())
            page = read(reply)
        except (Unsent, OutcomeUnknown, UnreadableReply) as error:
            reading.trouble = error.message
            break
        reading.pages += 1
        reading.records += page.records
        # Newest first: behind a page that lies before the window there is nothing of it.
        is_past = is_ordered and all(each.at < window.since for each in page.records)
        cursor = page.next
        if cursor is None or (is_past and page.records):
            break
        # One that comes again leads in circles; a list that was not read whole proves nothing.
        if cursor in cursors or reading.pages >= _MOST_PAGES:
            reading.trouble = f"it does not end within {reading.pages} pages"
    return reading


def _set_clock(reading: Reading, dates: list[datetime | None], now: datetime) -> None:
    """Take the provider's clock from its answers: the first is what a span is shifted by."""
    known = [date for date in dates if date is not None]
    reading.date = min(known) if len(known) == len(dates) else None
    if len(dates) == 1 and dates[0] is not None:
        offset = dates[0] - now
        reading.offset = offset if abs(offset) > _HAIR else _NONE
