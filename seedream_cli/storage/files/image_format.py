"""What a picture file is by its bytes, and what is odd about them. Pure."""

from __future__ import annotations

import zlib
from struct import Struct
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import NotAPicture
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from mmap import mmap

    Data = bytes | mmap

BLOCK: Final = 1 << 20
"""Bytes looked at in one go, so that a large picture is never held whole."""

HEAD: Final = 32
"""Bytes that `sniff` needs at most."""

_CHUNK: Final = Struct(">I4s")
"""How each chunk of a PNG begins: its length and its name."""
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MAGIC: Final = (
    (_PNG, "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0\x08\0\0\0", "tiff"),
    (b"MM\0+\0\x08\0\0", "tiff"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF: Final = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})
"""Brands that do not say how the picture in it is coded (ISO/IEC 23008-12, 10.2)."""
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
"""Lengths of the header behind the file's own; two letters alone announce many a text."""

UNSEEN: Final = "this format is not looked into"
_NO_END: Final = "it has no end mark"
_CHECKSUM: Final = "a checksum is wrong"
_UNFIT: Final = "its parts do not fit together"
_STRAY: Final = "there are stray bytes between its parts"
_SHORT: Final = "it is shorter than it says"
_NO_PIXELS: Final = "it has no pixels"
_NO_SIZE: Final = "its size cannot be read"

_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_MARKER: Final = pattern(rb"\xff[^\x00\xd0-\xd7]")
"""A marker that is no part of a scan's compressed data: no stuffed byte, and no restart."""
_END_OF_IMAGE: Final = 0xD9
_START_OF_SCAN: Final = 0xDA
_MIN_SEGMENT: Final = 2
_MAX_TAGS: Final = 4096
"""Of one directory that are read; real ones have some dozens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a picture is."""

    format: str
    """`png`, `jpeg`, `webp`, `gif`, `bmp`, `tiff`, `avif`, `heic` or `jxl`."""
    width: int | None
    height: int | None
    """None where its bytes do not tell."""
    finding: str | None = None
    """What a closer look found odd, such as "a checksum is wrong"; None: nothing."""
    has_end: bool = True
    """Whether its own end mark was seen, so that nothing can be missing at the end."""


def sniff(head: bytes) -> str | None:
    """Return the format that the first bytes (32 are enough) announce; None for no picture."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _read_brands(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _read_brands(head: bytes) -> str | None:
    """Read the brands of an ISO base media file: the first, and those it is compatible with."""
    end = min(int.from_bytes(head[:4]), HEAD)
    major, others = head[8:12], {head[at : at + 4] for at in range(16, end, 4)}
    if major in _AVIF or (major in _HEIF and others & _AVIF):
        return "avif"
    return "heic" if major in _HEIC | _HEIF else None


def inspect(data: Data) -> Facts:
    """Return what picture `data` is, and what is odd about it; raise `NotAPicture` for none.

    The structure is walked to its end; pixels are not decoded. Bytes after the end are allowed:
    motion photos and files of several pictures have them.
    """
    name = sniff(data[:HEAD])
    if name is None:
        raise NotAPicture(_not_a_picture(data))
    look = _Look()
    _WALKS[name](data, look)
    if name != "jxl" and not (look.width and look.height):
        look.note(_NO_SIZE)
    return Facts(
        format=name,
        width=look.width or None,
        height=look.height or None,
        finding=look.finding,
        has_end=look.has_end,
    )


@dataclass(slots=True)
class _Look:
    """What a walk has seen so far."""

    width: int = 0
    height: int = 0
    finding: str | None = None
    has_end: bool = False

    def note(self, finding: str) -> None:
        """Keep the first thing that is odd."""
        self.finding = self.finding or finding


def _not_a_picture(data: Data) -> str:
    """Say what came instead of a picture."""
    start = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not data[:1]:
        return "The image host answered with nothing."
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "The image host answered with a web page."
    if start.startswith((b"<", b"{", b"[")):
        return "The image host answered with a message, not with a picture."
    if start.startswith(b"\x1f\x8b"):
        return "What the image host sent is packed more than once."
    return "What the image host sent is not a picture."


def _let_go(data: Data, start: int, end: int) -> None:
    """Give the memory of a mapped file back: what was looked at is not looked at again."""
    if not isinstance(data, bytes):
        import mmap

        if hasattr(mmap, "MADV_DONTNEED"):
            start -= start % mmap.PAGESIZE
            data.madvise(mmap.MADV_DONTNEED, start, end - start)


def _png(data: Data, look: _Look) -> None:
    """Walk the chunks to IEND, with their checksums (PNG specification, 5.3)."""
    at, has_pixels, looked_at = len(_PNG), False, 0
    with memoryview(data) as view:  # a picture may have thousands of chunks: none is copied
        while at + 12 <= len(data):
            length, kind = _CHUNK.unpack_from(view, at)
            end = at + 8 + length
            if end + 4 > len(data):
                break
            checksum = 0
            for start in range(at + 4, end, BLOCK):
                until = min(start + BLOCK, end)
                checksum = zlib.crc32(view[start:until], checksum)
                if until - looked_at > BLOCK:
                    _let_go(data, looked_at, until)
                    looked_at = until
            if checksum != int.from_bytes(view[end : end + 4]):
                look.note(_CHECKSUM)
            # The header comes first and once; before it only Apple's own chunk.
            if (kind == b"IHDR") == bool(look.width) and (look.width or kind != b"CgBI"):
                look.note(_UNFIT)
            if kind == b"IHDR":
                look.width = int.from_bytes(view[at + 8 : at + 12])
                look.height = int.from_bytes(view[at + 12 : at + 16])
            has_pixels = has_pixels or (kind == b"IDAT" and length > 0)
            at = end + 4
            if kind == b"IEND":
                look.has_end = True
                if not has_pixels:
                    look.note(_NO_PIXELS)
                return
    # A length that is wrong leads astray; behind it the end may stand all the same.
    look.has_end = data.find(b"IEND\xae\x42\x60\x82", len(_PNG)) > 0
    look.note(_UNFIT if look.has_end else _NO_END)


def _jpeg(data: Data, look: _Look) -> None:
    """Walk the segments and scans to EOI (ITU-T T.81, annex B).

    An EOI inside a segment, such as a thumbnail's, is not seen, since segments are leapt over.
    """
    at, has_scan = 2, False
    while True:
        marker, at = _marker(data, at, look)
        if marker in _STANDALONE:
            continue
        if marker is None or marker == _END_OF_IMAGE:
            break
        length = int.from_bytes(data[at : at + 2])
        if length < _MIN_SEGMENT:
            look.note(_UNFIT)
            continue
        if marker in _START_OF_FRAME:
            look.width = int.from_bytes(data[at + 5 : at + 7])
            look.height = int.from_bytes(data[at + 3 : at + 5])
        at += length
        if marker == _START_OF_SCAN:
            at, has_scan = _end_of_scan(data, at), True
    if marker is None:
        look.note(_NO_END)
    # After something odd an EOI may be a thumbnail's: only one that ends it all counts.
    look.has_end = marker is not None and (
        look.finding is None or data[len(data) - 2 :] == b"\xff\xd9"
    )
    if not has_scan:
        look.note(_NO_PIXELS)


def _marker(data: Data, at: int, look: _Look) -> tuple[int | None, int]:
    """Return the next marker, fill bytes skipped, and where its segment begins; None: the end."""
    while True:
        start = data.find(b"\xff", at)
        if start != at and at < len(data):
            look.note(_STRAY)
        if start < 0:
            return None, len(data)
        at = start
        while data[at : at + 1] == b"\xff":
            at += 1
        if at >= len(data):
            return None, at
        if data[at]:
            return data[at], at + 1
        look.note(_STRAY)


def _end_of_scan(data: Data, at: int) -> int:
    """Return where the next marker stands that is not a part of the compressed data."""
    for start in range(at, len(data), BLOCK):
        # Each block with a byte of the next: a marker has two.
        found = _MARKER.search(data, start, min(start + BLOCK + 1, len(data)))
        if found is not None:
            return found.start()
        _let_go(data, start, min(start + BLOCK, len(data)))
    return len(data)


def _webp(data: Data, look: _Look) -> None:
    """Walk the chunks to the end that the RIFF header announces (RFC 9649, 2.3)."""
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    look.has_end = end <= len(data)
    if not look.has_end:
        look.note(_SHORT)
    canvas, has_pixels = False, False
    while at < min(end, len(data)):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            look.note(_UNFIT)
        body = data[at + 8 : at + 18]
        if kind == b"VP8X":
            look.width = int.from_bytes(body[4:7], "little") + 1
            look.height = int.from_bytes(body[7:], "little") + 1
            canvas = True
        elif kind in {b"VP8 ", b"VP8L"}:
            size = _webp_frame(kind, body)
            has_pixels = size != (0, 0)
            if not canvas:
                look.width, look.height = size
        has_pixels = has_pixels or kind == b"ANMF"
        # Chunks are padded to an even length (RFC 9649, 2.3).
        at += 8 + length + length % 2
    if not has_pixels:
        look.note(_NO_PIXELS)


def _webp_frame(kind: bytes, body: bytes) -> tuple[int, int]:
    """Read the size out of a VP8 (RFC 6386, 9.1) or VP8L (RFC 9649, 3.4) frame header."""
    mask = 0x3FFF
    if kind == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & mask) + 1, (bits >> 14 & mask) + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = body[6:8], body[8:10]
        return int.from_bytes(width, "little") & mask, int.from_bytes(height, "little") & mask
    return 0, 0


def _gif(data: Data, look: _Look) -> None:
    """Walk the blocks to the trailer (GIF89a specification, 17 to 27)."""
    look.width = int.from_bytes(data[6:8], "little")
    look.height = int.from_bytes(data[8:10], "little")
    at, has_pixels = 13 + _colours(data[10:11]), False
    while (kind := data[at : at + 1]) in {b"!", b","}:
        if kind == b"!":
            at = _sub_blocks(data, at + 2)
        else:
            at = _sub_blocks(data, at + 11 + _colours(data[at + 9 : at + 10]))
            has_pixels = True
    # Behind stray bytes the trailer may stand all the same, as the file's last byte.
    look.has_end = kind == b";" or (kind != b"" and data[len(data) - 1 :] == b";")
    if kind != b";":
        look.note(_STRAY if kind else _NO_END)
    if not has_pixels:
        look.note(_NO_PIXELS)


def _colours(flags: bytes) -> int:
    """Return the length of the colour table that a byte of packed flags announces."""
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _sub_blocks(data: Data, at: int) -> int:
    """Return where the block after a row of sub-blocks begins."""
    while (length := data[at : at + 1]) and length != b"\0":
        at += 1 + length[0]
    return at + 1


def _bmp(data: Data, look: _Look) -> None:
    """Read the sizes in the headers ([MS-WMF] 2.2.2; OS/2's have 16 bits)."""
    if int.from_bytes(data[14:18], "little") == 12:  # noqa: PLR2004 - OS/2's first
        look.width = int.from_bytes(data[18:20], "little")
        look.height = int.from_bytes(data[20:22], "little")
    else:
        look.width = abs(int.from_bytes(data[18:22], "little", signed=True))
        # Below zero: the rows go from top to bottom.
        look.height = abs(int.from_bytes(data[22:26], "little", signed=True))
    length = int.from_bytes(data[2:6], "little")
    look.has_end = 0 < length <= len(data)
    look.note(_SHORT if length > len(data) else UNSEEN)


def _tiff(data: Data, look: _Look) -> None:
    """Read the size in the first directory (TIFF 6.0, section 2; BigTIFF)."""
    from typing import Literal

    look.note(UNSEEN)
    order: Literal["little", "big"] = "little" if data[:1] == b"I" else "big"

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at : at + length], order)

    is_big = number(2, 2) == 43  # noqa: PLR2004 - BigTIFF
    word, many, entry = (8, 8, 20) if is_big else (4, 2, 12)
    start = number(8 if is_big else 4, word)
    for k in range(min(number(start, many), _MAX_TAGS)):
        at = start + many + k * entry
        tag, kind = number(at, 2), number(at + 2, 2)
        # SHORT and LONG stand at the left of their field (TIFF 6.0, section 2).
        value = number(at + 4 + word, {3: 2, 4: 4}.get(kind, word))
        if tag == 256:  # noqa: PLR2004 - ImageWidth
            look.width = value
        elif tag == 257:  # noqa: PLR2004 - ImageLength
            look.height = value


def _heif(data: Data, look: _Look) -> None:
    """Read the largest size among those of its items: tiles and thumbnails have their own.

    Boxes are ISO/IEC 14496-12's, `ispe` is ISO/IEC 23008-12's, 6.5.3.
    """
    look.note(UNSEEN)
    for at in _sizes(data, 0, len(data), (b"meta", b"iprp", b"ipco")):
        size = int.from_bytes(data[at + 4 : at + 8]), int.from_bytes(data[at + 8 : at + 12])
        # The picture itself is the largest of its items.
        if size[0] * size[1] > look.width * look.height:
            look.width, look.height = size


def _sizes(data: Data, at: int, end: int, way: tuple[bytes, ...]) -> Iterator[int]:
    """Yield where the body of each `ispe` box begins that lies at the end of a way of boxes."""
    while at + 8 <= end:
        length, kind, body = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, body = int.from_bytes(data[at + 8 : at + 16]), at + 16
        # 0: the box goes to the end (ISO/IEC 14496-12, 4.2).
        after = at + length if length else end
        # A length that does not span its own head would never get on.
        if after < body:
            return
        if way and kind == way[0]:
            body += 4 if kind == b"meta" else 0  # version and flags
            yield from _sizes(data, body, min(after, end), way[1:])
        elif not way and kind == b"ispe":
            yield body
        at = after


def _jxl(_data: Data, look: _Look) -> None:
    look.note(UNSEEN)


_WALKS: Final[dict[str, Callable[[Data, _Look], None]]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "gif": _gif,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": _heif,
    "heic": _heif,
    "jxl": _jxl,
}
