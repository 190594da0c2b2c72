"""Pictures are known by their bytes; what is odd about them is a finding, no reason to refuse."""

from __future__ import annotations

import base64
import mmap
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import SIGNATURE, chunk

from seedream_cli.core.errors import NotAPicture
from seedream_cli.storage.files.image_format import UNSEEN, Facts, inspect, sniff


def segment(marker: int, body: bytes) -> bytes:
    """Build a JPEG segment."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Build a WebP file of chunks."""
    body = b"".join(
        kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


IHDR = chunk(b"IHDR", (3).to_bytes(4) + (2).to_bytes(4) + bytes([8, 0, 0, 0, 0]))
IDAT = chunk(b"IDAT", zlib.compress(b"\0abc\0def"))
IEND = chunk(b"IEND", b"")
PNG = SIGNATURE + IHDR + IDAT + IEND

# A grey 16x5 picture: one Huffman code for "no change", one for "end of block", 2 blocks that are
# parted by a restart marker. The APP1 segment holds a whole thumbnail with an EOI of its own.
TABLES = (
    segment(0xDB, bytes([0]) + bytes([1] * 64))
    + segment(0xC4, bytes([0x00, 1] + [0] * 15 + [0]))
    + segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0]))
)
SOF = segment(0xC0, bytes([8, 0, 5, 0, 16, 1, 1, 0x11, 0]))
SOS = segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0]))
THUMBNAIL = b"\xff\xd8" + TABLES + SOF + SOS + b"\x3f\xff\xd0\x3f\xff\xd9"
SCAN = b"\x3f\xff\xd0\x3f"
JPEG_HEAD = b"\xff\xd8" + segment(0xE1, b"Exif\0\0" + THUMBNAIL) + TABLES
JPEG = JPEG_HEAD + segment(0xDD, b"\0\1") + SOF + SOS + SCAN + b"\xff\xd9"

WEBP_LOSSY = base64.b64decode(b"UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
WEBP_LOSSLESS = base64.b64decode(b"UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
WEBP_MOVING = base64.b64decode(
    b"UklGRlIAAABXRUJQVlA4WAoAAAASAAAAAAAAAAAAQU5JTQYAAAD/////AABBTk1GJgAAAAAAAAAAAAAAAAAAAGQAAABWUDhM"
    b"DQAAAC8AAAAQBxAREYiI/gcA"
)
VP8_BODY = WEBP_LOSSY[20:]
VP8X = bytes([0x10, 0, 0, 0]) + (699).to_bytes(3, "little") + (299).to_bytes(3, "little")
WEBP_EXTENDED = riff((b"VP8X", VP8X), (b"ALPH", b"odd"), (b"VP8 ", VP8_BODY))
GIF = base64.b64decode(b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
GIF_LOCAL = (
    b"GIF89a\x02\x00\x03\x00\x00\x00\x00,\0\0\0\0\x02\0\x03\0\x80" + bytes(6) + b"\x02\x01\x44\x00;"
)

SAMPLES = {
    "png": (PNG, Facts(format="png", width=3, height=2)),
    "jpeg": (JPEG, Facts(format="jpeg", width=16, height=5)),
    "webp-lossy": (WEBP_LOSSY, Facts(format="webp", width=1, height=1)),
    "webp-lossless": (WEBP_LOSSLESS, Facts(format="webp", width=1, height=1)),
    "webp-moving": (WEBP_MOVING, Facts(format="webp", width=1, height=1)),
    "webp-extended": (WEBP_EXTENDED, Facts(format="webp", width=700, height=300)),
    "gif": (GIF, Facts(format="gif", width=1, height=1)),
    "gif-local-colours": (GIF_LOCAL, Facts(format="gif", width=2, height=3)),
}
each_sample = pytest.mark.parametrize(("data", "facts"), SAMPLES.values(), ids=SAMPLES.keys())


@each_sample
def test_a_whole_picture_says_what_it_is(data: bytes, facts: Facts) -> None:
    """Format, width and height come from the bytes."""
    assert inspect(data) == facts


@each_sample
def test_a_strict_prefix_has_no_end(data: bytes, facts: Facts) -> None:
    """Wherever a connection was cut, what came does not pass for a whole picture by itself."""
    for end in range(len(data)):
        with suppress(NotAPicture):
            found = inspect(data[:end])
            assert found.format == facts.format
            assert (found.has_end, found.finding is None) == (False, False), end


@each_sample
def test_bytes_after_the_end_are_allowed(data: bytes, facts: Facts) -> None:
    """Some encoders leave something behind the picture; viewers do not mind."""
    assert inspect(data + b"\0\xff\xd8left over") == facts


@each_sample
def test_a_mapped_file_reads_like_bytes(data: bytes, facts: Facts, tmp_path: Path) -> None:
    """A picture on disk need not be in memory to be verified."""
    path = tmp_path / "picture"
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        assert inspect(view) == facts


@each_sample
def test_the_head_is_enough_to_sniff(data: bytes, facts: Facts) -> None:
    """The format shows in the first 32 bytes."""
    assert sniff(data[:32]) == facts.format


def box(kind: bytes, body: bytes) -> bytes:
    """Build a box of an ISO base media file."""
    return (len(body) + 8).to_bytes(4) + kind + body


def heif(*brands: bytes, sizes: tuple[tuple[int, int], ...] = ((64, 48), (640, 480))) -> bytes:
    """Build the head of a HEIF file with the sizes of its items, a thumbnail's first."""
    items = b"".join(box(b"ispe", bytes(4) + w.to_bytes(4) + h.to_bytes(4)) for w, h in sizes)
    meta = box(b"hdlr", bytes(8)) + box(b"iprp", box(b"ipco", box(b"pixi", b"abcd") + items))
    kinds = box(b"ftyp", brands[0] + bytes(4) + b"".join(brands[1:]))
    return kinds + box(b"meta", bytes(4) + meta) + box(b"mdat", bytes(20))


def bmp(width: int, height: int, *, header: int = 40, length: int | None = None) -> bytes:
    """Build a BMP file with its pixels."""
    number = 2 if header == 12 else 4
    size = width.to_bytes(number, "little") + height.to_bytes(number, "little", signed=number > 2)
    rest = (header.to_bytes(4, "little") + size).ljust(header, b"\0") + bytes(300)
    total = 14 + len(rest) if length is None else length
    return b"BM" + total.to_bytes(4, "little") + bytes(8) + rest


def tiff(order: str, *, is_big: bool = False) -> bytes:
    """Build a TIFF directory with a size of 700 times 500."""
    little = order == "II"

    def number(value: int, length: int) -> bytes:
        return value.to_bytes(length, "little" if little else "big")

    word, many = (8, 8) if is_big else (4, 2)
    head = order.encode() + (
        number(43, 2) + number(8, 2) + number(0, 2) if is_big else number(42, 2)
    )
    start = number(len(head) + word, word)
    width = number(256, 2) + number(3, 2) + number(1, word) + number(700, 2).ljust(word, b"\0")
    height = number(257, 2) + number(4, 2) + number(1, word) + number(500, 4).ljust(word, b"\0")
    return head + start + number(2, many) + width + height + bytes(40)


UNVERIFIED = {
    "bmp": (bmp(30, 20), "bmp", 30, 20),
    "bmp, top down": (bmp(30, -20), "bmp", 30, 20),
    "bmp, OS/2": (bmp(30, 20, header=12), "bmp", 30, 20),
    "bmp, no length": (bmp(30, 20, length=0), "bmp", 30, 20),
    "tiff, Intel": (tiff("II"), "tiff", 700, 500),
    "tiff, Motorola": (tiff("MM"), "tiff", 700, 500),
    "tiff, big": (tiff("II", is_big=True), "tiff", 700, 500),
    "tiff, big, Motorola": (tiff("MM", is_big=True), "tiff", 700, 500),
    "avif": (heif(b"avif", b"mif1", b"miaf"), "avif", 640, 480),
    "avif, said by another brand": (heif(b"mif1", b"avif", b"miaf"), "avif", 640, 480),
    "avif, a sequence": (heif(b"avis", b"msf1", sizes=()), "avif", None, None),
    "heic": (heif(b"heic", b"mif1"), "heic", 640, 480),
    "heic, said by another brand": (heif(b"mif1", b"heic"), "heic", 640, 480),
    "heic, a sequence": (heif(b"hevc", b"msf1", sizes=()), "heic", None, None),
    "jpeg xl": (b"\xff\x0a\x12\x34" + bytes(40), "jxl", None, None),
    "jpeg xl, in a box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "jxl", None, None),
}


@pytest.mark.parametrize(
    ("data", "name", "width", "height"), UNVERIFIED.values(), ids=UNVERIFIED.keys()
)
def test_formats_that_are_not_looked_into_are_kept_and_say_so(
    data: bytes, name: str, width: int | None, height: int | None
) -> None:
    """They have their name and size, and a finding instead of a verdict."""
    facts = inspect(data)
    assert (facts.format, facts.width, facts.height) == (name, width, height)
    assert facts.finding == UNSEEN if width or name == "jxl" else facts.finding
    assert sniff(data[:32]) == name


@pytest.mark.parametrize(
    "name", ["windows.bmp", "without-end-mark.jpg", "wrong-checksum-in-text-chunk.png"]
)
def test_cases_that_were_thrown_away_are_pictures(name: str) -> None:
    """What viewers open has a size and a finding."""
    facts = inspect((Path(__file__).parent / "pictures" / name).read_bytes())
    assert (facts.width, facts.height) == (64, 64)
    assert facts.finding in {UNSEEN, "it has no end mark", "a checksum is wrong"}


def test_what_is_no_picture_has_no_format() -> None:
    """Text, nothing, and other containers are not pictures."""
    movie = b"\0\0\0\x18ftypmp42\0\0\0\0isommp41"
    for head in (b"", b"hello", movie, b"RIFF\0\0\0\0WAVE", b"%PDF-1.7", b"BMW is a car, not a"):
        assert sniff(head) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\xef\xbb\xbf\n  <HTML lang=en>", "web page"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "message"),
        (b'{"error":"expired"}', "message"),
        (b"", "nothing"),
        (b"not found", "not a picture"),
    ],
)
def test_an_error_page_with_status_200_is_named(data: bytes, words: str) -> None:
    """What an image host says instead of a picture is told in words."""
    with pytest.raises(NotAPicture, match=words):
        inspect(data)


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE + IHDR + IEND,
        SIGNATURE + IDAT + IEND,
        SIGNATURE + IHDR + IHDR + IDAT + IEND,
        SIGNATURE + chunk(b"IHDR", bytes(13)) + IDAT + IEND,
        SIGNATURE + IHDR + b"\xff\xff\xff\xff" + IDAT[4:] + IEND,
        b"\xff\xd8\xff\xd9",
        JPEG_HEAD + SOF + b"\xff\xd9",
        JPEG_HEAD + SOS + SCAN + b"\xff\xd9",
        JPEG_HEAD + SOF + SOS + SCAN + b"\xff\xc4\0\1\xff\xd9",
        JPEG_HEAD + b"\0" + SOF + SOS + SCAN + b"\xff\xd9",
        riff(),
        riff((b"VP8X", VP8X)),
        riff((b"VP8 ", bytes(20))),
        riff((b"VP8L", bytes(20))),
        WEBP_LOSSY.replace(b"VP8 \x16", b"VP8 \x99") + bytes(300),
        b"GIF89a\x01\0\x01\0\0\0\0;",
        GIF[:-1] + b"?;",
    ],
)
def test_a_picture_without_pixels_or_structure_is_odd(data: bytes) -> None:
    """The right beginning and the right end do not make a picture, and yet it is paid for."""
    assert inspect(data).finding


SHIFTED = bytearray(PNG)
SHIFTED[len(SIGNATURE) + len(IHDR) + 3] -= 1
OFF = WEBP_LOSSLESS[:4] + (len(WEBP_LOSSLESS) - 7).to_bytes(4, "little") + WEBP_LOSSLESS[8:]
UNDER = WEBP_LOSSLESS[:4] + (len(WEBP_LOSSLESS) - 10).to_bytes(4, "little") + WEBP_LOSSLESS[8:]
ODD = {
    "png: a text chunk's checksum": (
        SIGNATURE + IHDR + b"\0\0\0\1tEXtxbad!" + IDAT + IEND,
        3,
        True,
    ),
    "png: a checksum of the pixels": (SIGNATURE + IHDR + IDAT[:-1] + b"?" + IEND, 3, True),
    "png: a length is off by one": (bytes(SHIFTED), 3, True),
    "png: no end mark": (SIGNATURE + IHDR + IDAT, 3, False),
    "png: half an end mark": (PNG[:-2], 3, False),
    "jpeg: stray bytes between segments": (
        JPEG_HEAD + b"\0\0stray" + SOF + SOS + SCAN + b"\xff\xd9",
        16,
        True,
    ),
    "jpeg: no end mark": (JPEG[:-2], 16, False),
    "jpeg: filled up with zeros": (JPEG[:-2] + bytes(400), 16, False),
    "jpeg: a length of nothing": (
        JPEG_HEAD + b"\xff\xec\0\0" + SOF + SOS + SCAN + b"\xff\xd9",
        16,
        True,
    ),
    "webp: its length is off by one": (OFF, 1, False),
    "webp: its length is short by one": (UNDER, 1, True),
    "gif: stray bytes between blocks": (GIF[:-1] + b"?;", 1, True),
    "gif: no end mark": (GIF[:-1], 1, False),
    "bmp: its length is off by one": (bmp(5, 4, length=355), 5, False),
}


@pytest.mark.parametrize(("data", "width", "has_end"), ODD.values(), ids=ODD.keys())
def test_an_odd_structure_is_a_finding(data: bytes, width: int, *, has_end: bool) -> None:
    """What viewers open is never refused; whether its end was seen is told apart."""
    facts = inspect(data)
    assert facts.finding
    assert (facts.width, facts.has_end) == (width, has_end)


WHOLE = {
    "a motion photo": JPEG + heif(b"mp42") + b"\0" * 100,
    "several pictures in one file": JPEG + JPEG,
    "CMYK, with Adobe's segment": (
        JPEG_HEAD
        + segment(0xEE, b"Adobe\0d\0\0\0\0\2")
        + segment(
            0xC0, bytes([8, 0, 5, 0, 16, 4, *(1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0)])
        )
        + SOS
        + SCAN
        + b"\xff\xd9"
    ),
    "an animated png": SIGNATURE
    + IHDR
    + chunk(b"acTL", bytes(8))
    + chunk(b"fcTL", bytes(26))
    + IDAT
    + chunk(b"fcTL", bytes(26))
    + chunk(b"fdAT", bytes(9))
    + IEND,
    "an interlaced png": SIGNATURE
    + chunk(b"IHDR", (3).to_bytes(4) + (2).to_bytes(4) + bytes([8, 0, 0, 0, 1]))
    + IDAT
    + IEND,
    "a png of Apple's": SIGNATURE + chunk(b"CgBI", bytes(4)) + IHDR + IDAT + IEND,
    "a webp with an odd chunk at its end": riff((b"VP8 ", VP8_BODY), (b"EXIF", b"odd")),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_what_real_encoders_write_is_not_odd(data: bytes) -> None:
    """Rare and right is not odd: no warning cries wolf."""
    facts = inspect(data)
    assert (facts.finding, facts.has_end) == (None, True)


def test_every_flipped_bit_of_a_png_is_noticed() -> None:
    """A PNG carries checksums, so no damage goes unseen."""
    for at in range(len(PNG) * 8):
        damaged = bytearray(PNG)
        damaged[at // 8] ^= 1 << at % 8
        with suppress(NotAPicture):
            assert inspect(bytes(damaged)).finding


def test_an_end_marker_inside_the_compressed_data_needs_no_guess() -> None:
    """Stuffed bytes, fill bytes and restart markers are no end; the real marker is."""
    whole = JPEG_HEAD + SOF + SOS + b"\x3f\xff\0\xd9\xff\xd7\x3f\xff\xff\xff\xd9"
    assert inspect(whole).width == 16
    assert inspect(whole[:-1]).finding == "it has no end mark"


def test_a_progressive_jpeg_has_several_scans() -> None:
    """Tables and further scans after the first are walked through to the end."""
    progressive = segment(0xC2, SOF[4:])
    whole = JPEG_HEAD + progressive + SOS + SCAN + TABLES + SOS + SCAN
    assert inspect(whole + b"\xff\xd9") == Facts(format="jpeg", width=16, height=5)
    assert inspect(whole).finding == "it has no end mark"


@given(st.sampled_from(list(SAMPLES.values())), st.data())
def test_damage_is_an_answer_never_a_crash(
    sample: tuple[bytes, Facts], draw: st.DataObject
) -> None:
    """Whatever bytes a server sends, `inspect` returns facts or raises `NotAPicture`."""
    damaged = bytearray(sample[0])
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(NotAPicture):
        assert inspect(bytes(damaged)).width != 0
