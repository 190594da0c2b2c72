"""What people call jobs and pictures: `01k3f9zq`, `01k3f9zq.2`, `last`, `last.3`, `last-1`."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from seedream_cli.core.errors import UsageError
from seedream_cli.core.formats import format_of_extension
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass
from seedream_cli.storage.files.digest import look

if TYPE_CHECKING:
    from seedream_cli.core.model import Image, Job
    from seedream_cli.storage.ledger.ledger import Ledger

_NAME = pattern(
    r"(?:job:|@)?(?:last(?:-(?P<back>[0-9]{1,4}))?|(?P<id>[0-9a-hjkmnp-tv-z]{1,8}))"
    r"(?:\.(?P<picture>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMatch:
    """The jobs that a name means, oldest first, and the picture, if it names one."""

    jobs: tuple[Job, ...]
    image: Image | None = None
    note: str = ""
    """What is to be said of a file that names them."""


def is_file(name: str) -> bool:
    """Tell whether a name is that of a file: it has a slash or an extension, and exists."""
    try:
        return ("/" in name or PurePath(name).suffix != "") and Path(name).is_file()
    except (OSError, ValueError):
        return False


def find_any(ledger: Ledger, name: str) -> JobMatch:
    """Return what a name or a picture's path means; raise `UsageError` or `StorageError`."""
    return _by_file(ledger, name) if is_file(name) else find(ledger, name)


def _by_file(ledger: Ledger, name: str) -> JobMatch:
    """Return the jobs that made a file: by its bytes, else by where it lies."""
    found = look(name)
    here = {os.path.abspath(name), os.path.realpath(name)}  # noqa: PTH100 - without resolving links
    jobs = ledger.with_image(found.sha256) if found is not None and found.sha256 else []
    # The same bytes may lie in several places; the one that is meant comes first.
    jobs = [job for job in jobs if here.intersection(i.path for i in job.images)] or jobs
    if jobs:
        return JobMatch(jobs=tuple(reversed(jobs)))
    # By its place only where its bytes are nobody's: then somebody has changed it.
    placed = [job for path in sorted(here) for job in ledger.with_path(path)]
    if not placed:
        raise UsageError(f"no job made {name}", hint="seedream status --all")
    job = placed[0]
    image = next(image for image in job.images if image.path in here)
    note = f"{name} has changed since job {job.id} saved it" if image.sha256 else ""
    return JobMatch(jobs=(job,), image=image, note=note)


def find(ledger: Ledger, name: str, *, sandbox: bool | None = None) -> JobMatch:
    """Return what a name means; raise `UsageError` when it means nothing or too much.

    With `sandbox`, `last` looks at rehearsals only, or at real runs only. `JOB.2` is the job's
    second image; `last.3` is the third picture of its run, on every provider.

    last        all pictures of the newest run
    last-1.2    the second one of the run before
    01k3        the one job whose id begins so, or a mistake that names them all
    01k3f9zq.2  its second picture
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        is_path = "/" in name or format_of_extension(PurePath(name).suffix) is not None
        raise UsageError(
            f"there is no file {name}" if is_path else f"“{name}” is no job's name",
            hint="names look like 01k3f9zq, 01k3f9zq.2, last, last-1; as images: @last, job:last",
        )
    picture = int(match["picture"]) if match["picture"] else None
    if match["id"]:
        job = _by_prefix(ledger, match["id"].lower())
        return _picture((job,), name, picture, is_index=True)
    runs = ledger.newest_runs(int(match["back"] or 0) + 1, sandbox=sandbox)
    if len(runs) <= int(match["back"] or 0):
        some = f"only {len(runs)} saved a picture" if runs else "none has saved a picture"
        raise UsageError(f"there is no run “{name}”: {some}", hint="seedream status")
    jobs = tuple(reversed(ledger.of_run(runs[-1])))
    return _picture(jobs, name, picture, is_index=False)


def _by_prefix(ledger: Ledger, prefix: str) -> Job:
    jobs = ledger.with_prefix(prefix, limit=6)
    if not jobs:
        raise UsageError(f"there is no job {prefix}", hint="seedream status --all")
    if len(jobs) > 1:
        ids = ", ".join(job.id for job in jobs[:5])
        raise UsageError(f"“{prefix}” could be {ids}", hint="type more of it")
    return jobs[0]


def _picture(jobs: tuple[Job, ...], name: str, picture: int | None, *, is_index: bool) -> JobMatch:
    if picture is None:
        return JobMatch(jobs=jobs)
    for job in jobs:
        for image in job.images:
            if picture == (image.index if is_index else image.n):
                return JobMatch(jobs=(job,), image=image)
    count = sum(len(job.images) for job in jobs)
    raise UsageError(f"there is no picture {name}: it has {count}", hint="seedream status")
