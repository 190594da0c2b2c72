"""Looks at paths that people typed: no name, however long or odd, breaks a look."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from seedream_cli.core.errors import SeedreamError, StorageError, UsageError

_NO_NAMES: Final = frozenset({errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP, errno.EINVAL})
_SHOWN: Final = 60
_OURS: Final = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


def is_file(path: str) -> bool:
    """Tell whether a file stands there."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib's raises for names that are too long


def is_folder(path: str) -> bool:
    """Tell whether a folder stands there."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def is_there(path: str) -> bool:
    """Tell whether anything stands there."""
    return os.path.exists(path)  # noqa: PTH110 - as above


def is_link(path: str) -> bool:
    """Tell whether a symbolic link stands there, wherever it leads."""
    return os.path.islink(path)  # noqa: PTH114 - as above


def is_stdout(path: str) -> bool:
    """Tell whether a path is this process's stdout by another name, whatever that leads to."""
    return path == "-" or path in _OURS


def is_device(path: str) -> bool:
    """Tell whether something stands there that is no file and no folder: a pipe, a device."""
    if path.startswith("/dev/fd/") or path == "/dev/stderr":
        return True  # a descriptor, which may be a file that others write, too
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def explain_unreadable(name: str, error: OSError | ValueError) -> SeedreamError:
    """Return what to raise where a file that a person named cannot be read.

    A name that no file can have, or that nothing has, is a mistake of typing; else it is the disk.
    """
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    code = getattr(error, "errno", None)
    if isinstance(error, FileNotFoundError):
        return UsageError(f"there is no file {shown}")
    if code in _NO_NAMES or isinstance(error, ValueError):
        why = "the name is too long" if code == errno.ENAMETOOLONG else "that is no name of a file"
        return UsageError(f"there is no file {shown}: {why}")
    if isinstance(error, IsADirectoryError):
        return UsageError(f"{shown} is a folder, not a file")
    return StorageError(f"{shown} cannot be read: {error}")
