"""Each command once as a process of its own: the other tests mostly run them in theirs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.command import Cli
from support.manifests import rows
from support.pictures import png

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Ran
    from support.server import Server

COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "help": (0, ("--help",)),
    "version": (0, ("--version",)),
    "nothing": (0, ()),
    "generate": (0, ("generate", "a fox", "-p", "kie", "-o", "fox.jpg")),
    "edit": (0, ("edit", "at night", "-i", "a.png", "-p", "ark", "-o", "night.jpg")),
    "batch": (0, ("generate", "--batch", "art.toml")),
    "status": (0, ("status", "last", "--json")),
    "download": (0, ("download", "last", "--json")),
    "providers": (0, ("providers",)),
    "show": (0, ("providers", "show", "kie", "--json")),
    "check": (0, ("providers", "check", "kie")),
    "add": (0, ("providers", "add", "mine", "--provider", "uniall", "--key-env", "MY_KEY")),
    "use": (0, ("providers", "use", "kie")),
    "remove": (0, ("providers", "remove", "ark")),
    "a mistake": (2, ("generate", "a fox", "--no-such-option", "--json")),
    "no account": (2, ("generate", "a fox", "-p", "nobody", "--json")),
}
STORED = {"status", "download"}
"""Those that look at a job."""
PASSING = (
    r"\b[0-9a-z]{8}\b",
    r"\d{4}-\d\d-\d\dT[\d:.+Z]+",
    r"\d+(\.\d+)? s\b",
    r"[0-9a-f-]{32,}",
    r"\b\d{5,}\b",
    r"\"answers\":\[.*\]",
)
"""What is another one at each run: jobs, times, spans, requests, bytes, a provider's words."""


def said(ran: Ran, home: Path) -> tuple[int, str, str]:
    """Return what a command did, without what passes."""
    texts = [text.replace(str(home), "HOME") for text in (ran.out.decode(), ran.err)]
    for pattern in PASSING:
        texts = [re.sub(pattern, "*", text) for text in texts]
    return ran.code, texts[0], texts[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_the_same_in_a_process_of_its_own(
    tmp_path: Path, server: Server, name: str
) -> None:
    """Exit code, stdout and stderr are those of a run in the tests' process."""
    code, command = COMMANDS[name]
    told = []
    for process in (False, True):
        cli = Cli(home=tmp_path / str(process))
        cli.configure(server)
        cli.work.mkdir()
        (cli.work / "a.png").write_bytes(png(16, 16))
        (cli.work / "art.toml").write_text(rows(hero="a fox"))
        if name in STORED:
            assert cli("generate", "a fox", "-p", "uniall", "-o", "fox.jpg").code == 0
        told.append(said(cli(*command, process=process), cli.home))
    assert told[0] == told[1]
    assert told[1][0] == code, told[1]


@pytest.mark.parametrize(("line", "code"), [("--version", 0), ("--help", 0), ("--wrong", 2)])
def test_a_process_ends_with_all_that_is_registered(cli: Cli, line: str, code: int) -> None:
    """The interpreter is not taken down, yet what is to run at exit runs, and nothing is unsaid."""
    cli.home.mkdir(exist_ok=True)
    script = (
        "import atexit, pathlib, sys; from seedream_cli.__main__ import start;"
        " atexit.register(pathlib.Path(sys.argv[1]).touch); sys.argv[1:] = sys.argv[2:]; start()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(cli.home / "ended"), line],
        env=cli.environment(),
        capture_output=True,
        check=False,
    )
    ran = cli(line)
    assert (done.returncode, done.stdout, done.stderr) == (code, ran.out, ran.raw_err)
    assert (cli.home / "ended").exists()
