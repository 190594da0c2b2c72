"""Bad weather made to order: a proxy that breaks connections, and the engine over real sockets."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from seedream_cli.cli.output import job as render
from seedream_cli.core.addresses import origin as origin_of
from seedream_cli.core.model import Image, Options, Problem, Profile, Secret, State
from seedream_cli.engine.context import Context, Timing
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
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from seedream_cli.core.addresses import AddressKind
    from seedream_cli.core.events import Event
    from seedream_cli.core.model import Call, Job
    from seedream_cli.storage.files.partial import Disk
    from seedream_cli.transport.client import Download, StreamedAnswer
    from seedream_cli.transport.exchange import Limits

PATHS = {name: provider.sandbox_path for name, provider in PROVIDERS.items()}
KEY = "sk-only-for-tests-0123456789"
SECONDS = 60
PATIENCE = 10.0
"""Seconds that the proxy waits for bytes that never come."""


class Visit:
    """One connection to the proxy, for a play to do with as it likes."""

    def __init__(self, connection: socket.socket, upstream: tuple[str, int]) -> None:
        """Take a fresh connection; nothing of it is read yet."""
        self.socket = connection
        self._upstream = upstream
        connection.settimeout(PATIENCE)

    def read(self, count: int) -> bytes:
        """Read at most `count` bytes of the request."""
        return self.socket.recv(count)

    def head(self) -> bytes:
        """Read to the end of the request's headers, byte by byte."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise ConnectionError("the client left")
            data += byte
        return data

    def request(self) -> bytes:
        """Read the whole request."""
        data = self.head()
        length = 0
        for line in data.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        while length > 0:
            block = self.socket.recv(min(length, 65536))
            if not block:
                raise ConnectionError("the client left")
            data, length = data + block, length - len(block)
        return data

    def charged(self) -> bytes:
        """Hand the request on to the real server, which charges; return its answer, raw."""
        request = self.request()
        with socket.create_connection(self._upstream, timeout=PATIENCE) as server:
            server.sendall(request)
            answer = b""
            while block := server.recv(65536):
                answer += block
        return answer

    def send(self, data: bytes) -> None:
        """Send to the client."""
        self.socket.sendall(data)

    def answer(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        """Send a whole HTTP answer; `length` lies about the body's."""
        known = {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
        head = f"HTTP/1.1 {status} Whatever\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in known.items())
        self.send(head.encode("utf-8", "surrogateescape") + b"\r\n" + body)

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def linger(self, seconds: float = PATIENCE) -> None:
        """Keep the connection open until the client ends it."""
        self.socket.settimeout(seconds)
        with suppress(OSError):
            while self.socket.recv(65536):
                pass


Play = Callable[[Visit], None]
"""What a fault does with a connection; the connection is closed after it."""


class Chaos:
    """A proxy on loopback: the first connections after `arm` meet a play, the others pass."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        """Listen on a free port."""
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._play: Play | None = None
        self._left = 0
        self.struck = 0
        """Connections that met the play since `arm`."""
        self.posts = 0
        """POSTs that passed since `arm`."""
        self.gets = 0
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def arm(self, play: Play | None, times: int = 1) -> None:
        """Let the next `times` connections meet `play`."""
        with self._lock:
            self._play, self._left, self.struck, self.posts, self.gets = play, times, 0, 0, 0

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                play = self._play if self._left > 0 else None
                self._left -= 1
                self.struck += play is not None
            threading.Thread(target=self._meet, args=(connection, play), daemon=True).start()

    def _meet(self, connection: socket.socket, play: Play | None) -> None:
        with suppress(OSError), connection:
            (play or self._pass)(Visit(connection, self._upstream))

    def _pass(self, visit: Visit) -> None:
        request = visit.request()
        with self._lock:
            self.posts += request.startswith(b"POST")
            self.gets += request.startswith(b"GET")
        with socket.create_connection(self._upstream, timeout=PATIENCE) as server:
            server.sendall(request)
            while block := server.recv(65536):
                visit.send(block)


@dataclass
class Host:
    """A server that answers every request as it is told, and keeps what it was sent."""

    answer: Play
    requests: list[bytes] = field(default_factory=list)
    origin: str = ""

    def __post_init__(self) -> None:
        """Listen on a free port."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            visit = Visit(connection, ("127.0.0.1", 9))
            self.requests.append(visit.request())
            self.answer(visit)


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
        self, url: str, limits: Limits, *, allowed: Collection[AddressKind]
    ) -> Iterator[Download]:
        """Fetch under the test's limits, where it set some."""
        limits = self.patience or limits
        with super().fetch(url, limits, allowed=allowed) as download:
            yield download


@dataclass
class FastClock:
    """Time that moves by the sleeps that are asked for, and takes none."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    slept: list[float] = field(default_factory=list)
    at_sleep: Callable[[], None] = lambda: None
    """What happens meanwhile."""

    def now(self) -> datetime:
        """Return the wall time."""
        return self.at

    def monotonic(self) -> float:
        """Return the same time in seconds."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
        self.at_sleep()


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
        self.clock = FastClock()
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
            api_key=Secret(KEY),
        )

    def plan(self, provider: str, origin: str, prompt: str = "a fox", **options: object) -> Job:
        """Plan one purchase at `origin`."""
        spec = PROVIDERS[provider]
        profile = Profile(name=provider, provider=provider, base_url=origin + PATHS[provider])
        number = next(self._numbers)
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


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: bytes
    err: bytes

    @property
    def words(self) -> str:
        """Stderr as text."""
        return self.err.decode("utf-8", "replace")

    @property
    def objects(self) -> list[dict[str, object]]:
        """Stdout's JSON objects, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, object]:
        """The only one of them."""
        (found,) = self.objects
        return found


@dataclass
class Cli:
    """Runs `seedream` in a home of its own."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """The working folder."""
        return self.home / "work"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.home / "state"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a run: nothing of ours but what a test sets."""
        own = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "SEEDREAM_STATE_DIR": str(self.state),
            "SEEDREAM_CONFIG": str(self.home / "config.toml"),
            "SEEDREAM_SANDBOX_DELAY": "0",
            "SEEDREAM_REREAD_SECONDS": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return own | self.env | dict(extra or {})

    def __call__(
        self,
        *arguments: str | bytes,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        wrap: tuple[str, ...] = (),
        cwd: Path | None = None,
    ) -> Ran:
        """Run a command to its end, perhaps under another one; no traceback is ever right."""
        self.work.mkdir(exist_ok=True, parents=True)
        done = subprocess.run(
            [*wrap, sys.executable, "-m", "seedream_cli", *arguments],
            cwd=cwd or self.work,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
        return Ran(done.returncode, done.stdout, done.stderr)

    def configure(self, origin: str, key: str = KEY) -> Path:
        """Write a profile a provider that speaks to `origin`, each named as its provider."""
        self.home.mkdir(exist_ok=True, parents=True)
        text = "".join(
            f'[profiles.{name}]\nprovider = "{name}"\napi_key = "{key}"\n'
            f'base_url = "{origin}{path}"\n'
            for name, path in PATHS.items()
        )
        config = self.home / "config.toml"
        config.write_text(text)
        config.chmod(0o600)
        return config

    def files(self) -> list[Path]:
        """Return the files in the working folder, by name."""
        return sorted(path for path in self.work.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def paid() -> Iterator[Sandbox]:
    """Return a stand-in that counts what it charges for, and takes no time."""
    with Sandbox(settings=Settings(delay=0.0)) as server:
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
