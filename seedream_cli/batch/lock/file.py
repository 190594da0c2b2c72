"""The lock on disk: read with its parts, a line appended as each picture lands, sorted at the end.

Appending keeps a kill from losing a line; twins and order are put right by the next `write_sorted`.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from seedream_cli.batch.lock import entries as lock
from seedream_cli.core.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.storage.files.store import Files

_MOST_BYTES = 64 << 20


class LockFile:
    """A manifest's lock, or one shard's part of it."""

    def __init__(self, manifest: str, shard: tuple[int, int] | None = None) -> None:
        """Name the files; nothing is read yet. `shard` (2, 3) is part 2 of 3."""
        self._manifest = manifest
        self._shard = shard
        self.path = lock.name_of(manifest, shard)
        self._own: dict[tuple[str, int], list[Entry]] = {}
        self._text: str | None = ""
        """What the file holds; None: more than was read."""
        self._mutex = threading.Lock()
        self._file: int | None = None
        self._held: int | None = None
        """One's own part, open and held, so that it counts while it is empty."""
        self._is_put_down = False
        self._refusal: OSError | None = None
        """Why one's own part could not be put down."""

    def read(self) -> list[Entry]:
        """Return the entries of the lock and all its parts, those written last behind the others.

        Raises `UsageError` for what cannot be read, and for a shard where parts of another
        division are not folded in; `StorageError`.
        """
        self._check_division()
        found: list[Entry] = []
        for path in [lock.name_of(self._manifest), *self.parts()]:
            text = _read(path)
            entries = lock.parse(text, file=path)
            found += entries
            if path == self.path:
                self._text = text
                self._own = _group(entries)
        return found

    def claim(self) -> None:
        """Put one's own part down before any other run may, then look for another division's.

        So of two divisions that begin at once one at least is refused, with `UsageError`. Where the
        disk refuses, a run that writes nothing may go on: to write is refused then. A whole lock
        has nothing to put down.
        """
        if self._shard is None:
            return
        try:
            self._put_down()
        except OSError as error:
            # `--check` and `--plan` write nothing: a read-only folder is no reason against them.
            self._refusal = error
        try:
            self._check_division()
        except UsageError:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Take one's own part away where `claim` put it down and nothing came into it."""
        with self._mutex, suppress(OSError):
            if self._is_put_down and Path(self.path).stat().st_size == 0:
                Path(self.path).unlink()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _put_down(self) -> None:
        """Make one's own part, and hold it until `withdraw`; raise OSError."""
        import fcntl

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._held = os.open(self.path, flags | os.O_EXCL, 0o666)
            self._is_put_down = True
        except FileExistsError:
            self._held = os.open(self.path, flags, 0o666)
        # What cannot be held here cannot be tried either, so it counts all the same. Who tries it
        # lets it go at once.
        with suppress(OSError):
            fcntl.flock(self._held, fcntl.LOCK_SH)

    def parts(self) -> list[str]:
        """Name the parts that lie beside the lock."""
        folder = Path(self._manifest).parent
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except OSError:
            return []
        name = Path(self._manifest).name
        return [str(folder / each) for each in names if lock.part_of(name, each)]

    def _check_division(self) -> None:
        if self._shard is None:
            return
        name = Path(self._manifest).name
        for path in self.parts():
            part = lock.part_of(name, Path(path).name)
            # 2 of 3 and 1 of 4 share rows: each of these could be bought twice.
            if part is not None and part[1] != self._shard[1] and not _is_abandoned(path):
                raise UsageError(
                    f"{path} is a part of another division than {self._shard[1]}",
                    hint="fold the parts in first: run once without --shard",
                )

    def write_sorted(self, files: Files, entries: Iterable[Entry] | None = None) -> None:
        """Write the lock sorted, if that changes it; of a shard its own part.

        `entries` are all that it shall hold; None: what it held and what was added since, where
        what was added stands for all twins. A whole lock takes its parts in, which are removed when
        it is on disk.
        """
        with self._mutex:
            self._close()
            if entries is not None:
                # One step, here: they may be a view of what other threads put pictures into, and
                # each of those is either seen now or appended after this.
                self._own = _group(list(entries))
            text = lock.write(entry for twins in self._own.values() for entry in twins)
            # A part that has nothing but a torn line stays the file that is held.
            is_held_empty = self._held is not None and not text and entries is None
            if text != self._text and not is_held_empty:
                self._check_writable()
                files.write_atomically(self.path, text.encode())
                self._text = text
        if self._shard is None and entries is not None:
            for part in self.parts():
                _remove(part)

    def add(self, *entries: Entry) -> None:
        """Append lines at once, flushed before this returns; raise `StorageError`.

        Any thread may call.
        """
        lines = "".join(map(lock.write_line, entries))
        with self._mutex:
            self._check_writable()
            try:
                if self._file is None:
                    self._file = self._open()
                _write(self._file, lines.encode())
            except OSError as error:
                raise self._storage_error(error) from error
            self._own |= {entry.key: [entry] for entry in entries}
            # So the end writes it sorted, whatever it comes to.
            self._text = None

    def _check_writable(self) -> None:
        """Object to writing a part that was not put down: another division may have begun."""
        if self._refusal is not None:
            raise self._storage_error(self._refusal) from self._refusal

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} could not be written: {error.strerror}",
            hint="what is saved is in the ledger; run the same again",
        )

    def _open(self) -> int:
        """Return the file, open and at the beginning of a line."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o666)
        whole, end, torn = _read(self.path).rpartition("\n")
        # A kill tore it: whole but for its line's end it counts, a piece of a line goes.
        if torn and lock.parse(torn, file=self.path):
            _write(file, b"\n")
        elif torn:
            os.ftruncate(file, len(f"{whole}{end}".encode()))
        return file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Turn:
    """The right to run one batch on this machine, which the kernel takes back at death."""

    def __init__(self, folder: Path, lock_path: str) -> None:
        """Take it; raise `UsageError` (69, busy) while another run of the same batch has it."""
        import fcntl

        self._files: list[int] = []
        whole = lock.whole_of(lock_path)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Shards run side by side, but not beside a run that folds their parts in.
            self._take(folder, whole, fcntl.LOCK_SH if whole != lock_path else fcntl.LOCK_EX)
            if whole != lock_path:
                self._take(folder, lock_path, fcntl.LOCK_EX)
        except BlockingIOError as error:
            self._give_back()
            raise UsageError(
                "another run of this batch is under way on this machine",
                hint="wait for it, then run the same again; nothing was sent now",
                code="busy",
            ) from error
        except OSError as error:
            self._give_back()
            raise StorageError(f"{folder} cannot be used: {error.strerror}") from error

    def _take(self, folder: Path, lock_path: str, kind: int) -> None:
        import fcntl
        from hashlib import sha256

        name = sha256(os.fsencode(os.path.realpath(lock_path))).hexdigest()[:24]
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._files.append(os.open(folder / f"{name}.turn", flags, 0o600))
        fcntl.flock(self._files[-1], kind | fcntl.LOCK_NB)

    def _give_back(self) -> None:
        while self._files:
            os.close(self._files.pop())

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._give_back()


def _group(entries: Iterable[Entry]) -> dict[tuple[str, int], list[Entry]]:
    """Return the entries by name and number, none twice."""
    found: dict[tuple[str, int], list[Entry]] = {}
    for entry in dict.fromkeys(entries):
        found.setdefault(entry.key, []).append(entry)
    return found


def _write(file: int, content: bytes) -> None:
    """Append all of it, flushed, or nothing; raise OSError."""
    size = os.fstat(file).st_size
    view = memoryview(content)
    try:
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def _remove(part: str) -> None:
    try:
        Path(part).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{part} could not be removed: {error.strerror}") from error


def _is_abandoned(part: str) -> bool:
    """Tell whether a part is empty and no run holds it: a kill left it before its first line."""
    import fcntl

    try:
        file = os.open(part, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Whoever runs holds it shared. What cannot be tried counts as held: the cautious reading.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Path(part).stat().st_size == 0
    except OSError:
        return False
    finally:
        os.close(file)


def _read(path: str) -> str:
    """Return the text of a lock; the piece of a character that a kill left at its end is a mark."""
    from codecs import getincrementaldecoder

    decoder = getincrementaldecoder("utf-8")()
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path} is larger than {_MOST_BYTES >> 20} MiB: that is no lock of ours")
    try:
        text = decoder.decode(data)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text") from error
    return f"{text}\ufffd" if decoder.getstate()[0] else text
