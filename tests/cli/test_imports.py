"""What each command imports, and the help's table that lets it import no more.

`imports.txt` lists all of it; UPDATE_IMPORTS=1 with `-n 0` writes it anew.
"""

from __future__ import annotations

import inspect
import os
import string
import subprocess
import sys
from functools import cache
from pathlib import Path
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
TABLE = Path(__file__).with_name("imports.txt")
COSTLY = HEAVY | {
    "dataclasses",
    "decimal",
    "difflib",
    "hashlib",
    "html",
    "ipaddress",
    "platformdirs",
    "tomllib",
    "typer",
    "uuid",
}
"""What takes a start half a millisecond or more, each with what it imports itself."""

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


@cache
def brought_by(*names: str) -> frozenset[str]:
    """Return what some modules import themselves, on this Python and in these versions."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return frozenset(done.stdout.split()) - set(names)


def listed(modules: set[str]) -> set[str]:
    """Return what a command imported: of ours, without the first name, and what else is costly."""
    ours = {name.removeprefix("seedream_cli.") for name in modules if name.count(".") > 1}
    guests = [name for name in ("typer", "sqlite3", "platformdirs", "httpx") if name in modules]
    beside = modules & COSTLY - (brought_by(*guests) if guests else frozenset())
    return {name for name in ours if f"seedream_cli.{name}" in modules} | beside


def read_table() -> dict[str, set[str]]:
    """Return what `imports.txt` says of each command line."""
    head, _, rows = TABLE.read_text(encoding="utf-8").partition("\n\n")[2].partition("\n\n")
    found: dict[str, set[str]] = {line[4:]: set() for line in head.splitlines()}
    for row in rows.splitlines():
        name, marks = row.split()
        for mark, line in zip(marks, found, strict=True):
            found[line] |= {name} if mark != "." else set()
    return found


def write_table(table: dict[str, set[str]]) -> None:
    """Write `imports.txt` anew: a letter for each command line, a row for each module."""
    letters = dict(zip(sorted(table), string.ascii_letters, strict=False))
    lines = [f"{letter} = {line}" for line, letter in letters.items()]
    for name in sorted(set().union(*table.values()), key=lambda name: (name in COSTLY, name)):
        marks = "".join(letters[line] if name in table[line] else "." for line in letters)
        lines += [""] * (len(lines) == len(letters)) + [f"{name:<42}{marks}"]
    about = TABLE.read_text(encoding="utf-8").partition("\n\n")[0]
    TABLE.write_text("\n".join([about, "", *lines, ""]), encoding="utf-8")


def check_table(line: str, modules: set[str]) -> None:
    """Hold what a command imported against `imports.txt`, or write it there."""
    title, now, table = f"seedream {line}".strip(), listed(modules), read_table()
    if os.environ.get("UPDATE_IMPORTS"):
        write_table({**table, title: now})
        return
    then = table.get(title, set())
    more, less = (" ".join(sorted(some)) or "nothing" for some in (now - then, then - now))
    assert now == then, (
        f"{title} imports more: {more}; no more: {less}. What is not needed on this way is imported"
        " in the function that needs it; if it is meant:"
        " UPDATE_IMPORTS=1 pytest -n 0 tests/cli/test_imports.py"
    )


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
    check_table(line, found)


@pytest.mark.parametrize("line", ["--version", "__complete jobs", "__complete profiles", "status"])
def test_what_is_quick_imports_what_it_shows(cli: Cli, line: str) -> None:
    """What answers without Typer, and the list of jobs, import no more than `imports.txt` says."""
    cli.work.mkdir(parents=True)
    assert cli("generate", "x", "--sandbox", env={"SEEDREAM_SANDBOX_DELAY": "0"}).code == 0
    check_table(f"{line} (with jobs)" if line == "status" else line, imported(cli, *line.split()))


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
