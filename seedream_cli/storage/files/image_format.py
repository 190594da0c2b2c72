"""What a picture file is by its bytes, and whether all of it is there. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import ImageBroken

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    Data = bytes | mmap

BLOCK: Final = 1 << 20
"""Bytes looked at in one go, so that a large picture is never held whole."""

HEAD: Final = 32
"""Bytes that `sniff` needs at most."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MAGIC: Final = (
    (_PNG, "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"BM", "bmp"),
)
_BRANDS: Final = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"hevc": "heic",
    b"mif1": "heic",
    b"msf1": "heic",
}
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_IN_SCAN: Final = frozenset({0x00, *range(0xD0, 0xD8)})
_FILL: Final = 0xFF
_END_OF_IMAGE: Final = 0xD9
_START_OF_SCAN: Final = 0xDA
_MIN_SEGMENT: Final = 2
_MAX_PNG_CHUNK: Final = 0x7FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a whole picture is."""

    format: str
    """`png`, `jpeg`, `webp` or `gif`."""
    width: int
    height: int


def sniff(head: bytes) -> str | None:
    """Return the format that the first bytes (32 are enough) announce; None for no picture."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def inspect(data: Data) -> Facts:
    """Return what picture `data` is, once it is shown to be whole; else raise `ImageBroken`.

    The structure is walked to its end; pixels are not decoded. Bytes after the end are allowed.
    """
    name = sniff(data[:HEAD])
    walk = _WALKS.get(name or "")
    if walk is None:
        raise ImageBroken(_not_a_picture(data, name))
    width, height = walk(data)
    if width < 1 or height < 1:
        raise ImageBroken(f"The {name} picture that came has no size.")
    return Facts(format=name or "", width=width, height=height)


def _not_a_picture(data: Data, name: str | None) -> str:
    """Say what came instead of a picture that can be checked."""
    if name:
        return f"What came is a {name} picture, and whether one of those is whole cannot be told."
    start = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not data[:1]:
        return "The image host answered with nothing."
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "The image host answered with a web page."
    if start.startswith((b"<", b"{", b"[")):
        return "The image host answered with a message, not with a picture."
    return "What the image host sent is not a picture."


def _take(data: Data, at: int, count: int, name: str) -> bytes:
    """Return `count` bytes from `at`; raise `ImageBroken` where the data ends before."""
    piece = data[at : at + count]
    if len(piece) < count:
        raise _cut_off(name)
    return piece


def _cut_off(name: str) -> ImageBroken:
    return ImageBroken(f"The {name} picture that came is cut off.")


def _crc(data: Data, start: int, end: int) -> int:
    value = 0
    for at in range(start, end, BLOCK):
        value = zlib.crc32(data[at : min(at + BLOCK, end)], value)
        _let_go(data, at, min(at + BLOCK, end))
    return value


def _let_go(data: Data, start: int, end: int) -> None:
    """Give the memory of a mapped file back: what was looked at is not looked at again."""
    if not isinstance(data, bytes):
        import mmap

        if hasattr(mmap, "MADV_DONTNEED"):
            start -= start % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, start, end - start)


def _png(data: Data) -> tuple[int, int]:
    """Walk the chunks to IEND, with their checksums (PNG specification, 5.3)."""
    at, size, has_pixels = len(_PNG), (0, 0), False
    while True:
        head = _take(data, at, 8, "png")
        length, kind = int.from_bytes(head[:4]), head[4:]
        end = at + 8 + length
        if length > _MAX_PNG_CHUNK or (at == len(_PNG)) != (kind == b"IHDR"):
            raise ImageBroken("The png picture that came is damaged.")
        checksum = int.from_bytes(_take(data, end, 4, "png"))
        if _crc(data, at + 4, end) != checksum:
            raise ImageBroken("The png picture that came is damaged: a checksum is wrong.")
        if kind == b"IHDR":
            header = _take(data, at + 8, 13, "png")
            size = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
        has_pixels = has_pixels or (kind == b"IDAT" and length > 0)
        if kind == b"IEND":
            break
        at = end + 4
    if not has_pixels:
        raise ImageBroken("The png picture that came has no pixels in it.")
    return size


def _jpeg(data: Data) -> tuple[int, int]:
    """Walk the segments and scans to EOI (ITU-T T.81, annex B).

    An EOI inside a segment, such as a thumbnail's, is not seen, since segments are leapt over.
    """
    at, size, has_scan = 2, (0, 0), False
    while True:
        marker, at = _marker(data, at)
        if marker == _END_OF_IMAGE:
            break
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(_take(data, at, 2, "jpeg"))
        if length < _MIN_SEGMENT:
            raise ImageBroken("The jpeg picture that came is damaged.")
        segment = _take(data, at, length, "jpeg")
        if marker in _START_OF_FRAME:
            size = int.from_bytes(segment[5:7]), int.from_bytes(segment[3:5])
        at += length
        if marker == _START_OF_SCAN:
            at = _end_of_scan(data, at)
            has_scan = True
    if not has_scan:
        raise ImageBroken("The jpeg picture that came has no pixels in it.")
    return size


def _marker(data: Data, at: int) -> tuple[int, int]:
    """Return the marker at `at`, fill bytes skipped, and where its segment begins."""
    if _take(data, at, 1, "jpeg") != b"\xff":
        raise ImageBroken("The jpeg picture that came is damaged.")
    while (marker := _take(data, at, 1, "jpeg")[0]) == _FILL:
        at += 1
    return marker, at + 1


def _end_of_scan(data: Data, at: int) -> int:
    """Return where the next marker stands that is not a part of the compressed data."""
    looked_at = at
    while True:
        at = data.find(b"\xff", at)
        if at < 0:
            raise _cut_off("jpeg")
        if at - looked_at > BLOCK:
            _let_go(data, looked_at, at)
            looked_at = at
        if _take(data, at + 1, 1, "jpeg")[0] not in _IN_SCAN:
            return at
        at += 2


def _webp(data: Data) -> tuple[int, int]:
    """Walk the chunks to the end that the RIFF header announces (RFC 9649, 2.3)."""
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise _cut_off("webp")
    canvas, frame, is_animated = None, None, False
    while at < end:
        head = _take(data, at, 8, "webp")
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if at + 8 + length > end:
            raise ImageBroken("The webp picture that came is damaged.")
        body = data[at + 8 : at + 8 + min(length, 10)]
        if kind == b"VP8X":
            canvas = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:], "little") + 1
        elif kind in {b"VP8 ", b"VP8L"}:
            frame = _webp_frame(kind, body)
        is_animated = is_animated or kind == b"ANMF"
        at += 8 + length + length % 2
    if frame is None and not is_animated:
        raise ImageBroken("The webp picture that came has no pixels in it.")
    return canvas or frame or (0, 0)


def _webp_frame(kind: bytes, body: bytes) -> tuple[int, int]:
    """Read the size out of a VP8 (RFC 6386, 9.1) or VP8L (RFC 9649, 3.4) frame header."""
    mask = 0x3FFF
    if kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & mask) + 1, (bits >> 14 & mask) + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = body[6:8], body[8:10]
        return int.from_bytes(width, "little") & mask, int.from_bytes(height, "little") & mask
    raise ImageBroken("The webp picture that came is damaged.")


def _gif(data: Data) -> tuple[int, int]:
    """Walk the blocks to the trailer (GIF89a specification, 17 to 27)."""
    screen = _take(data, 6, 7, "gif")
    size = int.from_bytes(screen[:2], "little"), int.from_bytes(screen[2:4], "little")
    at, has_pixels = 13 + _colours(screen[4]), False
    while (kind := _take(data, at, 1, "gif")) != b";":
        if kind == b"!":
            at = _sub_blocks(data, at + 2)
        elif kind == b",":
            flags = _take(data, at + 1, 9, "gif")[8]
            at = _sub_blocks(data, at + 11 + _colours(flags))
            has_pixels = True
        else:
            raise ImageBroken("The gif picture that came is damaged.")
    if not has_pixels:
        raise ImageBroken("The gif picture that came has no pixels in it.")
    return size


def _colours(flags: int) -> int:
    """Return the length of the colour table that packed flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _sub_blocks(data: Data, at: int) -> int:
    """Return where the block after a row of sub-blocks begins."""
    while length := _take(data, at, 1, "gif")[0]:
        at += 1 + length
    return at + 1


_WALKS: Final[dict[str, Callable[[Data], tuple[int, int]]]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "gif": _gif,
}
