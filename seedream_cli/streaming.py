"""A set that comes as a stream: each image is written down, then fetched, as its event arrives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedream_cli.errors import (
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    StorageError,
    UnreadableReply,
    Unsent,
)
from seedream_cli.events import JobChanged
from seedream_cli.model import Done, Ended, Failed, Image, Problem, State
from seedream_cli.sse import events

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.events import Event
    from seedream_cli.ledger import Ledger
    from seedream_cli.model import Job, Money, RemoteImage, Reply
    from seedream_cli.providers.spec import Provider
    from seedream_cli.saving import Saver
    from seedream_cli.transport import Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Follows event streams. The world is handed in."""

    ledger: Ledger
    saver: Saver
    notify: Callable[[Event], None]
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]

    def follow(self, job: Job, heard: Heard) -> Job:
        """Take a stream to its end and return the job, ready, failed or refused.

        Raises `OutcomeUnknown` where the stream is cut; the images that came are kept.
        """
        failure: Problem | None = None
        is_over = False
        for data in events(heard.chunks()):
            reply = heard.event(data)
            self.ledger.store(job.id, reply)
            match self.read(job, reply):
                case Ended():
                    is_over = True
                    break
                case Failed(problem=problem):
                    failure = problem
                case Done():
                    job = self._fetch(self.ledger.job(job.id))
                case None:
                    continue
        if not (is_over or failure or (job.images and heard.has_visible_end)):
            raise OutcomeUnknown("the stream ended before the set was complete")
        return self.close(self.ledger.job(job.id), failure)

    def read(self, job: Job, reply: Reply) -> Done | Failed | Ended | None:
        """Read one stored event and write down the image that it brings; also at recovery."""
        event = self.providers[job.provider].dialect.event
        try:
            outcome = event(reply.body) if event is not None else None
        except UnreadableReply:
            return None  # kept raw; a stream that says more goes on
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
        if failure is not None and not any(image.url for image in job.images):
            charge = self.providers[job.provider].charge_of_failed
            job = self.ledger.move(job, State.FAILED, charge=charge, problem=failure)
            self.notify(JobChanged(job=job))
            return job
        lost: list[Image] = []
        if failure is not None:
            index = max(image.index for image in job.images) + 1
            number = job.first_n + index - 1
            lost = [Image(job=job.id, index=index, n=number, problem=failure)]
        cost = share(job.price, [*job.images, *lost], job.expected)
        job = self.ledger.move(job, State.READY, cost=cost, images=lost)
        self.notify(JobChanged(job=job))
        return job

    def _fetch(self, job: Job) -> Job:
        """Save what has come; what does not work now is tried again when the stream is over."""
        for image in job.images:
            if image.saved_at or image.problem:
                continue
            try:
                self.saver.save(job, image)
            except (Unsent, OutcomeUnknown, ImageBroken, ImageGone, StorageError):
                continue
        job = self.ledger.job(job.id)
        count = sum(bool(image.saved_at) for image in job.images)
        self.notify(JobChanged(job=job, word=f"{count} saved, making more"))
        return job


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
