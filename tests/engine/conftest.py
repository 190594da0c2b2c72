"""An engine on a real ledger, with a transport that is handed in and a clock that is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.errors import SeedreamError
from seedream_cli.core.model import Options, Profile, Purpose, Reply, Secret
from seedream_cli.engine.context import Context, Step, Timing
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
from seedream_cli.transport.client import Download

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from seedream_cli.core.addresses import AddressKind
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Call, Job
    from seedream_cli.transport.exchange import Limits

# One pixel, made by hand: signature, IHDR, IDAT, IEND.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


@dataclass
class FakeClock:
    """Time that moves only when somebody sleeps."""

    at: datetime = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the wall time."""
        return self.at

    def monotonic(self) -> float:
        """Return the same time in seconds."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """Move on, by a microsecond at least: a float of today is not finer than that."""
        self.slept.append(seconds)
        self.at += timedelta(microseconds=ceil(seconds * 1e6))


Answer = Reply | SeedreamError
"""What the wire brings: a reply, or how it broke."""
Piece = bytes | SeedreamError | Callable[[], None]
"""What a stream brings next: bytes, how it broke, or what happens elsewhere just then."""
Play = bytes | SeedreamError | Callable[[], bytes]
"""What an image host brings."""


@dataclass
class FakeHeard:
    """An answer on its way, as the transport would hand it out."""

    pieces: list[Piece]
    is_stream: bool = True
    has_visible_end: bool = True
    answer: Reply | None = None
    """The whole answer, where it is no stream."""
    spill: object = None

    def chunks(self) -> Iterator[bytes]:
        """Play the pieces in order."""
        for piece in self.pieces:
            if isinstance(piece, SeedreamError):
                raise piece
            if isinstance(piece, bytes):
                yield piece
            else:
                piece()

    def event(self, data: bytes) -> Reply:
        """Return one event as it is stored."""
        return Reply(purpose=Purpose.EVENT, status=200, headers={}, body=data)

    def whole(self) -> Reply:
        """Return the answer."""
        assert self.answer is not None
        return self.answer


@dataclass
class FakeTransport:
    """Plays answers in order; says what had been asked, and what the ledger held at that time."""

    answers: list[Answer] = field(default_factory=list)
    streams: list[FakeHeard] = field(default_factory=list)
    """What is heard instead of an answer, where a stream was asked for."""
    pictures: dict[str, list[Play]] = field(default_factory=dict)
    sent: list[Call] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    whole: tuple[bytes, ...] = (PNG,)
    """A good picture."""
    at_send: Callable[[Call], None] = lambda _: None

    def send(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Play the next answer."""
        del profile, limits, headers
        answer = self.answers.pop(0)
        is_unsent = isinstance(answer, SeedreamError) and answer.code == "unreachable"
        if on_first_byte is not None and not is_unsent:
            on_first_byte()
        self.sent.append(call)
        self.at_send(call)
        if isinstance(answer, SeedreamError):
            raise answer
        return replace(answer, purpose=call.purpose)

    @contextmanager
    def listen(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None],
        headers: dict[str, str] | None = None,
    ) -> Iterator[FakeHeard]:
        """Play the next stream, or the next answer where none is left."""
        if not self.streams:
            answer = self.send(profile, call, limits, on_first_byte=on_first_byte, headers=headers)
            yield FakeHeard([], is_stream=False, answer=answer)
            return
        on_first_byte()
        self.sent.append(call)
        self.at_send(call)
        yield self.streams.pop(0)

    def hears(self, *pieces: Piece, has_visible_end: bool = True) -> None:
        """Let the next stream bring these pieces."""
        self.streams.append(FakeHeard(list(pieces), has_visible_end=has_visible_end))

    @contextmanager
    def fetch(
        self, url: str, limits: Limits, *, allowed: Collection[AddressKind]
    ) -> Iterator[Download]:
        """Play the next picture of this URL; the last one stays."""
        del limits, allowed
        self.fetched.append(url)
        plays = self.pictures.get(url, [PNG])
        play = plays.pop(0) if len(plays) > 1 else plays[0]
        if isinstance(play, SeedreamError):
            raise play
        if not isinstance(play, bytes):
            play = play()
        yield Download(length=len(play), chunks=iter([play[:20], play[20:]]))


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
        **flags: object,
    ) -> list[Job]:
        """Plan the jobs of one command; `flags` go beside the naming plan."""
        spec = PROVIDERS[provider]
        profile = Profile(name=provider, provider=provider, base_url=spec.base_url)
        resolved = resolve(
            spec, Options(prompt=prompt, count=count, series=series), now=self.clock.now()
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
        self.ledger.plan([purchase.job for purchase in bought])
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
    )
    return House(folder, clock, transport, ledger, owner, events, engine)
