"""Small whole pictures, made by hand."""

from __future__ import annotations

import zlib
from base64 import b64encode

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


def clear_png(side: int) -> bytes:
    """Build a square PNG, grey with alpha, that nothing of is to be seen in."""
    header = side.to_bytes(4) * 2 + bytes([8, 4, 0, 0, 0])
    pixels = zlib.compress(bytes(1 + 2 * side) * side)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return SIGNATURE + b"".join(parts)


PNG = png()


def as_data(picture: bytes, kind: str = "png") -> str:
    """Write a picture as a `data:` URL."""
    return f"data:image/{kind};base64,{b64encode(picture).decode()}"


def header_of(kind: str, width: int, height: int) -> bytes:
    """Build as little of a file of this format as tells the size of its picture."""
    wide, high = width.to_bytes(4), height.to_bytes(4)
    ediw, hgih = wide[::-1], high[::-1]
    frame = b"\0\x0b\x08" + high[2:] + wide[2:] + b"\x01\x01\x11\0"
    corners = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    tags = b"\1\0\0\4\0\0\0\1" + wide + b"\1\1\0\4\0\0\0\1" + high
    extent = _box(b"iprp", _box(b"ipco", _box(b"ispe", bytes(4) + wide + high)))
    files = {
        "png": SIGNATURE + chunk(b"IHDR", wide + high + bytes([8, 0, 0, 0, 0])),
        "jpeg": b"\xff\xd8\xff\xc0" + frame,
        "gif": b"GIF89a" + ediw[:2] + hgih[:2] + b"\0\0\0;",
        "bmp": b"BM" + bytes(12) + b"\x28\0\0\0" + ediw + hgih + bytes(28),
        "webp": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + corners,
        "tiff": b"MM\0*\0\0\0\x08\0\2" + tags + bytes(4),
        "avif": _box(b"ftyp", b"avif" + bytes(4)) + _box(b"meta", bytes(4) + extent),
    }
    return files[kind]


def _box(kind: bytes, body: bytes) -> bytes:
    return (len(body) + 8).to_bytes(4) + kind + body
