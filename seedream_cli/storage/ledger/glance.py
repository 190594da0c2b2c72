"""What a TAB shows of a ledger: read at a glance, by whoever must not keep a person waiting.

No record is made of what is read, nothing is checked, repaired or brought up to date.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from seedream_cli.storage.ledger import APPLICATION_ID

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS: Final = 1.0
"""How long another process may be writing."""


def newest_jobs(path: Path, count: int, *, state: str | None = None) -> dict[str, str]:
    """Return the prompts of the newest jobs by their ids, the newest first.

    `last` leads them where it means something: a run, not a batch, has saved a picture. In one
    `state` there is none. Raises `sqlite3.Error` for what is no ledger that can be read.
    """
    where, values = ("state = ?", [state]) if state is not None else ("1", [])
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_SECONDS)) as ledger:
        if ledger.execute("PRAGMA application_id").fetchall() != [(APPLICATION_ID,)]:
            return {}
        jobs = ledger.execute(
            f"SELECT id, prompt FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?",  # noqa: S608
            (*values, count),
        ).fetchall()
        runs = ledger.execute(
            "SELECT 1 FROM jobs WHERE row IS NULL AND EXISTS"
            " (SELECT 1 FROM images WHERE job = jobs.id AND saved_at IS NOT NULL) LIMIT 1"
        ).fetchall()
    last = {"last": "the newest run that saved a picture"} if runs and state is None else {}
    return last | dict(jobs)
