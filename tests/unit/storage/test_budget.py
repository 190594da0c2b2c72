"""A budget: what an account spent in the last day or month, held in the transaction that spends."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING

import pytest
from support.clock import FakeClock

from seedream_cli.core.budget import parse_budget
from seedream_cli.core.errors import Withheld
from seedream_cli.core.model import Budget, Charge, Money, Secret, Settlement, State
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seedream_cli.core.model import Job

KEY, OTHER = Secret("sk-work"), Secret("sk-other")
PRICE = Money(Decimal("0.0325"), "USD")


def budget(text: str) -> Budget:
    """Return what a profile says."""
    found = parse_budget(text)
    assert found is not None
    return found


@dataclass
class Purse:
    """A ledger on a clock of its own, and purchases of one account."""

    ledger: Ledger
    clock: FakeClock
    make_job: Callable[..., Job]
    numbers: Iterator[int] = field(default_factory=count)

    def begin(self, most: str | None = "0.1 USD/day", key: Secret = KEY, **changes: object) -> Job:
        """Plan a job and spend on it."""
        number = next(self.numbers)
        job = self.make_job(
            id=f"0000{number:04}",
            purchase_digest=f"{number:064}",
            **{"price": PRICE, "output": {}, **changes},
        )
        self.ledger.plan([job])
        self.ledger.begin(job.id, key=key, budget=budget(most) if most else None)
        return self.ledger.job(job.id)

    def buy(self, most: str | None = "0.1 USD/day", key: Secret = KEY, **changes: object) -> Job:
        """Spend, and have it accepted."""
        job = self.begin(most, key, **changes)
        return self.ledger.move(job, State.RUNNING, task_id=f"t{job.id}")

    def awaits(self, **changes: object) -> frozenset[str]:
        """Return what is waited for when nothing more may be spent."""
        with pytest.raises(Withheld) as caught:
            self.begin(**changes)  # type: ignore[arg-type] # each test names real fields
        return caught.value.undecided

    def lack(self, most: str = "0.1 USD/day", key: Secret = KEY, **changes: object) -> str:
        """Return why nothing more may be spent."""
        with pytest.raises(Withheld) as caught:
            self.begin(most, key, **changes)
        assert (caught.value.code, caught.value.exit) == ("budget", 4)
        planned = self.ledger.jobs(limit=1)[0]
        assert (planned.state, planned.charge, planned.sent_at) == ("planned", "none", None)
        return caught.value.message


@pytest.fixture
def purse(tmp_path: Path, make_job: Callable[..., Job]) -> Iterator[Purse]:
    """Build one."""
    clock = FakeClock()
    with closing(Ledger(tmp_path / "ledger.db", now=clock.now)) as ledger:
        yield Purse(ledger, clock, make_job)


def test_three_of_a_kind_fit_and_the_fourth_does_not(purse: Purse) -> None:
    """The fourth says what is left, what it may cost, and when the oldest counts no more."""
    for _ in range(3):
        purse.buy()
    assert purse.lack() == (
        "the budget 0.1 USD/day has 0.0025 USD left, and this may cost 0.0325 USD;"
        " more is free at 2026-11-22 10:00:00Z"
    )


def test_a_budget_is_spent_to_the_last_cent(purse: Purse) -> None:
    """What fits exactly is bought."""
    for _ in range(4):
        purse.buy("0.13 USD/day")
    assert "has 0.00 USD left" in purse.lack("0.13 USD/day")


@pytest.mark.parametrize(("word", "span"), [("day", 86_400), ("month", 30 * 86_400)])
def test_what_was_spent_counts_for_its_span_and_no_longer(
    purse: Purse, word: str, span: int
) -> None:
    """A second before 24 hours (30 days) are over it counts, at that very moment no more."""
    for _ in range(3):
        purse.buy(f"0.1 USD/{word}")
    purse.clock.at += timedelta(seconds=span - 1)
    purse.lack(f"0.1 USD/{word}")
    purse.clock.at += timedelta(seconds=1)
    purse.buy(f"0.1 USD/{word}")


def test_more_is_free_when_enough_has_left_the_span(purse: Purse) -> None:
    """For a dear picture that is when the second oldest leaves, to the second and never sooner."""
    for _ in range(3):
        purse.buy()
        purse.clock.at += timedelta(hours=1, microseconds=1)
    dear = Money(Decimal("0.06"), "USD")
    assert purse.lack(price=dear).endswith("more is free at 2026-11-22 11:00:01Z")
    assert purse.lack().endswith("more is free at 2026-11-22 10:00:00Z")
    more = Money(Decimal("0.2"), "USD")
    assert purse.lack(price=more).endswith("this may cost 0.20 USD; that is more than all of it")


def test_what_was_not_charged_frees_the_budget(purse: Purse) -> None:
    """Turned away, refused, failed for nothing, or settled so by a person; not what is unknown."""
    most = "0.0325 USD/day"
    job = purse.begin(most)
    job = purse.ledger.move(job, State.PLANNED)
    purse.ledger.move(job, State.CLOSED)
    purse.ledger.move(purse.begin(most), State.REFUSED)
    purse.ledger.move(purse.buy(most), State.FAILED, charge=Charge.NONE)
    job = purse.ledger.move(purse.begin(most), State.UNKNOWN)
    purse.lack(most)
    purse.ledger.settle([Settlement(job=job, word="not-charged")])
    job = purse.ledger.move(purse.buy(most), State.FAILED, charge=Charge.MAYBE)
    purse.ledger.settle([Settlement(job=job, word="write-off")])
    purse.lack(most)


def test_a_busy_answer_counts_once(purse: Purse) -> None:
    """A job that was turned away and sent again is one purchase."""
    job = purse.ledger.move(purse.begin(), State.PLANNED)
    purse.ledger.begin(job.id, key=KEY, budget=budget("0.1 USD/day"))
    purse.ledger.move(purse.ledger.job(job.id), State.RUNNING, task_id="t")
    purse.buy()
    purse.buy()
    purse.lack()


def test_a_cost_stands_for_the_price(purse: Purse) -> None:
    """A set that was priced for twelve and brought two leaves the rest free."""
    job = purse.begin(price=Money(Decimal("0.1"), "USD"))
    purse.ledger.move(job, State.READY, cost=Money(Decimal("0.02"), "USD"))
    purse.buy()
    purse.buy()
    purse.lack()


def test_who_has_a_request_on_its_way_waits_for_its_cost(purse: Purse) -> None:
    """It may cost less than it might; another process's is not waited for."""
    purse.begin(price=Money(Decimal("0.1"), "USD"))
    assert purse.awaits() == {"00000000"}
    assert purse.awaits(owner="another1") == frozenset()


def test_profiles_of_one_key_share_an_account(purse: Purse) -> None:
    """Also one that has no budget itself; another key, or another origin, is another account."""
    purse.buy(profile="mine")
    purse.buy(profile="ours")
    purse.buy(None, profile="theirs")
    purse.lack(profile="mine")
    purse.lack("0.09 USD/day", profile="ours")
    purse.buy(key=OTHER)
    purse.buy(origin="https://gateway.example.com")


def test_rehearsals_have_budgets_of_their_own(purse: Purse) -> None:
    """They never count as money; among themselves, at one provider, they do."""
    for _ in range(3):
        purse.buy(sandbox=True)
    purse.lack(sandbox=True)
    purse.buy()
    purse.buy(sandbox=True, provider="byteplus")


@pytest.mark.parametrize("price", [None, Money(Decimal(1), "CNY")])
def test_a_price_that_cannot_be_compared_is_within_no_budget(
    purse: Purse, price: Money | None
) -> None:
    """Neither is a purchase whose price nobody knows in that currency, nor one beside it."""
    assert "prices in USD are known: seedream/4.5-text-to-image" in purse.lack(price=price)
    purse.buy(None, price=price)
    assert "job 00000001 of the same account" in (words := purse.lack())
    assert words.endswith("counts until 2026-11-22 10:00:00Z")
    purse.clock.at += timedelta(days=1)
    purse.buy()


def test_what_an_old_version_sent_counts(purse: Purse) -> None:
    """It noted neither key nor origin with its attempts: they may have been this account's."""
    for _ in range(3):
        purse.buy(None)
    with purse.ledger._write() as connection:
        connection.execute("UPDATE attempts SET origin = NULL, key_digest = NULL")
    purse.lack()
    purse.buy(origin="https://gateway.example.com")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("20 USD/day", "20 USD/day"),
        ("0.50usd/month", "0.50 USD/month"),
        (" 300 CNY / month ", "300 CNY/month"),
        ("0 USD/day", "0 USD/day"),
    ],
)
def test_budgets_are_read(text: str, read: str) -> None:
    """An amount, a currency, a span."""
    assert str(parse_budget(text)) == read


@pytest.mark.parametrize(
    "text",
    [
        "20",
        "20 USD",
        "USD/day",
        "20 USD/week",
        "20/day",
        "-1 USD/day",
        "$20/day",
        "1e3 USD/day",
        "",
        "٢ USD/day",
        "inf USD/day",
    ],
)
def test_what_is_no_budget_is_none(text: str) -> None:
    """Nothing is guessed."""
    assert parse_budget(text) is None
