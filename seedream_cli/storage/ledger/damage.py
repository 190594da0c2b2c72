"""What tells a damaged ledger, and what can still be read of it, row by row."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final
from zlib import crc32

from seedream_cli.storage.ledger.columns import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CHECKED_ALWAYS: Final = 4 << 20
"""Bytes up to which a ledger is read whole before a purchase: 1,000 jobs in 10 ms (measured on
SQLite 3.40, 2026-11-30). Above, that is spared where the last process left it checked."""

_INDEXES: Final = ("jobs_by_state", "jobs_by_fingerprint", "jobs_by_run")
_BEYOND: Final = 1000
"""Numbers that are looked up beyond the last one that was seen: its end may be what is damaged."""
_SMALLEST_ROW: Final = 50
"""Bytes: no file holds more jobs than its size allows, whatever a damaged number says."""
_HARMLESS: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_MISUSE,
    }
)
"""Errors that say nothing of the file: of all others one thinks of damage."""


def is_suspicious(error: Exception) -> bool:
    """Tell whether an error may come of damage."""
    # A wrong call of ours, or a guard of the schema that did its work.
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
        return False
    return getattr(error, "sqlite_errorcode", 0) & 0xFF not in _HARMLESS


def is_damage(error: BaseException | None) -> bool:
    """Tell whether SQLite itself calls it damage."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


def find_damage(
    connection: sqlite3.Connection, scripts: Sequence[str], checksum: int | None = None
) -> str:
    """Return what is wrong with a ledger made by `scripts`; empty: it is sound.

    Reads the whole file: every page, every row by every index, and the schema as it was made. Where
    that has the `checksum` of what `scripts` make they are not run to compare, which takes 5 ms.
    """
    try:
        # The first finding is enough: it ends all purchases.
        found = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if found != [("ok",)]:
            return words_of(str(found[0][0]).removeprefix("*** in database main ***\n"))
        made = read_schema(connection)
        # What somebody added does no harm; what lacks may be a guard, such as `one_live_attempt`.
        if schema_checksum(made) != checksum and (lost := _schema(scripts) - made):
            kind, name, _ = min(lost)
            return f"its {kind} {name} is not as it was made"
        if not connection.execute("SELECT 1 FROM meta WHERE key = 'birth'").fetchall():
            return "it does not know its birth"
    except (sqlite3.Error, UnicodeError) as error:
        return words_of(error)
    return ""


def read_schema(connection: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    """Return type, name and text of all that was made in a database."""
    return set(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall())


def schema_checksum(schema: set[tuple[str, str, str | None]]) -> int:
    """Return a number that tells a damaged schema from a sound one: its CRC-32."""
    return crc32(repr(sorted(schema)).encode())


def _schema(scripts: Sequence[str]) -> set[tuple[str, str, str | None]]:
    model = sqlite3.connect(":memory:")
    try:
        for script in scripts:
            model.executescript(script)
        return read_schema(model)
    finally:
        model.close()


class Stamp:
    """Remembers, beside a large ledger, as what its last process left it whole."""

    def __init__(self, ledger: Path) -> None:
        """Look beside `ledger`."""
        self._ledger = ledger
        self._path = ledger.with_suffix(".checked")

    @property
    def holds(self) -> bool:
        """Tell whether the ledger is as it was when it was last found sound."""
        try:
            return self._path.read_text("ascii") == self._text()
        except (OSError, ValueError):
            return False

    def write(self) -> None:
        """Remember the ledger as it lies there now; raise `OSError`."""
        if self._ledger.stat().st_size > CHECKED_ALWAYS:
            self._path.write_text(self._text(), "ascii")

    def remove(self) -> None:
        """Trust the ledger no more until it was read whole; raise `OSError`."""
        self._path.unlink(missing_ok=True)

    def _text(self) -> str:
        facts = self._ledger.stat()
        # It is read whole each time, so nobody has to remember it.
        if facts.st_size <= CHECKED_ALWAYS:
            return "too small to be remembered"
        return f"{facts.st_ino} {facts.st_size} {facts.st_mtime_ns}"


def read_jobs(
    connection: sqlite3.Connection, where: str, values: Sequence[str | int | None], size: int
) -> Iterator[tuple[int, dict[str, object] | Exception]]:
    """Yield each job that meets a condition, newest first, or why it cannot be read.

    `size` is the file's. Every row is looked up by itself, by no index.
    """
    query = f"SELECT * FROM jobs NOT INDEXED WHERE seq = ? AND ({where})"  # noqa: S608 - ours
    for seq in range(_last(connection, size), 0, -1):
        try:
            cursor = connection.execute(query, (seq, *values))
            for row in cursor.fetchall():
                yield seq, dict(zip((each[0] for each in cursor.description), row, strict=True))
        except (sqlite3.Error, UnicodeError) as error:
            yield seq, error


def _last(connection: sqlite3.Connection, size: int) -> int:
    """Return the highest number that a job may have, by whatever can still be read."""
    last = 0
    tables = ("jobs NOT INDEXED ORDER BY seq DESC", "jobs NOT INDEXED ORDER BY seq")
    for table in (*tables, *(f"jobs INDEXED BY {name}" for name in _INDEXES)):
        try:
            for (seq,) in connection.execute(f"SELECT seq FROM {table}"):  # noqa: S608 - ours
                last = max(last, seq if isinstance(seq, int) else 0)
        except sqlite3.Error:
            continue
    return min(last + _BEYOND, size // _SMALLEST_ROW)
