"""Server-sent events: bytes in, the data of each event out (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_EVENT: Final = 96 * 1024 * 1024
"""Bytes of one event; an inline picture of 64 MiB fits."""

_END_OF_LINE: Final = re.compile(rb"\r\n|\n|\r")


def events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of each whole event; what a cut leaves unfinished is no event.

    Raises `OutcomeUnknown` for an event that never ends, and lets through what `chunks` raises.
    """
    data: list[bytes] = []
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
        elif data:
            yield b"\n".join(data)
            data = []


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split at CR, LF and CRLF, also where a CRLF comes in two chunks."""
    pending: list[bytes] = []
    size = 0
    was_cr, is_first = False, True
    for each in chunks:
        chunk = each.removeprefix(b"\n") if was_cr else each
        was_cr = each.endswith(b"\r") if each else was_cr
        *whole, rest = _END_OF_LINE.split(chunk)
        for part in whole:
            line = b"".join([*pending, part])
            yield line.removeprefix(b"\xef\xbb\xbf") if is_first else line
            pending, size, is_first = [], 0, False
        pending.append(rest)
        size += len(rest)
        if size > MAX_EVENT:
            raise OutcomeUnknown("an event of the answer never ends")
