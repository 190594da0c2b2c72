"""Colour on a terminal: it says once more what the words say, and never says it alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TextIO

from seedream_cli.core.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from seedream_cli.core.model import Job

    Paint = Callable[[str, str], str]
    """Takes a text and a style of Rich; returns it with that style, or as it is."""

# The sixteen colours that every terminal has its own shades of, for dark and light grounds.
ERROR: Final = "bold red"
SOON: Final = "bold yellow"
STATES: Final[Mapping[State, str]] = {
    State.PLANNED: "cyan",
    State.SENDING: "cyan",
    State.RUNNING: "cyan",
    State.READY: "yellow",
    State.SAVED: "green",
    State.REFUSED: "red",
    State.FAILED: "red",
    State.UNKNOWN: SOON,
    State.EXPIRED: "red",
    State.CLOSED: "dim",
}
LAPSES_SOON: Final = timedelta(hours=2)
_ID: Final = 8
"""Letters of a job's id, at the beginning of its row."""


def painter(stream: TextIO, environ: Mapping[str, str]) -> Paint:
    """Return what paints for a stream: nothing unless it is a terminal that shows colours.

    https://no-color.org (2026-11-30): NO_COLOR, when present and not empty, is a no.
    """
    is_off = bool(environ.get("NO_COLOR")) or environ.get("TERM", "") in {"", "dumb"}
    try:
        is_off = is_off or not stream.isatty()
    except (AttributeError, ValueError):
        is_off = True
    if is_off:
        return lambda text, _: text
    from rich.color import ColorSystem
    from rich.style import Style

    return lambda text, style: Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def paint_row(paint: Paint, job: Job, now: datetime, line: str) -> str:
    """Paint the state of a job's row, and the time left where it lapses soon."""
    head, rest = line[:_ID], line[_ID:]
    state = job.state.value
    before, word, after = rest.partition(state)
    if word and is_soon(job, now):
        left = after.lstrip()
        gap, cell = after[: len(after) - len(left)], left.partition("  ")[0]
        after = f"{gap}{paint(cell, SOON)}{left[len(cell) :]}"
    return f"{head}{before}{paint(word, STATES[job.state]) if word else ''}{after}"


def is_soon(job: Job, now: datetime) -> bool:
    """Tell whether a picture that is not on disk lapses soon."""
    waiting = (each for each in job.images if not each.saved_at and not each.problem)
    ends = (each.expires_at for each in waiting if each.expires_at is not None)
    return job.state is State.READY and any(end - now < LAPSES_SOON for end in ends)


def paint_detail(paint: Paint, job: Job, now: datetime, line: str) -> str:
    """Paint a line of what is told of one job."""
    if line.startswith("state    "):
        word = job.state.value
        return line.replace(word, paint(word, STATES[job.state]), 1)
    if line.startswith("problem  "):
        return paint("problem", ERROR) + line.removeprefix("problem")
    if line.startswith("image    ") and ", lapses in " in line and is_soon(job, now):
        before, mark, after = line.partition("lapses in ")
        return before + paint(mark + after, SOON)
    return line
