"""How fast this process asks an API: places in its rate limit, a gentle start, turns of polls.

Across processes the ledger's `begin` keeps the limit; this spares connections that would be in
vain, and lets waiting jobs come one after the other.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Final

from seedream_cli.core.record import dataclass, field
from seedream_cli.engine.turns import HAIR, LONGEST_TURN, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seedream_cli.core.clock import Clock
    from seedream_cli.core.model import Job
    from seedream_cli.engine.turns import Urgency
    from seedream_cli.providers.spec import Provider, RateLimit

    Starts = Callable[[str, str, RateLimit], list[tuple[float, int]]]
    """Origin, model, limit → how many seconds ago each submit began, and what it counts as."""

NARROW: Final = 4
"""Submits of an origin that may be unanswered while nobody knows if it takes any."""
PATIENCE: Final = 2.0
"""Seconds after which an origin that has not answered yet is slow rather than wrong."""
_LOOK: Final = 0.25
"""Seconds until whoever found the gate full looks again."""
_LOOKS_A_SECOND: Final = 128
"""How many look again: thousands may wait there."""
_WIDEST: Final = 10
"""Doublings after which the gate stands open."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Not now."""

    seconds: float
    reason: str = ""
    """For a person; empty where it is not worth a word."""


@dataclass(slots=True)
class _Lane:
    """What one rate limit has given out: starts that are not in the ledger yet."""

    limit: RateLimit
    granted: dict[str, int] = field(default_factory=dict)
    """Jobs that may begin, and what they count as."""
    places: dict[str, tuple[float, int]] = field(default_factory=dict)
    """When waiting jobs may come again, and what they count as; soonest first."""

    def seconds(
        self, job_id: str, weight: int, now: float, begun: Callable[[], list[tuple[float, int]]]
    ) -> float:
        """Grant a job its start (0), or keep a place for it and return how far off that is."""
        if job_id in self.granted:
            return 0.0
        if job_id in self.places:
            return self._keep(job_id, weight, now, begun)
        last = self._last(now)
        starts: list[tuple[float, int]] = []
        if last - now <= self.limit.span:  # else nothing of today counts by then
            starts = self.counting(now, begun)
        due = last + self.limit.wait([*starts, *self._behind(now, last)], weight, last)
        if due <= now:
            return self._grant(job_id, weight)
        self.places[job_id] = (due, weight)
        return due - now

    def _keep(
        self, job_id: str, weight: int, now: float, begun: Callable[[], list[tuple[float, int]]]
    ) -> float:
        """Grant a start at the place that was kept for it; where it is taken, all wait longer."""
        due, _ = self.places[job_id]
        if due > now + HAIR:
            return due - now
        starts = self.counting(now, begun)
        seconds = self.limit.wait(starts, weight, now)
        if not seconds:
            del self.places[job_id]
            return self._grant(job_id, weight)
        if self.limit.of == "requests":
            self._move_up(job_id, starts, now)
            return self.places[job_id][0] - now
        late = now + seconds - due
        for name, (place, each) in self.places.items():
            if place >= due:
                self.places[name] = (place + late, each)
        return seconds

    def _move_up(self, job_id: str, starts: list[tuple[float, int]], now: float) -> None:
        """Put all places off by no more than they must, where some of a job's room is taken.

        A request may go when the one that is as many before it as the limit takes is past.
        """
        before = deque([-math.inf] * self.limit.count, maxlen=self.limit.count)
        before.extend(at for at, _ in sorted(starts)[-self.limit.count :])
        for name, (place, weight) in self.places.items():
            # Nobody came for what is long past, but who comes now.
            if place > now - self.limit.span or name == job_id:
                due = max(place, before[0] + self.limit.span)
                self.places[name] = (due, weight)
                before.append(due)

    def counting(
        self, now: float, begun: Callable[[], list[tuple[float, int]]]
    ) -> list[tuple[float, int]]:
        """Return what counts now: what has begun, and what was let go a moment ago."""
        return [*begun(), *((now, each) for each in self.granted.values())]

    def _grant(self, job_id: str, weight: int) -> float:
        self.granted[job_id] = weight
        return 0.0

    def _last(self, now: float) -> float:
        return max(now, next((due for due, _ in reversed(self.places.values())), now))

    def _behind(self, now: float, last: float) -> Iterator[tuple[float, int]]:
        """Yield the places that count at the end of the queue; nobody came for those long past."""
        for due, weight in reversed(self.places.values()):
            if due <= last - self.limit.span:
                return
            yield max(due, now), weight


@dataclass(slots=True)
class _Gate:
    """How many submits of an origin may be unanswered: few at first, twice as many a second."""

    unanswered: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    paused_until: float = -math.inf
    widens_at: float | None = None

    def seconds(self, job_id: str, now: float) -> float:
        """Let a job through (0), or return when it may look again."""
        self.waiting.discard(job_id)
        pause = self.paused_until - now
        if pause <= HAIR and len(self.unanswered) < self._width(now):
            self.unanswered.add(job_id)
            if self.widens_at is None:
                self.widens_at = now + PATIENCE
            return 0.0
        look = pause if pause > HAIR else _LOOK
        self.waiting.add(job_id)
        return look + (len(self.waiting) - 1) / _LOOKS_A_SECOND

    def _width(self, now: float) -> float:
        if self.widens_at is None or now < self.widens_at:
            return NARROW
        doublings = 1 + int(now - self.widens_at)
        return NARROW * 2.0**doublings if doublings <= _WIDEST else math.inf

    def widen(self, now: float) -> None:
        """Widen: the origin takes what it is sent."""
        if self.widens_at is None or now < self.widens_at:
            self.widens_at = max(now, self.paused_until + 1.0)

    def pause(self, until: float) -> None:
        """Let nobody through before, and few then; what is under way now counts no more."""
        if until > self.paused_until:
            self.paused_until, self.widens_at = until, until + 1.0
            self.unanswered.clear()


class RateLimiter:
    """Lets submits and polls go, or says for how long not; safe to ask from any thread.

    Jobs of a rehearsal never wait.
    """

    def __init__(self, clock: Clock, starts: Starts) -> None:
        """Take the ledger's `starts`: those of other processes count, too."""
        self._clock = clock
        self._starts = starts
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._gates: dict[str, _Gate] = {}
        self._turns: dict[str, Turns] = {}

    def submit(self, job: Job, provider: Provider) -> Delay | None:
        """Let a submit go (None), or say how long it waits; its place is kept until it asks again.

        Whoever is let go has to tell by `release` that the submit is over. Raises `StorageError`.
        """
        if job.sandbox:
            return None
        with self._lock:
            now = self._clock.monotonic()
            seconds = self._lane_seconds(job, provider.limit, now)
            if seconds:
                return Delay(seconds, f"{provider.name} takes {provider.limit}")
            gate = self._gate(job)
            seconds = gate.seconds(job.id, now)
            if not seconds:
                return None
            is_paused = gate.paused_until > now + HAIR
            return Delay(seconds, f"{provider.name} is busy" if is_paused else "")

    def note_start(self, job: Job) -> None:
        """Take note that a submit is in the ledger: it counts there from now on."""
        with self._lock:
            for lane in self._lanes_of(job):
                lane.granted.pop(job.id, None)

    def note_answer(self, job: Job) -> None:
        """Take note that an origin takes what it is sent."""
        with self._lock:
            if not job.sandbox:
                self._gate(job).widen(self._clock.monotonic())

    def pause(self, job: Job, seconds: float) -> None:
        """Let no submit of a job's origin go for so long, for it said: not now."""
        with self._lock:
            if not job.sandbox:
                self._gate(job).pause(self._clock.monotonic() + seconds)

    def release(self, job: Job) -> None:
        """Take note that a submit is over, or will not be: all that is kept for it is free."""
        with self._lock:
            for lane in self._lanes_of(job):
                lane.granted.pop(job.id, None)
                lane.places.pop(job.id, None)
            gate = self._gate(job)
            gate.unanswered.discard(job.id)
            gate.waiting.discard(job.id)

    def poll(self, job: Job, provider: Provider, urgency: Urgency) -> Delay | None:
        """Let a poll go (None), or say how long it waits for its turn."""
        if job.sandbox:
            return None
        with self._lock:
            turns, now = self._turns.setdefault(job.origin, Turns()), self._clock.monotonic()
            if turns.is_shared and provider.limit is not None:
                seconds = turns.seconds(job.id, now, urgency, self._shared(job, provider, now))
            else:
                limit = provider.poll_limit
                gap = limit.per.total_seconds() / limit.count if limit is not None else 0.0
                free_at = max(turns.free_at, now)
                seconds = turns.seconds(job.id, now, urgency, lambda place: free_at + place * gap)
                if not seconds:
                    turns.free_at = free_at + gap
            reason = f"{provider.name} is busy" if turns.busy_until > now else ""
            return Delay(seconds, reason) if seconds else None

    def note_busy_poll(self, job: Job, provider: Provider, asked: float | None) -> None:
        """Take note that a poll within our limits was turned away, for `asked` seconds if said.

        Then the provider counts all requests together: from now on polls take what room submits
        leave. Other polls of the origin would be turned away as well, so they wait, too.
        """
        with self._lock:
            if job.sandbox:
                return
            turns = self._turns.setdefault(job.origin, Turns())
            limit = provider.limit
            turns.is_shared = limit is not None and limit.of == "requests"
            if asked is not None:
                until = self._clock.monotonic() + min(asked, LONGEST_TURN)
                turns.busy_until = max(turns.busy_until, until)
                turns.free_at = max(turns.free_at, until)

    def _shared(self, job: Job, provider: Provider, now: float) -> Callable[[int], float]:
        """Return when polls may go in a limit of requests where the submits that wait come first.

        A request may go when the one that is as many before it as the limit takes is past.
        """
        limit = provider.limit
        assert limit is not None, "it is shared"  # noqa: S101 - for the type checker
        lane = self._lane(job, limit)
        last = islice(reversed(lane.places.values()), limit.count)
        places = (max(due, now) for due, _ in last)
        counting = lane.counting(now, lambda: self._list_starts(job, limit, now))
        times = sorted([*(at for at, _ in counting), *places])[-limit.count :]
        before = [-math.inf] * (limit.count - len(times)) + times
        free_at = self._turns[job.origin].free_at

        def slot(place: int) -> float:
            rounds, which = divmod(place, limit.count)
            return max(before[which] + limit.span * (1 + rounds), free_at, now)

        return slot

    def _list_starts(self, job: Job, limit: RateLimit, now: float) -> list[tuple[float, int]]:
        """Return what counts in a limit now: submits of all processes, and polls if it is shared.

        A poll that waits is none of them: submits come first.
        """
        starts = [(now - ago, weight) for ago, weight in self._starts(job.origin, job.model, limit)]
        turns = self._turns.get(job.origin)
        if turns is None or not turns.is_shared:
            return starts
        since = now - limit.span
        latest = takewhile(lambda at: at > since, reversed(turns.begun))
        return [*starts, *((at, 1) for at in latest)]

    def _lane_seconds(self, job: Job, limit: RateLimit | None, now: float) -> float:
        if limit is None:
            return 0.0

        def list_starts() -> list[tuple[float, int]]:
            return self._list_starts(job, limit, now)

        return self._lane(job, limit).seconds(job.id, limit.weight(job), now, list_starts)

    def _lane(self, job: Job, limit: RateLimit) -> _Lane:
        key = (job.origin, job.model if limit.is_per_model else "")
        return self._lanes.setdefault(key, _Lane(limit))

    def _gate(self, job: Job) -> _Gate:
        return self._gates.setdefault(job.origin, _Gate())

    def _lanes_of(self, job: Job) -> Iterator[_Lane]:
        for key in ((job.origin, job.model), (job.origin, "")):
            if key in self._lanes:
                yield self._lanes[key]
