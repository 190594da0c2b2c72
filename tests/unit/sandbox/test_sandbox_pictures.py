"""The stand-in's pictures are true in size and format, and the same every time."""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from seedream_cli.sandbox.messages import Fate
from seedream_cli.sandbox.pictures.host import draw
from seedream_cli.sandbox.pictures.scenes import LETTERS, compose
from seedream_cli.sandbox.pictures.tiles import Tiles, write_jpeg, write_png
from seedream_cli.sandbox.tickets import (
    Drawing,
    Ticket,
    TicketKind,
    image_name,
    read_image_name,
    read_task_id,
    seed_of,
    task_id,
    tint_of,
)
from seedream_cli.storage.files.image_format import inspect

SMALL = Drawing(seed=7, width=203, height=117, format="png")


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
    """What a baseline decoder finds in a file: its frame, tables, and the bits of its scan."""

    width: int
    height: int
    quantum: int
    codes: dict[int, dict[str, int]]
    bits: str


def read_jpeg(content: bytes) -> Jpeg:
    """Walk the markers of a baseline JPEG, from SOI to EOI, and unpack its entropy-coded bits."""
    assert content[:2] == b"\xff\xd8"
    assert content[-2:] == b"\xff\xd9"
    found = Jpeg(width=0, height=0, quantum=0, codes={}, bits="")
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
    raw = content[place:-2].replace(b"\xff\0", b"\xff")
    found.bits = format(int.from_bytes(raw, "big"), f"0{len(raw) * 8}b")
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


def block_levels(found: Jpeg) -> list[list[float]]:
    """Decode all blocks and return each one's components, centred on zero; each block is flat."""
    bits, place = found.bits, 0
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

    for _ in range(-(-found.width // 8) * -(-found.height // 8)):
        for channel in range(3):
            levels[channel] += extra(symbol(0x00))
            assert symbol(0x11 if channel else 0x10) == 0
        blocks.append([level * found.quantum / 8 for level in levels])
    assert place == len(bits)
    return blocks


@pytest.mark.parametrize("seed", range(8))
def test_a_png_has_the_asked_size_and_its_pixels(seed: int) -> None:
    """A PNG's header, palette and rows agree, at a size that is no multiple of anything."""
    tiles = compose(203, 117, shapes=seed, colours=seed + 99, is_marked=True)
    chunks = png_chunks(write_png(tiles))
    assert struct.unpack(">IIBBBBB", chunks["IHDR"]) == (203, 117, 8, 3, 0, 0, 0)
    assert chunks["PLTE"] == b"".join(bytes(colour) for colour in tiles.palette)
    rows = zlib.decompress(chunks["IDAT"])
    assert len(rows) == 117 * (203 + 1)
    above = bytes(203)
    for y in range(117):
        filtered, row = rows[y * 204], rows[y * 204 + 1 : y * 204 + 204]
        if filtered == 2:
            row = bytes((low + high) % 256 for low, high in zip(row, above, strict=True))
        assert filtered in {0, 2}
        assert list(row) == [tiles.cells[y // 8 * 26 + x // 8] for x in range(203)]
        above = row


@pytest.mark.parametrize("seed", range(8))
def test_every_jpeg_decodes_to_the_colours_of_its_tiles(seed: int) -> None:
    """Each block, decoded from the bits, is flat and has the colour that was painted."""
    tiles = compose(203, 117, shapes=seed, colours=seed + 99, is_marked=True)
    found = read_jpeg(write_jpeg(tiles))
    assert (found.width, found.height) == (203, 117)
    blocks = block_levels(found)
    assert len(blocks) == len(tiles.cells) == 26 * 15
    for decoded, cell in zip(blocks, tiles.cells, strict=True):
        red, green, blue = tiles.palette[cell]
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        wanted = (luma - 128, 0.564 * (blue - luma), 0.713 * (red - luma))
        assert decoded == pytest.approx(wanted, abs=0.5)


def test_the_hardest_edges_keep_their_colours() -> None:
    """From each corner of the colour cube to each other one, a JPEG's code is right."""
    palette = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    pairs = bytes(end for start in range(8) for other in range(8) for end in (start, other))
    tiles = Tiles(width=8, height=8 * len(pairs), palette=palette, cells=pairs)
    found = block_levels(read_jpeg(write_jpeg(tiles)))
    lumas = [0.299 * red + 0.587 * green + 0.114 * blue - 128 for red, green, blue in palette]
    for decoded, cell in zip(found, pairs, strict=True):
        assert decoded[0] == pytest.approx(lumas[cell], abs=0.5)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_the_same_ticket_gives_the_same_bytes(kind: str) -> None:
    """A picture is drawn from its numbers and nothing else."""
    picture = replace(SMALL, format=kind)
    assert draw(picture) == draw(picture)


def test_prompts_seeds_numbers_marks_and_references_are_seen() -> None:
    """Whatever a request varies, its picture varies too."""
    plain = replace(SMALL, seed=seed_of("a fox", None, nonce=1))
    drawn = {
        draw(plain),
        draw(replace(plain, seed=seed_of("a fox", None, nonce=2))),
        draw(replace(plain, seed=seed_of("a hen", None, nonce=1))),
        draw(replace(plain, seed=seed_of("a fox", 7, nonce=1))),
        draw(plain.sibling(1)),
        draw(replace(plain, is_marked=True)),
        draw(replace(plain, tint=tint_of(["data:image/png;base64,AAAA"]))),
    }
    assert len(drawn) == 7


def test_only_a_seed_makes_purchases_equal() -> None:
    """With a seed every purchase draws the same; without one, or with -1, each its own."""
    assert seed_of("a fox", 7, nonce=1) == seed_of("a fox", 7, nonce=2)
    assert seed_of("a fox", None, nonce=1) != seed_of("a fox", None, nonce=2)
    assert seed_of("a fox", -1, nonce=1) == seed_of("a fox", None, nonce=1)


def test_two_pictures_are_told_apart_at_a_glance() -> None:
    """Of any two seeds' pictures, a good part of the tiles has another colour."""
    drawn = []
    for seed in range(16):
        tiles = compose(512, 512, shapes=seed, colours=seed ^ 0x5EED, is_marked=False)
        drawn.append([tiles.palette[cell] for cell in tiles.cells])
    for one, other in combinations(drawn, 2):
        assert sum(mine != theirs for mine, theirs in zip(one, other, strict=True)) > len(one) / 2


def test_a_mark_stands_bottom_right_and_nowhere_else() -> None:
    """With a watermark, only a corner of the picture changes."""
    plain, marked = (
        compose(512, 512, shapes=3, colours=4, is_marked=is_marked) for is_marked in (False, True)
    )
    changed = {at for at in range(64 * 64) if plain.cells[at] != marked.cells[at]}
    assert len(changed) == sum(line.count("#") for line in LETTERS)
    assert {marked.palette[marked.cells[at]] for at in changed} == {(244, 244, 240)}
    assert all(at % 64 >= 54 and at // 64 >= 56 for at in changed)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_large_picture_is_drawn_in_the_time_of_a_blink(kind: str) -> None:
    """2048x2048 takes well under the two seconds that a provider takes, of the CPU alone."""
    began = time.thread_time()
    draw(Drawing(seed=5, width=2048, height=2048, format=kind))
    assert time.thread_time() - began < 2.0


@pytest.mark.parametrize(
    "size", [(1, 1), (9, 7), (16, 16), (4096, 256), (64, 1024), (15, 240), (6240, 1), (1, 6240)]
)
def test_any_ratio_can_be_drawn(size: tuple[int, int]) -> None:
    """From a single pixel to the thinnest strip, every landform fits and its file is whole."""
    for seed in range(12):
        tiles = compose(*size, shapes=seed, colours=seed, is_marked=True)
        assert len(tiles.cells) == -(-size[0] // 8) * -(-size[1] // 8)
        assert max(tiles.cells) < len(tiles.palette) <= 256
        for content, kind in ((write_png(tiles), "png"), (write_jpeg(tiles), "jpeg")):
            facts = inspect(content)
            assert (facts.format, facts.width, facts.height) == (kind, *size)


def test_the_largest_palette_fits() -> None:
    """Where all shades are needed, there are at most 256, and both formats are whole."""
    for seed in range(24):
        assert len(compose(640, 6240, shapes=seed, colours=seed, is_marked=True).palette) <= 256


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
    task = Ticket(
        kind=TicketKind.KIE,
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
    assert read_task_id(TicketKind.KIE, "task_", text) == task
    assert read_task_id(TicketKind.SEEDREAMS, "task_", text) is None
    assert read_task_id(TicketKind.KIE, "other_", text) is None
    assert read_task_id(TicketKind.KIE, "task_", image_name(SMALL)) is None
