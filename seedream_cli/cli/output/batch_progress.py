"""What a person sees on stderr while a batch runs: one bar over all, and what is under way."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output.counts import Flight, Tally, is_good, is_left
from seedream_cli.cli.output.job import hint_lines
from seedream_cli.cli.output.progress import Plain, Screen, is_live, is_warning, line_of, terminal
from seedream_cli.core import money as price
from seedream_cli.core.events import (
    BytesReceived,
    Exchange,
    ImageSaved,
    JobChanged,
    Note,
    RowEnded,
    Waiting,
)
from seedream_cli.core.model import Charge, State
from seedream_cli.core.text import clean, columns, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console, ConsoleOptions
    from rich.live import Live as RichLive
    from rich.text import Text

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Money

__all__ = [
    "Board",
    "LiveBatch",
    "PlainBatch",
    "batch_observer",
    "is_good",
    "is_left",
    "sentence",
    "span",
]

_MINUTE: Final = 60.0
_LEFT_TOLD: Final = 3
_ALIKE_TOLD: Final = 12
_WERE_LEFT: Final = "were left"
"""Rows that were left and are told one by one: after a stop there may be thousands."""
_NAME: Final = 24
_BAR: Final = (8, 30)
_NARROW: Final = 60
_TALL: Final = 5
"""Columns under which, and lines from which on, the bar has a line to itself."""
_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"
_WORDS: Final = {
    State.PLANNED: "was not sent",
    State.SENDING: "is being sent",
    State.RUNNING: "is not finished",
    State.READY: "is not saved yet",
    State.SAVED: "was not made",
    State.REFUSED: "was refused",
    State.FAILED: "failed",
    State.UNKNOWN: "has an unknown outcome",
    State.EXPIRED: "is lost",
    State.CLOSED: "was not sent",
}


def sentence(ended: RowEnded) -> str:
    """Say on one line what became of a row, whether it cost anything; the hint on a second."""
    name = clean(ended.row, one_line=True)
    if is_good(ended):
        facts = [_about(ended, ended.money)] if ended.money else []
        facts += [span(ended.seconds)] if ended.seconds is not None else []
        where = f" {clean(ended.path, one_line=True)}" if ended.path else ""
        return f"{name} saved{where}" + (f" ({', '.join(facts)})" if facts else "")
    problem, paid = ended.problem, _paid(ended)
    text = f"{name} {'was left' if is_left(ended) else _WORDS[ended.state]}"
    if problem is not None and problem.message:
        text += f": {clean(problem.message, one_line=True)}"
        paid = "" if "charged" in problem.message or "paid" in problem.message else paid
    text += f"; {paid}" if paid else ""
    return text + hint_lines(problem.hint if problem else "")


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
    """Return what a row's state tells of its charge (`cli.md`, "Words")."""
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


class PlainBatch(Plain):
    """A line for each row that ended, and how far it is once a minute; errors only when `quiet`."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: int = 0,
        is_ci: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to stderr; `monotonic` counts seconds."""
        super().__init__(quiet=quiet, verbose=verbose, is_ci=is_ci)
        self.tally = Tally(monotonic)
        self._turn = threading.Lock()
        self._said_at = monotonic()
        self._alike = Alike()

    def expect(self, total: int, current: int, fetch: int = 0) -> None:
        """Expect `total` pictures to make and `fetch` to save that are bought already."""
        self.tally.expect(total + fetch, current)
        self._said_at = self.tally.monotonic()

    def __call__(self, event: Event) -> None:
        """Count it, and write what is worth a line."""
        self.tally.take(event)
        match event:
            case RowEnded():
                self._tell(event)
            case Note() | Exchange():
                text = line_of(event, self._verbose)
                if text:
                    self.say(text, is_error=is_warning(event))
            case JobChanged() | Waiting() | BytesReceived() | ImageSaved():
                pass
        self.tick()

    def aside(self) -> AbstractContextManager[object]:
        """Let something else write to the terminal: here nothing is in its way."""
        return nullcontext()

    def tick(self) -> None:
        """Say how far it is, where a minute has passed since it was said."""
        now = self.tally.monotonic()
        with self._turn:
            if now - self._said_at < _MINUTE or not self.tally.is_under_way():
                return
            self._said_at = now
        self.say(self.tally.line())

    def __exit__(self, *_: object) -> None:
        """Count the rows that were not told."""
        for line in self._alike.rest():
            self.say(line)

    def _tell(self, ended: RowEnded) -> None:
        if not is_good(ended) and not self._alike.is_told(ended):
            return
        self.say(sentence(ended), is_error=not is_good(ended) and not is_left(ended))


class LiveBatch(Screen):
    """One bar over all and a line for each job under way, as many as fit (Rich, on a terminal)."""

    def __init__(
        self,
        *,
        verbose: int = 0,
        console: Console | None = None,
        shares_stdout: bool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the display on `console`, else on stderr; nothing is shown yet.

        `shares_stdout`: results are printed on a terminal too (None: look whether they are).
        """
        super().__init__(verbose=verbose)
        self.tally = Tally(monotonic)
        self._console = console
        self._shares_stdout = os.isatty(1) if shares_stdout is None else shares_stdout
        self._aside = threading.RLock()
        self._alike = Alike()

    def expect(self, total: int, current: int, fetch: int = 0) -> None:
        """Expect `total` pictures to make and `fetch` to save that are bought already."""
        self.tally.expect(total + fetch, current)

    def tick(self) -> None:
        """Nothing to do: the display moves by itself."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the moving lines away while something else, stdout, writes to the terminal."""
        with self._aside:
            is_shown = self._shares_stdout and self._screen is not None
            if is_shown:
                super().__exit__()
            try:
                yield
            finally:
                # A display of Rich that is started again wipes what was written meanwhile.
                if is_shown:
                    super().__enter__()

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write a line above the moving ones, or between those of who is aside."""
        with self._aside:
            super().say(text, is_error=is_error)

    def __exit__(self, *_: object) -> None:
        """Give the lines back, when nobody is aside any more."""
        with self._aside:
            super().__exit__()
        for line in self._alike.rest():
            self.say(line)

    def _open(self) -> RichLive:
        from rich.live import Live as RichLive

        if self._console is None:
            self._console = terminal()
        return RichLive(
            Board(self.tally), console=self._console, transient=True, refresh_per_second=8
        )

    def __call__(self, event: Event) -> None:
        """Count it; what went wrong and what else is said stands above the bar."""
        self.tally.take(event)
        match event:
            case RowEnded() if not is_good(event) and not is_left(event):
                if self._alike.is_told(event):
                    self.say(sentence(event), is_error=True)
            case Note() | Exchange():
                text = line_of(event, self._verbose)
                if text:
                    self.say(text, is_error=is_warning(event))
            case _:
                pass


class Board:
    """Draws a tally anew at every refresh, so that it always fits the terminal as it is."""

    def __init__(self, tally: Tally) -> None:
        """Draw this tally."""
        self._tally = tally

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the bar, then as many jobs as there is room for."""
        width, encoding = max(1, options.max_width - 1), console.encoding
        # One line stays free for the cursor, one for what was said last.
        height = max(1, options.size.height - 2)
        overall = self._overall(width, encoding, is_tall=height >= _TALL)
        yield from overall
        room = height - len(overall)
        flights, count = self._tally.flights(room)
        if count > room > 0:
            flights = flights[: room - 1]
        for flight in flights:
            yield _line(self._flight(flight, width, encoding), width, encoding)
        if count > room > 0:
            yield _line(f"  and {count - len(flights)} more", width, encoding)

    def _overall(self, width: int, encoding: str, *, is_tall: bool) -> list[Text]:
        """Return the bar with all that fits beside it; on a narrow terminal a second line."""
        first, *others = self._tally.parts()
        is_split = is_tall and width < _NARROW and bool(others)
        beside = [first] if is_split else _fitting([first, *others], width - _BAR[0] - 1)
        lines = [self._bar(", ".join(beside), width, encoding)]
        if is_split:
            lines.append(_line(", ".join(_fitting(others, width)), width, encoding))
        return lines

    def _bar(self, words: str, width: int, encoding: str) -> Text:
        shortest, longest = _BAR
        room = min(longest, width - columns(words) - 1)
        if room < shortest:
            return _line(words, width, encoding)
        full, empty = ("━", "─") if _is_utf(encoding) else ("#", "-")
        filled = int(room * self._tally.fraction())
        text = _line(full * filled + empty * (room - filled) + f" {words}", width, encoding)
        text.stylize("green", 0, filled)
        text.stylize("dim", filled, room)
        return text

    def _flight(self, flight: Flight, width: int, encoding: str) -> str:
        now = self._tally.monotonic()
        minutes, seconds = divmod(int(max(0.0, now - flight.since)), 60)
        frames = _FRAMES if _is_utf(encoding) else _PLAIN_FRAMES
        frame = frames[int(now * 8) % len(frames)]
        before = f"{frame} {minutes:>2}:{seconds:02} "
        words = f" {clean(flight.words, one_line=True)}"
        # At most half of the line: else every change of words would move them to and fro.
        room = min(max(_NAME, width - columns(before + words)), width // 2)
        return f"{before}{shorten(clean(flight.name, one_line=True), room)}{words}"


def _fitting(parts: list[str], width: int) -> list[str]:
    """Return the first of these parts, as many as fit; a word goes before a whole fact does."""
    if columns(", ".join(parts)) > width:
        parts = [f"~{part.removeprefix('about ')}" if _is_rough(part) else part for part in parts]
    while len(parts) > 1 and columns(", ".join(parts)) > width:
        parts = parts[:-1]
    return parts


def _is_rough(part: str) -> bool:
    return part.startswith("about ")


def _line(line: str, width: int, encoding: str) -> Text:
    """Return a line of at most `width` columns in letters that the terminal has."""
    from rich.text import Text

    if _is_utf(encoding):
        return Text(shorten(line, width), no_wrap=True, overflow="crop")
    line = shorten(line.replace("…", "~").encode(encoding, "replace").decode(encoding), width)
    return Text(line.replace("…", "~"), no_wrap=True, overflow="crop")


def _is_utf(encoding: str) -> bool:
    return encoding.lower().startswith("utf")


def batch_observer(
    environ: Mapping[str, str], *, quiet: bool, verbose: int
) -> PlainBatch | LiveBatch:
    """Choose how to show a batch on this stderr."""
    if not is_live(environ, quiet=quiet):
        return PlainBatch(quiet=quiet, verbose=verbose, is_ci=bool(environ.get("CI")))
    return LiveBatch(verbose=verbose)
