"""`status` as a report: what it filters, asks, adds up and reads aloud; over real sockets."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli
    from support.server import Server

MANY = 25
QUICK = {"SEEDREAM_REREAD_SECONDS": "0.05"}


@pytest.fixture
def polled(cli: Cli, server: Server) -> Server:
    """Return a server that the profiles know."""
    cli.configure(server)
    return server


def ids(ran: object) -> list[str]:
    """Return the jobs of a table."""
    lines = ran.lines  # type: ignore[attr-defined] # it is a Ran
    return [line.split()[0] for line in lines if re.match(r"[0-9a-z]{8} ", line)]


def begun(cli: Cli, count: int, *arguments: str) -> list[str]:
    """Buy pictures without waiting for them, where no rate limit is; return their jobs."""
    ran = cli("generate", "a fox", "-n", str(count), "-p", "seedreams", "--no-wait", *arguments)
    assert ran.code == 0, ran.err
    return ran.lines


# -- what is asked ---------------------------------------------------------------------------------


def test_all_that_run_are_asked_about(cli: Cli, start_server: StartServer) -> None:
    """Twenty-five finished jobs and one call: each is told as ready, and was asked about once."""
    polled = start_server(delay=0.0)
    cli.configure(polled)
    jobs = begun(cli, MANY)
    found = cli("status", "--json", env=QUICK).objects
    assert sorted(str(job["job"]) for job in found) == sorted(jobs)
    assert {(job["state"], job["asked"]) for job in found} == {("ready", True)}
    assert polled.counters()["polls"] == {"seedreams": MANY}


def test_an_origin_that_does_not_answer_is_asked_once_a_thread(
    cli: Cli, start_server: StartServer
) -> None:
    """What was not asked says so, each of them, and why is said in one line."""
    own = start_server(delay=0.05)
    cli.configure(own)
    begun(cli, MANY)
    own.sandbox.close()
    ran = cli("status", "--json", "-v")
    assert ran.code == 0, ran.err
    assert {(job["state"], job["asked"]) for job in ran.objects} == {("running", False)}
    assert ran.err.count("/api") <= 8 * 2
    table = cli("status")
    assert table.lines[1].split()[1:4] == ["running,", "not", "asked"]
    assert "not asked (" in table.err


def test_offline_nobody_is_asked(cli: Cli, polled: Server) -> None:
    """With `--offline` what runs was not asked about, and nothing leaves this machine."""
    begun(cli, 1)
    (found,) = cli("status", "--offline", "--json").objects
    assert (found["state"], found["asked"]) == ("running", False)
    assert "polls" not in polled.counters() or not polled.counters()["polls"]


# -- what is meant ---------------------------------------------------------------------------------


@pytest.fixture
def bought(cli: Cli, polled: Server) -> dict[str, str]:
    """Buy some pictures of several accounts; return their jobs by prompt."""
    del polled
    jobs = {}
    for prompt, provider in (("A Red Fox", "kie"), ("a red hare", "ark"), ("ein Bär", "ark")):
        (found,) = cli("generate", prompt, "-p", provider, "--json").objects
        jobs[prompt] = str(found["job"])
    (found,) = cli("generate", "a rehearsal", "-p", "ark", "--sandbox", "--json").objects
    jobs["a rehearsal"] = str(found["job"])
    return jobs


@pytest.mark.parametrize(
    ("arguments", "prompts"),
    [
        ((), ["a rehearsal", "ein Bär", "a red hare", "A Red Fox"]),
        (("-p", "kie"), ["A Red Fox"]),
        (("-p", "ark", "--grep", "RED"), ["a red hare"]),
        (("--grep", "BÄR"), ["ein Bär"]),
        (("--limit", "2", "--all"), ["a rehearsal", "ein Bär"]),
        (("--since", "1w", "--state", "saved", "--limit", "1"), ["a rehearsal"]),
        (("--unsaved",), []),
    ],
)
def test_filters_come_first(
    cli: Cli, bought: dict[str, str], arguments: tuple[str, ...], prompts: list[str]
) -> None:
    """What matches is listed, newest first, in the table as in JSON."""
    jobs = [bought[prompt] for prompt in prompts]
    assert ids(cli("status", *arguments)) == jobs
    assert [job["job"] for job in cli("status", *arguments, "--json").objects] == jobs


def test_sums_are_of_all_that_match(cli: Cli, bought: dict[str, str]) -> None:
    """A currency a line, also of what is not shown; rehearsals cost nothing."""
    ran = cli("status", "--limit", "1")
    assert ids(ran) == [bought["a rehearsal"]]
    told = cli("status", "--all", "--json").objects
    sums: dict[str, float] = {}
    for cost in (job["cost"] for job in told if not job["sandbox"]):
        assert isinstance(cost, dict)
        sums[cost["currency"]] = sums.get(cost["currency"], 0) + cost["amount"]
    lines = [line for line in ran.lines if line.startswith("cost together: ")]
    assert len(lines) == len(sums) == 2
    for line in lines:
        amount, currency = line.removeprefix("cost together: about ").split()
        assert float(amount) == pytest.approx(sums[currency])
    assert "1 of 4" in ran.lines


def test_the_newest_twenty_are_a_page(cli: Cli, polled: Server) -> None:
    """Without a filter text is cut, and says so; JSON, filters and --all never are."""
    assert polled.submits() == []
    begun(cli, MANY)
    cut = cli("status")
    assert len(ids(cut)) == 20
    assert "20 of 25 (--all)" in cut.lines
    for arguments in (("--all",), ("--grep", "fox"), ("-p", "seedreams")):
        assert len(ids(cli("status", "--offline", *arguments))) == MANY
    assert len(cli("status", "--offline", "--json").objects) == MANY
    assert "3 of 25" in cli("status", "--offline", "--limit", "3").lines


@pytest.mark.parametrize("command", ["status", "download"])
def test_an_unknown_account_is_refused(cli: Cli, polled: Server, command: str) -> None:
    """`-p` with what is no profile, no provider, and never was one, is exit 2."""
    assert polled.submits() == []
    assert cli(command, "-p", "nobody").code == 2
    assert cli(command, "-p", "uniall").code == 0


def test_what_nobody_knows_the_lapse_of_is_expiring(cli: Cli, start_server: StartServer) -> None:
    """A job that still runs may lapse at any time; one whose URLs live for days does not."""
    cli.configure(start_server(delay=30.0))
    (slow,) = begun(cli, 1, "-p", "kie")
    cli.configure(start_server(delay=0.0))
    (ready,) = begun(cli, 1, "-p", "kie")
    assert ids(cli("status", "--expiring", "1h", env=QUICK)) == [slow]
    assert sorted(ids(cli("status", "--expiring", "20d"))) == sorted([slow, ready])


# -- files -----------------------------------------------------------------------------------------


def test_a_picture_names_its_job(cli: Cli, polled: Server) -> None:
    """By its bytes, wherever it lies; by its place, with a word, where the bytes are others."""
    (found,) = cli("generate", "a fox", "-p", "kie", "-o", "cat.png", "--json").objects
    job, picture = str(found["job"]), cli.work / "cat.png"
    (cli.work / "sub").mkdir()
    shutil.copy(picture, cli.work / "sub" / "copy.jpg")
    for name in ("cat.png", "./cat.png", "sub/copy.jpg", str(picture)):
        (told,) = cli("status", name, "--json").objects
        assert (told["job"], told["prompt"]) == (job, "a fox"), name
    picture.write_bytes(b"something else")
    ran = cli("status", "cat.png", "--json")
    assert ran.objects[0]["job"] == job
    assert f"cat.png has changed since job {job} saved it" in ran.err
    (cli.work / "other.png").write_bytes(b"nobody's")
    assert cli("status", "other.png").code == 2
    assert cli("status", "absent.png").code == 2
    assert cli("status", "sub/copy.jpg", "--not-charged").code == 2
    picture.unlink()
    ran = cli("download", "sub/copy.jpg")
    assert (ran.code, ran.lines) == (0, ["cat.png"]), ran.err
    assert len(polled.submits()) == 1


def test_a_job_names_what_it_was_made_from(cli: Cli, polled: Server) -> None:
    """A reference that an earlier job made is told with that job, whatever it is called now."""
    first = str(cli("generate", "a fox", "-p", "ark", "-o", "a", "--json").object["job"])
    (made,) = cli.pictures()
    made.rename(cli.work / "b.png")
    ran = cli("edit", "at night", "-i", "b.png", "-p", "ark", "--json")
    assert ran.code == 0, ran.err
    lines = cli("status", str(ran.object["job"])).lines
    assert [line.split()[1] for line in lines if line.startswith("from ")] == [f"{first}.1"]
    assert len(polled.submits()) == 2


# -- what was said, and how it is settled ----------------------------------------------------------


@pytest.mark.parametrize("provider", ["ark", "kie", "seedreams", "replicate", "openrouter"])
def test_each_stored_answer_can_be_read(cli: Cli, start_server: StartServer, provider: str) -> None:
    """With -v word for word, with its time, without the key; in JSON as `answers`."""
    cli.configure(start_server("html"), key="sk-very-secret-key-0001")
    ran = cli("generate", "x", "-p", provider, "--json")
    job = str(ran.object["job"])
    told = cli("status", job, "-v", "--offline")
    assert any("HTTP 200" in line or "HTTP 5" in line for line in told.lines), told.lines
    (found,) = cli("status", job, "--json", "--offline").objects
    answers = found["answers"]
    assert isinstance(answers, list)
    assert answers[0]["body"].strip()
    assert answers[0]["purpose"] == "submit"
    first = answers[0]["body"].strip().splitlines()[0].strip()
    assert any(first[:20] in line for line in told.lines)
    error = found["error"]
    assert isinstance(error, dict)
    assert first[:20] in str(error["message"])
    assert b"very-secret" not in told.out + told.raw_err + ran.out + ran.raw_err


def paste(cli: Cli, line: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a hint in bash, as a person would."""
    command = f'seedream() {{ {shlex.quote(sys.executable)} -m seedream_cli "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cli.work,
        env=cli.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )


def hints(err: str) -> list[str]:
    """Return the commands of what was said."""
    return [line.strip() for line in err.splitlines() if line.startswith("  seedream ")]


def test_twenty_unknown_jobs_are_settled_by_one_line(cli: Cli, start_server: StartServer) -> None:
    """The run ends with it; pasted, all are closed and none was charged."""
    cli.configure(start_server("drop"))
    jobs = []
    for k in range(10):  # three unknown outcomes may stop a run: two each
        ran = cli("generate", f"x{k}", "-n", "2", "-p", "kie", "--json")
        assert ran.code == 5, ran.err
        mine = [str(job["job"]) for job in ran.objects]
        ways = ("--not-charged", "--write-off")
        assert hints(ran.err) == [f"seedream status {' '.join(mine)} {way}" for way in ways]
        jobs += mine
    done = paste(cli, f"seedream status {' '.join(jobs)} --not-charged")
    assert done.returncode == 0, done.stderr
    told = cli("status", "--json").objects
    assert {(job["state"], job["charge"]) for job in told} == {("closed", "none")}
    assert len(told) == 20


def test_a_line_that_is_to_be_filled_in_does_nothing(cli: Cli, start_server: StartServer) -> None:
    """Pasted as it is, it is exit 2 and leaves no file and no other command behind."""
    cli.configure(start_server("drop"))
    ran = cli("generate", "x", "-p", "kie", "--json")
    (line,) = (line for line in hints(ran.err) if "--adopt" in line)
    done = paste(cli, line)
    assert done.returncode == 2, done.stderr
    assert cli.pictures() == []
    assert cli("status", "--offline", "--json").object["state"] == "unknown"


def test_a_written_off_picture_is_fetched_all_the_same(cli: Cli, polled: Server) -> None:
    """It needs -y while it can be asked about; then `download JOB` saves it, free."""
    (job,) = begun(cli, 1)
    assert cli("status", job, "--write-off").code == 2
    ran = cli("status", job, "--write-off", "-y", "--json")
    assert (ran.object["state"], ran.object["charge"]) == ("closed", "maybe")
    assert cli("download").lines == []
    ran = cli("download", job)
    assert ran.code == 0, ran.err
    assert len(cli.pictures()) == 1
    assert cli("status", job, "--json").object["state"] == "saved"
    assert len(polled.submits()) == 1


def test_what_was_written_off_and_does_not_come_stays_so(
    cli: Cli, start_server: StartServer
) -> None:
    """A vain look for it does not take a person's word back."""
    own = start_server(delay=30.0)
    cli.configure(own)
    (job,) = begun(cli, 1)
    assert cli("status", job, "--write-off", "-y").code == 0
    assert cli("download", job, "--timeout", "0").code == 75
    found = cli("status", job, "--json", "--offline").object
    assert (found["state"], found["charge"]) == ("closed", "maybe")
