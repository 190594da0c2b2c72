"""Files looked at and digested, on a real disk."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.storage.files.digest import FileDigest, digest_of, is_one_of, look

if TYPE_CHECKING:
    from pathlib import Path

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


def sha(content: bytes) -> str:
    """Digest some bytes."""
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    """The digest and the size are those of the whole file, also beyond one block."""
    content = bytes(range(256)) * 20_000
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert look(str(path)) == FileDigest(sha256=sha(content), size=len(content))


@pytest.mark.parametrize("name", ["none.png", "file.png/below.png", "no/folder.png"])
def test_nothing_is_nothing(tmp_path: Path, name: str) -> None:
    """A path with nothing at it is no error."""
    (tmp_path / "file.png").write_bytes(b"x")
    assert look(str(tmp_path / name)) is None


def test_what_is_no_file_is_in_the_way(tmp_path: Path) -> None:
    """A folder or a pipe is something that is there, with no digest; a pipe is not waited for."""
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path, tmp_path / "pipe.png"):
        found = look(str(path))
        assert found is not None
        assert found.sha256 == ""
        with pytest.raises(UsageError, match="is no file"):
            digest_of(str(path))


@pytest.mark.parametrize("there", ["nowhere", "file.png/below"])
def test_a_link_that_leads_nowhere_is_in_the_way(tmp_path: Path, there: str) -> None:
    """It has the name and no digest, not even that of nothing; and it is no reference."""
    (tmp_path / "file.png").write_bytes(b"x")
    path = tmp_path / "a.png"
    path.symlink_to(there)
    assert look(str(path)) == FileDigest(sha256="", size=0)
    assert not is_one_of(str(path), {""})
    with pytest.raises(UsageError, match=r"there is no file .*a\.png"):
        digest_of(str(path))


@pytest.mark.parametrize("name", ["\0.png", "x" * 300])
def test_an_impossible_path_is_told(tmp_path: Path, name: str) -> None:
    """A name that no disk takes is an error about that name, no crash."""
    with pytest.raises(StorageError, match="cannot be read"):
        look(f"{tmp_path}/{name}")


@pytest.mark.parametrize("extension", ["", f"ext-0-foo sha256:{'e' * 64}\n"])
def test_an_lfs_pointer_stands_for_its_file(tmp_path: Path, extension: str) -> None:
    """A clone without the large files has the same pictures."""
    path = tmp_path / "a.png"
    path.write_text(POINTER.replace("oid", f"{extension}oid"))
    assert look(str(path)) == FileDigest(sha256=OID, size=12345)
    assert digest_of(str(path)) == OID  # nobody can look into it
    assert is_one_of(str(path), {OID})


@pytest.mark.parametrize(
    "text", [POINTER + "more\n", POINTER.replace("sha256", "md5"), "x" + POINTER, POINTER[:-1]]
)
def test_what_resembles_a_pointer_is_a_file(tmp_path: Path, text: str) -> None:
    """Only a pointer to the letter stands for another file."""
    path = tmp_path / "a.png"
    path.write_text(text)
    assert look(str(path)) == FileDigest(sha256=sha(text.encode()), size=len(text))


def test_a_missing_reference_is_named(tmp_path: Path) -> None:
    """A reference that is not there is a mistake of the manifest."""
    with pytest.raises(UsageError, match=r"there is no file .*style\.png"):
        digest_of(str(tmp_path / "style.png"))


@pytest.mark.parametrize("content", [b"", b"notes", b"<html>", POINTER[:-1].encode()])
def test_a_reference_that_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    """A text is a mistake before anything is sent; a picture is told by how it begins."""
    path = tmp_path / "style.png"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"style\.png is no picture"):
        digest_of(str(path))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert digest_of(str(path)) == sha(path.read_bytes())


def test_only_our_bytes_are_ours(tmp_path: Path) -> None:
    """A file with other bytes, or none, or nothing to compare, is not to be replaced."""
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    assert is_one_of(str(path), {sha(b"mine"), sha(b"old")})
    assert not is_one_of(str(path), {sha(b"old")})
    assert not is_one_of(str(path), set())
    assert not is_one_of(str(tmp_path / "none"), {sha(b"mine")})
