"""What the ledger knows of a picture that is to be made: bought before, on its way, unknown."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.batch.action import Act, Past
from seedream_cli.batch.resolve import count_of, option_of
from seedream_cli.core.errors import SeedreamError
from seedream_cli.core.model import Charge, State
from seedream_cli.core.record import dataclass, field, replace
from seedream_cli.engine.lifetime import is_disputable, may_live
from seedream_cli.engine.save import place_of
from seedream_cli.request.purchase import is_same_but_for_count, purchases
from seedream_cli.storage.files.digest import is_one_of
from seedream_cli.storage.files.naming import aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.action import Action
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.resolve import BatchContext, Target
    from seedream_cli.core.model import Image, Job, Profile
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.purchase import Purchase
    from seedream_cli.storage.files import naming
    from seedream_cli.storage.ledger.ledger import Ledger

_STDIN = "stdin:"
_MOST_BESIDE = 9
"""Names beside a taken one that are looked for."""


@dataclass(slots=True, kw_only=True)
class History:
    """The jobs of before, as one manifest sees them. Only read."""

    ledger: Ledger
    context: BatchContext
    rows: Mapping[str, Row]
    """All rows of the manifest, by name."""
    batch: str
    """What tells this manifest from others: its lock's real path, or `stdin:` and the folder."""
    run: str
    owner: str
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    profile_of: Callable[[Row, Provider], Profile]
    """The account that pays, without its key; raises `AccountError`."""
    is_dead: Callable[[str], bool]
    """Tells whether the process that a job names has ended."""
    despite: frozenset[str] = frozenset()
    """Unknown jobs that a person buys in spite of."""
    doubtful: frozenset[str] = frozenset()
    """Failed jobs that may bring their pictures after all: their provider could not be asked."""
    failed: dict[str, Job] = field(default_factory=dict)
    """Failed jobs, maybe charged, that were come across: to ask about them is free."""

    def purchase(self, action: Action, target: Target, plan: naming.Destination) -> Purchase:
        """Return what buys a picture, its pictures going where `plan` says; `AccountError`."""
        output = {
            **plan.to_json(),
            "batch": self.batch,
            "manifest": self.context.path,
            "overwrite": False,
            "replaces": sorted(action.replaces),
            "sidecar": option_of(action.row, self.context.typed, "sidecar") is True,
            "stdout": False,
        }
        bought = self._purchase(target, output)
        return replace(bought, job=replace(bought.job, row=action.row.name, first_n=action.n))

    def _purchase(self, target: Target, output: Mapping[str, object]) -> Purchase:
        (purchase,) = purchases(
            [target.request],
            profile=self.profile_of(target.row, target.provider),
            provider=target.provider,
            capabilities=target.capabilities,
            output=output,
            run=self.run,
            owner=self.owner,
            now=self.now(),
            job_id=self.new_id,
        )
        return purchase

    def find(
        self,
        action: Action,
        target: Target,
        job: Job,
        targets_of: Callable[[Row], Iterable[Target]],
        takers: Mapping[str, str],
    ) -> Past:
        """Look whether the very same was bought before, and what is left to do about it.

        `job` is what would buy it; `targets_of` returns what a row asks for, now and before its
        model was retired; `takers` are the rows for which jobs are fetched, by the jobs' ids: one
        of a row that is gone is one picture, and two rows could take it for theirs.
        """
        for old in self._mine(action, target, job):
            if takers.get(old.id, action.row.name) != action.row.name:
                continue
            found = self._look_at(action, target, job, old)
            if found is not None:
                return found
        unknown = self.ledger.unknown_with(job.purchase_digest, sandbox=job.sandbox)
        # Also what asked for more or fewer at once: this picture may be among them.
        like = [old for old in self._of_row(action, target, job) if old.state is State.UNKNOWN]
        unknown += [old for old in like if old.purchase_digest != job.purchase_digest]
        spared = frozenset(old.id for old in unknown if self._is_spared(old, job, targets_of))
        for old in unknown:
            # Nothing is bought while one of these may be it.
            if old.id not in spared:
                return Past(act=Act.UNKNOWN, job=old)
        return Past(act=Act.MAKE, job=job, spared=spared)

    def find_in_place(self, job: Job) -> list[tuple[Job, Image]]:
        """Return pictures kept of written-off jobs that lie where those of a new one are to lie."""
        old = self.ledger.of_row(job.row or "", sandbox=job.sandbox, states={State.CLOSED})
        return [
            (each, image)
            for each in old
            if is_ours(self.batch, each)
            for image in each.images
            if _is_whole(image) and image.path == place_of(replace(each, output=job.output), image)
        ]

    # -- the file in the way -------------------------------------------------------------------

    def claim(self, action: Action) -> Action:
        """Take a stranger's file in the way for ours where it is; else return the action.

        It is ours only as the very bytes that a job of this batch saved at this very path, or at
        the same one in a checkout that is gone. That of the row may be replaced. Where `stranger`
        stays and `obstacle` goes, a job that is still looked for may be whose it is.
        """
        bought = self.ledger.with_image(action.stranger, sandbox=self.context.sandbox)
        mine = [job for job in bought if is_ours(self.batch, job)]
        of = {self._whose(job, action) for job in mine}
        if any(job.state is State.CLOSED and self._whose(job, action) for job in mine):
            # Kept of a written-off job: it is put aside.
            return replace(action, stranger="", obstacle="")
        if action.row.name in of:
            replaces = action.replaces | {action.stranger}
            return replace(action, replaces=replaces, obstacle="")
        # Of an unknown job a kill may have left a picture named and not recorded.
        states = {State.RUNNING, State.READY, State.UNKNOWN}
        coming = self.ledger.of_row(action.row.name, sandbox=self.context.sandbox, states=states)
        is_coming = "" in of or any(
            is_ours(self.batch, job) and (job.state is not State.UNKNOWN or _is_unrecorded(job))
            for job in coming
        )
        return replace(action, obstacle="") if is_coming else action

    def _whose(self, job: Job, action: Action) -> str | None:
        """Return whose picture a job's is; empty where that may be this one's, None: not here."""
        path = posixpath.join(self.context.base, action.output)
        if not any(
            image.sha256 == action.stranger and is_its_place(self.batch, job, image, path)
            for image in job.images
        ):
            return None
        if job.row == action.row.name:
            is_its_own = job.state is not State.UNKNOWN and is_same(self.batch, job)
            return job.row if is_its_own else ""
        return None if job.row in self.rows else ""

    # -- jobs of before ------------------------------------------------------------------------

    def _mine(self, action: Action, target: Target, job: Job) -> list[Job]:
        """Return jobs of this manifest that may bring what an action asks for.

        Those of its row, also where they brought several at once; then those of a row that the
        manifest has no more: its name was changed.
        """
        same = self.ledger.find_bought_with(
            job.purchase_digest, sandbox=job.sandbox, first_n=job.first_n
        )
        mine = [old for old in same if is_ours(self.batch, old)]
        own = [old for old in mine if old.row == job.row]
        if not target.is_set:
            like = self._of_row(action, target, job)
            own += [old for old in like if old.purchase_digest != job.purchase_digest]
        return own + [old for old in mine if old.row is not None and old.row not in self.rows]

    def _of_row(self, action: Action, target: Target, job: Job) -> list[Job]:
        """Return jobs of an action's row that brought its picture, however many at once."""
        numbers = range(action.n, action.n + action.count)
        found = self.ledger.of_row(action.row.name, sandbox=job.sandbox, numbers=numbers)
        return [
            old
            for old in found
            if is_ours(self.batch, old) and is_same_but_for_count(old, job, target.provider)
        ]

    def _look_at(self, action: Action, target: Target, job: Job, old: Job) -> Past | None:
        """Return what is left to do about a job of this manifest; None: nothing of it helps.

        planned by a process that died          nothing: it was never sent
        being sent                              wait
        running, and its process died           fetch
        saved, and the file lies there          fetch, which costs nothing and asks nobody
        saved, file lost, URL may live          fetch anew
        saved, file and URL gone                nothing: it is made again
        """
        images = [i for i in old.images if target.is_set or i.n == action.n]
        lying = {i.index: self._lies_at(action, job, old, i) for i in images}
        again = tuple(i.index for i in images if i.saved_at and lying[i.index] != i.path)
        match old.state:
            case State.PLANNED if self.is_dead(old.owner):
                return None  # written down; nothing was sent
            case State.PLANNED | State.SENDING:
                return Past(act=Act.WAIT, job=old)
            case State.RUNNING | State.READY:
                is_anothers = old.owner != self.owner and not self.is_dead(old.owner)
                return Past(act=Act.WAIT if is_anothers else Act.FETCH, job=old, again=again)
            case State.EXPIRED if any(map(is_disputable, images)):
                return Past(act=Act.FETCH, job=old, again=again)
            case State.SAVED | State.EXPIRED if _is_complete(images):
                return self._look_for(old, images, lying, again)
            # To ask about it costs nothing; until somebody has, it stays as it is.
            case State.FAILED if old.charge is Charge.MAYBE:
                self.failed[old.id] = old
        return Past(act=Act.UNKNOWN, job=old) if old.id in self.doubtful else None

    def _look_for(
        self,
        old: Job,
        images: Sequence[Image],
        lying: Mapping[int, str | None],
        again: tuple[int, ...],
    ) -> Past | None:
        """Return what is left to do about a job whose pictures were saved once."""
        is_in_place = all(lying.values())
        if is_in_place or all(lying[i.index] or _is_whole(i) for i in images):
            there = tuple(replace(i, path=lying[i.index] or i.path) for i in images)
            return Past(act=Act.FETCH, job=old, images=there, is_in_place=is_in_place)
        # Of what lacks all has to be had: a part of a set is not a picture of the row.
        missing = [i for i in images if lying[i.index] != i.path or i.path is None]
        now = self.now()
        is_alive = old.problem is None and all(may_live(old, image, now) for image in missing)
        if old.state is State.SAVED and is_alive:
            return Past(act=Act.FETCH, job=old, again=again)
        return None

    def _lies_at(self, action: Action, job: Job, old: Job, image: Image) -> str | None:
        """Return where a picture of an older job lies, if where this one's is to lie."""
        if image.format is None or not image.sha256:
            return None
        wanted = place_of(replace(old, output=job.output), image)
        places = [wanted]
        # First where it lay: beside its name, as `name-JOB.ext`, it is in place as well.
        if image.path is not None and is_near(image.path, wanted, old.id):
            places.insert(0, image.path)
        if action.stranger == image.sha256:
            places.append(posixpath.join(self.context.base, action.output))
        return next((path for path in places if _is_at(path, image)), None)

    def _is_spared(
        self, unknown: Job, job: Job, targets_of: Callable[[Row], Iterable[Target]]
    ) -> bool:
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
            unknown.first_n == job.first_n or unknown.purchase_digest != job.purchase_digest
        ):
            return False
        # Its row asks for fewer pictures now: nobody else answers for that job.
        if unknown.first_n > count_of(row, self.context.typed):
            return False
        try:
            asked = [(self._purchase(each, {}).job, each.provider) for each in targets_of(row)]
        # A row that cannot be read may well ask for this: the unknown job stands in the way.
        except SeedreamError:
            return False
        return any(is_same_but_for_count(unknown, *each) for each in asked)


def is_ours(batch: str, job: Job) -> bool:
    """Tell whether a job is this manifest's, also where that had another name in its folder.

    Its pictures may be fetched and taken over; only where `is_same` may they be replaced.
    """
    if is_same(batch, job):
        return True
    theirs = job.output.get("batch")
    # A manifest on stdin has no name that it could have changed.
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
    # It has no file that could be gone: its folder stands for it.
    if name == _STDIN:
        return is_named_so and not _is_there(folder)
    return os.path.realpath(theirs) == batch or (is_named_so and _is_gone(job))


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


def _is_whole(image: Image) -> bool:
    """Tell whether a picture lies where it was saved: the bytes, not what points to them."""
    is_there = image.path is not None and _is_at(image.path, image)
    return is_there and Path(image.path or "").stat().st_size == image.size


def _is_at(path: str | None, image: Image) -> bool:
    """Tell whether the very file of a picture lies at a path."""
    return path is not None and is_one_of(path, {image.sha256 or ""})


def _is_complete(images: Sequence[Image]) -> bool:
    """Tell whether pictures that are asked for have all been made, as far as they are known."""
    return bool(images) and all(
        image.sha256 and (image.problem is None or image.problem.code == "expired")
        for image in images
    )


def _is_unrecorded(job: Job) -> bool:
    """Tell whether a picture of a job has come, as far as anybody knows, and was not recorded."""
    return any(image.saved_at is None and image.problem is None for image in job.images)
