"""Replaces a small file that can be made again: in nobody's name, so without state or lock."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from seedream_cli.core.errors import StorageError


def replace_file(path: str, content: bytes) -> None:
    """Replace the file at `path` by `content`, whole or not at all; its folder is made.

    A symbolic link stays one. Raises `StorageError`; what was there is untouched then.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{os.urandom(6).hex()}.seedream.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            with suppress(OSError):
                part.unlink()
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
