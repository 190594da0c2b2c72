"""Long strings of an answer go to disk as they come: an inline picture is never whole in memory."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Self

from seedream_cli.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONG: Final = 1 << 16
"""Bytes; a JSON string beyond it is spilled. Texts of ours and of providers are shorter."""

_SPECIAL: Final = re.compile(rb'["\\\n]')
_REFERENCE: Final = re.compile(r"spill:([0-9]{1,12}):([0-9]{1,12})")
_BLOCK: Final = 1 << 18
"""Bytes read at a time; a multiple of four, so that base64 can be decoded block by block."""


class Spill:
    """The file that takes the long strings of one job's answer."""

    def __init__(self, path: str, fsync: Callable[[int], None] = os.fsync) -> None:
        """Name the file; it is made when the first long string comes."""
        self._path = path
        self._fsync = fsync
        self._file: int | None = None
        self._size = 0

    def thin(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield JSON text, or events that hold it, with each long string as `spill:START:LENGTH`.

        Raises `StorageError` where the disk takes no more, and what `chunks` raises.
        """
        strings = _Strings(self._write)
        for chunk in chunks:
            yield strings.feed(chunk)

    def flush(self) -> None:
        """Bring what was spilled to the disk before the answer that names it is committed."""
        if self._file is not None:
            try:
                self._fsync(self._file)
            except OSError as error:
                raise StorageError(f"{self._path} cannot be written: {error}") from error

    def __enter__(self) -> Self:
        """Hand out the spill itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the file go; what was flushed stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, piece: bytes) -> int:
        """Append a piece and return where it starts."""
        try:
            if self._file is None:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 - text
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
                self._file = os.open(self._path, flags, 0o600)
            view = memoryview(piece)
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error}") from error
        start, self._size = self._size, self._size + len(piece)
        return start


class _Strings:
    """Finds the strings in JSON text that comes in pieces."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self._write = write
        self._is_inside = self._is_escaped = self._is_spilling = False
        self._short = bytearray()
        self._length = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return what of a chunk stays in memory."""
        out, at = bytearray(), 0
        while at < len(chunk):
            if not self._is_inside:
                quote = chunk.find(b'"', at)
                end = len(chunk) if quote < 0 else quote + 1
                out += chunk[at:end]
                at, self._is_inside = end, quote >= 0
            elif self._is_escaped:
                out += self._take(chunk[at : at + 1])
                at, self._is_escaped = at + 1, False
            else:
                mark = _SPECIAL.search(chunk, at)
                end = mark.start() if mark else len(chunk)
                out += self._take(chunk[at:end])
                out += self._end(mark.group()) if mark else b""
                at = mark.end() if mark else end
        return bytes(out)

    def _take(self, piece: bytes) -> bytes:
        if self._is_spilling:
            self._write(piece)
            self._length += len(piece)
            return b""
        self._short += piece
        if len(self._short) <= LONG or b"\\" in self._short.replace(b"\\/", b"/"):
            return b""
        # Some encoders write the slashes of base64 as \\/.
        text = bytes(self._short.replace(b"\\/", b"/"))
        self._is_spilling, self._length = True, len(text)
        self._short.clear()
        return b"spill:%d:" % self._write(text)

    def _end(self, mark: bytes) -> bytes:
        if mark == b"\\":
            self._is_escaped = True
            if not self._is_spilling:
                self._short += mark
            return b""
        out = b"%d" % self._length if self._is_spilling else bytes(self._short)
        self._short.clear()
        # No JSON string goes on over the end of a line: it was none.
        self._is_inside = self._is_spilling = False
        return out + mark


def blocks(path: str, reference: str) -> Iterator[bytes]:
    """Read a spilled string block by block; raise `StorageError` when it is not there.

    Yields nothing for what is no reference.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return
    left = int(match[2])
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the path is text, kept as given
            file.seek(int(match[1]))
            while left and (block := file.read(min(left, _BLOCK))):
                left -= len(block)
                yield block
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}") from error


def is_spilled(data: str) -> bool:
    """Tell whether inline data is a reference to a spilled string."""
    return _REFERENCE.fullmatch(data) is not None
