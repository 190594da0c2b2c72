"""Prices are exact, and never told too low."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.core.model import Demand, Money, Size
from seedream_cli.core.money import as_json, show, total
from seedream_cli.providers.demand import area_of
from seedream_cli.providers.spec import Capabilities, Tariff, Tier
from seedream_cli.request.price import estimate

FLAT = Capabilities(
    label="Flat", tariff=Tariff(currency="USD", tiers=(Tier(amount=Decimal("0.0325")),))
)
TIERED = Capabilities(
    label="Tiered",
    sizes={
        "1K": {},
        "1.5K": {},
        "auto": {},
        "2K": {"1:1": Size(2048, 2048), "4:3": Size(2368, 1776)},
    },
    tariff=Tariff(
        currency="USD",
        tiers=(Tier(amount=Decimal("0.035"), pixels=2_601_123), Tier(amount=Decimal("0.07"))),
        reference=Decimal("0.0025"),
        free_references=1,
    ),
)


def demand(**fields: object) -> Demand:
    """Return what a request with these facts asks for."""
    return Demand(**fields)  # type: ignore[arg-type]  # a test's shorthand


def amount(capabilities: Capabilities, **fields: object) -> Decimal:
    """Return the estimate's amount, which must exist."""
    money = estimate(capabilities, demand(**fields))
    assert money is not None
    return money.amount


def test_one_picture_costs_its_list_price() -> None:
    """One picture at a flat price costs exactly that."""
    assert estimate(FLAT, demand()) == Money(Decimal("0.0325"), "USD")


def test_no_price_is_invented() -> None:
    """Unknown models and models without a tariff have no estimate."""
    assert estimate(None, demand()) is None
    assert estimate(Capabilities(label="?"), demand()) is None


def test_every_picture_that_may_come_is_counted() -> None:
    """Counts and sets are priced as if every picture came; what cannot be told has no price."""
    assert amount(FLAT, images=15) == Decimal("0.0325") * 15
    assert estimate(FLAT, demand(images=None)) is None
    assert estimate(FLAT, demand(is_priced=False)) is None


def test_layers_have_a_price_of_their_own() -> None:
    """Each layer costs its own price where there is one, else that of a picture."""
    layers = (Tier(amount=Decimal("0.15"), pixels=10), Tier(amount=Decimal("0.30")))
    tariff = replace(FLAT.tariff, layers=layers) if FLAT.tariff else None
    layered = replace(FLAT, tariff=tariff)
    assert amount(layered, images=17, is_layered=True) == Decimal("0.30") * 17
    assert amount(layered, images=17, is_layered=True, area=10) == Decimal("0.15") * 17
    assert amount(layered, images=1) == Decimal("0.0325")
    assert amount(FLAT, images=2, is_layered=True) == Decimal("0.0650")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("1536x1536", "0.035"),
        ("2048x2048", "0.07"),
        ("1K", "0.035"),
        ("1k", "0.035"),
        ("2K", "0.07"),
        ("1.5K", "0.035"),
        ("auto", "0.07"),
        ("3K", "0.07"),
        (" 1K", "0.07"),
        ("1024 x 1024", "0.07"),
        (["1K"], "0.07"),
        (1, "0.07"),
        (None, "0.07"),
    ],
)
def test_the_tier_follows_the_pixels(size: object, expected: str) -> None:
    """The area chooses the tier; an unknown area costs the dearest."""
    assert amount(TIERED, area=area_of(TIERED, size)) == Decimal(expected)


@pytest.mark.parametrize(("given_references", "extra"), [(0, 0), (1, 0), (4, 3)])
def test_references_beyond_the_free_ones_cost(given_references: int, extra: int) -> None:
    """Only reference images beyond the free ones are charged."""
    price = amount(TIERED, area=1, references=given_references)
    assert price == Decimal("0.035") + extra * Decimal("0.0025")


def test_a_bounded_last_tier_still_prices_what_lies_beyond() -> None:
    """A picture beyond the last tier is priced at that tier rather than at nothing."""
    bounded = Tariff(currency="EUR", tiers=(Tier(amount=Decimal(2), pixels=10),))
    assert amount(Capabilities(label="B", tariff=bounded), area=81) == Decimal(2)


def test_references_that_cannot_be_counted_have_no_price() -> None:
    """Where references cost, a field that does not tell how many leaves the price open."""
    assert estimate(TIERED, demand(references=None)) is None
    assert estimate(FLAT, demand(references=None)) == Money(Decimal("0.0325"), "USD")


def test_currencies_are_never_mixed() -> None:
    """A total is one exact sum a currency, in order of appearance."""
    cents = [Money(Decimal("0.1"), "USD"), Money(Decimal("0.25"), "CNY")]
    sums = total([*cents, Money(Decimal("0.2"), "USD")])
    assert sums == [Money(Decimal("0.3"), "USD"), Money(Decimal("0.25"), "CNY")]
    assert total([]) == []


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0.0325", "0.0325 USD"),
        ("1.3", "1.30 USD"),
        ("2", "2.00 USD"),
        ("0.07000", "0.07 USD"),
        ("1E+3", "1000.00 USD"),
        ("1E-7", "0.0000001 USD"),
    ],
)
def test_money_is_written_plainly(written: str, shown: str) -> None:
    """Amounts have at least two decimals, no trailing zeros beyond, and no exponent."""
    assert show(Money(Decimal(written), "USD")) == shown


@given(st.decimals(0, 10_000, places=6))
@settings(max_examples=50)
def test_what_is_shown_is_the_whole_amount(value: Decimal) -> None:
    """Nothing is rounded away when money is shown."""
    assert Decimal(show(Money(value, "USD")).removesuffix(" USD")) == value


def test_json_money_has_an_amount_and_a_currency() -> None:
    """The JSON form is a plain number and a currency."""
    assert as_json(Money(Decimal("0.0325"), "USD")) == {"amount": 0.0325, "currency": "USD"}
