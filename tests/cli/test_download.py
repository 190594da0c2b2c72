"""What was bought is fetched, joined or adopted, and never bought again; over real sockets."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.server import serving

from seedream_cli.cli.commands.download import reopen
from seedream_cli.core.model import Charge, Image, Purpose, State
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import StartServer
    from support.command import Cli, Ran
    from support.server import Server

    from seedream_cli.core.model import Job

QUICK = {"SEEDREAM_REREAD_SECONDS": "0.05"}
"""Bad news is read twice without a pause."""


@pytest.fixture
def polled(cli: Cli, server: Server) -> Server:
    """Return a server that the profiles know."""
    cli.configure(server)
    return server


def ledger_in(folder: Path) -> Ledger:
    """Open a ledger as a command would."""
    return Ledger(folder / "ledger.db", now=lambda: datetime.now(UTC))


def elsewhere(cli: Cli) -> Ran:
    """Buy a picture whose job another machine knows, and do not wait for it."""
    env = {"SEEDREAM_STATE_DIR": str(cli.home / "elsewhere")}
    ran = cli("generate", "a fox", "-p", "kie", "--no-wait", "--json", env=env)
    assert ran.code == 0, ran.err
    return ran


def leave(cli: Cli) -> str:
    """Leave a job as a process does that is killed behind the storing of its answer."""
    job_id = str(elsewhere(cli).objects[0]["job"])
    with (
        closing(ledger_in(cli.home / "elsewhere")) as theirs,
        closing(ledger_in(cli.home / "state")) as ours,
    ):
        was = theirs.job(job_id)
        charge = Charge.NONE
        job = replace(was, state=State.PLANNED, charge=charge, task_id=None, owner="deaddead")
        ours.plan([job])
        ours.begin(job_id)
        for answer in theirs.answers(job_id, Purpose.SUBMIT):
            ours.store(job_id, answer)
    return job_id


def charges(server: Server) -> int:
    """Count what the provider would have charged."""
    found = server.counters()["charges"]
    assert isinstance(found, list)
    return len(found)


def bought(cli: Cli, *arguments: str) -> dict[str, object]:
    """Buy one picture and return its object."""
    ran = cli("generate", "a fox", *arguments, "--json", env=QUICK)
    (found,) = ran.objects
    return found


def path_of(found: dict[str, object]) -> Path:
    """Return where the one picture of a job lies."""
    images = found["images"]
    assert isinstance(images, list)
    return Path(images[0]["path"])


def test_one_download_saves_what_a_killed_process_bought(cli: Cli, polled: Server) -> None:
    """Its answer was stored and never read: one `download` reads it, waits and saves."""
    job = leave(cli)
    ran = cli("download", "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.objects
    assert (found["job"], found["state"], found["charge"]) == (job, "saved", "charged")
    assert path_of(found).is_file()
    assert (len(polled.submits()), charges(polled)) == (1, 1)


def test_nothing_to_download_is_fine(cli: Cli, polled: Server) -> None:
    """An empty ledger, and one where all is saved: exit 0, nothing printed."""
    for _ in range(2):
        ran = cli("download")
        assert (ran.code, ran.out) == (0, b""), ran.err
        assert "nothing to download" in ran.err
        cli("generate", "a fox", "-p", "kie")
    assert len(polled.submits()) == 2


def test_a_download_of_an_unknown_job_says_five(cli: Cli, start_server: StartServer) -> None:
    """Nobody knows what became of it: exit 5; without its name there is nothing to do."""
    cli.configure(start_server("drop:1"))
    job = str(bought(cli, "-p", "ark")["job"])
    assert cli("download", job).code == 5
    assert cli("download").code == 0


def test_a_saved_job_goes_to_a_new_place(cli: Cli, polled: Server) -> None:
    """`-o new.png` fetches it once more to there; what lay elsewhere stays."""
    found = bought(cli, "-p", "kie")
    ran = cli("download", str(found["job"]), "-o", "new.png")
    assert ran.code == 0, ran.err
    assert ran.lines == ["new.png"]
    new = cli.work / "new.png"
    assert new.read_bytes() == path_of(found).read_bytes()
    assert len(polled.submits()) == 1


def test_a_moved_picture_whose_url_has_lapsed_is_copied(cli: Cli, polled: Server) -> None:
    """It lies on this disk: its host is not asked, the job stays saved, and its file too."""
    found = bought(cli, "-p", "ark")
    polled.change_weather("expire")
    before = len(polled.log())
    ran = cli("download", str(found["job"]), "-o", "new.png", "--json", env=QUICK)
    assert (ran.code, ran.object["state"]) == (0, "saved"), ran.err
    assert (cli.work / "new.png").read_bytes() == path_of(found).read_bytes()
    assert (path_of(ran.object), len(polled.log())) == (cli.work / "new.png", before)


@pytest.mark.usefixtures("polled")
def test_a_moved_picture_that_was_changed_is_fetched(cli: Cli) -> None:
    """What lies there is no longer what was bought."""
    found = bought(cli, "-p", "ark")
    content = path_of(found).read_bytes()
    path_of(found).write_text("mine")
    assert cli("download", str(found["job"]), "-o", "new.png").code == 0
    assert (cli.work / "new.png").read_bytes() == content
    assert path_of(found).read_text() == "mine"


def test_a_written_off_job_is_fetched_to_another_place(cli: Cli, start_server: StartServer) -> None:
    """`-o` takes what a bare `download` of it would."""
    server = start_server("truncate")
    cli.configure(server)
    job = str(bought(cli, "-p", "ark", "--timeout", "0.1")["job"])
    assert cli("status", job, "--write-off", "-y").code == 0
    server.change_weather()
    ran = cli("download", job, "-o", "new.png")
    assert (ran.code, ran.lines, charges(server)) == (0, ["new.png"], 1), ran.err


def test_a_failed_job_is_asked_about_with_another_place_too(
    cli: Cli, start_server: StartServer
) -> None:
    """`-o` names where its picture is to go, should it come after all."""
    server = start_server("fail:1")
    cli.configure(server)
    job = str(bought(cli, "-p", "kie")["job"])
    before = len(server.log())
    assert cli("download", job, "-o", "new.png", env=QUICK).code == 3
    assert len(server.log()) > before


@pytest.mark.parametrize("state", [State.CLOSED, State.EXPIRED])
def test_two_commands_reopen_the_same_job(
    tmp_path: Path, make_job: Callable[..., Job], state: State
) -> None:
    """Both read it before either wrote: the slower one goes on with what the other made of it."""
    with closing(ledger_in(tmp_path)) as ledger:
        job = make_job(state=state, charge=Charge.MAYBE)
        ledger.plan([job])
        ledger.put_image(Image(job=job.id, index=1, n=1, url="https://images.example/1.png"))
        job = ledger.job(job.id)
        states = [reopen(ledger, job).state for _ in range(2)]
        assert states == [State.READY, State.READY]


@pytest.mark.parametrize("place", [(), ("-o", "new/")])
def test_a_written_off_set_that_was_cut_stays_so(
    cli: Cli, start_server: StartServer, place: tuple[str, ...]
) -> None:
    """Its known pictures come, also after one was deleted; nobody knows what the others are."""
    server = start_server("cut:1", "truncate")
    cli.configure(server)
    found = bought(cli, "-p", "ark", "--series", "4", "--timeout", "0.1")
    job = str(found["job"])
    assert found["state"] == "unknown"
    assert cli("status", job, "--write-off").code == 0
    ran = cli("download", job, "--timeout", "0.1")
    assert (ran.code, f"job {job} is written off: the picture cannot" in ran.err) == (75, True)
    server.change_weather()
    for _ in range(2):
        ran = cli("download", job, *place, "--json")
        images = ran.object["images"]
        assert isinstance(images, list)
        assert (ran.code, ran.object["state"], ran.object["charge"]) == (0, "closed", "maybe")
        paths = [Path(image["path"]) for image in images]
        assert (0 < len(paths) < 4, all(path.exists() for path in paths)) == (True, True)
        paths[0].unlink()
        place = ()
    assert charges(server) == 1


def test_a_new_place_that_is_taken_is_refused(cli: Cli, polled: Server) -> None:
    """A file that is there is not replaced: exit 2, and the job keeps its own picture."""
    found = bought(cli, "-p", "kie")
    taken = cli.work / "new.png"
    taken.write_text("mine")
    assert cli("download", str(found["job"]), "-o", "new.png").code == 2
    assert taken.read_text() == "mine"
    assert cli("status", str(found["job"]), "--offline", "--json").objects[0]["state"] == "saved"
    assert len(polled.submits()) == 1


def test_a_deleted_file_is_fetched_again(cli: Cli, polled: Server) -> None:
    """While its URL lives a named job comes back; one that is there is left alone."""
    found = bought(cli, "-p", "ark")
    path = path_of(found)
    content = path.read_bytes()
    path.unlink()
    ran = cli("download", str(found["job"]))
    assert ran.code == 0, ran.err
    assert path.read_bytes() == content
    before = len(polled.log())
    assert cli("download", str(found["job"])).code == 0
    assert len(polled.log()) == before


def test_a_deleted_file_that_does_not_come_is_said_and_fetched_later(
    cli: Cli, polled: Server
) -> None:
    """Its host is in trouble: exit 75, told and in the object; no name brings it afterwards."""
    found = bought(cli, "-p", "ark")
    path = path_of(found)
    path.unlink()
    polled.change_weather("truncate")
    ran = cli("download", str(found["job"]), "--timeout", "0.1", "--json")
    again = f"seedream download {found['job']}"
    assert (ran.code, ran.object["state"], ran.object["next"]) == (75, "saved", "download")
    assert again in str(ran.object["error"])
    assert again in ran.err
    polled.change_weather()
    assert (cli("download").code, path.exists(), charges(polled)) == (0, True, 1)


def test_an_expired_job_is_tried_again_by_name(cli: Cli, start_server: StartServer) -> None:
    """By its host's clock its URL had lapsed; asked for by name it is fetched, and is there."""
    server = start_server("expire:1")
    cli.configure(server)
    found = bought(cli, "-p", "ark")
    assert found["state"] == "expired"
    ran = cli("download", str(found["job"]), "--json", env=QUICK)
    assert ran.code == 0, ran.err
    assert (ran.objects[0]["state"], ran.objects[0]["error"]) == ("saved", None)
    assert charges(server) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("0000aaaa.2",),
        ("0000aaaa", "--task-id", "t1", "-p", "kie"),
        ("0000aaaa", "--expiring", "2h"),
        ("--task-id", "t1", "--expiring", "2h"),
        ("--task-id", "t1", "-p", "ark"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Cli, arguments: tuple[str, ...]) -> None:
    """One picture of a job, two ways to choose, a task where there are none: exit 2."""
    ran = cli("download", *arguments, env={"ARK_API_KEY": "sk-test", "KIE_API_KEY": "sk-test"})
    assert ran.code == 2, ran.err


def test_a_picture_of_a_job_that_is_there_is_refused_too(cli: Cli, polled: Server) -> None:
    """`JOB.1` of a saved job is exit 2 and names the job."""
    job = str(bought(cli, "-p", "kie")["job"])
    ran = cli("download", f"{job}.1")
    assert ran.code == 2
    assert f"seedream download {job}" in ran.err
    assert len(polled.submits()) == 1


def test_a_task_made_elsewhere_is_adopted(cli: Cli, polled: Server) -> None:
    """A task id is enough to save its picture here, once, however often it is said."""
    task = str(elsewhere(cli).objects[0]["task_id"])
    ran = cli("download", "--task-id", task, "-p", "kie", "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.objects
    assert (found["state"], found["task_id"]) == ("saved", task)
    assert path_of(found).is_file()
    again = cli("download", "--task-id", task, "-p", "kie", "--json")
    assert again.objects[0]["job"] == found["job"]
    assert len(cli.pictures()) == 1
    assert len(polled.submits()) == 1


def test_the_same_task_id_at_two_providers_is_two_jobs(cli: Cli) -> None:
    """Each provider counts for itself; also where their pictures would get the same name."""
    jobs = []
    for provider in ("kie", "seedreams"):
        with serving() as server:
            cli.configure(server, output="cat.png")
            ran = cli("download", "--task-id", "7", "-p", provider, "--no-wait", "--json")
            assert ran.code in {0, 75}, ran.err
            jobs.append((ran.object["job"], ran.object["provider"]))
    assert [provider for _, provider in jobs] == ["kie", "seedreams"]
    with closing(ledger_in(cli.home / "state")) as ledger:
        assert [ledger.job(str(job)).task_id for job, _ in jobs] == ["7", "7"]


# -- two commands for one purchase -----------------------------------------------------------------


@pytest.fixture
def slow(cli: Cli, start_server: StartServer) -> Server:
    """Return a server that takes its time."""
    server = start_server(delay=4)
    cli.configure(server)
    return server


def wait_until_running(cli: Cli) -> None:
    """Wait until a command that was just started has its task."""
    path = cli.home / "state" / "ledger.db"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists():
            with closing(ledger_in(path.parent)) as ledger:
                if ledger.jobs(states={State.RUNNING}):
                    return
        time.sleep(0.05)
    pytest.fail("it never ran")


def test_two_commands_at_once_buy_one_picture(cli: Cli, slow: Server) -> None:
    """The second joins the first: both end well, one charge, one file."""
    first = cli.start("generate", "a fox", "-p", "kie", "-o", "x.png")
    wait_until_running(cli)
    second = cli("generate", "a fox", "-p", "kie", "-o", "x.png", process=True)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, second.code) == (0, 0), (err, second.err)
    assert (out, second.out) == (b"x.png\n", b"x.png\n")
    assert "nothing is bought" in second.err
    assert [path.name for path in cli.pictures()] == ["x.png"]
    assert (len(slow.submits()), charges(slow)) == (1, 1)


def test_joining_without_waiting_does_not_wait(cli: Cli, slow: Server) -> None:
    """`--no-wait` of a job that runs already prints its id and leaves it running."""
    arguments = ("generate", "a fox", "-p", "kie", "-o", "x.png", "--no-wait")
    first = cli(*arguments)
    second = cli(*arguments)
    assert (first.code, second.code) == (0, 0), second.err
    assert first.lines == second.lines
    assert len(first.lines) == 1
    assert cli.pictures() == []
    (found,) = cli("status", first.lines[0], "--offline", "--json").objects
    assert found["state"] == "running"
    assert len(slow.submits()) == 1


# -- what a profile asks for -----------------------------------------------------------------------


def prefer(cli: Cli, profile: str, line: str) -> None:
    """Put a default into a profile."""
    config = cli.home / "config.toml"
    head = f"[profiles.{profile}]\n"
    config.write_text(config.read_text().replace(head, f"{head}{line}\n"))


def test_a_profile_that_does_not_wait_is_no_error_on_ark(cli: Cli, polled: Server) -> None:
    """What a provider lacks is an error when it is typed, not when a profile prefers it."""
    prefer(cli, "ark", "wait = false")
    assert cli("generate", "a fox", "-p", "ark", "--no-wait").code == 2
    assert polled.submits() == []
    ran = cli("generate", "a fox", "-p", "ark")
    assert ran.code == 0, ran.err
    assert ran.lines == [path.name for path in cli.pictures()]


def test_a_profiles_sidecar_replaces_no_file(cli: Cli, polled: Server) -> None:
    """A sidecar's name that is taken is exit 2 before anything is sent; `--overwrite` means it."""
    prefer(cli, "kie", "sidecar = true")
    taken = cli.work / "a.json"
    cli.work.mkdir(exist_ok=True)
    taken.write_text("mine")
    assert cli("generate", "a fox", "-p", "kie", "-o", "a.png").code == 2
    assert (taken.read_text(), polled.submits()) == ("mine", [])
    assert cli("generate", "a fox", "-p", "kie", "-o", "a.png", "--overwrite").code == 0
    assert taken.read_text() != "mine"


def test_a_sidecar_does_not_replace_a_picture_named_json(cli: Cli, polled: Server) -> None:
    """`-o foo.json --sidecar` leaves a picture and, under another name, what it was made of."""
    ran = cli("generate", "a fox", "-p", "kie", "-o", "foo.json", "--sidecar")
    assert ran.code == 0, ran.err
    assert ran.lines == ["foo.json"]
    assert (cli.work / "foo.json").read_bytes().startswith(b"\x89PNG")
    assert (cli.work / "foo.json.json").read_text().startswith("{")
    assert len(polled.submits()) == 1


def test_a_job_is_asked_about_with_the_account_that_bought_it(cli: Cli, server: Server) -> None:
    """Another account of the same provider, though named with -p, does not know the task."""
    text = "".join(
        f'[profiles.{name}]\nprovider = "kie"\napi_key = "{key}"\n'
        f'base_url = "{server.origin}/kie"\n'
        for name, key in (("mine", "sk-mine"), ("other", "sk-wrong"))
    )
    cli.home.mkdir(exist_ok=True)
    config = cli.home / "config.toml"
    config.write_text(text)
    config.chmod(0o600)
    assert cli("generate", "a lighthouse", "-p", "mine", "--no-wait").code == 0
    assert cli("download", "-p", "other").code == 0
    assert len(cli.pictures()) == 1
