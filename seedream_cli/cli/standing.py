"""What lies there before anything is bought: whose it is, what is in the way, what moves first."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from seedream_cli.assets import Verdict
from seedream_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.assets import Picture
    from seedream_cli.cli.world import World

_OF_BATCH = "json_extract(output, '$.batch') = ? AND sandbox = ?"
_MADE = (
    f"{_OF_BATCH} AND state <> 'unknown'"  # noqa: S608 - ours
    " AND EXISTS (SELECT 1 FROM images WHERE job = jobs.id AND sha256 = ?)"
)
_ON_THE_WAY = f"{_OF_BATCH} AND row = ? AND state IN ('running', 'ready')"
_SHOWN = 20
"""Pictures in the way that are named one by one."""


def known(
    world: World, picture: Picture, sandbox: bool, *, base: str = "", batch: str = ""
) -> Picture:
    """Take a file in the way for ours where the ledger knows it: a kill cost its line.

    It is ours only as the very bytes that a job of this batch saved at this very path; `base` is
    the manifest's folder, and `batch` what its jobs bear in their `output`, without which nothing
    is ours. It may have been named and not recorded yet; then its job says so, see `hold_stranger`.
    """
    if picture.verdict is not Verdict.CONFLICT or not picture.stranger or not batch:
        return picture
    mine = batch, int(sandbox)
    made = replace(picture, verdict=Verdict.MAKE, reason=picture.why)
    path = os.path.realpath(posixpath.join(base, picture.output))
    for job in world.ledger.jobs(_MADE, (*mine, picture.stranger)):
        for image in job.images:
            is_here = image.path is not None and os.path.realpath(image.path) == path
            if is_here and image.sha256 == picture.stranger:
                return replace(made, replaces=picture.replaces | {picture.stranger})
    is_coming = world.ledger.jobs(_ON_THE_WAY, (*mine, picture.row.name), limit=1)
    return made if is_coming else picture


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
