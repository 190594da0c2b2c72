"""Bad weather made to order: a proxy that breaks connections, and the engine over real sockets."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.clock import FakeClock
from support.command import CHOSEN, PATHS, Cli
from support.server import NEVER
from support.wire import Chaos, Host, Play

from seedream_cli.cli.output import job as render
from seedream_cli.core.addresses import origin as origin_of
from seedream_cli.core.model import Image, Options, Problem, Profile, Secret, State
from seedream_cli.engine.context import Context, Timing
from seedream_cli.engine.pace import Pace
from seedream_cli.engine.rate_limit import RateLimiter
from seedream_cli.engine.workers import Inbox, WorkerPool, take_step
from seedream_cli.providers import PROVIDERS
from seedream_cli.request.check import resolve, split
from seedream_cli.request.purchase import purchases
from seedream_cli.sandbox.messages import Settings
from seedream_cli.sandbox.server import Sandbox
from seedream_cli.storage.files.naming import plan
from seedream_cli.storage.files.store import Files
from seedream_cli.storage.ledger.ledger import Ledger
from seedream_cli.storage.ledger.owner import Owner
from seedream_cli.transport.client import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from seedream_cli.core.addresses import AddressKind
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Call, Job
    from seedream_cli.storage.files.partial import Disk
    from seedream_cli.transport.client import Download, StreamedAnswer
    from seedream_cli.transport.exchange import Limits

KEY = "sk-only-for-tests-0123456789"


class Hasty(Transport):
    """The real transport with less patience: what would hang minutes ends within a second."""

    patience: Limits | None = None

    @contextmanager
    def listen(
        self,
        profile: Profile,
        call: Call,
        limits: Limits,
        *,
        on_first_byte: Callable[[], None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[StreamedAnswer]:
        """Send under the test's limits, where it set some."""
        limits = self.patience or limits
        with super().listen(
            profile, call, limits, on_first_byte=on_first_byte, headers=headers
        ) as heard:
            yield heard

    @contextmanager
    def fetch(
        self, url: str, limits: Limits, *, allowed: Collection[AddressKind], plain_host: str = ""
    ) -> Iterator[Download]:
        """Fetch under the test's limits, where it set some."""
        limits = self.patience or limits
        with super().fetch(url, limits, allowed=allowed, plain_host=plain_host) as download:
            yield download


@dataclass
class Ended:
    """How a job ended, as a script and as a person see it."""

    job: Job
    problem: Problem | None
    slept: list[float]

    @property
    def exit(self) -> int:
        """The exit code."""
        return render.job_exit(self.job, self.problem)

    @property
    def next(self) -> str | None:
        """The word for scripts."""
        return render.next_step(self.job, self.problem)

    @property
    def words(self) -> str:
        """The sentence for people."""
        return render.sentence(self.job, self.problem) if self.problem else ""


class Bench:
    """The engine with its real transport, ledger and files, on a clock that runs ahead."""

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        """Build it in `folder`."""
        self.folder = folder
        self.clock = FakeClock(at=datetime.now(UTC))
        self.events: list[Event] = []
        self._numbers = iter(range(10**6))
        self._exits = ExitStack()
        self.ledger = Ledger(folder / "ledger.db", now=self.clock.now)
        self._exits.callback(self.ledger.close)
        self.owner = self._exits.enter_context(Owner(folder / "owners", "testtest"))
        self.transport = Hasty(
            proxy_of=lambda _: None, observe=self.events.append, with_bodies=True
        )
        self.addresses: dict[str, str] = {}
        more = {"disk": disk} if disk else {}
        self.files = Files(folder, self.owner.name, remember=self.owner.remember, **more)
        self.engine = Context(
            transport=self.transport,
            ledger=self.ledger,
            files=self.files,
            clock=self.clock,
            notify=self.events.append,
            providers=PROVIDERS,
            account=self.account,
            random=lambda: 0.5,
            timing=Timing(deadline=self.clock.monotonic() + 1200),
            limiter=RateLimiter(self.clock, self.ledger.starts),
            pace=Pace(self.clock, lambda: 0.5, self.ledger.durations),
        )

    def adjust(self, **timing: object) -> None:
        """Let the engine be as patient as this from now on."""
        changed = replace(self.engine.timing, **timing)  # type: ignore[arg-type]
        self.engine = replace(self.engine, timing=changed)

    def close(self) -> None:
        """Let go of ledger and lock."""
        self._exits.close()

    def account(self, job: Job) -> Profile:
        """Return the profile that a job was bought with."""
        return Profile(
            name=job.profile,
            provider=job.provider,
            base_url=self.addresses.get(job.id, job.origin + PATHS[job.provider]),
            auth_scheme=PROVIDERS[job.provider].auth_scheme,
            api_key=Secret(KEY),
        )

    def plan(self, provider: str, origin: str, prompt: str = "a fox", **options: object) -> Job:
        """Plan one purchase at `origin`."""
        spec = PROVIDERS[provider]
        profile = Profile(name=provider, provider=provider, base_url=origin + PATHS[provider])
        number = next(self._numbers)
        if provider in CHOSEN:
            options.setdefault("model", CHOSEN[provider])
        asked = Options(prompt=f"{prompt} {number}", **options)  # type: ignore[arg-type] # real names
        resolved = resolve(spec, asked, now=self.clock.now())
        (bought,) = purchases(
            split(resolved),
            profile=profile,
            provider=spec,
            capabilities=resolved.capabilities,
            output={**plan(None, base=str(self.folder / "out")).to_json(), "sidecar": True},
            run=f"r{number:07}",
            owner=self.owner.name,
            now=self.clock.now(),
            job_id=lambda: f"j{number:07}",
        )
        (job,) = self.ledger.plan([bought.job])
        self.engine.calls[job.id] = bought.call
        return job

    def ready(self, url: str, provider: str = "ark", origin: str | None = None) -> Job:
        """Write down a job that is paid and whose one picture waits at `url`."""
        job = self.plan(provider, origin or origin_of(url))
        self.ledger.begin(job.id)
        image = Image(job=job.id, index=1, n=1, url=url)
        task = "task-1" if PROVIDERS[provider].dialect.poll else None
        return self.ledger.move(self.ledger.job(job.id), State.READY, images=[image], task_id=task)

    def running(self, origin: str, task_id: str = "task-1", provider: str = "kie") -> Job:
        """Write down a job that was accepted just now."""
        job = self.plan(provider, origin)
        self.ledger.begin(job.id)
        return self.ledger.move(self.ledger.job(job.id), State.RUNNING, task_id=task_id)

    def run(self, job: Job) -> Ended:
        """Take a job as far as it goes."""
        self.clock.slept.clear()
        self.adjust(deadline=self.clock.monotonic() + self.engine.timing.timeout)
        pool = WorkerPool(
            partial(take_step, self.engine), self.clock, Inbox(), workers=0, on_signal=lambda _: 0.0
        )
        pool.run([step for step in [self.engine.first_step(job)] if step is not None])
        job = self.ledger.job(job.id)
        problem = job.problem or self.engine.problems.get(job.id)
        return Ended(job, problem, list(self.clock.slept))

    def pictures(self) -> list[Path]:
        """Return what lies in the output folder, sidecars left out."""
        found = (self.folder / "out").glob("*") if (self.folder / "out").is_dir() else ()
        return sorted(path for path in found if path.suffix != ".json")


@pytest.fixture(scope="session")
def paid() -> Iterator[Sandbox]:
    """Return a stand-in that counts what it charges for, and takes no time."""
    with Sandbox(settings=Settings(delay=0.0, list_delay=NEVER)) as server:
        yield server


@pytest.fixture
def chaos(paid: Sandbox) -> Iterator[Chaos]:
    """Return a proxy before the stand-in, its counters at zero."""
    paid.tally.reset()
    paid.weather.change([])
    proxy = Chaos(("127.0.0.1", paid.port))
    yield proxy
    proxy.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Play], Host]]:
    """Return what starts servers with canned answers."""
    with ExitStack() as exits:

        def start(answer: Play) -> Host:
            host = Host(answer)
            exits.callback(host.close)
            return host

        yield start


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return an engine over real sockets."""
    made = Bench(tmp_path / "bench")
    yield made
    made.close()


@pytest.fixture
def bench_on(tmp_path: Path) -> Iterator[Callable[[Disk], Bench]]:
    """Return what builds an engine on a disk that is handed in."""
    with ExitStack() as exits:

        def build(disk: Disk) -> Bench:
            made = Bench(tmp_path / "bench", disk=disk)
            exits.callback(made.close)
            return made

        yield build


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return the command line in an empty home."""
    return Cli(home=tmp_path / "home")
