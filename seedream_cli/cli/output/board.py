"""Draws how far a run is, and what is under way, to fit the terminal as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.text import clean, columns, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions
    from rich.text import Text

    from seedream_cli.cli.output.counts import Flight, Tally

_NAME: Final = 24
_BAR: Final = (8, 30)
_NARROW: Final = 60
_TALL: Final = 5
"""Columns under which, and lines from which on, the bar has a line to itself."""
_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"


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
        """Return the bar with all that fits beside it; on a narrow terminal a second line.

        One picture has no bar: its own line says all.
        """
        parts = self._tally.parts()
        if not parts:
            return []
        first, *others = parts
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
