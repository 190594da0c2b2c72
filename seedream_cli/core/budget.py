"""What an account may spend in a span of time, and when there is room again."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Budget, Money
from seedream_cli.core.money import show
from seedream_cli.core.pattern import pattern
from seedream_cli.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WRITTEN: Final = pattern(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]{3}) ?/ ?([a-z]+)")


@dataclass(frozen=True, slots=True)
class Spending:
    """Attempts of one minute that were charged, or may have been, each with the same sum."""

    money: Money | None
    """What each cost, else the most that it may; None: nobody knows."""
    count: int
    at: datetime
    """When the last of them began."""
    job: str
    """One of them."""
    undecided: frozenset[str] = frozenset()
    """Those that whoever asks is sending right now: they may turn out to cost less."""

    @property
    def amount(self) -> Decimal:
        """Their sum, in the currency of `money`."""
        return self.money.amount * self.count if self.money else Decimal(0)


def incomparable(
    budget: Budget, prices: Iterable[tuple[str, Money | None]], spent: Iterable[Spending] = ()
) -> str:
    """Say what cannot be held against a budget: prices, by what they are of, and what was spent."""
    unit = budget.most.currency
    for name, price in prices:
        if not budget.has(price):
            what = (
                f"{name} is priced in {price.currency}" if price else f"{name} has no known price"
            )
            return f"the budget {budget} is kept where prices in {unit} are known: {what}"
    for each in spent:
        if not budget.has(each.money):
            until = _moment(each.at + budget.span)
            return (
                f"nobody can say what is left of the budget {budget}: what job {each.job} of the"
                f" same account cost is not known in {unit}, and it counts until {until}"
            )
    return ""


def lack(budget: Budget, price: Money, spent: Sequence[Spending]) -> str:
    """Say what is left, and when more is free, where `price` does not fit; else nothing.

    `spent` is of the budget's span and in its currency, the oldest first.

        20 USD/day, 19.98 spent, 0.03 asked for     what is left, and when more is free
        20 USD/day, 19.90 spent, 0.03 asked for     nothing: it fits
    """
    used = sum((each.amount for each in spent), Decimal(0))
    room = budget.most.amount - price.amount
    if used <= room:
        return ""
    left, free_at = max(Decimal(0), budget.most.amount - used), None
    # As the oldest leave the span, one after the other, there is room at some moment.
    for each in spent if room >= 0 else ():
        used -= each.amount
        if used <= room:
            free_at = each.at + budget.span
            break
    more = f"more is free at {_moment(free_at)}" if free_at else "that is more than all of it"
    return (
        f"the budget {budget} has {show(Money(left, price.currency))} left, and this may cost"
        f" {show(price)}; {more}"
    )


def _moment(at: datetime) -> str:
    """Write a moment to the second, and never too early."""
    return f"{at + timedelta(microseconds=-at.microsecond % 1_000_000):%Y-%m-%d %H:%M:%S}Z"


def parse_budget(text: str) -> Budget | None:
    """Read `20 USD/day` or `300 CNY/month`; None for anything else."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or match[3] not in Budget.SPANS:
        return None
    return Budget(Money(Decimal(match[1]), match[2].upper()), match[3])
