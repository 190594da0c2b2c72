"""What a person sees on stderr while jobs run: a live line each on a terminal, plain lines else."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self

from seedream_cli.cli.output.stdout import write_whole
from seedream_cli.core.model import State
from seedream_cli.core.text import clean, human_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.live import Live as RichLive
    from rich.progress import Progress, TaskID

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job

_MINUTE = 60.0
STILL = "SEEDREAM_NO_PROGRESS"
"""The variable that says `--no-progress` for every command."""
_SAID = {
    State.SENDING: "sending",
    State.RUNNING: "accepted",
    State.READY: "ready",
    State.SAVED: "saved",
}
ENDED = frozenset(
    {State.SAVED, State.REFUSED, State.FAILED, State.UNKNOWN, State.EXPIRED, State.CLOSED}
)
"""States in which a job's line goes."""


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
    """A line a change of state, and one a minute; errors only when `quiet`."""

    def __init__(self, *, quiet: bool = False, verbose: int = 0, is_ci: bool = True) -> None:
        """Write to stderr."""
        self._is_ci = is_ci
        self._quiet = quiet
        self._verbose = verbose
        self._lock = threading.Lock()
        self._last: dict[str, tuple[str, float]] = {}

    def __call__(self, event: Event) -> None:
        """Write what is worth a line."""
        from seedream_cli.core.events import JobChanged

        text = line_of(event, self._verbose)
        if text and not (isinstance(event, JobChanged) and self._is_stale(event.job.id, text)):
            self.say(text, is_error=is_warning(event))

    def _is_stale(self, job_id: str, text: str) -> bool:
        """Tell whether a job has said the same within the last minute."""
        last, at = self._last.get(job_id, ("", 0.0))
        now = time.monotonic()
        if text == last and now - at < _MINUTE:
            return True
        self._last[job_id] = (text, now)
        return False

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write a line for people, cleaned of whatever a terminal would obey."""
        if self._quiet and not is_error:
            return
        line = clean(f"seedream: {text}" if is_error else text, ci=self._is_ci)
        with self._lock:
            try:
                write_whole(sys.stderr, line.encode("utf-8", "backslashreplace") + b"\n")
            except (OSError, ValueError):
                self._quiet = True

    def __enter__(self) -> Self:
        """Nothing to set up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to clean up."""


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


class Screen(Plain):
    """Holds the terminal's last lines while it is shown; what is said stands above them."""

    def __init__(self, *, verbose: int = 0) -> None:
        """Prepare the display; nothing is shown yet."""
        super().__init__(verbose=verbose)
        self._screen: RichLive | None = None

    def _open(self) -> RichLive:
        """Return what moves, not yet started."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Take the terminal's last lines."""
        self._screen = self._open()
        with suppress(OSError, ValueError):
            self._screen.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lines back."""
        if self._screen is not None:
            # The terminal may have gone; what was bought is still to be written down.
            with suppress(OSError, ValueError):
                self._screen.stop()
            self._screen = None

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Write a line above the moving ones."""
        screen = self._screen
        if screen is None:
            super().say(text, is_error=is_error)
            return
        from rich.text import Text

        line = clean(f"seedream: {text}" if is_error else text)
        with suppress(OSError, ValueError):
            screen.console.print(Text(line), soft_wrap=True)


class Live(Screen):
    """A moving line for each job under way, gone when it ends (Rich, on a terminal)."""

    def __init__(self, *, verbose: int = 0) -> None:
        """Prepare the display; nothing is shown yet."""
        super().__init__(verbose=verbose)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def _open(self) -> RichLive:
        """Return a table with a line a job."""
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        what = TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        )
        console = terminal()
        spinner = SpinnerColumn(spinner_name="dots" if console.encoding == "utf-8" else "line")
        self._progress = Progress(
            spinner, what, TimeElapsedColumn(), console=console, transient=True, expand=True
        )
        return self._progress.live

    def __exit__(self, *_: object) -> None:
        """Give the lines back."""
        super().__exit__()
        self._progress = None

    def __call__(self, event: Event) -> None:
        """Move the job's line; whatever else is said stands above it."""
        from seedream_cli.core.events import BytesReceived, JobChanged, Waiting

        match event:
            case JobChanged(job=job, word=word):
                self._show(job.id, words_of(job, word))
                if job.state in ENDED:
                    self._drop(job.id)
            case BytesReceived(job_id=job_id, received=received, total=total):
                self._show(job_id, words_of_bytes(received, total))
            case Waiting(job_id=job_id, seconds=seconds, reason=reason):
                self._show(job_id, words_of_wait(seconds, reason))
            case _:
                text = line_of(event, self._verbose)
                if text:
                    self.say(text, is_error=is_warning(event))

    def _show(self, job_id: str, words: str) -> None:
        if self._progress is None:
            return
        line = f"{job_id} {clean(words, one_line=True)}"
        with self._lock:
            if job_id not in self._tasks:
                room = max(1, self._progress.console.height - 2)
                is_visible = sum(not task.finished for task in self._progress.tasks) < room
                self._tasks[job_id] = self._progress.add_task(line, total=None, visible=is_visible)
            self._progress.update(self._tasks[job_id], description=line)

    def _drop(self, job_id: str) -> None:
        if self._progress is not None and job_id in self._tasks:
            self._progress.update(self._tasks[job_id], visible=False)


def observer(environ: Mapping[str, str], *, quiet: bool, verbose: int) -> Plain:
    """Choose how to show progress on this stderr."""
    if not is_live(environ, quiet=quiet):
        return Plain(quiet=quiet, verbose=verbose, is_ci=bool(environ.get("CI")))
    return Live(verbose=verbose)


def is_live(environ: Mapping[str, str], *, quiet: bool) -> bool:
    """Tell whether lines may move on this stderr."""
    is_still = quiet or bool(environ.get(STILL)) or environ.get("TERM", "") in {"", "dumb"}
    return not is_still and sys.stderr.isatty()


def words_of(job: Job, word: str) -> str:
    """Say where a job stands, in its provider's word where there is one."""
    return word or _SAID.get(job.state, job.state.value)


def words_of_bytes(received: int, total: int | None) -> str:
    """Say how much of a picture has come."""
    return f"saving {human_bytes(received)}" + (f" of {human_bytes(total)}" if total else "")


def words_of_wait(seconds: float, reason: str) -> str:
    """Say how long a step is put off, and why."""
    return f"waiting ({seconds:.0f} s): {reason}" if seconds >= 1 else f"waiting: {reason}"


def is_warning(event: Event) -> bool:
    """Tell whether an event is to be heard with `--quiet` too."""
    from seedream_cli.core.events import Note

    return isinstance(event, Note) and event.is_warning


def line_of(event: Event, verbose: int) -> str:
    """Return the plain line of an event; empty where it is worth none."""
    from seedream_cli.core.events import (
        BytesReceived,
        Exchange,
        ImageSaved,
        JobChanged,
        Note,
        RowEnded,
        Waiting,
    )

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
            return f"{line}\n{event.detail}" if event.detail and verbose > 1 else line
        case ImageSaved() | BytesReceived() | Exchange() | RowEnded():
            return ""
