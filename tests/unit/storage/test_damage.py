"""Damaged ledgers: no purchase is made with one, and whatever can be read of it is read."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import StorageError
from seedream_cli.core.model import Image, Job, Problem, Purpose, Reply, State
from seedream_cli.storage.ledger import damage
from seedream_cli.storage.ledger.columns import job_of
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from support.soak import Soak

    MakeJob = Callable[..., Job]

NOW = datetime(2026, 11, 21, 10, 0, 5, tzinfo=UTC)
JOBS = 30
FILES, SOAK_FILES = 200, 3000
PAGE = 4096


def opened(path: Path) -> Ledger:
    """Open a ledger."""
    return Ledger(path, now=lambda: NOW)


@pytest.fixture
def used(tmp_path: Path, make_job: MakeJob) -> Path:
    """Return a ledger of thirty jobs in all states, closed."""
    path = tmp_path / "state" / "ledger.db"
    reply = Reply(purpose=Purpose.SUBMIT, status=200, headers={"a": "b"}, body=b"x" * 700)
    with closing(opened(path)) as ledger:
        for k in range(JOBS):
            name = f"{k:04d}{'abcdefghjk'[k % 10]}aaa"
            job = make_job(
                id=name, run=f"run{k // 3:05d}", purchase_digest=f"{k:064x}", prompt="é" * k
            )
            (job,) = ledger.plan([job])
            if k % 5 == 0:
                continue
            ledger.begin(job.id)
            ledger.store(job.id, reply)
            job = ledger.job(job.id)
            if k % 5 == 1:
                ledger.move(job, State.UNKNOWN, problem=Problem("outcome_unknown", "no answer"))
                continue
            url = f"https://cdn.example.com/{k}/" + "u" * 200
            images = [Image(job=job.id, index=i, n=i, url=f"{url}/{i}") for i in (1, 2)]
            job = ledger.move(
                job, State.READY, task_id=f"task-{k}", images=images, made_seconds=20.0 + k
            )
            if k % 5 > 2:
                for image in images:
                    ledger.put_image(replace(image, path="/a/b.png", saved_at=NOW, sha256="d" * 64))
                ledger.move(job, State.SAVED)
    return path


def spoil(data: bytearray, dice: random.Random) -> str:
    """Damage a file in one of the ways that disks, copies and other programs know."""
    way = dice.choice(["byte", "byte", "bytes", "page", "zero", "swap", "truncate", "tail", "text"])
    at = dice.randrange(len(data))
    page = at // PAGE * PAGE
    match way:
        case "byte":
            data[at] ^= 1 << dice.randrange(8)
        case "bytes":
            for _ in range(dice.randrange(2, 40)):
                data[dice.randrange(len(data))] = dice.randrange(256)
        case "page":
            data[page : page + PAGE] = dice.randbytes(PAGE)
        case "zero":
            data[page : page + PAGE] = bytes(PAGE)
        case "swap":
            other = dice.randrange(len(data)) // PAGE * PAGE
            here, there = data[page : page + PAGE], data[other : other + PAGE]
            data[page : page + PAGE], data[other : other + PAGE] = there, here
        case "truncate":
            del data[at:]
        case "tail":
            data += dice.randbytes(dice.randrange(1, 2 * PAGE))
        case _:
            data[at : at + 16] = b"\xff" * len(data[at : at + 16])
    return f"{way} at {at}"


def is_sound(path: Path) -> bool:
    """Tell what SQLite's own check says of a file."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        except (sqlite3.Error, UnicodeError):
            return False


def readable(path: Path) -> set[str]:
    """Return the jobs whose own row can be read, each looked up by its number alone."""
    found = set()
    with closing(sqlite3.connect(path)) as connection:
        for seq in range(1, JOBS + 1):
            try:
                cursor = connection.execute("SELECT * FROM jobs NOT INDEXED WHERE seq = ?", (seq,))
                (row,) = cursor.fetchall()
                names = [column[0] for column in cursor.description]
                found.add(job_of(row[1:], names[1:], ()).id)
            except (
                sqlite3.Error,
                LookupError,
                ValueError,
                TypeError,
                RecursionError,
                ArithmeticError,
            ):
                continue
    return found


def is_bought(path: Path, job: Job) -> bool:
    """Try a purchase as a command does; anything but `StorageError` is a bug."""
    try:
        with closing(opened(path)) as ledger:
            ledger.plan([job])
            ledger.begin(job.id)
    except StorageError:
        return False
    return True


def test_no_purchase_is_made_with_a_damaged_ledger(
    used: Path, make_job: MakeJob, capsys: pytest.CaptureFixture[str], *, soak: Soak
) -> None:
    """300 files damaged by seed: none that SQLite calls bad takes one; each sound row is listed."""
    whole, dice = used.read_bytes(), soak.dice()
    counts: Counter[str] = Counter()
    wrong = []
    for number in range(soak.times(FILES, long=SOAK_FILES)):
        data = bytearray(whole)
        way = spoil(data, dice)
        used.write_bytes(data)
        is_bad, rows = not is_sound(used), readable(used)
        counts["bad" if is_bad else "sound"] += 1
        try:
            with closing(opened(used)) as ledger:
                ledger.check()
                listed = {job.id for job in ledger.jobs(is_for_show=True)}
        except StorageError:
            listed = set()  # not even its first page can be read
            counts["closed"] += 1
            if rows:
                wrong.append(f"{number}, {way}: closed, and {len(rows)} rows are readable")
        if rows - listed:
            wrong.append(f"{number}, {way}: {sorted(rows - listed)} not listed")
        if is_bought(used, make_job(id="new00000", purchase_digest="n" * 64)):
            counts["bought"] += 1
            if is_bad:
                wrong.append(f"{number}, {way}: bought with a damaged ledger")
    with capsys.disabled():
        print(f"\ndamage: {dict(counts)}")  # noqa: T201 - the figures
    assert wrong == [], soak.again
    assert counts["bad"] > 100


def test_a_large_ledger_is_read_whole_only_when_it_was_touched(used: Path) -> None:
    """What its last process left checked is trusted; a byte that changed since is found out."""
    with closing(opened(used)) as ledger:
        (job, *_) = ledger.jobs(states=[State.SAVED])
        body = b"x" * (damage.CHECKED_ALWAYS + 1)
        ledger.store(job.id, Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=body))
        assert ledger.check() == ""
    with closing(opened(used)) as ledger:
        assert ledger._stamp.holds
    with used.open("r+b") as file:
        file.seek(2 * PAGE)
        file.write(bytes(PAGE))
    with closing(opened(used)) as ledger:
        assert not ledger._stamp.holds
        assert ledger.check() != ""
    assert not is_bought(used, replace(job, id="new00000", state=State.PLANNED))
