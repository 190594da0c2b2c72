"""Pictures are known by their bytes, and one that is not whole is never taken for one that is."""

from __future__ import annotations

import base64
import mmap
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import SIGNATURE, chunk

from seedream_cli.core.errors import ImageBroken
from seedream_cli.storage.files.image_format import Facts, inspect, sniff

if TYPE_CHECKING:
    from pathlib import Path


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
def test_every_strict_prefix_is_refused(data: bytes, facts: Facts) -> None:
    """Wherever a connection was cut, what came is not taken for a picture."""
    for end in range(len(data)):
        with pytest.raises(ImageBroken):
            pytest.fail(f"{end} bytes of a {facts.format} passed: {inspect(data[:end])}")


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


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"BM\x46\0\0\0", "bmp"),
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "heic"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "avif"),
    ],
)
def test_formats_that_cannot_be_verified_are_named_and_refused(head: bytes, name: str) -> None:
    """A picture whose end cannot be told is not saved as a whole one, and the error names it."""
    assert sniff(head) == name
    with pytest.raises(ImageBroken, match=name):
        inspect(head + bytes(100))


def test_what_is_no_picture_has_no_format() -> None:
    """Text, nothing, and other containers are not pictures."""
    for head in (b"", b"hello", b"\0\0\0\x18ftypmp42", b"RIFF\0\0\0\0WAVE", b"%PDF-1.7"):
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
    with pytest.raises(ImageBroken, match=words):
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
def test_a_picture_without_pixels_or_structure_is_refused(data: bytes) -> None:
    """The right beginning and the right end do not make a picture."""
    with pytest.raises(ImageBroken):
        inspect(data)


def test_every_flipped_bit_of_a_png_is_noticed() -> None:
    """A PNG carries checksums, so no damage goes unseen."""
    for at in range(len(PNG) * 8):
        damaged = bytearray(PNG)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(ImageBroken):
            inspect(bytes(damaged))


def test_an_end_marker_inside_the_compressed_data_needs_no_guess() -> None:
    """Stuffed bytes, fill bytes and restart markers are no end; the real marker is."""
    whole = JPEG_HEAD + SOF + SOS + b"\x3f\xff\0\xd9\xff\xd7\x3f\xff\xff\xff\xd9"
    assert inspect(whole).width == 16
    with pytest.raises(ImageBroken, match="cut off"):
        inspect(whole[:-1])


def test_a_progressive_jpeg_has_several_scans() -> None:
    """Tables and further scans after the first are walked through to the end."""
    progressive = segment(0xC2, SOF[4:])
    whole = JPEG_HEAD + progressive + SOS + SCAN + TABLES + SOS + SCAN
    assert inspect(whole + b"\xff\xd9") == Facts(format="jpeg", width=16, height=5)
    with pytest.raises(ImageBroken, match="cut off"):
        inspect(whole)


@given(st.sampled_from(list(SAMPLES.values())), st.data())
def test_damage_is_an_answer_never_a_crash(
    sample: tuple[bytes, Facts], draw: st.DataObject
) -> None:
    """Whatever bytes a server sends, `inspect` returns facts or raises `ImageBroken`."""
    damaged = bytearray(sample[0])
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(damaged) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(ImageBroken):
        assert inspect(bytes(damaged)).width > 0
