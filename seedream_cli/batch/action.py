"""A picture of a manifest, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.core.model import Money


class Verdict(StrEnum):
    """What is to be done about a picture."""

    CURRENT = "current"
    MOVE = "move"
    """Its bytes are right and its name is an older one."""
    MAKE = "make"
    LEAVE = "leave"
    """Changed by hand: it is never replaced, and a person has to say that it is right."""
    FETCH = "fetch"
    """It was bought, as the ledger knows, and is to be fetched or only written into the lock."""
    STUCK = "unknown"
    """It may have been bought: a person has to settle its job first."""
    CONFLICT = "conflict"
    """It should be made, and what lies in its place is not ours to replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of a row, or all of a set, and what is to be done about it."""

    row: Row
    n: int
    of: int | None = None
    """How many the set has or may have; None: it is made by itself."""
    output: str
    """Its path, told from the manifest's folder; of what is yet to be made as far as known."""
    verdict: Verdict
    reason: str = ""
    entry: Entry | None = None
    replaces: frozenset[str] = frozenset()
    """Digests of files of ours, which a new picture may replace."""
    stranger: str = ""
    """Digest of the file that is in the way; empty where none is."""
    obstacle: str = ""
    """What that file is, in words."""
    why: str = ""
    """Why it is to be made, where a file is in the way; empty where it need not be made."""
    lost: tuple[Entry, ...] = ()
    """The lock's lines that it would be current by, if only their files were there."""
    is_misplaced: bool = False
    """It is as described, and its new name is taken."""
    price: Money | None = None
    """Of its making, the whole set's where it is one; None: not known, or nothing to make."""
    provider: str | None = None
    """None: nothing here says which."""
    total: int = 1
    """How many pictures its row asks for by number."""

    @property
    def count(self) -> int:
        """How many pictures are to be made."""
        return (self.of or 1) if self.verdict is Verdict.MAKE else 0

    @property
    def name(self) -> str:
        """What it is called: `hero`, or `hero-2` where its row has several."""
        is_one = self.n == 1 and self.of is None and self.total == 1
        return self.row.name if is_one else f"{self.row.name}-{self.n}"
