"""How a person settles a job of which nobody knew whether it was charged, and settles it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seedream_cli.core.addresses import is_loopback
from seedream_cli.core.commands import PLACEHOLDERS, adopt_command, is_charged, is_made
from seedream_cli.core.errors import (
    AccountError,
    ImageBroken,
    ImageGone,
    OutcomeUnknown,
    SeedreamError,
    UnreadableReply,
    Unsent,
    UsageError,
)
from seedream_cli.core.model import Busy, Image, Job, Refused, Running, Settlement, State, Task
from seedream_cli.core.money import show
from seedream_cli.engine.lifetime import lapse_of_url
from seedream_cli.engine.save import fetch_image
from seedream_cli.storage.files.image_format import HEAD, sniff
from seedream_cli.transport.exchange import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.core.model import Problem
    from seedream_cli.engine.context import Context

_LOOK_LIMITS = Limits(read=30.0, total=60.0)
_ACCOUNT = frozenset({"auth", "credit", "access"})
_OPEN = frozenset({State.RUNNING, State.READY, State.FAILED})
_NO_TASK = frozenset({*PLACEHOLDERS, "TASK_ID", "URL", "TASK_ID|URL"})


def adopt(context: Context, job: Job, what: str, *, is_unseen: bool = False) -> Job:
    """Take on the task, or the picture at the URL, that a submit made; return the job.

    A URL makes it ready, a task id makes it run again; `seedream download` does the rest. The
    provider, or the picture's host, is asked first, unless `is_unseen`. Raises `UsageError` for
    what cannot be meant and what the provider does not know, `SeedreamError` where nobody answers;
    nothing is changed then.
    """
    named = context.ledger.list_adopted(job.id)
    _check_adoptable(job, named)
    # What a person named, a person can take back; what the provider named stays.
    task_id = None if job.task_id in named else job.task_id
    if "://" in what:
        url = _check_url(what)
        if not is_unseen:
            _look_at(context, job, url)
        settlement = Settlement(
            job=job, word="adopt", task_id=task_id, image=_image(context, job, url, named)
        )
    else:
        _check_task(context, job, task_id, what)
        if not is_unseen:
            _ask_about(context, job, what)
        settlement = Settlement(job=job, word="adopt", task_id=what)
    return context.ledger.settle([settlement])[0]


def close(context: Context, jobs: Sequence[Job], word: str, *, is_sure: bool = False) -> list[Job]:
    """Settle jobs for good, all or none: `not-charged`, or `write-off`; return them.

    A job that its provider can still be asked about is written off where that `is_sure`. Raises
    `UsageError`.

        not-charged, though its task id is known    refused: it was accepted
        write-off, while it runs                    refused, unless sure: its picture may come
        write-off, of an unknown one                closed; it holds no purchase back any more
    """
    for job in jobs:
        if word == "not-charged":
            _check_free(job)
        else:
            _check_given_up(context, job, is_sure=is_sure)
    return context.ledger.settle([Settlement(job=job, word=word) for job in jobs])


def _check_free(job: Job) -> None:
    if is_made(job) and job.state in {State.UNKNOWN, State.CLOSED, *_OPEN}:
        what = f"task {job.task_id}" if job.task_id is not None else "a picture"
        raise UsageError(
            f"job {job.id} was accepted: {what} of it is known",
            hint=f"seedream status {job.id} --write-off" + (" -y" if job.state in _OPEN else ""),
        )
    if is_charged(job):
        cost = f" {show(job.cost)}" if job.cost is not None else ""
        raise UsageError(
            f"job {job.id}: its provider says that it charged{cost} for it",
            hint=f"seedream status {job.id} --write-off",
        )
    # Of a failed job, too, nobody may know whether it was charged (`charge_of_failed`).
    if not _is_settled_by_people(job) and job.state is not State.FAILED:
        raise _nothing_to_settle(job)


def _check_given_up(context: Context, job: Job, *, is_sure: bool) -> None:
    if _is_settled_by_people(job) or (job.state in _OPEN and (is_sure or not _asks(context, job))):
        return
    if job.state in _OPEN:
        raise UsageError(
            f"job {job.id} is {job.state}: it may still bring its picture",
            hint=f"seedream download {job.id}\nseedream status {job.id} --write-off -y",
        )
    raise _nothing_to_settle(job)


def _asks(context: Context, job: Job) -> bool:
    """Tell whether any profile may ask about a job."""
    try:
        context.account(job)
    except AccountError:
        return False
    return True


def _is_settled_by_people(job: Job) -> bool:
    """Tell whether a job waits for a person's word, or had it: what was never sent has none."""
    return job.state is State.UNKNOWN or (job.state is State.CLOSED and job.sent_at is not None)


def _nothing_to_settle(job: Job) -> UsageError:
    words = "was never sent" if job.state is State.CLOSED else f"is {job.state}"
    return UsageError(
        f"job {job.id} {words}, so there is nothing to settle", hint=f"seedream status {job.id}"
    )


def _check_adoptable(job: Job, named: frozenset[str]) -> None:
    is_persons = job.task_id in named or any(image.url in named for image in job.images)
    is_open = _is_settled_by_people(job) or job.state is State.FAILED
    if not is_open and not (job.state in _OPEN and is_persons):
        raise _nothing_to_settle(job)


def _check_task(context: Context, job: Job, known: str | None, what: str) -> None:
    provider = context.provider(job)
    if what in _NO_TASK:
        raise UsageError(
            f"“{what}” stands for what {provider.charges_page} shows",
            hint=f"seedream status {job.id}",
        )
    if provider.dialect.poll is None:
        raise UsageError(f"{provider.name} has no task ids: --adopt takes the picture's URL there")
    if not what.isprintable() or not what or " " in what:
        raise UsageError("--adopt takes a task id or an https URL")
    if known not in {None, what}:
        raise UsageError(f"{provider.name} itself named job {job.id} task {known}")
    other = context.ledger.with_task(job.origin, what)
    if other is not None and other.id != job.id:
        raise UsageError(
            f"task {what} is job {other.id} already", hint=f"seedream status {other.id}"
        )


def _ask_about(context: Context, job: Job, task_id: str) -> None:
    """Ask the provider about a task, which is free; raise where it does not know it."""
    dialect = context.provider(job).dialect
    assert dialect.poll is not None, "checked before"  # noqa: S101 - for the type checker
    task = Task(id=task_id, model=job.model)
    try:
        reply = context.transport.send(context.account(job), dialect.poll(task), Limits())
        outcome = dialect.decode(reply)
    except (AccountError, Unsent, OutcomeUnknown, UnreadableReply) as error:
        raise _trouble(job, task_id, error) from error
    match outcome:
        case Busy(problem=problem):
            raise _trouble(job, task_id, problem)
        # The account was refused, not the task: nobody knows yet whether it is known.
        case Refused(problem=problem) if problem.code in _ACCOUNT:
            raise _trouble(job, task_id, problem)
        case Refused(problem=problem):
            raise UsageError(f"{job.provider} does not take {task_id}: {problem.message}")
        case Running(is_missing=True):
            raise UsageError(f"{job.provider} does not know task {task_id}; nothing was changed")
        case _ if getattr(outcome, "task_id", None) not in {None, "", task_id}:
            raise UsageError(f"{job.provider} knows {task_id} as another task")


def _look_at(context: Context, job: Job, url: str) -> None:
    """Look at what lies at an address; raise where it is no picture."""
    head = b""
    try:
        with fetch_image(context, job, url, _LOOK_LIMITS) as download:
            for chunk in download.chunks:
                head += chunk
                # The first bytes tell a picture; `download` fetches it whole.
                if len(head) >= HEAD:
                    break
    except ImageBroken as error:
        raise UsageError(f"{error.message}; nothing was changed", hint=error.hint) from error
    except (ImageGone, Unsent, OutcomeUnknown) as error:
        raise _trouble(job, url, error) from error
    if sniff(head) is None:
        raise UsageError("what lies at that address is no picture; nothing was changed")


def _trouble(job: Job, what: str, why: SeedreamError | Problem) -> SeedreamError:
    """Say that nobody knows whether a word is right, and how it is taken all the same."""
    said = f"it could not be looked at: {why.message}; nothing was changed"
    hint = f"{adopt_command(job.id, what)} -y"
    if why.code in _ACCOUNT:
        return AccountError(said, hint=hint, code=why.code)
    return Unsent(said, hint=hint)


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    # Plain http is for the stand-in on this machine alone.
    is_http = parts.scheme == "http" and is_loopback(host)
    if not host or not (parts.scheme == "https" or is_http) or not url.isprintable():
        raise UsageError("--adopt takes a task id or an https URL")
    return url


def _image(context: Context, job: Job, url: str, named: frozenset[str]) -> Image:
    """Return the picture at an address, in the place of one that was named wrongly, if any."""
    lapses = lapse_of_url(url, context.provider(job), context.clock.now())
    # In the place of what a person named wrongly before, so that it is not waited for beside it.
    wrong = (image.index for image in job.images if image.url in named and not image.saved_at)
    index = next(wrong, max((image.index for image in job.images), default=0) + 1)
    number = job.first_n + index - 1
    return Image(job=job.id, index=index, n=number, url=url, expires_at=lapses)
