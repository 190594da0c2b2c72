"""Prints the results of a run as they land, each once."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.cli.output import job as render
from seedream_cli.cli.run import find_current, latest, problem_of
from seedream_cli.core.errors import StorageError
from seedream_cli.core.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedream_cli.cli.output.progress import Plain
    from seedream_cli.cli.output.stdout import Stdout
    from seedream_cli.cli.run import Report
    from seedream_cli.core.model import Job, Problem
    from seedream_cli.engine.context import Context


class Landings:
    """Prints results as they come: on a terminal at once, else in the order of the jobs."""

    def __init__(
        self,
        stdout: Stdout,
        observer: Plain,
        *,
        is_json: bool,
        is_wait: bool,
        at_once: bool | None = None,
    ) -> None:
        """Print to stdout, and let the observer get out of its way.

        `at_once`: in the order in which they come (None: look whether stdout is a terminal).
        """
        self._at_once = os.isatty(1) if at_once is None else at_once
        self._stdout = stdout
        self._observer = observer
        self._is_json = is_json
        self._is_wait = is_wait
        self._lock = threading.Lock()
        self._ended: set[str] = set()
        self._has_news = False
        self._printed: set[int] = set()
        self._stuck: StorageError | None = None

    def look(self, engine: Context, jobs: Sequence[Job], *ended: str) -> None:
        """Take note of jobs that ended, by id, and print what may be printed now."""
        self._ended.update(ended)
        self._has_news = True
        # Who comes while another one prints leaves it to that: a stdout that nobody reads keeps
        # no second thread from saving pictures.
        while self._has_news and self._lock.acquire(blocking=False):
            try:
                self._has_news = False
                self._look(engine, jobs)
            finally:
                self._lock.release()

    def _look(self, engine: Context, jobs: Sequence[Job]) -> None:
        for k, job in enumerate(jobs):
            if k in self._printed:
                continue
            current = find_current(engine, job)
            if current.id in self._ended and self._is_final(engine, current):
                self._print(k, latest(engine.ledger, current), None)
            # In a pipe line k is picture k: what is done sooner waits for those before it.
            elif not self._at_once:
                return

    def _is_final(self, engine: Context, job: Job) -> bool:
        """Tell whether a job is as asked for; of others only the end of the run tells."""
        job = latest(engine.ledger, job)
        # With `--no-wait` the id of a running job is the result.
        wanted = {State.SAVED} if self._is_wait else {State.SAVED, State.RUNNING}
        return job.state in wanted and problem_of(job, engine.problems.get(job.id)) is None

    def _print(self, k: int, job: Job, problem: Problem | None) -> None:
        self._printed.add(k)
        try:
            with self._observer.aside():
                if self._is_json:
                    self._stdout.json(render.job_json(job, problem))
                elif not self._is_wait and job.state is State.RUNNING and problem is None:
                    self._stdout.line(job.id)
                else:
                    for image in job.images:
                        if image.saved_at and image.path:
                            self._stdout.line(shown_path(job, image.path))
        except StorageError as error:
            self._stuck = self._stuck or error

    def close(self, report: Report) -> StorageError | None:
        """Print what is left, and return why stdout takes no more."""
        with self._lock:  # a thread that a signal gave up may land still
            for k, job in enumerate(report.jobs):
                if k not in self._printed:
                    self._print(k, job, report.problem(job))
        return self._stuck


def shown_path(job: Job, path: str) -> str:
    """Return a path as it was given: relative where the command line was, absolute else."""
    base = str(job.output.get("base", "")).rstrip("/") + "/"
    is_given_whole = str(job.output.get("template", "")).startswith("/")
    if not is_given_whole and path.startswith(base) and Path.cwd() == Path(base):
        return path.removeprefix(base)
    return path
