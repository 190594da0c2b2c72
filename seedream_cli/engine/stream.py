"""A set that comes as a stream: each image is written down, then fetched, as its event arrives."""

from __future__ import annotations

from contextlib import contextmanager, suppress
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
from seedream_cli.core.events import JobChanged, Note
from seedream_cli.core.model import Done, Ended, Failed, Image, Problem, State
from seedream_cli.core.record import dataclass, field
from seedream_cli.engine.answers import mark_failed, new_images, share_price, tell_of_more
from seedream_cli.engine.save import save_image
from seedream_cli.transport.sse import events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seedream_cli.core.model import Job, Reply
    from seedream_cli.engine.context import Context
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


def follow_stream(context: Context, job: Job, answer: StreamedAnswer) -> Job:
    """Take a stream to its end and return the job, ready, failed or refused.

    Raises `OutcomeUnknown` where the stream is cut; the images that came are kept.
    """
    ending, ledger = _Ending(), context.ledger
    with _fetching(context) as fetch:
        try:
            for data in events(answer.chunks()):
                if not _take(context, job, answer.event(data), ending):
                    break
                fetch.put(job.id)
        except OutcomeUnknown as error:
            rest = answer.spill.rest() if answer.spill is not None else b""
            if error.event + rest:  # it may name a picture all the same
                _take(context, job, answer.event(error.event + rest), ending)
            raise
        took = context.pace.measure(job)  # its pictures may be fetched for longer
    if ending.trouble is not None:
        raise StorageError(ending.trouble.message, hint=ending.words)
    job = ledger.job(job.id)
    if not (ending.is_said or ending.failure or (job.images and answer.has_visible_end)):
        raise OutcomeUnknown("the stream ended before the set was complete")
    if not (ending.is_said or ending.failure):
        words = f"{job.id}: the set ended without a word that it is complete; what came is kept"
        context.notify(Note(message=words))
    try:
        return close_stream(context, job, ending.failure, took)
    except Overtaken:
        # The main thread gave it up a moment ago; it is complete after all.
        return close_stream(context, ledger.job(job.id), ending.failure, took)


def _take(context: Context, job: Job, reply: Reply, ending: _Ending) -> bool:
    """Store and read one event; tell whether the stream goes on.

    A ledger that takes no more does not end a stream that is paid for: its URLs are said.
    """
    try:
        context.ledger.store(job.id, reply)
        outcome = read_event(context, context.ledger.job(job.id), reply)
    except StorageError as error:
        ending.trouble = error
        outcome = _decode(context, job, reply)
        if isinstance(outcome, Done):
            urls = [image.url for image in outcome.images if image.url]
            ending.urls += urls
            # The stream may yet be cut.
            said = f"{job.id}: write this down: {' '.join(urls)}"
            context.notify(Note(message=said, is_warning=True))
    match outcome:
        case Ended():
            ending.is_said = True
        case Failed(problem=problem):
            ending.failure = problem
        case Done() | None:
            pass
    return not ending.is_said


@contextmanager
def _fetching(context: Context) -> Iterator[SimpleQueue[str | None]]:
    """Fetch beside the stream, so that a slow image host never holds up what is paid for."""
    wanted: SimpleQueue[str | None] = SimpleQueue()

    def fetch() -> None:
        tried: set[int] = set()
        while (job_id := wanted.get()) is not None:
            if context.clock.monotonic() > context.deadline(job_id):
                continue  # what is left is fetched when the stream is over
            with suppress(StorageError):  # said where the event was to be stored
                _fetch(context, context.ledger.job(job_id), tried)

    thread = Thread(target=fetch, daemon=True, name="set")
    thread.start()
    try:
        yield wanted
    finally:
        wanted.put(None)
        thread.join()


def _fetch(context: Context, job: Job, tried: set[int]) -> None:
    """Save what has come; what does not work now is tried again when the stream is over."""
    for image in job.images:
        if context.clock.monotonic() > context.deadline(job.id):
            break
        if image.index in tried or image.problem:
            continue
        tried.add(image.index)
        try:
            save_image(context, job, image)
            job = context.ledger.job(job.id)
        except (Unsent, OutcomeUnknown, ImageBroken, ImageGone, StorageError, AccountError):
            continue
        count = sum(bool(each.saved_at) for each in job.images)
        context.notify(JobChanged(job=job, word=f"{count} saved, making more"))


def _decode(context: Context, job: Job, reply: Reply) -> Done | Failed | Ended | None:
    event = context.provider(job).dialect.event
    try:
        return event(reply.body) if event is not None else None
    except UnreadableReply:
        return None  # kept raw; a stream that says more goes on


def read_event(context: Context, job: Job, reply: Reply) -> Done | Failed | Ended | None:
    """Read one stored event and write down the image that it brings; also at recovery."""
    outcome = _decode(context, job, reply)
    if isinstance(outcome, Done):
        known = {image.index for image in job.images}
        for image in new_images(context, job, outcome, reply):
            if image.index not in known:
                context.ledger.put_image(image)
    return outcome


def close_stream(
    context: Context, job: Job, failure: Problem | None, took: float | None = None
) -> Job:
    """Take the step that a finished stream means; a failure after images counts as one more.

    `took` is in how many seconds all of it came, where that is known.
    """
    lost: list[Image] = []
    if failure is not None and all(image.problem for image in job.images):
        if job.state is State.UNKNOWN:
            return job  # it was given up, and a person was told so
        job = mark_failed(context, job, failure)
    else:
        if failure is not None:
            index = max((image.index for image in job.images), default=0) + 1
            number = job.first_n + index - 1
            lost = [Image(job=job.id, index=index, n=number, problem=failure)]
        tell_of_more(context, job, job.images)
        cost = share_price(job.price, [*job.images, *lost], job.expected)
        seconds = took if failure is None else None
        job = context.ledger.move(job, State.READY, cost=cost, images=lost, made_seconds=seconds)
    context.notify(JobChanged(job=job))
    return job
