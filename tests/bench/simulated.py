"""What the schedule of polls and the limit of requests are worth, simulated: exact."""

from __future__ import annotations

from typing import Final

ROWS: Final = ("lag-narrow", "lag-wide", "limited-batch")


def measure() -> dict[str, float | str]:
    """Return the ratios."""
    return dict.fromkeys(ROWS, "no simulation yet")
