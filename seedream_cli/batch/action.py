"""What is to be done about each picture: one list that is printed, asked about, bounded and run."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from seedream_cli.core.record import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seedream_cli.batch.lock.entries import Entry
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.resolve import Target
    from seedream_cli.core.model import Image, Job, Money, Problem
    from seedream_cli.request.purchase import Purchase

Key = tuple[str, int]
"""A picture of a manifest: its row's name and its number."""


class Act(StrEnum):
    """What is done about a picture, in the words that `--plan` prints."""

    KEEP = "current"
    MOVE = "move"
    """Its bytes are right and its name is an older one."""
    FETCH = "fetch"
    """It is paid for: at its provider, elsewhere on this disk, or in its place and not recorded."""
    MAKE = "make"
    LEAVE = "leave"
    """Changed by hand: it is never replaced, and a person has to say that it is right."""
    WAIT = "wait"
    """Made from a picture that is stuck or not there, or another process is sending it."""
    UNKNOWN = "unknown"
    """It may have been bought: a person has to settle its job first."""
    CONFLICT = "conflict"
    """It should be made, and what lies in its place is not ours to replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the ledger knows of a picture that the lock does not have."""

    act: Act
    """`MAKE`: nothing of it stands in the way of buying."""
    job: Job
    """That of the past; where it is to be made the one that buys it."""
    images: tuple[Image, ...] = ()
    """Where all of them lie on this disk."""
    is_in_place: bool = False
    """They lie where they are to lie."""
    again: tuple[int, ...] = ()
    """Indexes of those that were saved and are to be fetched once more."""
    spared: frozenset[str] = frozenset()
    """Unknown jobs of the same request that do not stand in its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What is to be done about one picture of a row, or about a set."""

    act: Act
    row: Row
    n: int = 1
    of: int | None = None
    """How many the set has or may have; None: it is made by itself."""
    total: int = 1
    """How many pictures its row asks for by number."""
    output: str
    """Its path, told from the manifest's folder; of what is yet to be made as far as known."""
    reason: str = ""
    target: Target | None = None
    """None: nothing here says who makes it."""
    entry: Entry | None = None
    """The lock's."""
    past: Past | None = None
    """The ledger's."""
    purchase: Purchase | None = None
    """What buys it, from when it is begun on."""
    replaces: frozenset[str] = frozenset()
    """Digests of files of ours, which a new picture may replace."""
    stranger: str = ""
    """Digest of the file that is in the way; empty where none is."""
    obstacle: str = ""
    """What lies in the way, in words."""
    is_misplaced: bool = False
    """It is as described, and its new name is taken."""
    price: Money | None = None
    """Of its making, the whole set's where it is one; None: not known, or nothing to make."""
    problem: Problem | None = None
    """What keeps a picture from being made that waits for none that may still come."""

    @property
    def count(self) -> int:
        """How many pictures it is about, as far as that is known."""
        return (self.of or 1) if self.is_whole_set else 1

    @property
    def is_whole_set(self) -> bool:
        """Tell whether it is about all of a set; what the lock has of one is told one by one."""
        return self.of is not None and self.act not in {Act.KEEP, Act.MOVE, Act.LEAVE}

    @property
    def name(self) -> str:
        """What it is called: `hero`, or `hero-2` where its row has several."""
        is_one = self.n == 1 and self.of is None and self.total == 1
        return self.row.name if is_one else f"{self.row.name}-{self.n}"

    @property
    def key(self) -> Key:
        """What it is found by: names may be alike, `hero-2` may be a row's own."""
        return self.row.name, self.n

    @property
    def keys(self) -> list[Key]:
        """The pictures that it may bring."""
        return [(self.row.name, self.n + k) for k in range(self.count)]

    @property
    def needs(self) -> list[Key]:
        """The pictures that it is made from."""
        return [(r.row, r.n) for r in self.row.references if r.row is not None]

    @property
    def provider(self) -> str | None:
        """Who makes it; None: nothing here says who."""
        return self.target.provider.name if self.target is not None else None

    @property
    def job(self) -> Job | None:
        """The ledger's job that it is about, or that will buy it."""
        return self.past.job if self.past is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done about every picture of a manifest, in its order."""

    actions: list[Action]
    kept: dict[Key, Entry] = field(default_factory=dict)
    """The lock's entries that are still about something, one a picture."""
    leaving: list[Entry] = field(default_factory=list)
    """Those that it will not hold any more: nothing happens to their files."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What a person should know, and of how many rows."""
    in_place: list[tuple[Job, Image]] = field(default_factory=list)
    """Pictures kept of written-off jobs, which lie where bought ones are to lie."""

    def of(self, *acts: Act) -> list[Action]:
        """Return the actions of these kinds, in order."""
        return [action for action in self.actions if action.act in acts]

    def count(self, *acts: Act) -> int:
        """Return how many pictures these are about."""
        return pictures(self.of(*acts))


def pictures(actions: Iterable[Action]) -> int:
    """Return how many pictures some actions are about."""
    return sum(action.count for action in actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an action ended in this run."""

    action: Action
    job: Job | None
    """None: nothing was begun for it."""
    problem: Problem | None = None
    is_old: bool = False
    """This run did nothing about the job."""
