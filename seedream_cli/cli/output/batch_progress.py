"""What a person sees on stderr while a batch runs: one bar over all, and what is under way."""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from seedream_cli.cli.output.board import Board
from seedream_cli.cli.output.counts import Tally
from seedream_cli.cli.output.progress import Plain, Screen, is_live, is_warning, line_of, terminal
from seedream_cli.cli.output.row import Alike, is_good, is_left, sentence
from seedream_cli.core.events import (
    BytesReceived,
    Exchange,
    ImageSaved,
    JobChanged,
    Note,
    RowEnded,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console
    from rich.live import Live as RichLive

    from seedream_cli.core.events import Event

_MINUTE: Final = 60.0


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


def batch_observer(
    environ: Mapping[str, str], *, quiet: bool, verbose: int
) -> PlainBatch | LiveBatch:
    """Choose how to show a batch on this stderr."""
    if not is_live(environ, quiet=quiet):
        return PlainBatch(quiet=quiet, verbose=verbose, is_ci=bool(environ.get("CI")))
    return LiveBatch(verbose=verbose)
