"""The result and nothing else: paths, ids, JSON lines or a picture's bytes on stdout."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING

from seedream_cli.core.errors import StorageError
from seedream_cli.core.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Stdout:
    """Writes bytes, never through a console that wraps or colours; outlives its reader."""

    def __init__(self) -> None:
        """Take the process's stdout as it is."""
        self._is_closed = False

    def line(self, text: str) -> None:
        """Write one line; surrogates go back to the bytes that they stand for.

        A program gets the very bytes of a path, a terminal nothing that it would obey.
        """
        if _is_terminal():
            text = clean(text)
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
                    sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            self.give_up()
            raise StorageError(
                f"stdout did not take the picture: {error}", hint=f"it is kept at {path}"
            ) from error

    def _write(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            self.give_up()
            if getattr(error, "errno", None) not in _FULL:
                return  # whoever read us has gone; the files are on disk
            raise StorageError(
                f"stdout did not take the result: {error}",
                hint="what was made is on disk: seedream status last",
            ) from error

    def give_up(self) -> None:
        """Stop printing, also at interpreter exit."""
        self._is_closed = True
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.close(null)


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


class Silence(Stdout):
    """Writes nothing: the picture's bytes were the result."""

    def _write(self, data: bytes) -> None:
        """Drop it."""
