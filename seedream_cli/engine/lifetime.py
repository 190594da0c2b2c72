"""Until when a provider keeps what it made: final verdicts are a matter of the clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Problem, Purpose
from seedream_cli.providers.ark.answers import expiry
from seedream_cli.transport.backoff import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from seedream_cli.core.model import Done, Image, Job, Reply, Running
    from seedream_cli.engine.context import Context
    from seedream_cli.providers.spec import Provider

UNDOCUMENTED: Final = timedelta(days=14)
"""How long a URL is tried whose lifetime its provider does not name: the longest that one does."""
LAPSED: Final = Problem("expired", "its URL has lapsed, and the picture is gone; it was made")
_LATENESS: Final = timedelta(hours=1)
"""What should have lapsed is still tried for so long."""


def lapse_of(
    context: Context, job: Job, done: Done, reply: Reply, else_after: timedelta | None = None
) -> datetime | None:
    """Return when the URLs of an answer lapse that do not say it themselves; None: not documented.

    They live from when the provider was done, else from when it said so, by its own clock where it
    tells that: ours may be wrong by years. `else_after` stands for a lifetime that nobody names.
    """
    lifetime = context.provider(job).url_lifetime or else_after
    said_at, ended_at = _answer_time(reply.headers), done.ended_at
    if reply.purpose is not Purpose.POLL and ended_at is not None and said_at is not None:
        # An answer at once is of now; a gateway may leave the time of a sample in it.
        ended_at = ended_at if abs(said_at - ended_at) < _LATENESS else None
    began = ended_at or said_at or context.clock.now()
    return began + lifetime if lifetime else None


def lapse_of_url(url: str, provider: Provider, now: datetime) -> datetime:
    """Return when a URL lapses that a person named: by its own words, else counted from `now`."""
    return expiry(url) or now + (provider.url_lifetime or UNDOCUMENTED)


def has_lapsed(context: Context, job: Job, image: Image, date: datetime | None) -> bool:
    """Tell whether the URL of a picture is over by the clock: by `date`, its host's, else ours.

    A URL that ends at noon is tried until one o'clock. One whose end nobody names is tried for
    14 days from when we last heard of its job, and an hour. A host that says 404 before that is
    asked again: only the clock makes a paid picture `expired`.
    """
    lapses = image.expires_at
    if lapses is None:
        at, headers = context.ledger.newest_hearing(job.id) or (job.created_at, {})
        lapses = (_answer_time(headers) or at) + UNDOCUMENTED
    return (date or context.clock.now()) > lapses + _LATENESS


def may_live(job: Job, image: Image, now: datetime) -> bool:
    """Tell whether the URL of a picture may live; where nobody says how long, it is tried."""
    if image.problem is not None or image.url is None:
        return False
    return (image.expires_at or (job.finished_at or job.created_at) + UNDOCUMENTED) > now


def is_disputable(image: Image) -> bool:
    """Tell whether a picture was given up by a word of old versions, and not by the clock."""
    is_gone = image.problem is not None and image.problem.code == LAPSED.code
    return is_gone and image.url is not None and image.problem != LAPSED


def is_record_over(context: Context, job: Job, done: Done | Running, reply: Reply) -> bool:
    """Tell whether a provider has had all the time there is to bring the pictures of a task."""
    began = done.ended_at or job.sent_at or job.created_at
    now = _answer_time(reply.headers) or context.clock.now()
    return now > began + record_lifetime(context, job)


def record_lifetime(context: Context, job: Job) -> timedelta:
    """Return how long a provider can be asked about a task."""
    return (context.provider(job).url_lifetime or UNDOCUMENTED) + _LATENESS


def _answer_time(headers: Mapping[str, str]) -> datetime | None:
    """Return when an answer was given, by its server's clock."""
    return http_date(headers.get("date"))
