"""Real processes against the sandbox server, over real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROVIDERS = ("ark", "byteplus", "kie", "kie-seedream", "uniall", "seedreams")
PATHS = {
    "ark": "/ark/api/v3",
    "byteplus": "/byteplus/api/v3",
    "kie": "/kie",
    "kie-seedream": "/kie",
    "uniall": "/uniall",
    "seedreams": "/seedreams/api",
}
SECONDS = 60


@dataclass
class Ran:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Stdout's lines."""
        return self.out.decode().splitlines()

    @property
    def objects(self) -> list[dict[str, object]]:
        """Stdout's JSON objects, one a line."""
        return [json.loads(line) for line in self.lines]


@dataclass
class Cli:
    """Runs `seedream` in a home of its own."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """The working folder."""
        return self.home / "work"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a run: nothing of ours but what a test sets."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL") if key in os.environ}
        own = {
            "HOME": str(self.home),
            "SEEDREAM_STATE_DIR": str(self.home / "state"),
            "SEEDREAM_CONFIG": str(self.home / "config.toml"),
            "SEEDREAM_SANDBOX_DELAY": "0.05",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return kept | {"LANG": "C.UTF-8"} | own | self.env | dict(extra or {})

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[bytes]:
        """Start a command and leave it running."""
        self.work.mkdir(exist_ok=True, parents=True)
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", "seedream_cli", *arguments],
            cwd=self.work,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,  # type: ignore[call-overload]
        )
        return process

    def __call__(
        self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Ran:
        """Run a command to its end; no traceback is ever right."""
        self.work.mkdir(exist_ok=True, parents=True)
        done = subprocess.run(
            [sys.executable, "-m", "seedream_cli", *arguments],
            cwd=self.work,
            env=self.environment(env),
            input=stdin,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
        assert "Traceback" not in ran.err, ran.err
        return ran

    def on_terminal(self, *arguments: str, answer: str) -> Ran:
        """Run a command whose stdin and stderr are a terminal, and answer what it asks first."""
        self.work.mkdir(exist_ok=True, parents=True)
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "seedream_cli", *arguments],
            cwd=self.work,
            env=self.environment({"TERM": "xterm"}),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        told = _converse(ours, answer.encode() + b"\n")
        out, _ = process.communicate(timeout=SECONDS)
        return Ran(process.returncode, out, told.decode("utf-8", "replace"))

    def configure(self, server: Server, key: str = "sk-test", **extra: str) -> None:
        """Write a profile a provider that speaks to the server, each named as its provider."""
        text = ""
        for name, path in PATHS.items():
            text += f'[profiles.{name}]\nprovider = "{name}"\napi_key = "{key}"\n'
            text += f'base_url = "{server.origin}{path}"\n'
            text += "".join(f'{key} = "{value}"\n' for key, value in extra.items())
        config = self.home / "config.toml"
        config.write_text(text)
        config.chmod(0o600)

    def pictures(self) -> list[Path]:
        """Return the files in the working folder, by name."""
        return sorted(path for path in self.work.rglob("*") if path.is_file())


@dataclass
class Server:
    """A sandbox server in a process of its own."""

    origin: str
    process: subprocess.Popen[bytes]

    def tell(self, what: str, body: object = None) -> None:
        """Reset it, or change its faults."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.origin}/_sandbox/{what}", method="POST", data=json.dumps(body).encode()
        )
        with urllib.request.urlopen(request):  # noqa: S310 - loopback
            pass

    def counters(self) -> dict[str, object]:
        """Return what it counted."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/counters") as answer:  # noqa: S310 - loopback
            found: dict[str, object] = json.load(answer)
            return found

    def log(self) -> list[dict[str, object]]:
        """Return the requests that it saw."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/log") as answer:  # noqa: S310 - loopback
            found: list[dict[str, object]] = json.load(answer)
            return found

    def submits(self) -> list[dict[str, object]]:
        """Return the paid requests that it saw."""
        return [entry for entry in self.log() if entry["method"] == "POST"]


@dataclass
class Folder:
    """A folder with manifests in it, and what the server saw of them."""

    cli: Cli
    server: Server
    seen: int = 0

    def __call__(self, name: str, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run `generate --batch` on one of them."""
        return self.cli("generate", "--batch", name, *arguments, stdin=stdin)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        self.cli.work.mkdir(exist_ok=True)
        path = self.cli.work / name
        path.write_text(text)
        return path

    def make(self, name: str, *arguments: str) -> str:
        """Run it; everything is made. Return what it said."""
        ran = self(name, *arguments)
        assert ran.code == 0, ran.err
        return ran.err

    def bought(self) -> int:
        """Count the paid requests since the last look."""
        news, self.seen = len(self.server.submits()) - self.seen, len(self.server.submits())
        return news

    def lock(self, name: str = "art.lock") -> dict[str, dict[str, object]]:
        """Return a lock's lines by name."""
        lines = map(json.loads, (self.cli.work / name).read_text().splitlines())
        return {line["name"]: line for line in lines}


class StartServer(Protocol):
    """Starts a sandbox server with options of `seedream providers sandbox`."""

    def __call__(self, *arguments: str) -> Server:
        """Start it."""
        ...


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return the command line in an empty home."""
    return Cli(home=tmp_path)


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start one sandbox server for all tests that only choose its faults."""
    server = _started(tmp_path_factory.mktemp("server"))
    yield server
    _end(server.process)


@pytest.fixture
def start_server(tmp_path: Path, shared_server: Server) -> Iterator[StartServer]:
    """Give out sandbox servers: the shared one, afresh, or one of its own for other options."""
    with ExitStack() as exits:

        def start(*arguments: str) -> Server:
            if set(arguments[::2]) <= {"--fault"}:
                shared_server.tell("reset")
                shared_server.tell("faults", {"faults": arguments[1::2]})
                return shared_server
            server = _started(tmp_path, *arguments)
            exits.callback(_end, server.process)
            return server

        yield start


def _converse(terminal: int, answer: bytes) -> bytes:
    """Read a terminal to its end and answer its first question; close it."""
    told, is_answered = b"", False
    with os.fdopen(terminal, "r+b", buffering=0) as file:
        while True:
            try:
                told += file.read(65536) or b""
            except OSError:  # nobody is on the other side any more
                return told
            if b"[y/N]" in told and not is_answered:
                file.write(answer)
                is_answered = True


def _started(home: Path, *arguments: str) -> Server:
    process = Cli(home=home).start(
        "providers", "sandbox", "--port", "0", "--delay", "0.05", *arguments
    )
    assert process.stdout is not None
    origin = process.stdout.readline().decode().strip()
    assert origin.startswith("http://127.0.0.1:"), origin
    return Server(origin=origin, process=process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.communicate(timeout=10)


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """Return a sandbox server without faults."""
    return start_server()


@pytest.fixture
def folder(cli: Cli, server: Server) -> Folder:
    """Return a folder whose profiles speak to a server in fair weather."""
    cli.configure(server)
    return Folder(cli=cli, server=server)
