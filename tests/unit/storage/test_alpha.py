"""Whether a PNG lets anything through is read from its alpha."""

from __future__ import annotations

import random
import zlib

import pytest
from support.pictures import SIGNATURE, chunk, png

from seedream_cli.storage.files.alpha import is_opaque

GREY_ALPHA, COLOUR_ALPHA = 4, 6


def filtered(rows: list[bytes], step: int, chosen: list[int]) -> bytes:
    """Write scan lines with these filters, as the PNG specification has them (9.2)."""
    found, above = b"", bytes(len(rows[0]))
    for row, number in zip(rows, chosen, strict=True):
        line = bytearray([number])
        for k, value in enumerate(row):
            left = row[k - step] if k >= step else 0
            corner = above[k - step] if k >= step else 0
            up = above[k]
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda each: abs(guess - each))
            line.append((value - (0, left, up, (left + up) // 2, paeth)[number]) & 255)
        found, above = found + bytes(line), row
    return found


def picture(
    kind: int, depth: int, rows: list[bytes], chosen: list[int], *extra: bytes, interlaced: int = 0
) -> bytes:
    """Return a PNG of these rows."""
    step = {GREY_ALPHA: 2, COLOUR_ALPHA: 4, 3: 1, 2: 3}[kind] * depth // 8
    width = len(rows[0]) // step
    header = width.to_bytes(4) + len(rows).to_bytes(4) + bytes([depth, kind, 0, 0, interlaced])
    body = zlib.compress(filtered(rows, step, chosen))
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", body[:9]), chunk(b"IDAT", body[9:]))
    return SIGNATURE + b"".join(parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [GREY_ALPHA, COLOUR_ALPHA])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("number", range(5))
def test_one_pixel_of_many_is_enough(kind: int, depth: int, number: int) -> None:
    """With each filter an opaque picture is opaque, and one that is not in one pixel is not."""
    dice = random.Random(7)
    samples, size = {GREY_ALPHA: 2, COLOUR_ALPHA: 4}[kind], depth // 8
    step, width = samples * size, 9
    rows = []
    for _ in range(7):
        row = bytearray(dice.randbytes(step * width))
        for at in range(step - size, len(row), step):
            row[at : at + size] = b"\xff" * size
        rows.append(bytes(row))
    assert is_opaque(picture(kind, depth, rows, [number] * 7))
    holed = bytearray(rows[4])
    holed[5 * step + step - size] = 254
    rows[4] = bytes(holed)
    assert not is_opaque(picture(kind, depth, rows, [number] * 7))


def test_without_alpha_a_mask_decides() -> None:
    """Grey, colour and palette pictures let something through only with a mask that says so."""
    assert is_opaque(png())
    row, palette = [bytes(3)], chunk(b"PLTE", bytes(6))
    assert is_opaque(picture(3, 8, row, [0], palette))
    assert is_opaque(picture(3, 8, row, [0], palette, chunk(b"tRNS", b"\xff")))
    assert not is_opaque(picture(3, 8, row, [0], palette, chunk(b"tRNS", b"\xff\x00")))


def test_what_is_not_read_is_not_called_opaque() -> None:
    """Interlaced, huge, broken and other pictures are left to the provider."""
    rows = [b"\x00\xff"]
    assert not is_opaque(picture(GREY_ALPHA, 8, rows, [0], interlaced=1))
    assert not is_opaque(b"GIF89a")
    huge = (3000).to_bytes(4) + (3000).to_bytes(4) + bytes([8, COLOUR_ALPHA, 0, 0, 0])
    assert not is_opaque(SIGNATURE + chunk(b"IHDR", huge))
