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
from seedream_cli.errors import UsageError
from seedream_cli.lock import Entry
from seedream_cli.model import State
from seedream_cli.purchase import purchases
from seedream_cli.shelf import look
from seedream_cli.wishes import aspect_of, keyword_of, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.assets import Judge, Picture, Terms
    from seedream_cli.ledger import Ledger
    from seedream_cli.manifest import Row
    from seedream_cli.model import Call, Image, Job, Money, Profile, Reference
    from seedream_cli.providers.spec import Provider
    from seedream_cli.purchase import Purchase
    from seedream_cli.references import Gathered
    from seedream_cli.wishes import Wish

_PLACES = 6
"""Decimals of a picture's share in what its job cost."""
_FOUND = "fingerprint = ? AND sandbox = ?"


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
    def needs(self) -> list[tuple[str, int]]:
        """The pictures that it is made from."""
        return [(r.row, r.n) for r in self.row.references if r.row is not None]


class Past(StrEnum):
    """What the ledger says of a request that is to be bought."""

    NEW = "new"
    MADE = "made"
    """Its pictures lie where they were saved: only the lock does not know."""
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
    """That of the past, where there is one."""
    spared: frozenset[str] = frozenset()
    """Unknown jobs of the same request that do not stand in its way."""


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
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    is_dead: Callable[[str], bool]
    """Tells whether the process that a job names has ended."""
    entries: dict[tuple[str, int], Entry]
    """Of pictures that are there, by name and number; those made meanwhile are put in."""
    rows: frozenset[str] = frozenset()
    """The names of all rows of the manifest."""
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
        provider, profile = wish.provider, self.profile_of(task.row, wish.provider)
        count = 1 if wish.is_set else task.count
        request = replace(wish.resolved.request, count=count)
        plan = self.judge.plan(task.row, wish, task.first_n, task.picture.entry)
        output = {
            **plan.to_json(),
            "overwrite": False,
            "replaces": sorted(task.picture.replaces),
            "sidecar": said(task.row, self.terms.typed, "sidecar") is True,
            "stdout": False,
        }
        (purchase,) = purchases(
            [request],
            profile=profile,
            provider=provider,
            capabilities=wish.resolved.capabilities,
            output=output,
            run=self.run,
            owner=self.owner,
            now=self.now(),
            job_id=self.new_id,
        )
        job = replace(purchase.job, row=task.row.name, first_n=task.first_n)
        purchase = replace(purchase, job=job)
        past, job = self._past(job, task.picture)
        same = (purchase.job.fingerprint, int(job.sandbox))
        unknown = self.ledger.jobs(f"{_FOUND} AND state = 'unknown'", same)
        return Order(
            task=task,
            wish=wish,
            purchase=purchase,
            past=past,
            job=job,
            spared=frozenset(old.id for old in unknown if self._is_spared(old, purchase.job)),
        )

    def _past(self, job: Job, picture: Picture) -> tuple[Past, Job]:
        """Look whether the very same was bought before, and what is left to do about it."""
        same = self.ledger.jobs(_FOUND, (job.fingerprint, int(job.sandbox)))
        mine = [old for old in same if (old.row, old.first_n) == (job.row, job.first_n)]
        for old in same:
            if old.state is State.UNKNOWN and not self._is_spared(old, job):
                return Past.UNKNOWN, old
        for old in mine:
            past = self._past_of(old, job, picture)
            if past is not None:
                return past, self._taken_on(past, old, job, picture)
        return Past.NEW, job

    def _past_of(self, old: Job, job: Job, picture: Picture) -> Past | None:
        match old.state:
            case State.PLANNED | State.SENDING:
                return Past.ELSEWHERE
            case State.RUNNING | State.READY:
                return Past.ELSEWHERE if self._is_anothers(old) else Past.WAITS
            case State.SAVED if _is_made(old, job) or _is_stranger(old, picture):
                return Past.MADE
            case State.SAVED if self._is_alive(old):
                return Past.WAITS
            case _:
                return None

    def _taken_on(self, past: Past, old: Job, job: Job, picture: Picture) -> Job:
        """Return the job of the past as this batch goes on with it."""
        if past is Past.WAITS:
            saved = [image for image in old.images if image.saved_at]
            return self._again(old, job, [i for i in saved if not _is_at(old, job, i)])
        if past is Past.MADE and not _is_made(old, job):
            path = posixpath.join(self.terms.base, picture.output)
            return replace(old, images=(replace(old.images[0], path=path),))
        return old

    def _again(self, old: Job, job: Job, images: Sequence[Image]) -> Job:
        """Send a bought job's pictures to where this one's go, these fetched once more."""
        moved = self.ledger.put_output(old, job.output)
        return self.ledger.reopen(moved, [i.index for i in images]) if images else moved

    def _is_anothers(self, job: Job) -> bool:
        """Tell whether a live process waits for a job: its pictures are that one's to place."""
        return job.owner != self.owner and not self.is_dead(job.owner)

    def _is_spared(self, unknown: Job, job: Job) -> bool:
        """Tell whether an unknown job of the same request does not stand in the way of this one.

        That of another row of this manifest was that row's, and is held against it there.
        """
        if unknown.id in self.despite:
            return True
        is_own = (unknown.row, unknown.first_n) == (job.row, job.first_n)
        return not is_own and unknown.row in self.rows

    def _is_alive(self, job: Job) -> bool:
        """Tell whether all pictures of a job can be fetched once more, without paying."""
        now = self.now()
        return job.problem is None and all(
            image.url and image.expires_at and image.expires_at > now for image in job.images
        )

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


def entries_of(order: Order, job: Job, base: str) -> list[Entry]:
    """Return the lock's lines for the saved pictures of a job; of a set when it is whole."""
    request = order.wish.resolved.request
    saved = [image for image in job.images if image.saved_at and image.path and image.sha256]
    if order.wish.is_set and job.state is not State.SAVED:
        return []
    share = job.cost or job.price
    if share is not None and saved:
        share = replace(share, amount=round(share.amount / len(saved), _PLACES))
    return [
        Entry(
            name=order.task.row.name,
            n=image.n,
            of=len(saved) if order.wish.is_set else None,
            output=_told(job, base, image.path or ""),
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


def _told(job: Job, base: str, path: str) -> str:
    """Return a path as the lock has it: told from the manifest's folder, as its template is."""
    is_absolute = str(job.output.get("template", "")).startswith("/")
    return posixpath.normpath(path) if is_absolute else posixpath.relpath(path, base)


def _is_made(old: Job, job: Job) -> bool:
    """Tell whether all pictures lie where this job's would; others are another manifest's."""
    return old.problem is None and all(_is_at(old, job, image) for image in old.images)


def _is_stranger(old: Job, picture: Picture) -> bool:
    """Tell whether the file that lies in a picture's place is the one that a job brought."""
    return [image.sha256 for image in old.images] == [picture.stranger]


def _is_at(old: Job, job: Job, image: Image) -> bool:
    """Tell whether a bought job's picture lies where this job's would."""
    is_its_place = all(old.output.get(key) == job.output[key] for key in ("base", "template"))
    return is_its_place and _is_there(image)


def _is_there(image: Image) -> bool:
    if not image.saved_at or not image.path or not Path(image.path).is_file():
        return False
    found = look(image.path)
    return found is not None and found.sha256 == image.sha256
