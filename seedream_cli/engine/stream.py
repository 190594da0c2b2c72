"""A set that comes as a stream: each image is written down, then fetched, as its event arrives."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from seedream_cli.core.errors import (
    AccountError,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    Overtaken,
    StorageError,
    UnreadableReply,
    Unsent,
)
from seedream_cli.core.events import JobChanged
from seedream_cli.core.model import Done, Ended, Failed, Image, Problem, State
from seedream_cli.transport.sse import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job, Money, RemoteImage, Reply
    from seedream_cli.engine.save import Saver
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.ledger.ledger import Ledger
    from seedream_cli.transport.client import StreamedAnswer


@dataclass(slots=True)
class _Ending:
    """What a stream has said of its own end so far."""

    is_said: bool = False
    failure: Problem | None = None
    trouble: StorageError | None = None
    urls: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """What would be lost with this terminal."""
        return "write this down: " + " ".join(self.urls) if self.urls else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Follows event streams. The world is handed in."""

    ledger: Ledger
    saver: Saver
    notify: Callable[[Event], None]
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]

    def follow(self, job: Job, heard: StreamedAnswer) -> Job:
        """Take a stream to its end and return the job, ready, failed or refused.

        Raises `OutcomeUnknown` where the stream is cut; the images that came are kept.
        """
        ending = _Ending()
        with self._fetching() as fetch:
            for data in events(heard.chunks()):
                if not self._take(job, heard.event(data), ending):
                    break
                fetch.put(job.id)
        job = self.ledger.job(job.id)
        if ending.trouble is not None:
            raise StorageError(ending.trouble.message, hint=ending.words)
        if not (ending.is_said or ending.failure or (job.images and heard.has_visible_end)):
            raise OutcomeUnknown("the stream ended before the set was complete")
        try:
            return self.close(job, ending.failure)
        except Overtaken:
            # The main thread gave it up a moment ago; it is complete after all.
            return self.close(self.ledger.job(job.id), ending.failure)

    def _take(self, job: Job, reply: Reply, ending: _Ending) -> bool:
        """Store and read one event; tell whether the stream goes on.

        A ledger that takes no more does not end a stream that is paid for: its URLs are said.
        """
        try:
            self.ledger.store(job.id, reply)
            outcome = self.read(self.ledger.job(job.id), reply)
        except StorageError as error:
            ending.trouble = error
            outcome = self._said(job, reply)
            if isinstance(outcome, Done):
                ending.urls += [image.url for image in outcome.images if image.url]
        match outcome:
            case Ended():
                ending.is_said = True
            case Failed(problem=problem):
                ending.failure = problem
            case Done() | None:
                pass
        return not ending.is_said

    @contextmanager
    def _fetching(self) -> Iterator[SimpleQueue[str | None]]:
        """Fetch beside the stream, so that a slow image host never holds up what is paid for."""
        wanted: SimpleQueue[str | None] = SimpleQueue()

        def fetch() -> None:
            tried: set[int] = set()
            while (job_id := wanted.get()) is not None:
                self._fetch(self.ledger.job(job_id), tried)

        thread = Thread(target=fetch, daemon=True, name="set")
        thread.start()
        try:
            yield wanted
        finally:
            wanted.put(None)
            thread.join()

    def _said(self, job: Job, reply: Reply) -> Done | Failed | Ended | None:
        event = self.providers[job.provider].dialect.event
        try:
            return event(reply.body) if event is not None else None
        except UnreadableReply:
            return None  # kept raw; a stream that says more goes on

    def read(self, job: Job, reply: Reply) -> Done | Failed | Ended | None:
        """Read one stored event and write down the image that it brings; also at recovery."""
        outcome = self._said(job, reply)
        if isinstance(outcome, Done):
            lifetime = self.providers[job.provider].url_lifetime
            lapses = self.now() + lifetime if lifetime else None
            known = {image.index for image in job.images}
            for remote in outcome.images:
                if remote.index not in known:
                    self.ledger.put_image(image_of(job, remote, lapses))
        return outcome

    def close(self, job: Job, failure: Problem | None) -> Job:
        """Take the step that a finished stream means; a failure after images counts as one more."""
        if failure is not None and all(image.problem for image in job.images):
            if job.state is State.UNKNOWN:
                return job  # it was given up, and a person was told so
            charge = self.providers[job.provider].charge_of_failed
            job = self.ledger.move(job, State.FAILED, charge=charge, problem=failure)
            self.notify(JobChanged(job=job))
            return job
        lost: list[Image] = []
        if failure is not None:
            index = max((image.index for image in job.images), default=0) + 1
            number = job.first_n + index - 1
            lost = [Image(job=job.id, index=index, n=number, problem=failure)]
        cost = share(job.price, [*job.images, *lost], job.expected)
        job = self.ledger.move(job, State.READY, cost=cost, images=lost)
        self.notify(JobChanged(job=job))
        return job

    def _fetch(self, job: Job, tried: set[int]) -> None:
        """Save what has come; what does not work now is tried again when the stream is over."""
        for image in job.images:
            if image.index in tried or image.problem:
                continue
            tried.add(image.index)
            try:
                self.saver.save(job, image)
                job = self.ledger.job(job.id)
            except (Unsent, OutcomeUnknown, ImageBroken, ImageGone, StorageError, AccountError):
                continue
            count = sum(bool(each.saved_at) for each in job.images)
            self.notify(JobChanged(job=job, word=f"{count} saved, making more"))


def image_of(job: Job, remote: RemoteImage, lapses: datetime | None) -> Image:
    """Return a provider's image as the ledger keeps it."""
    return Image(
        job=job.id,
        index=remote.index,
        n=job.first_n + remote.index - 1,
        url=remote.url,
        expires_at=remote.expires_at or lapses,
        problem=remote.problem,
        name=remote.name,
    )


def share(price: Money | None, images: Sequence[Image], expected: int) -> Money | None:
    """Estimate what the pictures that were made cost: the missing ones are not billed."""
    made = sum(not image.problem for image in images)
    if price is None or made == expected:
        return price
    return replace(price, amount=price.amount * made / expected)
