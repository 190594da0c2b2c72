"""How money is added, shared and written."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Money

if TYPE_CHECKING:
    from collections.abc import Iterable


CREDITS: Final = "credits"
"""Stands for a currency where a provider prices in credits and sells them at no fixed rate."""
_MILLIONTH: Final = Decimal("0.000001")


def total(moneys: Iterable[Money]) -> list[Money]:
    """Return one sum a currency, in the order in which the currencies first appear."""
    sums: dict[str, Decimal] = {}
    for money in moneys:
        sums[money.currency] = sums.get(money.currency, Decimal(0)) + money.amount
    return [Money(amount, currency) for currency, amount in sums.items()]


def share(money: Money, count: int) -> Money:
    """Return one of so many equal parts, to a millionth."""
    return Money((money.amount / count).quantize(_MILLIONTH).normalize(), money.currency)


def show(money: Money) -> str:
    """Write an amount for people: at least two decimals, no zeros beyond them (`0.0325 USD`).

    Credits are counted: `2 credits`.
    """
    whole, _, decimals = f"{money.amount:f}".partition(".")
    places = 0 if money.currency == CREDITS else 2
    decimals = decimals.rstrip("0").ljust(places, "0")
    return f"{whole}{'.' * bool(decimals)}{decimals} {money.currency}"


def as_json(money: Money) -> dict[str, object]:
    """Return an amount as `--json` shows it."""
    return {"amount": float(money.amount), "currency": money.currency}
