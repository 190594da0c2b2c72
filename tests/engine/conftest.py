"""An engine on a real ledger, with a transport that is handed in and a clock that is ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from support.clock import FakeClock
from support.command import CHOSEN
from support.transport import FakeTransport

from seedream_cli.core.model import Options, Profile, Reply, Secret
from seedream_cli.engine.context import Context, Step, Timing
from seedream_cli.engine.pace import Pace
from seedream_cli.engine.rate_limit import RateLimiter
from seedream_cli.engine.recovery import conclude_leftovers
from seedream_cli.engine.workers import Inbox, WorkerPool, take_step
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.check import resolve, split
from seedream_cli.request.purchase import purchases
from seedream_cli.storage.files.naming import plan
from seedream_cli.storage.files.store import Files
from seedream_cli.storage.ledger.ledger import Ledger
from seedream_cli.storage.ledger.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Job, Reference

GATEWAY = "https://gateway.example/v1"
"""Of a provider that has no address of its own."""


@dataclass
class House:
    """An engine with everything around it."""

    folder: Path
    clock: FakeClock
    transport: FakeTransport
    ledger: Ledger
    owner: Owner
    events: list[Event]
    engine: Context

    def buy(
        self,
        provider: str = "ark",
        prompt: str = "a fox",
        count: int = 1,
        *,
        series: int | None = None,
        output: str | None = None,
        owner: str | None = None,
        references: tuple[Reference, ...] = (),
        despite: Collection[str] = (),
        **flags: object,
    ) -> list[Job]:
        """Plan the jobs of one command; `flags` go beside the naming plan."""
        spec = PROVIDERS[provider]
        profile = Profile(name=provider, provider=provider, base_url=spec.base_url or GATEWAY)
        resolved = resolve(
            spec,
            Options(
                prompt=prompt,
                model=CHOSEN.get(provider),
                count=count,
                series=series,
                references=references,
                edit=bool(references),
            ),
            now=self.clock.now(),
        )
        base = str(self.folder / "out")
        named = plan(output, base=base, many=count > 1, many_per_job=series is not None)
        ids = iter(range(100))
        bought = purchases(
            split(resolved),
            profile=profile,
            provider=spec,
            capabilities=resolved.capabilities,
            output={**named.to_json(), **flags},
            run="run00000",
            owner=self.owner.name if owner is None else owner,
            now=self.clock.now(),
            job_id=lambda: f"job{len(self.ledger.jobs()):03}{next(ids):02}",
        )
        self.ledger.plan([purchase.job for purchase in bought], despite=despite)
        self.engine.calls.update({purchase.job.id: purchase.call for purchase in bought})
        return [purchase.job for purchase in bought]

    def left(
        self, owner: str, *replies: Reply, provider: str = "ark", prompt: str = "a fox"
    ) -> Job:
        """Leave a job that a process was sending, with what it had stored by then."""
        (job,) = self.buy(provider, prompt, owner=owner)
        self.ledger.begin(job.id)
        for reply in replies:
            self.ledger.store(job.id, reply)
        return job

    def settle(self) -> None:
        """Conclude what dead processes left."""
        conclude_leftovers(self.engine, self.owner)

    def adjust(self, **changes: object) -> None:
        """Change what the steps share, from now on."""
        self.engine = replace(self.engine, **changes)  # type: ignore[arg-type]

    def take(self, step: Step) -> Step | None:
        """Do one step."""
        return take_step(self.engine, step)

    def run(self, jobs: list[Job]) -> list[Job]:
        """Take the jobs as far as they go, on the fake clock, and return them."""
        pool = WorkerPool(self.take, self.clock, Inbox(), workers=0, on_signal=lambda _: 0.0)
        pool.run([step for step in map(self.engine.first_step, jobs) if step is not None])
        return [self.ledger.job(job.id) for job in jobs]

    def another(self, owner: Owner, *answers: Reply) -> House:
        """Build the engine of another process on the same ledger, clock and disk."""
        transport = FakeTransport(list(answers))
        return build(self.folder, self.clock, transport, self.ledger, owner, [])

    def pictures(self) -> list[Path]:
        """Return the files that lie in the output folder."""
        return sorted((self.folder / "out").glob("*")) if (self.folder / "out").exists() else []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Build the house on a real ledger."""
    clock, transport = FakeClock(), FakeTransport()
    ledger = Ledger(tmp_path / "ledger.db", now=clock.now)
    events: list[Event] = []
    with Owner(tmp_path / "owners", "testtest") as owner:
        yield build(tmp_path, clock, transport, ledger, owner, events)
    ledger.close()


def build(
    folder: Path,
    clock: FakeClock,
    transport: FakeTransport,
    ledger: Ledger,
    owner: Owner,
    events: list[Event],
) -> House:
    """Build an engine around these parts."""

    def account(job: Job) -> Profile:
        key = Secret("sk-test")
        return Profile(name=job.profile, provider=job.provider, base_url=job.origin, api_key=key)

    engine = Context(
        transport=transport,  # type: ignore[arg-type]  # it has the methods that are used
        ledger=ledger,
        files=Files(folder, owner.name, remember=owner.remember),
        clock=clock,
        notify=events.append,
        providers=PROVIDERS,
        account=account,
        random=lambda: 0.5,
        timing=Timing(deadline=clock.monotonic() + 1200),
        limiter=RateLimiter(clock, ledger.starts),
        pace=Pace(clock, lambda: 0.5, ledger.durations),
    )
    return House(folder, clock, transport, ledger, owner, events, engine)
