"""From a picture that is to be made to the job that buys it, or to one that already did."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli import price
from seedream_cli.assets import Verdict
from seedream_cli.check import split_count
from seedream_cli.errors import SeedreamError, StorageError, UsageError
from seedream_cli.fetching import is_wanted
from seedream_cli.lock import Entry
from seedream_cli.model import OPEN_STATES, State
from seedream_cli.naming import aside
from seedream_cli.purchase import is_same_but_for_count, purchases
from seedream_cli.saving import place_of
from seedream_cli.shelf import is_one_of
from seedream_cli.wishes import aspect_of, count_of, keyword_of, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.assets import Judge, Picture, Terms
    from seedream_cli.ledger import Ledger
    from seedream_cli.manifest import Row
    from seedream_cli.model import Call, Image, Job, Money, Profile, Reference, Request
    from seedream_cli.providers.spec import Provider
    from seedream_cli.purchase import Purchase
    from seedream_cli.references import Gathered
    from seedream_cli.wishes import Wish

_FOUND = "fingerprint = ? AND sandbox = ?"
_OVERLAPS = "row = ? AND sandbox = ? AND first_n < ? AND first_n + expected > ?"
_STDIN = "stdin:"
_MOST_BESIDE = 9
"""Names beside a taken one that are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request to buy."""

    row: Row
    first_n: int
    count: int
    """How many pictures it may bring."""
    picture: Picture
    """The first of them; what it replaces is what they all may."""
    price: Money | None

    @property
    def name(self) -> str:
        """What it is called: `hero`, or `hero-2`."""
        return self.picture.name

    @property
    def key(self) -> tuple[str, int]:
        """What it is found by: names may be alike, `hero-2` may be a row's own."""
        return self.row.name, self.first_n

    @property
    def numbers(self) -> range:
        """Which of its row's pictures it may bring."""
        return range(self.first_n, self.first_n + self.count)

    @property
    def needs(self) -> list[tuple[str, int]]:
        """The pictures that it is made from."""
        return [(r.row, r.n) for r in self.row.references if r.row is not None]


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
class Order:
    """A request, complete, and what became of it before."""

    task: Task
    wish: Wish
    purchase: Purchase
    past: Past
    job: Job
    """That of the past, where there is one; `purchase.job` says where its pictures go now."""
    images: tuple[Image, ...] = ()
    """Those of the past that lie on this disk, and where."""
    again: tuple[int, ...] = ()
    """Indexes of those that were saved and are to be fetched once more."""
    spared: frozenset[str] = frozenset()
    """Unknown jobs of the same request that do not stand in its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What an `Order` says of the past."""

    past: Past
    job: Job
    images: tuple[Image, ...] = ()
    again: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What all orders of one batch share."""

    judge: Judge
    terms: Terms
    ledger: Ledger
    profile_of: Callable[[Row, Provider], Profile]
    """The account that pays, without its key; raises `AccountError`."""
    gather: Callable[[Profile, Sequence[str]], list[Gathered]]
    """Finds and reads reference images."""
    run: str
    owner: str
    batch: str
    """What tells this manifest from others: its lock's real path, or `stdin:` and the folder."""
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    is_dead: Callable[[str], bool]
    """Tells whether the process that a job names has ended."""
    entries: dict[tuple[str, int], Entry]
    """Of pictures that are there, by name and number; those made meanwhile are put in."""
    rows: Mapping[str, Row]
    """All rows of the manifest, by name."""
    despite: frozenset[str] = frozenset()
    """Unknown jobs that a person buys in spite of."""

    def tasks(self, pictures: Iterable[Picture]) -> Iterator[Task]:
        """Yield what is to be bought, together where one request brings several pictures."""
        rows: dict[str, list[Picture]] = {}
        for picture in pictures:
            if picture.verdict is Verdict.MAKE:
                rows.setdefault(picture.row.name, []).append(picture)
        for made in rows.values():
            yield from self._tasks_of(made)

    def _tasks_of(self, made: Sequence[Picture]) -> Iterator[Task]:
        row, wish = made[0].row, self.judge.wish(made[0].row)
        request, capabilities = wish.resolved.request, wish.resolved.capabilities
        for together in [[p] for p in made] if wish.is_set else self._together(made, wish):
            first = 0
            for count in split_count(capabilities, len(together), len(request.references)):
                mine = together[first : first + count]
                picture = mine[0]
                replaced = frozenset().union(*(each.replaces for each in mine))
                yield Task(
                    row=row,
                    first_n=picture.n,
                    count=picture.of or count,
                    picture=replace(picture, replaces=replaced),
                    price=price.estimate(capabilities, replace(request, count=count)),
                )
                first += count

    def _together(self, made: Sequence[Picture], wish: Wish) -> list[list[Picture]]:
        """Return pictures that one request may bring: their numbers and their names are a row."""
        groups: list[list[Picture]] = []
        plans = [self.judge.plan(p.row, wish, p.n, p.entry) for p in made]
        for picture, plan, before in zip(made, plans, [None, *plans], strict=False):
            if plan == before and groups and picture.n == groups[-1][-1].n + 1:
                groups[-1].append(picture)
            else:
                groups.append([picture])
        return groups

    def order(self, task: Task, origins: Mapping[tuple[str, int], str]) -> Order:
        """Return a task as a request to send; raise `UsageError` or `AccountError`.

        `origins` are the digests of pictures that were made meanwhile.
        """
        wish = self.judge.wish(task.row, origins)
        if wish.fingerprint is None:
            raise UsageError(f"{task.name} is made from a picture that is not made")
        profile = self.profile_of(task.row, wish.provider)
        count = 1 if wish.is_set else task.count
        request = replace(wish.resolved.request, count=count)
        plan = self.judge.plan(task.row, wish, task.first_n, task.picture.entry)
        output = {
            **plan.to_json(),
            "batch": self.batch,
            "overwrite": False,
            "replaces": sorted(task.picture.replaces),
            "sidecar": said(task.row, self.terms.typed, "sidecar") is True,
            "stdout": False,
        }
        purchase = self._purchase(wish, request, profile, output)
        job = replace(purchase.job, row=task.row.name, first_n=task.first_n)
        purchase = replace(purchase, job=job)
        found = self._past(task, wish, job)
        return Order(
            task=task,
            wish=wish,
            purchase=purchase,
            past=found.past,
            job=found.job,
            images=found.images,
            again=found.again,
            spared=frozenset(old.id for old in self._unknown(job) if self._is_spared(old, job)),
        )

    def _purchase(
        self, wish: Wish, request: Request, profile: Profile, output: Mapping[str, object]
    ) -> Purchase:
        (purchase,) = purchases(
            [request],
            profile=profile,
            provider=wish.provider,
            capabilities=wish.resolved.capabilities,
            output=output,
            run=self.run,
            owner=self.owner,
            now=self.now(),
            job_id=self.new_id,
        )
        return purchase

    # -- the past, which is only read ----------------------------------------------------------

    def _past(self, task: Task, wish: Wish, job: Job) -> _Found:
        """Look whether the very same was bought before, and what is left to do about it."""
        for old in self._mine(task, wish, job):
            found = self._found(task, wish, job, old)
            if found is not None:
                return found
        for old in [*self._unknown(job), *self._unknown_of_row(task, wish, job)]:
            if not self._is_spared(old, job):
                return _Found(past=Past.UNKNOWN, job=old)
        return _Found(past=Past.NEW, job=job)

    def _mine(self, task: Task, wish: Wish, job: Job) -> list[Job]:
        """Return jobs of this manifest that may bring what a task asks for.

        Those of its row, also where it asked for another count; then those of a row that the
        manifest has no more: its name was changed.
        """
        same = self.ledger.jobs(
            f"{_FOUND} AND first_n = ?", (job.fingerprint, int(job.sandbox), job.first_n)
        )
        mine = [old for old in same if self._is_ours(old)]
        own = [old for old in mine if old.row == job.row]
        if not wish.is_set:
            like = self._of_row(task, wish, job, "1")
            own += [old for old in like if old.fingerprint != job.fingerprint]
        return own + [old for old in mine if old.row is not None and old.row not in self.rows]

    def _of_row(self, task: Task, wish: Wish, job: Job, where: str) -> list[Job]:
        """Return jobs of a task's row that brought one of its pictures, however many at once."""
        numbers = task.numbers
        values = (task.row.name, int(job.sandbox), numbers.stop, numbers.start)
        return [
            old
            for old in self.ledger.jobs(f"{_OVERLAPS} AND {where}", values)
            if self._is_ours(old) and is_same_but_for_count(old, job, wish.provider)
        ]

    def _unknown(self, job: Job) -> list[Job]:
        values = (job.fingerprint, int(job.sandbox))
        return self.ledger.jobs(f"{_FOUND} AND state = 'unknown'", values)

    def _unknown_of_row(self, task: Task, wish: Wish, job: Job) -> list[Job]:
        found = self._of_row(task, wish, job, "state = 'unknown'")
        return [old for old in found if old.fingerprint != job.fingerprint]

    def _found(self, task: Task, wish: Wish, job: Job, old: Job) -> _Found | None:
        """Return what is left to do about a job of this manifest; None: nothing of it helps."""
        images = [i for i in old.images if wish.is_set or i.n in task.numbers]
        lying = {i.index: self._lying(task.picture, job, old, i) for i in images}
        again = tuple(i.index for i in images if i.saved_at and lying[i.index] != i.path)
        match old.state:
            case State.PLANNED | State.SENDING:
                return _Found(past=Past.ELSEWHERE, job=old)
            case State.RUNNING | State.READY:
                past = Past.ELSEWHERE if self._is_anothers(old) else Past.WAITS
                return _Found(past=past, job=old, again=again)
            case State.SAVED | State.EXPIRED if _is_enough(task, wish, images):
                there = tuple(
                    replace(i, path=path) if (path := lying[i.index]) else i for i in images
                )
                if all(lying.values()):
                    return _Found(past=Past.MADE, job=old, images=there)
                if all(lying[i.index] or _is_at(i.path, i) for i in images):
                    return _Found(past=Past.HERE, job=old, images=there)
                missing = [i for i in images if lying[i.index] != i.path or i.path is None]
                if old.state is State.SAVED and self._are_alive(old, missing):
                    return _Found(past=Past.WAITS, job=old, again=again)
        return None

    def _lying(self, picture: Picture, job: Job, old: Job, image: Image) -> str | None:
        """Return where a picture of an older job lies, if where this one's is to lie."""
        if image.format is None or not image.sha256:
            return None
        wanted = place_of(replace(old, output=job.output), image)
        places = [wanted]
        if image.path is not None and _is_near(image.path, wanted, old.id):
            places.insert(0, image.path)
        if picture.stranger == image.sha256:
            places.append(posixpath.join(self.terms.base, picture.output))
        return next((path for path in places if _is_at(path, image)), None)

    def _is_ours(self, job: Job) -> bool:
        """Tell whether a job is this manifest's; one of a folder that is gone may have moved here.

        A kept ledger may be used from a fresh checkout at another path.
        """
        theirs = job.output.get("batch")
        if theirs == self.batch or not isinstance(theirs, str):
            return theirs == self.batch
        folder, name = _folder_and_name(theirs)
        return name == _folder_and_name(self.batch)[1] and not Path(folder).is_dir()

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
        if row is None or not self._is_ours(unknown):
            return False
        if unknown.row == job.row and (
            unknown.first_n == job.first_n or unknown.fingerprint != job.fingerprint
        ):
            return False
        return unknown.first_n <= count_of(row, self.terms.typed) and self._asks(row, unknown)

    def _asks(self, row: Row, unknown: Job) -> bool:
        """Tell whether a row still asks for what a job was to bring."""
        try:
            wish = self.judge.wish(row)
            if wish.fingerprint is None or wish.provider.name != unknown.provider:
                return False
            profile = self.profile_of(row, wish.provider)
        except SeedreamError:
            return False
        job = self._purchase(wish, wish.resolved.request, profile, {}).job
        return is_same_but_for_count(unknown, job, wish.provider)

    def _are_alive(self, job: Job, images: Sequence[Image]) -> bool:
        """Tell whether these pictures of a job can be fetched once more, without paying."""
        now = self.now()
        return job.problem is None and all(
            image.problem is None and image.url and image.expires_at and image.expires_at > now
            for image in images
        )

    # -- sent ----------------------------------------------------------------------------------

    def call(
        self,
        order: Order,
        profile: Profile,
        upload: Callable[[Sequence[Reference], Sequence[Gathered]], Sequence[Reference]],
    ) -> Call:
        """Return what is sent, its reference images read and, where they must be, uploaded.

        `profile` has its key. Raises `UsageError`, `StorageError`, `Unsent`.
        """
        from seedream_cli.references import hold, travelling

        provider, request = order.wish.provider, order.purchase.request
        if not request.references:
            return order.purchase.call
        gathered = self.gather(profile, list(self._sources(order.task.row)))
        mistakes, _ = hold(gathered, order.wish.resolved.capabilities)
        mistakes += list(self._changes(order.task.row, gathered, request.references))
        if mistakes:
            raise UsageError("; ".join(mistakes))
        references = travelling(gathered, provider)
        if "upload" in provider.reference_kinds and any(each.local for each in gathered):
            references = tuple(upload(references, gathered))
        return provider.dialect.submit(replace(request, references=references))

    def _sources(self, row: Row) -> Iterator[str]:
        """Yield each reference as `-i` would have it."""
        for reference in row.references:
            if reference.row is not None:
                yield self._made(reference.row, reference.n)
            elif "://" in reference.text:
                yield reference.text
            else:
                yield posixpath.join(self.terms.base, reference.text)

    def _made(self, row: str, n: int) -> str:
        """Name a picture of this manifest: by its job, whose URL may live, else by its file."""
        entry = self.entries.get((row, n))
        if entry is None:
            raise UsageError(f"images.{row} is not made", hint="run the same again")
        if entry.made is None:
            for job in self.ledger.jobs("row = ? AND state = 'saved'", (row,), limit=20):
                for image in job.images:
                    if image.sha256 == entry.sha256 and image.url:
                        return f"job:{job.id}.{image.index}"
        return posixpath.join(self.terms.base, entry.output)

    def _changes(
        self, row: Row, gathered: Sequence[Gathered], planned: Sequence[Reference]
    ) -> Iterator[str]:
        """Name references that are not any more what the row was judged by."""
        for written, each, reference in zip(row.references, gathered, planned, strict=True):
            right = {reference.digest}
            if written.row is not None and (entry := self.entries.get((written.row, written.n))):
                right |= {entry.sha256, entry.origin}
            if each.digest not in right:
                yield f"{written.text} was changed meanwhile"


def saved_of(order: Order, job: Job) -> list[Image]:
    """Return the saved pictures that a task asked for; of a job that has ended, of a set if whole.

    What still runs is taken on by the next run: its pictures are not a part of the lock yet.
    """
    saved = [image for image in job.images if image.saved_at and image.path and image.sha256]
    if job.state in OPEN_STATES:
        return []
    if not order.wish.is_set:
        return [image for image in saved if image.n in order.task.numbers]
    is_whole = job.state is State.SAVED and not any(map(is_wanted, job.images))
    return saved if is_whole else []


def entries_of(order: Order, job: Job, base: str) -> list[Entry]:
    """Return the lock's lines for the saved pictures of a job.

    Raises `StorageError` where one lies in another place than the order asked for.
    """
    request = order.wish.resolved.request
    saved = saved_of(order, job)
    for image in saved:
        _hold_place(order, job, image, base)
    share = job.cost or job.price
    if share is not None and saved:
        count = sum(1 for image in job.images if image.saved_at)
        share = price.share(share, count)
    return [
        Entry(
            name=order.task.row.name,
            n=image.n,
            of=len(saved) if order.wish.is_set else None,
            output=_told(order, base, image.path or ""),
            label=image.name,
            fingerprint=order.wish.fingerprint or "",
            sha256=image.sha256 or "",
            size=image.size or 0,
            provider=job.provider,
            model=job.model,
            keyword=keyword_of(request),
            aspect=aspect_of(request),
            price=share,
            date=f"{job.created_at:%Y-%m-%d}",
            sandbox=job.sandbox,
        )
        for image in saved
    ]


def _hold_place(order: Order, job: Job, image: Image, base: str) -> None:
    """Object to a picture that is not where the order wants it: rescued, or another's to place."""
    picture, path = order.task.picture, image.path or ""
    wanted = place_of(replace(job, output=order.purchase.job.output), image)
    is_stranger = picture.stranger == image.sha256
    is_known = is_stranger and path == posixpath.join(base, picture.output)
    if is_known or _is_near(path, wanted, job.id):
        return
    raise StorageError(
        f"{order.task.row.name}: its picture is paid for and lies in {path}, not in {wanted}",
        hint="see why that folder does not take files, then run the same again: it is copied",
    )


def _told(order: Order, base: str, path: str) -> str:
    """Return a path as the lock has it: told from the manifest's folder, as its template is."""
    is_absolute = str(order.purchase.job.output.get("template", "")).startswith("/")
    return posixpath.normpath(path) if is_absolute else posixpath.relpath(path, base)


def _folder_and_name(batch: str) -> tuple[str, str]:
    if batch.startswith(_STDIN):
        return batch.removeprefix(_STDIN), _STDIN
    folder, _, name = batch.rpartition("/")
    return folder, name


def _is_enough(task: Task, wish: Wish, images: Sequence[Image]) -> bool:
    """Tell whether pictures of one job are all that a task asks for, as far as they are known."""
    is_all = bool(images) if wish.is_set else {*task.numbers} <= {image.n for image in images}
    return is_all and all(
        image.sha256 and (image.problem is None or image.problem.code == "expired")
        for image in images
    )


def _is_near(path: str, wanted: str, job_id: str) -> bool:
    """Tell whether a path is the wanted one, or beside it because that was taken."""
    folder, name = posixpath.split(path)
    names = [wanted, *(aside(wanted, job_id, k) for k in range(1, _MOST_BESIDE + 1))]
    is_its_folder = Path(folder).resolve() == Path(wanted).parent.resolve()
    return is_its_folder and name in {posixpath.basename(each) for each in names}


def _is_at(path: str | None, image: Image) -> bool:
    """Tell whether the very file of a picture lies at a path."""
    return path is not None and is_one_of(path, {image.sha256 or ""})
