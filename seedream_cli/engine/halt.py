"""When a run buys nothing more: outcomes that nobody knows, an account or a model that is shut."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from seedream_cli.core.model import Problem, State
from seedream_cli.core.record import dataclass, field

if TYPE_CHECKING:
    from seedream_cli.core.model import Job

MOST_UNKNOWN: Final = 3
"""Unknown outcomes after which nothing more is bought."""


@dataclass(slots=True)
class Halt:
    """What became of the submits of a run so far; safe to ask from any thread."""

    is_news: bool = False
    """Others may not be sent any more either: whoever hears of it takes it back."""
    _problem: Problem | None = None
    _unknown: set[str] = field(default_factory=set)
    _shut: dict[tuple[str, str], Problem] = field(default_factory=dict)
    """By origin and model: those that are not opened for the account."""
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def note(self, job: Job, problem: Problem | None) -> None:
        """Take note of how a submit of the run ended, or of what stopped us at a job."""
        code = problem.code if problem is not None else ""
        with self._mutex:
            self._unknown |= {job.id} if job.state is State.UNKNOWN else set()
            # The account lacks this model only: the others of the run go on.
            if problem is not None and code == "access":
                words = f"nothing more is bought of {job.model}: it is not opened for this account"
                self._shut[job.origin, job.model] = Problem(code, words, problem.hint)
            elif problem is not None and code in {"auth", "credit"}:
                words = "nothing more is bought: the account was refused"
                self._problem = self._problem or Problem(code, words, problem.hint)
            elif len(self._unknown) >= MOST_UNKNOWN:
                words = f"nothing more is bought: {MOST_UNKNOWN} outcomes are unknown"
                self._problem = self._problem or Problem("provider_failed", words)
            # A budget without room for this job may have some for a cheaper one: they look again.
            elif code != "budget":
                return
            self.is_news = True

    def objection(self, job: Job) -> Problem | None:
        """Return why a job of the run is not to be sent any more; None: it may be."""
        with self._mutex:
            return self._problem or self._shut.get((job.origin, job.model))
