"""Waits are bounded whatever a server says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.transport.backoff import MAX_RETRY_AFTER, delay, parse_retry_after

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120\t", 120.0),
        ("007", 7.0),
        ("Sat, 21 Nov 2026 10:01:30 GMT", 90.0),
        ("Saturday, 21-Nov-26 10:00:05 GMT", 5.0),
        ("Sat Nov 21 10:00:05 2026", 5.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_seconds_and_http_dates_are_read(text: str, seconds: float) -> None:
    """ASCII digits and the three HTTP dates give seconds; the past is now."""
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "-5",
        "+5",
        "nan",
        "inf",
        "1e3",
        "1.5",
        "0x10",
        "1_000",
        "٣",
        "\uff15",
        "soon",
        "5 seconds",
        "5, 7",
        "5\n7",
        "2026-11-21T10:00:00Z",
        "Sat, 99 Nov 2026 10:00:00 GMT",
        "Sat, 21 Nov 2026 10:00:00 +0100",
        "Sat, 21 Foo 2026 10:00:00 GMT",
    ],
)
def test_anything_else_is_no_advice(text: str | None) -> None:
    """What is neither digits nor an HTTP date is not guessed at."""
    assert parse_retry_after(text, NOW) is None


@pytest.mark.parametrize("text", ["10000000000", "9" * 500])
def test_an_absurd_wait_is_large_and_finite(text: str) -> None:
    """A huge number exceeds the limit and stays usable in arithmetic."""
    seconds = parse_retry_after(text, NOW)
    assert seconds is not None
    assert MAX_RETRY_AFTER < seconds < float("inf")


@given(st.text(max_size=40))
@settings(max_examples=100)
def test_no_header_breaks_the_parser(text: str) -> None:
    """Any text gives None or a number of seconds that is not negative."""
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10**8))
@settings(max_examples=50)
def test_a_date_means_the_time_until_then(seconds: int) -> None:
    """An HTTP date is read back as the span that it was made from."""
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(header, NOW) == seconds


def test_delays_double_up_to_the_cap() -> None:
    """The longest delay of each attempt doubles, and ends at the cap."""
    longest = [delay(attempt, lambda: 1.0, base=1.0, cap=10.0) for attempt in range(1, 6)]
    assert longest == [2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("attempt", [0, 1, 50, 10_000])
def test_jitter_is_full_for_any_attempt(attempt: int) -> None:
    """The delay is the random share of its bound, from nothing on, however late the attempt."""
    assert delay(attempt, lambda: 0.0, base=1.0, cap=30.0) == 0.0
    whole = delay(attempt, lambda: 1.0, base=1.0, cap=30.0)
    assert delay(attempt, lambda: 0.5, base=1.0, cap=30.0) == whole / 2
    assert whole <= 30.0
