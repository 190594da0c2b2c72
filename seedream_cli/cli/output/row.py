"""How a row of a batch looks when it is done with: its sentence, and many alike counted."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output.job import WORDS, hint_lines
from seedream_cli.core import money as price
from seedream_cli.core.model import Charge, State
from seedream_cli.core.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seedream_cli.core.events import RowEnded
    from seedream_cli.core.model import Money

_MINUTE: Final = 60.0
_LEFT_TOLD: Final = 3
_ALIKE_TOLD: Final = 12
_WERE_LEFT: Final = "were left"
"""Rows that were left and are told one by one: after a stop there may be thousands."""
_WORDS: Final = {**WORDS, State.SAVED: "was not made"}


def is_good(ended: RowEnded) -> bool:
    """Tell whether the picture is on disk and nothing is wrong with it."""
    return ended.state is State.SAVED and ended.problem is None


def is_left(ended: RowEnded) -> bool:
    """Tell whether this run did not get to the row, nothing being wrong with it."""
    is_stopped = ended.problem is None or ended.problem.code == "interrupted"
    return ended.state is State.PLANNED and is_stopped


def sentence(ended: RowEnded) -> str:
    """Say on one line what became of a row, whether it cost anything; the hint on a second."""
    name = clean(ended.row, one_line=True)
    if is_good(ended):
        facts = [_about(ended, ended.money)] if ended.money else []
        facts += [span(ended.seconds)] if ended.seconds is not None else []
        where = f" {clean(ended.path, one_line=True)}" if ended.path else ""
        return f"{name} saved{where}" + (f" ({', '.join(facts)})" if facts else "")
    problem = ended.problem
    words, what = ("was left" if is_left(ended) else _WORDS[ended.state]), explain(ended)
    joint = ": " if problem is not None and problem.message else "; "
    text = f"{name} {words}{joint if what else ''}{what}"
    return text + hint_lines(problem.hint if problem else "")


def explain(ended: RowEnded) -> str:
    """Say why a row was not made, and whether that cost anything, as far as both are known."""
    message, paid = ended.problem.message if ended.problem else "", _paid(ended)
    is_said = "charged" in message or "paid" in message
    words = (clean(message, one_line=True), "" if is_said else paid)
    return "; ".join(filter(None, words))


def span(seconds: float) -> str:
    """Write how long something took: `0.4 s`, `12 s`, `3 min`."""
    if seconds < 9.95:  # noqa: PLR2004 - from here on it would print as `10.0`
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 2 * _MINUTE else f"{seconds / _MINUTE:.0f} min"


def _about(ended: RowEnded, money: Money) -> str:
    return f"{'about ' if ended.is_estimate else ''}{price.show(money)}"


def _paid(ended: RowEnded) -> str:
    """Say whether a row that was not made cost anything; empty where that is not known."""
    match ended.charge or _charge_of(ended):
        case Charge.NONE:
            return "" if is_left(ended) else "nothing was charged"
        case Charge.CHARGED:
            return f"it cost {_about(ended, ended.money)}" if ended.money else "it is paid"
        case Charge.MAYBE if ended.money:
            return f"it may have cost {_about(ended, ended.money)}"
        case Charge.MAYBE:
            return "it may have been charged"
        case None:
            return ""


def _charge_of(ended: RowEnded) -> Charge | None:
    """Return what a row's state tells of its charge (`docs/cli.md`, "Words")."""
    match ended.state:
        case State.REFUSED | State.PLANNED:
            return Charge.NONE
        case State.RUNNING | State.READY | State.SAVED | State.EXPIRED:
            return Charge.CHARGED
        case State.SENDING | State.UNKNOWN:
            return Charge.MAYBE
        case State.FAILED | State.CLOSED:
            return Charge.MAYBE if ended.money else None


class Alike:
    """Lets the first few of many alike be told, and counts the others."""

    def __init__(self) -> None:
        """Begin to count."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def is_told(self, ended: RowEnded) -> bool:
        """Tell whether this one is to be told; any thread may ask, once for each."""
        words = _WERE_LEFT if is_left(ended) else _WORDS[ended.state]
        reason = ended.problem.message if ended.problem and not is_left(ended) else ""
        with self._lock:
            self._counts[words, reason] += 1
            return self._counts[words, reason] <= self._most(words)

    def rest(self) -> Iterator[str]:
        """Yield a line for each kind of which more came than were told, and begin anew."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        for (words, reason), count in counts.items():
            more = count - self._most(words)
            if more > 0:
                like = words if words == _WERE_LEFT else "like this"
                yield f"… and {more} more {like}" + (f": {reason}" if reason else "")

    @staticmethod
    def _most(words: str) -> int:
        return _LEFT_TOLD if words == _WERE_LEFT else _ALIKE_TOLD
