"""Files that a manifest stands for: looked at and digested."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass, field
from seedream_cli.storage.files.image_format import BLOCK, HEAD, sniff

if TYPE_CHECKING:
    from collections.abc import Collection

_POINTER: Final = pattern(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n"
)
"""A pointer is smaller than 1024 bytes.

Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md, "The Pointer".
"""
_MOST_POINTER: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """A file that is there."""

    sha256: str
    """Of a Git LFS pointer that of the file it stands for; empty for what is no file."""
    size: int
    is_picture: bool = field(default=True, compare=False)
    """By its first bytes; what a pointer stands for is believed to be one."""


def look(path: str) -> FileDigest | None:
    """Return what lies at `path`; None where nothing does. Raises `StorageError`.

    A Git LFS pointer counts as the file that it stands for; a link that leads nowhere is something
    that lies there and is no file.
    """
    try:
        # What is no file is not opened: a pipe would never answer.
        if not S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - thousands of paths, all text
            return FileDigest(sha256="", size=0)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _facts(file)
        finally:
            os.close(file)
    except (FileNotFoundError, NotADirectoryError):
        # A link to nothing holds its name: a picture would be put beside it.
        return FileDigest(sha256="", size=0) if Path(path).is_symlink() else None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error


def _facts(file: int) -> FileDigest:
    from hashlib import sha256

    block = os.read(file, BLOCK)
    pointer = _POINTER.fullmatch(block) if len(block) < _MOST_POINTER else None
    if pointer is not None:
        # The file itself was not fetched; the pointer says which bytes it would have.
        return FileDigest(sha256=pointer[1].decode(), size=int(pointer[2]))
    is_picture, digest, size = sniff(block[:HEAD]) is not None, sha256(), 0
    while block:
        digest.update(block)
        size += len(block)
        block = os.read(file, BLOCK)
    return FileDigest(sha256=digest.hexdigest(), size=size, is_picture=is_picture)


def digest_of(path: str) -> str:
    """Return the digest of a reference image; raise `UsageError` where there is none."""
    found = look(path)
    if found is None or not Path(path).exists():
        raise UsageError(f"there is no file {path}")
    if not found.sha256:
        raise UsageError(f"{path} is no file; a reference is one picture")
    if not found.is_picture:
        raise UsageError(f"{path} is no picture", hint="a reference is a JPEG, PNG, WebP…")
    return found.sha256


def is_one_of(path: str, digests: Collection[str]) -> bool:
    """Tell whether the file at `path` has one of these digests."""
    found = look(path) if digests else None
    return found is not None and found.sha256 != "" and found.sha256 in digests
