"""Every question to the ledger, by its name. Reading changes nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from seedream_cli.core.model import OPEN_STATES, Attempt, Charge, Purpose, Reply, State
from seedream_cli.core.text import clean
from seedream_cli.storage.ledger.columns import (
    UnreadableRow,
    decoding,
    image_of,
    job_of,
    key_digest,
    look_of,
    maker_of,
    money_of,
    path_text,
    size_of,
    time_at,
    time_text,
    words_of,
)
from seedream_cli.storage.ledger.damage import is_suspicious, read_jobs
from seedream_cli.storage.ledger.database import Database
from seedream_cli.storage.ledger.selection import Selection, cost_of, in_states

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from seedream_cli.core.budget import Spending
    from seedream_cli.core.model import Image, Job, Look, Money, Secret
    from seedream_cli.providers.spec import RateLimit

_AHEAD = timedelta(seconds=1)
"""How far ahead of our clock a start may lie: one beyond it was written before a clock went back,
and would bar all others for as long as that was."""
_AT_ONCE = 500
"""Jobs whose pictures are asked for by one question; SQLite before 3.32 takes 999 values."""


class Queries(Database):
    """What was asked, sent, answered and saved; jobs come newest first."""

    # -- jobs ----------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job:
        """Return the job with exactly this id; raise `KeyError` when there is none."""
        with self._storage("read"):
            found = self._rows("id = ?", (job_id,), limit=1)
            if not found:
                raise KeyError(job_id)
            return self._job(found[0])

    def jobs(
        self,
        *,
        states: Collection[State] | None = None,
        since: datetime | None = None,
        limit: int = -1,
        is_for_show: bool = False,
    ) -> list[Job]:
        """Return all jobs, or those in some states, or planned since then.

        Only for show a job comes without its pictures where these cannot be read.
        """
        selection = Selection(states=states, since=since)
        return self.select(selection, limit=limit, is_for_show=is_for_show)

    def select(
        self, selection: Selection, *, limit: int = -1, is_for_show: bool = False
    ) -> list[Job]:
        """Return the jobs that are meant, at most `limit` of them."""
        return self._select(*selection.where(), limit=limit, is_for_show=is_for_show)

    def totals(self, selection: Selection) -> tuple[int, Counter[tuple[Charge, Money]]]:
        """Return how many jobs are meant, and what they cost: how often which amount.

        Rehearsals cost nothing. Amounts are decimal text, so equal ones are counted: a sum of
        floats would not be exact. Of a damaged ledger, of those jobs that can be read.
        """
        where, values = selection.where()
        columns = ["charge", "sandbox", "cost", "price"]
        # Of all jobs an index has it all, in this order. With a plus SQLite does not go through
        # them by it, but by what is meant (https://www.sqlite.org/optoverview.html, 2026-11-30).
        order = columns if selection.is_any else [f"+{column}" for column in columns]
        rows = self._totals(
            f"SELECT {', '.join(columns)}, count(*) FROM jobs"  # noqa: S608 - ours
            f" WHERE {where} GROUP BY {', '.join(order)}",
            values,
        )
        if rows is None:
            jobs = self.select(selection)
            return len(jobs), Counter(each for job in jobs if (each := cost_of(job)) is not None)
        costs: Counter[tuple[Charge, Money]] = Counter()
        for charge, sandbox, cost, price, count in rows:
            with decoding("what a job cost"):
                money = money_of(cost) or money_of(price)
                if money is not None and charge != Charge.NONE and not sandbox:
                    costs[Charge(str(charge)), money] += int(str(count))
        return sum(int(str(row[-1])) for row in rows), costs

    def _totals(
        self, query: str, values: Sequence[str | int | None]
    ) -> list[tuple[str | None, ...]] | None:
        """Return the rows of a question about many jobs; None where damage keeps us from them."""
        if self._found:
            return None
        with self._storage("read"):
            try:
                return self._connection().execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                if not is_suspicious(error) or "no such" in str(error):
                    raise
                self._doubt(error)
                return None

    def submitting(self) -> list[Job]:
        """Return jobs that some process, alive or dead, planned to send or is sending."""
        return self.jobs(states=(State.PLANNED, State.SENDING))

    def list_left_by(self, owner: str) -> list[Job]:
        """Return the jobs of a dead process that somebody has to conclude.

        Also what was given up in the very moment in which its answer was stored.
        """
        return self._select(
            "owner = ? AND (state IN ('planned', 'sending')"
            " OR (state = 'unknown' AND task_id IS NULL AND EXISTS"
            " (SELECT 1 FROM answers WHERE job = jobs.id AND purpose = 'submit')))",
            (owner,),
        )

    def list_accepted_but_of(self, owner: str) -> list[Job]:
        """Return the jobs of all other processes that run or are ready."""
        return self._select("state IN ('running', 'ready') AND owner <> ?", (owner,))

    def list_unsaved(self) -> list[Job]:
        """Return the jobs that still have, or may get, a picture to fetch."""
        # An unknown one counts too: a set may break off after some of its pictures have come.
        return self._select(
            "state IN ('running', 'ready') OR (state = 'unknown' AND EXISTS (SELECT 1 FROM images"
            " WHERE job = jobs.id AND saved_at IS NULL AND problem IS NULL))"
            " OR (state = 'saved' AND EXISTS (SELECT 1 FROM images"
            " WHERE job = jobs.id AND saved_at IS NULL AND problem IS NULL AND url IS NOT NULL))"
        )

    def list_unfinished_with(self, profile: str) -> list[Job]:
        """Return the real jobs that nobody can ask about without a profile."""
        where, *values = in_states((State.SENDING, State.RUNNING, State.READY, State.UNKNOWN))
        return self._select(f"profile = ? AND NOT sandbox AND {where}", (profile, *values))

    def with_task(self, origin: str, task_id: str) -> Job | None:
        """Return the job that a provider knows by a task id."""
        found = self._select("origin = ? AND task_id = ?", (origin, task_id))
        return found[0] if found else None

    def with_prefix(self, prefix: str, *, limit: int) -> list[Job]:
        """Return jobs whose ids begin so."""
        # `~` stands behind all that an id is made of.
        return self._select("id >= ? AND id < ?", (prefix, prefix + "~"), limit=limit)

    def of_run(self, run: str) -> list[Job]:
        """Return the jobs of one command."""
        return self._select("run = ?", (run,))

    def find_bought_with(self, digest: str, *, sandbox: bool, first_n: int) -> list[Job]:
        """Return the jobs of one purchase whose pictures are numbered from `first_n` on."""
        where = "fingerprint = ? AND sandbox = ? AND first_n = ?"
        return self._select(where, (digest, int(sandbox), first_n))

    def unknown_with(self, digest: str, *, sandbox: bool) -> list[Job]:
        """Return the jobs of one purchase of which nobody knows whether they were charged."""
        where = "fingerprint = ? AND sandbox = ? AND state = 'unknown'"
        return self._select(where, (digest, int(sandbox)))

    def open_with(self, digest: str) -> list[Job]:
        """Return the jobs of one purchase that still move by themselves."""
        where, *values = in_states(OPEN_STATES)
        return self._select(f"fingerprint = ? AND {where}", (digest, *values))

    def unknown_up_to(self, job: Job) -> list[Job]:
        """Return the unknown jobs of a job's run, and those of its purchase that are not newer."""
        # What was sent after the job that a person names is not covered by that word.
        return self._select(
            "state = 'unknown' AND (run = ? OR"
            " (fingerprint = ? AND seq <= (SELECT seq FROM jobs WHERE id = ?)))",
            (job.run, job.purchase_digest, job.id),
        )

    def with_image(
        self,
        sha256: str,
        *,
        sandbox: bool | None = None,
        states: Collection[State] | None = None,
    ) -> list[Job]:
        """Return jobs that brought exactly this picture."""
        where, *values = in_states(states)
        where += " AND sandbox = coalesce(?, sandbox)"
        where += " AND id IN (SELECT job FROM images WHERE sha256 = ?)"
        return self._select(where, (*values, sandbox, sha256))

    def with_path(self, path: str) -> list[Job]:
        """Return jobs that saved a picture at this absolute path."""
        where = "id IN (SELECT job FROM images WHERE path = ? AND saved_at IS NOT NULL)"
        return self._select(where, (path_text(path),))

    def has_account(self, name: str) -> bool:
        """Tell whether anything was bought with a profile of this name."""
        return bool(self._select("profile = ?", (name,), limit=1))

    def has_rows(self) -> bool:
        """Tell whether any batch ever bought."""
        return bool(self._select("row IS NOT NULL", limit=1))

    def of_row(
        self,
        row: str,
        *,
        sandbox: bool | None = None,
        numbers: range | None = None,
        states: Collection[State] | None = None,
        limit: int = -1,
    ) -> list[Job]:
        """Return jobs of a batch's row; with `numbers` those that brought one of these pictures."""
        where, *values = in_states(states)
        where, values = f"row = ? AND {where}", [row, *values]
        if sandbox is not None:
            where, values = f"{where} AND sandbox = ?", [*values, int(sandbox)]
        if numbers is not None:
            where += " AND first_n < ? AND first_n + expected > ?"
            values = [*values, numbers.stop, numbers.start]
        return self._select(where, values, limit=limit)

    def _select(
        self,
        where: str,
        values: Sequence[str | int | None] = (),
        *,
        limit: int = -1,
        is_for_show: bool = False,
    ) -> list[Job]:
        """Return jobs that meet an SQL condition over the columns of `jobs`.

        Of a damaged ledger all that can be read; `damage` then says what cannot. Raises
        `StorageError` where there are such jobs and none can be read.
        """
        lacking: dict[str, str] = {}
        found: list[Job] = []
        with self._storage("read"):
            rows = self._rows_or_none(where, values, limit)
            if rows is None:
                rows = self._rescue_rows(where, values, limit, lacking)
            # One question for the pictures of all: a batch has thousands of jobs.
            images = self._images_of([str(row["id"]) for row in rows])
            for row in rows:
                try:
                    found.append(self._job(row, images))
                except (sqlite3.Error, UnicodeError, UnreadableRow) as error:
                    lacking[f"job {clean(str(row['id']))}"] = words_of(error)
                    if is_for_show:
                        found += self._bare_job(row)
        self.damage |= lacking
        # Nothing at all is no answer: it would read as “there are no such jobs”.
        if lacking and not found:
            what, why = next(iter(lacking.items()))
            raise UnreadableRow(f"{what} cannot be read: {why}", hint="seedream status --all")
        return found

    def _rows_or_none(
        self, where: str, values: Sequence[str | int | None], limit: int
    ) -> list[dict[str, object]] | None:
        """Return rows in one go; None where damage keeps SQLite from that."""
        if self._found:
            return None
        try:
            return self._rows(where, values, limit=limit)
        except (sqlite3.DatabaseError, UnicodeError) as error:
            if not is_suspicious(error) or "no such" in str(error):
                raise
            self._doubt(error)
            return None

    def _rows(
        self, where: str, values: Sequence[str | int | None], *, limit: int
    ) -> list[dict[str, object]]:
        rows, names = self._fetch(
            f"SELECT * FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - ours
            (*values, limit),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _rescue_rows(
        self,
        where: str,
        values: Sequence[str | int | None],
        limit: int,
        lacking: dict[str, str],
    ) -> list[dict[str, object]]:
        """Return rows one by one, each that can be read; say in `lacking` which cannot."""
        found: list[dict[str, object]] = []
        for seq, row in read_jobs(self._connection(), where, values, self.path.stat().st_size):
            if isinstance(row, Exception):
                lacking[f"row {seq} of its jobs"] = words_of(row)
            else:
                found.append(row)
            if len(found) == limit:
                break
        return found

    def _job(
        self, row: Mapping[str, object], images: Mapping[str, tuple[Image, ...]] | None = None
    ) -> Job:
        """Build a job of its row and its pictures, if these were read; raise `UnreadableRow`."""
        job_id = str(row["id"])
        pictures = self._images(job_id) if images is None else images.get(job_id, ())
        with decoding(f"job {clean(job_id)}"):
            names = [name for name in row if name != "seq"]
            return job_of([row[name] for name in names], names, pictures)

    def _bare_job(self, row: Mapping[str, object]) -> list[Job]:
        """Return a job without its pictures; none where the job itself cannot be read."""
        names = [name for name in row if name != "seq"]
        try:
            with decoding("it"):
                return [job_of([row[name] for name in names], names, ())]
        except UnreadableRow:
            return []

    def _images(self, job_id: str) -> tuple[Image, ...]:
        rows, names = self._fetch("SELECT * FROM images WHERE job = ? ORDER BY idx", (job_id,))
        with decoding(f"a picture of job {clean(job_id)}"):
            return tuple(image_of(row, names) for row in rows)

    def _images_of(self, job_ids: Sequence[str]) -> dict[str, tuple[Image, ...]] | None:
        """Return the pictures of many jobs by one question; None where one cannot be read."""
        found: dict[str, tuple[Image, ...]] = {}
        # Once damage is known each job is read by itself, so that one takes no other with it.
        if self._found:
            return None
        try:
            for ids in (job_ids[k : k + _AT_ONCE] for k in range(0, len(job_ids), _AT_ONCE)):
                rows, names = self._fetch(
                    "SELECT * FROM images WHERE job IN"  # noqa: S608 - marks
                    f" ({', '.join('?' * len(ids))}) ORDER BY job, idx",
                    ids,
                )
                with decoding("a picture"):
                    for image in (image_of(row, names) for row in rows):
                        found[image.job] = (*found.get(image.job, ()), image)
        except (sqlite3.DatabaseError, UnicodeError, UnreadableRow):
            return None  # then job by job, and it is told of which
        return found

    # -- attempts, answers, runs, uploads -------------------------------------------------------

    def starts(self, origin: str, model: str, limit: RateLimit) -> list[tuple[float, int]]:
        """Return the submits of all processes that count in a limit now, in the order they began.

        Each is how many seconds ago it has arrived at the latest, and what it counts as.
        """
        now = self._now()
        ended = "ended_at" if limit.from_answer else "NULL"  # else the index alone has it all
        only = " AND model = ?" if limit.is_per_model else ""
        with self._storage("read"):
            rows, _ = self._fetch(
                f"SELECT started_at, {ended}, weight FROM attempts"  # noqa: S608 - ours
                f" WHERE origin = ? AND started_at > ? AND started_at <= ?{only}"
                " ORDER BY started_at",
                (
                    origin,
                    time_text(now - timedelta(seconds=limit.reach)),
                    time_text(now + _AHEAD),
                    *((model,) if limit.is_per_model else ()),
                ),
            )

        def ago(text: str | None) -> float | None:
            return None if text is None else (now - datetime.fromisoformat(text)).total_seconds()

        with decoding("the time of an attempt"):
            return [
                (limit.latest_arrival(ago(at) or 0.0, ago(over)), weight)
                for at, over, weight in rows
            ]

    def list_spending(
        self,
        origin: str,
        key: Secret | None,
        span: timedelta,
        *,
        rehearsed: str | None = None,
        owner: str = "",
    ) -> list[Spending]:
        """Return what an account spent, or may have, in the span until now, oldest first.

        What cost the same within a minute is one: there may be tens of thousands in a month.
        An account is an origin and a key; attempts of old versions, which noted none, count in all.
        In a rehearsal all providers have one origin and one key: the `rehearsed` one counts, and
        nothing real. What `owner` is sending now is undecided.
        """
        from seedream_cli.core.budget import Spending

        # Attempts, not jobs, are what is paid for; one that was turned away (`busy`) was not.
        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT coalesce(cost, price), count(*), max(started_at), min(jobs.id),"
                    " group_concat(CASE WHEN state = 'sending' AND owner = ? THEN jobs.id END)"
                    " FROM attempts JOIN jobs ON jobs.id = job"
                    " WHERE (attempts.origin = ? OR attempts.origin IS NULL) AND jobs.origin = ?"
                    " AND started_at > ?"
                    " AND (key_digest = ? OR key_digest IS NULL) AND ending IS NOT 'busy'"
                    " AND charge <> 'none' AND sandbox = ? AND provider = coalesce(?, provider)"
                    " GROUP BY 1, substr(started_at, 1, 16) ORDER BY 3",
                    (
                        owner,
                        origin,
                        origin,
                        time_text(self._now() - span),
                        key_digest(key),
                        int(rehearsed is not None),
                        rehearsed,
                    ),
                )
                .fetchall()
            )
        with decoding("what an attempt cost"):
            return [
                Spending(
                    money=money_of(text),
                    count=count,
                    at=datetime.fromisoformat(at),
                    job=job_id,
                    undecided=frozenset(sending.split(",") if sending else ()),
                )
                for text, count, at, job_id, sending in rows
            ]

    def durations(self, job: Job) -> tuple[list[float], list[float]]:
        """Return how long jobs like this one took, in seconds, the newest first.

        Those of its model, then those of its size too, at most 50 each; of the same API alone. A
        rehearsal says nothing of a real job, nor the other way round.
        """
        from seedream_cli.core.durations import NEWEST

        same = (int(job.sandbox), maker_of(job), job.provider, job.model)
        by = ("sandbox = ? AND origin = ? AND provider = ? AND model = ?", " AND size = ?")
        with self._storage("read"):
            found = [
                self._connection()
                .execute(
                    f"SELECT made_seconds FROM durations WHERE {where}"  # noqa: S608 - ours
                    f" ORDER BY seq DESC LIMIT {NEWEST}",
                    values,
                )
                .fetchall()
                for where, values in ((by[0], same), ("".join(by), (*same, size_of(job))))
            ]
        of_model, of_size = ([seconds for (seconds,) in rows] for rows in found)
        return of_model, of_size

    def attempt(self, job: Job) -> Attempt | None:
        """Return the attempt of a job that may have been charged; None where there is none."""
        found = self._attempts("job = ?", (job.id,))
        return found[0] if found else None

    def attempts_of(
        self, job: Job, since: datetime, until: datetime, is_meant: Callable[[str | None], bool]
    ) -> list[Attempt]:
        """Return the attempts at a job's model that may have been charged, oldest first.

        Begun in this time, or not over yet; those whose bodies are meant, and None where an old
        version did not keep it.
        """
        # What is being sent has no end yet: it may overlap whatever time is asked about.
        return self._attempts(
            "origin = ? AND model = ? AND ((started_at >= ? AND started_at <= ?)"
            " OR job IN (SELECT id FROM jobs WHERE state = 'sending'))",
            (job.origin, job.model, time_text(since), time_text(until)),
            is_meant,
        )

    def list_accepted_between(
        self, attempt: Attempt, since: datetime, until: datetime
    ) -> list[str]:
        """Return the tasks of the same account and model whose attempts began in this time."""
        job = attempt.job
        found = self._attempts(
            "origin = ? AND started_at >= ? AND started_at <= ? AND model = ? AND key_digest = ?"
            " AND ending = 'accepted'",
            (job.origin, time_text(since), time_text(until), job.model, attempt.key_digest),
        )
        return [each.job.task_id for each in found if each.job.task_id is not None]

    def _attempts(
        self,
        where: str,
        values: Sequence[str | None],
        is_meant: Callable[[str | None], bool] = lambda _: True,
    ) -> list[Attempt]:
        """Return attempts that were not provably turned away, oldest first."""
        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT job, started_at, ended_at, body, key_digest FROM attempts"  # noqa: S608 - ours
                    " WHERE (ending IS NULL OR ending IN ('accepted', 'unknown'))"
                    f" AND {where} ORDER BY started_at, id",
                    values,
                )
                .fetchall()
            )
        with decoding("an attempt"):
            return [
                Attempt(
                    job=self.job(job_id),
                    started_at=datetime.fromisoformat(started),
                    ended_at=time_at(ended),
                    body=body,
                    key_digest=key,
                )
                for job_id, started, ended, body, key in rows
                # Here, and not in SQL: bodies are compared as JSON.
                if is_meant(body)
            ]

    def find_planned_like(self, job: Job) -> list[Job]:
        """Return the jobs of the same purchase that are about to be sent."""
        return self._select("fingerprint = ? AND state = 'planned'", (job.purchase_digest,))

    def find_ours(self, origin: str, task_ids: Collection[str]) -> frozenset[str]:
        """Return those of a provider's tasks that are jobs of ours."""
        found = set[str]()
        ids = list(task_ids)
        with self._storage("read"):
            for some in (ids[k : k + _AT_ONCE] for k in range(0, len(ids), _AT_ONCE)):
                rows = self._connection().execute(
                    "SELECT task_id FROM jobs WHERE origin = ?"  # noqa: S608 - marks
                    f" AND task_id IN ({', '.join('?' * len(some))})",
                    (origin, *some),
                )
                found.update(str(task_id) for (task_id,) in rows.fetchall())
        return frozenset(found)

    def looks(self, job_id: str) -> list[Look]:
        """Return what a provider's list said of a job, oldest first."""
        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT looked_at, since, until, pages, is_whole, is_empty, verdict, reason,"
                    " records FROM looks WHERE job = ? ORDER BY id",
                    (job_id,),
                )
                .fetchall()
            )
        with decoding(f"a look for job {clean(job_id)}"):
            return [look_of(row) for row in rows]

    def list_absent(self, *, is_asked_again: bool = False) -> list[Job]:
        """Return the jobs that were closed because their provider's list lacked them.

        Those of which it was not asked since then, unless `is_asked_again`.
        """
        where = (
            "state = 'closed' AND id IN (SELECT job FROM settlements AS said WHERE word = 'absence'"
            " AND id = (SELECT max(id) FROM settlements WHERE job = said.job) AND (? OR NOT EXISTS"
            " (SELECT 1 FROM looks WHERE job = said.job AND is_whole AND looked_at > settled_at)))"
        )
        return self._select(where, (int(is_asked_again),))

    def answers(self, job_id: str, purpose: Purpose) -> list[Reply]:
        """Return the stored raw answers of one purpose, oldest first."""
        import json

        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT status, headers, body FROM answers WHERE job = ? AND purpose = ?"
                    " ORDER BY id",
                    (job_id, purpose.value),
                )
                .fetchall()
            )
        with decoding(f"an answer to job {clean(job_id)}"):
            return [
                Reply(purpose=purpose, status=status, headers=json.loads(headers), body=body)
                for status, headers, body in rows
            ]

    def newest_hearing(self, job_id: str) -> tuple[datetime, Mapping[str, str]] | None:
        """Return when a job's newest answer came, by our clock, and its headers.

        Those to questions for another URL of a picture do not count.
        """
        import json

        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT received_at, headers FROM answers"
                    " WHERE job = ? AND purpose != 'refresh' ORDER BY received_at DESC LIMIT 1",
                    (job_id,),
                )
                .fetchall()
            )
        return next(((datetime.fromisoformat(at), json.loads(text)) for at, text in rows), None)

    def stored_answers(self, job_id: str) -> list[tuple[datetime, Reply]]:
        """Return all stored raw answers of a job, and when each came, oldest first."""
        import json

        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT received_at, purpose, status, headers, body FROM answers WHERE job = ?"
                    " ORDER BY id",
                    (job_id,),
                )
                .fetchall()
            )
        with decoding(f"an answer to job {clean(job_id)}"):
            return [
                (
                    datetime.fromisoformat(at),
                    Reply(
                        purpose=Purpose(purpose),
                        status=status,
                        headers=json.loads(headers),
                        body=body,
                    ),
                )
                for at, purpose, status, headers, body in rows
            ]

    def list_adopted(self, job_id: str) -> frozenset[str]:
        """Return the task ids and URLs that people have named for a job."""
        with self._storage("read"):
            rows = (
                self._connection()
                .execute("SELECT adopted FROM settlements WHERE job = ?", (job_id,))
                .fetchall()
            )
        return frozenset(str(row[0]) for row in rows if row[0])

    def last_answer(self, job_id: str) -> Reply | None:
        """Return the answer to a job's newest attempt; None where none was stored.

        The 429 that an earlier attempt got says nothing of the one after it.
        """
        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT count(*) FROM attempts WHERE job = ? AND ending = 'busy'", (job_id,)
                )
                .fetchall()
            )
        # Each attempt that was turned away has left its one answer before it.
        return next(iter(self.answers(job_id, Purpose.SUBMIT)[rows[0][0] :]), None)

    def newest_runs(self, count: int, *, sandbox: bool | None = None) -> list[str]:
        """Return the newest runs that saved a picture, batches left out; of one kind if asked."""
        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT run, max(seq) AS newest FROM jobs WHERE row IS NULL"
                    " AND sandbox = coalesce(?, sandbox) AND EXISTS"
                    " (SELECT 1 FROM images WHERE job = jobs.id AND saved_at IS NOT NULL)"
                    " GROUP BY run ORDER BY newest DESC LIMIT ?",
                    (sandbox, count),
                )
                .fetchall()
            )
        return [run for run, _ in rows]

    def upload(self, origin: str, digest: str, since: datetime) -> str | None:
        """Return where the same bytes were uploaded to since then, if they were."""
        with self._storage("read"):
            rows = (
                self._connection()
                .execute(
                    "SELECT url FROM uploads WHERE origin = ? AND digest = ? AND uploaded_at > ?",
                    (origin, digest, time_text(since)),
                )
                .fetchall()
            )
        return str(rows[0][0]) if rows else None
