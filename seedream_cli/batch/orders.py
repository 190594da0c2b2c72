"""From a picture that is to be made to the job that buys it, or to one that already did."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedream_cli.batch.history import History, Past, is_near
from seedream_cli.batch.lock.entries import Entry
from seedream_cli.batch.resolve import aspect_of, count_of, keyword_of, said
from seedream_cli.core import money as price
from seedream_cli.core.errors import StorageError, UsageError
from seedream_cli.core.model import OPEN_STATES, State
from seedream_cli.engine.context import is_wanted
from seedream_cli.engine.save import place_of
from seedream_cli.request.purchase import purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.plan import Judge, Terms
    from seedream_cli.batch.resolve import Wish
    from seedream_cli.batch.targets import Task
    from seedream_cli.core.model import Call, Image, Job, Profile, Reference, Request
    from seedream_cli.engine.references import LoadedReference
    from seedream_cli.providers.spec import Provider
    from seedream_cli.request.purchase import Purchase
    from seedream_cli.storage.ledger.ledger import Ledger


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
class Orders:
    """What all orders of one batch share."""

    judge: Judge
    terms: Terms
    ledger: Ledger
    profile_of: Callable[[Row, Provider], Profile]
    """The account that pays, without its key; raises `AccountError`."""
    gather: Callable[[Profile, Sequence[str]], list[LoadedReference]]
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
    doubtful: frozenset[str] = frozenset()
    """Failed jobs that may bring their pictures after all: their provider could not be asked."""

    def order(self, task: Task, origins: Mapping[tuple[str, int], str]) -> Order:
        """Return a task as a request to send; raise `UsageError` or `AccountError`.

        `origins` are the digests of pictures that were made meanwhile. What a retired model was
        asked for before is gone on with, where the ledger knows of it.
        """
        wish = self.judge.wish(task.row, origins, task.first_n)
        former = self.judge.former(task.row, task.first_n)
        if former is not None and former.fingerprint is not None:
            before = self._order(task, former)
            if before.past is not Past.NEW:
                return before
        return self._order(task, wish)

    def _order(self, task: Task, wish: Wish) -> Order:
        if wish.fingerprint is None:
            raise UsageError(f"{task.name} is made from a picture that is not made")
        profile = self.profile_of(task.row, wish.provider)
        count = 1 if wish.is_set else task.count
        request = replace(wish.resolved.request, count=count)
        plan = self.judge.plan(task.row, wish, task.first_n, task.picture.entry)
        output = {
            **plan.to_json(),
            "batch": self.batch,
            "manifest": self.terms.path,
            "overwrite": False,
            "replaces": sorted(task.picture.replaces),
            "sidecar": said(task.row, self.terms.typed, "sidecar") is True,
            "stdout": False,
        }
        purchase = self._purchase(wish, request, profile, output)
        job = replace(purchase.job, row=task.row.name, first_n=task.first_n)
        purchase = replace(purchase, job=job)
        history = self._history()
        found = history.find(task, wish, job)
        return Order(
            task=task,
            wish=wish,
            purchase=purchase,
            past=found.past,
            job=found.job,
            images=found.images,
            again=found.again,
            spared=history.spared(job),
        )

    def kept_in_place(self, order: Order) -> list[tuple[Job, Image]]:
        """Return pictures of written-off jobs that lie where this order's are to lie."""
        return self._history().kept_in_place(order.purchase.job)

    def overlaps(self, order: Order) -> list[range]:
        """Return the numbers of an order's pictures that one job of before each had brought."""
        return self._history().overlaps(order.task, order.wish, order.purchase.job)

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

    def _history(self) -> History:
        return History(
            ledger=self.ledger,
            terms=self.terms,
            rows=self.rows,
            batch=self.batch,
            owner=self.owner,
            now=self.now,
            is_dead=self.is_dead,
            asked=self._asked,
            despite=self.despite,
            doubtful=self.doubtful,
        )

    def _asked(self, row: Row) -> list[tuple[Job, Provider]]:
        """Return what a row asks for, now and formerly, as jobs that nobody will send."""
        numbers = range(1, count_of(row, self.terms.typed) + 1)
        formers = (self.judge.former(row, n) for n in numbers)
        former = next((wish for wish in formers if wish is not None), None)
        return [
            (self._purchase(wish, wish.resolved.request, profile, {}).job, wish.provider)
            for wish in (self.judge.wish(row), former)
            if wish is not None and wish.fingerprint is not None
            for profile in [self.profile_of(row, wish.provider)]
        ]

    # -- sent ----------------------------------------------------------------------------------

    def call(
        self,
        order: Order,
        profile: Profile,
        upload: Callable[[Sequence[Reference], Sequence[LoadedReference]], Sequence[Reference]],
    ) -> Call:
        """Return what is sent, its reference images read and, where they must be, uploaded.

        `profile` has its key. Raises `UsageError`, `StorageError`, `Unsent`.
        """
        from seedream_cli.engine.references import check_references, encode_references

        provider, request = order.wish.provider, order.purchase.request
        if not request.references:
            return order.purchase.call
        gathered = self.gather(profile, list(self._sources(order.task.row)))
        mistakes, _ = check_references(gathered, order.wish.resolved.capabilities)
        mistakes += list(self._changes(order.task.row, gathered, request.references))
        if mistakes:
            raise UsageError("; ".join(mistakes))
        references = encode_references(gathered, provider)
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
            for job in self.ledger.of_row(row, states={State.SAVED}, limit=20):
                for image in job.images:
                    if image.sha256 == entry.sha256 and image.url:
                        return f"job:{job.id}.{image.index}"
        return posixpath.join(self.terms.base, entry.output)

    def _changes(
        self, row: Row, gathered: Sequence[LoadedReference], planned: Sequence[Reference]
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
            warning=image.warning,
        )
        for image in saved
    ]


def _hold_place(order: Order, job: Job, image: Image, base: str) -> None:
    """Object to a picture that is not where the order wants it: rescued, or another's to place."""
    picture, path = order.task.picture, image.path or ""
    wanted = place_of(replace(job, output=order.purchase.job.output), image)
    is_stranger = picture.stranger == image.sha256
    is_known = is_stranger and path == posixpath.join(base, picture.output)
    if is_known or is_near(path, wanted, job.id):
        return
    raise StorageError(
        f"{order.task.row.name}: its picture is paid for and lies in {path}, not in {wanted}",
        hint="see why that folder does not take files, then run the same again: it is copied",
    )


def _told(order: Order, base: str, path: str) -> str:
    """Return a path as the lock has it: told from the manifest's folder, as its template is."""
    is_absolute = str(order.purchase.job.output.get("template", "")).startswith("/")
    return posixpath.normpath(path) if is_absolute else posixpath.relpath(path, base)
