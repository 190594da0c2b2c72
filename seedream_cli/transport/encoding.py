"""One layer of gzip or deflate is taken off a body that was asked for without any."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STEP: Final = 1 << 20
"""Bytes decoded at a time: a few bytes of a bomb become a thousand times as many."""

_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_DEFLATE: Final = 8


def decoded(chunks: Iterable[bytes], header: str) -> Iterator[bytes]:
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
    decoder = zlib.decompressobj(window)
    yield from _inflated(decoder, head)
    for chunk in rest:
        # What follows the encoding's end is read, so that the wire's own end is, and dropped.
        yield from _inflated(decoder, b"" if decoder.eof else chunk)
    if not decoder.eof:
        raise OutcomeUnknown("the answer's encoding broke off")


def _window(head: bytes, name: str) -> int | None:
    """Return the window that zlib is to read a body with; None: it is not encoded."""
    if head.startswith(_GZIP):
        return _GZIP_WINDOW
    if name != "deflate" or not head:
        return None
    is_zlib = head[0] & 0xF == _DEFLATE and int.from_bytes(head[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def _inflated(decoder: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    while chunk:
        try:
            piece = decoder.decompress(chunk, STEP)
        except zlib.error as error:
            raise OutcomeUnknown(f"the answer's encoding cannot be read: {error}") from error
        chunk = decoder.unconsumed_tail
        if piece:
            yield piece
