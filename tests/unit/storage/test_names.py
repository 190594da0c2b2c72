"""What people call jobs and pictures means one thing, or is refused with the reason."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import UsageError
from seedream_cli.core.model import Image, Job
from seedream_cli.storage.ledger.ledger import Ledger
from seedream_cli.storage.ledger.names import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path, make_job: Callable[..., Job]) -> Iterator[Ledger]:
    """Return a ledger of four runs: one picture; three in two jobs; a batch; nothing saved."""
    with closing(Ledger(tmp_path / "ledger.db", now=lambda: NOW)) as ledger:
        for job_id, run, first_n, count, row, is_saved in (
            ("01k3f9zq", "older", 1, 1, None, True),
            ("01k4aaaa", "newer", 1, 2, None, True),
            ("9zzzzzzz", "newer", 3, 1, None, True),
            ("5batch00", "batch", 1, 1, "hero", True),
            ("6empty00", "empty", 1, 1, None, False),
        ):
            ledger.plan([make_job(id=job_id, run=run, first_n=first_n, expected=count, row=row)])
            for index in range(1, count + 1):
                saved_at = NOW if is_saved else None
                n = first_n + index - 1
                ledger.put_image(Image(job=job_id, index=index, n=n, saved_at=saved_at))
        yield ledger


@pytest.mark.parametrize(
    ("name", "jobs", "n"),
    [
        ("01k3f9zq", ["01k3f9zq"], None),
        ("01k3", ["01k3f9zq"], None),
        ("9", ["9zzzzzzz"], None),
        ("01K3F9ZQ", ["01k3f9zq"], None),
        (" 01k3f9zq ", ["01k3f9zq"], None),
        ("job:01k3f9zq", ["01k3f9zq"], None),
        ("@01k3f9zq", ["01k3f9zq"], None),
        ("01k4aaaa.2", ["01k4aaaa"], 2),
        ("9z.1", ["9zzzzzzz"], 3),
        ("last", ["01k4aaaa", "9zzzzzzz"], None),
        ("last-0", ["01k4aaaa", "9zzzzzzz"], None),
        ("LAST", ["01k4aaaa", "9zzzzzzz"], None),
        ("last.3", ["9zzzzzzz"], 3),
        ("last.2", ["01k4aaaa"], 2),
        ("job:last.3", ["9zzzzzzz"], 3),
        ("@last.1", ["01k4aaaa"], 1),
        ("last-1", ["01k3f9zq"], None),
        ("last-1.1", ["01k3f9zq"], 1),
        ("5batch00", ["5batch00"], None),
        ("6empty00", ["6empty00"], None),
    ],
)
def test_a_name_means_its_jobs(ledger: Ledger, name: str, jobs: list[str], n: int | None) -> None:
    """Prefixes, runs and pictures are found, jobs of a run in the order of their pictures."""
    found = find(ledger, name)
    assert [job.id for job in found.jobs] == jobs
    assert (found.image.n if found.image else None) == n


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "no job's name"),
        ("kiln", "no job's name"),
        ("01k3f9zqq", "no job's name"),
        ("../../etc", "there is no file ../../etc"),
        ("nosuch.png", "there is no file nosuch.png"),
        ("last-99", "only [0-9]+ saved a picture"),
        ("last-", "no job's name"),
        ("last-one", "no job's name"),
        ("last.0x1", "no job's name"),
        ("01k3f9zq.", "no job's name"),
        ("job:job:last", "no job's name"),
        ("٣", "no job's name"),
        ("zzz", "there is no job zzz"),
        ("01k", "could be"),
        ("last-2", "there is no run"),
        ("last-9999", "there is no run"),
        ("last.4", "it has 3"),
        ("last.0", "it has 3"),
        ("01k4aaaa.3", "it has 2"),
        ("9zzzzzzz.3", "it has 1"),
    ],
)
def test_a_name_that_means_nothing_is_refused(ledger: Ledger, name: str, reason: str) -> None:
    """A name of no job, of several, or of a picture that is not there is a usage error."""
    with pytest.raises(UsageError, match=reason):
        find(ledger, name)


def test_an_ambiguous_prefix_names_the_candidates(ledger: Ledger) -> None:
    """The error shows which jobs the prefix could mean, newest first."""
    with pytest.raises(UsageError, match="01k4aaaa, 01k3f9zq") as caught:
        find(ledger, "01k")
    assert caught.value.hint


def test_last_of_nothing_is_refused(tmp_path: Path) -> None:
    """A new ledger has no last run."""
    with (
        closing(Ledger(tmp_path / "new.db", now=lambda: NOW)) as ledger,
        pytest.raises(UsageError, match="none has saved a picture"),
    ):
        find(ledger, "last")
