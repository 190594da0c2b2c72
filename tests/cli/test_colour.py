"""Colour and moving lines: on a terminal that shows them, and never where they are in the way."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.command import SECONDS, SEEDREAM

if TYPE_CHECKING:
    from cli.conftest import StartServer
    from support.command import Cli

ESCAPE = "\x1b["


def shown(cli: Cli, *arguments: str, env: dict[str, str] | None = None, answer: str = "") -> str:
    """Run a command whose three streams are a terminal of 80 columns; return what it shows."""
    cli.work.mkdir(exist_ok=True, parents=True)
    ours, theirs = os.openpty()
    environ = cli.environment({"TERM": "xterm-256color", "COLUMNS": "80"} | (env or {}))
    process = subprocess.Popen(
        [*SEEDREAM, *arguments],
        cwd=cli.work,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    told, is_answered = b"", not answer
    while True:
        try:
            told += os.read(ours, 65536)
        except OSError:
            break
        if not is_answered and b"[y/N]" in told:
            os.write(ours, answer.encode() + b"\n")
            is_answered = True
    process.wait(SECONDS)
    os.close(ours)
    return told.decode()


def plain(text: str) -> str:
    """Return a text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_states_and_errors_are_painted(cli: Cli) -> None:
    """A state has its colour in the table and in what is told of one job; so has an error."""
    cli("generate", "a fox", "--sandbox", "-q")
    table = shown(cli, "status", "--offline")
    assert "\x1b[32msaved\x1b[0m" in table
    assert "\x1b[32msaved\x1b[0m" in shown(cli, "status", "last", "--offline")
    assert shown(cli, "status", "nonsense").startswith("\x1b[1;31mseedream:\x1b[0m ")
    still = shown(cli, "status", "--offline", env={"NO_COLOR": "1"})
    assert still == plain(table)  # the words say it all


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(cli: Cli, env: dict[str, str]) -> None:
    """NO_COLOR and TERM=dumb leave no colour code, in errors, tables and JSON alike."""
    cli("generate", "a fox", "--sandbox", "-q")
    for arguments in (["status"], ["status", "last"], ["status", "nonsense"], ["providers"]):
        assert ESCAPE not in shown(cli, *arguments, env=env)
    made = shown(cli, "generate", "an owl", "--sandbox", env={"TERM": "dumb"})
    assert ESCAPE not in made


def test_json_is_never_painted(cli: Cli) -> None:
    """JSON at a terminal is JSON."""
    cli("generate", "a fox", "--sandbox", "-q")
    assert json.loads(shown(cli, "status", "--json", "--offline"))["state"] == "saved"


def test_nothing_moves_without_progress(cli: Cli) -> None:
    """`--no-progress` writes plain lines at a terminal, one a change of state."""
    told = shown(cli, "generate", "a fox", "--sandbox", "--no-progress", env={"NO_COLOR": "1"})
    assert ESCAPE not in told
    assert re.search(r"^[0-9a-z]{8} saved", told, re.MULTILINE)


def test_a_near_miss_asks_before_it_buys(cli: Cli, start_server: StartServer) -> None:
    """At a terminal an id that is nearly a known one is asked about; no is exit 2 with the line."""
    cli.configure(start_server())
    words = ("generate", "a fox", "-p", "kie", "-m", "seedream/4.5-text-to-imag")
    told = plain(shown(cli, *words, answer="n"))
    assert "Send seedream/4.5-text-to-imag as it is? [y/N]" in told
    assert "-m seedream/4.5-text-to-image" in told
    assert not cli.pictures()
    assert "[y/N]" not in shown(cli, *words, "-y")
    assert "[y/N]" not in cli(*words).err
