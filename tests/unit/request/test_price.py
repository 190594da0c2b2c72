"""Prices are exact, and never told too low."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedream_cli.core.model import Money, Reference, Request, Size
from seedream_cli.core.money import as_json, show, total
from seedream_cli.providers.spec import Capabilities, Tariff, Tier
from seedream_cli.request.price import estimate

FLAT = Capabilities(
    label="Flat", tariff=Tariff(currency="USD", tiers=(Tier(amount=Decimal("0.0325")),))
)
TIERED = Capabilities(
    label="Tiered",
    sizes={"1K": {}, "2K": {"1:1": Size(2048, 2048), "4:3": Size(2368, 1776)}},
    tariff=Tariff(
        currency="USD",
        tiers=(Tier(amount=Decimal("0.035"), pixels=2_601_123), Tier(amount=Decimal("0.07"))),
        reference=Decimal("0.0025"),
        free_references=1,
    ),
)


def request(**fields: object) -> Request:
    """Return a request with these fields."""
    return Request(model="m", prompt="x", **fields)  # type: ignore[arg-type]  # a test's shorthand


def amount(capabilities: Capabilities, **fields: object) -> Decimal:
    """Return the estimate's amount, which must exist."""
    money = estimate(capabilities, request(**fields))
    assert money is not None
    return money.amount


def test_one_picture_costs_its_list_price() -> None:
    """One picture at a flat price costs exactly that."""
    assert estimate(FLAT, request()) == Money(Decimal("0.0325"), "USD")


def test_no_price_is_invented() -> None:
    """Unknown models and models without a tariff have no estimate."""
    assert estimate(None, request()) is None
    assert estimate(Capabilities(label="?"), request()) is None


@pytest.mark.parametrize(("fields", "pictures"), [({"count": 6}, 6), ({"series": 15}, 15)])
def test_every_picture_that_may_come_is_counted(fields: dict[str, object], pictures: int) -> None:
    """Counts and sets are priced as if every picture came."""
    assert amount(FLAT, **fields) == Decimal("0.0325") * pictures


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"size": Size(1536, 1536)}, "0.035"),
        ({"size": Size(2048, 2048)}, "0.07"),
        ({"keyword": "1K"}, "0.035"),
        ({"keyword": "2K"}, "0.07"),
        ({"keyword": "1.5K"}, "0.035"),
        ({"keyword": "auto"}, "0.07"),
        ({}, "0.07"),
    ],
)
def test_the_tier_follows_the_pixels(fields: dict[str, object], expected: str) -> None:
    """The area chooses the tier; an unknown area costs the dearest."""
    assert amount(TIERED, **fields) == Decimal(expected)


@pytest.mark.parametrize(("given_references", "extra"), [(0, 0), (1, 0), (4, 3)])
def test_references_beyond_the_free_ones_cost(given_references: int, extra: int) -> None:
    """Only reference images beyond the free ones are charged."""
    references = (Reference(source="a", url="https://example.com/a.png"),) * given_references
    price = amount(TIERED, keyword="1K", references=references)
    assert price == Decimal("0.035") + extra * Decimal("0.0025")


def test_a_bounded_last_tier_still_prices_what_lies_beyond() -> None:
    """A picture beyond the last tier is priced at that tier rather than at nothing."""
    bounded = Tariff(currency="EUR", tiers=(Tier(amount=Decimal(2), pixels=10),))
    assert amount(Capabilities(label="B", tariff=bounded), size=Size(9, 9)) == Decimal(2)


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
