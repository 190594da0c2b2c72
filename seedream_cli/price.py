"""What a request will cost at most, by the provider's public list, and how money is written."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from seedream_cli.model import Money

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seedream_cli.model import Request
    from seedream_cli.providers.spec import Capabilities, Tariff

_MILLIONTH: Final = Decimal("0.000001")
_SIDE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)K", re.IGNORECASE)


def estimate(capabilities: Capabilities | None, request: Request) -> Money | None:
    """Return what this one request will cost at most; None where no price is published.

    A set is priced as if the model made all the pictures it may. Request by request: sum them.
    """
    if capabilities is None or capabilities.tariff is None:
        return None
    tariff = capabilities.tariff
    pictures = (request.series or 1) * request.count
    paid_references = max(0, len(request.references) - tariff.free_references)
    one = _of_one(tariff, _area(capabilities, request))
    return Money(one * pictures + tariff.reference * paid_references, tariff.currency)


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
    """Write an amount for people: at least two decimals, no zeros beyond them (`0.0325 USD`)."""
    whole, _, decimals = f"{money.amount:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')} {money.currency}"


def as_json(money: Money) -> dict[str, object]:
    """Return an amount as `--json` shows it."""
    return {"amount": float(money.amount), "currency": money.currency}


def _of_one(tariff: Tariff, area: int | None) -> Decimal:
    """Return the price of one picture; the dearest where its area is not known."""
    if area is None:
        return max(tier.amount for tier in tariff.tiers)
    fitting = (tier.amount for tier in tariff.tiers if tier.pixels is None or area <= tier.pixels)
    return next(fitting, tariff.tiers[-1].amount)


def _area(capabilities: Capabilities, request: Request) -> int | None:
    """Return the pixels of one picture as far as the request tells."""
    if request.size is not None:
        return request.size.pixels
    if request.keyword is None:
        return None
    table = capabilities.sizes.get(request.keyword, {})
    if table:
        return max(size.pixels for size in table.values())
    side = _SIDE.fullmatch(request.keyword)
    return round(float(side[1]) * 1024) ** 2 if side else None
