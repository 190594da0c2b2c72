"""What a person sees on stderr while jobs run: moving lines on a terminal, plain lines else."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol, Self

from seedream_cli.cli.output.counts import Tally, words_of
from seedream_cli.cli.output.row import Alike, is_good, is_left, sentence
from seedream_cli.cli.output.stdout import write_note
from seedream_cli.core.events import (
    BytesReceived,
    Exchange,
    ImageSaved,
    JobChanged,
    Note,
    RowEnded,
    Waiting,
)
from seedream_cli.core.text import clean, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console
    from rich.live import Live as RichLive

    from seedream_cli.cli.output.forecast import Forecast
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job

_MINUTE = 60.0
STILL = "SEEDREAM_NO_PROGRESS"
"""The variable that says `--no-progress` for every command."""


class Observer(Protocol):
    """Hears the engine, from any thread."""

    def __call__(self, event: Event) -> None:
        """Take one event."""
        ...

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write a line for people."""
        ...

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Leave the screen clean."""
        ...


class Plain:
    """A line a change of state, and how far it is once a minute; errors only when `quiet`.

    Of a batch, `by_row`, a line for each row that ended: what thousands do meanwhile fills a log.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: int = 0,
        is_ci: bool = True,
        by_row: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to stderr; `monotonic` counts seconds."""
        self.tally = Tally(monotonic)
        self._is_ci = is_ci
        self._quiet = quiet
        self._verbose = verbose
        self._by_row = by_row
        self._lock = threading.Lock()
        self._alike = Alike()
        self._last: dict[str, str] = {}
        self._said_at = monotonic()

    def expect(
        self,
        total: int,
        current: int = 0,
        *,
        at_once: int = 1,
        forecast: Callable[[Job], Forecast | None] = lambda _: None,
        pictures: Callable[[Job], int] = lambda _: 1,
    ) -> None:
        """Expect `total` pictures, as `Tally.expect` does."""
        self.tally.expect(total, current, at_once=at_once, forecast=forecast, pictures=pictures)
        self._said_at = self.tally.monotonic()

    def __call__(self, event: Event) -> None:
        """Count it, and write what is worth a line."""
        self.tally.take(event)
        match event:
            case RowEnded():
                self._tell(event)
            case JobChanged() | Waiting():
                if not self._by_row and self._is_news(event):
                    self._say_line(event)
            case _:
                self._say_line(event)
        self.tick()

    def _tell(self, ended: RowEnded) -> None:
        """Say how a row ended; of many alike the first ones."""
        if is_good(ended) or self._alike.is_told(ended):
            self.say(sentence(ended), is_error=not is_good(ended) and not is_left(ended))

    def _is_news(self, event: JobChanged | Waiting) -> bool:
        """Tell whether a job's state, or its provider's word, is another than it was."""
        if isinstance(event, Waiting):
            return True
        before, words = self._last.get(event.job.id), words_of(event.job, event.word)
        self._last[event.job.id] = words
        return words != before

    def _say_line(self, event: Event) -> None:
        if text := line_of(event, self._verbose):
            self.say(text, is_error=isinstance(event, Note) and event.is_warning)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let something else write to the terminal: here nothing is in its way."""
        yield

    def tick(self) -> None:
        """Say how far it is, where a minute has passed since it was said."""
        now = self.tally.monotonic()
        with self._lock:
            # A log is told once a minute that it goes on; a terminal sees it move.
            if now - self._said_at < _MINUTE or not self.tally.is_under_way():
                return
            self._said_at = now
        self.say(self.tally.line())

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write a line for people, cleaned of whatever a terminal would obey."""
        if self._quiet and not is_error:
            return
        with self._lock:
            try:
                write_note(f"seedream: {text}" if is_error else text, is_ci=self._is_ci)
            except (OSError, ValueError):
                # Nobody reads any more; what is being paid for goes on all the same.
                self._quiet = True

    def __enter__(self) -> Self:
        """Nothing to set up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Count the rows that were not told."""
        for line in self._alike.rest():
            self.say(line)


def terminal() -> Console:
    """Return stderr for moving lines, a little narrower than it is.

    A terminal shows Ctrl-C as `^C` where the last line ends; in a new line below, it would leave
    that one standing.
    """
    from rich.console import Console, ConsoleOptions

    class Narrow(Console):
        @property
        def options(self) -> ConsoleOptions:
            return super().options.update(width=max(1, self.width - len("^C")))

    return Narrow(stderr=True, markup=False, highlight=False)


class Live(Plain):
    """The terminal's last lines: one bar over all, and a line for each job under way (Rich).

    What is said, and what went wrong, stands above them; when it is over they are gone.
    """

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
        super().__init__(verbose=verbose, is_ci=False, by_row=True, monotonic=monotonic)
        self._console = console
        self._shares_stdout = os.isatty(1) if shares_stdout is None else shares_stdout
        self._aside = threading.RLock()
        self._screen: RichLive | None = None

    def tick(self) -> None:
        """Nothing to do: the display moves by itself."""

    def _tell(self, ended: RowEnded) -> None:
        """Say what went wrong; the rest is counted on the board, and left rows at the end."""
        if not is_good(ended) and not is_left(ended):
            super()._tell(ended)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the moving lines away while something else, stdout, writes to the terminal."""
        with self._aside:
            is_shown = self._shares_stdout and self._screen is not None
            if is_shown:
                self._stop()
            try:
                yield
            finally:
                # A display of Rich that is started again wipes what was written meanwhile.
                if is_shown:
                    self.__enter__()

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write a line above the moving ones, or between those of who is aside."""
        with self._aside:
            screen = self._screen
            if screen is None:
                super().say(text, is_error=is_error)
                return
            from rich.text import Text

            line = clean(f"seedream: {text}" if is_error else text)
            with suppress(OSError, ValueError):
                screen.console.print(Text(fill(line, screen.console.width)), soft_wrap=True)

    def __enter__(self) -> Self:
        """Take the terminal's last lines."""
        from rich.live import Live as RichLive

        from seedream_cli.cli.output.board import Board

        self._console = self._console or terminal()
        board = Board(self.tally)
        self._screen = RichLive(board, console=self._console, transient=True, refresh_per_second=8)
        with suppress(OSError, ValueError):
            self._screen.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lines back, when nobody is aside any more."""
        with self._aside:
            self._stop()
        super().__exit__()

    def _stop(self) -> None:
        if self._screen is not None:
            # The terminal may have gone; what was bought is still to be written down.
            with suppress(OSError, ValueError):
                self._screen.stop()
            self._screen = None


def observer(
    environ: Mapping[str, str], *, quiet: bool, verbose: int, by_row: bool = False
) -> Plain:
    """Choose how to show progress on this stderr; `by_row`: that of a batch."""
    # A terminal that moves no cursor (`dumb`) gets lines.
    is_still = quiet or bool(environ.get(STILL)) or environ.get("TERM", "") in {"", "dumb"}
    if is_still or not sys.stderr.isatty():
        is_ci = bool(environ.get("CI"))
        return Plain(quiet=quiet, verbose=verbose, is_ci=is_ci, by_row=by_row)
    return Live(verbose=verbose)


def line_of(event: Event, verbose: int) -> str:
    """Return the plain line of an event; empty where it is worth none."""
    match event:
        case JobChanged(job=job, word=word):
            return f"{job.id} {words_of(job, word)}"
        case Waiting(job_id=job_id, seconds=seconds, reason=reason):
            return f"{job_id} waits {seconds:.0f} s: {reason}" if seconds else ""
        case Note(message=message):
            return message
        case Exchange() if verbose:
            status = event.status if event.status is not None else "no answer"
            line = (
                f"{event.method} {event.host} {event.path} {status} {event.seconds * 1000:.0f} ms"
            )
            # Bodies with `-vv` alone, and never headers: a key may stand there.
            return f"{line}\n{event.detail}" if event.detail and verbose > 1 else line
        case ImageSaved() | BytesReceived() | Exchange() | RowEnded():
            return ""
