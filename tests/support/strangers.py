"""Somebody else's programs: each is installed where nothing else is, and talked to unchanged."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOWEST_INSTALL = 900
"""Seconds: Volcengine's packages are some 600 MB on disk."""
NO_ANSWER = re.compile(
    r"\(from versions: none\)"
    r"|(NewConnection|ConnectTimeout|ReadTimeout|NameResolution|Proxy|SSL|Protocol|HTTP)Error"
    r"|IncompleteRead|connection broken"
    # npm's words.
    r"|getaddrinfo (ENOTFOUND|EAI_AGAIN)|related to network connectivity"
    r"|npm error code E(NOTFOUND|CONN(REFUSED|RESET)|TIMEDOUT|AI_AGAIN|40[34]|5\d\d|RR_SOCKET)"
)
"""How pip and npm word an index that is not there, or that went away."""
OURS = re.compile(
    r"require a different python|ResolutionImpossible|No space left|Permission denied"
)
"""What is no fault of the index, whatever else pip wrote."""


def is_out_of_reach(words: str) -> bool:
    """Tell whether pip or npm failed for want of an index, by what it wrote."""
    return bool(NO_ANSWER.search(words)) and not OURS.search(words)


@contextmanager
def python_environment(
    request: pytest.FixtureRequest, *packages: str, least: tuple[int, int] = (3, 11)
) -> Iterator[Path]:
    """Install packages from the index for a Python of their own, gone at the end; or skip."""
    name = " ".join(packages)
    _need_soak(request, name)
    python = _newest(least)
    if python is None:
        pytest.skip(f"{name} NOT TRIED: it takes Python {least[0]}.{least[1]}, which is not here")

    def build(folder: Path) -> tuple[int, str]:
        subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
        pip = (folder / "bin" / "python", "-m", "pip", "install", "--no-input", "--no-compile")
        return run((*pip, *packages), folder)

    with _shared(request, name, build) as folder:
        yield folder


@contextmanager
def node_environment(request: pytest.FixtureRequest, *packages: str) -> Iterator[Path]:
    """Install packages from npm's registry in a folder of their own, gone at the end; or skip."""
    name = " ".join(packages)
    _need_soak(request, name)
    missing = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{name} NOT TRIED: there is no {' and no '.join(missing)} here")

    def build(folder: Path) -> tuple[int, str]:
        return run(
            ("npm", "install", "--no-fund", "--no-audit", "--prefix", folder, *packages), folder
        )

    with _shared(request, name, build) as folder:
        yield folder


def run(command: tuple[str | Path, ...], folder: Path) -> tuple[int, str]:
    """Return the exit status of an installation, and what it wrote to stderr."""
    try:
        done = subprocess.run(
            command,
            env=_surroundings(),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SLOWEST_INSTALL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"ReadTimeoutError: stopped after {SLOWEST_INSTALL} s"
    return done.returncode, done.stderr


def _surroundings() -> dict[str, str]:
    """Return the variables of whoever runs the tests: PIP_…, npm_… and proxies lead to an index.

    So do the files of their home; a test's own has none.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    ours.pop("PYTHONPATH", None)
    return ours | {"HOME": pwd.getpwuid(os.getuid()).pw_dir}


def _need_soak(request: pytest.FixtureRequest, name: str) -> None:
    if not request.config.option.soak:
        pytest.skip(f"{name} NOT TRIED: it takes --soak and a package index")


def _newest(least: tuple[int, int]) -> str | None:
    """Return this Python where it will do, else the newest that there is."""
    if sys.version_info[:2] >= least:
        return sys.executable
    names = [f"python{least[0]}.{minor}" for minor in range(20, least[1] - 1, -1)]
    # Version managers keep them side by side; on PATH may lie a name for what is not there.
    beside = sorted(Path(sys.base_prefix).parent.glob("*/bin/python3.*[0-9]"), reverse=True)
    found = [python for name in names for python in (shutil.which(name), *beside) if python]
    fitting = (str(each) for each in found if Path(each).name in names)
    return next((each for each in fitting if _runs(each)), None)


def _runs(python: str) -> bool:
    done = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
    return done.returncode == 0


@contextmanager
def _shared(
    request: pytest.FixtureRequest, name: str, build: Callable[[Path], tuple[int, str]]
) -> Iterator[Path]:
    """Build a folder once for all processes of this run; the last of them removes it."""
    run_id = request.getfixturevalue("testrun_uid")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    folder = Path(tempfile.gettempdir(), f"seedream-{run_id[:8]}-{slug}")
    temporary = request.getfixturevalue("tmp_path_factory").getbasetemp()
    # What is beside the workers' own folders is theirs together, and pytest clears it away.
    with (temporary.parent / f"{folder.name}.lock").open("a+") as lock:
        with _alone(lock):
            users = _users(lock)
            if not users:
                folder.mkdir()
                _build(folder, name, build)
            _write(lock, users + 1)
        try:
            yield folder
        finally:
            with _alone(lock):
                users = _users(lock) - 1
                _write(lock, users)
                if not users:
                    shutil.rmtree(folder)


def _build(folder: Path, name: str, build: Callable[[Path], tuple[int, str]]) -> None:
    try:
        code, words = build(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    if code != 0:
        shutil.rmtree(folder)
    if code != 0 and is_out_of_reach(words):
        why = f"the index is out of reach; its installer ended with {code}: {words[-600:].strip()}"
        pytest.skip(f"{name} NOT TRIED: {why}")
    assert code == 0, f"{name} cannot be installed, its installer ended with {code}: {words}"


@contextmanager
def _alone(lock: IO[str]) -> Iterator[None]:
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _users(lock: IO[str]) -> int:
    lock.seek(0)
    return int(lock.read() or 0)


def _write(lock: IO[str], users: int) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(str(users))
    lock.flush()


@dataclass
class Mcp:
    """A server of the Model Context Protocol, over the pipes of its process."""

    process: subprocess.Popen[str]
    asked: int = 0

    def ask(self, method: str, **params: object) -> dict[str, object]:
        """Ask and return the result; fail for an error."""
        self.asked += 1
        self.say({"id": self.asked, "method": method, "params": params})
        assert self.process.stdout
        for line in self.process.stdout:
            message = json.loads(line)
            # Between them the server may say things of its own.
            if message.get("id") == self.asked and "method" not in message:
                assert "result" in message, message
                result = message["result"]
                assert isinstance(result, dict)
                return result
        raise AssertionError(f"the server ended without an answer to {method}")

    def say(self, message: dict[str, object]) -> None:
        """Send a message."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        self.process.stdin.flush()

    def call(self, name: str, **arguments: object) -> dict[str, object]:
        """Call a tool, and return what it says in a structure, and in texts that are JSON."""
        result = self.ask("tools/call", name=name, arguments=arguments)
        found, texts = result.get("structuredContent"), result["content"]
        assert isinstance(found, dict)
        assert isinstance(texts, list)
        for text in texts:
            with suppress(ValueError):
                found = found | json.loads(text["text"])
        return found


@contextmanager
def mcp(*command: str | Path, home: Path, **env: str) -> Iterator[Mcp]:
    """Start a server in a home of its own, with these variables and no others."""
    with (
        (home / "stderr").open("w") as stderr,
        subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home)} | env,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            server = Mcp(process)
            about = {"name": "tests", "version": "1"}
            mine = {"capabilities": {}, "clientInfo": about}
            server.ask("initialize", protocolVersion="2025-06-18", **mine)
            server.say({"method": "notifications/initialized"})
            yield server
        finally:
            process.terminate()
