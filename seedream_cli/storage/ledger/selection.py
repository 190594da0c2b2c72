"""Which jobs are meant by what they have in common, as a condition of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedream_cli.core.model import Charge, State
from seedream_cli.core.record import dataclass
from seedream_cli.core.text import fold
from seedream_cli.storage.ledger.columns import time_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from seedream_cli.core.model import Job, Money

_OPEN = (State.SENDING, State.RUNNING, State.READY, State.UNKNOWN)
_TO_BE_HAD = (
    "EXISTS (SELECT 1 FROM images WHERE job = jobs.id AND saved_at IS NULL AND problem IS NULL"
    " AND (expires_at IS NULL OR expires_at <= ?))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Jobs that meet all that is said here; nothing said: every job."""

    states: Collection[State] | None = None
    account: str | None = None
    """A profile's name, or a provider's."""
    since: datetime | None = None
    """Planned then or later."""
    words: str | None = None
    """In the prompt, upper and lower case alike."""
    is_unsaved: bool = False
    """Something of them is not on disk yet, or may still come."""
    lapses_before: datetime | None = None
    """A picture is not on disk, and its URL lapses by then, or nobody knows when."""

    @property
    def is_any(self) -> bool:
        """Whether every job is meant."""
        return self == Selection()

    def where(self) -> tuple[str, list[str | int]]:
        """Return the condition over the columns of `jobs`, and its values."""
        conditions: list[str] = []
        values: list[str | int] = []

        def add(condition: str, *more: str | int) -> None:
            conditions.append(condition)
            values.extend(more)

        if self.states is not None:
            add(*in_states(self.states))
        if self.is_unsaved:
            add(*in_states(_OPEN))
        if self.lapses_before is not None:
            # What runs has no picture yet: nobody knows when it will lapse.
            add(
                f"(state = 'running' OR (state IN ('ready', 'unknown') AND {_TO_BE_HAD}))",
                time_text(self.lapses_before),
            )
        if self.account is not None:
            add("(profile = ? OR provider = ?)", self.account, self.account)
        if self.since is not None:
            add("created_at >= ?", time_text(self.since))
        if self.words is not None:
            add("instr(folded(prompt), ?) > 0", fold(self.words))
        return " AND ".join(conditions) or "1", values


def cost_of(job: Job) -> tuple[Charge, Money] | None:
    """Return what a job cost, or may have; None: nothing, nobody knows how much, or a rehearsal."""
    money = job.cost or job.price
    is_real = job.charge is not Charge.NONE and not job.sandbox
    return (job.charge, money) if is_real and money is not None else None


def in_states(states: Collection[State] | None) -> tuple[str, *tuple[str | int, ...]]:
    """Return a condition and its values; None: any state."""
    if states is None:
        return ("1",)
    return (f"state IN ({', '.join('?' * len(states))})", *(state.value for state in states))
