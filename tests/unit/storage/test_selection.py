"""What a report asks the ledger: filters and sums in SQL, against a plain reading of all jobs."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedream_cli.core.model import Charge, Image, Money, State
from seedream_cli.storage.ledger.columns import money_text, time_text
from seedream_cli.storage.ledger.ledger import Ledger
from seedream_cli.storage.ledger.selection import Selection, cost_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from seedream_cli.core.model import Job

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PROMPTS = (
    "a red fox",
    "A RED HARE",
    "ein Fuchs in Grün",
    "EIN BÄR IN GRÜN",
    "cafe\u0301",
    "straße",
)
AMOUNTS = st.decimals("0", "99", places=6) | st.sampled_from([Decimal("0.1"), Decimal("0.10")])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger."""
    with closing(Ledger(tmp_path / "ledger.db", now=lambda: NOW)) as ledger:
        yield ledger


def write(ledger: Ledger, jobs: list[Job]) -> None:
    """Write jobs down as they are, whatever steps lead there."""
    ledger.plan([replace(job, state=State.PLANNED, task_id=None) for job in jobs])
    with ledger._write() as connection:
        connection.execute("DROP TRIGGER IF EXISTS only_known_steps")
        connection.executemany(
            "UPDATE jobs SET state = ?, charge = ?, cost = ? WHERE id = ?",
            [(j.state.value, j.charge.value, money_text(j.cost), j.id) for j in jobs],
        )
    for image in (image for job in jobs for image in job.images):
        ledger.put_image(image)


def drawn(make: Callable[..., Job], draw: st.DataObject, number: int) -> Job:
    """Draw a job in any state, with any cost."""
    money = st.none() | st.builds(Money, AMOUNTS, st.sampled_from(["USD", "CNY"]))
    job_id = f"{number:08}"
    at = NOW - timedelta(hours=draw.draw(st.integers(0, 50)))
    image = Image(
        job=job_id,
        index=1,
        n=1,
        url="https://example.com/1",
        expires_at=draw.draw(st.none() | st.just(NOW + timedelta(hours=1))),
        saved_at=draw.draw(st.none() | st.just(NOW)),
    )
    return make(
        id=job_id,
        purchase_digest=job_id,
        state=draw.draw(st.sampled_from(State)),
        charge=draw.draw(st.sampled_from(Charge)),
        sandbox=draw.draw(st.booleans()),
        price=draw.draw(money),
        cost=draw.draw(money),
        prompt=draw.draw(st.sampled_from(PROMPTS)),
        profile=draw.draw(st.sampled_from(["work", "kie"])),
        created_at=at,
        images=draw.draw(st.sampled_from([(), (image,)])),
    )


def is_meant(selection: Selection, job: Job) -> bool:
    """Tell what a filter means, as a plain reading of a job."""
    waits = [i for i in job.images if not i.saved_at]
    before = selection.lapses_before
    open_states = {State.SENDING, State.RUNNING, State.READY, State.UNKNOWN}
    return (
        (selection.states is None or job.state in selection.states)
        and (selection.account is None or selection.account in {job.profile, job.provider})
        and (selection.since is None or job.created_at >= selection.since)
        and (selection.words is None or selection.words.casefold() in job.prompt.casefold())
        and (not selection.is_unsaved or job.state in open_states)
        and (
            before is None
            or job.state is State.RUNNING
            or (
                job.state in {State.READY, State.UNKNOWN}
                and any(i.expires_at is None or i.expires_at <= before for i in waits)
            )
        )
    )


SELECTIONS = st.builds(
    Selection,
    states=st.none() | st.sets(st.sampled_from(State), max_size=3),
    account=st.none() | st.sampled_from(["work", "kie"]),
    since=st.none() | st.just(NOW - timedelta(hours=20)),
    words=st.none() | st.sampled_from(["red", "grün", "FOX"]),
    is_unsaved=st.booleans(),
    lapses_before=st.none() | st.sampled_from([NOW, NOW + timedelta(hours=2)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it has no state
@given(draw=st.data(), selections=st.lists(SELECTIONS, min_size=3, max_size=3))
def test_filters_and_sums_are_those_of_a_plain_reading(
    tmp_path_factory: pytest.TempPathFactory,
    make_job: Callable[..., Job],
    draw: st.DataObject,
    selections: list[Selection],
) -> None:
    """Whatever the ledger holds and whatever is asked, SQL finds and adds what a reader would."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    jobs = [drawn(make_job, draw, k) for k in range(draw.draw(st.integers(0, 12)))]
    with closing(Ledger(path, now=lambda: NOW)) as ledger:
        write(ledger, jobs)
        for selection in [Selection(), *selections]:
            meant = [job for job in reversed(jobs) if is_meant(selection, job)]
            assert [job.id for job in ledger.select(selection)] == [job.id for job in meant]
            costs = Counter(filter(None, map(cost_of, meant)))
            assert ledger.totals(selection) == (len(meant), costs)


@pytest.mark.parametrize(
    ("words", "found"),
    [("FUCHS", 1), ("grün", 2), ("GRÜN", 2), ("caf\u00e9", 1), ("STRASSE", 1), ("%", 0), ("", 6)],
)
def test_words_are_found_in_any_case(
    ledger: Ledger, make_job: Callable[..., Job], words: str, found: int
) -> None:
    """Letters of every script match in either case, accents as typed either way; `%` is a sign."""
    ids = [f"{k:08}" for k in range(len(PROMPTS))]
    ledger.plan(
        [make_job(id=i, purchase_digest=i, prompt=p) for i, p in zip(ids, PROMPTS, strict=True)]
    )
    assert ledger.totals(Selection(words=words))[0] == found


def fill(ledger: Ledger, count: int) -> None:
    """Write so many saved jobs down, each with its picture, by SQL alone."""
    at = time_text(NOW)
    with ledger._write() as connection:
        connection.execute(
            "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?)"
            " INSERT INTO jobs (id, run, owner, state, charge, provider, profile, origin, sandbox,"
            " model, prompt, request, recipe, fingerprint, output, first_n, expected, price,"
            " created_at) SELECT printf('%08d', k), 'run', 'owner', 'saved', 'charged', 'kie',"
            " 'kie', 'https://example.com', 0, 'm', 'a fox', '{}', '{}', k, '{}', 1, 1,"
            " '0.0325 USD', ? FROM n",
            (count, at),
        )
        connection.execute(
            "INSERT INTO images (job, idx, n, url, path, saved_at)"
            " SELECT id, 1, 1, 'https://example.com/1', '\"/p/' || id || '.png\"', ? FROM jobs",
            (at,),
        )


def steps(ledger: Ledger, ask: Callable[[], object]) -> tuple[int, list[str]]:
    """Return how many hundreds of SQLite's steps a question took, and its statements."""
    taken = [0]
    statements: list[str] = []

    def count() -> int:
        taken[0] += 1
        return 0

    with ledger._pool.lend(is_bounded=False):
        connection = ledger._connection()
        connection.set_progress_handler(count, 100)
        connection.set_trace_callback(statements.append)
        ask()
        connection.set_progress_handler(None, 0)
        connection.set_trace_callback(None)
    return taken[0], statements


def test_a_page_of_a_large_ledger_costs_what_one_of_a_small_does(
    ledger: Ledger, tmp_path: Path
) -> None:
    """The newest 20 of 5,000 jobs, with pictures, take two questions and no more steps."""
    fill(ledger, 5000)
    with closing(Ledger(tmp_path / "small.db", now=lambda: NOW)) as small:
        fill(small, 50)
        few, _ = steps(small, lambda: small.select(Selection(), limit=20))
    many, statements = steps(ledger, lambda: ledger.select(Selection(), limit=20))
    assert len(statements) == 2
    assert many <= few + 2


@pytest.mark.parametrize(
    ("selection", "uses"),
    [
        (Selection(), "COVERING INDEX jobs_by_cost"),
        (Selection(states={State.READY}), "INDEX jobs_by_state"),
        (Selection(is_unsaved=True), "INDEX jobs_by_state"),
        (Selection(since=NOW), "COVERING INDEX jobs_by_time"),
    ],
)
def test_sums_read_only_what_is_meant(ledger: Ledger, selection: Selection, uses: str) -> None:
    """Of all jobs an index alone has the sums; of those in a state only they are read."""
    fill(ledger, 5000)
    where, values = selection.where()
    _, statements = steps(ledger, lambda: ledger.totals(selection))
    with ledger._pool.lend(is_bounded=False):
        rows = ledger._connection().execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
    assert where
    assert values or selection.is_any
    assert any(uses in str(row) for row in rows), rows
