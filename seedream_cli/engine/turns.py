"""Whose poll is next where polls of an account have to wait for each other."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable

    Urgency = Callable[[float], tuple[float, float]]
    """Since when a job's expected lag grows, monotonic, and in how many seconds it is as large as
    it may be, where all wait so many paces."""

HAIR: Final = 0.5e-3
"""Seconds: what is due then is due now; below that a sleep is not exact."""
_NEWS: Final = 0.1
"""Of each poll that had to wait in what is known of how long all do."""
_PUNCTUALITY: Final = 0.25
"""Seconds within which a poll comes for its turn, where a worker is free."""
LONGEST_TURN: Final = 15.0
"""Seconds: who has a turn later than that looks again before."""
_NEAR: Final = 32
"""Of those before somebody, whose coming is looked at."""
_REMEMBERED: Final = 1000
"""Polls that may count in a limit which they share with submits."""


@dataclass(slots=True)
class _Turn:
    """What a poll waits for."""

    key: float
    since: float
    pace: float
    told: float
    """When it may come again."""


@dataclass(slots=True)
class Turns:
    """Polls of an origin: each turn goes to the job whose expected lag is the largest by then.

    Expected lags grow about as the square of the time, so they compare as the times do that jobs
    have waited, each by the pace at which it would be asked alone. How many paces everybody waits
    at present is the `stretch`: who will have waited so many first is the next one.
    """

    free_at: float = -math.inf
    busy_until: float = -math.inf
    """The provider wants no polls before."""
    begun: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """When the latest polls began."""
    waiting: list[tuple[float, str]] = field(default_factory=list)
    """Keys and ids, the next one first."""
    turns: dict[str, _Turn] = field(default_factory=dict)
    stretch: float = 1.0
    is_shared: bool = False
    """The provider counts polls and submits together."""

    def seconds(
        self,
        job_id: str,
        now: float,
        urgency: Urgency,
        slot: Callable[[int], float],
    ) -> float:
        """Let a poll go (0), or keep its turn and return how far off that is.

        `slot` tells when the poll may go before which so many others do.
        """
        self._skip_absent(job_id, now)
        if not self.waiting and slot(0) <= now + HAIR:
            self.begun.append(now)  # the usual case: there is room
            return 0.0
        turn = self.turns.get(job_id)
        if turn is None:
            since, seconds = urgency(self.stretch)
            turn = _Turn(since + seconds, since, seconds / self.stretch, now)
            self.turns[job_id] = turn
            insort(self.waiting, (turn.key, job_id))
        place = bisect_left(self.waiting, (turn.key, job_id))
        is_free = slot(0) <= now + HAIR and self._are_away(place, now)
        seconds = 0.0 if is_free else slot(place) - now
        if seconds > LONGEST_TURN:  # it looks again, ever sooner: others may have ended
            seconds = max(seconds / 2, LONGEST_TURN)
        if seconds > HAIR:
            turn.told = now + seconds
            return seconds
        del self.waiting[place], self.turns[job_id]
        paces = max((now - turn.since) / turn.pace, 1.0)
        self.stretch += _NEWS * (paces - self.stretch)
        self.begun.append(now)
        return 0.0

    def _are_away(self, place: int, now: float) -> bool:
        """Tell whether all before a place come later: what they leave free now is not lost."""
        first = islice(self.waiting, min(place, _NEAR))
        return all(self.turns[job_id].told > now + HAIR for _, job_id in first)

    def _skip_absent(self, job_id: str, now: float) -> None:
        """Give the turn away of whoever has not come for it: he may have ended elsewhere."""
        while self.waiting:
            _, first = self.waiting[0]
            if first == job_id or self.turns[first].told >= now - _PUNCTUALITY:
                return
            del self.waiting[0], self.turns[first]
