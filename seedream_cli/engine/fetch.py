"""One round of downloads of a job: what comes is saved, what does not is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedream_cli.core.errors import ImageBroken, ImageGone, OutcomeUnknown, Unsent
from seedream_cli.core.events import JobChanged
from seedream_cli.core.model import Problem, State

if TYPE_CHECKING:
    from seedream_cli.core.errors import SeedreamError
    from seedream_cli.core.model import Image, Job
    from seedream_cli.engine.save import Saver


@dataclass(frozen=True, slots=True)
class Lack:
    """Why some picture of a job is not saved yet."""

    trouble: SeedreamError
    is_gone: bool
    """A host said that a picture is no longer there."""


def fetch(saver: Saver, job: Job, *, is_gone_believed: bool) -> Lack | None:
    """Save what is not saved and end the job (None); one that does not come keeps no other back.

    With `is_gone_believed` a picture that its host has no more is given up.
    """
    trouble: SeedreamError | None = None
    gone: list[Image] = []
    for image in filter(is_wanted, job.images):
        try:
            saver.save(job, image)
        except ImageGone as error:
            trouble = trouble or error
            gone.append(image)
        except (Unsent, OutcomeUnknown, ImageBroken) as error:
            trouble = error
    if gone and is_gone_believed:
        for image in gone:
            problem = Problem("expired", "its host says that the picture is gone; it was made")
            saver.ledger.put_image(replace(image, problem=problem))
        if not any(map(is_wanted, saver.ledger.job(job.id).images)):
            trouble = None
    if trouble is not None:
        return Lack(trouble, is_gone=bool(gone))
    _finish(saver, saver.ledger.job(job.id))
    return None


def is_wanted(image: Image) -> bool:
    """Tell whether a picture is neither saved nor given up."""
    return image.saved_at is None and image.problem is None


def _finish(saver: Saver, job: Job) -> None:
    problems = [image.problem for image in job.images if image.problem]
    is_gone = any(problem.code == "expired" for problem in problems)
    # What was saved once and is fetched again may be gone by now; then it is saved no longer.
    if job.state is State.READY or (job.state is State.SAVED and is_gone):
        becomes = State.EXPIRED if is_gone else State.SAVED
        job = saver.ledger.move(job, becomes, problem=problems[0] if problems else None)
        saver.files.drop_spill(job.id)
        saver.notify(JobChanged(job=job))
