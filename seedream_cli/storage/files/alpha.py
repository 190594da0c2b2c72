"""Whether a PNG lets anything through: its alpha is read, nothing else is decoded. Pure."""

from __future__ import annotations

import zlib
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = 8
_GREY_ALPHA, _COLOUR_ALPHA = 4, 6
_SAMPLES: Final = {_GREY_ALPHA: 2, _COLOUR_ALPHA: 4}
_OPAQUE: Final = 255
_MOST_PIXELS: Final = 4_000_000
"""So many are looked at: some seconds of Python, and whoever draws it looks at all of them."""


def is_opaque(data: bytes) -> bool:
    """Tell whether no pixel of a PNG lets anything through, as far as that is read here.

    False too for what is no PNG, interlaced, or larger than is looked through.
    """
    chunks = list(_chunks(data))
    header = next((body for name, body in chunks if name == b"IHDR"), b"")
    if len(header) < 13:  # noqa: PLR2004 - its length (PNG specification, 11.2.1)
        return False
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    depth, kind, is_interlaced = header[8], header[9], bool(header[12])
    mask = next((body for name, body in chunks if name == b"tRNS"), None)
    if kind not in _SAMPLES:
        return mask is None or not mask.strip(b"\xff")
    if is_interlaced or width * height > _MOST_PIXELS:
        return False
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    step = _SAMPLES[kind] * depth // 8
    lines = _lines(packed, width * step)
    # The first byte of an alpha of two says enough: filters work on each byte apart.
    rows = _alpha(lines, step, step - depth // 8, height)
    return all(min(row, default=_OPAQUE) == _OPAQUE for row in rows)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = _HEADER
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += length + 12


def _lines(packed: bytes, length: int) -> Iterator[bytes]:
    """Yield the filtered scan lines, each with its filter's number before it."""
    inflate, rest, pending = zlib.decompressobj(), packed, b""
    while True:
        try:
            pending += inflate.decompress(rest, 1 << 20)
        except zlib.error:
            return
        rest = inflate.unconsumed_tail
        whole = len(pending) // (length + 1)
        for k in range(whole):
            yield pending[k * (length + 1) : (k + 1) * (length + 1)]
        pending = pending[whole * (length + 1) :]
        if not rest:
            return


def _alpha(lines: Iterator[bytes], step: int, offset: int, height: int) -> Iterator[bytes]:
    """Yield each line's alpha with its filter undone (PNG specification, 9.2)."""
    above = b""
    for _, line in zip(range(height), lines, strict=False):
        row = line[1 + offset :: step]
        above = _unfilter(line[0], row, above or bytes(len(row)))
        yield above


def _unfilter(number: int, row: bytes, above: bytes) -> bytes:
    match number:
        case 1:
            return bytes(each & 255 for each in accumulate(row))
        case 2:
            return bytes((value + up) & 255 for value, up in zip(row, above, strict=True))
        case 3 | 4:
            made, left, corner = bytearray(), 0, 0
            for value, up in zip(row, above, strict=True):
                guess = (left + up) >> 1 if number == 3 else _paeth(left, up, corner)  # noqa: PLR2004
                left, corner = (value + guess) & 255, up
                made.append(left)
            return bytes(made)
        case _:
            return row


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))
