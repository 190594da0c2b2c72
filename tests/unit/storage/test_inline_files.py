"""Long strings of an answer go to disk; what stays in memory is JSON that names them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import StorageError
from seedream_cli.storage.files.inline import LONG, Spill, blocks, is_spilled

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
    with Spill(path) as spill:
        thin = json.loads(b"".join(spill.thin(_pieces(body.encode(), size))))
        spill.flush()
    first, second = (each["b64_json"] for each in thin["data"])
    assert thin["data"][0]["size"] == "1x1"
    assert is_spilled(first)
    assert b"".join(blocks(path, first)).decode() == PICTURE
    assert b"".join(blocks(path, second)).decode() == PICTURE * 2


def test_short_strings_and_escapes_are_left_alone(tmp_path: Path) -> None:
    """Text that is not long passes byte for byte, and no file is made."""
    value = {"a": 'quote " back \\ slash / line \n', "b": ["灯塔", ""], "c": "x" * (LONG - 1)}
    body = json.dumps(value).encode()
    for seed in range(20):
        size = random.Random(seed).randint(1, 50)
        spill = Spill(str(tmp_path / "none"))
        assert b"".join(spill.thin(_pieces(body, size))) == body
    assert not (tmp_path / "none").exists()


def test_escaped_slashes_are_those_of_base64(tmp_path: Path) -> None:
    """Some encoders escape slashes; what is on disk is base64 again."""
    path = str(tmp_path / "job")
    text = "ab/+" * (LONG // 2)
    body = json.dumps({"b64_json": text}).replace("/", "\\/").encode()
    with Spill(path) as spill:
        thin = json.loads(b"".join(spill.thin(_pieces(body, 999))))
    assert b"".join(blocks(path, thin["b64_json"])).decode() == text


def test_events_are_thinned_too(tmp_path: Path) -> None:
    """Lines of an event stream keep their form, and a quote in a comment opens no string."""
    path = str(tmp_path / "job")
    event = (
        b': it\'s a "comment\ndata: {"b64_json":"' + PICTURE.encode() + b'"}\n\ndata: [DONE]\n\n'
    )
    with Spill(path) as spill:
        thin = b"".join(spill.thin(_pieces(event, 4096)))
    assert thin.startswith(b': it\'s a "comment\ndata: {"b64_json":"spill:0:')
    assert thin.endswith(b'"}\n\ndata: [DONE]\n\n')


def test_a_disk_that_is_full_is_a_storage_error(tmp_path: Path) -> None:
    """Where the file cannot be written the error says so."""
    (tmp_path / "file").write_bytes(b"")
    spill = Spill(str(tmp_path / "file" / "job"))
    with pytest.raises(StorageError):
        list(spill.thin([b'{"a":"', PICTURE.encode(), b'"}']))
    with pytest.raises(StorageError):
        list(blocks(str(tmp_path / "missing"), "spill:0:10"))


def test_a_flush_reaches_the_disk(tmp_path: Path) -> None:
    """The spilled bytes are flushed before the answer that names them can be committed."""
    flushed: list[int] = []
    with Spill(str(tmp_path / "job"), flushed.append) as spill:
        list(spill.thin([b'{"a":"', PICTURE.encode(), b'"}']))
        spill.flush()
    assert len(flushed) == 1
