"""What a job writes down, commit by commit, and what it flushes: a further one is seen.

The table in `docs/design.md`, "What one picture costs", says why each must be there.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.replies import accepted, made, polled, success

from seedream_cli.core.model import State
from seedream_cli.storage.files.partial import Disk
from seedream_cli.storage.files.store import Files
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from engine.conftest import House

URL = "https://images.example/1.png"
BOUGHT = ["plan", "begin", "store", "move"]
SAVED = ["file", "folder", "put_image", "move"]


class LoggedLedger(Ledger):
    """A ledger that writes down which of its methods committed."""

    def __init__(self, path: Path, *, now: Callable[[], datetime], log: list[str]) -> None:
        """Append to `log`."""
        self._log = log
        super().__init__(path, now=now)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        method = sys._getframe(2).f_code.co_name
        with super()._write() as connection:
            yield connection
        self._log.append(method)


@pytest.fixture
def log(house: House) -> Iterator[list[str]]:
    """Write down each commit of the house's ledger, and each flush of its files and folders."""
    log: list[str] = []

    def flush(fd: int) -> None:
        log.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        os.fsync(fd)

    (house.folder / "out").mkdir()
    house.ledger = LoggedLedger(house.ledger.path, now=house.clock.now, log=log)
    files = Files(house.folder, house.owner.name, disk=Disk(fsync=flush))
    house.adjust(ledger=house.ledger, files=files)
    yield log
    house.ledger.close()


def test_a_picture_that_comes_at_once_takes_six_commits(house: House, log: list[str]) -> None:
    """Planned, sending, its answer, its URL, the picture, the job; a flush of file and folder."""
    house.transport.answers = [made(URL)]
    (job,) = house.run(house.buy("ark"))
    assert job.state is State.SAVED
    assert log == [*BOUGHT, *SAVED]


def test_each_poll_of_a_job_takes_one_commit(house: House, log: list[str]) -> None:
    """A task id has its own, and each answer; the last one brings the URL."""
    house.transport.answers = [
        *(accepted(), polled("waiting"), polled("generating"), success(URL)),
    ]
    (job,) = house.run(house.buy("kie"))
    assert job.state is State.SAVED
    assert log == [*BOUGHT, "store", "store", "store", "move", *SAVED]


def test_each_picture_of_a_set_takes_one_commit(house: House, log: list[str]) -> None:
    """So many pictures, so many times file, folder and commit; the job's own come once."""
    house.transport.answers = [made(URL, "https://images.example/2.png")]
    (job,) = house.run(house.buy("ark", series=2))
    assert job.state is State.SAVED
    assert log == [*BOUGHT, *SAVED[:3], *SAVED]
