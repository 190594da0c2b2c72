"""What `status` tells of jobs, and what it finds out on the way; over real sockets."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.model import Charge, State
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

QUICK = {"SEEDREAM_REREAD_SECONDS": "0.05"}


@pytest.fixture
def polled(cli: Cli, server: Server) -> Server:
    """Return a server that the profiles know."""
    cli.configure(server)
    return server


def begun(cli: Cli, *arguments: str) -> str:
    """Buy a picture without waiting for it; return its job once it is finished over there."""
    ran = cli("generate", *arguments, "-p", "kie", "--no-wait")
    assert ran.code == 0, ran.err
    time.sleep(0.1)
    return ran.lines[0]


def state_of(cli: Cli, job: str, *arguments: str) -> object:
    """Return the state that `status` tells."""
    ran = cli("status", job, "--json", *arguments, env=QUICK)
    assert ran.code == 0, ran.err
    return ran.objects[0]["state"]


@pytest.mark.parametrize("arguments", [(), ("--offline",)])
def test_a_job_that_a_dead_process_was_sending_is_unknown(
    cli: Cli, polled: Server, arguments: tuple[str, ...]
) -> None:
    """Nobody sends it any more: it is told as unknown, not as being sent."""
    saved = str(cli("generate", "a fox", "-p", "kie", "--json").objects[0]["job"])
    path = cli.home / "state" / "ledger.db"
    with closing(Ledger(path, now=lambda: datetime.now(UTC))) as ledger:
        was = ledger.job(saved)
        job = replace(was, id="0dead000", state=State.PLANNED, task_id=None, owner="deaddead")
        ledger.plan([replace(job, charge=Charge.NONE, purchase_digest="another", finished_at=None)])
        ledger.begin(job.id)
    (found,) = cli("status", job.id, "--json", *arguments).objects
    assert (found["state"], found["charge"], found["next"]) == ("unknown", "maybe", "settle")
    assert len(polled.submits()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--not-charged",),
        ("--write-off",),
        ("--adopt", "t1"),
        ("0000aaaa", "--state", "saved"),
        ("0000aaaa", "--expiring", "2h"),
        ("0000aaaa", "--unsaved"),
        ("--state", "nonsense"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Cli, arguments: tuple[str, ...]) -> None:
    """Settling without a job, and a job with a filter, are exit 2."""
    assert cli("status", *arguments).code == 2


def test_a_limit_counts_what_is_shown(cli: Cli, polled: Server) -> None:
    """`--expiring 20d --limit 1` finds the one job that waits behind newer ones."""
    job = begun(cli, "a fox")
    assert state_of(cli, job) == "ready"
    assert cli("generate", "a hare", "-p", "kie").code == 0
    ran = cli("status", "--expiring", "20d", "--limit", "1", "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.objects
    assert found["job"] == job
    images = found["images"]
    assert isinstance(images, list)
    lapse = datetime.fromisoformat(images[0]["url_expires_at"])
    assert lapse - datetime.now(UTC) < timedelta(days=20)
    assert cli("status", "--expiring", "1s", "--json").objects == []
    assert len(polled.submits()) == 2


def test_a_provider_that_is_down_is_a_note(cli: Cli, start_server: StartServer) -> None:
    """What is stored is shown, with a note that nobody was asked: exit 0."""
    own = start_server(delay=0.05)  # others share theirs
    cli.configure(own)
    job = begun(cli, "a fox")
    own.sandbox.close()
    ran = cli("status", job, "--json")
    assert ran.code == 0, ran.err
    assert ran.objects[0]["state"] == "running"
    assert "not asked" in ran.err
    assert "cannot be reached" in ran.err


def test_a_missing_key_is_a_note(cli: Cli, polled: Server) -> None:
    """Without a profile for it a job is still shown."""
    job = begun(cli, "a fox")
    (cli.home / "config.toml").unlink()
    ran = cli("status", job, "--json")
    assert (ran.code, ran.objects[0]["state"]) == (0, "running"), ran.err
    assert "not asked" in ran.err
    assert polled.submits()


def test_each_of_many_jobs_is_asked_about(cli: Cli, polled: Server) -> None:
    """KIE takes 8 polls a second: the second job and the third keep their turn, then are asked."""
    jobs = [begun(cli, f"fox {k}") for k in range(3)]
    found = cli("status", "--json").objects
    assert sorted(str(job["job"]) for job in found) == sorted(jobs)
    assert {job["state"] for job in found} == {"ready"}
    assert polled.counters()["polls"] == {"kie": 3}


def test_a_failed_task_becomes_failed(cli: Cli, start_server: StartServer) -> None:
    """`status` reads it twice, writes it down, and tells it offline from then on."""
    cli.configure(start_server("fail"))
    job = begun(cli, "a fox")
    assert state_of(cli, job) == "failed"
    assert state_of(cli, job, "--offline") == "failed"
    assert cli("status", job, "--offline", "--exit-status").code == 1


def test_what_was_not_charged_may_be_bought_again(cli: Cli, start_server: StartServer) -> None:
    """After `--not-charged` nothing is wrong with the job: error null, next retry, exit 0."""
    server = start_server("drop:1")
    cli.configure(server)
    job = str(cli("generate", "a fox", "-p", "kie", "--json").objects[0]["job"])
    for arguments in (("--not-charged",), ()):
        ran = cli("status", job, *arguments, "--json", "--exit-status")
        (found,) = ran.objects
        told = (found["state"], found["charge"], found["error"], found["next"], found["cost"])
        assert told == ("closed", "none", None, "retry", None)
        assert ran.code == 0, ran.err
    assert cli("generate", "a fox", "-p", "kie").code == 0
    assert len(server.submits()) == 2


def test_a_picture_on_stdout_lies_nowhere(cli: Cli, polled: Server) -> None:
    """After `-o -` the ledger names no path, and `download` has nothing to do."""
    ran = cli("generate", "a fox", "-p", "kie", "-o", "-")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(b"\x89PNG")
    (found,) = cli("status", "--offline", "--json").objects
    images = found["images"]
    assert isinstance(images, list)
    assert (found["state"], images[0]["path"]) == ("saved", None)
    held = cli.home / "state" / "held"
    assert not held.exists() or list(held.iterdir()) == []
    assert cli("download", str(found["job"])).code == 0
    assert cli.pictures() == []
    assert len(polled.submits()) == 1


def test_a_cost_is_told_as_far_as_it_is_known(cli: Cli, start_server: StartServer) -> None:
    """What nobody charged has no cost, and what may have been charged has one perhaps."""
    cli.configure(start_server("drop:2"))
    free, doubtful = (
        str(cli("generate", prompt, "-p", "ark", "--json").objects[0]["job"])
        for prompt in ("a fox", "a hare")
    )
    for arguments in (("--not-charged",), ()):
        lines = cli("status", free, *arguments).lines
        assert lines[1] == "state    closed, charge none"
        assert not [line for line in lines if line.startswith("cost")]
    for state, arguments in (("unknown", ()), ("closed", ("--write-off",)), ("closed", ())):
        lines = cli("status", doubtful, *arguments).lines
        assert lines[1] == f"state    {state}, charge maybe"
        (cost,) = (line for line in lines if line.startswith("cost"))
        assert re.fullmatch(r"cost     perhaps [0-9.]+ CNY", cost)
    assert cli("generate", "a bear", "-p", "ark").code == 0
    assert any(line.startswith("cost     about ") for line in cli("status", "last").lines)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("status", "last", "--adopt"), "seedream status --help"),
        (("status", "--json=yes"), "seedream status --help"),
        (("generate", "a fox", "-p"), "seedream generate --help"),
        (("providers", "--help=yes"), "seedream providers --help"),
        (("providers", "show", "kie", "--json=1"), "seedream providers show --help"),
        (("--version=3",), "seedream --help"),
    ],
)
def test_a_wrong_option_is_told_with_its_command(
    cli: Cli, arguments: tuple[str, ...], hint: str
) -> None:
    """An option without its value, or with one too many, leads to the help that has it."""
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.err.splitlines()[1:] == [f"  {hint}"]


@pytest.mark.parametrize("state", ["unknown", "running"])
def test_a_provider_of_a_later_version_stops_nothing(cli: Cli, polled: Server, state: str) -> None:
    """A job whose provider this version lacks is shown, and no command ends as a bug for it."""
    assert cli("generate", "a fox", "-p", "kie", "--no-wait").code == 0
    with closing(sqlite3.connect(cli.state / "ledger.db", isolation_level=None)) as ledger:
        steps = "SELECT sql FROM sqlite_master WHERE name = 'only_known_steps'"
        ((trigger,),) = ledger.execute(steps).fetchall()
        ledger.execute("DROP TRIGGER only_known_steps")
        ledger.execute("UPDATE jobs SET provider = 'nova', profile = 'nova', state = ?", (state,))
        ledger.execute(trigger)
    (cli.work / "a.toml").write_text('[images.a]\nprompt = "x"\n')
    shown = cli("status")
    assert (shown.code, "nova" in cli("status", "--json").out.decode()) == (0, True), shown.err
    assert cli("download").code in {0, 4, 5}
    assert cli("generate", "--batch", "a.toml", "--plan", "-p", "kie").code == 0
    assert len(polled.submits()) == 1
