"""Disks, folders and ledgers that say no: before a submit nothing is sent, later nothing lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import StorageError
from seedream_cli.core.events import Note
from seedream_cli.core.model import Charge, State
from seedream_cli.storage.files.partial import Disk
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.conftest import Bench
    from support.command import Cli, Ran
    from support.wire import Chaos, Visit

    from seedream_cli.sandbox.server import Sandbox

UNDER_A_FILE = "/proc/self/status/seedream"
"""No folder can be made under a file, not even by root."""


def nothing_sent(ran: Ran, chaos: Chaos, paid: Sandbox, *words: str) -> None:
    """Assert that a command ended with 74 before anything left, and said so."""
    assert ran.code == 74, ran.err
    assert chaos.posts == 0
    assert charges(paid) == []
    for word in words:
        assert word in ran.err


def charges(paid: Sandbox) -> list[dict[str, object]]:
    """Return what the stand-in charged for."""
    found = paid.counters["charges"]
    assert isinstance(found, list)
    return found


def error_of(ran: Ran) -> str:
    """Return the code of the error object."""
    error = ran.object["error"]
    assert isinstance(error, dict)
    return str(error["code"])


def full(folder: str, *, number: int = errno.ENOSPC, free: int = 0) -> Disk:
    """Return a disk on which `folder` takes `free` bytes more and then no others."""
    left = {"bytes": free}

    def pwrite(fd: int, view: memoryview, at: int) -> int:
        if folder in str(Path(f"/proc/self/fd/{fd}").readlink()):
            if left["bytes"] < len(view):
                raise OSError(number, os.strerror(number))
            left["bytes"] -= len(view)
        return os.pwrite(fd, view, at)

    return Disk(pwrite=pwrite)


# -- before anything is sent -----------------------------------------------------------------------


def test_a_full_disk_is_found_before_paying(cli: Cli, chaos: Chaos, paid: Sandbox) -> None:
    """Where no file of a picture's size can be written, the command ends with 74, nothing sent."""
    cli.configure(chaos.origin)
    assert cli("status").code == 0
    limit = ("sh", "-c", 'ulimit -f 200; exec "$@"', "sh")
    ran = cli("generate", "a fox", "-p", "kie", "--json", wrap=limit)
    nothing_sent(ran, chaos, paid, "does not take files", "Nothing was sent", "-o FOLDER/")
    assert error_of(ran) == "storage"
    assert cli.pictures() == []


@pytest.mark.parametrize("output", [f"{UNDER_A_FILE}/", "/proc/", "/proc/new/a.jpg", "/sys/a.jpg"])
def test_a_folder_that_takes_no_files_is_found_before_paying(
    cli: Cli, chaos: Chaos, paid: Sandbox, output: str
) -> None:
    """A folder that cannot be written, or made, ends the command before anything is sent."""
    cli.configure(chaos.origin)
    ran = cli("generate", "a fox", "-p", "ark", "-o", output, "--json")
    assert ran.code in {2, 74}, ran.err
    assert (chaos.posts, charges(paid)) == (0, [])
    assert error_of(ran) in {"usage", "storage"}


def test_a_working_folder_that_is_gone_is_found_before_paying(
    cli: Cli, chaos: Chaos, paid: Sandbox
) -> None:
    """Started in a folder that was removed: 74, nothing sent."""
    cli.configure(chaos.origin)
    gone = cli.home / "gone"
    gone.mkdir()
    wrap = ("sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh")
    ran = cli("generate", "a fox", "-p", "kie", "--json", wrap=wrap, cwd=gone)
    nothing_sent(ran, chaos, paid, "folder")


@pytest.mark.parametrize("command", [("generate", "a fox", "-p", "kie"), ("download",)])
def test_a_state_folder_that_cannot_be_used_is_74(
    cli: Cli, chaos: Chaos, paid: Sandbox, command: tuple[str, ...]
) -> None:
    """Without a place for the ledger nothing is sent."""
    cli.configure(chaos.origin)
    ran = cli(*command, "--json", env={"SEEDREAM_STATE_DIR": UNDER_A_FILE})
    nothing_sent(ran, chaos, paid, UNDER_A_FILE)
    assert error_of(ran) == "storage"


# -- after it is paid ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("free", [0, 20_000])
def test_a_disk_that_fills_up_sends_the_picture_to_rescue(
    bench_on: Callable[[Disk], Bench], chaos: Chaos, number: int, free: int
) -> None:
    """What is paid and does not fit is saved whole in the rescue folder, and the path is told."""
    bench = bench_on(full("/out/", number=number, free=free))
    ended = bench.run(bench.plan("ark", chaos.origin))
    assert (ended.job.state, ended.exit) == (State.SAVED, 0)
    (image,) = ended.job.images
    assert image.path is not None
    assert Path(image.path).parent == Path(bench.files.rescue_folder)
    assert Path(image.path).stat().st_size == image.size
    assert bench.pictures() == []
    told = [e.message for e in bench.events if isinstance(e, Note) and e.is_warning]
    assert any(image.path in message for message in told)


def test_two_full_disks_leave_the_job_ready(
    bench_on: Callable[[Disk], Bench], chaos: Chaos, paid: Sandbox
) -> None:
    """Where even the rescue folder is full: 74, charged, `next` says download; nothing is lost."""
    bench = bench_on(full("/bench/"))
    ended = bench.run(bench.plan("kie", chaos.origin))
    assert (ended.job.state, ended.job.charge) == (State.READY, Charge.CHARGED)
    assert (ended.exit, ended.next) == (74, "download")
    assert "it is paid" in ended.words or "was bought can still be fetched" in ended.words
    assert ended.job.images[0].url
    assert list(bench.folder.rglob("*.part")) == []
    assert len(charges(paid)) == 1


def test_a_folder_that_vanishes_is_made_again(cli: Cli, chaos: Chaos) -> None:
    """A folder removed between purchase and download is made anew for its picture."""
    cli.configure(chaos.origin)
    cli("generate", "a fox", "-p", "kie", "-o", "art/", "--no-wait")
    shutil.rmtree(cli.work / "art", ignore_errors=True)
    ran = cli("download", "--json")
    assert ran.code == 0, ran.err
    assert [path.parent.name for path in cli.pictures()] == ["art"]


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_folder_that_became_a_file_sends_the_picture_to_rescue(
    cli: Cli, chaos: Chaos, quiet: tuple[str, ...]
) -> None:
    """The rescued picture's path is the result on stdout, and a warning, `-q` or not; exit 0."""
    cli.configure(chaos.origin)
    cli("generate", "a fox", "-p", "kie", "-o", "art/", "--no-wait")
    shutil.rmtree(cli.work / "art", ignore_errors=True)
    (cli.work / "art").write_text("mine")
    ran = cli("download", *quiet)
    assert ran.code == 0, ran.err
    path = Path(ran.out.decode().strip())
    assert path.parent == cli.state / "rescue"
    assert path.stat().st_size > 1000
    assert str(path) in ran.err
    assert (cli.work / "art").read_text() == "mine"


def test_a_full_ledger_names_what_would_be_lost(cli: Cli, chaos: Chaos, paid: Sandbox) -> None:
    """A ledger that stops taking writes after the submit: what was answered is on the screen."""
    cli.configure(chaos.origin)
    cli("status")
    trap = sqlite3.connect(cli.state / "ledger.db")
    trap.execute(
        "CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'disk I/O'); END"
    )
    trap.commit()
    ran = cli("generate", "a fox", "-p", "kie", "--json")
    assert ran.code == 74, ran.err
    (charge,) = charges(paid)
    assert f"seedream download --task-id {charge['task']} -p kie" in ran.err
    trap.execute("DROP TRIGGER full")
    trap.commit()
    trap.close()
    again = cli("generate", "a fox", "-p", "kie", "--json")
    assert again.code == 5, "it may have been the same purchase"
    assert len(charges(paid)) == 1
    adopted = cli("download", "--task-id", str(charge["task"]), "-p", "kie")
    assert adopted.code == 0
    assert len(cli.pictures()) == 1


@pytest.mark.parametrize("provider", ["ark", "kie", "seedreams", "replicate", "openrouter"])
def test_a_commit_that_fails_in_the_hook_sends_nothing(
    bench: Bench, chaos: Chaos, paid: Sandbox, provider: str
) -> None:
    """The first byte waits for the commit of `sending`: where that fails, nothing leaves."""
    job = bench.plan(provider, chaos.origin)
    trap = sqlite3.connect(bench.folder / "ledger.db")
    trap.execute(
        "CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'disk I/O'); END"
    )
    trap.commit()
    trap.close()
    ended = bench.run(job)
    assert (ended.job.state, ended.job.charge) == (State.PLANNED, Charge.NONE)
    assert (ended.exit, ended.next) == (74, "fix")
    assert "nothing was charged" in ended.words
    assert (chaos.posts, charges(paid)) == (0, [])


# -- the ledger ------------------------------------------------------------------------------------


def test_a_ledger_that_is_busy_for_a_moment_is_waited_for(
    cli: Cli, chaos: Chaos, paid: Sandbox
) -> None:
    """Another process that holds the ledger for a second delays a purchase and harms nothing."""
    cli.configure(chaos.origin)
    cli("status")
    other = sqlite3.connect(cli.state / "ledger.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(1.2, other.execute, ["COMMIT"])
    started = time.monotonic()
    timer.start()
    ran = cli("generate", "a fox", "-p", "kie")
    timer.join()
    other.close()
    assert ran.code == 0, ran.err
    assert time.monotonic() - started > 1.2
    assert len(charges(paid)) == 1


def test_a_ledger_that_stays_busy_stops_the_submit(
    bench: Bench, chaos: Chaos, paid: Sandbox
) -> None:
    """Where the ledger cannot be written in time the request is not sent: 74."""
    job = bench.plan("ark", chaos.origin)
    bench.ledger._connection().execute("PRAGMA busy_timeout = 200").fetchall()
    other = sqlite3.connect(bench.folder / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ended = bench.run(job)
    other.execute("ROLLBACK")
    other.close()
    assert (ended.job.state, ended.exit) == (State.PLANNED, 74)
    assert "locked" in ended.words
    assert (chaos.posts, charges(paid)) == (0, [])


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0:4096] = b"\xff" * 4096
    path.write_bytes(bytes(data))


def _damage_within(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(bytes(data))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("this is no database at all\n" * 400)


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _foreign(path: Path) -> None:
    path.unlink()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.commit()
    other.close()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm", [_damage, _damage_within, _empty, _text, _halve, _foreign, _folder]
)
def test_a_ledger_that_is_not_sound_stops_submits(
    cli: Cli, chaos: Chaos, paid: Sandbox, harm: Callable[[Path], None]
) -> None:
    """Damaged, emptied or foreign: generate ends with 74, sends nothing, and leaves it as it is."""
    cli.configure(chaos.origin)
    assert cli("generate", "first", "-p", "kie").code == 0
    path = cli.state / "ledger.db"
    harm(path)
    was = path.read_bytes() if path.is_file() else b""
    chaos.arm(None)
    paid.tally.reset()
    ran = cli("generate", "a fox", "-p", "kie", "--json")
    nothing_sent(ran, chaos, paid, str(path))
    assert error_of(ran) == "storage"
    assert cli("download", "--json").code == 74
    assert cli("status", "--json").code == 74
    assert (path.read_bytes() if path.is_file() else b"") == was


def test_a_ledger_of_a_newer_version_is_read_and_not_written(
    cli: Cli, chaos: Chaos, paid: Sandbox
) -> None:
    """What a newer seedream wrote is shown; buying with it is 74 and says to upgrade."""
    cli.configure(chaos.origin)
    assert cli("generate", "first", "-p", "kie").code == 0
    path = cli.state / "ledger.db"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 999")
    newer.commit()
    newer.close()
    chaos.arm(None)
    paid.tally.reset()
    shown = cli("status", "--json")
    assert (shown.code, shown.object["prompt"]) == (0, "first")
    ran = cli("generate", "a fox", "-p", "kie", "--json")
    nothing_sent(ran, chaos, paid, "a newer seedream has written it", "upgrade")
    assert cli("status", "--json").out == shown.out


def test_two_processes_share_a_ledger(cli: Cli, chaos: Chaos, paid: Sandbox) -> None:
    """Eight commands at once on one ledger: all succeed, each is charged once."""
    cli.configure(chaos.origin)
    codes: list[int] = []

    def buy(number: int) -> None:
        codes.append(cli("generate", f"fox {number}", "-p", "seedreams", process=True).code)

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 8
    assert len(charges(paid)) == 8
    assert len(cli.pictures()) == 8
    states = {found["state"] for found in cli("status", "--json").objects}
    assert states == {"saved"}


def test_a_ledger_moved_aside_is_begun_anew(bench: Bench, tmp_path: Path) -> None:
    """A ledger that was moved away, as the error advises, makes room for a fresh one."""
    path = tmp_path / "l" / "ledger.db"
    Ledger(path, now=bench.clock.now).close()
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="it is empty, and it was not"):
        Ledger(path, now=bench.clock.now)
    path.rename(path.with_suffix(".old"))
    fresh = Ledger(path, now=bench.clock.now)
    assert fresh.jobs() == []
    fresh.close()


def _break_a_row(path: Path) -> None:
    """Leave SQLite content with the file, and us without one of its rows."""
    _sql(path, "UPDATE jobs SET recipe = '{' WHERE prompt = 'second'")


def _break_an_index(path: Path) -> None:
    """Let an index lead past a row: nothing fails, and something is missed."""
    _sql(path, "PRAGMA writable_schema = ON", "DROP INDEX jobs_by_state")
    _sql(
        path,
        "CREATE TABLE spare (state TEXT)",
        "CREATE INDEX jobs_by_state ON spare (state)",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET tbl_name = 'jobs', sql = 'CREATE INDEX jobs_by_state ON jobs"
        " (state)' WHERE name = 'jobs_by_state'",
    )


def _cut_the_end(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def _sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("harm", [_break_a_row, _break_an_index, _cut_the_end])
def test_what_can_be_read_of_a_damaged_ledger_is_shown(
    cli: Cli, chaos: Chaos, paid: Sandbox, harm: Callable[[Path], None]
) -> None:
    """Three jobs, one of them perhaps unreadable: the others are listed, 74 says what is wrong."""
    cli.configure(chaos.origin)
    for prompt in ("first", "second", "third"):
        assert cli("generate", prompt, "-p", "kie").code == 0
    path = cli.state / "ledger.db"
    harm(path)
    was = path.read_bytes()
    paid.tally.reset()
    chaos.arm(None)
    listed = cli("status", "--offline", "--json")
    prompts = {str(json.loads(line)["prompt"]) for line in listed.out.splitlines()}
    assert prompts >= {"first", "third"}
    assert listed.code == 74
    assert str(path) in listed.err
    if harm is _break_a_row:
        assert "cannot be read: " in listed.err
    else:
        nothing_sent(cli("generate", "a fox", "-p", "kie", "--json"), chaos, paid, "is damaged")
        assert cli("download").code == 74
    assert path.read_bytes() == was


@pytest.mark.parametrize("harm", [_break_a_row])
def test_what_can_be_read_of_a_damaged_ledger_is_fetched(
    cli: Cli, chaos: Chaos, paid: Sandbox, harm: Callable[[Path], None]
) -> None:
    """Three tasks run when the ledger is damaged: each that can be read comes home; 74."""
    cli.configure(chaos.origin)
    for prompt in ("first", "second", "third"):
        assert cli("generate", prompt, "-p", "kie", "--no-wait").code == 0
    harm(cli.state / "ledger.db")
    ran = cli("download")
    assert ran.code == 74, ran.err
    assert len(charges(paid)) == 3
    assert len(cli.pictures()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-p", "kie"], "seedream download --task-id {task} -p kie"),
        (["-p", "ark"], "write this down: http://"),
        (["-p", "ark", "--series", "2"], "write this down: http://"),
        (["-p", "kie", "--no-wait"], "write this down: http://"),
    ],
)
def test_what_a_broken_ledger_does_not_take_is_on_the_screen(
    cli: Cli, chaos: Chaos, paid: Sandbox, arguments: list[str], words: str
) -> None:
    """The ledger breaks while an answer is on its way: its task id or URL is said, exit 74."""
    cli.configure(chaos.origin)
    path = cli.state / "ledger.db"

    def answer(visit: Visit) -> None:
        data = visit.charged()
        path.write_bytes(b"\xff" * path.stat().st_size)
        visit.send(data)

    if "--no-wait" in arguments:  # the answer to a poll
        assert cli("generate", "a fox", *arguments).code == 0
        arguments = []
    chaos.arm(answer)
    ran = cli(*(["generate", "a fox", *arguments] if arguments else ["download"]))
    assert ran.code == 74, ran.err
    (charge,) = charges(paid)
    assert words.format(task=charge["task"]) in ran.err
