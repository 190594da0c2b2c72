"""What lies there before anything is bought: whose it is, what is in the way, what moves first."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedream_cli.batch.action import Verdict
from seedream_cli.batch.history import is_its_place, is_ours, is_same
from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import State

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from seedream_cli.batch.action import Picture
    from seedream_cli.core.model import Job
    from seedream_cli.storage.ledger.ledger import Ledger

_SHOWN = 20
"""Pictures in the way that are named one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger knows of files that the lock does not: a kill costs lines of it."""

    ledger: Ledger
    sandbox: bool
    base: str
    """The manifest's folder."""
    batch: str
    """What its jobs bear in their `output`."""
    rows: Collection[str]
    """The names of the manifest."""

    def judged(self, picture: Picture) -> Picture:
        """Take a file in the way for ours where it is; else return the picture as it was.

        It is ours only as the very bytes that a job of this batch saved at this very path, or at
        the same one in a checkout that is gone. That of a row may be replaced by it; where another
        job is meant, `hold_stranger` has the last word when it was looked for.
        """
        if picture.verdict is not Verdict.CONFLICT or not picture.stranger:
            return picture
        made = replace(picture, verdict=Verdict.MAKE, reason=picture.why)
        bought = self.ledger.with_image(picture.stranger, sandbox=self.sandbox)
        of = {self._of(job, picture) for job in bought if is_ours(self.batch, job)}
        if any(job.state is State.CLOSED for job in bought if self._of(job, picture)):
            return replace(made, stranger="")  # kept of a written-off job: it is put aside
        if picture.row.name in of:
            return replace(made, replaces=picture.replaces | {picture.stranger})
        # Of an unknown job a kill may have left a picture named and not recorded.
        states = {State.RUNNING, State.READY, State.UNKNOWN}
        coming = self.ledger.of_row(picture.row.name, sandbox=self.sandbox, states=states)
        is_coming = "" in of or any(
            is_ours(self.batch, job) and (job.state is not State.UNKNOWN or _is_unrecorded(job))
            for job in coming
        )
        return made if is_coming else picture

    def _of(self, job: Job, picture: Picture) -> str | None:
        """Return whose picture a job's is; empty where that may be this one's, None: not here."""
        path = posixpath.join(self.base, picture.output)
        if not any(
            image.sha256 == picture.stranger and is_its_place(self.batch, job, image, path)
            for image in job.images
        ):
            return None
        if job.row == picture.row.name:
            is_its_own = job.state is not State.UNKNOWN and is_same(self.batch, job)
            return job.row if is_its_own else ""
        return None if job.row in self.rows else ""


def _is_unrecorded(job: Job) -> bool:
    """Tell whether a picture of a job has come, as far as anybody knows, and was not recorded."""
    return any(image.saved_at is None and image.problem is None for image in job.images)


def in_the_way(picture: Picture) -> Picture:
    """Return a picture that is to be bought; in conflict where a stranger's file is there."""
    if not picture.stranger or picture.stranger in picture.replaces:
        return picture
    reason = f"{picture.reason}; {picture.obstacle}"
    return replace(picture, verdict=Verdict.CONFLICT, reason=reason)


def hold_stranger(file: str, picture: Picture) -> None:
    """Object to a picture that is to be bought while a stranger's file is in its place."""
    hold_conflicts(file, [in_the_way(picture)])


def hold_conflicts(file: str, pictures: Sequence[Picture]) -> None:
    """Object to pictures in whose place lies what is not ours to replace."""
    stuck = [p for p in pictures if p.verdict is Verdict.CONFLICT]
    if not stuck:
        return
    lines = [f"{file}:{p.row.line}: {p.name}: {p.reason}" for p in stuck[:_SHOWN]]
    more = len(stuck) - len(lines)
    lines += [f"… and {more} more"] if more > 0 else []
    names = keepable(stuck)
    hint = "nothing was sent"
    if names:
        hint += f"; to keep what lies there: --accept {names[0]}; to have it made: move that file"
        hint += " away"
    raise UsageError("\n".join(lines), hint=hint)


def keepable(pictures: Sequence[Picture]) -> list[str]:
    """Return the rows whose file a person may keep as it lies there, with `--accept`."""
    return [
        picture.row.name
        for picture in pictures
        if (picture.verdict is Verdict.LEAVE and not picture.is_misplaced)
        or (picture.verdict is Verdict.CONFLICT and picture.obstacle)
    ]


def in_order(pictures: Sequence[Picture]) -> list[Picture]:
    """Return moves in an order in which no target is another's file; object to a ring of them."""
    left, done = list(pictures), []
    while left:
        taken = {picture.entry.output for picture in left if picture.entry}
        free = [picture for picture in left if picture.output not in taken]
        if not free:
            raise UsageError(
                f"{left[0].name} and others exchange their names",
                hint="give one of them a name of its own first, run, then the name it shall have",
            )
        done += free
        moved = {id(picture) for picture in free}
        left = [picture for picture in left if id(picture) not in moved]
    return done
