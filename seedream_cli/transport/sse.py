"""Server-sent events: bytes in, the data of each event out (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import OutcomeUnknown
from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_EVENT: Final = 96 * 1024 * 1024
"""Bytes of one event; an inline picture of 64 MiB fits."""

_MARK: Final = b"\xef\xbb\xbf"
"""UTF-8's byte order mark, which counts for nothing."""
_ENDLESS: Final = "an event of the answer never ends"
_END_OF_LINE: Final = pattern(rb"\r\n|\n|\r")
_STARTS: Final = (b":", b"data:", b"event:", b"id:", b"retry:")


def begins_stream(head: bytes) -> bool | None:
    """Tell whether a body that begins so is an event stream; None: it may yet become one.

    A stream begins with a field or a comment; what may stand before it must have been taken off.
    """
    if head.startswith(_STARTS):
        return True
    return None if any(start.startswith(head) for start in (*_STARTS, _MARK)) else False


def events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the data of each event, of the last one also without the blank line behind it.

    Servers end their bodies without it, against the standard. A cut raises `OutcomeUnknown`, as an
    event that never ends does; where only the connection's end ends a body, the last event may be
    half of one, which its reader sees. What came of one that was cut goes with the error.
    """
    data: list[bytes] = []
    try:
        yield from _events(chunks, data)
    except OutcomeUnknown as error:
        error.event = b"\n".join(data)
        raise


def _events(chunks: Iterable[bytes], data: list[bytes]) -> Iterator[bytes]:
    """Yield the data of each event; `data` is what came of the one that is on its way."""
    size = 0
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                data.append(value.removeprefix(b" "))
                size += len(line)
            # An event without an end would fill memory.
            _check_size(size)
        elif data:
            whole, size = b"\n".join(data), 0
            data.clear()
            yield whole
    if data:
        whole = b"\n".join(data)
        data.clear()
        yield whole


def _check_size(size: int) -> None:
    if size > MAX_EVENT:
        raise OutcomeUnknown(_ENDLESS)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split at CR, LF and CRLF, also where a CRLF comes in two chunks."""
    pending: list[bytes] = []
    size = 0
    was_cr, is_first = False, True
    try:
        for each in chunks:
            chunk = each.removeprefix(b"\n") if was_cr else each
            was_cr = each.endswith(b"\r") if each else was_cr
            *whole, rest = _END_OF_LINE.split(chunk)
            for part in whole:
                line = b"".join([*pending, part])
                yield line.removeprefix(_MARK) if is_first else line
                pending, size, is_first = [], 0, False
            pending.append(rest)
            size += len(rest)
            _check_size(size)
    except OutcomeUnknown:
        if 0 < size <= MAX_EVENT:  # an empty line would end the event
            yield b"".join(pending)
        raise
    line = b"".join(pending)
    yield line.removeprefix(_MARK) if is_first else line
