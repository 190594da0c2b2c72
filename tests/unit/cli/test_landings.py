"""Results are printed as they come, each once, in an order that a program can rely on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from seedream_cli.cli.landings import Landings
from seedream_cli.cli.output.progress import Plain
from seedream_cli.cli.output.stdout import Stdout
from seedream_cli.cli.run import Report
from seedream_cli.core.model import Charge, Image, Job, Problem, State

if TYPE_CHECKING:
    from seedream_cli.engine.context import Context

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LOST = Problem("outcome_unknown", "no answer came")


def saved(job: Job) -> Job:
    """Return a job whose picture is on disk."""
    path = f"/pictures/fox-{job.first_n}.png"
    image = Image(job=job.id, index=1, n=job.first_n, path=path, saved_at=NOW)
    return replace(job, state=State.SAVED, images=(image,))


def jobs(count: int) -> list[Job]:
    """Return jobs of one run that a provider has accepted."""
    return [
        Job(
            id=f"id-{n}",
            run="run",
            state=State.RUNNING,
            charge=Charge.CHARGED,
            provider="kie",
            profile="kie",
            origin="https://api.kie.ai",
            sandbox=False,
            model="m",
            prompt="p",
            request={},
            recipe={},
            purchase_digest="f",
            output={"template": "/pictures/fox-{n}.png"},
            first_n=n,
            expected=1,
            created_at=NOW,
        )
        for n in range(1, count + 1)
    ]


@dataclass
class Engine:
    """As much of a run's context as says where its jobs stand."""

    jobs: dict[str, Job]
    problems: dict[str, Problem] = field(default_factory=dict)
    replaced: dict[str, Job] = field(default_factory=dict)

    @property
    def ledger(self) -> Engine:
        """Its ledger is itself."""
        return self

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return self.jobs[job_id]


class Run:
    """Three pictures on their way to stdout."""

    def __init__(self, *, at_once: bool, is_json: bool = False) -> None:
        """Begin with nothing saved."""
        self.jobs = jobs(3)
        self.engine = Engine({job.id: job for job in self.jobs})
        self.landings = Landings(Stdout(), Plain(), is_json=is_json, is_wait=True, at_once=at_once)

    def end(self, n: int, *, is_lost: bool = False) -> None:
        """Let a job end: with its picture, or without any answer."""
        job = self.jobs[n - 1]
        lost = replace(job, state=State.UNKNOWN, charge=Charge.MAYBE, problem=LOST)
        self.engine.jobs[job.id] = lost if is_lost else saved(job)
        self.landings.look(cast("Context", self.engine), self.jobs, job.id)

    def close(self) -> None:
        """End the run."""
        self.landings.close(Report(jobs=tuple(self.engine.jobs.values()), problems={}))


def test_a_program_gets_paths_in_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    """A path is printed as soon as those before it are; each of them once."""
    run = Run(at_once=False)
    run.end(2)
    assert capfd.readouterr().out == ""
    run.end(1)
    assert capfd.readouterr().out == "/pictures/fox-1.png\n/pictures/fox-2.png\n"
    run.end(3)
    run.close()
    assert capfd.readouterr().out == "/pictures/fox-3.png\n"


def test_a_person_sees_each_path_when_it_lands(capfd: pytest.CaptureFixture[str]) -> None:
    """On a terminal nothing waits for a slow picture before it."""
    run = Run(at_once=True)
    run.end(2)
    assert capfd.readouterr().out == "/pictures/fox-2.png\n"
    run.end(1, is_lost=True)
    run.end(3)
    run.close()
    assert capfd.readouterr().out == "/pictures/fox-3.png\n"


@pytest.mark.parametrize("is_json", [False, True])
def test_what_may_still_come_keeps_its_place(
    capfd: pytest.CaptureFixture[str],
    is_json: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A lost answer may be found before the run ends: what comes after it waits for that."""
    run = Run(at_once=False, is_json=is_json)
    run.end(1, is_lost=True)
    run.end(2)
    run.end(3)
    assert capfd.readouterr().out == ""
    run.engine.jobs["id-1"] = saved(run.jobs[0])
    run.close()
    lines = capfd.readouterr().out.splitlines()
    assert [f"fox-{n}.png" in line for n, line in enumerate(lines, 1)] == [True] * 3
