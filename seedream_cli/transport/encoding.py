"""One layer of gzip or deflate is taken off a body that was asked for without any."""

from __future__ import annotations

import zlib
from itertools import chain
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

STEP: Final = 1 << 20
"""Bytes decoded at a time: a few bytes of a bomb become a thousand times as many."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_DEFLATE: Final = 8


def decode(chunks: Iterable[bytes], header: str) -> Iterator[bytes]:
    """Yield a body without its encoding, which its first bytes tell rather than `header`.

    Gzip shows itself, also where no header says so; `deflate` is zlib's form, or the bare one
    (RFC 9110, 8.4.1.2). Anything else, and what is under a first layer, passes as it is: whoever
    reads it knows what it should have been. Raises `OutcomeUnknown` for an encoding without its
    own end, and lets through what `chunks` raises.
    """
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= len(_GZIP):
            break
    window = _window(head, header.strip().lower())
    if window is None:
        if head:
            yield head
        yield from rest
        return
    yield from _inflate(chain([head], rest), window)


def _window(head: bytes, name: str) -> int | None:
    """Return the window that zlib is to read a body with; None: it is not encoded.

    1f 8b …, whatever the header says     gzip
    deflate, 78 9c …                      zlib's form
    deflate, anything else                the bare form
    no header, anything else              not encoded
    """
    if head.startswith(_GZIP):
        return _GZIP_WINDOW
    if name != "deflate" or not head:
        return None
    is_zlib = head[0] & 0xF == _DEFLATE and int.from_bytes(head[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def _inflate(chunks: Iterable[bytes], window: int) -> Iterator[bytes]:
    """Yield what is packed, one gzip member after the other (RFC 1952, 2.2).

    What follows the encoding's end is read, so that the wire's own end is, and dropped.
    """
    decoder, packed, is_over = zlib.decompressobj(window), b"", False
    for chunk in chunks:
        packed = b"" if is_over else packed + chunk
        while packed:
            if decoder.eof:
                is_over = window != _GZIP_WINDOW or not _GZIP.startswith(packed[: len(_GZIP)])
                if is_over or len(packed) < len(_GZIP):
                    break
                decoder = zlib.decompressobj(window)
            packed = yield from _decompress(decoder, packed)
    if not decoder.eof:
        raise OutcomeUnknown("the answer's encoding broke off")


def _decompress(decoder: zlib._Decompress, packed: bytes) -> Generator[bytes, None, bytes]:
    """Yield what these bytes stand for, step by step; return those behind the encoding's end."""
    is_full = False
    while not decoder.eof and (packed or is_full):
        try:
            piece = decoder.decompress(packed, STEP)
        except zlib.error as error:
            raise OutcomeUnknown(f"the answer's encoding cannot be read: {error}") from error
        # A step that is full may have more to come, and the end, though all bytes are taken.
        packed, is_full = decoder.unconsumed_tail, len(piece) == STEP
        if piece:
            yield piece
    return decoder.unused_data
