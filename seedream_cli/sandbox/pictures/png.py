"""Writes an indexed picture as PNG."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from seedream_cli.sandbox.pictures.canvas import Canvas

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_INDEXED: Final = 3
_UNFILTERED: Final = b"\0"
_QUICK: Final = 1
"""Flat areas compress well at any level, and a placeholder must not keep anybody waiting."""


def write_png(canvas: Canvas) -> bytes:
    """Return `canvas` as a whole PNG file."""
    header = struct.pack(">IIBBBBB", canvas.width, canvas.height, 8, _INDEXED, 0, 0, 0)
    colours = b"".join(bytes(colour) for colour in canvas.palette)
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", colours),
            _chunk(b"IDAT", _pixels(canvas)),
            _chunk(b"IEND", b""),
        )
    )


def _pixels(canvas: Canvas) -> bytes:
    squeeze = zlib.compressobj(_QUICK)
    parts = [squeeze.compress(_UNFILTERED + _UNFILTERED.join(strip)) for strip in canvas.strips()]
    return b"".join((*parts, squeeze.flush()))


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
