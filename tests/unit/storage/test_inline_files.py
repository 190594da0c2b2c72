"""Long strings of an answer go to disk; what stays in memory is JSON that names them."""

from __future__ import annotations

import base64
import errno
import json
import os
import random
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from seedream_cli.core.errors import ImageBroken, StorageError
from seedream_cli.storage.files.inline import (
    LONG,
    Spill,
    blocks,
    blocks_of,
    decode_base64,
    is_spilled,
)
from seedream_cli.storage.files.partial import Disk
from seedream_cli.storage.files.store import Files

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = "A" * (LONG + 10)


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[k : k + size] for k in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 1000, LONG, 10**7])
def test_a_long_string_is_on_disk_and_named(tmp_path: Path, size: int) -> None:
    """Wherever the answer is cut into pieces, the skeleton names the very same string."""
    if size == 1:
        size = 13  # every offset within a few tokens is met, and the test stays quick
    path = str(tmp_path / "answers" / "job")
    body = json.dumps({"data": [{"b64_json": PICTURE, "size": "1x1"}, {"b64_json": PICTURE * 2}]})
    with Spill(path, disk=Disk()) as spill:
        thin = json.loads(b"".join(spill.thin(_pieces(body.encode(), size))))
        spill.flush()
    first, second = (each["b64_json"] for each in thin["data"])
    assert thin["data"][0]["size"] == "1x1"
    assert is_spilled(first)
    assert b"".join(blocks([path], first)).decode() == PICTURE
    assert b"".join(blocks([path], second)).decode() == PICTURE * 2


def test_short_strings_and_escapes_are_left_alone(tmp_path: Path) -> None:
    """Text that is not long passes byte for byte, and no file is made."""
    value = {"a": 'quote " back \\ slash / line \n', "b": ["灯塔", ""], "c": "x" * (LONG - 1)}
    body = json.dumps(value).encode()
    for seed in range(20):
        size = random.Random(seed).randint(1, 50)
        spill = Spill(str(tmp_path / "none"), disk=Disk())
        assert b"".join(spill.thin(_pieces(body, size))) == body
    assert not (tmp_path / "none").exists()


RAW = random.Random(3).randbytes(LONG * 2)
BASE64 = base64.b64encode(RAW).decode()


def mime(text: str) -> str:
    """Break lines as MIME does."""
    return "\r\n".join(text[k : k + 76] for k in range(0, len(text), 76))


FORMS = {
    "plain": BASE64,
    "a data URL": f"data:image/png;base64,{BASE64}",
    "a data URL with more in it": f"DATA:image/png;charset=utf-8;base64,{BASE64}",
    "a data URL that forgets to say base64": f"data:image/png,{BASE64}",
    "a data URL with percent signs": "data:;base64," + quote(BASE64, safe=""),
    "MIME's lines": mime(BASE64),
    "MIME's lines behind a prefix": f"\n data:image/jpeg;base64,\n{mime(BASE64)}\n",
    "the alphabet of URLs": base64.urlsafe_b64encode(RAW).decode(),
    "no padding": BASE64.rstrip("="),
    "the alphabet of URLs, no padding": base64.urlsafe_b64encode(RAW).decode().rstrip("="),
    "white space": " " + BASE64.replace("A", "A \t"),
}


def encoded(text: str, how: str) -> bytes:
    """Write an answer in one of the ways that encoders have."""
    body = json.dumps({"data": [{"b64_json": text}]})
    if how == "slashes":
        body = body.replace("/", "\\/")
    elif how == "html":
        body = body.replace("+", "\\u002B").replace("=", "\\u003d").replace("/", "\\u002f")
    return body.encode()


@pytest.mark.parametrize("how", ["plain", "slashes", "html"])
@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_inline_pictures_are_read_as_gateways_send_them(
    tmp_path: Path, text: str, how: str
) -> None:
    """Whatever form base64 has, and however JSON escapes it, the same bytes come out."""
    path = str(tmp_path / "job")
    for size in (997, 10**7):
        with Spill(path, disk=Disk()) as spill:
            thin = json.loads(b"".join(spill.thin(_pieces(encoded(text, how), size))))
        reference = thin["data"][0]["b64_json"]
        assert is_spilled(reference)
        assert b"".join(decode_base64(blocks([path], reference))) == RAW
    assert b"".join(decode_base64(blocks_of(text))) == RAW


@pytest.mark.parametrize("length", range(8))
def test_short_inline_pictures_are_read_with_any_padding(length: int) -> None:
    """The end of base64 has four forms, and each may lack its padding."""
    raw = RAW[:length]
    whole = base64.b64encode(raw).decode()
    for text in (whole, whole.rstrip("="), f"{whole}\n", f"data:,{whole.rstrip('=')}"):
        assert b"".join(decode_base64(blocks_of(text))) == raw


@pytest.mark.parametrize("text", ["!!!!", "QUJD~", "A", "Q=JD", "灯塔", "data:;base64,%zz"])
def test_what_is_no_base64_is_named(text: str) -> None:
    """It is never decoded to something else."""
    with pytest.raises(ImageBroken, match="no base64"):
        list(decode_base64(blocks_of(text)))


def test_json_within_json_is_left_alone(tmp_path: Path) -> None:
    """A provider that answers with JSON in a string is read, however long that is."""
    body = json.dumps({"resultJson": json.dumps({"resultUrls": ["https://a/" + "b" * LONG]})})
    with Spill(str(tmp_path / "job"), disk=Disk()) as spill:
        assert b"".join(spill.thin(_pieces(body.encode(), 999))) == body.encode()


def test_a_disk_that_fills_up_hands_over_to_the_next(tmp_path: Path) -> None:
    """What came so far moves to where there is room, and the first place is left empty."""
    first, second = tmp_path / "full" / "job", tmp_path / "out" / ".answer"
    room = [100_000]

    def write(fd: int, view: memoryview, at: int) -> int:
        if os.path.samestat(os.fstat(fd), first.stat()) if first.exists() else False:
            if room[0] <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[: room[0]]
            room[0] -= len(view)
        return os.pwrite(fd, view, at)

    with Spill(str(first), str(second), disk=Disk(pwrite=write)) as spill:
        thin = json.loads(b"".join(spill.thin(_pieces(encoded(BASE64, "plain"), 9999))))
        spill.flush()
        assert spill.path == str(second)
    assert not first.exists()
    found = blocks([str(first), str(second)], thin["data"][0]["b64_json"])
    assert b"".join(decode_base64(found)) == RAW


def test_a_file_that_is_shorter_than_its_answer_says_is_no_picture(tmp_path: Path) -> None:
    """A piece of base64 is never taken for all of it."""
    (tmp_path / "job").write_text("QUJD")
    with pytest.raises(StorageError):
        list(blocks([str(tmp_path / "job")], "spill:0:8"))


def test_events_are_thinned_too(tmp_path: Path) -> None:
    """Lines of an event stream keep their form, and a quote in a comment opens no string."""
    path = str(tmp_path / "job")
    event = (
        b': it\'s a "comment\ndata: {"b64_json":"' + PICTURE.encode() + b'"}\n\ndata: [DONE]\n\n'
    )
    with Spill(path, disk=Disk()) as spill:
        thin = b"".join(spill.thin(_pieces(event, 4096)))
    assert thin.startswith(b': it\'s a "comment\ndata: {"b64_json":"spill:0:')
    assert thin.endswith(b'"}\n\ndata: [DONE]\n\n')


def test_a_disk_that_is_full_is_a_storage_error(tmp_path: Path) -> None:
    """Where the file cannot be written the error says so."""
    (tmp_path / "file").write_bytes(b"")
    spill = Spill(str(tmp_path / "file" / "job"), disk=Disk())
    with pytest.raises(StorageError):
        list(spill.thin([b'{"a":"', PICTURE.encode(), b'"}']))
    with pytest.raises(StorageError):
        list(blocks([str(tmp_path / "missing")], "spill:0:10"))


def test_a_flush_reaches_the_disk(tmp_path: Path) -> None:
    """The spilled bytes are flushed before the answer that names them can be committed."""
    flushed: list[int] = []
    with Spill(str(tmp_path / "job"), disk=Disk(fsync=flushed.append)) as spill:
        list(spill.thin([b'{"a":"', PICTURE.encode(), b'"}']))
        spill.flush()
    assert len(flushed) == 1


def test_two_answers_to_one_job_have_files_of_their_own(tmp_path: Path) -> None:
    """Two processes that hear at once, or one that hears twice, write over nothing."""
    folder = str(tmp_path / "out")
    one, other = Files(tmp_path, "ownerone"), Files(tmp_path, "ownertwo")
    texts, references = [PICTURE, "B" * (LONG + 5), "C" * (LONG + 7)], []
    for files, text in zip((one, other, one), texts, strict=True):
        with files.spill("job", folder) as spill:
            thin = json.loads(b"".join(spill.thin([json.dumps({"x": text}).encode()])))
            spill.flush()
        references.append(thin["x"])
    for text, reference in zip(texts, references, strict=True):
        assert b"".join(other.read_spilled("job", folder, reference)).decode() == text
    assert (one.list_spilled(), len(one.spills("job", folder))) == (["job"], 3)
    one.drop_spills("job", folder)
    assert one.list_spilled() == []


def test_a_file_of_old_versions_is_read(tmp_path: Path) -> None:
    """They had one a job, and named no file with the string."""
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "job").write_text("QUJDREVG")
    files, folder = Files(tmp_path, "ownerone"), str(tmp_path / "out")
    assert b"".join(files.read_spilled("job", folder, "spill:4:4")) == b"REVG"
    files.drop_spills("job", folder)
    assert files.list_spilled() == []
