"""Runs `seedream` as a test asks: mostly in this process, in one of its own where that counts."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seedream_cli.__main__ import run
from seedream_cli.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from support.server import Server

PATHS = {name: provider.sandbox_path for name, provider in PROVIDERS.items()}
"""Where the stand-in serves each provider."""
CHOSEN = {name: "any" for name, provider in PROVIDERS.items() if provider.default_model == ""}
"""The model to ask for where a provider has no default."""
SEEDREAM = (sys.executable, "-m", "seedream_cli")
SECONDS = 60
"""After which a command that should have ended is a failure, on the slowest machine."""
LONGEST = 10.0
"""Seconds from a signal to the end: CI runners kill then. Ours are 7, where the machine is free."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Whom a command may listen to."""
OF_THE_INTERPRETER = ("PYTHON", "LANG", "LC_", "TZ")
"""Variables that only a process's start takes in."""


@dataclass
class Ran:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: bytes
    raw_err: bytes

    @property
    def err(self) -> str:
        """Stderr as text."""
        return self.raw_err.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """Stdout's lines."""
        return self.out.decode().splitlines()

    @property
    def objects(self) -> list[dict[str, object]]:
        """Stdout's JSON objects, one a line."""
        return [json.loads(line) for line in self.lines]

    @property
    def object(self) -> dict[str, object]:
        """The only one of them."""
        (found,) = self.objects
        return found


@dataclass
class Cli:
    """The command line in a home of its own."""

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
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "SEEDREAM_STATE_DIR": str(self.state),
            "SEEDREAM_CONFIG": str(self.home / "config.toml"),
            "SEEDREAM_SANDBOX_DELAY": "0",
            "SEEDREAM_REREAD_SECONDS": "0",
            "SEEDREAM_LOOK_SECONDS": "0",
            "SEEDREAM_USUAL_SECONDS": "0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return own | self.env | dict(extra or {})

    def __call__(
        self,
        *arguments: str | bytes,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        wrap: tuple[str, ...] = (),
        process: bool = False,
    ) -> Ran:
        """Run a command to its end; no traceback is ever right.

        In this process, unless `process` says otherwise or it runs under another command (`wrap`).
        """
        self.work.mkdir(exist_ok=True, parents=True)
        environment, folder = self.environment(env), cwd or self.work
        if wrap or process:
            done = subprocess.run(
                [*wrap, *SEEDREAM, *arguments],
                cwd=folder,
                env=environment,
                input=stdin,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
            ran = Ran(done.returncode, done.stdout, done.stderr)
        else:
            odd = [name for name in env or () if name.startswith(OF_THE_INTERPRETER)]
            odd += [each for each in arguments if each == "__complete"]  # writes to descriptor 1
            assert not odd, f"{odd} need process=True"
            ran = run_here([os.fsdecode(each) for each in arguments], stdin, environment, folder)
        assert "Traceback" not in ran.err, ran.err
        return ran

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, **options: object
    ) -> subprocess.Popen[bytes]:
        """Start a command in a process of its own and leave it running."""
        self.work.mkdir(exist_ok=True, parents=True)
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*SEEDREAM, *arguments],
            cwd=self.work,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,  # type: ignore[call-overload] # as Popen names them
        )
        return process

    def on_terminal(self, *arguments: str, answer: str) -> Ran:
        """Run a command whose stdin and stderr are a terminal, and answer what it asks first."""
        self.work.mkdir(exist_ok=True, parents=True)
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [*SEEDREAM, *arguments],
            cwd=self.work,
            env=self.environment({"TERM": "xterm"}),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        told = _converse(ours, answer.encode() + b"\n")
        out, _ = process.communicate(timeout=SECONDS)
        return Ran(process.returncode, out, told)

    def configure(self, server: Server | str, key: str = "sk-test", **extra: str) -> Path:
        """Write a profile a provider that speaks to a server or origin, named as its provider."""
        origin = server if isinstance(server, str) else server.origin
        self.home.mkdir(exist_ok=True, parents=True)
        text = ""
        for name, path in PATHS.items():
            text += f'[profiles.{name}]\nprovider = "{name}"\napi_key = "{key}"\n'
            text += f'base_url = "{origin}{path}"\n'
            text += f'model = "{CHOSEN[name]}"\n' if name in CHOSEN else ""
            text += "".join(f'{key} = "{value}"\n' for key, value in extra.items())
        config = self.home / "config.toml"
        config.write_text(text)
        config.chmod(0o600)
        return config

    def pictures(self) -> list[Path]:
        """Return the files in the working folder, by name."""
        return sorted(path for path in self.work.rglob("*") if path.is_file())


def run_here(
    arguments: list[str], stdin: bytes, environment: Mapping[str, str], folder: Path
) -> Ran:
    """Run a command in this process, which is then as it was before."""
    out, err = io.BytesIO(), io.BytesIO()
    with _streams(stdin, out, err), _place(environment, folder), _signals():
        argv, sys.argv = sys.argv, ["seedream", *arguments]
        try:
            code = _exit_code()
        finally:
            sys.argv = argv
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        return Ran(code, out.getvalue(), err.getvalue())


def _exit_code() -> int:
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@contextlib.contextmanager
def _streams(stdin: bytes, out: io.BytesIO, err: io.BytesIO) -> Iterator[None]:
    """Stand in for the standard streams, as the interpreter opens those that are no terminals."""
    ours = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8", "surrogateescape")
    sys.stdout = io.TextIOWrapper(out, "utf-8", "surrogateescape")
    sys.stderr = io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)
    theirs = sys.stdin, sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = ours
        for stream in theirs:
            with contextlib.suppress(ValueError):
                stream.detach()


@contextlib.contextmanager
def _place(environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Lay the environment and the working folder of a command."""
    ours, here = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(ours)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let a command find signals as the start of a process leaves them; stop one that hangs."""
    assert threading.current_thread() is threading.main_thread(), "process=True for commands beside"

    def stop(_: int, frame: FrameType | None) -> None:
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "somewhere"
        pytest.fail(f"the command still ran after {SECONDS} s, at {place}")

    ours = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in ours.items():
            signal.signal(number, handler)


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
