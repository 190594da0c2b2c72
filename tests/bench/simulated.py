"""What the schedule of polls and the limit of requests are worth, simulated by seed: exact."""

from __future__ import annotations

from typing import Final

ROWS: Final = ("lag-narrow", "lag-wide", "limited-batch")


def measure() -> dict[str, float | str]:
    """Return the ratios; of the wide spreads the worst, over all medians."""
    # It imports the program, which whoever starts the bench need not have.
    from support.simulation import MEDIANS, WIDE, Batch, Outcome, narrow, wide

    def ratio(outcomes: tuple[Outcome, Outcome]) -> float:
        ours, fixed = outcomes
        return ours.lag / fixed.lag

    return {
        "lag-narrow": ratio(narrow()),
        "lag-wide": max(ratio(wide(median, sigma)) for median in MEDIANS for sigma in WIDE),
        "limited-batch": Batch().run().share,
    }
