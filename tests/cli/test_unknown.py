"""Outcomes that nobody knows: never sent again, shown, held back, and settled by a person."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

PROVIDERS = (
    *("ark", "byteplus", "kie", "kie-seedream", "uniall", "seedreams"),
    *("fal", "replicate", "openrouter", "wavespeed"),
)


@pytest.fixture
def dropping(cli: Cli, start_server: StartServer) -> Server:
    """Return a server that charges the first submit, then hangs up without an answer."""
    server = start_server("drop:1")
    cli.configure(server)
    return server


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["drop", "500", "html"])
def test_an_unreadable_end_is_unknown_and_sent_once(
    cli: Cli, start_server: StartServer, provider: str, fault: str
) -> None:
    """Whatever answer a charged submit gets that nobody can read: one request, exit 5."""
    server = start_server(fault)
    cli.configure(server)
    ran = cli("generate", "x", "-p", provider, "--json")
    assert ran.code == 5, ran.err
    (found,) = ran.objects
    assert (found["state"], found["charge"], found["next"]) == ("unknown", "maybe", "settle")
    assert len(server.submits()) == 1
    assert f"status {found['job']} --adopt" in ran.err


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_same_purchase_is_held_back(cli: Cli, start_server: StartServer, provider: str) -> None:
    """While an outcome is unknown the same purchase is refused; another prompt is not."""
    server = start_server("drop:1")
    cli.configure(server)
    (job,) = (found["job"] for found in cli("generate", "x", "-p", provider, "--json").objects)
    again = cli("generate", "x", "-p", provider, "--json")
    assert again.code == 5
    assert again.objects[0]["job"] is None
    assert str(job) in again.err
    assert len(server.submits()) == 1
    assert cli("generate", "y", "-p", provider).code == 0
    assert len(server.submits()) == 2


def test_despite_buys_all_the_same(cli: Cli, dropping: Server) -> None:
    """`--despite JOB` buys although that job may have been the same purchase."""
    (found,) = cli("generate", "it's x", "-p", "kie", "--json").objects
    held = cli("generate", "it's x", "-p", "kie", "-n", "1")
    words = shlex.split(held.err.splitlines()[-1])
    assert words == [
        "seedream",
        "generate",
        "it's x",
        "-p",
        "kie",
        "-n",
        "1",
        "--despite",
        found["job"],
    ]
    ran = cli(*words[1:])
    assert ran.code == 0, ran.err
    assert len(dropping.submits()) == 2


@pytest.mark.parametrize(
    ("way", "charge"), [(["--not-charged"], "none"), (["--write-off"], "maybe")]
)
def test_a_settled_job_holds_nothing_back(
    cli: Cli, dropping: Server, way: list[str], charge: str
) -> None:
    """After settling the job is closed and the same prompt may be bought again."""
    (found,) = cli("generate", "x", "-p", "ark", "--json").objects
    job = str(found["job"])
    settled = cli("status", job, *way, "--json")
    assert settled.code == 0, settled.err
    assert (settled.objects[0]["state"], settled.objects[0]["charge"]) == ("closed", charge)
    assert cli("generate", "x", "-p", "ark").code == 0
    assert len(dropping.submits()) == 2


def test_an_adopted_task_is_downloaded(cli: Cli, dropping: Server) -> None:
    """The task that was made after all is adopted by its id, and saved without a second POST."""
    (found,) = cli("generate", "x", "-p", "kie", "--json").objects
    charges = dropping.counters()["charges"]
    assert isinstance(charges, list)
    (task,) = (str(charge["task"]) for charge in charges)
    settled = cli("status", str(found["job"]), "--adopt", task, "--json")
    assert settled.objects[0]["state"] == "running"
    ran = cli("download", str(found["job"]))
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == 1
    assert len(dropping.submits()) == 1


def test_download_of_an_unknown_job_does_nothing(cli: Cli, dropping: Server) -> None:
    """There is nothing to fetch for an unknown job: exit 5, nothing asked."""
    (found,) = cli("generate", "x", "-p", "kie", "--json").objects
    before = len(dropping.log())
    ran = cli("download", str(found["job"]))
    assert ran.code == 5
    assert len(dropping.log()) == before


def test_settling_takes_one_way_and_an_unknown_job(cli: Cli, dropping: Server) -> None:
    """Two ways at once, or a job that is not unknown, is exit 2 and changes nothing."""
    (found,) = cli("generate", "x", "-p", "kie", "--json").objects
    job = str(found["job"])
    assert cli("status", job, "--not-charged", "--write-off").code == 2
    assert cli("status", job, "--adopt", "http://example.com/a.png").code == 2
    assert cli("status", job, "--offline", "--json").objects[0]["state"] == "unknown"
    saved = cli("generate", "y", "-p", "kie", "--json").objects[0]
    assert cli("status", str(saved["job"]), "--write-off").code == 2
    assert dropping.submits()
