"""A lost answer is looked for in the provider's own list: what is printed, and what is paid."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.server import DELAY

from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

LISTING = [name for name, provider in PROVIDERS.items() if provider.listing is not None]
QUICK = {"SEEDREAM_LOOK_SECONDS": "0.2"}


@pytest.fixture
def losing(cli: Cli, start_server: StartServer) -> Server:
    """Return a server that charges the first submit, and does not list it yet."""
    server = start_server("lost:1", delay=DELAY)
    cli.configure(server)
    return server


def ledger(cli: Cli, statement: str) -> None:
    """Write into the ledger what no command would."""
    with closing(sqlite3.connect(cli.state / "ledger.db")) as database, database:
        database.execute(statement)


def age(cli: Cli, minutes: int) -> None:
    """Let the attempts have been made so much earlier."""
    then = datetime.now(UTC) - timedelta(minutes=minutes)
    begin, end = (f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for at in (then, then + timedelta(seconds=1)))
    ledger(cli, f"UPDATE attempts SET started_at = '{begin}', ended_at = '{end}'")  # noqa: S608 - ours
    ledger(cli, f"UPDATE jobs SET sent_at = '{begin}'")  # noqa: S608 - ours


@pytest.mark.parametrize("provider", LISTING)
def test_the_losing_command_finds_its_picture(
    cli: Cli, start_server: StartServer, provider: str
) -> None:
    """It says so, exits 0 with the picture, and its object says that it was found."""
    losing = start_server("lost:1", list_delay=0.5)
    cli.configure(losing)
    ran = cli("generate", "x", "-p", provider, "--json", env=QUICK)
    assert ran.code == 0, ran.err
    title = PROVIDERS[provider].title
    assert f"the answer was lost; {title}'s list of requests is asked then" in ran.err
    assert f"the answer was lost; {title}'s list has the request: going on" in ran.err
    assert (ran.object["state"], ran.object["found"]) == ("saved", True)
    assert (len(losing.charges()), len(cli.pictures())) == (1, 1)
    shown = cli("status", str(ran.object["job"]), "-v")
    assert "named by the provider's list of requests" in shown.out.decode()
    assert f"look     at {provider}'s list" in shown.out.decode()
    told = cli("status", str(ran.object["job"]), "--json").object
    assert [look["verdict"] for look in told["looks"]][-1] == "found"  # type: ignore[attr-defined] # a list


@pytest.mark.parametrize("provider", LISTING)
def test_a_later_look_finds_it(cli: Cli, losing: Server, provider: str) -> None:
    """`status` makes it run, `download` saves it; neither buys anything."""
    lost = cli("generate", "x", "-p", provider, "--json")
    assert (lost.code, lost.object["state"]) == (5, "unknown")
    assert "found" not in lost.object
    assert f"{PROVIDERS[provider].title}'s list, asked at" in lost.err
    losing.list_all()
    ran = cli("status", "--json")
    assert ran.object["state"] in {"running", "ready"}
    assert ran.object["found"] is True
    ran = cli("download", "--json")
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == len(losing.charges()) == 1


def test_download_without_a_name_asks_too(cli: Cli, losing: Server) -> None:
    """What is still unknown is exit 5, and its line says how it is settled."""
    (lost,) = cli("generate", "x", "-p", "wavespeed", "--json").objects
    ran = cli("download")
    assert ran.code == 5
    assert f"seedream status {lost['job']} --not-charged" in ran.err
    losing.list_all()
    ran = cli("download")
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == 1


def test_offline_asks_nobody(cli: Cli, losing: Server) -> None:
    """`--offline` shows what is known."""
    cli("generate", "x", "-p", "wavespeed")
    losing.list_all()
    assert cli("status", "--offline", "--json").object["state"] == "unknown"
    assert cli("status", "--json").object["found"] is True


def test_a_purchase_is_held_back_only_after_a_look(cli: Cli, losing: Server) -> None:
    """While the list lacks the first one nothing is sent; once it has it, that is taken on."""
    place = ("-o", "fox")
    cli("generate", "x", "-p", "wavespeed", *place)
    held = cli("generate", "x", "-p", "wavespeed", *place)
    assert (held.code, len(losing.submits())) == (5, 1)
    losing.list_all()
    ran = cli("generate", "x", "-p", "wavespeed", *place, "--json")
    assert ran.code == 0, ran.err
    assert ran.object["found"] is True
    assert (len(losing.charges()), len(cli.pictures())) == (1, 1)


def test_without_waiting_the_job_is_named(cli: Cli, losing: Server) -> None:
    """`--no-wait` prints the id of a job that was found, and leaves it to run."""
    losing.list_all()
    ran = cli("generate", "x", "-p", "wavespeed", "--no-wait", env=QUICK)
    assert ran.code == 0, ran.err
    assert cli("download", *ran.lines).code == 0
    assert len(losing.charges()) == 1


# -- absence ---------------------------------------------------------------------------------------


def never_read(cli: Cli, server: Server) -> str:
    """Leave a job of which the server knows nothing; return its id."""
    (lost,) = cli("generate", "x", "-p", "wavespeed", "-o", "fox", "--json").objects
    assert lost["state"] == "unknown"
    server.reset()
    server.list_all()
    return str(lost["job"])


def test_what_was_never_accepted_is_closed_a_quarter_of_an_hour_later(
    cli: Cli, losing: Server
) -> None:
    """`status` closes it, with nothing charged; the next command buys it, once."""
    job = never_read(cli, losing)
    assert cli("status", "--json").object["state"] == "unknown"
    age(cli, 20)
    ran = cli("status", "--json").object
    assert (ran["state"], ran["charge"], ran["job"]) == ("closed", "none", job)
    ran = cli("generate", "x", "-p", "wavespeed", "-o", "fox", "--json").object
    assert ran["state"] == "saved"
    assert len(losing.charges()) == 1


def test_the_command_that_finds_that_out_does_not_buy(cli: Cli, losing: Server) -> None:
    """It says that the same again does."""
    never_read(cli, losing)
    age(cli, 20)
    held = cli("generate", "x", "-p", "wavespeed", "-o", "fox")
    assert held.code == 5
    assert "was never accepted" in held.err
    assert "seedream generate x -o fox -p wavespeed" in held.err
    assert losing.charges() == []
    assert cli("generate", "x", "-p", "wavespeed", "-o", "fox").code == 0
    assert len(losing.charges()) == 1


# -- batches ---------------------------------------------------------------------------------------


def manifest(cli: Cli) -> str:
    """Write a manifest of two pictures."""
    cli.work.mkdir(parents=True, exist_ok=True)
    file = cli.work / "art.jsonl"
    file.write_text('{"name":"fox","prompt":"a fox"}\n{"name":"owl","prompt":"an owl"}\n')
    return str(file)


def test_a_batch_finds_what_an_earlier_run_lost(cli: Cli, losing: Server) -> None:
    """Its plan says that it is paid for, its run fetches it, and buys only the other one."""
    file = manifest(cli)
    lost = cli("generate", "--batch", file, "-p", "wavespeed", "-y", "--jobs", "1")
    assert lost.code == 5, lost.err
    assert "unknown" in cli("generate", "--batch", file, "-p", "wavespeed", "--plan").out.decode()
    losing.list_all()
    plan = cli("generate", "--batch", file, "-p", "wavespeed", "--plan")
    assert "it is paid for" in plan.out.decode(), plan.err
    ran = cli("generate", "--batch", file, "-p", "wavespeed", "-y")
    assert ran.code == 0, ran.err
    assert len(losing.charges()) == 2
    assert {path.stem for path in cli.pictures()} >= {"fox", "owl"}


def test_a_batch_buys_what_was_never_accepted_in_its_next_run(cli: Cli, losing: Server) -> None:
    """The run that finds that out leaves the row as unknown."""
    file = manifest(cli)
    cli("generate", "--batch", file, "-p", "wavespeed", "-y", "--max-images", "1")
    losing.reset()
    losing.list_all()
    age(cli, 20)
    ran = cli("generate", "--batch", file, "-p", "wavespeed", "-y", "--max-images", "0")
    assert losing.charges() == []
    assert cli("status", "--offline", "--state", "closed", "--json").object["charge"] == "none"
    ran = cli("generate", "--batch", file, "-p", "wavespeed", "-y")
    assert ran.code == 0, ran.err
    assert len(losing.charges()) == 2
