"""How a person settles a job of which nobody knew whether it was charged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from seedream_cli.core.addresses import is_loopback
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Charge, Image, Job, State

if TYPE_CHECKING:
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.ledger.ledger import Ledger


_STILL_COMING: Final = frozenset({State.RUNNING, State.READY, State.FAILED})


def adopt(ledger: Ledger, job: Job, provider: Provider, what: str) -> Job:
    """Take on the task or the picture that an unknown submit made; raise `UsageError`.

    A URL makes the job ready, a task id makes it run again; `seedream download` does the rest.
    """
    _check_unknown(job)
    if "://" in what:
        return ledger.move(job, State.READY, images=[_image(job, _check_url(what))])
    if provider.dialect.poll is None:
        raise UsageError(
            f"{provider.name} has no task ids: --adopt takes the picture's URL there",
            hint=f"see {provider.charges_page}",
        )
    if not what.isprintable() or not what or " " in what:
        raise UsageError("--adopt takes a task id or an https URL")
    other = ledger.with_task(job.origin, what)
    if other is not None:
        raise UsageError(
            f"task {what} is job {other.id} already", hint=f"seedream status {other.id}"
        )
    return ledger.move(job, State.RUNNING, task_id=what)


def close(ledger: Ledger, job: Job, *, charge: Charge, is_sure: bool = False) -> Job:
    """Settle a job: `NONE`, it was not charged; `MAYBE`, written off.

    What may still bring its picture is written off only by who `is_sure`.
    """
    if charge is Charge.NONE or job.state not in _STILL_COMING:
        _check_unknown(job)
    elif not is_sure:
        raise UsageError(
            f"job {job.id} is {job.state}: it may still bring its picture",
            hint=f"seedream status {job.id} --write-off -y",
        )
    return ledger.move(job, State.CLOSED, charge=charge)


def _check_unknown(job: Job) -> None:
    if job.state is not State.UNKNOWN:
        raise UsageError(
            f"job {job.id} is {job.state}, so there is nothing to settle",
            hint=f"seedream status {job.id}",
        )


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    is_http = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or is_http) or not url.isprintable():
        raise UsageError("--adopt takes a task id or an https URL")
    return url


def _image(job: Job, url: str) -> Image:
    index = max((image.index for image in job.images), default=0) + 1
    return Image(job=job.id, index=index, n=job.first_n + index - 1, url=url)
