"""The ledger's file: its schema, version by version, and how it is opened and written.

A version is never edited once it is released.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final

from seedream_cli.core.errors import StorageError
from seedream_cli.core.text import fold
from seedream_cli.storage.ledger import APPLICATION_ID
from seedream_cli.storage.ledger.columns import words_of
from seedream_cli.storage.ledger.damage import (
    Stamp,
    find_damage,
    is_damage,
    is_suspicious,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

_FIRST: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL,
  owner TEXT NOT NULL,
  state TEXT NOT NULL,
  charge TEXT NOT NULL CHECK (charge IN ('none', 'maybe', 'charged')),
  provider TEXT NOT NULL,
  profile TEXT NOT NULL,
  origin TEXT NOT NULL,
  sandbox INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt TEXT NOT NULL,
  request TEXT NOT NULL,
  recipe TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  output TEXT NOT NULL,
  first_n INTEGER NOT NULL,
  expected INTEGER NOT NULL,
  price TEXT,
  cost TEXT,
  task_id TEXT,
  request_id TEXT,
  problem TEXT,
  row TEXT,
  created_at TEXT NOT NULL,
  sent_at TEXT,
  finished_at TEXT
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint);
CREATE INDEX jobs_by_run ON jobs (run);
CREATE UNIQUE INDEX one_job_a_task ON jobs (origin, task_id) WHERE task_id IS NOT NULL;

-- Which steps a job may take (charge-safety: "Steps"); the trigger below is the guard.
CREATE TABLE steps (was TEXT NOT NULL, becomes TEXT NOT NULL, PRIMARY KEY (was, becomes)) STRICT;
INSERT INTO steps VALUES
  ('planned', 'sending'), ('planned', 'closed'), ('planned', 'refused'),
  ('sending', 'running'), ('sending', 'ready'), ('sending', 'refused'), ('sending', 'planned'),
  ('sending', 'unknown'), ('sending', 'failed'),
  ('running', 'ready'), ('running', 'failed'),
  ('ready', 'saved'), ('ready', 'expired'),
  ('unknown', 'running'), ('unknown', 'ready'), ('unknown', 'closed'),
  ('expired', 'ready');
CREATE TRIGGER only_known_steps BEFORE UPDATE OF state ON jobs
WHEN NEW.state <> OLD.state
  AND NOT EXISTS (SELECT 1 FROM steps WHERE was = OLD.state AND becomes = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a job cannot take this step'); END;

-- Each attempt is one possible charge: a job has at most one that was not provably turned away.
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  started_at TEXT NOT NULL,
  ended_at TEXT,
  ending TEXT CHECK (ending IN ('accepted', 'refused', 'busy', 'unknown'))
) STRICT;
CREATE UNIQUE INDEX one_live_attempt ON attempts (job)
  WHERE ending IS NULL OR ending <> 'busy';

CREATE TABLE answers (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  purpose TEXT NOT NULL,
  received_at TEXT NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX answers_by_job ON answers (job, purpose);

CREATE TABLE images (
  job TEXT NOT NULL REFERENCES jobs (id),
  idx INTEGER NOT NULL,
  n INTEGER NOT NULL,
  url TEXT,
  expires_at TEXT,
  path TEXT,
  format TEXT,
  width INTEGER,
  height INTEGER,
  size INTEGER,
  sha256 TEXT,
  saved_at TEXT,
  problem TEXT,
  name TEXT,
  PRIMARY KEY (job, idx)
) STRICT;
CREATE TABLE uploads (
  origin TEXT NOT NULL,
  digest TEXT NOT NULL,
  url TEXT NOT NULL,
  uploaded_at TEXT NOT NULL,
  PRIMARY KEY (origin, digest)
) STRICT;
CREATE TRIGGER urls_stay BEFORE UPDATE OF url ON images
WHEN OLD.url IS NOT NULL AND NEW.url IS NULL
BEGIN SELECT RAISE(ABORT, 'a URL is never deleted'); END;
CREATE TRIGGER jobs_stay BEFORE DELETE ON jobs
BEGIN SELECT RAISE(ABORT, 'a job is never deleted'); END;
CREATE TRIGGER attempts_stay BEFORE DELETE ON attempts
BEGIN SELECT RAISE(ABORT, 'an attempt is never deleted'); END;
CREATE TRIGGER images_stay BEFORE DELETE ON images
BEGIN SELECT RAISE(ABORT, 'an image is never deleted'); END;
CREATE TRIGGER task_ids_stay BEFORE UPDATE OF task_id ON jobs
WHEN OLD.task_id IS NOT NULL AND NEW.task_id IS NOT OLD.task_id
BEGIN SELECT RAISE(ABORT, 'a task id is never changed'); END;
"""

# What a rate limit is counted by; attempts of before have none and lie before any limit's span.
# And: a picture that is fetched once more may be gone by then; a batch asks for a row's jobs.
_SECOND: Final = """
ALTER TABLE attempts ADD COLUMN origin TEXT;
ALTER TABLE attempts ADD COLUMN model TEXT;
ALTER TABLE attempts ADD COLUMN weight INTEGER;
CREATE INDEX attempts_by_start ON attempts (origin, started_at, model, weight);
INSERT INTO steps VALUES ('saved', 'expired');
CREATE INDEX jobs_by_row ON jobs (row) WHERE row IS NOT NULL;
CREATE INDEX images_by_digest ON images (sha256) WHERE sha256 IS NOT NULL;
"""

# What a later settling needs of an attempt: the body as it was sent (a `data:` string by its
# digest) and the SHA-256 of the key that paid. And: of which kind the address was that answered a
# job last; since when it was tried for a whole `--timeout`; what is odd about a picture; and the
# ways on from what was called final by one word of somebody, or settled by a person. What a person
# settles anew is kept as it was: only so may another task id stand for one that a person named.
# And: sums over all jobs, the jobs of a span, and the job of a file, each by an index alone.
_THIRD: Final = """
ALTER TABLE attempts ADD COLUMN body TEXT;
ALTER TABLE attempts ADD COLUMN key_digest TEXT;
ALTER TABLE jobs ADD COLUMN peer TEXT;
ALTER TABLE jobs ADD COLUMN exhausted_at TEXT;
ALTER TABLE images ADD COLUMN warning TEXT;
INSERT INTO steps VALUES
  ('failed', 'running'), ('failed', 'ready'), ('failed', 'closed'),
  ('running', 'closed'), ('ready', 'closed'),
  ('closed', 'running'), ('closed', 'ready');
CREATE TABLE settlements (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  settled_at TEXT NOT NULL,
  word TEXT NOT NULL CHECK (word IN ('adopt', 'not-charged', 'write-off')),
  adopted TEXT,
  state TEXT NOT NULL,
  charge TEXT NOT NULL,
  task_id TEXT,
  urls TEXT NOT NULL
) STRICT;
CREATE INDEX settlements_by_job ON settlements (job);
CREATE TRIGGER settlements_stay BEFORE DELETE ON settlements
BEGIN SELECT RAISE(ABORT, 'what a person said is never deleted'); END;
DROP TRIGGER task_ids_stay;
CREATE TRIGGER task_ids_stay BEFORE UPDATE OF task_id ON jobs
WHEN OLD.task_id IS NOT NULL AND NEW.task_id IS NOT OLD.task_id
  AND NOT EXISTS (SELECT 1 FROM settlements
                  WHERE job = OLD.id AND task_id = OLD.task_id
                    AND (adopted = NEW.task_id OR (NEW.task_id IS NULL AND adopted LIKE '%://%')))
BEGIN SELECT RAISE(ABORT, 'a task id is never changed'); END;
CREATE INDEX jobs_by_cost ON jobs (charge, sandbox, cost, price);
CREATE INDEX jobs_by_time ON jobs (created_at, charge, sandbox, cost, price);
CREATE INDEX images_by_path ON images (path) WHERE path IS NOT NULL;
"""

# What a provider's own list of requests said of a submit without an answer, look by look, and
# the words by which that settles it. A table's CHECK is changed by making the table anew.
_FOURTH: Final = """
ALTER TABLE jobs ADD COLUMN found_at TEXT;
CREATE TABLE looks (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  looked_at TEXT NOT NULL,
  since TEXT NOT NULL,
  until TEXT NOT NULL,
  pages INTEGER NOT NULL,
  is_whole INTEGER NOT NULL,
  is_empty INTEGER NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('found', 'absent', 'none')),
  reason TEXT NOT NULL,
  records TEXT NOT NULL
) STRICT;
CREATE INDEX looks_by_job ON looks (job);
DROP TRIGGER task_ids_stay;
DROP TRIGGER settlements_stay;
ALTER TABLE settlements RENAME TO settlements_of_people;
DROP INDEX settlements_by_job;
CREATE TABLE settlements (
  id INTEGER PRIMARY KEY,
  job TEXT NOT NULL REFERENCES jobs (id),
  settled_at TEXT NOT NULL,
  word TEXT NOT NULL
    CHECK (word IN ('adopt', 'not-charged', 'write-off', 'found', 'absence')),
  adopted TEXT,
  state TEXT NOT NULL,
  charge TEXT NOT NULL,
  task_id TEXT,
  urls TEXT NOT NULL
) STRICT;
INSERT INTO settlements SELECT * FROM settlements_of_people;
DROP TABLE settlements_of_people;
CREATE INDEX settlements_by_job ON settlements (job);
CREATE TRIGGER settlements_stay BEFORE DELETE ON settlements
BEGIN SELECT RAISE(ABORT, 'what a person said is never deleted'); END;
CREATE TRIGGER task_ids_stay BEFORE UPDATE OF task_id ON jobs
WHEN OLD.task_id IS NOT NULL AND NEW.task_id IS NOT OLD.task_id
  AND NOT EXISTS (SELECT 1 FROM settlements
                  WHERE job = OLD.id AND task_id = OLD.task_id
                    AND (adopted = NEW.task_id OR (NEW.task_id IS NULL AND adopted LIKE '%://%')))
BEGIN SELECT RAISE(ABORT, 'a task id is never changed'); END;
"""

# How long the provider took from accepting a job to having its pictures, by what it was asked for:
# a table of its own, for earlier versions read jobs whose columns are text or whole numbers only.
# The newest of a model, and of a size of it, are found by an index alone.
_FIFTH: Final = """
CREATE TABLE durations (
  seq INTEGER PRIMARY KEY REFERENCES jobs (seq),
  sandbox INTEGER NOT NULL,
  origin TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  size TEXT NOT NULL,
  made_seconds REAL NOT NULL
) STRICT;
CREATE INDEX durations_by_model ON durations (sandbox, origin, provider, model, seq, made_seconds);
CREATE INDEX durations_by_size
  ON durations (sandbox, origin, provider, model, size, seq, made_seconds);
"""

SCHEMA: Final = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
"""Script k brings a ledger from version k to k + 1."""
SCHEMA_CHECKSUM: Final = 0x84D685A9
"""`damage.schema_checksum` of what all of them make; a test computes it."""

BUSY_SECONDS: Final = 30.0
"""How long a write waits for another process."""
READERS: Final = 8
"""How many threads read at a time: more only fill memory and the table of open files."""
IDLE: Final = 4
"""How many connections are kept open for whoever comes next."""
CACHE_KIB: Final = 512
"""Of pages, a connection."""
LEAVE_SECONDS: Final = 1.0
"""How long `close` waits for threads that are writing down what came."""

PLACE_HINT: Final = "set SEEDREAM_STATE_DIR to a folder that takes files and lasts"


class _Pool:
    """Connections to one file: a thread has one only while it uses it."""

    def __init__(self, path: Path) -> None:
        """Open none yet."""
        self._path = path
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._returned = threading.Condition(self._lock)
        self._idle: list[sqlite3.Connection] = []
        self._readers = threading.BoundedSemaphore(READERS)
        self.gate = threading.Lock()
        """Held by a COMMIT and by frequent questions: SQLite lets only one of both go on, and has
        the other sleep for milliseconds."""
        self._is_closed = False
        self.is_for_rescue = False
        """Open a file that SQLite takes for damaged; it is then only read."""
        self.connections: set[sqlite3.Connection] = set()
        """All that are open."""

    @contextlib.contextmanager
    def lend(self, *, is_bounded: bool) -> Iterator[None]:
        """Let this thread have a connection until the outermost of these blocks ends.

        Whoever holds the write lock is not bounded: it must never wait for readers, of whom one
        may wait for that lock.
        """
        depth = getattr(self._mine, "depth", 0)
        # A block within another has its connection already: a second bound would wait for itself.
        bound = self._readers if is_bounded and not depth else contextlib.nullcontext()
        with bound:
            self._mine.depth = depth + 1
            try:
                yield
            finally:
                self._mine.depth = depth
                if not depth:
                    self._take_back()

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection for one statement, taking one where it has none."""
        with self.gate:
            pass  # a commit of another thread is over
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            with self._lock:
                if self._is_closed:
                    raise sqlite3.ProgrammingError("it is closed")
                connection = self._idle.pop() if self._idle else None
            self._mine.connection = connection = connection or self._connect()
        return connection

    def _connect(self) -> sqlite3.Connection:
        # Transactions are begun by hand (`BEGIN IMMEDIATE`), never by a statement's kind.
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        with self._lock:
            self.connections.add(connection)
        try:
            connection.create_function("folded", 1, fold, deterministic=True)
            if self.is_for_rescue:
                # Of a file that was cut short SQLite reads what is there with this, and only so:
                # https://www.sqlite.org/pragma.html#pragma_writable_schema (2026-11-30).
                connection.execute("PRAGMA writable_schema = ON")
                connection.execute("PRAGMA query_only = ON")
                return connection
            # WAL before SQLite 3.51.3 has a reset bug; EXTRA also flushes the folder's entry.
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _take_back(self) -> None:
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            return
        self._mine.connection = None
        with self._lock:
            is_kept = _is_sound(connection) and len(self._idle) < IDLE and not self._is_closed
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            self._drop(connection)

    def _drop(self, connection: sqlite3.Connection) -> None:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        with self._returned:
            self.connections.discard(connection)
            self._returned.notify_all()

    def close(self) -> None:
        """Lend no connection any more, and wait a moment for those that threads still use.

        Only idle ones are closed here: SQLite crashes where one is closed that another thread is
        using. A thread closes its own when it is done with it, or the process ends before.
        """
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            self._drop(connection)
        with self._returned:
            self._returned.wait_for(lambda: not self.connections, timeout=LEAVE_SECONDS)


def _is_sound(connection: sqlite3.Connection) -> bool:
    """Tell whether a connection has nothing of its last user left on it."""
    try:
        return not connection.in_transaction
    except sqlite3.Error:  # it is closed
        return False


class Database:
    """One SQLite file, opened only when it is a sound ledger of ours."""

    def __init__(self, path: Path, *, now: Callable[[], datetime]) -> None:
        """Open or create the ledger; raise `StorageError` when it is not a sound one of ours."""
        self.path = path
        self._now = now
        self._pool = _Pool(path)
        self._write_lock = threading.RLock()
        self._stamp = Stamp(path)
        self._found: str | None = None
        """What the last look at the whole file found; None: none since the last doubt."""
        self._is_doubted = False
        """SQLite has complained; only a look at the whole file ends that."""
        self.damage: dict[str, str] = {}
        """What could not be read so far, and why."""
        self.is_read_only = False
        """True when a newer seedream has written it, or when it is too damaged for more."""
        try:
            self._open()
        except StorageError as error:
            self._pool.close()
            if not is_damage(error.__cause__) or not self._is_rescued(error):
                raise

    def _is_rescued(self, error: StorageError) -> bool:
        """Open a damaged ledger for reading alone; tell whether there is anything to read."""
        self._pool = _Pool(self.path)
        self._pool.is_for_rescue = self.is_read_only = True
        self._found = words_of(error.__cause__ or error)
        try:
            with self._storage("read"):
                application = self._connection().execute("PRAGMA application_id").fetchall()
                # Whether there is such a table at all: its rows are read one by one, later.
                self._connection().execute("SELECT id FROM jobs LIMIT 0")
        except StorageError:
            self._pool.close()
            return False
        return application == [(APPLICATION_ID,)]

    def _open(self) -> None:
        birth = self.path.with_suffix(".birth")
        with self._storage("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            was_born = birth.exists()
            was_there = self.path.exists()
            if was_born and not was_there:  # moved aside, as we advise: this one is another
                birth.unlink(missing_ok=True)
                was_born = False
            if not was_there:  # prompts are nobody else's business
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = self._connection()
            version = self._version(connection)
            if was_born and was_there and version == 0:
                raise self._unsound("it is empty, and it was not")
            # Its guards are not ours to know: it is shown, and nothing is bought by it.
            if version > len(SCHEMA):
                self.is_read_only = True
                return
            if version < len(SCHEMA):
                self._migrate(connection)
            if not was_born:
                self._write_birth(birth)

    def _version(self, connection: sqlite3.Connection) -> int:
        # In this order: another process may be creating it between two of these reads.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()[0][0]
        (application,) = connection.execute("PRAGMA application_id").fetchall()[0]
        (version,) = connection.execute("PRAGMA user_version").fetchall()[0]
        if tables and application != APPLICATION_ID:
            raise self._unsound("it belongs to another program")
        return int(version)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        import uuid

        with self._write_lock:
            connection.execute("BEGIN IMMEDIATE")
            try:
                # The version is read again under the lock: another process may have been first.
                for script in SCHEMA[self._version(connection) :]:
                    for statement in _statements(script):
                        connection.execute(statement)
                connection.execute(
                    "INSERT OR IGNORE INTO meta VALUES ('birth', ?)", (uuid.uuid4().hex,)
                )
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {len(SCHEMA)}")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def _write_birth(self, birth: Path) -> None:
        rows = self._connection().execute("SELECT value FROM meta WHERE key = 'birth'").fetchall()
        # Whoever was first wrote the same: all processes read it out of one ledger.
        with contextlib.suppress(FileExistsError):
            file = os.open(birth, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(file, rows[0][0].encode())
                os.fsync(file)
            finally:
                os.close(file)

    def check(self) -> str:
        """Return what is wrong with the file, in words; empty: it is sound.

        Read whole, 2.5 ms a MiB, once a process and after each complaint of SQLite's. A large one
        is not, where the last process left it whole.
        """
        with self._write_lock:
            if self._found is None:
                if not self._is_doubted and self._stamp.holds:
                    self._found = ""
                else:
                    with self._storage("read", is_bounded=False):
                        scripts = () if self.is_read_only else SCHEMA  # a newer one's is not known
                        connection = self._connection()
                        self._found = find_damage(connection, scripts, SCHEMA_CHECKSUM)
                    self._is_doubted = bool(self._found)
            return self._found

    def _check_before_paying(self) -> None:
        """Raise `StorageError` where the ledger is damaged: a purchase might be paid twice."""
        self._check_writable()
        if words := self.check():
            raise self._unsound(f"it is damaged ({words})")
        # The job that cannot be read may be the very one that was to be bought.
        for what, why in self.damage.items():
            raise self._unsound(f"{what} cannot be read: {why}")

    def _check_writable(self) -> None:
        if self.is_read_only and self._pool.is_for_rescue:
            raise self._unsound(f"it is damaged ({self._found})")
        if self.is_read_only:
            raise self._unsound("a newer seedream has written it; upgrade this one")

    def _doubt(self, error: Exception) -> None:
        if is_suspicious(error) and not self._pool.is_for_rescue:
            self._found, self._is_doubted = None, True
            with contextlib.suppress(OSError):
                # The next process reads all of it, too, should this one be killed before it does.
                self._stamp.remove()

    def _unsound(self, reason: str) -> StorageError:
        return StorageError(
            f"the ledger {self.path} cannot be used: {reason}",
            hint="nothing was sent; what can be read of it is shown and fetched:\n"
            "seedream status\nseedream download\n"
            "then move it aside (never delete it: it names what was paid for)"
            " or set SEEDREAM_STATE_DIR",
        )

    def _connection(self) -> sqlite3.Connection:
        return self._pool.connection()

    def _fetch(
        self, query: str, values: Sequence[str | int | None]
    ) -> tuple[list[tuple[Any, ...]], list[str]]:
        """Return the rows of a question and the names of their columns, beside no commit.

        A reader that waits for the interpreter between two rows would keep a commit from its end.
        """
        connection = self._connection()
        with self._pool.gate:
            cursor = connection.execute(query, values)
            return cursor.fetchall(), [column[0] for column in cursor.description]

    @contextlib.contextmanager
    def _storage(self, deed: str, *, is_bounded: bool = True) -> Iterator[None]:
        try:
            with self._pool.lend(is_bounded=is_bounded):
                yield
        # Damaged text comes as bytes that are no UTF-8.
        except (sqlite3.Error, UnicodeError) as error:
            self._doubt(error)
            message = f"the ledger {self.path} could not be {deed}: {words_of(error)}"
            raise StorageError(message, hint="see the disk and the folder's rights") from error
        except OSError as error:
            message = f"the ledger {self.path} could not be {deed}: {error.strerror}"
            raise StorageError(message, hint=PLACE_HINT) from error

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Hold one transaction: all of it is on disk when this returns, or none of it."""
        self._check_writable()
        # The lock first: whoever waits for it has no connection open.
        with self._write_lock, self._storage("written", is_bounded=False):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                with self._pool.gate:
                    connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Let threads end what they are writing, for a second; what is committed is safe."""
        # First: the stamp is of the file as it is left.
        self._pool.close()
        if self._found == "":
            with contextlib.suppress(OSError):
                self._stamp.write()


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite itself says that a statement is complete."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
