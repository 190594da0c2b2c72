"""What a run came to is said in one sentence and ends in one exit code, whatever the command."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from seedream_cli.cli.output.outcome import Outcome, estimate
from seedream_cli.core.model import Charge, Job, Money, State

PRICE = Money(Decimal("0.0325"), "USD")
JOB = Job(
    id="01k3f9zq",
    run="run",
    state=State.SAVED,
    charge=Charge.CHARGED,
    provider="kie",
    profile="kie",
    origin="https://api.kie.ai",
    sandbox=False,
    model="m",
    prompt="p",
    request={},
    recipe={},
    purchase_digest="f",
    output={},
    first_n=1,
    expected=1,
    price=PRICE,
    created_at=datetime(2026, 11, 21, tzinfo=UTC),
)


def outcome(*jobs: Job) -> Outcome:
    """Return what some jobs came to, one picture made."""
    found = Outcome(runs={"run"})
    for job in jobs:
        found.add(job)
    found.counts["made"] = 1
    return found


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ((), "1 made"),
        ((JOB, JOB), "1 made; cost about 0.065 USD"),
        ((replace(JOB, cost=Money(Decimal("0.09"), "USD")),), "1 made; cost 0.09 USD"),
        ((replace(JOB, price=None),), "1 made; cost not known"),
        ((replace(JOB, charge=Charge.NONE), replace(JOB, run="before")), "1 made"),
        (
            (replace(JOB, sandbox=True),),
            "1 made; would cost about 0.0325 USD (sandbox: nothing was charged)",
        ),
        (
            (JOB, replace(JOB, charge=Charge.MAYBE), replace(JOB, charge=Charge.MAYBE)),
            "1 made; cost about 0.0325 USD; 0.065 USD may have been charged",
        ),
    ],
)
def test_one_sentence_says_what_was_made_for_how_much(jobs: tuple[Job, ...], said: str) -> None:
    """What is certain, what may be and what a rehearsal would cost are told apart."""
    assert outcome(*jobs).sentence() == said


def test_what_is_counted_is_told_in_one_order() -> None:
    """What is none is left out, but for what was made and what a command always tells."""
    found = Outcome(runs={"run"})
    found.counts.update({"left": 2, "of unknown outcome": 1})
    assert found.sentence() == "0 made, 1 of unknown outcome, 2 left"
    assert found.sentence("current") == "0 made, 0 current, 1 of unknown outcome, 2 left"


@pytest.mark.parametrize(
    ("codes", "bought", "signal_number", "code"),
    [
        (set(), True, 0, 0),
        ({0, 69}, False, 0, 69),
        ({0, 69}, True, 0, 3),
        ({2}, False, 0, 2),
        ({2}, True, 0, 3),
        ({3, 4, 5, 69, 70, 74, 75}, True, 0, 5),
        ({3, 4, 69, 70, 74, 75}, True, 0, 74),
        ({3, 4, 69, 75}, True, 0, 4),
        ({69, 75}, True, 0, 3),
        ({75}, True, 0, 75),
        ({5}, True, signal.SIGINT, 130),
        ({5}, True, signal.SIGTERM, 143),
        ({0}, False, signal.SIGHUP, 143),
    ],
)
def test_one_rule_chooses_the_exit_code(
    codes: set[int],
    bought: bool,  # noqa: FBT001 - a parameter
    signal_number: int,
    code: int,
) -> None:
    """Signals first, then the gravest; 69 and 2 only where the whole run bought nothing."""
    found = outcome(JOB) if bought else outcome()
    found.codes |= codes
    assert found.exit(signal_number) == code


def test_an_estimate_says_what_it_does_not_know() -> None:
    """A sum a currency, and how many prices nobody knows."""
    yuan = Money(Decimal("0.2"), "CNY")
    assert estimate([]) == ""
    assert estimate([PRICE, PRICE]) == "about 0.065 USD"
    assert estimate([PRICE, yuan]) == "about 0.0325 USD and 0.20 CNY"
    assert estimate([PRICE, None, None]) == "about 0.0325 USD, 2 of unknown price"
    assert estimate([None]) == "price not known"
