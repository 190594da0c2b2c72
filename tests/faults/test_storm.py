"""A storm over every provider, then fair weather: nothing is paid twice, nothing paid is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from seedream_cli.core.model import Charge, Purpose, State
from seedream_cli.engine.recall import recall
from seedream_cli.providers import PROVIDERS
from seedream_cli.sandbox.faults import FAULTS, Fault, Weather
from seedream_cli.sandbox.messages import Answer, Effect, Settings, Where, says
from seedream_cli.sandbox.server import Sandbox

if TYPE_CHECKING:
    import random

    import pytest
    from faults.conftest import Bench
    from support.soak import Soak

    from seedream_cli.sandbox.messages import HttpRequest, Stage, Voice


def _unread(_reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    """Hang up before anything was read: no charge."""
    return Answer(is_dropped=True, deed=Effect(where=Where.SUBMIT))


def _stumble(_reply: Answer, _voice: Voice, _asked: HttpRequest, _stage: Stage) -> Answer:
    return says({"oops": True}, 500)


UNREAD = Fault(name="unread", where=Where.SUBMIT, help="not charged, no answer", bend=_unread)
STUMBLE = Fault(name="stumble", where=Where.POLL, help="a poll fails", bend=_stumble)
SUBMITS = (*(FAULTS[name] for name in ("429", "500", "html", "cut", "lost")), UNREAD)
PICTURES = tuple(FAULTS[name] for name in ("late", "truncate", "odd"))


@dataclass
class Storm(Weather):
    """Each fault of a submit and of a picture in ten of a hundred, of a poll in thirty."""

    dice: random.Random
    is_over: bool = False
    drawn: Counter[str] = field(default_factory=Counter)
    gone: dict[str, bool] = field(default_factory=dict)
    """Pictures whose host says until the end of the storm that they are not there, by path."""

    def strike(self, deed: Effect, path: str, stage: Stage) -> Fault | None:
        """Draw what strikes a good deed."""
        del stage
        if self.is_over or not deed.is_good:
            return None
        chance, fault = self.dice.random(), None
        if deed.where is Where.SUBMIT and chance < 0.1 * len(SUBMITS):
            fault = SUBMITS[int(chance * 10)]
        elif deed.where is Where.POLL and chance < 0.3:
            fault = STUMBLE
        elif deed.where is Where.IMAGE and self.gone.setdefault(path, chance >= 0.9):
            fault = FAULTS["late"]
        elif deed.where is Where.IMAGE and chance < 0.1 * len(PICTURES):
            fault = PICTURES[int(chance * 10)]
        if fault is not None:
            self.drawn[fault.name] += 1
        return fault


def test_a_storm_loses_nothing_and_pays_once(
    bench: Bench, soak: Soak, capsys: pytest.CaptureFixture[str]
) -> None:
    """Charges a job at most 1; every accepted picture is on disk, or its answer can be read."""
    storm = Storm(dice=soak.dice())
    bench.adjust(timeout=60.0)
    with Sandbox(settings=Settings(delay=0.0)) as sandbox:
        sandbox.weather = storm
        count = soak.times(5, long=200)
        jobs = [
            bench.run(bench.plan(name, sandbox.origin)).job
            for _ in range(count)
            for name in PROVIDERS
        ]
        stormy = Counter(job.state.value for job in jobs)
        storm.is_over = True
        bench.adjust(timeout=1200.0)
        recall(bench.engine, jobs)
        jobs = [bench.run(bench.ledger.job(job.id)).job for job in jobs]
        charges = sandbox.counters["charges"]
    assert isinstance(charges, list)
    paid = Counter(str(charge["prompt"]) for charge in charges)
    ended = Counter(job.state.value for job in jobs)
    with capsys.disabled():
        print(f"\n{len(jobs)} jobs, {len(charges)} charges; struck: {dict(storm.drawn)}")  # noqa: T201
        print(f"in the storm {dict(stormy)}, at the end {dict(ended)}; {soak.again}")  # noqa: T201
    assert max(paid.values()) == 1
    assert set(ended) <= {State.SAVED, State.UNKNOWN, State.CLOSED}
    for job in jobs:
        is_charged = paid[job.prompt] == 1
        match job.state:
            case State.SAVED:
                assert is_charged
                assert all(Path(i.path or "").stat().st_size == i.size for i in job.images)
            case State.UNKNOWN:
                assert job.charge is Charge.MAYBE
                answers = bench.ledger.answers(job.id, Purpose.SUBMIT)
                assert answers or "broke off" in (job.problem.message if job.problem else "")
            case _:
                assert (is_charged, job.charge) == (False, Charge.NONE)
