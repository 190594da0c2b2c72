"""A picture made of flat tiles, and its two writers; what is flat is quickly coded."""

from __future__ import annotations

import re
import struct
import zlib
from functools import cache
from typing import Final

from seedream_cli.core.record import dataclass

TILE: Final = 8
"""Pixels that a tile is wide and high: a block of JPEG."""

Colour = tuple[int, int, int]

_RUN: Final = re.compile(rb"(.)\1*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """A picture of `width` x `height` pixels; tiles are cut at its right and lower edge."""

    width: int
    height: int
    palette: list[Colour]
    """At most 256."""
    cells: bytes
    """Palette index of each tile, row by row."""

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.width // TILE)


def write_png(tiles: Tiles, *, is_clear: bool = False) -> bytes:
    """Return `tiles` as a whole PNG file: indexed, 8 bits deep.

    Of a clear one what lies in the upper left corner, the sky, is transparent everywhere.
    """
    squeeze = zlib.compressobj(1)
    # Filter 2 tells the difference to the row above.
    again = b"\2" + bytes(tiles.width)
    parts = []
    for top in range(0, tiles.height, TILE):
        start = top // TILE * tiles.across
        row = bytearray(tiles.across * TILE)
        for x in range(TILE):
            row[x::TILE] = tiles.cells[start : start + tiles.across]
        copies = min(TILE, tiles.height - top) - 1
        parts.append(squeeze.compress(b"\0" + row[: tiles.width] + again * copies))
    header = struct.pack(">IIBBBBB", tiles.width, tiles.height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", b"".join(map(bytes, tiles.palette))),
        *(((b"tRNS", b"\xff" * tiles.cells[0] + b"\0"),) if is_clear else ()),
        (b"IDAT", b"".join((*parts, squeeze.flush()))),
        (b"IEND", b""),
    )
    file = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        checksum = zlib.crc32(name + content)
        file += struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
    return file


def write_jpeg(tiles: Tiles) -> bytes:
    """Return `tiles` as a whole baseline JFIF file (ITU-T T.81), 4:4:4.

    The Huffman codes are chosen so that a block like the one before it is one zero byte, and that
    each component which changes adds two bytes: no code ever crosses from one run to the next.
    """
    levels = [_levels(colour) for colour in tiles.palette]
    step = cache(lambda old, new: _step(levels[old] if old >= 0 else (0, 0, 0), levels[new]))
    scan, before = [], -1
    for run in _RUN.finditer(tiles.cells):
        index = run[0][0]
        scan.append(step(before, index))
        scan.append(bytes(len(run[0]) - 1))
        before = index
    frame = struct.pack(">BHHB", 8, tiles.height, tiles.width, 3)
    segments = (
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        (0xDB, b"\0" + bytes((8,)) * 64),
        (0xC0, frame + bytes.fromhex("011100 021100 031100")),
        # DC: 0 in one bit, a difference of k bits in 17 - k; AC: nothing but the end of a block,
        # in one bit for luma and in two for chroma.
        (0xC4, b"\0" + bytes((1, *[0] * 7, *[1] * 8)) + bytes((0, 8, 7, 6, 5, 4, 3, 2, 1))),
        (0xC4, b"\x10" + bytes((1, *[0] * 15)) + b"\0"),
        (0xC4, b"\x11" + bytes((0, 1, *[0] * 14)) + b"\0"),
        (0xDA, bytes.fromhex("03 0100 0201 0301 003f00")),
    )
    head = b"".join(struct.pack(">BBH", 0xFF, mark, len(c) + 2) + c for mark, c in segments)
    return b"\xff\xd8" + head + b"".join(scan) + b"\xff\xd9"


def _levels(colour: Colour) -> tuple[int, int, int]:
    """Return the components of JFIF, centred on zero: a flat block's DC with a quantum of 8."""
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (round(luma - 128), round(0.564 * (blue - luma)), round(0.713 * (red - luma)))


def _step(old: tuple[int, int, int], new: tuple[int, int, int]) -> bytes:
    """Return a block of levels `new` after one of levels `old`, in whole bytes."""
    bits = ""
    for before, after, end in zip(old, new, ("0", "00", "00"), strict=True):
        change = after - before
        size = abs(change).bit_length()
        if size:
            extra = change if change > 0 else change + (1 << size) - 1
            bits += f"10000000{'1' * (8 - size)}0{extra:0{size}b}{end}"
        else:
            bits += f"0{end}"
    return int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
