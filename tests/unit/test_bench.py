"""The pure parts of `tests/bench`; the bench itself is run by hand."""

from __future__ import annotations

import pytest
from bench import canned, files, simulated, startup
from bench.table import EMPTY, FLOORS, ROWS, Goal, median_ratio, render

from seedream_cli.storage.files.image_format import inspect

AT_MOST = Goal(limit=2)
OVER_A_FLOOR = Goal(limit=2, floor="F")
AT_LEAST = Goal(limit=0.9, is_least=True)
F, G = 6.0, 11.2


@pytest.mark.parametrize(
    ("goal", "ratio", "verdict"),
    [
        (AT_MOST, 1.5, "met"),
        (AT_MOST, 1.95, "at the limit"),
        (AT_MOST, 2.05, "at the limit"),
        (AT_MOST, 2.2, "missed"),
        (OVER_A_FLOOR, 7.0, "met"),
        (OVER_A_FLOOR, 8.3, "at the limit"),
        (OVER_A_FLOOR, 9.0, "missed"),
        (AT_LEAST, 0.97, "met"),
        (AT_LEAST, 0.89, "at the limit"),
        (AT_LEAST, 0.8, "missed"),
    ],
)
def test_a_ratio_is_judged_by_its_goal(goal: Goal, ratio: float, verdict: str) -> None:
    """Near its goal, on either side, a row is at the limit: chance may decide."""
    assert goal.judge(ratio, {"F": F}) == verdict


def test_a_disturbed_pair_does_not_count() -> None:
    """What the machine did else while a base ran changes no ratio."""
    quiet = [(1.0, 3.0), (2.0, 8.0), (1.0, 5.0)]
    assert median_ratio(quiet) == 4.0
    assert median_ratio([*quiet, (9.0, 1.0)]) == 4.0


def test_the_table_fits_a_terminal() -> None:
    """No line is wider than 80 columns, whatever was measured or could not be."""
    ratios = dict.fromkeys((row.name for row in ROWS), 123.456)
    reasons = dict.fromkeys(ratios, "no sha256sum on this machine")
    for found in (ratios, reasons):
        lines = list(render(found, {"F": F, "G": G}))
        assert len(lines) == len(FLOORS) + 1 + len(ROWS)
        assert max(map(len, lines)) <= 80, lines


def test_only_what_was_asked_for_is_shown() -> None:
    """A row that was not measured has no line; one that could not be says why."""
    *_, line = lines = list(render({"check": "no sha256sum"}, {}))
    assert len(lines) == 2
    assert line.split()[-2:] == ["no", "sha256sum"]


def test_every_promise_has_its_row() -> None:
    """What is promised of speed stands in the table, with its goal, and somebody measures it."""
    goals = {row.name: (row.against == EMPTY, row.goal.describe({"F": 0, "G": 0})) for row in ROWS}
    assert goals == {
        "version": (True, "≤ 1.6"),
        "status": (True, "≤ F+2 = 2"),
        "status-many": (True, "≤ F+3 = 3"),
        "providers": (True, "≤ F+3 = 3"),
        "help": (True, "≤ F+2 = 2"),
        "generate": (True, "≤ G+5 = 5"),
        "tab": (True, "≤ 4"),
        "lag-narrow": (False, "≤ 0.6"),
        "lag-wide": (False, "≤ 1"),
        "limited-batch": (False, "≥ 0.9"),
        "pictures": (False, "≤ 2"),
        "pictures-cpu": (False, "≤ 3"),
        "check": (False, "≤ 2"),
    }
    measured = [*startup.COMMANDS, *simulated.ROWS, *files.FETCHING, *files.CHECKING]
    assert sorted(measured) == sorted(goals)


def test_its_pictures_are_whole() -> None:
    """A batch that is measured does not spend its time on what is odd about a picture."""
    picture = canned.picture(files.SMALL, b"0")
    assert inspect(picture).format == "png"
    assert inspect(picture).finding is None
    assert 0 <= len(picture) - files.SMALL < 1000
