"""Long strings of an answer go to disk as they come: an inline picture is never whole in memory."""

from __future__ import annotations

import base64
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from seedream_cli.core.errors import ImageBroken, StorageError
from seedream_cli.core.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from seedream_cli.storage.files.partial import Disk

LONG: Final = 1 << 16
"""Bytes; a JSON string beyond it is spilled. Texts of ours and of providers are shorter."""

_SPECIAL: Final = pattern(rb'["\\\n]')
_ESCAPE: Final = pattern(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_HALF_ESCAPE: Final = pattern(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_BLANKS: Final = frozenset(b"nrtbf")
_REFERENCE: Final = pattern(r"spill:([0-9]{1,12}):([0-9]{1,12})(?::([0-9a-z]{1,32}))?")
"""Start, length, and the tag of the file; old versions had one file a job, without a tag."""
_BLOCK: Final = 1 << 18
"""Bytes read or decoded at a time."""

_PREFIX: Final = pattern(rb"\s*data:[^,]{0,256},", re.IGNORECASE)
"""What makes a `data:` URL of base64 (RFC 2397)."""
_PERCENT: Final = pattern(rb"%([0-9a-fA-F]{2})")
_HALF_PERCENT: Final = pattern(rb"%.?\Z", re.DOTALL)
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_WHITE: Final = b" \t\r\n\f\v"


class Spill:
    """The file that takes the long strings of one answer."""

    def __init__(self, *paths: str, disk: Disk, tag: str = "") -> None:
        """Name the places for the file; it is made when the first long string comes.

        What stands for a string names the file too: its `tag`, of lower-case letters and digits.
        Where one of the places refuses, at any moment, what came goes on in the next.
        """
        self._paths = list(paths)
        self._disk = disk
        self._tag = tag
        self._strings: _Strings | None = None
        self._file: int | None = None
        self._size = 0

    @property
    def path(self) -> str:
        """Where the strings lie now."""
        return self._paths[0]

    def thin(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield JSON text, or events that hold it, each long string as `spill:START:LENGTH:TAG`.

        Escapes are undone on the way to disk. A string that holds JSON itself is left alone.
        Raises `StorageError` where no disk takes more, and what `chunks` raises.
        """
        strings = self._strings = _Strings(self._write, self._tag)
        for chunk in chunks:
            yield strings.feed(chunk)
        yield strings.end()

    def rest(self) -> bytes:
        """Return what came, of a text that was cut, of the string that it was cut in."""
        return self._strings.end() if self._strings is not None else b""

    def flush(self) -> None:
        """Bring what was spilled to the disk before the answer that names it is committed."""
        if self._file is not None:
            self._insist(lambda: self._disk.fsync(self._open()))

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
        # A write that failed may have left a piece behind what counts.
        self._insist(lambda: self._disk.write(self._open(), piece, self._size))
        start, self._size = self._size, self._size + len(piece)
        return start

    def _insist(self, deed: Callable[[], None]) -> None:
        """Do something with the file, in the next place where this one refuses."""
        while True:
            try:
                return deed()
            except OSError as error:
                if len(self._paths) == 1:
                    raise StorageError(f"{self.path} cannot be written: {error}") from error
                self._move()

    def _open(self) -> int:
        if self._file is None:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 - text
            # `O_NOFOLLOW`: no link that somebody put there leads the picture away.
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o600)
        return self._file

    def _move(self) -> None:
        """Go on in the next place, with what lies in this one; raise `StorageError`."""
        old, self._file = self._file, None
        left = self._paths.pop(0)
        size, self._size = self._size, 0
        if old is not None:
            try:
                while self._size < size and (
                    block := os.pread(old, min(_BLOCK, size - self._size), self._size)
                ):
                    # By way of `_insist`: the next place may refuse as well.
                    self._write(block)
            except OSError as error:
                raise StorageError(f"{left} cannot be read: {error}") from error
            finally:
                os.close(old)
        with suppress(OSError):
            os.unlink(left)  # noqa: PTH108 - the path is text


class _Strings:
    """Finds the strings in JSON text that comes in pieces."""

    def __init__(self, write: Callable[[bytes], int], tag: str) -> None:
        self._write = write
        self._suffix = f":{tag}".encode() if tag else b""
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
            # A quote behind a backslash ends nothing.
            elif self._is_escaped:
                out += self._take(chunk[at : at + 1])
                at, self._is_escaped = at + 1, False
            else:
                mark = _SPECIAL.search(chunk, at)
                end = mark.start() if mark else len(chunk)
                out += self._take(chunk[at:end])
                out += self._close(mark.group()) if mark else b""
                at = mark.end() if mark else end
        return bytes(out)

    def _take(self, piece: bytes) -> bytes:
        if self._is_spilling:
            self._spill(piece)
            return b""
        self._short += piece
        # JSON within JSON is read by whoever reads the answer.
        if len(self._short) <= LONG or self._short.startswith((b"{", b"[")):
            return b""
        text, self._short = bytes(self._short), bytearray()
        self._is_spilling, self._length = True, 0
        return b"spill:%d:" % self._spill(text)

    def _spill(self, piece: bytes) -> int:
        """Write a piece without its escapes and return where it starts.

        Encoders escape slashes, line breaks, and some all that is special in HTML, such as plus.
        """
        text = bytes(self._short) + piece
        # An escape may be cut by the end of a chunk: its half waits for the rest.
        half = _HALF_ESCAPE.search(text)
        end = half.start() if half else len(text)
        self._short[:] = text[end:]
        plain = _ESCAPE.sub(_unescape, text[:end])
        self._length += len(plain)
        return self._write(plain)

    def _close(self, mark: bytes) -> bytes:
        if mark == b"\\":
            self._is_escaped = True
            return self._take(mark)
        return self.end() + mark

    def end(self) -> bytes:
        """Return what stands for the string that began last, unless that has ended."""
        told = b"%d%s" % (self._length, self._suffix)
        out = told if self._is_spilling else bytes(self._short)
        self._short.clear()
        # No JSON string goes on over the end of a line: it was none.
        self._is_inside = self._is_spilling = False
        return out


def _unescape(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        code = int(escape[1], 16)
        return bytes([code]) if code.bit_length() < 8 else b"?"  # noqa: PLR2004 - ASCII
    return b" " if escape[2][0] in _BLANKS else escape[2]


def blocks(paths: Iterable[str], reference: str) -> Iterator[bytes]:
    """Read a spilled string block by block, from the first of these places that has a file.

    Yields nothing for what is no reference; raises `StorageError` when it is not there.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return
    start, left = int(match[1]), int(match[2])
    path = next(filter(os.path.exists, paths), "the provider's answer")
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the path is text, kept as given
            file.seek(start)
            while left and (block := file.read(min(left, _BLOCK))):
                left -= len(block)
                yield block
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    if left:
        raise StorageError(f"{path} does not hold all of the picture")


def tag_of(reference: str) -> str:
    """Return the tag of the file that holds a spilled string; empty where it has none."""
    match = _REFERENCE.fullmatch(reference)
    return (match[3] if match else None) or ""


def is_spilled(data: str) -> bool:
    """Tell whether inline data is a reference to a spilled string."""
    return _REFERENCE.fullmatch(data) is not None


def blocks_of(data: str) -> Iterator[bytes]:
    """Yield inline data that is in memory block by block."""
    for start in range(0, len(data), _BLOCK):
        yield data[start : start + _BLOCK].encode("ascii", "replace")


def decode_base64(text: Iterable[bytes]) -> Iterator[bytes]:
    """Decode base64 block by block, as gateways write it; raise `ImageBroken` for what is none.

    With the prefix of a `data:` URL and its percent signs, line breaks, the URL-safe alphabet, and
    with its padding or without.
    """
    held, is_first = b"", True
    try:
        for block in text:
            part = held + (_PREFIX.sub(b"", block, count=1) if is_first else block)
            is_first = False
            if b"%" in part:
                half = _HALF_PERCENT.search(part)
                end = half.start() if half else len(part)
                part, tail = _PERCENT.sub(_unquote, part[:end]), part[end:]
            else:
                tail = b""
            part = part.translate(_URL_SAFE, _WHITE)
            # Four letters are three bytes: what is left over waits for the next block.
            end = len(part) - len(part) % 4
            held = part[end:] + tail
            yield base64.b64decode(part[:end], validate=True)
        held = held.rstrip(b"=")
        yield base64.b64decode(held + b"=" * (-len(held) % 4), validate=True)
    except ValueError as error:
        raise ImageBroken(f"the inline image is no base64: {error}") from error


def _unquote(quoted: re.Match[bytes]) -> bytes:
    return bytes([int(quoted[1], 16)])
