"""Which process owns a job: one lock file a process, which the kernel frees when it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Self

from seedream_cli.core.errors import StorageError
from seedream_cli.storage.ledger.database import PLACE_HINT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Owner:
    """The running process, as the ledger and the temp files name it."""

    def __init__(self, folder: Path, name: str) -> None:
        """Take the lock `folder/name.lock` until `close` or death; raise `StorageError`."""
        self.name = name
        self._folder = folder
        self._folders: set[str] = set()
        self._is_kept = False
        self._path = folder / f"{name}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._lock()
        except OSError as error:
            message = f"the state folder {folder} cannot be used: {error.strerror}"
            raise StorageError(message, hint=PLACE_HINT) from error

    def _lock(self) -> int:
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            # Between these two another process may have taken us for dead and released us.
            if os.fstat(file).st_nlink:
                return file
            os.close(file)

    def remember(self, folder: str) -> None:
        """Write down a folder before a temp file is opened there, for whoever releases us.

        Raises `StorageError` when the state folder does not take it.
        """
        if folder in self._folders:
            return
        try:
            os.write(self._file, os.fsencode(folder) + b"\0")
        except OSError as error:
            raise StorageError(f"{self._path} could not be written: {error}") from error
        self._folders.add(folder)

    def folders_of(self, name: str) -> list[str]:
        """Name the folders where a process opened temp files."""
        try:
            text = (self._folder / f"{name}.lock").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(folder) for folder in text.split(b"\0") if folder]

    def keep(self) -> None:
        """Leave the lock file at the end: a thread that is still at work may leave temp files."""
        self._is_kept = True

    def close(self) -> None:
        """Give the lock back; whoever comes next releases us if something was still under way."""
        # The name goes first: a lock file that nobody holds would be a dead process's.
        if not self._is_kept:
            with contextlib.suppress(OSError):
                self._path.unlink()
        with contextlib.suppress(OSError):
            os.close(self._file)

    def __enter__(self) -> Self:
        """Hold the lock for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.close()

    def list_dead(self) -> list[str]:
        """Name the processes that left a lock file and hold it no more."""
        # Who cannot look finds nobody dead: their jobs stay theirs.
        with contextlib.suppress(OSError):
            names = [path.stem for path in self._folder.glob("*.lock")]
            return [name for name in sorted(names) if self.is_dead(name)]
        return []

    def is_dead(self, name: str) -> bool:
        """Tell whether a process has ended; never true of this one."""
        with self.leftovers(name) as is_ours:
            return is_ours

    @contextlib.contextmanager
    def leftovers(self, name: str) -> Iterator[bool]:
        """Hold a dead process's lock while its jobs are concluded; yield False when it lives.

        A lock file that is gone is a process that ended clean, or one that was released.
        """
        if name == self.name:
            yield False
            return
        try:
            file = os.open(self._folder / f"{name}.lock", os.O_RDWR)
        except FileNotFoundError:
            yield True
            return
        except OSError:
            yield False
            return
        try:
            # Shared: whoever looks must not hide a dead process from somebody else who does.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
        finally:
            os.close(file)

    def release(self, name: str) -> None:
        """Remove the lock file of a dead process whose jobs are concluded."""
        with contextlib.suppress(OSError):
            (self._folder / f"{name}.lock").unlink()
