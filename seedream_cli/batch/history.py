"""What the ledger knows of a picture that is to be made: bought before, on its way, unknown."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.batch.resolve import count_of
from seedream_cli.core.errors import SeedreamError
from seedream_cli.core.model import State
from seedream_cli.engine.lifetime import is_disputable, may_live
from seedream_cli.engine.save import place_of
from seedream_cli.request.purchase import is_same_but_for_count
from seedream_cli.storage.files.digest import is_one_of
from seedream_cli.storage.files.naming import aside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.plan import Terms
    from seedream_cli.batch.resolve import Wish
    from seedream_cli.batch.targets import Task
    from seedream_cli.core.model import Image, Job
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.ledger.ledger import Ledger

_STDIN = "stdin:"
_MOST_BESIDE = 9
"""Names beside a taken one that are looked for."""


class Past(StrEnum):
    """What the ledger says of a request that is to be bought."""

    NEW = "new"
    MADE = "made"
    """Its pictures lie where they are to lie: only the lock does not know."""
    HERE = "here"
    """Its pictures lie elsewhere on this disk, and are copied."""
    WAITS = "waits"
    """It was bought; its pictures can be fetched."""
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    """Another process is sending it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is left to do about a request, and the job that it is about."""

    past: Past
    job: Job
    """That of the past; with `NEW` the one that is to be bought."""
    images: tuple[Image, ...] = ()
    """Those that lie on this disk, and where."""
    again: tuple[int, ...] = ()
    """Indexes of those that were saved and are to be fetched once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The jobs of before, as one manifest sees them. Only read."""

    ledger: Ledger
    terms: Terms
    rows: Mapping[str, Row]
    """All rows of the manifest, by name."""
    batch: str
    """What tells this manifest from others: its lock's real path, or `stdin:` and the folder."""
    owner: str
    now: Callable[[], datetime]
    is_dead: Callable[[str], bool]
    """Tells whether the process that a job names has ended."""
    asked: Callable[[Row], Sequence[tuple[Job, Provider]]]
    """Returns what a row asks for, now and before its model was retired, and of whom.

    None of it while it waits for another one's picture."""
    despite: frozenset[str] = frozenset()
    """Unknown jobs that a person buys in spite of."""
    doubtful: frozenset[str] = frozenset()
    """Failed jobs that may bring their pictures after all: their provider could not be asked."""

    def find(self, task: Task, wish: Wish, job: Job) -> Found:
        """Look whether the very same was bought before, and what is left to do about it."""
        for old in self._mine(task, wish, job):
            found = self._found(task, wish, job, old)
            if found is not None:
                return found
        for old in [*self._unknown(job), *self._unknown_of_row(task, wish, job)]:
            if not self._is_spared(old, job):
                return Found(past=Past.UNKNOWN, job=old)
        return Found(past=Past.NEW, job=job)

    def spared(self, job: Job) -> frozenset[str]:
        """Return unknown jobs of the same request that do not stand in its way."""
        return frozenset(old.id for old in self._unknown(job) if self._is_spared(old, job))

    def kept_in_place(self, job: Job) -> list[tuple[Job, Image]]:
        """Return pictures kept of written-off jobs that lie where those of a new one are to lie."""
        old = self.ledger.of_row(job.row or "", sandbox=job.sandbox, states={State.CLOSED})
        return [
            (each, image)
            for each in old
            if is_ours(self.batch, each)
            for image in each.images
            if _is_whole(image) and image.path == place_of(replace(each, output=job.output), image)
        ]

    def overlaps(self, task: Task, wish: Wish, job: Job) -> list[range]:
        """Return the numbers of a task that jobs of its row had brought, those of most first."""
        found = {
            range(
                max(old.first_n, task.first_n),
                min(old.first_n + old.expected, task.numbers.stop),
            )
            for old in self._of_row(task, wish, job)
        }
        return sorted(found - {task.numbers}, key=lambda each: (-len(each), each.start))

    def _mine(self, task: Task, wish: Wish, job: Job) -> list[Job]:
        """Return jobs of this manifest that may bring what a task asks for.

        Those of its row, also where it asked for another count; then those of a row that the
        manifest has no more: its name was changed.
        """
        same = self.ledger.bought_with(job.fingerprint, sandbox=job.sandbox, first_n=job.first_n)
        mine = [old for old in same if is_ours(self.batch, old)]
        own = [old for old in mine if old.row == job.row]
        if not wish.is_set:
            like = self._of_row(task, wish, job)
            own += [old for old in like if old.fingerprint != job.fingerprint]
        return own + [old for old in mine if old.row is not None and old.row not in self.rows]

    def _of_row(self, task: Task, wish: Wish, job: Job) -> list[Job]:
        """Return jobs of a task's row that brought one of its pictures, however many at once."""
        found = self.ledger.of_row(task.row.name, sandbox=job.sandbox, numbers=task.numbers)
        return [
            old
            for old in found
            if is_ours(self.batch, old) and is_same_but_for_count(old, job, wish.provider)
        ]

    def _unknown(self, job: Job) -> list[Job]:
        return self.ledger.unknown_with(job.fingerprint, sandbox=job.sandbox)

    def _unknown_of_row(self, task: Task, wish: Wish, job: Job) -> list[Job]:
        found = [old for old in self._of_row(task, wish, job) if old.state is State.UNKNOWN]
        return [old for old in found if old.fingerprint != job.fingerprint]

    def _found(self, task: Task, wish: Wish, job: Job, old: Job) -> Found | None:
        """Return what is left to do about a job of this manifest; None: nothing of it helps."""
        images = [i for i in old.images if wish.is_set or i.n in task.numbers]
        lying = {i.index: self._lying(task.picture, job, old, i) for i in images}
        again = tuple(i.index for i in images if i.saved_at and lying[i.index] != i.path)
        match old.state:
            case State.PLANNED if self.is_dead(old.owner):
                return None  # written down; nothing was sent
            case State.PLANNED | State.SENDING:
                return Found(past=Past.ELSEWHERE, job=old)
            case State.RUNNING | State.READY:
                past = Past.ELSEWHERE if self._is_anothers(old) else Past.WAITS
                return Found(past=past, job=old, again=again)
            case State.EXPIRED if any(map(is_disputable, images)):
                return Found(past=Past.WAITS, job=old, again=again)
            case State.SAVED | State.EXPIRED if _is_enough(task, wish, images):
                return self._saved(old, images, lying, again)
        return Found(past=Past.UNKNOWN, job=old) if old.id in self.doubtful else None

    def _saved(
        self,
        old: Job,
        images: Sequence[Image],
        lying: Mapping[int, str | None],
        again: tuple[int, ...],
    ) -> Found | None:
        """Return what is left to do about a job whose pictures were saved once."""
        there = tuple(replace(i, path=path) if (path := lying[i.index]) else i for i in images)
        if all(lying.values()):
            return Found(past=Past.MADE, job=old, images=there)
        if all(lying[i.index] or _is_whole(i) for i in images):
            return Found(past=Past.HERE, job=old, images=there)
        missing = [i for i in images if lying[i.index] != i.path or i.path is None]
        if old.state is State.SAVED and self._are_alive(old, missing):
            return Found(past=Past.WAITS, job=old, again=again)
        return None

    def _lying(self, picture: Picture, job: Job, old: Job, image: Image) -> str | None:
        """Return where a picture of an older job lies, if where this one's is to lie."""
        if image.format is None or not image.sha256:
            return None
        wanted = place_of(replace(old, output=job.output), image)
        places = [wanted]
        if image.path is not None and is_near(image.path, wanted, old.id):
            places.insert(0, image.path)
        if picture.stranger == image.sha256:
            places.append(posixpath.join(self.terms.base, picture.output))
        return next((path for path in places if _is_at(path, image)), None)

    def _is_anothers(self, job: Job) -> bool:
        """Tell whether a live process waits for a job: its pictures are that one's to place."""
        return job.owner != self.owner and not self.is_dead(job.owner)

    def _is_spared(self, unknown: Job, job: Job) -> bool:
        """Tell whether an unknown job of the same request does not stand in the way of this one.

        That of another picture of this manifest was that one's, and is held against it there, as
        long as it asks for the same.
        """
        if unknown.id in self.despite:
            return True
        row = self.rows.get(unknown.row or "")
        if row is None or not is_ours(self.batch, unknown):
            return False
        if unknown.row == job.row and (
            unknown.first_n == job.first_n or unknown.fingerprint != job.fingerprint
        ):
            return False
        return unknown.first_n <= count_of(row, self.terms.typed) and self._asks(row, unknown)

    def _asks(self, row: Row, unknown: Job) -> bool:
        """Tell whether a row still asks for what a job was to bring."""
        try:
            asked = self.asked(row)
        except SeedreamError:
            return False
        return any(is_same_but_for_count(unknown, *each) for each in asked)

    def _are_alive(self, job: Job, images: Sequence[Image]) -> bool:
        """Tell whether these pictures of a job can be fetched once more, without paying."""
        now = self.now()
        return job.problem is None and all(may_live(job, image, now) for image in images)


def is_ours(batch: str, job: Job) -> bool:
    """Tell whether a job is this manifest's, also where that had another name in its folder.

    Its pictures may be fetched and taken over; only where `is_same` may they be replaced.
    """
    if is_same(batch, job):
        return True
    theirs = job.output.get("batch")
    if not isinstance(theirs, str) or theirs.startswith(_STDIN):
        return False
    return _folder_and_name(theirs)[0] == _folder_and_name(batch)[0] and _is_gone(job)


def is_same(batch: str, job: Job) -> bool:
    """Tell whether a job is of this very manifest, also where its folder moved.

    A kept ledger may be used from a fresh checkout at another path. What still lies where it lay
    is another one's: two of them may have equal rows, and each has its own pictures.
    """
    theirs = job.output.get("batch")
    if theirs == batch or not isinstance(theirs, str):
        return theirs == batch
    folder, name = _folder_and_name(theirs)
    is_named_so = name == _folder_and_name(batch)[1]
    if name == _STDIN:
        return is_named_so and not _is_there(folder)
    return os.path.realpath(theirs) == batch or (is_named_so and _is_gone(job))


def is_kept(ledger: Ledger, batch: str, entry: Entry, origin: str, now: datetime) -> bool:
    """Tell whether a picture of the lock whose file is gone can be had again without paying.

    `origin` is that of the API that would make it now.
    """
    return any(
        _is_whole(image) or (job.problem is None and may_live(job, image, now))
        for job in ledger.with_image(entry.origin, sandbox=entry.sandbox, states={State.SAVED})
        if is_ours(batch, job) and job.origin == origin
        for image in job.images
        if image.sha256 == entry.origin
    )


def is_its_place(batch: str, job: Job, image: Image, path: str) -> bool:
    """Tell whether a job of ours saved a picture at a path, seen from where its manifest was."""
    if image.path is None:
        return False
    theirs, ours = (_folder_and_name(str(each))[0] for each in (job.output.get("batch"), batch))
    there, here = os.path.realpath(image.path), os.path.realpath(path)
    return there == here or posixpath.relpath(there, theirs) == posixpath.relpath(here, ours)


def is_near(path: str, wanted: str, job_id: str) -> bool:
    """Tell whether a path is the wanted one, or beside it because that was taken."""
    folder, name = posixpath.split(path)
    names = [wanted, *(aside(wanted, job_id, k) for k in range(1, _MOST_BESIDE + 1))]
    is_its_folder = Path(folder).resolve() == Path(wanted).parent.resolve()
    return is_its_folder and name in {posixpath.basename(each) for each in names}


def _folder_and_name(batch: str) -> tuple[str, str]:
    if batch.startswith(_STDIN):
        return batch.removeprefix(_STDIN), _STDIN
    folder, _, name = batch.rpartition("/")
    return folder, name


def _is_gone(job: Job) -> bool:
    """Tell whether the manifest that a job was bought for lies no more where it lay."""
    manifest = job.output.get("manifest")
    return isinstance(manifest, str) and bool(manifest) and not _is_there(manifest)


def _is_there(path: str) -> bool:
    """Tell whether something lies there, or may: a folder may not let us look."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _is_enough(task: Task, wish: Wish, images: Sequence[Image]) -> bool:
    """Tell whether pictures of one job are all that a task asks for, as far as they are known."""
    is_all = bool(images) if wish.is_set else {*task.numbers} <= {image.n for image in images}
    return is_all and all(
        image.sha256 and (image.problem is None or image.problem.code == "expired")
        for image in images
    )


def _is_whole(image: Image) -> bool:
    """Tell whether a picture lies where it was saved: the bytes, not what points to them."""
    is_there = image.path is not None and _is_at(image.path, image)
    return is_there and Path(image.path or "").stat().st_size == image.size


def _is_at(path: str | None, image: Image) -> bool:
    """Tell whether the very file of a picture lies at a path."""
    return path is not None and is_one_of(path, {image.sha256 or ""})
