"""Writes an indexed picture as baseline JPEG.

Flat pictures have few different 8x8 blocks. Each is transformed once; the rest is a look-up, which
is what makes a pure Python encoder fast enough. One quantisation table and one pair of Huffman
tables serve all three components, and each row of blocks ends in a restart marker, so that equal
rows of blocks are equal bytes. (Tables: ITU-T T.81, annex K.)
"""

from __future__ import annotations

import math
import struct
from operator import mul
from typing import TYPE_CHECKING, Final

from seedream_cli.sandbox.pictures.canvas import STRIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.sandbox.pictures.canvas import Canvas, Colour

_QUANTA: Final = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_FINENESS: Final = 0.3
"""Of the annex's table: about quality 85."""

_DC_COUNTS: Final = bytes((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
_DC_VALUES: Final = bytes(range(12))
_AC_COUNTS: Final = bytes((0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125))
_AC_VALUES: Final = bytes.fromhex(
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f0"
    "2433627282090a161718191a25262728292a3435363738393a43444546474849"
    "4a535455565758595a636465666768696a737475767778797a83848586878889"
    "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5"
    "c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
    "f9fa"
)
_END_OF_BLOCK: Final = 0x00
_SIXTEEN_ZEROS: Final = 0xF0
_LONGEST_RUN: Final = 15
_BLOCK: Final = STRIP * 8

Levels = tuple[int, int, int]
Spectrum = list[float]


def write_jpeg(canvas: Canvas) -> bytes:
    """Return `canvas` as a whole JFIF file."""
    coder = _Coder(canvas.palette)
    parts = [_header(canvas, coder.quanta)]
    before: tuple[list[bytes], bytes] = ([], b"")
    for number, strip in enumerate(canvas.strips()):
        if strip != before[0]:
            before = (strip, coder.scan(strip))
        parts.extend((before[1], bytes((0xFF, 0xD0 + number % 8))))
    parts[-1] = b"\xff\xd9"
    return b"".join(parts)


def _header(canvas: Canvas, quanta: Sequence[int]) -> bytes:
    blocks_a_row = -(-canvas.width // 8)
    frame = struct.pack(">BHHB", 8, canvas.height, canvas.width, 3)
    frame += b"".join(bytes((component, 0x11, 0)) for component in (1, 2, 3))
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            _segment(0xDB, b"\0" + bytes(quanta)),
            _segment(0xC0, frame),
            _segment(0xC4, b"\x00" + _DC_COUNTS + _DC_VALUES),
            _segment(0xC4, b"\x10" + _AC_COUNTS + _AC_VALUES),
            _segment(0xDD, struct.pack(">H", blocks_a_row)),
            _segment(0xDA, b"\x03\x01\0\x02\0\x03\0\0\x3f\0"),
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


class _Coder:
    """Turns strips into entropy-coded bytes and remembers every block that it has seen."""

    def __init__(self, palette: Sequence[Colour]) -> None:
        self._colours = [_luma_and_chroma(colour) for colour in palette]
        self._dc = _codes(_DC_COUNTS, _DC_VALUES)
        self._ac = _codes(_AC_COUNTS, _AC_VALUES)
        self._zigzag = _zigzag()
        self._cosines = _cosines()
        natural = [max(1, round(quantum * _FINENESS)) for quantum in _QUANTA]
        self.quanta = [natural[place] for place in self._zigzag]
        self._blocks: dict[bytes, tuple[Levels, tuple[str, str, str]]] = {}
        self._spectra: dict[int, Spectrum] = {}
        self._row_spectra: dict[int, list[float]] = {}
        self._steps: dict[int, str] = {}

    def scan(self, strip: list[bytes]) -> bytes:
        """Return one row of blocks, byte-aligned and stuffed."""
        rows = _padded(strip)
        bits: list[str] = []
        level: Levels = (0, 0, 0)
        seen, again = b"", ""
        for x in range(0, len(rows[0]), 8):
            key = b"".join([row[x : x + 8] for row in rows])
            if key != seen:
                target, tails = self._blocks.get(key) or self._learn(key)
                bits.append(self._coded(level, target, tails))
                level, seen = target, key
                again = self._coded(target, target, tails)
            else:
                bits.append(again)
        return _aligned("".join(bits))

    def _coded(self, before: Levels, after: Levels, tails: tuple[str, str, str]) -> str:
        return "".join(
            self._step(new - old) + tail
            for old, new, tail in zip(before, after, tails, strict=True)
        )

    def _step(self, difference: int) -> str:
        code = self._steps.get(difference)
        if code is None:
            bits = _bits(difference)
            code = self._steps[difference] = self._dc[len(bits)] + bits
        return code

    def _learn(self, key: bytes) -> tuple[Levels, tuple[str, str, str]]:
        shades = sorted(set(key))
        base = self._colours[shades[0]]
        spectra = [(self._colours[shade], self._spectrum(key, shade)) for shade in shades[1:]]
        levels: list[int] = []
        tails: list[str] = []
        for channel in range(3):
            deltas = [
                (colour[channel] - base[channel], spectrum)
                for colour, spectrum in spectra
                if colour[channel] != base[channel]
            ]
            total = self._quantised(base[channel], deltas)
            levels.append(total[0])
            tails.append(self._tail(total))
        block = ((levels[0], levels[1], levels[2]), (tails[0], tails[1], tails[2]))
        self._blocks[key] = block
        return block

    def _quantised(self, base: float, deltas: list[tuple[float, Spectrum]]) -> list[int]:
        """Return a block's coefficients: the transform is linear in the colours of its parts."""
        if not deltas:
            return [round(base * 8 / self.quanta[0])]
        sums = [0.0] * _BLOCK
        sums[0] = base * 8
        for weight, spectrum in deltas:
            sums = [total + weight * part for total, part in zip(sums, spectrum, strict=True)]
        return [round(total / quantum) for total, quantum in zip(sums, self.quanta, strict=True)]

    def _spectrum(self, key: bytes, shade: int) -> Spectrum:
        """Return the transform, in zigzag order, of where a block shows `shade`."""
        mask = int.from_bytes(key.translate(_one_hot(shade)), "big")
        spectrum = self._spectra.get(mask)
        if spectrum is None:
            rows = [self._row_spectrum(key[start : start + 8], shade) for start in range(0, 64, 8)]
            columns = list(zip(*rows, strict=True))
            flat = [sum(map(mul, wave, column)) for wave in self._cosines for column in columns]
            spectrum = self._spectra[mask] = [flat[place] for place in self._zigzag]
        return spectrum

    def _row_spectrum(self, row: bytes, shade: int) -> list[float]:
        pattern = sum(1 << x for x, value in enumerate(row) if value == shade)
        spectrum = self._row_spectra.get(pattern)
        if spectrum is None:
            marked = [x for x in range(8) if pattern >> x & 1]
            spectrum = [sum(wave[x] for x in marked) for wave in self._cosines]
            self._row_spectra[pattern] = spectrum
        return spectrum

    def _tail(self, coefficients: list[int]) -> str:
        """Return the coded AC coefficients (T.81, F.1.2.2)."""
        parts: list[str] = []
        zeros = 0
        for value in coefficients[1:]:
            if not value:
                zeros += 1
                continue
            while zeros > _LONGEST_RUN:
                parts.append(self._ac[_SIXTEEN_ZEROS])
                zeros -= 16
            bits = _bits(value)
            parts.append(self._ac[zeros << 4 | len(bits)] + bits)
            zeros = 0
        if zeros or len(coefficients) == 1:
            parts.append(self._ac[_END_OF_BLOCK])
        return "".join(parts)


def _one_hot(shade: int) -> bytes:
    return bytes(shade) + b"\1" + bytes(255 - shade)


def _padded(strip: list[bytes]) -> list[bytes]:
    """Fill a strip up to whole blocks by repeating its edges, as decoders expect to cut them."""
    missing = -len(strip[0]) % 8
    rows = [row + row[-1:] * missing for row in strip] if missing else list(strip)
    return rows + [rows[-1]] * (STRIP - len(rows))


def _aligned(bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


def _bits(value: int) -> str:
    """Return the extra bits of a coefficient: negative ones count up from all zeros."""
    if value == 0:
        return ""
    width = abs(value).bit_length()
    return format(value if value > 0 else value + (1 << width) - 1, f"0{width}b")


def _codes(counts: bytes, values: bytes) -> dict[int, str]:
    codes: dict[int, str] = {}
    code, place = 0, 0
    for length, count in enumerate(counts, start=1):
        for value in values[place : place + count]:
            codes[value] = format(code, f"0{length}b")
            code += 1
        place += count
        code <<= 1
    return codes


def _zigzag() -> list[int]:
    places = [(y, x) for y in range(8) for x in range(8)]
    places.sort(key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]))
    return [y * 8 + x for y, x in places]


def _cosines() -> list[list[float]]:
    return [
        [
            (math.sqrt(0.125) if u == 0 else 0.5) * math.cos((2 * x + 1) * u * math.pi / 16)
            for x in range(8)
        ]
        for u in range(8)
    ]


def _luma_and_chroma(colour: Colour) -> tuple[float, float, float]:
    """Return the JFIF components, each centred on zero."""
    red, green, blue = colour
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (luma - 128, 0.564 * (blue - luma), 0.713 * (red - luma))
