"""The ledger: what is written is on disk, and no step but a lawful one can be written."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import OutcomeUnknown, Overtaken, StorageError, Throttled
from seedream_cli.core.model import (
    Attempt,
    Budget,
    Charge,
    Image,
    Job,
    Look,
    Money,
    Problem,
    Purpose,
    Reply,
    Settlement,
    State,
)
from seedream_cli.providers.spec import RateLimit
from seedream_cli.storage.files import naming
from seedream_cli.storage.ledger import APPLICATION_ID
from seedream_cli.storage.ledger.damage import find_damage, read_schema, schema_checksum
from seedream_cli.storage.ledger.database import (
    IDLE,
    READERS,
    SCHEMA,
    SCHEMA_CHECKSUM,
)
from seedream_cli.storage.ledger.ledger import Ledger
from seedream_cli.storage.ledger.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakeJob = Callable[..., Job]

NOW = datetime(2026, 11, 21, 10, 0, 5, 250_000, tzinfo=UTC)
EXTRA = 3
"""What `PRAGMA synchronous` calls EXTRA."""

TWENTY = RateLimit(count=20, per=timedelta(seconds=10))
PROBLEM = Problem("outcome_unknown", "it is not known")
LOOK = Look(
    at=NOW,
    since=NOW,
    until=NOW,
    pages=1,
    is_whole=True,
    is_empty=True,
    verdict="none",
    reason="has no such request",
)
FIFTY = RateLimit(count=50, per=timedelta(minutes=1), of="images", is_per_model=True, layers=17)

# Of docs/charge-safety.md, and four that the engine needs besides: a submit that is refused
# before it is sent, one that is answered with a failure, a lapsed picture with a fresh URL, and
# one that was to be fetched once more and is gone.
LAWFUL = {
    State.PLANNED: {State.SENDING, State.CLOSED, State.REFUSED},
    State.SENDING: {
        State.RUNNING,
        State.READY,
        State.REFUSED,
        State.PLANNED,
        State.UNKNOWN,
        State.FAILED,
    },
    State.RUNNING: {State.READY, State.FAILED, State.CLOSED},
    State.READY: {State.SAVED, State.EXPIRED, State.CLOSED},
    State.UNKNOWN: {State.RUNNING, State.READY, State.CLOSED},
    State.EXPIRED: {State.READY},
    State.SAVED: {State.EXPIRED},
    State.REFUSED: set(),
    State.FAILED: {State.RUNNING, State.READY, State.CLOSED},
    State.CLOSED: {State.RUNNING, State.READY},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the ledger of a test lies."""
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """Return a new ledger."""
    with closing(Ledger(path, now=lambda: NOW)) as ledger:
        yield ledger


def by_hand(path: Path, *statements: str) -> None:
    """Change a ledger behind its back, as a sabotage or another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def cells(path: Path, query: str) -> list[tuple[object, ...]]:
    """Read a ledger from outside: only what is committed is seen."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(query).fetchall()


def running(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start another Python process that uses the installed package."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    """Return what a process printed once it has ended well."""
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    return out.strip()


# -- spending ----------------------------------------------------------------------------------


def test_a_begun_job_is_on_disk_before_begin_returns(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """Another process that looks right after begin() sees the job sending, and one attempt."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    at = "2026-11-21T10:00:05.250000Z"
    assert cells(path, "SELECT state, charge, sent_at FROM jobs") == [("sending", "maybe", at)]
    assert cells(path, "SELECT job, started_at, ending FROM attempts") == [("0000aaaa", at, None)]


def test_a_job_is_begun_once(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """A second begin() of a job that is being sent is refused and leaves no trace."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    with pytest.raises(StorageError):
        ledger.begin("0000aaaa")
    assert cells(path, "SELECT count(*) FROM attempts") == [(1,)]


def test_a_live_attempt_bars_another_one(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Also where a bug put the job back to planned, the unique index alone refuses to send."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    by_hand(path, "UPDATE jobs SET state = 'planned'")
    with pytest.raises(StorageError, match="UNIQUE"):
        ledger.begin("0000aaaa")
    assert ledger.job("0000aaaa").state is State.PLANNED
    assert cells(path, "SELECT count(*) FROM attempts") == [(1,)]


def test_it_is_the_index_that_bars(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Without `one_live_attempt` the same second attempt passes: nothing else stands there."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    by_hand(path, "UPDATE jobs SET state = 'planned'", "DROP INDEX one_live_attempt")
    ledger.begin("0000aaaa")
    assert cells(path, "SELECT count(*) FROM attempts") == [(2,)]


@pytest.mark.parametrize("ending", ["accepted", "refused", "unknown"])
def test_only_a_busy_attempt_is_followed_by_another(
    ledger: Ledger, path: Path, make_job: MakeJob, ending: str
) -> None:
    """An attempt that was accepted, refused or lost is the job's last one."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    by_hand(path, f"UPDATE attempts SET ending = '{ending}'", "UPDATE jobs SET state = 'planned'")  # noqa: S608 - ours
    with pytest.raises(StorageError):
        ledger.begin("0000aaaa")


def test_a_busy_provider_is_asked_again(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """An attempt that was provably turned away leaves the job free to be sent again."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    job = ledger.move(ledger.job("0000aaaa"), State.PLANNED)
    assert (job.state, job.charge) == (State.PLANNED, Charge.NONE)
    ledger.begin("0000aaaa")
    assert cells(path, "SELECT ending FROM attempts ORDER BY id") == [("busy",), (None,)]


def test_begin_needs_a_planned_job(ledger: Ledger, make_job: MakeJob) -> None:
    """A job in any other state is not sent, and neither is one that nobody planned."""
    others = [state for state in State if state is not State.PLANNED]
    ledger.plan([make_job(id=f"0000{n:04}", state=state) for n, state in enumerate(others)])
    for n in range(len(others)):
        with pytest.raises(StorageError, match="no longer planned"):
            ledger.begin(f"0000{n:04}")
    with pytest.raises(StorageError):
        ledger.begin("zzzzzzzz")


BEGIN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from seedream_cli.core.errors import StorageError
from seedream_cli.storage.ledger.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
print("open", flush=True)
sys.stdin.readline()
won = 0
for number in range(int(sys.argv[2])):
    try:
        ledger.begin(f"0000{number:04}")
        won += 1
    except StorageError:
        pass
print(won)
"""


def test_of_two_processes_one_begins(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Two processes that race for the same jobs begin each job exactly once between them."""
    count = 40
    ledger.plan([make_job(id=f"0000{n:04}") for n in range(count)])
    racers = [running(BEGIN, path, count) for _ in range(2)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "open\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    assert sum(int(said(racer)) for racer in racers) == count
    assert cells(path, "SELECT count(*), count(DISTINCT job) FROM attempts") == [(count, count)]


def test_of_many_threads_one_begins(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Eight threads that begin one job at the same moment spend once."""
    ledger.plan([make_job()])
    gate, results = threading.Barrier(8), []

    def begin() -> None:
        gate.wait()
        try:
            ledger.begin("0000aaaa")
            results.append(True)
        except StorageError:
            results.append(False)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]
    assert cells(path, "SELECT count(*) FROM attempts") == [(1,)]


# -- the rate limit ----------------------------------------------------------------------------


class Hours:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        """Start now."""
        self.at = NOW

    def now(self) -> datetime:
        """Return the time."""
        return self.at

    def go(self, seconds: float) -> None:
        """Move on, or back."""
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def hours() -> Hours:
    """Return the clock of `paced`."""
    return Hours()


@pytest.fixture
def paced(path: Path, hours: Hours) -> Iterator[Ledger]:
    """Return a new ledger whose clock the test sets."""
    with closing(Ledger(path, now=hours.now)) as ledger:
        yield ledger


def names(count: int, first: int = 0) -> list[str]:
    """Return job ids."""
    return [f"0000{n:04}" for n in range(first, first + count)]


def test_what_a_limit_has_no_room_for_is_not_begun(
    paced: Ledger, path: Path, make_job: MakeJob, hours: Hours
) -> None:
    """The 21st submit in 10 s is refused before anything is written, and says how long to wait."""
    paced.plan([make_job(id=name) for name in names(21)])
    for name in names(20):
        paced.begin(name, TWENTY)
        hours.go(0.1)
    with pytest.raises(Throttled, match="20 requests in 10 s") as caught:
        paced.begin("00000020", TWENTY)
    assert (caught.value.exit, caught.value.code) == (69, "rate_limit")
    assert caught.value.seconds == pytest.approx(10 * 1.05 - 2.0, abs=0.002)
    assert cells(path, "SELECT state, charge, sent_at FROM jobs WHERE id = '00000020'") == [
        ("planned", "none", None)
    ]
    assert cells(path, "SELECT count(*) FROM attempts") == [(20,)]
    hours.go(caught.value.seconds)
    paced.begin("00000020", TWENTY)
    assert paced.job("00000020").state is State.SENDING


def test_without_a_limit_all_is_begun(paced: Ledger, make_job: MakeJob) -> None:
    """A rehearsal and a provider without a limit wait for nothing."""
    paced.plan([make_job(id=name) for name in names(30)])
    for name in names(30):
        paced.begin(name)


def test_an_attempt_that_was_turned_away_counts(paced: Ledger, make_job: MakeJob) -> None:
    """The provider counts what it answers with 429, too."""
    one = RateLimit(count=1, per=timedelta(seconds=10))
    paced.plan([make_job(id=name) for name in names(2)])
    paced.begin("00000000", one)
    paced.move(paced.job("00000000"), State.PLANNED)
    for name in names(2):
        with pytest.raises(Throttled):
            paced.begin(name, one)


def test_a_start_may_count_from_its_answer(paced: Ledger, make_job: MakeJob, hours: Hours) -> None:
    """Nobody knows when a request arrived but that it was before its answer."""
    one = RateLimit(count=1, per=timedelta(seconds=10), from_answer=True)
    paced.plan([make_job(id=name) for name in names(2)])
    paced.begin("00000000", one)
    hours.go(8.0)
    with pytest.raises(Throttled) as caught:
        paced.begin("00000001", one)
    assert caught.value.seconds == pytest.approx(10.5)  # it may arrive now
    paced.move(paced.job("00000000"), State.RUNNING, task_id="t")
    hours.go(4.0)
    with pytest.raises(Throttled) as caught:
        paced.begin("00000001", one)
    assert caught.value.seconds == pytest.approx(6.5)  # it had arrived four seconds ago
    hours.go(6.5)
    paced.begin("00000001", one)


def test_what_is_never_answered_does_not_count_for_ever(
    paced: Ledger, make_job: MakeJob, hours: Hours
) -> None:
    """A request that hangs, or whose process is dead, has arrived after half a minute or never."""
    one = RateLimit(count=1, per=timedelta(seconds=10), from_answer=True)
    paced.plan([make_job(id=name) for name in names(2)])
    paced.begin("00000000", one)
    hours.go(35.0)
    with pytest.raises(Throttled) as caught:
        paced.begin("00000001", one)
    assert caught.value.seconds == pytest.approx(5.5)
    paced.move(paced.job("00000000"), State.UNKNOWN)  # found by a later command
    hours.go(5.5)
    paced.begin("00000001", one)


def test_origins_have_limits_of_their_own(paced: Ledger, make_job: MakeJob) -> None:
    """What another API was sent does not count; what another model was sent does, here."""
    one = RateLimit(count=1, per=timedelta(seconds=10))
    paced.plan(
        [
            make_job(id="00000000"),
            make_job(id="00000001", origin="https://api.example.org"),
            make_job(id="00000002", model="seedream/5-lite"),
        ]
    )
    paced.begin("00000000", one)
    paced.begin("00000001", one)
    with pytest.raises(Throttled):
        paced.begin("00000002", one)


def test_images_are_counted_by_model(paced: Ledger, make_job: MakeJob) -> None:
    """A set counts as its pictures, a call for layers as 17, and each model by itself."""
    layers = {"layer_decomposition": True}
    paced.plan(
        [
            make_job(id="00000000", expected=20),
            make_job(id="00000001", recipe=layers),
            make_job(id="00000002", expected=14),
            make_job(id="00000003", expected=13),
            make_job(id="00000004", expected=50, model="other"),
        ]
    )
    paced.begin("00000000", FIFTY)
    paced.begin("00000001", FIFTY)
    with pytest.raises(Throttled, match="50 images in 60 s"):
        paced.begin("00000002", FIFTY)
    paced.begin("00000003", FIFTY)
    paced.begin("00000004", FIFTY)


def test_a_job_heavier_than_its_limit_goes_alone(
    paced: Ledger, make_job: MakeJob, hours: Hours
) -> None:
    """A request for more than a whole minute's pictures waits until nothing else counts."""
    paced.plan([make_job(id="00000000"), make_job(id="00000001", expected=100)])
    paced.begin("00000000", FIFTY)
    with pytest.raises(Throttled) as caught:
        paced.begin("00000001", FIFTY)
    hours.go(caught.value.seconds)
    paced.begin("00000001", FIFTY)


@pytest.mark.parametrize(("back", "is_room"), [(0.9, False), (1.1, True), (86_400.0, True)])
def test_a_clock_that_went_back_bars_nothing_for_long(
    paced: Ledger, make_job: MakeJob, hours: Hours, back: float, *, is_room: bool
) -> None:
    """A start that lies in the future counts for a second at most."""
    one = RateLimit(count=1, per=timedelta(seconds=10))
    paced.plan([make_job(id=name) for name in names(2)])
    paced.begin("00000000", one)
    hours.go(-back)
    if is_room:
        paced.begin("00000001", one)
    else:
        with pytest.raises(Throttled):
            paced.begin("00000001", one)


LIMITED = """
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from seedream_cli.core.errors import StorageError, Throttled
from seedream_cli.storage.ledger.ledger import Ledger
from seedream_cli.providers.spec import RateLimit
ledger = Ledger(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
print("open", flush=True)
sys.stdin.readline()
limit, won = RateLimit(count=7, per=timedelta(minutes=10)), 0
for number in range(int(sys.argv[2])):
    try:
        ledger.begin(f"0000{number:04}", limit)
        won += 1
    except (StorageError, Throttled):
        pass
print(won)
"""


def test_two_processes_share_a_limit(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Two processes that begin as many jobs as they can begin no more than the limit together."""
    count = 40
    ledger.plan([make_job(id=name) for name in names(count)])
    racers = [running(LIMITED, path, count) for _ in range(2)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "open\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    assert sum(int(said(racer)) for racer in racers) == 7
    assert cells(path, "SELECT count(*) FROM attempts") == [(7,)]


def test_a_limit_is_counted_by_an_index(paced: Ledger, path: Path, make_job: MakeJob) -> None:
    """Ten thousand attempts of before are not read: the index is walked over the span alone."""
    paced.plan([make_job()])
    paced.begin("0000aaaa", TWENTY)
    asked: list[str] = []
    with closing(sqlite3.connect(path)) as connection, paced._storage("read"):
        paced._connection().set_trace_callback(asked.append)
        assert paced.starts("https://api.example.com", "m", TWENTY) == [(0.0, 1)]
        paced._connection().set_trace_callback(None)
        (query,) = asked
        plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    (step,) = plan
    assert "COVERING INDEX attempts_by_start (origin=? AND started_at>? AND started_at<?)" in step


# -- steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("was", "becomes"), list(product(State, State)))
def test_only_lawful_steps_are_taken(
    ledger: Ledger, path: Path, make_job: MakeJob, was: State, becomes: State
) -> None:
    """The database itself refuses each pair of states that is not in the list of steps."""
    ledger.plan([make_job(state=was)])
    step = f"UPDATE jobs SET state = '{becomes}'"  # noqa: S608 - ours
    if becomes is was or becomes in LAWFUL[was]:
        by_hand(path, step)
        assert ledger.job("0000aaaa").state is becomes
    else:
        with pytest.raises(sqlite3.IntegrityError, match="cannot take this step"):
            by_hand(path, step)
        assert ledger.job("0000aaaa").state is was


def test_a_refused_step_changes_nothing(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Where the step is unlawful, nothing that came with it is written either."""
    ledger.plan([make_job(state=State.SAVED)])
    before = cells(path, "SELECT * FROM jobs")
    image = Image(job="0000aaaa", index=1, n=1, url="https://cdn.example.com/1.png")
    with pytest.raises(StorageError, match="cannot take this step"):
        ledger.move(ledger.job("0000aaaa"), State.READY, task_id="t1", images=[image])
    assert cells(path, "SELECT * FROM jobs") == before
    assert cells(path, "SELECT count(*) FROM images") == [(0,)]


def test_a_step_from_a_state_that_is_past_is_refused(ledger: Ledger, make_job: MakeJob) -> None:
    """Who holds an old view of a job learns that another process was first."""
    ledger.plan([make_job(state=State.RUNNING)])
    old = ledger.job("0000aaaa")
    ledger.move(old, State.READY)
    ledger.move(ledger.job("0000aaaa"), State.SAVED)
    with pytest.raises(StorageError, match="no longer running"):
        ledger.move(old, State.READY)
    assert ledger.job("0000aaaa").state is State.SAVED


def test_two_identical_steps_are_one(ledger: Ledger, make_job: MakeJob) -> None:
    """The same step from the same old view is taken once: the second one is told so."""
    ledger.plan([make_job(state=State.RUNNING)])
    old = ledger.job("0000aaaa")
    ledger.move(old, State.READY)
    with pytest.raises(StorageError, match="no longer running"):
        ledger.move(old, State.READY)


@pytest.mark.parametrize(
    ("becomes", "ending", "charge"),
    [
        (State.RUNNING, "accepted", Charge.CHARGED),
        (State.READY, "accepted", Charge.CHARGED),
        (State.REFUSED, "refused", Charge.NONE),
        (State.PLANNED, "busy", Charge.NONE),
        (State.UNKNOWN, "unknown", Charge.MAYBE),
        (State.FAILED, "accepted", Charge.NONE),
    ],
)
def test_a_step_ends_its_attempt(
    ledger: Ledger, path: Path, make_job: MakeJob, becomes: State, ending: str, charge: Charge
) -> None:
    """What became of a submit is written with the job's step, and what it cost."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    job = ledger.move(ledger.job("0000aaaa"), becomes)
    assert (job.state, job.charge) == (becomes, charge)
    assert cells(path, "SELECT ending, ended_at IS NOT NULL FROM attempts") == [(ending, 1)]


# -- what stays --------------------------------------------------------------------------------


def test_a_task_id_stays(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """No statement clears or changes a task id, and no step replaces one."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    ledger.move(ledger.job("0000aaaa"), State.RUNNING, task_id="t1")
    for value in ("NULL", "'t2'"):
        with pytest.raises(sqlite3.IntegrityError, match="task id"):
            by_hand(path, f"UPDATE jobs SET task_id = {value}")  # noqa: S608 - ours
    assert ledger.move(ledger.job("0000aaaa"), State.READY, task_id="t2").task_id == "t1"


def test_a_person_replaces_a_task_that_a_person_named(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """The task id that stands for another one is the one that was said; the old one is kept."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    job = ledger.move(ledger.job("0000aaaa"), State.UNKNOWN)
    for task in ("t1", "t2"):
        (job,) = ledger.settle([Settlement(job=job, word="adopt", task_id=task)])
    assert (job.state, job.charge, job.task_id) == (State.RUNNING, Charge.CHARGED, "t2")
    assert cells(path, "SELECT adopted, state, task_id FROM settlements") == [
        ("t1", "unknown", None),
        ("t2", "running", "t1"),
    ]
    for value in ("NULL", "'t1'", "'t3'"):
        with pytest.raises(sqlite3.IntegrityError, match="task id"):
            by_hand(path, f"UPDATE jobs SET task_id = {value}")  # noqa: S608 - ours
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        by_hand(path, "DELETE FROM settlements")


def test_what_was_named_wrongly_is_waited_for_no_more(ledger: Ledger, make_job: MakeJob) -> None:
    """A picture's address stands for another one, which keeps its own; then one job is closed."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    job = ledger.move(ledger.job("0000aaaa"), State.UNKNOWN)
    for k in (1, 2):
        image = Image(job=job.id, index=k, n=k, url=f"https://cdn.example.com/{k}")
        (job,) = ledger.settle([Settlement(job=job, word="adopt", image=image)])
    assert job.state is State.READY
    assert [(image.url, image.problem is None) for image in job.images] == [
        ("https://cdn.example.com/1", False),
        ("https://cdn.example.com/2", True),
    ]
    assert ledger.list_adopted(job.id) == {image.url for image in job.images}
    (job,) = ledger.settle([Settlement(job=job, word="write-off")])
    assert (job.state, job.charge, job.finished_at) == (State.CLOSED, Charge.MAYBE, NOW)


def test_several_are_settled_or_none(ledger: Ledger, make_job: MakeJob) -> None:
    """Where one of them has moved on meanwhile, nothing is written down of any."""
    ledger.plan([make_job(id=i, purchase_digest=i) for i in ("00000001", "00000002")])
    for i in ("00000001", "00000002"):
        ledger.begin(i)
    first, second = ledger.move(ledger.job("00000001"), State.UNKNOWN), ledger.job("00000002")
    gone = replace(second, state=State.UNKNOWN)
    with pytest.raises(Overtaken):
        ledger.settle([Settlement(job=each, word="not-charged") for each in (first, gone)])
    assert ledger.job("00000001").state is State.UNKNOWN
    (job,) = ledger.settle([Settlement(job=first, word="not-charged")])
    assert (job.state, job.charge) == (State.CLOSED, Charge.NONE)


def test_a_url_stays(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """No statement clears a URL; a fresh one may take its place."""
    ledger.plan([make_job()])
    image = Image(job="0000aaaa", index=1, n=1, url="https://cdn.example.com/1.png")
    ledger.put_image(image)
    with pytest.raises(sqlite3.IntegrityError, match="URL"):
        by_hand(path, "UPDATE images SET url = NULL")
    with pytest.raises(StorageError, match="URL"):
        ledger.put_image(replace(image, url=None))
    ledger.put_image(replace(image, url="https://cdn.example.com/2.png"))
    (kept,) = ledger.job("0000aaaa").images
    assert kept.url == "https://cdn.example.com/2.png"


@pytest.mark.parametrize("table", ["jobs", "attempts", "images"])
def test_rows_stay(ledger: Ledger, path: Path, make_job: MakeJob, table: str) -> None:
    """No statement deletes a job, an attempt or an image, and with it a task id or a URL."""
    ledger.plan([make_job(), make_job(id="0000bbbb", task_id="t9", state=State.RUNNING)])
    ledger.begin("0000aaaa")
    ledger.put_image(Image(job="0000aaaa", index=1, n=1, url="https://cdn.example.com/1.png"))
    before = cells(path, f"SELECT * FROM {table}")  # noqa: S608 - ours
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        by_hand(path, f"DELETE FROM {table}")  # noqa: S608 - ours
    assert cells(path, f"SELECT * FROM {table}") == before  # noqa: S608 - ours


def test_a_task_belongs_to_one_job(ledger: Ledger, make_job: MakeJob) -> None:
    """A task id of one origin is adopted once; elsewhere the same id is another task."""
    ledger.plan([make_job(id="00000001", task_id="t1", state=State.RUNNING)])
    with pytest.raises(StorageError, match="UNIQUE"):
        ledger.plan([make_job(id="00000002", task_id="t1", state=State.RUNNING)])
    elsewhere = "https://api.example.org"
    ledger.plan([make_job(id="00000003", task_id="t1", state=State.RUNNING, origin=elsewhere)])
    assert [job.id for job in ledger.jobs()] == ["00000003", "00000001"]


def test_a_failed_plan_leaves_nothing(ledger: Ledger, make_job: MakeJob) -> None:
    """The jobs of a command are planned all or none."""
    with pytest.raises(StorageError):
        ledger.plan([make_job(id="00000001"), make_job(id="00000002"), make_job(id="00000001")])
    assert ledger.jobs() == []


# -- the same purchase -------------------------------------------------------------------------


def test_an_unknown_purchase_holds_back_its_like(ledger: Ledger, make_job: MakeJob) -> None:
    """What may have been bought is not bought again, unless the person names that job."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    ledger.move(ledger.job("0000aaaa"), State.UNKNOWN)
    again = make_job(id="0000bbbb")
    with pytest.raises(OutcomeUnknown, match="0000aaaa"):
        ledger.plan([again])
    with pytest.raises(OutcomeUnknown, match="0000aaaa"):
        ledger.plan([again], despite=["0000cccc"])
    assert [job.id for job in ledger.jobs()] == ["0000aaaa"]
    ledger.plan([make_job(id="0000dddd", purchase_digest="e" * 64)])
    ledger.plan([again], despite=["0000aaaa"])
    assert [job.id for job in ledger.jobs()] == ["0000bbbb", "0000dddd", "0000aaaa"]


@pytest.mark.parametrize("state", [State.RUNNING, State.READY])
def test_a_purchase_under_way_is_joined(ledger: Ledger, make_job: MakeJob, state: State) -> None:
    """The same request for the same file takes on the job that is under way; others are bought."""
    output = naming.plan("fox-{n}.png", base="/art").to_json()
    ledger.plan([make_job(id="00000001", state=state, output=output)])
    same = make_job(id="00000002", output=output)
    other = make_job(id="00000003", output=naming.plan("other.png", base="/art").to_json())
    second = make_job(id="00000004", output=output, first_n=2)
    taken = ledger.plan([same, other, second])
    assert [job.id for job in taken] == ["00000001", "00000003", "00000004"]
    assert [job.id for job in ledger.jobs()] == ["00000004", "00000003", "00000001"]


def test_jobs_that_are_named_by_their_id_are_never_joined(
    ledger: Ledger, make_job: MakeJob
) -> None:
    """With the job's id in the name, the same request goes to another file."""
    ledger.plan([make_job(id="00000001", state=State.RUNNING)])
    assert [job.id for job in ledger.plan([make_job(id="00000002")])] == ["00000002"]


# -- what comes back ---------------------------------------------------------------------------


def bought(ledger: Ledger, make_job: MakeJob, *, expired: bool = False) -> Job:
    """Leave a job whose one picture was saved, or was lost."""
    job = make_job()
    ledger.plan([job])
    ledger.begin(job.id)
    image = Image(job=job.id, index=1, n=1, url="https://x.example/1", sha256="a" * 64)
    job = ledger.move(ledger.job(job.id), State.READY, images=[image])
    problem = Problem("expired", "gone") if expired else None
    saved = replace(image, path=None if expired else "/a/1.png", problem=problem)
    ledger.put_image(replace(saved, saved_at=None if expired else NOW))
    return ledger.move(job, State.EXPIRED if expired else State.SAVED, problem=problem)


def test_a_job_is_taken_on_in_one_piece(ledger: Ledger, make_job: MakeJob) -> None:
    """Its owner, row and output are ours, and the pictures that are named are wanted again."""
    job = bought(ledger, make_job)
    ours = replace(job, owner="me000000", row="cover", output={"template": "x"})
    taken = ledger.take_on(job, ours, [1])
    assert (taken.owner, taken.row, taken.output) == ("me000000", "cover", {"template": "x"})
    assert (taken.state, taken.images[0].saved_at, taken.images[0].path) == (
        State.SAVED,
        None,
        None,
    )
    assert taken.images[0].sha256 == "a" * 64


@pytest.mark.parametrize("was", ["state", "owner"])
@pytest.mark.parametrize("deed", ["take_on", "adopt"])
def test_who_was_overtaken_takes_nothing(
    ledger: Ledger, make_job: MakeJob, was: str, deed: str
) -> None:
    """A job that is not any more what was read of it stays whole with whoever has it."""
    job = bought(ledger, make_job)
    changed = {"state": State.READY} if was == "state" else {"owner": "older000"}
    read, ours = replace(job, **changed), replace(job, owner="me000000", output={})
    images = [replace(job.images[0], path="/b/1.png")]
    deeds = {
        "take_on": lambda: ledger.take_on(read, ours, [1]),
        "adopt": lambda: ledger.adopt(read, ours, images),
    }
    with pytest.raises(Overtaken):
        deeds[deed]()
    assert ledger.job(job.id) == job


def test_a_picture_is_adopted_where_it_lies(ledger: Ledger, make_job: MakeJob) -> None:
    """Its path is the one it has now, and when it was saved stays."""
    job = bought(ledger, make_job)
    adopted = ledger.adopt(job, job, [replace(job.images[0], path="/b/1.png")])
    assert adopted.images == (replace(job.images[0], path="/b/1.png"),)


def test_a_lost_picture_that_is_there_makes_its_job_whole(
    ledger: Ledger, make_job: MakeJob
) -> None:
    """What was given up is saved, and nothing is said against it any more."""
    job = bought(ledger, make_job, expired=True)
    adopted = ledger.adopt(job, job, [replace(job.images[0], path="/b/1.png")])
    assert (adopted.state, adopted.problem) == (State.SAVED, None)
    assert (adopted.images[0].problem, adopted.images[0].saved_at) == (None, NOW)


def test_a_job_comes_back_as_it_was(ledger: Ledger, make_job: MakeJob) -> None:
    """Every field of a planned job survives the ledger, exact to the digit and the microsecond."""
    job = make_job(
        prompt="ein Fuchs “狐” 🦊\n\x1b[31m",
        price=Money(Decimal("0.0325"), "USD"),
        row="hero",
        sandbox=True,
        expected=4,
        first_n=3,
        created_at=NOW,
    )
    ledger.plan([job])
    assert ledger.job(job.id) == job


def test_a_step_is_returned_as_it_was_written(ledger: Ledger, make_job: MakeJob) -> None:
    """What comes with a step is in the job that move() returns: ids, cost, images, problem."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    problem = Problem("content_policy", "the second one is missing", "change the prompt")
    images = (
        Image(job="0000aaaa", index=1, n=1, url="https://cdn.example.com/1", expires_at=NOW),
        Image(job="0000aaaa", index=2, n=2, problem=problem, name="sky"),
    )
    cost = Money(Decimal("0.06"), "CNY")
    sending = ledger.job("0000aaaa")
    job = ledger.move(sending, State.READY, task_id="t1", request_id="r1", cost=cost, images=images)
    assert job.images == images
    assert (job.task_id, job.request_id, job.cost) == ("t1", "r1", cost)
    assert job.finished_at is None
    job = ledger.move(job, State.SAVED, problem=problem)
    assert (job.problem, job.finished_at, job.cost) == (problem, NOW, cost)


def test_paths_that_are_no_text_survive(ledger: Ledger, make_job: MakeJob) -> None:
    """A file name with bytes that are no UTF-8 comes back as those bytes."""
    name = b"/tmp/caf\xe9 \xff.png".decode("utf-8", "surrogateescape")
    ledger.plan([make_job(output={"template": name})])
    saved = Image(job="0000aaaa", index=1, n=1, path=name, saved_at=NOW)
    ledger.put_image(saved)
    job = ledger.job("0000aaaa")
    assert job.images == (saved,)
    assert job.output == {"template": name}
    assert ledger.put_output(job, {"template": name * 2}).output == {"template": name * 2}


def test_text_that_is_no_text_is_a_storage_error(ledger: Ledger, make_job: MakeJob) -> None:
    """A lone surrogate where text belongs is refused before anything is written."""
    with pytest.raises(StorageError):
        ledger.plan([make_job(prompt="\ud800")])
    assert ledger.jobs() == []


def test_what_is_given_up_is_marked_until_it_gets_on(ledger: Ledger, make_job: MakeJob) -> None:
    """The first time counts; the next step of the job takes the mark away."""
    ledger.plan([make_job()])
    ledger.begin("0000aaaa")
    job = ledger.move(ledger.job("0000aaaa"), State.RUNNING, task_id="t")
    ledger.put_exhausted(job.id)
    assert ledger.job(job.id).exhausted_at == NOW
    assert ledger.move(job, State.READY).exhausted_at is None


def test_the_newest_answer_says_when_it_was_heard(ledger: Ledger, make_job: MakeJob) -> None:
    """Its time is ours, its headers are the server's; of which kind its address was is kept."""
    ledger.plan([make_job()])
    assert ledger.newest_hearing("0000aaaa") is None
    headers = {"date": "Sat, 21 Nov 2026 10:00:00 GMT"}
    reply = Reply(purpose=Purpose.POLL, status=200, headers=headers, body=b"{}", peer="fake-ip")
    ledger.store("0000aaaa", reply)
    assert ledger.newest_hearing("0000aaaa") == (NOW, headers)
    assert ledger.job("0000aaaa").peer == "fake-ip"
    ledger.store("0000aaaa", replace(reply, peer=""))
    assert ledger.job("0000aaaa").peer == "fake-ip"


def test_answers_come_back_byte_for_byte(ledger: Ledger, make_job: MakeJob) -> None:
    """A stored answer is what came over the wire, whatever its bytes and headers are."""
    ledger.plan([make_job()])
    body = bytes(range(256)) * 4097
    headers = {"content-type": "text/html", "x-odd": "caf\xe9 \ud800"}
    replies = [
        Reply(purpose=Purpose.SUBMIT, status=200, headers=headers, body=body),
        Reply(purpose=Purpose.SUBMIT, status=599, headers={}, body=b""),
    ]
    for reply in replies:
        ledger.store("0000aaaa", reply)
    assert ledger.answers("0000aaaa", Purpose.SUBMIT) == replies
    assert ledger.answers("0000aaaa", Purpose.POLL) == []


def test_of_polls_the_newest_is_kept(ledger: Ledger, make_job: MakeJob) -> None:
    """A later poll replaces an earlier one and touches neither the submit nor another job."""
    ledger.plan([make_job(), make_job(id="0000bbbb")])

    def reply(purpose: Purpose, body: bytes) -> Reply:
        return Reply(purpose=purpose, status=200, headers={}, body=body)

    ledger.store("0000aaaa", reply(Purpose.SUBMIT, b"s"))
    ledger.store("0000bbbb", reply(Purpose.POLL, b"other"))
    for body in (b"1", b"2", b"3"):
        ledger.store("0000aaaa", reply(Purpose.POLL, body))
    assert [found.body for found in ledger.answers("0000aaaa", Purpose.POLL)] == [b"3"]
    assert [found.body for found in ledger.answers("0000aaaa", Purpose.SUBMIT)] == [b"s"]
    assert [found.body for found in ledger.answers("0000bbbb", Purpose.POLL)] == [b"other"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"odd": {"pic": "https://cdn.example/1.png"}}',
        b'{"pic": "HTTPS:\\/\\/cdn.example\\/1.png"}',
        b'{"pic": "Data:image/png;base64,QUJD"}',
        b'{"pic": "spill:0:90000:abc"}',
        b'{"pic": "' + b"QUJD" * 2000 + b'"}',
    ],
)
def test_a_later_poll_deletes_no_picture(ledger: Ledger, make_job: MakeJob, body: bytes) -> None:
    """What may hold a picture or its address stays, once, whatever is heard after it."""
    ledger.plan([make_job()])
    for each in (body, b"<html>502</html>", body, b'{"state": "generating"}', b"{}"):
        reply = Reply(purpose=Purpose.POLL, status=200, headers={}, body=each)
        ledger.store("0000aaaa", reply)
    assert [found.body for found in ledger.answers("0000aaaa", Purpose.POLL)] == [body, b"{}"]


def test_the_last_answer_is_that_of_the_newest_attempt(ledger: Ledger, make_job: MakeJob) -> None:
    """What a busy provider said to an earlier attempt is never taken for the answer to a later."""
    ledger.plan([make_job()])
    replies = [
        Reply(purpose=Purpose.SUBMIT, status=status, headers={}, body=b"") for status in (429, 200)
    ]
    assert ledger.last_answer("0000aaaa") is None
    ledger.begin("0000aaaa")
    assert ledger.last_answer("0000aaaa") is None
    ledger.store("0000aaaa", replies[0])
    assert ledger.last_answer("0000aaaa") == replies[0]
    ledger.move(ledger.job("0000aaaa"), State.PLANNED)
    ledger.begin("0000aaaa")
    assert ledger.last_answer("0000aaaa") is None
    ledger.store("0000aaaa", replies[1])
    assert ledger.last_answer("0000aaaa") == replies[1]


def test_an_upload_is_remembered_while_it_lives(ledger: Ledger) -> None:
    """The newest address of the same bytes at the same origin is used again, until it is old."""
    first, second = "https://cdn.example.com/1", "https://cdn.example.com/2"
    ledger.put_upload("https://api.example.com", "d" * 64, first)
    ledger.put_upload("https://api.example.com", "d" * 64, second)
    earlier = NOW - timedelta(days=1)
    assert ledger.upload("https://api.example.com", "d" * 64, earlier) == second
    assert ledger.upload("https://api.example.com", "d" * 64, NOW) is None
    assert ledger.upload("https://api.example.com", "e" * 64, earlier) is None
    assert ledger.upload("https://api.example.org", "d" * 64, earlier) is None


def test_jobs_are_listed_newest_first(ledger: Ledger, make_job: MakeJob) -> None:
    """The order is that of planning; a limit takes the newest, a condition chooses."""
    ids = ["0000zzzz", "0000aaaa", "0000mmmm"]
    for job_id in ids:
        ledger.plan([make_job(id=job_id)])
    assert [job.id for job in ledger.jobs()] == ids[::-1]
    assert [job.id for job in ledger.jobs(limit=2)] == ["0000mmmm", "0000aaaa"]
    assert [job.id for job in ledger.with_prefix("0000a", limit=6)] == ["0000aaaa"]
    with pytest.raises(KeyError):
        ledger.job("0000")


def test_each_query_chooses_what_its_name_says(ledger: Ledger, make_job: MakeJob) -> None:
    """A state, an owner, a row, a picture: none is found that the name does not mean."""
    fields: dict[State, dict[str, object]] = {
        State.PLANNED: {},
        State.SENDING: {"owner": "owner002"},
        State.RUNNING: {"owner": "owner002", "task_id": "t1", "row": "hero", "expected": 4},
        State.UNKNOWN: {"row": "hero", "first_n": 5, "expected": 2},
        State.SAVED: {"row": "sea", "profile": "home", "run": "run00002"},
        State.READY: {"sandbox": True, "row": "hero", "purchase_digest": "e" * 64},
    }
    for state, changes in fields.items():
        job = make_job(id=f"0000{state.value[:4]}", purchase_digest=state.value, state=state)
        ledger.plan([replace(job, **changes)])  # type: ignore[arg-type] # real fields, as above
    ledger.put_image(Image(job="0000save", index=1, n=1, sha256="d" * 64))
    ledger.store("0000unkn", Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=b""))

    def states(jobs: list[Job]) -> list[str]:
        return [job.state.value for job in jobs]

    assert states(ledger.jobs(states=())) == []
    assert states(ledger.jobs(states={State.SAVED, State.READY})) == ["ready", "saved"]
    assert states(ledger.submitting()) == ["sending", "planned"]
    assert states(ledger.list_left_by("owner001")) == ["unknown", "planned"]
    assert states(ledger.list_accepted_but_of("owner001")) == ["running"]
    assert states(ledger.list_unsaved()) == ["ready", "running"]
    ledger.put_image(Image(job="0000save", index=2, n=2, url="https://images.example/2.png"))
    assert states(ledger.list_unsaved()) == ["ready", "saved", "running"]  # to be fetched once more
    assert states(ledger.list_unfinished_with("work")) == ["unknown", "running", "sending"]
    assert states(ledger.with_prefix("0000sa", limit=6)) == ["saved"]
    assert states(ledger.of_run("run00002")) == ["saved"]
    assert states(ledger.find_bought_with("e" * 64, sandbox=True, first_n=1)) == ["ready"]
    assert states(ledger.find_bought_with("e" * 64, sandbox=True, first_n=2)) == []
    assert states(ledger.find_bought_with("e" * 64, sandbox=False, first_n=1)) == []
    assert states(ledger.unknown_with("unknown", sandbox=False)) == ["unknown"]
    assert states(ledger.unknown_with("saved", sandbox=False)) == []
    assert states(ledger.with_image("d" * 64, sandbox=False)) == ["saved"]
    assert states(ledger.with_image("d" * 64, sandbox=False, states={State.READY})) == []
    assert states(ledger.of_row("hero")) == ["ready", "unknown", "running"]
    assert states(ledger.of_row("hero", limit=1)) == ["ready"]
    assert states(ledger.of_row("hero", sandbox=False)) == ["unknown", "running"]
    assert states(ledger.of_row("hero", sandbox=False, numbers=range(4, 5))) == ["running"]
    assert states(ledger.of_row("hero", states={State.UNKNOWN}, numbers=range(6, 9))) == ["unknown"]
    assert ledger.has_rows()
    found = ledger.with_task("https://api.example.com", "t1")
    assert found is not None
    assert found.state is State.RUNNING
    assert ledger.with_task("https://api.example.org", "t1") is None


def test_newest_runs_saved_a_picture(ledger: Ledger, make_job: MakeJob) -> None:
    """Runs that saved nothing and runs of a batch are no runs that a person means by last."""
    for n, (run, row, saved_at) in enumerate(
        [("first", None, NOW), ("batch", "hero", NOW), ("empty", None, None), ("third", None, NOW)]
    ):
        ledger.plan([make_job(id=f"0000000{n}", run=run, row=row)])
        ledger.put_image(Image(job=f"0000000{n}", index=1, n=1, saved_at=saved_at))
    assert ledger.newest_runs(5) == ["third", "first"]
    assert ledger.newest_runs(1) == ["third"]


# -- durability --------------------------------------------------------------------------------


def test_every_connection_is_durable(ledger: Ledger) -> None:
    """In every thread: rollback journal, synchronous EXTRA, foreign keys, 30 s of patience."""
    found = []

    def look() -> None:
        connection = ledger._connection()
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found.append([connection.execute(f"PRAGMA {name}").fetchall()[0][0] for name in names])

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    look()
    assert found == [["delete", EXTRA, 1, 30_000]] * 4
    assert len(ledger._pool.connections) == 4


def open_connections(ledger: Ledger) -> int:
    """Return how many connections a ledger has open now."""
    return len(ledger._pool.connections)


def test_threads_share_few_connections(ledger: Ledger, make_job: MakeJob) -> None:
    """Fifty threads that read and write at once have a handful open, and leave a few behind."""
    ledger.plan([make_job(id=name) for name in names(50)])
    gate, seen = threading.Barrier(50), []

    def work(name: str) -> None:
        gate.wait()
        ledger.begin(name)
        seen.append(open_connections(ledger))
        for _ in range(3):
            ledger.jobs()
            seen.append(open_connections(ledger))
        ledger.move(ledger.job(name), State.UNKNOWN)
        seen.append(open_connections(ledger))

    threads = [threading.Thread(target=work, args=(name,)) for name in names(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 50 * 5
    assert max(seen) <= READERS + 1
    assert open_connections(ledger) <= IDLE
    assert {job.state for job in ledger.jobs()} == {State.UNKNOWN}


def test_a_write_does_not_wait_for_readers(ledger: Ledger, make_job: MakeJob) -> None:
    """Where as many read as may, each about to write, whoever writes first is not held up."""
    ledger.plan([make_job(id=name) for name in names(READERS + 1)])
    gate, done = threading.Barrier(READERS + 1), []

    def read_and_write(name: str) -> None:
        with ledger._storage("read"):
            gate.wait()
            ledger.begin(name)
        done.append(name)

    def write(name: str) -> None:
        with ledger._write_lock:
            gate.wait()  # all readers are inside, and none can write
            ledger.begin(name)
        done.append(name)

    *others, last = names(READERS + 1)
    threads = [threading.Thread(target=read_and_write, args=(n,), daemon=True) for n in others]
    threads.append(threading.Thread(target=write, args=(last,), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(done) == [*others, last]


def test_a_read_waits_for_a_commit_and_holds_up_none(ledger: Ledger, make_job: MakeJob) -> None:
    """SQLite would let it sleep and try again; inside a transaction nobody waits."""
    ledger.plan([make_job()])
    with ledger._write():
        read = threading.Thread(target=ledger.jobs, daemon=True)
        read.start()
        read.join(timeout=10)
        assert not read.is_alive(), "a transaction that is not committed yet bars no reader"
    with ledger._pool.gate:
        read = threading.Thread(target=ledger.jobs, daemon=True)
        read.start()
        read.join(timeout=0.05)
        assert read.is_alive()
    read.join(timeout=10)
    assert not read.is_alive()


def test_a_read_that_fails_gives_its_connection_back(ledger: Ledger, make_job: MakeJob) -> None:
    """What goes wrong inside, here or in SQLite, costs no connection."""
    ledger.plan([make_job()])
    for _ in range(READERS + 2):
        with pytest.raises(StorageError):
            ledger._select("no_such_column = 1")
        with suppress(ZeroDivisionError), ledger._storage("read"):
            ledger._connection().execute("SELECT 1").fetchall()
            raise ZeroDivisionError
    assert open_connections(ledger) == 1
    assert len(ledger.jobs()) == 1


def test_nested_uses_share_a_connection(ledger: Ledger, make_job: MakeJob) -> None:
    """A read inside a write sees what is written, and the write goes on after it."""
    ledger.plan([make_job()])
    with ledger._write() as connection:
        connection.execute("UPDATE jobs SET prompt = 'a crow'")
        assert ledger.job("0000aaaa").prompt == "a crow"
        assert ledger._connection() is connection
    assert ledger.job("0000aaaa").prompt == "a crow"


def test_a_connection_that_is_stuck_is_closed(ledger: Ledger, make_job: MakeJob) -> None:
    """A connection on which a transaction was left open is used by nobody else."""
    ledger.plan([make_job()])
    with ledger._storage("read"):
        stuck = ledger._connection()
        stuck.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.ProgrammingError):
        stuck.execute("SELECT 1")
    assert open_connections(ledger) == 0
    ledger.begin("0000aaaa")


def test_a_connection_that_cannot_be_opened_is_not_kept(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """A ledger that is spoiled leaves no half-open connections behind."""
    ledger.plan([make_job()])
    with suppress(StorageError), ledger._storage("read"):
        ledger._connection().close()
    path.write_bytes(b"\xff" * path.stat().st_size)
    for _ in range(3):
        with pytest.raises(StorageError):
            ledger.jobs()
    assert open_connections(ledger) == 0


OPENS = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from seedream_cli.storage.ledger.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
"""
BEGINS = f"""{OPENS}
os.write(1, b"MARK before")
ledger.begin("0000aaaa")
os.write(1, b"MARK after")
"""


def straced(tmp_path: Path, path: Path, script: str) -> list[str]:
    """Return what a process that uses a ledger asked of the file system."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        pytest.skip("strace is not here: NOBODY PROVED that what is written is flushed to the disk")
    log = tmp_path / "calls"
    calls = "trace=fsync,fdatasync,unlink,unlinkat,write,pwrite64"
    traced = ["strace", "-f", "-y", "-o", str(log), "-e", calls]
    python = [sys.executable, "-P", "-c", script, str(path)]
    done = subprocess.run([*traced, *python], capture_output=True, check=False)
    if b"ptrace" in done.stderr.lower():
        pytest.skip("strace may not trace here: NOBODY PROVED that what is written is flushed")
    assert done.returncode == 0, done.stderr
    return log.read_text(errors="replace").splitlines()


def test_begin_flushes_database_and_folder(
    tmp_path: Path, ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """Before begin() returns, journal, database and folder are flushed, in a safe order."""
    ledger.plan([make_job()])
    lines = straced(tmp_path, path, BEGINS)
    first, last = (
        next(n for n, line in enumerate(lines) if f'"MARK {word}' in line)
        for word in ("before", "after")
    )
    folder, kinds = re.escape(str(path.parent)), []
    meanings = {
        "journal": rf"f(data)?sync\(\d+<{folder}/ledger\.db-journal>\)",
        "folder": rf"f(data)?sync\(\d+<{folder}>\)",
        "write": rf"pwrite64\(\d+<{folder}/ledger\.db>",
        "database": rf"f(data)?sync\(\d+<{folder}/ledger\.db>\)",
        "commit": r"unlink(at)?\(.*ledger\.db-journal",
    }
    for line in lines[first:last]:
        kinds += [kind for kind, meaning in meanings.items() if re.search(meaning, line)]
    writes = [n for n, kind in enumerate(kinds) if kind == "write"]
    before, after = kinds[: writes[0]], kinds[writes[-1] + 1 :]
    assert {"journal", "folder"} <= set(before), "the way back is flushed before the change"
    assert after == ["database", "commit", "folder"], "and the change before the way back goes"


def test_the_birth_note_is_flushed(tmp_path: Path, path: Path) -> None:
    """The note that tells an emptied ledger from a new one is on disk, too."""
    lines = straced(tmp_path, path, OPENS)
    assert any(re.search(r"fsync\(\d+<.*ledger\.birth>\)", line) for line in lines)


# -- company -----------------------------------------------------------------------------------

CREATE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from seedream_cli.storage.ledger.ledger import Ledger
print("ready", flush=True)
sys.stdin.readline()
for number in range(15):
    path = Path(sys.argv[1]) / str(number) / "ledger.db"
    ledger = Ledger(path, now=lambda: datetime.now(UTC))
    assert not ledger.jobs()
    ledger.close()
print("done")
"""


def test_processes_create_one_ledger_together(tmp_path: Path) -> None:
    """Three processes that make the same new ledgers at the same moment all succeed."""
    makers = [running(CREATE, tmp_path) for _ in range(3)]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    assert [said(maker) for maker in makers] == ["done"] * 3
    for number in range(15):
        path = tmp_path / str(number) / "ledger.db"
        ((birth,),) = cells(path, "SELECT value FROM meta WHERE key = 'birth'")
        assert path.with_suffix(".birth").read_text() == birth


def test_a_write_waits_for_another_process(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """A ledger that is held by another writer is waited for, not given up."""
    ledger.plan([make_job()])
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.3, other.execute, ["COMMIT"])
        started = time.monotonic()
        timer.start()
        ledger.begin("0000aaaa")
        assert time.monotonic() - started >= 0.25
        timer.join()
    assert ledger.job("0000aaaa").state is State.SENDING


def test_plans_of_several_processes_do_not_clash(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """A plan that reads before it writes holds the ledger from its start: none is turned away."""
    errors: list[StorageError] = []
    gate = threading.Barrier(3)

    def plan(worker: int) -> None:
        with closing(Ledger(path, now=lambda: NOW)) as own:
            gate.wait()
            for number in range(40):
                try:
                    own.plan([make_job(id=f"{worker}000{number:04}")])
                except StorageError as error:
                    errors.append(error)

    workers = [threading.Thread(target=plan, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    assert len(ledger.jobs()) == 120


def test_a_reader_holds_no_writer_up(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """Every SELECT is read to its end, so that another process commits at once."""
    ledger.plan([make_job(id=f"0000{n:04}") for n in range(300)])
    ledger.store("00000001", Reply(purpose=Purpose.POLL, status=200, headers={}, body=b"x"))
    ledger.jobs()
    ledger.job("00000001")
    ledger.answers("00000001", Purpose.POLL)
    ledger.newest_runs(3)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("UPDATE jobs SET prompt = 'a crow'")


# -- ledgers that are not sound ----------------------------------------------------------------


def opened(path: Path) -> Ledger:
    """Open a ledger again."""
    return Ledger(path, now=lambda: NOW)


@pytest.fixture
def used(path: Path, make_job: MakeJob) -> Path:
    """Return the path of a ledger that holds a job and is closed."""
    with closing(opened(path)) as ledger:
        ledger.plan([make_job()])
    return path


def test_a_damaged_ledger_is_refused_and_kept(used: Path) -> None:
    """A file that is no database stops us, and stays as it is for whoever can mend it."""
    damaged = b"not a database" * 1000
    used.write_bytes(damaged)
    with pytest.raises(StorageError):
        opened(used)
    assert used.read_bytes() == damaged


@pytest.mark.parametrize("is_valid", [False, True])
def test_an_emptied_ledger_is_refused_and_kept(used: Path, *, is_valid: bool) -> None:
    """A ledger that was born and holds nothing now has lost what was paid for: we stop."""
    used.write_bytes(b"")
    if is_valid:
        by_hand(used, "VACUUM", "CREATE TABLE t (x)", "DROP TABLE t")
    before = used.read_bytes()
    with pytest.raises(StorageError, match="empty"):
        opened(used)
    assert used.read_bytes() == before


def test_an_empty_file_without_a_past_is_a_new_ledger(path: Path, make_job: MakeJob) -> None:
    """What a kill left of the very first start is no loss: it is made anew."""
    path.parent.mkdir()
    path.touch()
    with closing(opened(path)) as ledger:
        ledger.plan([make_job()])
        assert len(ledger.jobs()) == 1
    assert path.with_suffix(".birth").exists()


def test_a_ledger_that_was_moved_aside_is_followed_by_a_new_one(used: Path) -> None:
    """Our own advice works: another ledger, with a birth of its own, takes the place."""
    old = used.with_suffix(".birth").read_text()
    used.rename(used.with_suffix(".aside"))
    with closing(opened(used)) as ledger:
        assert ledger.jobs() == []
    assert used.with_suffix(".birth").read_text() != old


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE bookmarks (id)"],
        ["CREATE TABLE jobs (id)", "PRAGMA application_id = 7"],
        ["CREATE TABLE jobs (id)", "PRAGMA user_version = 1"],
    ],
)
def test_a_foreign_database_is_refused_and_kept(path: Path, statements: list[str]) -> None:
    """Another program's database is neither used nor changed."""
    path.parent.mkdir()
    by_hand(path, *statements)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        opened(path)
    assert path.read_bytes() == before


def test_a_folder_in_the_ledgers_place_is_refused(path: Path) -> None:
    """A path that cannot be a file is a storage error."""
    path.mkdir(parents=True)
    with pytest.raises(StorageError):
        opened(path)


def test_a_state_folder_that_cannot_be_made_is_refused(path: Path) -> None:
    """A file in the folder's place is a storage error."""
    path.parent.write_text("in the way")
    with pytest.raises(StorageError):
        opened(path)


def test_a_newer_ledger_is_read_and_never_written(used: Path, make_job: MakeJob) -> None:
    """What a newer seedream wrote can be listed here, and is left as it is."""
    by_hand(
        used, f"PRAGMA user_version = {len(SCHEMA) + 1}", "ALTER TABLE jobs ADD COLUMN mood TEXT"
    )
    before = used.read_bytes()
    with closing(opened(used)) as ledger:
        assert ledger.is_read_only
        (job,) = ledger.jobs()
        assert job == make_job()
        for write in writes(ledger, job).values():
            with pytest.raises(StorageError, match="newer"):
                write()
    assert used.read_bytes() == before


@pytest.fixture
def first(path: Path) -> Path:
    """Return a ledger of the first version, as the release of then left it: with rows in it."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA[0])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.executescript("""
            PRAGMA user_version = 1;
            INSERT INTO meta VALUES ('birth', 'abc');
            INSERT INTO jobs (id, run, owner, state, charge, provider, profile, origin, sandbox,
              model, prompt, request, recipe, fingerprint, output, first_n, expected, created_at)
            SELECT value, 'run00001', 'owner001', 'planned', 'none', 'kie', 'work',
              'https://api.example.com', 0, 'm', 'a fox', '{}', '{}', value, '{}', 1, 1,
              '2026-11-21T10:00:00.000000Z'
            FROM json_each('["00000001", "00000002"]');
            UPDATE jobs SET state = 'sending' WHERE id = '00000001';
            INSERT INTO attempts (job, started_at)
            VALUES ('00000001', '2026-11-21T10:00:05.000000Z');
            INSERT INTO images (job, idx, n, url)
            VALUES ('00000001', 1, 1, 'https://cdn.example.com/1.png');
        """)
    path.with_suffix(".birth").write_text("abc")
    return path


def test_a_ledger_of_the_first_version_is_brought_up(first: Path) -> None:
    """Its rows stay as they were, it takes new ones, and what was sent before counts nowhere."""
    with closing(opened(first)) as ledger:
        assert not ledger.is_read_only
        assert [job.id for job in ledger.jobs()] == ["00000002", "00000001"]
        assert ledger.job("00000001").images[0].url == "https://cdn.example.com/1.png"
        ledger.begin("00000002", RateLimit(count=1, per=timedelta(seconds=10)))
        ledger.move(ledger.job("00000001"), State.READY)
    assert cells(first, "PRAGMA user_version") == [(len(SCHEMA),)]
    assert cells(first, "SELECT job, origin, model, weight, ending FROM attempts ORDER BY id") == [
        ("00000001", None, None, None, "accepted"),
        ("00000002", "https://api.example.com", "m", 1, None),
    ]
    assert first.with_suffix(".birth").read_text() == "abc"


def test_a_move_to_the_second_version_that_fails_changes_nothing(first: Path) -> None:
    """A ledger that cannot be brought up stays one of the first version, rows and all."""
    by_hand(first, "CREATE TABLE attempts_by_start (x)")  # in the way of the index
    before = first.read_bytes()
    with pytest.raises(StorageError, match="attempts_by_start"):
        opened(first)
    assert first.read_bytes() == before
    assert cells(first, "PRAGMA user_version") == [(1,)]


def test_what_people_said_is_kept_on_the_way_to_the_fourth_version(first: Path) -> None:
    """Words that settled jobs come along whole, and are deleted by nobody there either."""
    with closing(sqlite3.connect(first)) as connection:
        connection.executescript("".join(SCHEMA[1:3]))
    by_hand(
        first,
        "PRAGMA user_version = 3",
        "INSERT INTO settlements (job, settled_at, word, adopted, state, charge, task_id, urls)"
        " VALUES ('00000002', '2026-11-30T10:00:00.000000Z', 'adopt', 't2', 'unknown', 'maybe',"
        " NULL, '[]')",
    )
    with closing(opened(first)) as ledger:
        assert not ledger.is_read_only
    kept = cells(first, "SELECT id, job, word, adopted, state, charge, urls FROM settlements")
    assert kept == [(1, "00000002", "adopt", "t2", "unknown", "maybe", "[]")]
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        by_hand(first, "DELETE FROM settlements")
    by_hand(first, "UPDATE settlements SET word = 'absence'")  # a word that the third lacks


def test_a_ledger_of_the_fourth_version_learns_durations(first: Path) -> None:
    """What was made before taught nothing; what is made from now on does."""
    with closing(sqlite3.connect(first)) as connection:
        connection.executescript("".join(SCHEMA[1:4]))
    by_hand(first, "PRAGMA user_version = 4")
    with closing(opened(first)) as ledger:
        assert not ledger.is_read_only
        job = ledger.job("00000001")
        assert ledger.durations(job) == ([], [])
        ledger.move(job, State.READY, made_seconds=21.5)
        assert ledger.durations(job) == ([21.5], [21.5])
        assert ledger.check() == ""
    assert cells(first, "PRAGMA user_version") == [(len(SCHEMA),)]


def test_versions_stay_as_they_were_released() -> None:
    """Ledgers of these versions lie on disks: their scripts are never edited."""
    digests = [hashlib.sha256(script.encode()).hexdigest()[:16] for script in SCHEMA]
    assert digests == [
        "d18bce2ba8533348",
        "2141665235a2c47f",
        "59bc0f9e3e088172",
        "bbb9aa4ed62bff0a",
        "8b69bf0ae8612fd5",
    ]


def test_the_schema_has_its_checksum(ledger: Ledger, path: Path) -> None:
    """The checksum that a sound ledger is known by is that of what the scripts make."""
    assert ledger.check() == ""
    with closing(sqlite3.connect(path)) as connection:
        assert schema_checksum(read_schema(connection)) == SCHEMA_CHECKSUM
        connection.execute("DROP INDEX jobs_by_state")
        assert schema_checksum(read_schema(connection)) != SCHEMA_CHECKSUM
        found = find_damage(connection, SCHEMA, SCHEMA_CHECKSUM)
    assert found == "its index jobs_by_state is not as it was made"


def test_the_current_version_is_marked(ledger: Ledger, path: Path) -> None:
    """A ledger says whose it is and which version wrote it."""
    assert not ledger.is_read_only
    assert cells(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert cells(path, "PRAGMA user_version") == [(len(SCHEMA),)]


# -- how long jobs took ------------------------------------------------------------------------


def finish(ledger: Ledger, job: Job, seconds: float | None) -> None:
    """Take a job to its pictures."""
    ledger.plan([job])
    ledger.begin(job.id)
    job = ledger.move(ledger.job(job.id), State.RUNNING, task_id=f"t-{job.id}")
    ledger.move(job, State.READY, made_seconds=seconds)


def test_durations_are_those_of_like_jobs(ledger: Ledger, make_job: MakeJob) -> None:
    """By API, provider and model, then by size; rehearsals teach rehearsals, whatever the port."""
    kinds: list[dict[str, object]] = [
        {},
        {"request": {"size": "4K"}},
        {"expected": 4},
        {"sandbox": True},
        {"model": "other"},
        {"provider": "fal"},
        {"request": {"size": None}},
        {"origin": "https://gateway.example"},
        {"sandbox": True, "origin": "http://127.0.0.1:4711"},
    ]
    jobs = [make_job(id=f"0000001{k}", **kind) for k, kind in enumerate(kinds)]
    for k, job in enumerate(jobs):
        finish(ledger, job, 10.0 + k)
    finish(ledger, make_job(id="00000009"), None)
    every = [16.0, 12.0, 11.0, 10.0]
    assert [ledger.durations(job) for job in jobs] == [
        (every, [10.0]),
        (every, [11.0]),
        (every, [12.0]),
        ([18.0, 13.0], [18.0, 13.0]),
        ([14.0], [14.0]),
        ([15.0], [15.0]),
        (every, [16.0]),
        ([17.0], [17.0]),
        ([18.0, 13.0], [18.0, 13.0]),
    ]


def test_a_duration_is_written_with_its_step_and_once(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """A step that does not happen teaches nothing, nor does a second one of the same job."""
    job = make_job()
    finish(ledger, job, 21.0)
    with pytest.raises(Overtaken):
        ledger.move(replace(job, state=State.RUNNING), State.READY, made_seconds=30.0)
    closed = ledger.move(ledger.job(job.id), State.CLOSED)
    ledger.move(closed, State.READY, made_seconds=40.0)
    assert cells(path, "SELECT made_seconds FROM durations") == [(21.0,)]
    commits = []
    with closing(sqlite3.connect(path)) as other:
        before = other.execute("PRAGMA data_version").fetchone()
        finish(ledger, make_job(id="00000002"), None)
        commits.append(other.execute("PRAGMA data_version").fetchone()[0] - before[0])
        before = other.execute("PRAGMA data_version").fetchone()
        finish(ledger, make_job(id="00000003"), 20.0)
        commits.append(other.execute("PRAGMA data_version").fetchone()[0] - before[0])
    assert commits[0] == commits[1]


def test_a_duration_that_no_column_takes_stops_no_step(ledger: Ledger, make_job: MakeJob) -> None:
    """What is no number is left out; the pictures count."""
    job = make_job()
    finish(ledger, job, float("nan"))
    assert ledger.job(job.id).state is State.READY
    assert ledger.durations(job) == ([], [])


def test_the_newest_durations_are_found_by_an_index_alone(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """Fifty of a hundred thousand, without a look at the others or a sort."""
    job = make_job()
    finish(ledger, job, 1.0)
    by_hand(
        path,
        "PRAGMA foreign_keys = OFF",
        "WITH RECURSIVE n (k) AS (SELECT 2 UNION ALL SELECT k + 1 FROM n WHERE k < 100000)"
        " INSERT INTO durations SELECT k, 0, 'https://api.example.com', 'kie',"
        " 'seedream/4.5-text-to-image',"
        " iif(k % 100, '4K', '2048x2048'), k FROM n",
    )
    of_model, of_size = ledger.durations(job)
    assert of_model == [100_000.0 - k for k in range(50)]
    assert of_size == [100_000.0 - 100 * k for k in range(50)]
    queries: list[str] = []
    connection = ledger._connection()
    connection.set_trace_callback(queries.append)
    ledger.durations(job)
    connection.set_trace_callback(None)
    plans = [cells(path, f"EXPLAIN QUERY PLAN {query}") for query in queries]
    words = [str(step[3]) for plan in plans for step in plan]
    assert [each.partition(" (")[0] for each in words] == [
        "SEARCH durations USING COVERING INDEX durations_by_model",
        "SEARCH durations USING COVERING INDEX durations_by_size",
    ]


DAY = Budget(Money(Decimal(1), "USD"), "day")


def writes(ledger: Ledger, job: Job) -> dict[str, Callable[[], object]]:
    """Return a call of every public method that writes."""
    reply = Reply(purpose=Purpose.SUBMIT, status=200, headers={}, body=b"{}")
    return {
        "plan": lambda: ledger.plan([replace(job, id="0000bbbb")]),
        "begin": lambda: ledger.begin(job.id),
        "store": lambda: ledger.store(job.id, reply),
        "move": lambda: ledger.move(job, State.CLOSED),
        "put_exhausted": lambda: ledger.put_exhausted(job.id),
        "settle": lambda: ledger.settle([Settlement(job=job, word="write-off")]),
        "settle_by": lambda: ledger.settle_by(lambda: [Settlement(job=job, word="absence")]),
        "put_look": lambda: ledger.put_look(job.id, LOOK),
        "put_cost": lambda: ledger.put_cost(job.id, Money(Decimal(1), "USD"), PROBLEM),
        "put_output": lambda: ledger.put_output(job, {}),
        "take_on": lambda: ledger.take_on(job, job, [1]),
        "adopt": lambda: ledger.adopt(job, job, [Image(job=job.id, index=1, n=1)]),
        "put_image": lambda: ledger.put_image(Image(job=job.id, index=1, n=1)),
        "replace_image": lambda: ledger.replace_image(Image(job=job.id, index=1, n=1), "d" * 64),
        "rename_image": lambda: ledger.rename_image("d" * 64, "/a.png", "/b.png"),
        "reopen": lambda: ledger.reopen(job, [1]),
        "let_go": lambda: ledger.let_go(Image(job=job.id, index=1, n=1)),
        "put_upload": lambda: ledger.put_upload(job.origin, "d" * 64, "https://cdn.example.com/1"),
    }


def reads(ledger: Ledger, job: Job) -> dict[str, Callable[[], object]]:
    """Return a call of every public method that reads."""
    attempt = Attempt(job=job, started_at=NOW, ended_at=NOW, body="{}", key_digest="d")
    return {
        "job": lambda: ledger.job(job.id),
        "jobs": ledger.jobs,
        "select": lambda: ledger.select(Selection(words="x")),
        "totals": lambda: ledger.totals(Selection()),
        "stored_answers": lambda: ledger.stored_answers(job.id),
        "list_adopted": lambda: ledger.list_adopted(job.id),
        "with_path": lambda: ledger.with_path("/a.png"),
        "has_account": lambda: ledger.has_account("work"),
        "answers": lambda: ledger.answers(job.id, Purpose.SUBMIT),
        "newest_hearing": lambda: ledger.newest_hearing(job.id),
        "last_answer": lambda: ledger.last_answer(job.id),
        "newest_runs": lambda: ledger.newest_runs(1),
        "upload": lambda: ledger.upload(job.origin, "d" * 64, NOW),
        "starts": lambda: ledger.starts(job.origin, job.model, TWENTY),
        "list_spending": lambda: ledger.list_spending(job.origin, None, DAY.span),
        "check_budget": lambda: ledger.check_budget(replace(job, price=DAY.most), DAY, None),
        "attempt": lambda: ledger.attempt(job),
        "attempts_of": lambda: ledger.attempts_of(job, NOW, NOW, bool),
        "list_accepted_between": lambda: ledger.list_accepted_between(attempt, NOW, NOW),
        "find_planned_like": lambda: ledger.find_planned_like(job),
        "find_ours": lambda: ledger.find_ours(job.origin, ["t1"]),
        "looks": lambda: ledger.looks(job.id),
        "list_absent": ledger.list_absent,
        "durations": lambda: ledger.durations(job),
        "submitting": ledger.submitting,
        "list_left_by": lambda: ledger.list_left_by(job.owner),
        "list_accepted_but_of": lambda: ledger.list_accepted_but_of(job.owner),
        "list_unsaved": ledger.list_unsaved,
        "list_unfinished_with": lambda: ledger.list_unfinished_with(job.profile),
        "with_task": lambda: ledger.with_task(job.origin, "t1"),
        "with_prefix": lambda: ledger.with_prefix(job.id, limit=6),
        "of_run": lambda: ledger.of_run(job.run),
        "find_bought_with": lambda: ledger.find_bought_with(
            job.purchase_digest, sandbox=False, first_n=1
        ),
        "unknown_with": lambda: ledger.unknown_with(job.purchase_digest, sandbox=False),
        "unknown_up_to": lambda: ledger.unknown_up_to(job),
        "open_with": lambda: ledger.open_with(job.purchase_digest),
        "with_image": lambda: ledger.with_image("d" * 64, sandbox=False),
        "has_rows": ledger.has_rows,
        "of_row": lambda: ledger.of_row("r1"),
    }


def test_every_method_is_tried_here(ledger: Ledger, make_job: MakeJob) -> None:
    """The two lists above name all public methods but close() and check(), which raises nothing."""
    public = {name for name in dir(Ledger) if not name.startswith("_")}
    assert public == {*writes(ledger, make_job()), *reads(ledger, make_job()), "close", "check"}


def test_a_closed_ledger_is_a_storage_error(ledger: Ledger, make_job: MakeJob) -> None:
    """No method lets SQLite's own errors out."""
    job = make_job()
    ledger.plan([job])
    ledger.close()
    for call in (writes(ledger, job) | reads(ledger, job)).values():
        with pytest.raises(StorageError):
            call()


def test_closing_waits_for_what_is_being_written(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """A thread in the midst of a transaction ends it; nobody takes its connection from it."""
    is_within, may_go_on = threading.Event(), threading.Event()

    def write() -> None:
        with ledger._write() as connection:
            is_within.set()
            may_go_on.wait()
            time.sleep(0.1)
            ledger._insert(connection, make_job())

    thread = threading.Thread(target=write)
    thread.start()
    is_within.wait()
    may_go_on.set()
    ledger.close()
    assert cells(path, "SELECT id FROM jobs") == [("0000aaaa",)]
    thread.join()
    with pytest.raises(StorageError):
        ledger.plan([make_job(id="0000bbbb")])


def test_closing_leaves_a_connection_to_the_thread_that_uses_it(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """A thread that is stuck keeps its connection: SQLite crashes where another closes it."""
    is_within, may_go_on = threading.Event(), threading.Event()
    ended = []

    def write() -> None:
        with ledger._write() as connection:
            is_within.set()
            may_go_on.wait()
            ledger._insert(connection, make_job())
        ended.append("well")

    thread = threading.Thread(target=write)
    thread.start()
    is_within.wait()
    ledger.close()
    may_go_on.set()
    thread.join()
    assert ended == ["well"]
    assert cells(path, "SELECT id FROM jobs") == [("0000aaaa",)]
    assert ledger._pool.connections == set()


def test_damage_midway_is_a_storage_error(ledger: Ledger, path: Path, make_job: MakeJob) -> None:
    """A file that is spoiled while it is in use stops every method with a storage error."""
    job = make_job()
    ledger.plan([job])
    path.write_bytes(b"\xff" * path.stat().st_size)
    for call in (writes(ledger, job) | reads(ledger, job)).values():
        with pytest.raises(StorageError):
            call()


def test_a_lost_images_table_is_a_storage_error(
    ledger: Ledger, path: Path, make_job: MakeJob
) -> None:
    """Also the second query of a job's reading says what is wrong in our words."""
    ledger.plan([make_job()])
    by_hand(path, "DROP TABLE images")
    with pytest.raises(StorageError):
        ledger.jobs()


def test_times_sort_as_text(ledger: Ledger, make_job: MakeJob) -> None:
    """Times of any zone are kept as UTC in one width, so that SQL can compare them."""
    ledger.plan([make_job(id="00000001", created_at=NOW.replace(microsecond=0))])
    ledger.plan([make_job(id="00000002", created_at=NOW + timedelta(seconds=1))])
    since = (NOW + timedelta(seconds=0.5)).astimezone(timezone(timedelta(hours=8)))
    assert [job.id for job in ledger.jobs(since=since)] == ["00000002"]
