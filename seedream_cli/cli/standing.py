"""What lies there before anything is bought: whose it is, what is in the way, what moves first."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from seedream_cli.errors import UsageError
from seedream_cli.model import State
from seedream_cli.past import is_its_place, is_ours
from seedream_cli.picture import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.ledger import Ledger
    from seedream_cli.picture import Picture

_MADE = "sandbox = ? AND EXISTS (SELECT 1 FROM images WHERE job = jobs.id AND sha256 = ?)"
_ON_THE_WAY = "sandbox = ? AND row = ? AND state IN ('running', 'ready')"
_SHOWN = 20
"""Pictures in the way that are named one by one."""


def known(ledger: Ledger, picture: Picture, sandbox: bool, *, base: str, batch: str) -> Picture:
    """Take a file in the way for ours where the ledger knows it: a kill cost its line.

    It is ours only as the very bytes that a job of this batch saved at this very path, or at the
    same one in a checkout that is gone; `base` is the manifest's folder, and `batch` what its jobs
    bear in their `output`. It may have been named and not recorded yet; then its job says so, see
    `hold_stranger`.
    """
    if picture.verdict is not Verdict.CONFLICT or not picture.stranger:
        return picture
    path = posixpath.join(base, picture.output)
    made = replace(picture, verdict=Verdict.MAKE, reason=picture.why)
    for job in ledger.jobs(_MADE, (int(sandbox), picture.stranger)):
        if job.state is not State.UNKNOWN and is_ours(batch, job):
            for image in job.images:
                if image.sha256 == picture.stranger and is_its_place(batch, job, image, path):
                    return replace(made, replaces=picture.replaces | {picture.stranger})
    coming = ledger.jobs(_ON_THE_WAY, (int(sandbox), picture.row.name))
    return made if any(is_ours(batch, job) for job in coming) else picture


def hold_stranger(file: str, picture: Picture) -> None:
    """Object to a picture that is to be bought while a stranger's file is in its place."""
    if picture.stranger and picture.stranger not in picture.replaces:
        reason = f"{picture.reason}; {picture.output} is there and not in the lock"
        hold_conflicts(file, [replace(picture, verdict=Verdict.CONFLICT, reason=reason)])


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
        if picture.verdict is Verdict.LEAVE
        or (
            picture.verdict is Verdict.CONFLICT
            and (picture.stranger or (picture.entry is not None and picture.entry.is_by_hand))
        )
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
