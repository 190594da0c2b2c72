"""Whoever is expected to type is told so, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli

TOLD = "reading the prompt from the terminal; end with Ctrl-D"


def typed(cli: Cli, *arguments: str, is_seen: bool = True) -> tuple[bytes, str]:
    """Type a fox at a command; return its stdout and what it wrote to the terminal, or a log."""
    cli.work.mkdir(exist_ok=True, parents=True)
    ours, theirs = os.openpty()
    try:
        os.write(ours, b"a fox\n\x04")
        done = subprocess.run(
            [sys.executable, "-m", "seedream_cli", *arguments, "--sandbox"],
            cwd=cli.work,
            env=cli.environment({"TERM": "dumb"}),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs if is_seen else subprocess.PIPE,
            timeout=60,
            check=True,
        )
        err = os.read(ours, 1 << 16) if is_seen else done.stderr
    finally:
        os.close(ours)
        os.close(theirs)
    return done.stdout, err.decode()


@pytest.mark.parametrize("arguments", [("-",), ("--prompt-file", "-")])
def test_a_prompt_that_is_awaited_is_asked_for(cli: Cli, arguments: tuple[str, ...]) -> None:
    """At a terminal a line says what is read and how it ends, and stdout stays a result's."""
    out, told = typed(cli, "generate", *arguments)
    assert told.count(TOLD) == 1
    assert out.decode().splitlines() == [path.name for path in cli.pictures()]


def test_a_prompt_is_not_asked_for_where_nobody_reads(cli: Cli) -> None:
    """A log, `-q` and a pipe get no such line."""
    assert TOLD not in typed(cli, "generate", "-", is_seen=False)[1]
    assert TOLD not in typed(cli, "generate", "-", "-q")[1]
    assert TOLD not in cli("generate", "-", "--sandbox", stdin=b"a fox").err


def test_an_interrupted_download_is_a_plain_stop(cli: Cli, start_server: StartServer) -> None:
    """Ctrl-C at a terminal ends it at once: nothing is being paid for, so nothing is waited for."""
    cli.configure(start_server("slow:9"))
    (job,) = cli("generate", "a fox", "-p", "kie", "--no-wait").lines
    ours, theirs = os.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "seedream_cli", "download", job],
            cwd=cli.work,
            env=cli.environment({"TERM": "dumb"}),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        told = b""
        while job.encode() not in told:
            told += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        told += os.read(ours, 1 << 16)
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 130
    assert f"seedream download {job}" in told.decode()
    for word in ("paid", "bought", "charged", "cost"):
        assert word not in told.decode()
