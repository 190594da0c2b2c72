"""What a request will cost at most, by the provider's public list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Money

if TYPE_CHECKING:
    from decimal import Decimal

    from seedream_cli.core.model import Request
    from seedream_cli.providers.spec import Capabilities, Tariff

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
