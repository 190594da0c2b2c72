"""What a provider's answer means for a job: the step that it takes, written down."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from seedream_cli.core.errors import UnreadableReply
from seedream_cli.core.events import JobChanged
from seedream_cli.core.model import Busy, Done, Failed, Problem, Refused, Running, State
from seedream_cli.engine.stream import image_of, share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job, Outcome, Reply
    from seedream_cli.providers.spec import Provider
    from seedream_cli.storage.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Reads answers and takes the steps that they mean. The world is handed in."""

    ledger: Ledger
    notify: Callable[[Event], None]
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]

    def settle(self, job: Job, reply: Reply) -> tuple[Job, Outcome | None]:
        """Read the stored answer to a submit and take the step that it means; also at recovery."""
        provider = self.providers[job.provider]
        request_id = reply.headers.get("x-request-id")
        is_given_up = job.state is State.UNKNOWN
        try:
            outcome = provider.dialect.decode(reply)
            if is_given_up and not isinstance(outcome, Running | Done):
                return job, None
            return self._heard(job, outcome, request_id), outcome
        except UnreadableReply as error:
            if is_given_up:
                return job, None
            return self.lose(job, error.message, request_id), None

    def _heard(self, job: Job, outcome: Outcome, request_id: str | None) -> Job:
        """Take the step that a submit's outcome means."""
        match outcome:
            case Running(task_id=task_id):
                return self.ledger.move(job, State.RUNNING, task_id=task_id, request_id=request_id)
            case Done():
                return self.ready(job, outcome, request_id)
            case Failed(problem=problem):
                return self.fail(job, problem, request_id)
            case Refused(problem=problem):
                return self.ledger.move(job, State.REFUSED, problem=problem, request_id=request_id)
            case Busy():
                return self.ledger.move(job, State.PLANNED)

    def ready(self, job: Job, done: Done, request_id: str | None = None) -> Job:
        """Write down where the images are, before any of them is fetched."""
        lifetime = self.providers[job.provider].url_lifetime
        lapses = self.now() + lifetime if lifetime else None
        images = [image_of(job, remote, lapses) for remote in done.images]
        return self.ledger.move(
            job,
            State.READY,
            task_id=done.task_id,
            request_id=done.request_id or request_id,
            cost=done.cost or share(job.price, images, job.expected),
            images=images,
        )

    def fail(self, job: Job, problem: Problem, request_id: str | None = None) -> Job:
        """Write down that an accepted job failed for good."""
        charge = self.providers[job.provider].charge_of_failed
        return self.ledger.move(
            job, State.FAILED, charge=charge, problem=problem, request_id=request_id
        )

    def lose(self, job: Job, reason: str, request_id: str | None = None) -> Job:
        """Write down that nobody knows what became of a submit; it is never sent again."""
        provider = self.providers[job.provider]
        where = "" if job.sandbox else f"look at {provider.charges_page}, then: "
        problem = Problem(
            "outcome_unknown",
            f"{reason}; it may have been charged",
            f"{where}seedream status {job.id} --adopt TASK_ID|URL, --not-charged or --write-off",
        )
        job = self.ledger.move(job, State.UNKNOWN, problem=problem, request_id=request_id)
        self.notify(JobChanged(job=job))
        return job

    def rescue_words(self, job: Job, reply: Reply) -> str:
        """Say what would be lost with this terminal, when the ledger does not take an answer."""
        try:
            outcome = self.providers[job.provider].dialect.decode(reply)
        except UnreadableReply:
            return "the provider's answer could not be kept"
        match outcome:
            case Running(task_id=task_id):
                task = quote(task_id)
                return f"write this down: seedream download --task-id {task} -p {job.profile}"
            case Done(images=images):
                return "write this down: " + " ".join(i.url for i in images if i.url)
            case _:
                return ""
