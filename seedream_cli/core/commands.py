"""The commands that hints print: each on a line of its own, right as pasted into any shell."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from seedream_cli.core.model import Charge, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.core.model import Job

PLACEHOLDERS = ("TASK_ID or URL", "URL of the picture")
"""What stands in a hint for a task id or an address that only the provider's page shows."""


def adopt_command(job_id: str, what: str) -> str:
    """Return the line that adopts a task, or the picture at an address."""
    return f"seedream status {job_id} --adopt {quote(what)}"


def settle_commands(jobs: Sequence[Job], *, has_tasks: bool = True) -> str:
    """Return the lines of which one settles all of these jobs; of one job also what adopts.

    `has_tasks`: its provider gives task ids. Of what is known to have been made, or charged, no
    line says that it was not charged.
    """
    ids = " ".join(job.id for job in jobs)
    free = " ".join(job.id for job in jobs if not (is_made(job) or is_charged(job)))
    lines = [f"seedream status {free} --not-charged"] if free else []
    lines.append(f"seedream status {ids} --write-off")
    if len(jobs) == 1:
        lines.append(adopt_command(ids, PLACEHOLDERS[0 if has_tasks else 1]))
    return "\n".join(lines)


def is_made(job: Job) -> bool:
    """Tell whether a task or a picture of a job is known, so that it was accepted."""
    return job.task_id is not None or any(image.url or image.saved_at for image in job.images)


def is_charged(job: Job) -> bool:
    """Tell whether the provider said what it charged for a job whose outcome is unknown."""
    return job.state is State.UNKNOWN and job.charge is Charge.CHARGED
