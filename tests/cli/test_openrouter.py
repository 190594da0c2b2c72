"""OpenRouter from the command line: exact charges, errors under HTTP 200, pictures inline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

PRO = "bytedance-seed/seedream-5-0-pro"


def test_the_charge_is_what_the_answer_says(cli: Cli, server: Server) -> None:
    """`cost` is not estimated, and people read it without "about"; the price before is."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", "openrouter", "-m", PRO, "-s", "1K", "--json")
    assert ran.code == 0, ran.err
    assert ran.object["price"] == {"amount": 0.045, "currency": "USD", "estimated": True}
    assert ran.object["cost"] == {"amount": 0.045, "currency": "USD", "estimated": False}
    assert str(ran.object["request_id"]).startswith("gen-")
    told = cli("generate", "x", "-p", "openrouter", "-m", PRO)
    assert "1 made; cost 0.09 USD" in told.err


def test_other_charges_are_reckoned(cli: Cli, server: Server) -> None:
    """Of a provider that does not name its charge nobody says that it is exact."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", "replicate", "--json")
    assert ran.object["cost"] == {"amount": 0.04, "currency": "USD"}


def test_a_failure_under_200_costs_nothing(cli: Cli, start_server: StartServer) -> None:
    """An error in the body of a 200 has failed: exit 3, not charged, no picture."""
    server = start_server("fail")
    cli.configure(server)
    ran = cli("generate", "x", "-p", "openrouter", "--json")
    assert (ran.code, ran.object["state"], ran.object["charge"]) == (3, "failed", "none")
    assert ran.object["cost"] is None
    assert (len(server.submits()), cli.pictures()) == (1, [])


def test_busy_is_sent_again_and_paid_once(cli: Cli, start_server: StartServer) -> None:
    """A 429 in its envelope has begun nothing."""
    server = start_server("429:1")
    cli.configure(server)
    assert cli("generate", "x", "-p", "openrouter").code == 0
    assert (len(server.submits()), len(server.charges())) == (2, 1)


@pytest.mark.parametrize("fault", ["lost", "cut", "500", "html"])
def test_a_lost_answer_is_never_sent_again(cli: Cli, start_server: StartServer, fault: str) -> None:
    """The whole generation is at risk: unknown, one request, maybe charged."""
    server = start_server(fault)
    cli.configure(server)
    ran = cli("generate", "x", "-p", "openrouter", "--json")
    assert (ran.code, ran.object["state"], ran.object["charge"]) == (5, "unknown", "maybe")
    assert cli("generate", "x", "-p", "openrouter").code == 5
    assert len(server.submits()) == 1


def test_more_than_one_picture_a_request_is_exit_2(cli: Cli, server: Server) -> None:
    """`n` is 1 only: more by `--set` is turned down before anything is sent."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", "openrouter", "--set", "n=2")
    assert ran.code == 2, ran.err
    assert server.submits() == []


def test_its_own_validation_is_a_refusal(cli: Cli, server: Server) -> None:
    """What only OpenRouter finds wrong is exit 3, not charged, in its words."""
    cli.configure(server)
    ran = cli("generate", "x", "-p", "openrouter", "--set", "aspect_ratio=7:5", "--json")
    error = ran.object["error"]
    assert isinstance(error, dict)
    assert (ran.code, error["code"], ran.object["charge"]) == (3, "invalid_request", "none")
    assert "aspect_ratio: 7:5" in str(error["message"])


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        ("sk-test", 0, "100.00 USD left of the key's limit"),
        ("sk-no-credit", 0, "0.00 USD left"),
        ("sk-wrong", 4, "No auth credentials found"),
    ],
)
def test_the_key_is_checked_for_free(
    cli: Cli, server: Server, key: str, code: int, words: str
) -> None:
    """`providers check` says what is left of the key's limit."""
    cli.configure(server, key)
    ran = cli("providers", "check", "openrouter")
    assert ran.code == code
    assert words in ran.err + ran.out.decode()
    assert server.submits() == []
