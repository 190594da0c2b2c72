"""Small whole pictures, made by hand."""

from __future__ import annotations

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    """Build a PNG chunk."""
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def png(width: int = 1, height: int = 1, *extra: bytes) -> bytes:
    """Build a black PNG, with these chunks before its pixels."""
    return b"".join(
        (
            SIGNATURE,
            chunk(b"IHDR", width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 0])),
            *extra,
            chunk(b"IDAT", zlib.compress(bytes(width + 1) * height)),
            chunk(b"IEND", b""),
        )
    )


PNG = png()
