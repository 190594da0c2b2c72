"""A picture on its way to disk: bytes under a temporary name, verified before they get another."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from seedream_cli.core.errors import ImageBroken, StorageError
from seedream_cli.core.record import dataclass
from seedream_cli.storage.files.image_format import BLOCK, Facts, inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PREFIX: Final = ".seedream-"
_SUFFIX: Final = ".part"
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The system calls on which it depends that nothing is lost; handed in."""

    link: Callable[[Path, Path], None] = os.link
    symlink: Callable[[str, Path], None] = os.symlink
    fsync: Callable[[int], None] = os.fsync
    pwrite: Callable[[int, memoryview, int], int] = os.pwrite

    def write(self, fd: int, content: bytes, at: int) -> None:
        """Write all of `content` at an offset in bytes; raise OSError."""
        view = memoryview(content)
        while view:
            written = self.pwrite(fd, view, at)
            view, at = view[written:], at + written


class Part:
    """A picture on its way, under a name that only its owner uses. Not for two threads at once."""

    def __init__(self, path: Path, disk: Disk) -> None:
        """Create the file; raise OSError where the folder does not take it."""
        from hashlib import sha256

        self.path = path
        self.size = 0
        """Bytes that count: a failed write may have left a piece behind them."""
        self.facts: Facts | None = None
        """None until `finish` has found all of it there."""
        self._disk = disk
        self._hash = sha256()
        self._fd = create(path)

    @property
    def sha256(self) -> str:
        """The digest of all that was written, in lower-case hex."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        """Hand out the part itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, however it ended."""
        self.discard()

    def write(self, chunk: bytes) -> None:
        """Append `chunk`; raise `StorageError`, with nothing appended, where the disk refuses."""
        try:
            # At an offset: a failed write may have left a piece, which the next one covers.
            self._disk.write(self._fd, chunk, self.size)
        except OSError as error:
            raise refusal(self.path, error) from error
        self._hash.update(chunk)
        self.size += len(chunk)

    def finish(self, expected_length: int | None = None) -> Facts:
        """Look at the picture and flush it; raise `ImageBroken` or `StorageError`.

        `ImageBroken` means that bytes are missing, `NotAPicture` that these are none of a picture.
        """
        if expected_length is not None and self.size != expected_length:
            raise ImageBroken(
                f"The picture came incomplete: {self.size} of {expected_length} bytes."
            )
        try:
            self.facts = self._inspect()
            self._disk.fsync(self._fd)
        except OSError as error:
            raise refusal(self.path, error) from error
        return self.facts

    def head(self, count: int) -> bytes:
        """Return the first `count` bytes; raise OSError."""
        return os.pread(self._fd, min(count, self.size), 0)

    def move(self, path: Path) -> None:
        """Go on under `path`, perhaps on another disk; raise `StorageError`, unmoved.

        Reads by the open descriptor, since the old name or its folder may be gone, and proves that
        the bytes are those that came.
        """
        try:
            fd = create(path)
        except OSError as error:
            raise refusal(path, error) from error
        try:
            self._copy_to(fd)
            self._disk.fsync(fd)
        except OSError as error:
            os.close(fd)
            forget(path)
            raise refusal(path, error) from error
        self.discard()
        self.path, self._fd = path, fd

    def discard(self) -> None:
        """Close it, and remove its temporary name if it still has one. Never raises."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1
            forget(self.path)

    def _copy_to(self, fd: int) -> None:
        from hashlib import sha256

        digest = sha256()
        for block, at in self._blocks():
            self._disk.write(fd, block, at)
            digest.update(block)
        # After a failed flush a disk may hand back other bytes than it took.
        if digest.digest() != self._hash.digest():
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        at = 0
        while block := os.pread(self._fd, min(BLOCK, self.size - at), at):
            yield block, at
            at += len(block)

    def _inspect(self) -> Facts:
        """Look at the bytes on disk, mapped rather than read where the file system can."""
        from mmap import ACCESS_READ, mmap

        # Such a piece must not be taken for the picture's end.
        os.ftruncate(self._fd, self.size)
        if not self.size:
            return inspect(b"")
        try:
            view = mmap(self._fd, self.size, access=ACCESS_READ)
        except OSError:
            return inspect(b"".join(block for block, _ in self._blocks()))
        with view:
            return inspect(view)


def part_name(label: str, owner: str) -> str:
    """Return the temporary name of what `label` stands for; `owner` has no dot in it."""
    return f"{_PREFIX}{label}.{owner}{_SUFFIX}"


def parts_in(folder: Path) -> list[tuple[Path, str]]:
    """Return the temporary files in `folder`, which may be gone, each with its owner."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            label, _, rest = entry.name.removeprefix(_PREFIX).partition(".")
            owner = rest.removesuffix(_SUFFIX)
            # Only what has our very form: a name that merely resembles it is somebody's file.
            if entry.name == part_name(label, owner) and entry.is_file(follow_symlinks=False):
                found.append((Path(entry.path), owner))
    return found


def create(path: Path, mode: int = 0o666) -> int:
    """Create a file that was not there and return its descriptor; the umask applies."""
    return os.open(path, _NEW, mode)


def forget(path: Path) -> None:
    """Remove a file if it is there and can be removed."""
    with suppress(OSError):
        path.unlink()


def refusal(path: Path, error: OSError) -> StorageError:
    """Return what a person is told when `path` could not be written."""
    return StorageError(
        f"{path} could not be written: {error.strerror or error}.",
        hint="Make room or choose another place; what was bought can still be fetched.",
    )


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two names stand for one file."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def is_equal(one: Path, other: Path) -> bool:
    """Tell whether two regular files hold the same bytes."""
    from filecmp import cmp

    try:
        # A link to equal bytes is not the picture: what it leads to may go.
        return not other.is_symlink() and cmp(one, other, shallow=False)
    except OSError:
        return False
