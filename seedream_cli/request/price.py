"""What a request will cost at most, by the provider's public list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.core.model import Money

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from seedream_cli.core.model import Demand
    from seedream_cli.providers.spec import Capabilities, Tier


def estimate(capabilities: Capabilities | None, demand: Demand) -> Money | None:
    """Return what a request will cost at most; None where no price is published, or none can be.

    Sets and layers are priced as if all the pictures came that may. Request by request: sum them.

        2 pictures at 0.04 USD, 3 references at 0.002 USD of which 1 is free    0.084 USD
        2 pictures, and a --set whose references nobody can count               None
    """
    tariff = capabilities.tariff if capabilities is not None else None
    if tariff is None or demand.images is None or not demand.is_priced:
        return None
    # Each of them costs, and how many there are nobody knows.
    if demand.references is None and tariff.reference:
        return None
    paid_references = max(0, (demand.references or 0) - tariff.free_references)
    tiers = (demand.is_layered and tariff.layers) or tariff.tiers
    amount = _of_one(tiers, demand.area) * demand.images
    return Money(amount + tariff.reference * paid_references, tariff.currency)


def _of_one(tiers: Sequence[Tier], area: int | None) -> Decimal:
    """Return the price of one picture; the dearest where its area is not known."""
    if area is None:
        return max(tier.amount for tier in tiers)
    fitting = (tier.amount for tier in tiers if tier.pixels is None or area <= tier.pixels)
    return next(fitting, tiers[-1].amount)
