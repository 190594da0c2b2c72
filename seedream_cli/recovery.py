"""What a dead process left: its answers are read, its lost submits named, its temp files swept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.errors import StorageError
from seedream_cli.model import Charge, Problem, State

if TYPE_CHECKING:
    from seedream_cli.engine import Engine
    from seedream_cli.files import Files
    from seedream_cli.model import Job
    from seedream_cli.owner import Owner


def settle_estates(engine: Engine, files: Files, owner: Owner) -> None:
    """Settle the jobs and temp files of processes that died; nothing is sent.

    A dead process's `planned` jobs are closed (nothing was sent), its `sending` ones become what
    the stored answer says, and `unknown` where there is none.
    """
    jobs = engine.ledger.jobs("state IN ('planned', 'sending')")
    names = {job.owner for job in jobs} | set(owner.dead())
    for name in sorted(names - {owner.name}):
        with owner.estate(name) as is_ours:
            if not is_ours:
                continue
            for job in engine.ledger.jobs("owner = ? AND state IN ('planned', 'sending')", (name,)):
                conclude(
                    engine,
                    job,
                    "the process was killed while it was sending",
                    "its process died before anything was sent",
                )
            files.sweep(owner.folders_of(name), is_dead=name.__eq__)
            owner.bury(name)


def waiting(engine: Engine, owner: Owner) -> list[Job]:
    """Return the jobs of dead processes whose pictures wait at their provider."""
    jobs = engine.ledger.jobs("state IN ('running', 'ready') AND owner <> ?", (owner.name,))
    dead = {name for name in {job.owner for job in jobs} if owner.is_dead(name)}
    return [job for job in jobs if job.owner in dead]


def conclude(engine: Engine, job: Job, reason: str, unsent: str) -> None:
    """End a job that nobody submits any more: closed if nothing was sent, else what came of it.

    `reason` is why no answer was stored, `unsent` why nothing was sent.
    """
    try:
        if job.state is State.SENDING:
            answer = engine.ledger.last_answer(job.id)
            if answer is None:
                engine.lose(job, reason)
                return
            job, _ = engine.settle(job, answer)
        if job.state is State.PLANNED:
            problem = Problem("interrupted", unsent)
            engine.ledger.move(job, State.CLOSED, charge=Charge.NONE, problem=problem)
    except StorageError as error:
        # Someone else was quicker: the guard of the ledger held.
        if "no longer" not in error.message:
            raise
