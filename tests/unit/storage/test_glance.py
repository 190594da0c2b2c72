"""What a TAB reads of a ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from seedream_cli.storage.ledger.glance import newest_jobs

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_of_another_program_is_passed_by(tmp_path: Path) -> None:
    """A database with a table of jobs that is none of ours offers nothing."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE jobs (seq INTEGER PRIMARY KEY, id, prompt, state)")
        other.execute("INSERT INTO jobs VALUES (1, '00000001', 'a fox', 'saved')")
    assert newest_jobs(path, 5) == {}


def test_no_ledger_is_made(tmp_path: Path) -> None:
    """Where there is none SQLite makes none."""
    with pytest.raises(sqlite3.OperationalError):
        newest_jobs(tmp_path / "ledger.db", 5)
    assert list(tmp_path.iterdir()) == []
