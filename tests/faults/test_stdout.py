"""A stdout that is full, slow or gone: a result is there whole, or the exit code says it is not."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from seedream_cli.core.model import State
from seedream_cli.sandbox.pictures.host import draw
from seedream_cli.sandbox.tickets import Drawing
from seedream_cli.storage.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support.command import Cli
    from support.wire import Host, Play, Visit

    from seedream_cli.core.model import Job

FULL = 1 << 24
"""Bytes that a file may have in a process whose stdout is to fill up half-way."""
ROOM = 1000
"""Bytes that such a stdout still takes."""
UNBUFFERED = [{}, {"PYTHONUNBUFFERED": "1"}]


def run(
    cli: Cli, *arguments: str, stdout: int, env: Mapping[str, str] | None = None, most: int = 0
) -> subprocess.Popen[bytes]:
    """Start a command on a stdout of one's own; no file of it may be longer than `most`."""
    cli.work.mkdir(exist_ok=True, parents=True)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return subprocess.Popen(
        [sys.executable, "-m", "seedream_cli", *arguments],
        cwd=cli.work,
        env=cli.environment(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        preexec_fn=limit if most else None,  # noqa: PLW1509 - it only sets a limit
    )


def said(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end and return stderr."""
    _, err = process.communicate(timeout=60)
    assert b"Traceback" not in err, err.decode()
    return err.decode()


def slowly(reader: int) -> bytes:
    """Read a pipe to its end, late and in small pieces."""
    time.sleep(1.0)
    data = b""
    while block := os.read(reader, 3000):
        data += block
    os.close(reader)
    return data


def non_blocking() -> tuple[int, int]:
    """Return a pipe whose writing side somebody made non-blocking."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, fcntl.fcntl(writer, fcntl.F_GETFL) | os.O_NONBLOCK)
    return reader, writer


def held(cli: Cli) -> list[Path]:
    """Return the pictures that wait for a stdout."""
    return sorted((cli.state / "held").glob("*"))


@pytest.mark.parametrize("env", UNBUFFERED)
def test_half_a_picture_on_a_full_disk_is_74_and_kept(cli: Cli, env: dict[str, str]) -> None:
    """The disk behind stdout fills up within the picture: it is kept whole, and named."""
    target = cli.home / "out.jpg"
    cli.home.mkdir(parents=True)
    with target.open("wb") as file:
        file.truncate(FULL - ROOM)
        file.seek(0, os.SEEK_END)
        process = run(
            cli, "generate", "x", "--sandbox", "-o", "-", stdout=file.fileno(), env=env, most=FULL
        )
        err = said(process)
    assert process.returncode == 74, err
    (picture,) = held(cli)
    assert str(picture) in err
    assert picture.read_bytes()[-2:] == b"\xff\xd9"
    assert target.stat().st_size == FULL


@pytest.mark.parametrize("env", UNBUFFERED)
def test_a_picture_goes_whole_through_a_pipe_that_does_not_block(
    cli: Cli, env: dict[str, str]
) -> None:
    """Whoever reads slowly from a non-blocking pipe gets every byte, and nothing stays behind."""
    reader, writer = non_blocking()
    process = run(cli, "generate", "x", "--sandbox", "-o", "-", stdout=writer, env=env)
    os.close(writer)
    data = slowly(reader)
    err = said(process)
    assert process.returncode == 0, err
    assert (data[:2], data[-2:]) == (b"\xff\xd8", b"\xff\xd9")
    assert held(cli) == []


def test_no_line_is_lost_in_a_pipe_that_does_not_block(
    cli: Cli, make_job: Callable[..., Job]
) -> None:
    """A thousand JSON lines through a non-blocking pipe, whose stderr is one too: all arrive."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    with closing(Ledger(cli.state / "ledger.db", now=lambda: now)) as ledger:
        jobs = [make_job(id=f"{k:08d}", purchase_digest=str(k)) for k in range(1000)]
        for job in ledger.plan([replace(job, owner="gone") for job in jobs]):
            assert job.state is State.PLANNED
    reader, writer = non_blocking()
    process = run(cli, "status", "--all", "--offline", "--json", stdout=writer)
    os.close(writer)
    lines = slowly(reader).splitlines()
    assert (process.wait(timeout=60), said(process)) == (0, "")
    assert len({json.loads(line)["job"] for line in lines}) == 1000


@pytest.mark.parametrize("more", ["--help", "--version", "generate --help", ""])
def test_help_that_a_full_disk_does_not_take_is_74(cli: Cli, more: str) -> None:
    """Help and version are results as any other."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = run(cli, *more.split(), stdout=full.fileno())
        err = said(process)
    assert process.returncode == 74, err
    assert "No space left" in err


def test_an_error_that_a_full_disk_does_not_take_keeps_its_exit_code(cli: Cli) -> None:
    """`--json` on a full disk: the mistake is said on stderr, and its exit code stands."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = run(cli, "generate", "--sandbox", "--json", "-n", "0", "x", stdout=full.fileno())
        err = said(process)
    assert process.returncode == 2
    assert "-n" in err or "--count" in err


def test_what_a_full_stdout_hides_stderr_tells(cli: Cli, serve: Callable[[Play], Host]) -> None:
    """An unknown outcome behind a full stdout is said, with its own exit code: 5 before 74."""
    cli.configure(serve(lambda visit: visit.reset()).origin)
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        process = run(cli, "generate", "x", "-p", "ark", "--json", stdout=full.fileno())
        err = said(process)
    assert process.returncode == 5, err
    assert "No space left" in err
    assert "--write-off" in err


def test_more_pictures_than_asked_are_not_glued_together(
    cli: Cli, serve: Callable[[Play], Host]
) -> None:
    """The first goes to stdout; the second stays a file that stderr names; exit 3."""
    pictures = [draw(Drawing(seed=k, width=64, height=64, format="jpeg")) for k in range(2)]

    def answer(visit: Visit) -> None:
        request = host.requests[-1]
        if request.startswith(b"POST"):
            data = [{"url": f"{host.origin}/{k}.jpg"} for k in range(2)]
            visit.answer(body=json.dumps({"model": "m", "created": 1, "data": data}).encode())
        else:
            visit.answer(body=pictures[request.startswith(b"GET /1")])

    host = serve(answer)
    cli.configure(host.origin)
    ran = cli("generate", "x", "-p", "ark", "-o", "-")
    assert ran.code == 3, ran.err
    assert ran.out == pictures[0]
    (other,) = held(cli)
    assert other.read_bytes() == pictures[1]
    assert str(other) in ran.err
