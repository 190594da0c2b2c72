"""From pictures that are to be made to requests: what one request brings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seedream_cli.batch.action import Verdict
from seedream_cli.request.check import split_count
from seedream_cli.request.demand import measure
from seedream_cli.request.price import estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from seedream_cli.batch.action import Picture
    from seedream_cli.batch.manifest.read import Row
    from seedream_cli.batch.plan import Judge
    from seedream_cli.batch.resolve import Wish
    from seedream_cli.core.model import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request to buy."""

    row: Row
    first_n: int
    count: int
    """How many pictures it may bring."""
    picture: Picture
    """The first of them; what it replaces is what they all may."""
    price: Money | None

    @property
    def name(self) -> str:
        """What it is called: `hero`, or `hero-2`."""
        return self.picture.name

    @property
    def key(self) -> tuple[str, int]:
        """What it is found by: names may be alike, `hero-2` may be a row's own."""
        return self.row.name, self.first_n

    @property
    def numbers(self) -> range:
        """Which of its row's pictures it may bring."""
        return range(self.first_n, self.first_n + self.count)

    @property
    def needs(self) -> list[tuple[str, int]]:
        """The pictures that it is made from."""
        return [(r.row, r.n) for r in self.row.references if r.row is not None]


def tasks_of(judge: Judge, pictures: Iterable[Picture]) -> Iterator[Task]:
    """Yield what is to be bought, together where one request brings several pictures."""
    rows: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.verdict is Verdict.MAKE:
            rows.setdefault(picture.row.name, []).append(picture)
    for made in rows.values():
        for is_anew in (False, True):
            if mine := [p for p in made if judge.is_anew(p.row, p.n) is is_anew]:
                yield from _of_row(judge, mine)


def _of_row(judge: Judge, made: Sequence[Picture]) -> Iterator[Task]:
    row, wish = made[0].row, judge.wish(made[0].row, n=made[0].n)
    request, capabilities = wish.resolved.request, wish.resolved.capabilities
    for together in [[p] for p in made] if wish.is_set else _together(judge, made, wish):
        first = 0
        for count in split_count(capabilities, len(together), len(request.references)):
            mine = together[first : first + count]
            picture = mine[0]
            replaced = frozenset().union(*(each.replaces for each in mine))
            yield Task(
                row=row,
                first_n=picture.n,
                count=picture.of or count,
                picture=replace(picture, replaces=replaced),
                price=estimate(
                    capabilities,
                    measure(wish.provider, capabilities, replace(request, count=count)),
                ),
            )
            first += count


def _together(judge: Judge, made: Sequence[Picture], wish: Wish) -> list[list[Picture]]:
    """Return pictures that one request may bring: their numbers and their names are a row."""
    groups: list[list[Picture]] = []
    plans = [judge.plan(p.row, wish, p.n, p.entry) for p in made]
    for picture, plan, before in zip(made, plans, [None, *plans], strict=False):
        if plan == before and groups and picture.n == groups[-1][-1].n + 1:
            groups[-1].append(picture)
        else:
            groups.append([picture])
    return groups
