"""The same command twice at once: one purchase, one picture, and each says what is true of it."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from support.clock import eventually
from support.server import serving

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from support.command import Cli
    from support.server import Server

DRAWING = 4.0
"""Seconds that a picture takes: the other one starts meanwhile."""


@pytest.fixture
def slow(cli: Cli) -> Iterator[Server]:
    """Serve pictures that take their time."""
    with serving(delay=DRAWING) as server:
        cli.configure(server)
        yield server


@pytest.fixture
def first(cli: Cli, slow: Server) -> Iterator[subprocess.Popen[bytes]]:
    """Start a purchase, and go on when it is being paid for."""
    process = cli.start("generate", "cat", "-p", "kie", "-o", "cat.png")
    eventually(lambda: bool(slow.charges()))
    yield process
    with suppress(ProcessLookupError):
        process.kill()
    process.communicate(timeout=20)


@pytest.mark.parametrize("written", ["cat.png", "./cat.png"])
def test_the_second_shows_the_first_ones_job(
    cli: Cli, slow: Server, first: subprocess.Popen[bytes], written: str
) -> None:
    """One charge; its JSON is that of the job it waited for, and it claims to have paid nothing."""
    ran = cli("generate", "cat", "-p", "kie", "-o", written, "--sidecar", "--json")
    assert ran.code == 0, ran.err
    out, err = first.communicate(timeout=20)
    assert (first.returncode, out) == (0, b"cat.png\n")
    (job,) = cli("status", "--offline", "--json").objects
    assert (ran.object["job"], ran.object["state"]) == (job["job"], "saved")
    assert f"under way as job {job['job']}; nothing is bought for it" in ran.err
    assert "cost" not in ran.err
    assert b"1 made; cost" in err
    assert [path.name for path in cli.pictures()] == ["cat.json", "cat.png"]
    assert json.loads((cli.work / "cat.json").read_text())["job"] == job["job"]
    assert len(slow.charges()) == 1


def test_a_timeout_is_75_and_the_first_goes_on(
    cli: Cli, slow: Server, first: subprocess.Popen[bytes]
) -> None:
    """`--timeout` ends the waiting, with the line that goes on; `--no-wait` gives the job's id."""
    ran = cli("generate", "cat", "-p", "kie", "-o", "cat.png", "--timeout", "0.3", "--json")
    assert (ran.code, ran.object["state"], ran.object["next"]) == (75, "running", "download")
    assert f"seedream download {ran.object['job']}" in ran.err
    ids = cli("generate", "cat", "-p", "kie", "-o", "cat.png", "--no-wait")
    assert (ids.code, ids.lines) == (0, [ran.object["job"]])
    assert first.wait(timeout=20) == 0
    assert len(slow.charges()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_waiting_only(
    cli: Cli, slow: Server, first: subprocess.Popen[bytes], number: int, code: int
) -> None:
    """The second is out with 130 or 143; the first one's job is saved all the same."""
    second = cli.start("generate", "cat", "-p", "kie", "-o", "cat.png", "--json")
    assert second.stderr is not None
    said = [second.stderr.readline(), second.stderr.readline()]
    assert b"is under way as job" in said[0]
    assert said[1].rstrip().endswith((b"sending", b"accepted"))
    second.send_signal(number)
    out, err = second.communicate(timeout=20)
    assert second.returncode == code, err
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert b"the process that buys it goes on" in err
    assert first.wait(timeout=20) == 0
    (job,) = cli("status", "--offline", "--json").objects
    assert (job["state"], len(slow.charges())) == ("saved", 1)


@pytest.mark.parametrize("output", [(), ("-o", "art/"), ("-o", "{slug}-{time}.png")])
def test_a_new_name_is_a_new_picture(
    cli: Cli, slow: Server, first: subprocess.Popen[bytes], output: tuple[str, ...]
) -> None:
    """Without a known file each command buys; one that is typed says once that it is a second."""
    (cli.work / "art").mkdir()
    ran = cli.on_terminal("generate", "cat", "-p", "kie", *output, answer="")
    assert ran.code == 0, ran.err
    assert ran.err.count("is buying the same right now; this is one picture more") == 1
    assert first.wait(timeout=20) == 0
    assert len(slow.charges()) == 2
    assert "is buying the same" not in cli("generate", "cat", "-p", "kie").err


def test_despite_covers_nothing_that_came_later(cli: Cli, server: Server) -> None:
    """A script that keeps `--despite JOB` stops at the next unknown outcome, which it names."""
    cli.configure(server)
    server.change_weather("drop")
    lost = str(cli("generate", "x", "-p", "ark", "--json").object["job"])
    script = ("generate", "x", "-p", "ark", "--despite", lost, "--json")
    later = str(cli(*script).object["job"])
    ran = cli(*script)
    assert (ran.code, ran.object["job"]) == (5, None)
    assert f"--despite {later}" in ran.err
    assert len(server.charges()) == 2
    server.change_weather()
    assert cli("generate", "x", "-p", "ark", "--despite", later).code == 0
