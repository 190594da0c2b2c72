"""The one writer of stdout: paths, ids, JSON lines or a picture's bytes, each whole or an error.

And of what is said on stderr, where nothing moves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import sys
import time
from typing import TYPE_CHECKING

from seedream_cli.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TextIO


_LOOK = 0.05
"""Seconds between looks whether somebody reads a pipe now."""
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ENXIO})
"""What says that nobody reads any more; a terminal that was closed says EIO."""


class Stdout:
    """Writes bytes, never through a console that wraps or colours; outlives its reader."""

    def __init__(self) -> None:
        """Take the process's stdout as it is."""
        self._is_closed = False

    def line(self, text: str, paint: Callable[[str], str] | None = None) -> None:
        """Write one line; surrogates go back to the bytes that they stand for.

        A program gets the very bytes of a path, a terminal nothing that it would obey, but for
        what `paint` makes of it.
        """
        if _is_terminal():
            from seedream_cli.core.text import clean

            text = clean(text)
            text = paint(text) if paint is not None else text
        self._write(_bytes(text) + b"\n")

    def json(self, value: Mapping[str, object]) -> None:
        """Write one JSON object on one line."""
        from seedream_cli.cli.output.job import to_line

        self._write(to_line(value).encode("ascii") + b"\n")

    def picture(self, path: Path) -> None:
        """Write a held picture whole; raise `StorageError` when stdout does not take all of it."""
        try:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    write_whole(sys.stdout, chunk)
            _flush_to_disk()
        except (OSError, ValueError) as error:
            self.give_up()
            raise StorageError(
                f"stdout did not take the picture: {error}", hint=f"it is kept at {path}"
            ) from error

    def _write(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            write_whole(sys.stdout, data)
        except (OSError, ValueError) as error:
            is_terminal = _is_terminal()
            self.give_up()
            # As `head` does: no reason to end what is being paid for.
            if isinstance(error, ValueError) or error.errno in _GONE or is_terminal:
                return  # whoever read us has gone; the files are on disk
            raise StorageError(
                f"stdout did not take the result: {error}",
                hint="what was made is on disk:\nseedream status last",
            ) from error

    def give_up(self) -> None:
        """Stop printing, also at interpreter exit."""
        self._is_closed = True
        with contextlib.suppress(OSError, ValueError):
            # What Python still holds in its buffer would raise once more at exit.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.close(null)


class Device:
    """A pipe or a device that was named as output; a picture is written to it as such."""

    def __init__(self, path: str, *, seconds: float) -> None:
        """Take its path, and how long somebody may take to open a pipe's other end."""
        self.path = path
        self._seconds = seconds

    def picture(self, path: Path) -> None:
        """Write a held picture whole; raise `StorageError` when it does not take all of it."""
        try:
            descriptor = self._open()
            try:
                os.set_blocking(descriptor, True)
                with path.open("rb") as file:
                    while chunk := file.read(1 << 20):
                        left = memoryview(chunk)
                        while left:
                            left = left[os.write(descriptor, left) :]
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{self.path} did not take the picture: {error}", hint=f"it is kept at {path}"
            ) from error

    def _open(self) -> int:
        """Open it; a named pipe without a reader is waited for, and a signal ends that."""
        until = time.monotonic() + self._seconds
        while True:
            try:
                return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            except OSError as error:
                # ENXIO: a named pipe that nobody reads yet (POSIX, open).
                if error.errno != errno.ENXIO or time.monotonic() >= until:
                    raise
                time.sleep(_LOOK)


def write_note(text: str, *, is_ci: bool = True) -> None:
    """Write lines for people to stderr, cleaned, on a terminal broken between words.

    Raises `OSError`, or `ValueError` where it is closed.
    """
    from seedream_cli.core.text import clean, fill

    text = clean(text)
    with contextlib.suppress(OSError, ValueError):  # what is no terminal has no width
        text = fill(text, os.get_terminal_size(sys.stderr.fileno()).columns or len(text))
    line = clean(text, ci=is_ci).encode("utf-8", "backslashreplace")
    write_whole(sys.stderr, line + b"\n")


def write_whole(stream: TextIO, data: bytes) -> None:
    """Write all of it to a standard stream; raise `OSError`, or `ValueError` where it is closed.

    Python's own writers drop what a short write leaves where the stream is unbuffered
    (`PYTHONUNBUFFERED`), and what does not fit into a pipe that somebody made non-blocking.
    """
    stream.flush()
    try:
        descriptor = stream.fileno()
    except OSError:  # a stand-in without one
        stream.buffer.write(data)
        stream.buffer.flush()
        return
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])


def _flush_to_disk() -> None:
    """Let a file say now that it has no room: what was written is about to be let go."""
    with contextlib.suppress(ValueError):
        descriptor = sys.stdout.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)


def _bytes(text: str) -> bytes:
    """Return the file system's own bytes; a locale without letters does not stop us."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _is_terminal() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False
