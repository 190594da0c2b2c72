"""What lies there before anything is bought: whose it is, what is in the way, what moves first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from seedream_cli.assets import Verdict
from seedream_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.assets import Picture
    from seedream_cli.cli.world import World

_MADE = (
    "row = ? AND sandbox = ? AND EXISTS (SELECT 1 FROM images WHERE job = jobs.id AND sha256 = ?)"
)
_ON_THE_WAY = "row = ? AND sandbox = ? AND state IN ('running', 'ready')"
_SHOWN = 20
"""Pictures in the way that are named one by one."""


def known(world: World, picture: Picture, sandbox: bool) -> Picture:
    """Take a file in the way for ours where the ledger knows it: a kill cost its line.

    It may have been named and not recorded yet; then its job says so, see `hold_stranger`.
    """
    if picture.verdict is not Verdict.CONFLICT or not picture.stranger:
        return picture
    row = picture.row.name, int(sandbox)
    made = replace(picture, verdict=Verdict.MAKE, reason=picture.why)
    if world.ledger.jobs(_MADE, (*row, picture.stranger)):
        return replace(made, replaces=picture.replaces | {picture.stranger})
    return made if world.ledger.jobs(_ON_THE_WAY, row) else picture


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
    raise UsageError(
        "\n".join(lines),
        hint=f"nothing was sent; to keep what lies there: --accept {stuck[0].row.name}; to have"
        " it made: move that file away",
    )


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
        left = [picture for picture in left if picture not in free]
    return done
