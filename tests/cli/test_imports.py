"""What each command imports, and the help's table that lets it import no more."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from seedream_cli.cli.app import build
from seedream_cli.cli.arguments import BATCH_ONLY
from seedream_cli.cli.commands.edit import edit
from seedream_cli.cli.commands.generate import generate
from seedream_cli.cli.help import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.command import Cli

COMMANDS = "seedream_cli.cli.commands."
HEAVY = {"httpx", "rich", "http.server", "asyncio", "ssl", "sqlite3", "importlib.metadata"}
PROVIDERS = ("providers", "providers.config_text")
BATCH = ("batch", "batch_accounts", "batch_run", "bounds")
SENDS = ("httpx", "http.server", "ssl")

WATCHED = """
import atexit, sys
target = sys.argv.pop(1)
atexit.register(lambda: open(target, "w").write(" ".join(sys.modules)))
from seedream_cli.__main__ import run
run()
"""


def imported(cli: Cli, *arguments: str) -> set[str]:
    """Return the modules that a command has imported when it ends with exit code 0."""
    cli.work.mkdir(exist_ok=True, parents=True)
    told = cli.home / "modules.txt"
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(told), *arguments],
        cwd=cli.work,
        env=cli.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(told.read_text().split())


def commands(modules: set[str]) -> set[str]:
    """Return which modules of the commands are among these, without the folder's name."""
    return {name.removeprefix(COMMANDS) for name in modules if name.startswith(COMMANDS)}


@pytest.mark.parametrize(
    ("line", "own", "heavy"),
    [
        ("", (), ()),
        ("--help", (), ()),
        ("providers --help", ("providers",), ()),
        ("generate --help", ("generate",), ()),
        ("edit --help", ("edit",), ()),
        ("status --help", ("status",), ()),
        ("download --help", ("download",), ()),
        ("providers sandbox --help", ("providers", "providers.sandbox"), ()),
        ("generate x --dry-run -p ark", ("generate", "single", "existing", "bounds"), ()),
        (
            "edit x -i https://example.com/a.png --dry-run -p ark",
            ("edit", "single", "existing", "bounds"),
            (),
        ),
        ("generate x --sandbox", ("generate", "single", "existing", "bounds"), (*SENDS, "sqlite3")),
        ("generate --batch rows.txt --plan -p ark", ("generate", *BATCH), ()),
        ("download", ("download",), ("sqlite3",)),
        ("status --offline", ("status",), ("sqlite3",)),
        ("status", ("status",), ("sqlite3",)),
        ("providers", ("providers", "providers.list"), ()),
        ("providers list --json", ("providers", "providers.list"), ()),
        ("providers show kie", ("providers", "providers.show"), ()),
        ("providers check kie --sandbox", ("providers", "providers.check"), SENDS),
        ("providers add kie", (*PROVIDERS, "providers.add", "providers.profile_checks"), ()),
        ("providers use kie", (*PROVIDERS, "providers.use"), ()),
    ],
)
def test_a_command_imports_no_other(
    cli: Cli, line: str, own: tuple[str, ...], heavy: tuple[str, ...]
) -> None:
    """A command imports its own module, no other's, and nothing heavy that it does not use."""
    cli.env["KIE_API_KEY"] = "sk-test"
    cli.work.mkdir(parents=True)
    (cli.work / "rows.txt").write_text("a fox\n")
    found = imported(cli, *line.split())
    if "click" in found:
        found.discard("rich")  # where click is installed, httpx imports its own command line
    assert commands(found) == set(own)
    assert found & HEAVY == set(heavy)


def test_what_is_imported_is_seen(cli: Cli) -> None:
    """The list of modules is the process's own: Typer is on it, and who asks for rich gets it."""
    assert "typer" in imported(cli, "status")


def groups(command: object) -> Iterator[Group]:
    """Walk the app's groups."""
    if isinstance(command, Group):
        yield command
        for child in command.commands.values():
            yield from groups(child)


def test_help_says_what_the_commands_say() -> None:
    """The table behind a group's help has the first line of each command's own help."""
    found = list(groups(typer.main.get_command(build())))
    assert [group.name for group in found] == ["seedream", "providers"]
    for group in found:
        for name, (_, line) in group.table.items():
            command = group.commands[name]
            assert (command.name, (command.help or "").splitlines()[0]) == (name, line)


def test_edit_takes_what_generate_takes() -> None:
    """But for batches the two commands have the same options, with the same defaults."""
    one = dict(inspect.signature(generate).parameters)
    other = dict(inspect.signature(edit).parameters)
    del other["image"]
    for name in BATCH_ONLY:
        del one[name]
    assert list(one.items()) == list(other.items())
