"""The only code that writes files other than the ledger: temp, verify, fsync, final name."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from seedream_cli.core.errors import (
    EndUnseen,
    ImageBroken,
    NotAPicture,
    StorageError,
    UsageError,
)
from seedream_cli.core.formats import extension_of_format
from seedream_cli.core.paths import is_link
from seedream_cli.core.record import dataclass, replace
from seedream_cli.storage.files.digest import is_one_of
from seedream_cli.storage.files.inline import Spill, blocks, tag_of
from seedream_cli.storage.files.naming import aside
from seedream_cli.storage.files.partial import (
    Disk,
    Part,
    create,
    forget,
    is_equal,
    is_same,
    part_name,
    parts_in,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from seedream_cli.storage.files.image_format import Facts

_DISK: Final = Disk()

_PROBE: Final = 1 << 18
"""Bytes that a folder must take before anything is sent: an empty file fits on a full disk."""

_BLOCK: Final = 1 << 20
"""Bytes that are copied at a time."""

_MOST_STRANGE: Final = 1 << 20
"""Bytes that are kept of what came and is no picture."""

_NO_LINKS: Final = frozenset(
    {
        errno.EPERM,
        errno.EACCES,
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.EMLINK,
        errno.EXDEV,
    }
)
"""What file systems without hard links answer: FAT, exFAT, SMB, FUSE, Android's sandbox."""

_NO_FOLDER_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF})
"""What file systems answer whose folders cannot be flushed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFile:
    """A picture under its final name, flushed, its folder too."""

    path: str
    """The one asked for, unless one of the last two fields says otherwise."""
    format: str
    width: int | None
    height: int | None
    size: int
    """Bytes."""
    sha256: str
    """Lower-case hex."""
    finding: str | None = None
    """What is odd about its bytes; None: nothing."""
    is_renamed: bool = False
    """Its name was taken meanwhile: it stands beside, as `name-JOB.ext`."""
    is_rescued: bool = False
    """Its folder would not take it: it lies in the rescue folder."""


class Files:
    """Where pictures and small files come to lie. Holds no state, so threads may share it."""

    def __init__(
        self,
        state_dir: Path,
        owner: str,
        *,
        remember: Callable[[str], None] = lambda _: None,
        disk: Disk = _DISK,
    ) -> None:
        """Write temporary files in the name of `owner`, the id of this process (no dots in it).

        `remember` is told each folder before a temporary file is made there.
        """
        self._state_dir = state_dir
        self._owner = owner
        self._remember = remember
        self._disk = disk

    @property
    def owner(self) -> str:
        """The id of this process."""
        return self._owner

    @property
    def _answers(self) -> Path:
        return self._state_dir / "answers"

    @property
    def rescue_folder(self) -> str:
        """Where pictures go whose own folder does not take them."""
        return str(self._state_dir / "rescue")

    @property
    def held_folder(self) -> str:
        """Where the bytes for `-o -` stay until stdout took them all."""
        return str(self._state_dir / "held")

    # -- before anything is sent ---------------------------------------------------------------

    def check_target(self, path: str, *, overwrite: bool = False) -> None:
        """Raise `UsageError` where `path` is taken by what may not be replaced."""
        target = Path(path)
        try:
            # The name itself: a link that leads nowhere is taken, too.
            mode = target.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"{path} cannot be a file: {error.strerror}.") from error
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder.", hint=f"To save in it: -o {path}/")
        if not overwrite:
            raise UsageError(
                f"{path} exists.", hint="Use --overwrite to replace it, or --skip-existing."
            )
        # A device or a pipe, perhaps by way of a link, must not become a picture.
        if target.exists() and not target.is_file():
            raise UsageError(f"{path} is not a regular file.", hint="For stdout: -o -")

    def check_folder(self, folder: str) -> None:
        """Prove that `folder`, or the nearest one above that exists, takes files.

        Raises `UsageError` where a file is in the way, `StorageError` where the disk says no.
        """
        place = Path(folder).absolute()
        try:
            # Folders are made when a picture comes; what exists above them has to let us.
            while not place.is_symlink() and not place.exists() and place != place.parent:
                place = place.parent
            if not place.is_dir():
                raise UsageError(f"{place} is not a folder.", hint="Choose another with -o.")
            self._probe(place)
        except OSError as error:
            raise StorageError(
                f"{place} does not take files: {error.strerror}. Nothing was sent.",
                hint="Choose another place with -o FOLDER/.",
            ) from error

    # -- pictures ------------------------------------------------------------------------------

    def open_part(self, folder: str, job: str, index: int) -> Part:
        """Begin a picture in `folder`, which is made; raise `StorageError` where it cannot be."""
        path = self._part_path(Path(folder), f"{job}-{index}")
        try:
            self._make(path.parent)
            # The name holds our own id: what has it, an earlier try of this process left.
            forget(path)
            return Part(path, self._disk)
        except OSError as error:
            raise refusal(path.parent, error) from error

    def place(
        self,
        part: Part,
        path: str,
        *,
        job: str,
        index: int,
        overwrite: bool = False,
        is_through: bool = False,
    ) -> SavedFile:
        """Give a finished part its final name, and flush the folder before returning.

        A name that is taken is left alone, unless `overwrite`: the picture then stands beside it.
        With `is_through` a symbolic link there stays one, and the picture goes where it leads.
        Equal bytes under that name are the picture itself: another process that fetches the same
        one was first, or one had died that had just named it.
        Raises `StorageError`; until it is discarded the part can be placed elsewhere.
        """
        if part.facts is None:
            raise ImageBroken("A picture that was not verified gets no name.")
        target = Path(os.path.realpath(path) if is_through and is_link(path) else path)
        try:
            self._make(target.parent)
            # Beside its final name first: a link, and a rename, work within one file system alone.
            if target.parent.resolve() != part.path.parent.resolve():
                part.move(self._part_path(target.parent, f"{job}-{index}"))
            final = self._give_name(part.path, str(target), job, overwrite=overwrite)
            self._sync_folder(target.parent)
        except OSError as error:
            raise refusal(target, error) from error
        is_renamed = final != str(target)
        return SavedFile(
            path=final if is_renamed else path,
            format=part.facts.format,
            width=part.facts.width,
            height=part.facts.height,
            size=part.size,
            sha256=part.sha256,
            finding=part.facts.finding,
            is_renamed=is_renamed,
        )

    def save(
        self,
        chunks: Iterable[bytes],
        *,
        folder: str,
        path_of: Callable[[Facts], str],
        job: str,
        index: int,
        overwrite: bool = False,
        replaces: Collection[str] = (),
        expected_length: int | None = None,
        is_measured: bool = False,
        seen: str | None = None,
        is_flawless: bool = False,
    ) -> SavedFile:
        """Write a stream that cannot be read twice, look at it, and give it its final name.

        `folder` is where it will most likely lie; `replaces` are the digests of files that may be
        replaced. What is odd about whole bytes is told by `Saved.finding`, and no reason to drop
        them, but with `is_flawless`. Where nothing told the stream's end, neither a length nor its
        framing (`is_measured`), its own end mark does, or that the bytes are those that were
        `seen` before (their digest).

        Where a disk or folder refuses, at any moment, what came so far moves to the rescue folder
        and the stream goes on there. Raises `ImageBroken`, `EndUnseen`, `NotAPicture` (what came
        then lies in the rescue folder), or `StorageError` where that refuses too; no temporary
        file stays behind.
        """
        with self._open_somewhere(folder, job, index) as part:
            for chunk in chunks:
                try:
                    part.write(chunk)
                except StorageError as error:
                    self._rescue(part, job, index, error)
                    part.write(chunk)
            try:
                facts = self._finish(part, expected_length, job, index)
                if is_flawless and facts.finding:
                    raise ImageBroken(f"the picture that came is odd: {facts.finding}")
                # A cut looks like an end where neither length nor framing tells them apart.
                is_whole = is_measured or expected_length is not None or facts.has_end
                if not is_whole and part.sha256 != seen:
                    message = f"nothing tells whether the {facts.format} picture came whole"
                    raise EndUnseen(message, sha256=part.sha256)
                if not self._is_rescued(part):
                    path = path_of(facts)
                    return self.place(
                        part,
                        path,
                        job=job,
                        index=index,
                        overwrite=overwrite or is_one_of(path, replaces),
                        # A person's `--overwrite` alone: a lock's picture is the name itself.
                        is_through=overwrite,
                    )
            except StorageError as error:
                self._rescue(part, job, index, error)
                facts = part.finish(expected_length)
            return self._place_in_rescue(part, facts, job, index)

    def _finish(self, part: Part, length: int | None, job: str, index: int) -> Facts:
        """Finish a part; what is no picture goes to the rescue folder, in the place of the last."""
        strange = Path(self.rescue_folder) / f"{job}-{index}.not-a-picture"
        try:
            facts = part.finish(length)
        except NotAPicture as error:
            if part.size:
                with suppress(OSError, StorageError):
                    self.write_atomically(str(strange), part.head(_MOST_STRANGE), mode=0o600)
                    raise NotAPicture(f"{error.message} It is kept in {strange}.") from error
            raise
        # It was a picture this time: what came before is of no more use.
        forget(strange)
        return facts

    def move(self, old: str, new: str) -> None:
        """Give a file another name, never over another file; raise `StorageError`.

        A kill on the way leaves both names, never none, and under neither a piece of a picture.
        What is a symbolic link stays one, and leads to the same file from its new place.
        """
        source, target = Path(old), Path(new)
        part = None
        try:
            self._make(target.parent)
            if not self._lead(source, target):
                part = self._part_path(target.parent, os.urandom(6).hex())
                self._double(source, part)
                if not self._take(part, target):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            # The new name is lasting before the old one goes.
            self._sync_folder(target.parent)
            source.unlink()
            self._sync_folder(source.parent)
        except OSError as error:
            raise refusal(target, error) from error
        finally:
            if part is not None:
                forget(part)

    # -- everything else that is written -------------------------------------------------------

    def spill(self, job: str, folder: str) -> Spill:
        """Return what takes the long strings of one answer to a job: inline pictures.

        `folder` takes them where the state folder does not. Each answer has a file of its own:
        two processes may hear one at a time.
        """
        tag = os.urandom(6).hex()
        return Spill(*self._spill_paths(job, folder, tag), disk=self._disk, tag=tag)

    def _spill_paths(self, job: str, folder: str, tag: str) -> tuple[str, str]:
        name = f"{job}.{tag}" if tag else job
        return str(self._answers / name), str(Path(folder) / f".seedream-{name}.answer")

    def read_spilled(self, job: str, folder: str, reference: str) -> Iterator[bytes]:
        """Read one long string of a job's answers block by block; raises `StorageError`."""
        return blocks(self._spill_paths(job, folder, tag_of(reference)), reference)

    def spills(self, job: str, folder: str) -> list[str]:
        """Return the files that hold a job's inline pictures until they are saved."""
        found = [*self._spill_paths(job, folder, "")]
        for place, start, end in (
            (self._answers, f"{job}.", ""),
            (Path(folder), f".seedream-{job}.", ".answer"),
        ):
            with suppress(OSError):
                names = (each.name for each in os.scandir(place))
                found += sorted(
                    str(place / name)
                    for name in names
                    if name.startswith(start) and name.endswith(end)
                )
        return [path for path in found if Path(path).is_file()]

    def drop_spills(self, job: str, folder: str) -> None:
        """Let the inline pictures of a job go: it is over."""
        for path in self.spills(job, folder):
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108 - the path is text

    def list_spilled(self) -> list[str]:
        """Return the jobs whose inline pictures lie in the state folder."""
        try:
            return sorted({path.name.partition(".")[0] for path in self._answers.iterdir()})
        except OSError:
            return []

    def write_atomically(self, path: str, content: bytes, *, mode: int = 0o666) -> None:
        """Replace the file at `path` at once and lastingly; `mode` is subject to the umask.

        A symbolic link stays one. Raises `StorageError`; the old file is untouched then.
        """
        part = None
        try:
            target = Path(path).resolve()
            self._make(target.parent)
            part = self._part_path(target.parent, os.urandom(6).hex())
            self._fill(part, [content], mode)
            part.replace(target)
            self._sync_folder(target.parent)
        except OSError as error:
            if part is not None:
                forget(part)
            raise refusal(Path(path), error) from error

    def sweep(self, folders: Iterable[str], *, is_dead: Callable[[str], bool]) -> list[str]:
        """Remove the temporary files of dead processes, also from the state folder's own folders.

        `is_dead` is asked about each owner but this process, whose lock the caller must hold to say
        yes. Returns the paths that were removed.
        """
        own = (self.rescue_folder, self.held_folder)
        found = [part for folder in {*folders, *own} for part in parts_in(Path(folder))]
        owners = {owner for _, owner in found} - {self._owner}
        dead = {owner for owner in owners if is_dead(owner)}
        gone = sorted(str(path) for path, owner in found if owner in dead)
        for path in gone:
            forget(Path(path))
        return gone

    # -- steps ---------------------------------------------------------------------------------

    def _part_path(self, folder: Path, label: str) -> Path:
        """Return a temporary name in `folder`, once that folder is remembered."""
        self._remember(str(folder.absolute()))
        return folder / part_name(label, self._owner)

    def _give_name(self, part: Path, path: str, job: str, *, overwrite: bool) -> str:
        """Move a complete file to `path`, or beside it; return the name it got."""
        # A folder of that name is nobody's picture, whatever was said.
        if overwrite and not Path(path).is_dir():
            part.replace(path)
            return path
        names = itertools.chain([path], (aside(path, job, k) for k in itertools.count(1)))
        return next(name for name in names if self._take(part, Path(name)))

    def _take(self, part: Path, name: Path) -> bool:
        """Give a complete file its final name; False where something has that name."""
        try:
            self._disk.link(part, name)
        except FileExistsError:
            # NFS can lose the answer to a link that it made; a kill can come before its record.
            if not (is_same(part, name) or is_equal(part, name)):
                return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _claim(part, name)
        forget(part)
        return True

    def _lead(self, source: Path, target: Path) -> bool:
        """Let `target` lead to where the symbolic link `source` leads.

        False where `source` is none, or no link from there leads to that very file.
        """
        text = _way_of(source, target.parent) if source.is_symlink() and source.exists() else None
        if text is None:
            return False
        try:
            self._disk.symlink(text, target)
        except FileExistsError:
            # A kill can come between the new name and the end of the old one.
            is_ours = target.is_symlink() and str(target.readlink()) == text
            if not is_ours or is_same(source, target):
                raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        return True

    def _double(self, source: Path, part: Path) -> None:
        """Let a file have a second name; where it can have none, copy it, flushed."""
        if not source.is_symlink() and self._is_linked(source, part):
            return
        with source.open("rb") as file:
            self._fill(part, iter(lambda: file.read(_BLOCK), b""), 0o666)

    def _is_linked(self, source: Path, part: Path) -> bool:
        """Link `part` to `source`; False where the file system has no links."""
        try:
            self._disk.link(source, part)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return False
        return True

    def _open_somewhere(self, folder: str, job: str, index: int) -> Part:
        try:
            return self.open_part(folder, job, index)
        except StorageError:
            # It is paid for, and its stream can be read once only.
            return self.open_part(self.rescue_folder, job, index)

    def _is_rescued(self, part: Part) -> bool:
        return part.path.parent == Path(self.rescue_folder)

    def _rescue(self, part: Part, job: str, index: int, error: StorageError) -> None:
        """Move what came to the rescue folder; where it lies there already, raise `error`."""
        folder = Path(self.rescue_folder)
        if self._is_rescued(part):
            raise error
        try:
            self._make(folder)
        except OSError as cause:
            raise refusal(folder, cause) from error
        part.move(self._part_path(folder, f"{job}-{index}"))

    def _place_in_rescue(self, part: Part, facts: Facts, job: str, index: int) -> SavedFile:
        # Not the name it was to have: that may be what the file system refused.
        name = f"{job}-{index}.{extension_of_format(facts.format)}"
        path = str(Path(self.rescue_folder) / name)
        return replace(self.place(part, path, job=job, index=index), is_rescued=True)

    def _probe(self, folder: Path) -> None:
        path = self._part_path(folder, os.urandom(6).hex())
        try:
            self._fill(path, [bytes(_PROBE)], 0o666)
        finally:
            # Also where the disk refused: half of a probe would only fill it more.
            forget(path)

    def _fill(self, path: Path, content: Iterable[bytes], mode: int) -> None:
        fd, size = create(path, mode), 0
        try:
            for block in content:
                self._disk.write(fd, block, size)
                size += len(block)
            self._disk.fsync(fd)
        finally:
            os.close(fd)

    def _make(self, folder: Path) -> None:
        """Make `folder` and what is missing above it, each lasting."""
        missing = list(itertools.takewhile(_is_missing, (folder, *folder.parents)))
        for each in reversed(missing):
            with suppress(FileExistsError):
                each.mkdir()
            # A folder that a power cut takes back would take the pictures in it along.
            self._sync_folder(each.parent)

    def _sync_folder(self, folder: Path) -> None:
        """Make the names in a folder lasting, where its file system can."""
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            # A folder may be written and not read; then its names are the kernel's to keep.
            return
        try:
            self._disk.fsync(fd)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise
        finally:
            os.close(fd)


def _is_missing(folder: Path) -> bool:
    return not folder.is_dir()


def _way_of(link: Path, folder: Path) -> str | None:
    """Return what a link in `folder` must say to lead where `link` leads; None: nothing does.

    As it was typed if that will do, else told from the real place of `folder`.
    """
    here, text = os.path.realpath(folder), str(link.readlink())
    there = Path(os.path.realpath(link.parent), text)
    end = Path(os.path.realpath(there))
    # What comes first on the way must be the same: a way that leads by `link` ends when it goes.
    # A folder may be a link itself, and “..” then leads elsewhere than it looks.
    ways = ((text, there), (os.path.relpath(there, here), there), (os.path.relpath(end, here), end))
    return next((way for way, first in ways if is_same(Path(here, way), first)), None)


def _claim(part: Path, name: Path) -> bool:
    """Take a name where there are no links: an exclusive, empty file, then a rename over it.

    So the name never holds a part of a picture, as it would while one is copied.
    """
    try:
        os.close(create(name))
    except FileExistsError:
        return False
    try:
        part.replace(name)
    except OSError:
        forget(name)
        raise
    return True
