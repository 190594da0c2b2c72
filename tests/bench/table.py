"""The rows of the table, what each is held against and its goal; verdicts and rendering. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EMPTY: Final = "python -c pass"
NEAR: Final = 0.05
"""Within this part of its goal, on either side, a row is at the limit: noise may decide."""
SLOW: Final = 2.0
"""A pair is left out where its base took so many times what it usually takes."""
FLOORS: Final = {
    "F": "import typer, sqlite3, platformdirs",
    "G": "import typer, sqlite3, platformdirs, httpx; httpx.Client()",
}
"""Programs that start-up is held against: what our libraries alone take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A ratio to reach, perhaps over a floor that the same run measures."""

    limit: float
    floor: str = ""
    is_least: bool = False
    """At least that; else at most."""

    def bound(self, floors: Mapping[str, float]) -> float:
        """Return the ratio meant."""
        return self.limit + (floors[self.floor] if self.floor else 0)

    def describe(self, floors: Mapping[str, float]) -> str:
        """Return it for the table: `≤ F+2 = 8.2`."""
        sign = "≥" if self.is_least else "≤"
        bound = f"{self.bound(floors):.3g}"
        return f"{sign} {self.floor}+{self.limit:g} = {bound}" if self.floor else f"{sign} {bound}"

    def judge(self, ratio: float, floors: Mapping[str, float]) -> str:
        """Return the verdict on a ratio."""
        bound = self.bound(floors)
        if abs(ratio - bound) <= NEAR * bound:
            return "at the limit"
        is_met = ratio >= bound if self.is_least else ratio <= bound
        return "met" if is_met else "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    """What `--only` calls it."""
    what: str
    against: str = EMPTY
    goal: Goal


ROWS: Final = (
    Row(name="version", what="--version", goal=Goal(limit=1.6)),
    Row(name="status", what="status of 50 jobs", goal=Goal(limit=2, floor="F")),
    Row(name="status-many", what="status of 50 of 100,000", goal=Goal(limit=3, floor="F")),
    Row(name="providers", what="providers", goal=Goal(limit=3, floor="F")),
    Row(name="help", what="generate --help", goal=Goal(limit=2, floor="F")),
    Row(name="generate", what="one generate on loopback", goal=Goal(limit=5, floor="G")),
    Row(name="tab", what="TAB for a job id", goal=Goal(limit=4)),
    Row(
        name="lag-narrow",
        what="mean lag, narrow, 10 known",
        against="fixed step",
        goal=Goal(limit=0.6),
    ),
    Row(
        name="lag-wide",
        what="mean lag, wide, none known",
        against="fixed step",
        goal=Goal(limit=1.0),
    ),
    Row(
        name="limited-batch",
        what="300 polled jobs, 20 in 10 s",
        against="2/(1+p)",
        goal=Goal(limit=0.9, is_least=True),
    ),
    Row(
        name="pictures",
        what="100 x 4 MiB, 8 at once, wall",
        against="curl + flush",
        goal=Goal(limit=2),
    ),
    Row(
        name="pictures-cpu",
        what="100 x 4 MiB, 8 at once, CPU",
        against="curl + flush",
        goal=Goal(limit=3),
    ),
    Row(
        name="check",
        what="--check, 10,000 x 100 KiB",
        against="sha256sum",
        goal=Goal(limit=2),
    ),
)


def median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the median of how often each pair's base (its first) goes into its second.

    >>> median_ratio([(1.0, 3.0), (1.0, 2.0), (9.0, 9.0)])  # the last base was disturbed
    2.5
    """
    most = SLOW * statistics.median(base for base, _ in pairs)
    return statistics.median(time / base for base, time in pairs if base <= most)


def render(found: Mapping[str, float | str], floors: Mapping[str, float]) -> Iterator[str]:
    """Yield the lines of the table; `found` has the ratio of a row, or why there is none."""
    for floor, ratio in floors.items():
        yield f"{floor} = {ratio:.2f}: {FLOORS[floor]}"
    yield _line("what", "against", "ratio", "goal", "verdict")
    for row in ROWS:
        match found.get(row.name):
            case None:
                continue
            case str(why):
                yield _line(row.what, row.against, "-", why)
            case ratio:
                goal, verdict = row.goal.describe(floors), row.goal.judge(ratio, floors)
                yield _line(row.what, row.against, f"{ratio:.2f}", f"{goal:<14}{verdict}")


def _line(what: str, against: str, ratio: str, *rest: str) -> str:
    return (
        f"{what:<28} {against:<14} {ratio:>5}  {''.join(f'{each:<14}' for each in rest)}".rstrip()
    )
