"""The only code that touches SQLite: jobs, attempts, answers and images.

Each public method that writes has committed, with the folder's entry flushed, before it returns.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.core.commands import settle_commands
from seedream_cli.core.errors import (
    HeldBack,
    Overtaken,
    StorageError,
    Throttled,
    UnreadableReply,
    Withheld,
)
from seedream_cli.core.model import Charge, Problem, Purpose, Reply, State
from seedream_cli.core.text import json_text
from seedream_cli.storage.files import naming
from seedream_cli.storage.ledger.columns import (
    body_text,
    job_columns,
    key_digest,
    look_columns,
    maker_of,
    money_text,
    path_text,
    problem_text,
    size_of,
    time_text,
)
from seedream_cli.storage.ledger.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from seedream_cli.core.model import (
        Budget,
        Image,
        Job,
        Look,
        Money,
        Secret,
        Settlement,
    )
    from seedream_cli.providers.spec import RateLimit

_ENDINGS = {
    State.RUNNING: "accepted",
    State.READY: "accepted",
    State.FAILED: "accepted",
    State.REFUSED: "refused",
    State.PLANNED: "busy",
    State.UNKNOWN: "unknown",
}
_CHARGES = {
    State.RUNNING: Charge.CHARGED,
    State.READY: Charge.CHARGED,
    State.SAVED: Charge.CHARGED,
    State.EXPIRED: Charge.CHARGED,
    State.UNKNOWN: Charge.MAYBE,
}
_DOUBTING = frozenset({State.REFUSED, State.FAILED, State.UNKNOWN})
"""What a job became whose uploaded references may be why."""
_LONG_ANSWER = 4096
"""Bytes; what is longer may hold a picture, however it is written."""
_ENDED = frozenset({State.SAVED, State.REFUSED, State.FAILED, State.EXPIRED, State.CLOSED})


class Ledger(Queries):
    """What was asked, sent, answered and saved, in one file."""

    def plan(
        self,
        jobs: Sequence[Job],
        *,
        despite: Collection[str] = (),
        is_dead: Callable[[str], bool] = lambda _: False,
        ext: str | None = None,
    ) -> list[Job]:
        """Write down jobs that this command is about to buy, all or none; return those to take on.

        A job that would bring what another one is about to, to the same file, is not bought: that
        one is returned in its place. `is_dead` tells whether the process of an owner has ended,
        `ext` is the extension that is sure to come. Raises `HeldBack` where a job of unknown
        outcome, unless it is named in `despite`, may have been the same purchase.

            the same prompt to the same file, by two commands at once    the second one joins
            the same prompt, while one of it is unknown                  `HeldBack`
            -n 3, three equal jobs                                       all are written down
        """
        self._check_before_paying()
        with self._write() as connection:
            # All are looked up before one is written: jobs of one command never join each other.
            joined = [self._find_same(connection, job, is_dead, ext) for job in jobs]
            for job, other in zip(jobs, joined, strict=True):
                if other is None:
                    self._check_unknown(connection, job, despite, is_dead)
            return [
                other or self._insert(connection, job)
                for job, other in zip(jobs, joined, strict=True)
            ]

    def _check_unknown(
        self,
        connection: sqlite3.Connection,
        job: Job,
        despite: Collection[str],
        is_dead: Callable[[str], bool],
    ) -> None:
        rows = connection.execute(
            "SELECT id, coalesce(sent_at, created_at), state, owner FROM jobs WHERE fingerprint = ?"
            " AND state IN ('unknown', 'sending') ORDER BY seq DESC",
            (job.purchase_digest,),
        ).fetchall()
        # What a process was sending when it died is unknown, though nobody said so yet.
        held = [
            (job_id, sent_at)
            for job_id, sent_at, state, owner in rows
            if job_id not in despite and (state == State.UNKNOWN or is_dead(owner))
        ]
        if held:
            newest, sent_at = held[0]
            ways = settle_commands([self.job(job_id) for job_id, _ in held])
            raise HeldBack(
                f"job {newest} may have been the same purchase: it was sent at {sent_at!s:.19}Z and"
                " nobody knows what became of it; nothing was sent now"
                f" (--despite {newest} buys all the same)",
                hint=f"seedream status {newest}\n{ways}",
                job_id=newest,
            )

    def _find_same(
        self,
        connection: sqlite3.Connection,
        job: Job,
        is_dead: Callable[[str], bool],
        ext: str | None,
    ) -> Job | None:
        """Return the job that is to bring what `job` would, to the same file; None: there is none.

        Also one that was saved since `job`'s command began: the name was free when that looked.
        What a dead process only planned is not sent any more.
        """
        wanted = _files(job, ext)
        # A name with `{job}` or the time is like no other's: it asks for a picture of its own.
        if not wanted:
            return None
        rows = connection.execute(
            "SELECT id FROM jobs WHERE fingerprint = ? AND"
            " (state IN ('planned', 'sending', 'running', 'ready')"
            " OR (state = 'saved' AND EXISTS"
            " (SELECT 1 FROM images WHERE job = jobs.id AND saved_at >= ?))) ORDER BY seq",
            (job.purchase_digest, time_text(job.created_at)),
        ).fetchall()
        for other in map(self.job, (job_id for (job_id,) in rows)):
            is_over = other.state is State.PLANNED and is_dead(other.owner)
            if not is_over and _is_shared(other, job) and _files(other, ext) == wanted:
                return other
        return None

    @staticmethod
    def _insert(connection: sqlite3.Connection, job: Job) -> Job:
        columns = job_columns(job)
        marks = ", ".join("?" * len(columns))
        connection.execute(
            f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 - our names
            tuple(columns.values()),
        )
        return job

    def begin(
        self,
        job_id: str,
        limit: RateLimit | None = None,
        *,
        body: Mapping[str, object] | None = None,
        key: Secret | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Spend: planned → sending, committed just before the first byte leaves.

        What a later settling needs is kept with the attempt: `body` as it is sent, and a digest of
        the `key` that pays. Called by the transport's hook and from nowhere else. Raises
        `StorageError` when the job is not planned any more or has an attempt that may have been
        charged, `Throttled` when `limit` has no room in the starts of all processes, and what
        `check_budget` raises; then nothing is sent or changed.
        """
        self._check_before_paying()
        with self._write() as connection:
            # First: of two who would send it, one gets no further.
            self._step(connection, job_id, State.PLANNED, State.SENDING)
            # Within the transaction: two processes cannot both spend what is left.
            if budget is not None:
                self.check_budget(self.job(job_id), budget, key)
            weight = self._check_limit(job_id, limit)
            # Read when the ledger is ours: we may have waited for it.
            at = time_text(self._now())
            connection.execute(
                "INSERT INTO attempts (job, started_at, origin, model, weight, body, key_digest)"
                " SELECT id, ?, origin, model, ?, ?, ? FROM jobs WHERE id = ?",
                (at, weight, body_text(body), key_digest(key), job_id),
            )
            connection.execute(
                "UPDATE jobs SET charge = 'maybe', sent_at = ? WHERE id = ?", (at, job_id)
            )

    def check_budget(self, job: Job, budget: Budget, key: Secret | None) -> None:
        """Raise `Withheld` where a job may cost more than the budget of its account has left.

        It names what this process is sending just then.
        """
        from seedream_cli.core.budget import incomparable, lack

        rehearsed = job.provider if job.sandbox else None
        spent = self.list_spending(
            job.origin, key, budget.span, rehearsed=rehearsed, owner=job.owner
        )
        words = incomparable(budget, [(job.model or job.provider, job.price)], spent)
        # An amount that nobody knows fits into no budget.
        if job.price is None or words:
            raise Withheld(words)
        if words := lack(budget, job.price, spent):
            undecided = [each.undecided for each in spent]
            raise Withheld(words, undecided=frozenset().union(*undecided))

    def _check_limit(self, job_id: str, limit: RateLimit | None) -> int:
        """Return what a job counts as in a limit that has room for it."""
        if limit is None:
            return 1
        job = self.job(job_id)
        weight = limit.weight(job)
        starts = self.starts(job.origin, job.model, limit)
        seconds = limit.wait([(-ago, each) for ago, each in starts], weight, 0.0)
        if seconds:
            raise Throttled(f"{job.provider} takes {limit}", seconds=seconds)
        return weight

    def store(self, job_id: str, reply: Reply) -> None:
        """Keep an answer raw, before anybody reads it.

        Of polls and the like the newest, and all older ones that may hold a picture or its address.
        """
        with self._write() as connection:
            if reply.purpose not in {Purpose.SUBMIT, Purpose.EVENT}:
                connection.execute(
                    "DELETE FROM answers WHERE job = ? AND purpose = ? AND (body = ?"
                    " OR (length(body) < ? AND instr(lower(CAST(body AS TEXT)), 'http') = 0"
                    " AND instr(lower(CAST(body AS TEXT)), 'data:') = 0"
                    " AND instr(body, CAST('spill:' AS BLOB)) = 0))",
                    (job_id, reply.purpose, reply.body, _LONG_ANSWER),
                )
            connection.execute(
                "INSERT INTO answers (job, purpose, received_at, status, headers, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    job_id,
                    reply.purpose.value,
                    time_text(self._now()),
                    reply.status,
                    json_text(dict(reply.headers)),
                    reply.body,
                ),
            )
            if reply.peer:
                connection.execute("UPDATE jobs SET peer = ? WHERE id = ?", (reply.peer, job_id))

    def move(
        self,
        job: Job,
        becomes: State,
        *,
        charge: Charge | None = None,
        task_id: str | None = None,
        request_id: str | None = None,
        problem: Problem | None = None,
        cost: Money | None = None,
        images: Sequence[Image] = (),
        ended_at: datetime | None = None,
        made_seconds: float | None = None,
    ) -> Job:
        """Take one step and all that comes with it in one commit; return the job as it is now.

        `ended_at` is when its attempt was over, where that is not now; `made_seconds` is how long
        the provider took from accepting it to having its pictures, where that is known.

        Raises `StorageError` when the job is no longer in `job.state` (another process was first),
        `UnreadableReply` when another job has that task.
        """
        # Unless the caller knows: accepted is charged, unknown may be, all else is not.
        charge = charge or _CHARGES.get(becomes) or Charge.NONE
        at = time_text(self._now())
        with self._write() as connection:
            self._step(connection, job.id, job.state, becomes)
            if task_id is not None:
                self._name_task(connection, job, task_id)
            connection.execute(
                "UPDATE jobs SET charge = ?, request_id = coalesce(?, request_id), problem = ?,"
                " cost = coalesce(?, cost), finished_at = ?, exhausted_at = NULL WHERE id = ?",
                (
                    charge.value,
                    request_id,
                    problem_text(problem),
                    money_text(cost),
                    at if becomes in _ENDED else None,
                    job.id,
                ),
            )
            # Only this step ends an attempt: later ones are of the job, and free.
            if job.state is State.SENDING:
                connection.execute(
                    "UPDATE attempts SET ended_at = ?, ending = ? WHERE job = ? AND ending IS NULL",
                    (time_text(ended_at) if ended_at else at, _ENDINGS[becomes], job.id),
                )
            for image in images:
                self._put_image(connection, image)
            if made_seconds is not None:
                self._put_duration(connection, job, made_seconds)
            if becomes in _DOUBTING:
                self._forget_uploads(connection, job)
        return self.job(job.id)

    @staticmethod
    def _put_duration(connection: sqlite3.Connection, job: Job, seconds: float) -> None:
        connection.execute(
            "INSERT OR IGNORE INTO durations SELECT seq, sandbox, ?, provider, model, ?, ?"
            " FROM jobs WHERE id = ?",
            (maker_of(job), size_of(job), seconds, job.id),
        )

    @staticmethod
    def _forget_uploads(connection: sqlite3.Connection, job: Job) -> None:
        """Let the next try upload anew what this one could not use, or may not have been able to.

        An upload is free; the URL of one may have died before its time.
        """
        digests = set(re.findall(r"sha256:([0-9a-f]{64})", json_text(job.recipe)))
        connection.executemany("DELETE FROM uploads WHERE digest = ?", [(d,) for d in digests])

    @staticmethod
    def _name_task(connection: sqlite3.Connection, job: Job, task_id: str) -> None:
        try:
            connection.execute(
                "UPDATE jobs SET task_id = coalesce(task_id, ?) WHERE id = ?", (task_id, job.id)
            )
        except sqlite3.IntegrityError as error:
            # A provider that takes equal requests for one; what it charged only it can tell.
            raise UnreadableReply("its answer names the task of another job") from error

    def put_exhausted(self, job_id: str) -> None:
        """Write down that a command tried for its whole `--timeout`; the first time counts."""
        with self._write() as connection:
            connection.execute(
                "UPDATE jobs SET exhausted_at = coalesce(exhausted_at, ?) WHERE id = ?",
                (time_text(self._now()), job_id),
            )

    def settle(self, settlements: Sequence[Settlement]) -> list[Job]:
        """Write down what is said of jobs, all or none; return them as they are now.

        What was known before is kept beside it. Raises `Overtaken` where one of them is no longer
        in its `job.state`.
        """
        return self.settle_by(lambda: settlements)

    def settle_by(self, decide: Callable[[], Sequence[Settlement]]) -> list[Job]:
        """Settle jobs as `settle` does, by what `decide` reads in the very same transaction."""
        at = time_text(self._now())
        with self._write() as connection:
            # Under the write lock: what it reads stays true until it is written down.
            settlements = decide()
            for each in settlements:
                self._settle(connection, each, at)
        return [self.job(each.job.id) for each in settlements]

    def put_cost(self, job_id: str, cost: Money, problem: Problem) -> None:
        """Write down what a job was charged whose outcome is unknown, and stays so."""
        with self._write() as connection:
            connection.execute(
                # It stays unknown: the picture is lost, and only a person ends that.
                "UPDATE jobs SET charge = 'charged', cost = ?, problem = ?"
                " WHERE id = ? AND state = 'unknown'",
                (money_text(cost), problem_text(problem), job_id),
            )

    def put_look(self, job_id: str, look: Look, problem: Problem | None = None) -> None:
        """Write down what a provider's list said of a job; `problem` is what is wrong since then.

        Of one whose outcome is still unknown.
        """
        with self._write() as connection:
            connection.execute(
                "INSERT INTO looks (job, looked_at, since, until, pages, is_whole, is_empty,"
                " verdict, reason, records) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                look_columns(job_id, look),
            )
            if problem is not None:
                connection.execute(
                    "UPDATE jobs SET problem = ? WHERE id = ? AND state = 'unknown'",
                    (problem_text(problem), job_id),
                )

    def _settle(self, connection: sqlite3.Connection, settlement: Settlement, at: str) -> None:
        job, image, becomes = settlement.job, settlement.image, settlement.becomes
        adopted = image.url if image is not None else settlement.task_id
        connection.execute(
            "INSERT INTO settlements (job, settled_at, word, adopted, state, charge, task_id, urls)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job.id,
                at,
                settlement.word,
                adopted,
                job.state.value,
                job.charge.value,
                job.task_id,
                json_text([each.url for each in job.images]),
            ),
        )
        if job.state is State.READY and becomes is State.RUNNING:
            # What a person takes back is settled first: no machine goes this way.
            self._step(connection, job.id, job.state, State.CLOSED)
            self._step(connection, job.id, State.CLOSED, becomes)
        else:
            self._step(connection, job.id, job.state, becomes)
        connection.execute(
            "UPDATE jobs SET charge = ?, problem = NULL, exhausted_at = NULL, finished_at = ?,"
            " found_at = ? WHERE id = ?",
            (
                settlement.charge.value,
                at if becomes in _ENDED else None,
                at if settlement.word == "found" else None,
                job.id,
            ),
        )
        if adopted is None:
            return
        connection.execute("UPDATE jobs SET task_id = ? WHERE id = ?", (settlement.task_id, job.id))
        # What a wrong word had brought is waited for no more; its URLs stay.
        is_other = job.task_id not in {None, settlement.task_id}
        replaced = Problem("outcome_unknown", "another one was named in its place")
        connection.execute(
            "UPDATE images SET problem = ? WHERE job = ? AND saved_at IS NULL AND (? OR url IN"
            " (SELECT adopted FROM settlements WHERE job = images.job))",
            (problem_text(replaced), job.id, is_other),
        )
        if image is not None:
            self._put_image(connection, image)

    def put_output(self, job: Job, output: Mapping[str, object]) -> Job:
        """Change where a job's pictures will go; return the job as it is now."""
        with self._write() as connection:
            connection.execute(
                "UPDATE jobs SET output = ? WHERE id = ?", (json_text(dict(output)), job.id)
            )
        return self.job(job.id)

    def take_on(self, job: Job, ours: Job, indexes: Sequence[int]) -> Job:
        """Go on with a bought job as if it were `ours`; return it as it is now.

        It gets the owner, the row and the output of `ours`; its pictures `indexes` are fetched once
        more. Raises `Overtaken` where it is no longer as it was read.
        """
        with self._write() as connection:
            self._take(connection, job, ours)
            self._reopen(connection, job, indexes)
        return self.job(job.id)

    def adopt(self, job: Job, ours: Job, images: Sequence[Image]) -> Job:
        """Write down where pictures of a bought job lie, as if it were `ours`; return it.

        What was given up and is there all the same is saved. Raises `Overtaken`.
        """
        with self._write() as connection:
            self._take(connection, job, ours)
            connection.executemany(
                "UPDATE images SET path = ?, saved_at = ?, problem = NULL"
                " WHERE job = ? AND idx = ?",
                [
                    (
                        path_text(each.path),
                        time_text(each.saved_at or self._now()),
                        job.id,
                        each.index,
                    )
                    for each in images
                ],
            )
            # By the steps that the schema knows: no shorter way leads from `expired` to `saved`.
            if job.state is State.EXPIRED and not any(i.problem for i in self._images(job.id)):
                self._step(connection, job.id, State.EXPIRED, State.READY)
                self._step(connection, job.id, State.READY, State.SAVED)
                connection.execute("UPDATE jobs SET problem = NULL WHERE id = ?", (job.id,))
        return self.job(job.id)

    @staticmethod
    def _take(connection: sqlite3.Connection, job: Job, ours: Job) -> None:
        done = connection.execute(
            "UPDATE jobs SET owner = ?, row = ?, output = ?"
            " WHERE id = ? AND state = ? AND owner = ?",
            (
                ours.owner,
                ours.row,
                json_text(dict(ours.output)),
                job.id,
                job.state.value,
                job.owner,
            ),
        )
        if done.rowcount != 1:
            raise Overtaken(
                f"job {job.id} is no longer {job.state}: another process has taken it on",
                hint=f"seedream status {job.id}",
            )

    def put_upload(self, origin: str, digest: str, url: str) -> None:
        """Remember where a reference image was uploaded to."""
        with self._write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO uploads (origin, digest, url, uploaded_at)"
                " VALUES (?, ?, ?, ?)",
                (origin, digest, url, time_text(self._now())),
            )

    def reopen(self, job: Job, indexes: Sequence[int]) -> Job:
        """Take these pictures of a job for not fetched, and those given up for not given up."""
        with self._write() as connection:
            self._reopen(connection, job, indexes)
            connection.execute(
                "UPDATE images SET problem = NULL WHERE job = ? AND url IS NOT NULL", (job.id,)
            )
        return self.job(job.id)

    def _reopen(self, connection: sqlite3.Connection, job: Job, indexes: Sequence[int]) -> None:
        if job.state is State.EXPIRED:
            self._step(connection, job.id, State.EXPIRED, State.READY)
            connection.execute("UPDATE jobs SET problem = NULL WHERE id = ?", (job.id,))
            connection.execute(
                "UPDATE images SET problem = NULL WHERE job = ? AND url IS NOT NULL", (job.id,)
            )
        connection.executemany(
            "UPDATE images SET saved_at = NULL, path = NULL WHERE job = ? AND idx = ?",
            [(job.id, index) for index in indexes],
        )

    def let_go(self, image: Image) -> None:
        """Write down that a saved picture went to stdout and lies nowhere."""
        with self._write() as connection:
            connection.execute(
                "UPDATE images SET path = NULL WHERE job = ? AND idx = ?", (image.job, image.index)
            )

    def put_image(self, image: Image) -> None:
        """Write what is known of one image."""
        with self._write() as connection:
            self._put_image(connection, image)

    def replace_image(self, image: Image, digest: str) -> None:
        """Write down that a better copy stands for the saved picture that had this digest."""
        with self._write() as connection:
            connection.execute(
                # `sha256 = ?`: another process may have put a better copy there meanwhile.
                "UPDATE images SET path = ?, format = ?, width = ?, height = ?, size = ?,"
                " sha256 = ?, saved_at = ?, warning = ? WHERE job = ? AND idx = ? AND sha256 = ?",
                (
                    path_text(image.path),
                    image.format,
                    image.width,
                    image.height,
                    image.size,
                    image.sha256,
                    time_text(image.saved_at) if image.saved_at else None,
                    image.warning,
                    image.job,
                    image.index,
                    digest,
                ),
            )

    def rename_image(self, digest: str, old: str, new: str) -> None:
        """Write down that a saved picture was given another name; both are absolute paths."""
        with self._write() as connection:
            connection.execute(
                "UPDATE images SET path = ? WHERE sha256 = ? AND path = ?",
                (path_text(new), digest, path_text(old)),
            )

    def _put_image(self, connection: sqlite3.Connection, image: Image) -> None:
        columns = {
            "job": image.job,
            "idx": image.index,
            "n": image.n,
            "url": image.url,
            "expires_at": time_text(image.expires_at) if image.expires_at else None,
            "path": path_text(image.path),
            "format": image.format,
            "width": image.width,
            "height": image.height,
            "size": image.size,
            "sha256": image.sha256,
            "saved_at": time_text(image.saved_at) if image.saved_at else None,
            "warning": image.warning,
            "problem": problem_text(image.problem),
            "name": image.name,
        }
        marks = ", ".join("?" * len(columns))
        updates = ", ".join(f"{name} = excluded.{name}" for name in columns)
        connection.execute(
            f"INSERT INTO images ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our names
            # What is saved stays saved, whatever a slower process makes of an older view of it.
            f" ON CONFLICT (job, idx) DO UPDATE SET {updates} WHERE images.saved_at IS NULL",
            tuple(columns.values()),
        )

    @staticmethod
    def _step(connection: sqlite3.Connection, job_id: str, was: State, becomes: State) -> None:
        done = connection.execute(
            "UPDATE jobs SET state = ? WHERE id = ? AND state = ?",
            (becomes.value, job_id, was.value),
        )
        if done.rowcount != 1:
            raise Overtaken(
                f"job {job_id} is no longer {was}: another process has taken it on",
                hint=f"seedream status {job_id}",
            )


def _is_shared(one: Job, other: Job) -> bool:
    """Tell whether two jobs may be one purchase: two manifests share nothing, each has its lock."""
    batches = {one.output.get("batch"), other.output.get("batch")} - {None}
    return len(batches) <= 1


def _files(job: Job, ext: str | None) -> tuple[str, ...]:
    """Return the very files that a job's pictures will be; none where they cannot be compared."""
    try:
        # Real paths: two names of one file are one file.
        paths = tuple(map(os.path.realpath, naming.targets(job, ext)))
        is_file = not any(Path(path).exists() and not Path(path).is_file() for path in paths)
    except (StorageError, OSError, ValueError):
        return ()
    return paths if is_file else ()  # each writer to a pipe or a device is one of its own
