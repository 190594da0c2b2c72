"""Processes that are killed, stopped and traced against a server that counts what it charged."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from support.command import SEEDREAM, Cli
from support.server import NEVER, Server, serving

from seedream_cli.core.errors import ImageBroken
from seedream_cli.storage.files.image_format import inspect

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

PATIENCE = 60
"""Seconds after which a command that should have ended is a failure."""
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal at stdin the controlling one, as a shell's child finds it."""


@dataclass
class Running:
    """A command under way; what it writes to stderr is read as it comes."""

    process: subprocess.Popen[bytes]
    stream: IO[bytes]
    text: str = ""
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _reader: threading.Thread = field(init=False)
    _is_over: bool = False
    _is_let_go: bool = False

    def __post_init__(self) -> None:
        """Begin to read."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                # A read that blocks would keep a terminal open that we want to close.
                if not select.select([self.stream], [], [], 0.02)[0]:
                    if self._is_let_go:
                        return
                    continue
                data = os.read(self.stream.fileno(), 65536)
            except (OSError, ValueError):  # a terminal whose other side is gone; our own close
                data = b""
            with self._changed:
                self.text += data.decode("utf-8", "replace")
                self._is_over = not data
                self._changed.notify_all()
            if not data:
                return

    def wait_for(self, pattern: str) -> bool:
        """Wait until stderr holds `pattern`; False when the command ended without it."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_over or re.search(pattern, self.text), timeout=PATIENCE
            )
            return re.search(pattern, self.text) is not None

    def let_go(self) -> None:
        """Read no more: with the last reader of a terminal goes the terminal."""
        self._is_let_go = True
        self._reader.join(timeout=PATIENCE)
        self.stream.close()

    def end(self) -> int:
        """Wait for the end and return the exit code; stderr is then in `text`."""
        code = self.process.wait(timeout=PATIENCE)
        self._reader.join(timeout=PATIENCE)
        self.stream.close()
        return code


@dataclass
class Findings:
    """What does not add up between server, ledger and disk, each a sentence; and the numbers."""

    wrong: list[str] = field(default_factory=list)
    numbers: dict[str, object] = field(default_factory=dict)


@dataclass
class Scene:
    """One home, one ledger, one server, and any number of commands on them."""

    home: Path
    exits: ExitStack
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        """Name the folders that all commands share."""
        env = {"SEEDREAM_REREAD_SECONDS": "0.1", "TERM": "xterm"}
        self.cli = Cli(home=self.home, env=env)
        self.state = self.cli.state
        env["SEEDREAM_STATE_DIR"] = str(self.state)

    @property
    def work(self) -> Path:
        """The working folder."""
        return self.cli.work

    def serve(self, delay: float, *faults: str, list_delay: float = NEVER) -> Server:
        """Start the server, and let the profiles speak to it."""
        self.work.mkdir(parents=True, exist_ok=True)
        late = serving(*faults, delay=delay, list_delay=list_delay)
        self.server = self.exits.enter_context(late)
        self.cli.configure(self.server)
        return self.server

    def configure(self, origin: str) -> None:
        """Let the profiles speak to another server."""
        self.cli.configure(origin)

    def _popen(
        self, arguments: list[str], before: tuple[str, ...] = (), **options: object
    ) -> subprocess.Popen[bytes]:
        options.setdefault("stdin", subprocess.DEVNULL)
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*before, *SEEDREAM, *arguments],
            cwd=self.work,
            env=self.cli.environment(),
            **options,  # type: ignore[call-overload] # as Popen names them
        )
        self.exits.callback(_end, process)
        return process

    def start(
        self, *arguments: str, before: tuple[str, ...] = (), stdout: int = subprocess.DEVNULL
    ) -> Running:
        """Start a command, perhaps under another one, and leave it running."""
        process = self._popen(list(arguments), before=before, stdout=stdout, stderr=subprocess.PIPE)
        assert process.stderr is not None
        return Running(process, process.stderr)

    def start_on_terminal(self, *arguments: str) -> tuple[Running, int]:
        """Start a command on a terminal of its own; return it and the terminal's other side."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        on_it = (sys.executable, "-c", ON_TERMINAL)
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        process = self._popen(list(arguments), before=on_it, **streams)
        os.close(theirs)
        return Running(process, os.fdopen(os.dup(ours), "rb", buffering=0)), ours

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; return exit code, stdout, stderr. No traceback is right."""
        ran = self.cli(*arguments)
        return ran.code, ran.out.decode(), ran.err

    def move_elsewhere(self, home: Path) -> None:
        """Go on in another, empty home and working folder; ledger, server and accounts stay."""
        self.home = self.cli.home = home
        self.work.mkdir(parents=True)
        self.cli.configure(self.server)

    def jobs(self) -> list[dict[str, object]]:
        """Return what the ledger says of all jobs, without asking anybody."""
        code, out, err = self.run("status", "--all", "--offline", "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def parts(self) -> list[Path]:
        """Return the temporary files that lie about."""
        return sorted(path for path in self.home.rglob("*.part") if path.is_file())

    def recover(self) -> None:
        """Run `download` clean: whatever was left comes home."""
        code, _, err = self.run("download")
        # 5: of a set whose stream was cut what came is saved, and the rest stays unknown.
        assert code in {0, 5}, err

    def audit(self) -> Findings:
        """Compare what the server charged with what the ledger and the disk hold."""
        charged = Counter(str(charge["prompt"]) for charge in self.server.charges())
        jobs = self.jobs()
        found = Findings()
        self._audit_charges(found, charged, jobs)
        self._audit_states(found, jobs)
        self._audit_files(found, jobs)
        unknown = sum(job["state"] == "unknown" for job in jobs)
        # Of several equal jobs of one command the server cannot tell which it charged for.
        known = Counter(str(job["prompt"]) for job in jobs if job["charge"] == "charged")
        found.numbers |= {
            "jobs": len(jobs),
            "charges": sum(charged.values()),
            "states": dict(Counter(str(job["state"]) for job in jobs)),
            "unknown": f"{unknown} ({unknown / max(1, len(jobs)):.1%} of the jobs)",
            "unknown that were charged": sum((charged - known).values()),
        }
        return found

    def _audit_charges(
        self, found: Findings, charged: Counter[str], jobs: list[dict[str, object]]
    ) -> None:
        planned = Counter(str(job["prompt"]) for job in jobs)
        paid = Counter(str(job["prompt"]) for job in jobs if job["charge"] != "none")
        sure = Counter(str(job["prompt"]) for job in jobs if job["charge"] == "charged")
        for prompt, count in charged.items():
            if count > planned[prompt]:
                found.wrong.append(f"{prompt}: charged {count} times for {planned[prompt]} jobs")
            if count > paid[prompt]:
                found.wrong.append(f"{prompt}: {count} charges, {paid[prompt]} in the ledger")
        for prompt, count in sure.items():
            if count > charged[prompt]:
                found.wrong.append(f"{prompt}: {count} jobs say charged, {charged[prompt]} were")
        ids = Counter(str(charge["client_request_id"] or "") for charge in self.server.charges())
        del ids[""]
        states = {f"seedream-{job['job']}": job["charge"] for job in jobs}
        for name, count in ids.items():
            if count > 1 or states.get(name, "none") == "none":
                found.wrong.append(f"{name}: charged {count} times, {states.get(name)} to us")

    def _audit_states(self, found: Findings, jobs: list[dict[str, object]]) -> None:
        for job in jobs:
            if job["state"] in {"planned", "sending", "running", "ready", "expired", "failed"}:
                found.wrong.append(f"job {job['job']} is left {job['state']}: {job['error']}")
        if left := sorted(self.state.glob("owners/*")):
            found.wrong.append(f"the dead are not released: {left}")

    def _audit_files(self, found: Findings, jobs: list[dict[str, object]]) -> None:
        found.wrong += [f"{path} was left" for path in self.parts()]
        named = set()
        for job in jobs:
            images = job["images"]
            assert isinstance(images, list)
            for image in images:
                if job["state"] == "saved" and not image["saved_at"]:
                    found.wrong.append(f"job {job['job']} is saved, its image is not")
                named.add(str(image["path"]))
        files = {str(path): path for path in self.work.rglob("*") if path.is_file()}
        for name in sorted(named - set(files) - {"None"}):
            found.wrong.append(f"{name} is not there")
        for name, path in files.items():
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix != ".part":
                found.wrong += _look_at(path) if name in named else [f"no job knows {path}"]
        found.numbers["pictures"] = sum(not name.endswith(".json") for name in files)


def _look_at(path: Path) -> list[str]:
    try:
        inspect(path.read_bytes())
    except ImageBroken as error:
        return [f"{path} is no whole picture: {error}"]
    return []


SYNCHRONOUS = ("ark", "byteplus", "uniall", "openrouter")
PROVIDERS = (
    *("ark", *SYNCHRONOUS, "kie", "kie-seedream", "seedreams"),
    *("fal", "replicate", "wavespeed"),
)
OUTPUTS = (
    *((), ("-o", "out{k}/"), ("-o", "named-{k}"), ("-o", "deep/{k}/art-{{n}}.{{ext}}")),
    ("-o", "t/{{slug}}-{{job}}-{{n}}.{{ext}}", "--sidecar"),
)
COUNTS = ((), (), ("-n", "2"), ("-n", "3"))
SETS = (*COUNTS, ("--series", "3"), ("--series", "4"), ("--series", "3"))
"""With sets, which come as streams."""
AIMS = ("", "", r"sending|generating", r"sending|generating", r"ready", r"accepted|generating")
"""What stderr must say before the shot's own pause begins; nothing: the start of the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One purchase, and the moment that befalls its process."""

    number: int
    provider: str
    many: tuple[str, ...]
    output: tuple[str, ...]
    aim: str
    pause: float

    @property
    def prompt(self) -> str:
        """What names the purchase on the server's side."""
        return f"purchase number {self.number}"

    @property
    def arguments(self) -> list[str]:
        """The command that buys it."""
        return ["generate", self.prompt, "-p", self.provider, *self.many, *self.output]

    @property
    def requests(self) -> int:
        """How many paid requests it is."""
        return int(self.many[1]) if self.many[:1] == ("-n",) else 1

    @property
    def is_new_name(self) -> bool:
        """Whether its pictures get a name that no other command's can have."""
        return not self.output or self.output[1].endswith("/") or "{job}" in self.output[1]


def draw(dice: random.Random, number: int) -> Shot:
    """Draw a purchase and a moment; early ones hit imports, aimed ones the exchange itself."""
    provider, aim = dice.choice(PROVIDERS), dice.choice(AIMS)
    longest = 1.2 if provider in SYNCHRONOUS else 2.2
    if aim:
        # Mostly right after the word, where answers are stored and files get their names.
        longest = dice.choice((0.02, 0.08, 0.4))
    return Shot(
        number=number,
        provider=provider,
        many=dice.choice(SETS if provider == "ark" else COUNTS),
        output=tuple(part.format(k=number) for part in dice.choice(OUTPUTS)),
        aim=aim,
        pause=dice.uniform(0.0, longest),
    )


Draw = Callable[[random.Random, int], Shot]
NewScene = Callable[..., Scene]
"""Takes the seconds that a picture takes, and the server's faults."""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave no process behind, also where a test failed half-way."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
