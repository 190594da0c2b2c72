"""Who owns a job: a lock that a living process holds and the kernel frees when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import StorageError
from seedream_cli.storage.ledger.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import os, sys
from pathlib import Path
from seedream_cli.storage.ledger.owner import Owner
owner = Owner(Path(sys.argv[1]), sys.argv[2])
for folder in sys.argv[3:]:
    owner.remember(folder)
print("held", flush=True)
sys.stdin.readline()
"""

CLAIM = """
import sys
from pathlib import Path
from seedream_cli.storage.ledger.owner import Owner
with Owner(Path(sys.argv[1]), sys.argv[2]) as owner, owner.leftovers("dead") as is_ours:
    print(is_ours, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the locks of a test lie."""
    return tmp_path / "owners"


@pytest.fixture
def heir(folder: Path) -> Iterator[Owner]:
    """Return the process that looks at the others."""
    with Owner(folder, "heir") as owner:
        yield owner


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts other processes; all are gone after the test."""
    with ExitStack() as exits:
        yield Start(exits)


class Start:
    """Starts processes that hold a lock, and knows that they do when it returns."""

    def __init__(self, exits: ExitStack) -> None:
        """End them with `exits`."""
        self._exits = exits

    def __call__(self, script: str, folder: Path, *arguments: str) -> tuple[Process, str]:
        """Return a process and the first line it printed."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", script, str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._exits.callback(process.communicate)
        self._exits.callback(process.kill)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()


Process = subprocess.Popen[str]


def test_a_living_process_keeps_its_jobs(folder: Path, heir: Owner, start: Start) -> None:
    """While a process lives, nobody else may settle what it does."""
    _, line = start(HOLD, folder, "alive")
    assert line == "held"
    assert not heir.is_dead("alive")
    assert heir.list_dead() == []
    with heir.leftovers("alive") as is_ours:
        assert not is_ours


def test_a_killed_process_leaves_its_jobs(folder: Path, heir: Owner, start: Start) -> None:
    """SIGKILL frees the lock and leaves its file, so that the dead are found by name."""
    process, _ = start(HOLD, folder, "dead")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / "dead.lock").exists()
    assert heir.list_dead() == ["dead"]
    assert heir.is_dead("dead")
    with heir.leftovers("dead") as is_ours:
        assert is_ours


def test_a_stopped_process_is_not_dead(folder: Path, heir: Owner, start: Start) -> None:
    """A process that was put to sleep still owns its jobs."""
    process, _ = start(HOLD, folder, "asleep")
    process.send_signal(signal.SIGSTOP)
    assert not heir.is_dead("asleep")
    process.send_signal(signal.SIGCONT)


def test_a_clean_end_leaves_nothing(folder: Path) -> None:
    """A released lock leaves no file, and its name counts as ended."""
    with Owner(folder, "mine"):
        assert (folder / "mine.lock").exists()
    assert list(folder.iterdir()) == []
    with Owner(folder, "heir") as heir:
        assert heir.is_dead("mine")
        assert heir.list_dead() == []


def test_a_clean_end_of_another_process_leaves_nothing(
    folder: Path, heir: Owner, start: Start
) -> None:
    """The lock of a process that releases it is gone while that process still runs."""
    released = HOLD.replace('print("held"', 'owner.close(); print("held"')
    start(released, folder, "done")
    assert heir.is_dead("done")
    assert heir.list_dead() == []


def test_a_process_that_leaves_work_behind_is_found(folder: Path, heir: Owner) -> None:
    """Where a thread may still be at work at the end, its lock file stays for the next one."""
    with Owner(folder, "hasty") as owner:
        owner.remember("/srv/a")
        owner.keep()
        assert not heir.is_dead("hasty")
    assert heir.list_dead() == ["hasty"]
    assert heir.folders_of("hasty") == ["/srv/a"]


def test_a_process_never_inherits_from_itself(heir: Owner) -> None:
    """Its own jobs are under way, whatever its lock file looks like."""
    assert not heir.is_dead("heir")
    with heir.leftovers("heir") as is_ours:
        assert not is_ours


def test_a_claimant_hides_no_leftovers(folder: Path, heir: Owner, start: Start) -> None:
    """While one process goes through leftovers, another still sees that its owner is dead.

    Otherwise it would take a lost submit for a living one and buy again; the ledger's own guards
    keep the two apart.
    """
    process, _ = start(HOLD, folder, "dead")
    process.kill()
    process.wait()
    first, line = start(CLAIM, folder, "first")
    assert line == "True"
    second, line = start(CLAIM, folder, "second")
    assert line == "True"
    with heir.leftovers("dead") as is_ours:
        assert is_ours
    assert heir.list_dead() == ["dead"]
    second.communicate("over\n")
    first.communicate("over\n")
    with heir.leftovers("dead") as is_ours:
        assert is_ours


def test_leftovers_are_given_back_after_an_error(folder: Path, heir: Owner) -> None:
    """A claimant that fails leaves the jobs to the next one."""
    folder.joinpath("dead.lock").touch()

    def fail() -> None:
        with heir.leftovers("dead"):
            raise StorageError("the disk is full")

    with pytest.raises(StorageError, match="the disk is full"):
        fail()
    with Owner(folder, "other") as other, other.leftovers("dead") as is_ours:
        assert is_ours


def test_a_released_process_is_ended(folder: Path, heir: Owner) -> None:
    """Releasing removes the lock file; the name stays that of an ended process."""
    folder.joinpath("dead.lock").touch()
    with heir.leftovers("dead"):
        heir.release("dead")
    assert heir.list_dead() == []
    assert heir.is_dead("dead")
    heir.release("dead")


def test_folders_are_known_after_death(folder: Path, heir: Owner, start: Start) -> None:
    """Whoever releases a process learns where it opened temp files, byte for byte and once each."""
    odd = os.fsdecode(b"/srv/caf\xe9 \n end")
    process, _ = start(HOLD, folder, "dead", "/srv/a b", odd, "/srv/a b")
    process.kill()
    process.wait()
    assert heir.folders_of("dead") == ["/srv/a b", odd]


def test_unknown_names_have_no_folders(heir: Owner) -> None:
    """A process that left nothing has nothing to sweep."""
    heir.remember("/srv/mine")
    assert heir.folders_of("nobody") == []
    assert heir.folders_of("heir") == ["/srv/mine"]


def test_a_name_is_taken_once(folder: Path, heir: Owner) -> None:
    """Two processes never share a name: the second one does not wait, it stops."""
    assert heir.name == "heir"
    with pytest.raises(StorageError):
        Owner(folder, "heir")
    with Owner(folder, "other") as other:
        assert not other.is_dead("heir")


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    """A file where the folder should be stops the command before anything is sent."""
    tmp_path.joinpath("file").touch()
    with pytest.raises(StorageError):
        Owner(tmp_path / "file", "mine")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110 - at import
def test_a_full_disk_is_a_storage_error(folder: Path) -> None:
    """A folder that cannot be written down is named before a temp file is opened there."""
    owner = Owner(folder, "mine")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, owner._file)
    os.close(full)
    for _ in range(2):
        with pytest.raises(StorageError):
            owner.remember("/srv/a")
    owner.close()


def test_nobody_is_released_alive(folder: Path, heir: Owner) -> None:
    """A process that starts while another one sweeps the dead keeps a lock that others can see."""
    is_over = threading.Event()

    def sweep() -> None:
        while not is_over.is_set():
            for name in heir.list_dead():
                with heir.leftovers(name) as is_ours:
                    if is_ours:
                        heir.release(name)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(400):
            with Owner(folder, f"n{number}") as owner:
                assert not heir.is_dead(owner.name)
    finally:
        is_over.set()
        sweeper.join()
