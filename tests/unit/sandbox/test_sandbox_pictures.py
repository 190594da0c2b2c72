"""The stand-in's pictures are true in size and format, and the same every time."""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass, replace

import pytest

from seedream_cli.sandbox.messages import Fate
from seedream_cli.sandbox.pictures.canvas import Canvas, Shades
from seedream_cli.sandbox.pictures.host import draw
from seedream_cli.sandbox.pictures.jpeg import write_jpeg
from seedream_cli.sandbox.pictures.scenes import compose
from seedream_cli.sandbox.tickets import (
    Kind,
    Picture,
    Task,
    image_name,
    read_image_name,
    read_task_id,
    seed_of,
    task_id,
    tint_of,
)

SMALL = Picture(seed=7, width=203, height=117, format="png")


def png_chunks(content: bytes) -> dict[str, bytes]:
    """Return the chunks of a PNG by name, after checking each one's checksum and the order."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[str, bytes] = {}
    place = 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        name, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        (check,) = struct.unpack_from(">I", content, place + 8 + length)
        assert check == zlib.crc32(name + body)
        chunks[name.decode()] = body
        place += 12 + length
    assert list(chunks) == ["IHDR", "PLTE", "IDAT", "IEND"]
    return chunks


@dataclass
class Jpeg:
    """What a baseline decoder finds in a file: its frame, tables, and bits between markers."""

    width: int
    height: int
    quantum: int
    codes: dict[int, dict[str, int]]
    rows: list[str]


def read_jpeg(content: bytes) -> Jpeg:
    """Walk the markers of a baseline JPEG, from SOI to EOI, and unpack its entropy-coded rows."""
    assert content[:2] == b"\xff\xd8"
    assert content[-2:] == b"\xff\xd9"
    found = Jpeg(width=0, height=0, quantum=0, codes={}, rows=[])
    place = 2
    while True:
        mark, marker, length = struct.unpack_from(">BBH", content, place)
        body = content[place + 4 : place + 2 + length]
        place += 2 + length
        assert mark == 0xFF
        if marker == 0xC0:
            assert body[0] == 8
            found.height, found.width = struct.unpack_from(">HH", body, 1)
        elif marker == 0xDB:
            found.quantum = body[1]
        elif marker == 0xC4:
            found.codes[body[0]] = huffman(body[1:17], body[17:])
        elif marker == 0xDA:
            break
    scan = content[place:-2]
    for number in range(8):
        scan = scan.replace(bytes((0xFF, 0xD0 + number)), b"\xff\xd0")
    for row in scan.split(b"\xff\xd0"):
        raw = row.replace(b"\xff\0", b"\xff")
        found.rows.append(format(int.from_bytes(raw, "big"), f"0{len(raw) * 8}b"))
    return found


def huffman(counts: bytes, values: bytes) -> dict[str, int]:
    """Return the canonical code of each value, as T.81 annex C derives it."""
    codes: dict[str, int] = {}
    code = 0
    left = list(values)
    for length, count in enumerate(counts, start=1):
        for _ in range(count):
            codes[format(code, f"0{length}b")] = left.pop(0)
            code += 1
        code <<= 1
    return codes


def block_levels(found: Jpeg, row: int) -> list[list[float]]:
    """Decode one row of blocks and return each block's mean components, centred on zero."""
    bits, place = found.rows[row], 0
    levels = [0, 0, 0]
    blocks = []

    def symbol(table: int) -> int:
        nonlocal place
        for length in range(1, 17):
            value = found.codes[table].get(bits[place : place + length])
            if value is not None:
                place += length
                return value
        raise AssertionError("no such code")

    def extra(width: int) -> int:
        nonlocal place
        text, place = bits[place : place + width], place + width
        value = int(text or "0", 2)
        return value if not width or text[0] == "1" else value - (1 << width) + 1

    for _ in range(-(-found.width // 8)):
        for channel in range(3):
            levels[channel] += extra(symbol(0x00))
            coefficient = 1
            while coefficient < 64:
                code = symbol(0x10)
                if code == 0:
                    break
                coefficient += (code >> 4) + 1
                extra(code & 15)
            assert coefficient <= 64
        blocks.append([level * found.quantum / 8 for level in levels])
    assert len(bits) - place < 8
    assert set(bits[place:]) <= {"1"}
    return blocks


def test_a_png_has_the_asked_size_and_its_pixels() -> None:
    """A PNG's header, palette and rows agree, at a size that is no multiple of anything."""
    chunks = png_chunks(draw(SMALL))
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks["IHDR"])
    rows = zlib.decompress(chunks["IDAT"])
    assert (width, height, depth, colours) == (203, 117, 8, 3)
    assert len(rows) == 117 * (203 + 1)
    assert set(rows[:: 203 + 1]) == {0}
    assert len(chunks["PLTE"]) // 3 <= 256
    assert max(rows) < len(chunks["PLTE"]) // 3


@pytest.mark.parametrize("seed", range(8))
def test_every_jpeg_decodes_to_the_colours_of_its_canvas(seed: int) -> None:
    """Each block's mean, decoded from the bits, is the mean of the pixels that were painted."""
    canvas = compose(203, 117, shapes=seed, colours=seed + 99, is_marked=True)
    found = read_jpeg(write_jpeg(canvas))
    assert (found.width, found.height) == (203, 117)
    strips = list(canvas.strips())
    assert len(found.rows) == len(strips) == 15
    for number, strip in enumerate(strips[:14]):
        for column, decoded in enumerate(block_levels(found, number)[:25]):
            area = [row[column * 8 : column * 8 + 8] for row in strip]
            colours = [canvas.palette[index] for row in area for index in row]
            red, green, blue = (sum(part) / 64 for part in zip(*colours, strict=True))
            luma = 0.299 * red + 0.587 * green + 0.114 * blue
            wanted = (luma - 128, 0.564 * (blue - luma), 0.713 * (red - luma))
            assert decoded == pytest.approx(wanted, abs=found.quantum / 8)
    block_levels(found, 14)


def test_a_jpeg_keeps_a_hard_edge() -> None:
    """A block of two colours has detail, and one of a single colour has none."""
    black, white = (0, 0, 0), (255, 255, 255)
    flat = Canvas(width=8, height=8, palette=[black, white], sky=Shades(0, 1, 0, 8))
    edged = compose(8, 8, shapes=3, colours=3, is_marked=True)
    assert len(read_jpeg(write_jpeg(flat)).rows[0]) < len(read_jpeg(write_jpeg(edged)).rows[0])


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_the_same_ticket_gives_the_same_bytes(kind: str) -> None:
    """A picture is drawn from its numbers and nothing else."""
    picture = replace(SMALL, format=kind)
    assert draw(picture) == draw(picture)


def test_prompts_seeds_numbers_marks_and_references_are_seen() -> None:
    """Whatever a request varies, its picture varies too."""
    plain = replace(SMALL, seed=seed_of("a fox", None))
    drawn = {
        draw(plain),
        draw(replace(plain, seed=seed_of("a hen", None))),
        draw(replace(plain, seed=seed_of("a fox", 7))),
        draw(plain.sibling(1)),
        draw(replace(plain, is_marked=True)),
        draw(replace(plain, tint=tint_of(["data:image/png;base64,AAAA"]))),
    }
    assert len(drawn) == 6


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_large_picture_is_drawn_in_the_time_of_a_blink(kind: str) -> None:
    """2048x2048 takes well under the two seconds that a provider takes."""
    began = time.perf_counter()
    draw(Picture(seed=5, width=2048, height=2048, format=kind))
    assert time.perf_counter() - began < 2.0


@pytest.mark.parametrize("size", [(16, 16), (4096, 256), (64, 1024), (15, 240)])
def test_any_ratio_can_be_drawn(size: tuple[int, int]) -> None:
    """From 16:1 to 1:16, every landform fits."""
    for seed in range(12):
        canvas = compose(*size, shapes=seed, colours=seed, is_marked=True)
        rows = [row for strip in canvas.strips() for row in strip]
        assert {len(row) for row in rows} == {size[0]}
        assert len(rows) == size[1]
        assert len(canvas.palette) <= 256


def test_an_image_name_holds_its_picture() -> None:
    """What was put into a name comes out of it, and a changed name is nobody's."""
    picture = replace(SMALL, format="jpeg", tint=9, is_marked=True, expires_at=1_800_000_000)
    name = image_name(picture)
    assert name.endswith(".jpeg")
    assert read_image_name(name) == picture
    other = "B" if name[5] == "A" else "A"
    assert read_image_name(name[:5] + other + name[6:]) is None
    assert read_image_name(name.removesuffix("jpeg") + "png") is None
    assert read_image_name("é.png") is None
    assert read_image_name("") is None


def test_a_task_id_holds_its_task_and_only_for_its_provider() -> None:
    """A task id is all that a later process needs; another provider does not know it."""
    task = Task(
        kind=Kind.KIE,
        nonce=7,
        created_ms=1_800_000_000_123,
        delay_ms=2000,
        fate=Fate.FAILED,
        count=3,
        references=2,
        model="seedream/4.5-edit",
        picture=SMALL,
    )
    text = task_id(task, "task_")
    assert read_task_id(Kind.KIE, "task_", text) == task
    assert read_task_id(Kind.SEEDREAMS, "task_", text) is None
    assert read_task_id(Kind.KIE, "other_", text) is None
    assert read_task_id(Kind.KIE, "task_", image_name(SMALL)) is None
