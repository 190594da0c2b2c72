"""Time that a test owns."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 20.0
"""Seconds: on the busiest machine what comes at once comes sooner; waits in vain are longer."""
BEGIN = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    """Time that moves only when somebody sleeps, and takes none."""

    at: datetime = BEGIN
    slept: list[float] = field(default_factory=list)
    at_sleep: Callable[[], None] = lambda: None
    """What happens meanwhile."""

    def now(self) -> datetime:
        """Return the wall time."""
        return self.at

    def monotonic(self) -> float:
        """Return the same time in seconds."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """Move on, by a microsecond at least: a float of today is not finer than that."""
        assert seconds >= 0
        self.slept.append(seconds)
        self.at += timedelta(microseconds=ceil(seconds * 1e6))
        self.at_sleep()


@dataclass
class SecondsClock:
    """The same, in plain seconds that a test sets and reads."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the wall time."""
        return BEGIN + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Return the seconds."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Move on."""
        assert seconds >= 0
        self.slept.append(seconds)
        self.seconds += seconds


def eventually(is_true: Callable[[], object]) -> None:
    """Wait for something that happens elsewhere; fail when it never does."""
    deadline = time.monotonic() + AT_ONCE
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
