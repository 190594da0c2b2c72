"""How long to wait: before a retry, and when a server says so."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Final

from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

MAX_RETRY_AFTER: Final = 600.0
"""Seconds; who is told to wait longer stops and says until when (`docs/charge-safety.md`)."""

_LONGEST: Final = 1e12
"""Seconds; keeps an absurd number finite, so that arithmetic with it is safe."""

_LARGEST_EXPONENT: Final = 32
_YEARS: Final = range(1970, 2200)

# The three forms of RFC 9110, section 5.6.7; the parser below would also take looser ones.
_HTTP_DATE: Final = pattern(
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
    r"|[A-Z][a-z]{5,8}, [0-9]{2}-[A-Z][a-z]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}",
)


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, never below 0.

    Reads ASCII digits and HTTP dates (`now` must be aware); anything else is None. The caller
    compares the result with `MAX_RETRY_AFTER`. At ten o'clock:

        20                               20 seconds
        Sat, 21 Nov 2026 10:01:00 GMT    60 seconds
        soon                             None: nobody has said how long
    """
    value = (text or "").strip(" \t")
    if re.fullmatch(r"[0-9]+", value):
        return min(float(value), _LONGEST)
    moment = _moment(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that an answer asks to wait; `now` counts where it has no `Date`.

    A date is told by the clock of whoever sends it: ours may be wrong by years.
    """
    return parse_retry_after(headers.get("retry-after"), http_date(headers.get("date")) or now)


def http_date(text: str | None) -> datetime | None:
    """Return the time that a header's HTTP date names; None for anything else.

    Also for a year that is nobody's now: nothing can be added to the last day that there is.
    """
    moment = _moment(text)
    return moment if moment is not None and moment.year in _YEARS else None


def _moment(text: str | None) -> datetime | None:
    value = (text or "").strip(" \t")
    if not _HTTP_DATE.fullmatch(value):
        return None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # asctime carries no zone and means UTC (RFC 9110, section 5.6.7).
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def delay(
    attempt: int, random: Callable[[], float], *, base: float = 0.5, cap: float = 30.0
) -> float:
    """Return the seconds before retry number `attempt` (from 1), with full jitter.

    `random` gives a number in [0, 1); the result lies below both `cap` and `base * 2**attempt`.
    Source: AWS Architecture Blog, "Exponential Backoff And Jitter", 2015.

    >>> [delay(tries, lambda: 0.5) for tries in (1, 2, 3, 10)]
    [0.5, 1.0, 2.0, 15.0]
    """
    exponent = min(max(attempt, 0), _LARGEST_EXPONENT)
    return random() * min(cap, base * 2.0**exponent)
